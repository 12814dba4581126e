# What is for one wave cannot be rendered: its clusters keep what they run and are named with the reason,
# the waves before it go on, and no rollback denies what works elsewhere.

% fleet dev-1:env=dev prod-1:env=prod edge-1:env=edge

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true

$ cat > manifest <<END
| apiVersion: apps/v1
| kind: Deployment
| metadata: {name: web}
| spec:
|   replicas: 1
|   selector: {matchLabels: {app: web}}
|   template:
|     metadata: {labels: {app: web}}
|     spec: {containers: [{name: web, image: "good:1"}]}
| END
$ for env in dev prod edge; do mkdir -p repo/$env && cp manifest repo/$env/deployment.yaml; done
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
|       source: {repoURL: "$REPO", targetRevision: main, path: '{{.metadata.labels.env}}'}
|       destination: {name: '{{.name}}', namespace: default}
|   strategy:
|     type: Waves
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 0s
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
|     - name: edge
|       select: {clusters: {matchLabels: {env: edge}}}
|       healthWindow: 0s
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

$ sed -i s/good:1/good:2/ repo/*/deployment.yaml && echo '  kind: [' >> repo/edge/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state) \(.cause.code)\n\(.cause.message)"'
> 2 Failed …
> …edge-1…deployment.yaml…
$ for c in dev-1 prod-1 edge-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:1
$ tidegate get pins -o json | jq '.items | length'
> 0
$ tidegate why web-edge-1 2>&1 | grep -o 'edge/deployment.yaml' | sort -u
> edge/deployment.yaml
$ tidegate run retry --set web 2>&1
[1]
> …nobody failed who could be tried again…

$ cp manifest repo/edge/deployment.yaml && sed -i s/good:1/good:2/ repo/edge/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 3 Succeeded
$ for c in dev-1 prod-1 edge-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:2
