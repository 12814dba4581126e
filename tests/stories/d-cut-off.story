# An agent that is cut off keeps healing what it has and catches up on return; prod waits for it.

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
|   - clusters: {}
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

% wire dev-1 cut
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
$ engineer dev-1 patch deployment web --type merge -p '{"spec":{"replicas":3}}'
~10s $ k dev-1 get deployment web -o jsonpath='{.spec.replicas}'
> 1
$ sleep 3; tidegate get runs --set web -o json | jq -r '.items[0].state'
> Rolling
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:1 good:1 good:1
% wire dev-1 mend
~150s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:2
~30s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
