# Without an automatic rollback a bad image stops in the canary; a person takes it back, and only a
# person lets the set go on.

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
|     rollback: {on: [manual]}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

$ sed -i s/good:1/bad:2/ repo/web/deployment.yaml && cd repo && git commit -qam bad
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Failed
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate rollback web --reason 'it crashes'
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> RolledBack
~30s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1

$ sed -i s/bad:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam mended
$ tidegate refresh web
~30s $ tidegate get holds --set web -o json | jq -r '[.items[].kind] | unique | @csv'
> "Pinned"
$ sleep 2; k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate unpin web --reason 'mended in Git'
~90s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3 good:3

# Every decision is in the chain, and anybody can compute it anew.
$ tidegate audit verify -o json | jq -r '.items[] | select(.project == "default") | "\(.records > 3) \(.problem)"'
> true null
~30s $ tidegate audit replay -o json | jq -r '[.items[].hub] | unique | @csv'
> "same"
