# An engineer's edit is put back in one cluster and only reported in another, by policy.

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
|       syncPolicy: {drift: '{{if eq .name "dev-1"}}heal{{else}}warn{{end}}'}
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

$ engineer dev-1 patch deployment web --type merge -p '{"spec":{"replicas":3}}'
~1s $ k dev-1 get deployment web -o jsonpath='{.spec.replicas}'
> 1
$ engineer prod-1 patch deployment web --type merge -p '{"spec":{"replicas":3}}'
~1s $ tidegate get applications --set web --cluster prod-1 -o json | jq -r '.items[0].report.drift[0] | "\(.object.kind) \(.fields[0])"'
> Deployment /spec/replicas
$ sleep 2; k prod-1 get deployment web -o jsonpath='{.spec.replicas}'
> 3

# A person has an agent look now, and is told when an agent cannot be asked.
$ tidegate sync web-dev-1 -o name
> application/web-dev-1
% wire prod-1 cut
~10s $ tidegate sync --cluster prod-1 2>&1
[1]
> …
> error: failed to sync: web-prod-1 in prod-1: …
