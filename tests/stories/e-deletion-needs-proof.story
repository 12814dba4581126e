# What leaves Git is deleted, once it is sure that it was meant.

% fleet dev-1:env=dev prod-1:env=prod prod-2:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true

$ mkdir -p repo/web && cat > repo/web/deployment.yaml <<END
| apiVersion: apps/v1
| kind: Deployment
| metadata: {name: web}
| spec:
|   replicas: 1
|   progressDeadlineSeconds: 5
|   selector: {matchLabels: {app: web}}
|   template:
|     metadata: {labels: {app: web}}
|     spec: {containers: [{name: web, image: "good:1"}]}
| END
$ cat > repo/web/settings.yaml <<END
| apiVersion: v1
| kind: ConfigMap
| metadata: {name: settings}
| data: {colour: blue}
| END
$ cd repo && git init -q && git add . && git commit -qm one

$ cat > set.yaml <<END
| apiVersion: tidegate.dev/v1alpha1
| kind: ApplicationSet
| metadata: {name: web}
| spec:
|   generators:
|   - clusters: {selector: {matchExpressions: [{key: gone, operator: DoesNotExist}]}}
|   template:
|     metadata: {name: 'web-{{.name}}'}
|     spec:
|       source: {repoURL: "$REPO", targetRevision: main, path: web}
|       destination: {name: '{{.name}}', namespace: default}
|       syncPolicy: {drift: 'heal'}
|   strategy:
|     type: Waves
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 1s
|       progressDeadline: 1m
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
|       maxConcurrency: 2
|       failureBudget: {max: 0, mode: fast}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# One file less prunes one object.
$ cd repo && git rm -q web/settings.yaml && git commit -qm 'no settings'
$ tidegate refresh web
~60s $ k prod-2 get configmap settings --ignore-not-found -o name | wc -l
> 0
~30s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k dev-1 get deployment web -o name
> deployment.apps/web

# An empty directory prunes nothing and waits.
$ cd repo && git rm -q web/deployment.yaml && mkdir -p web && touch web/.keep && git add . && git commit -qm empty
$ tidegate refresh web
~30s $ tidegate get holds --set web -o json | jq -r '[.items[].kind] | unique | @csv'
> "EmptyBundle"
$ sleep 2; for c in dev-1 prod-1 prod-2; do k $c get deployment web -o name; done
> deployment.apps/web
> deployment.apps/web
> deployment.apps/web
$ cd repo && git revert -n HEAD && git commit -qm back
$ tidegate refresh web
~30s $ tidegate get holds --set web -o json | jq '[.items[]?] | length'
> 0

# A row that vanishes: its application goes by tombstone, the others stay.
$ tidegate cluster label prod-2 gone=yes
~60s $ k prod-2 get deployment web --ignore-not-found -o name | wc -l
> 0
~30s $ tidegate get applications --set web -o json | jq -r '.items[].name'
> web-dev-1
> web-prod-1
$ k prod-1 get deployment web -o name
> deployment.apps/web

# A hub that has lost everything deletes nothing anywhere, not even when the clusters join it anew.
$ k dev-1 get deployment web -o jsonpath='{.metadata.uid} {.metadata.generation}' > before
% hub kill
% hub forget
% hub start
$ tidegate get sets -o json | jq '[.items[]?] | length'
> 0
$ for c in dev-1 prod-1; do tidegate cluster join-token $c --label env=${c%-*} > token-$c; done
~150s $ tidegate get clusters -o json | jq -r '[.items[] | .joined and .connected] | @csv'
> true,true
$ engineer dev-1 patch deployment web --type merge -p '{"spec":{"replicas":3}}'
~10s $ k dev-1 get deployment web -o jsonpath='{.spec.replicas}'
> 1
$ k prod-1 get deployment web -o name
> deployment.apps/web

# Given the set again, it takes the applications over as they are.
$ k dev-1 get deployment web -o jsonpath='{.metadata.uid} {.metadata.generation}' > before
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k dev-1 get deployment web -o jsonpath='{.metadata.uid} {.metadata.generation}' | diff before -
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~60s $ for c in dev-1 prod-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2
