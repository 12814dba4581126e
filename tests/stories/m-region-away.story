# A region cannot be reached for a whole wave: it is waited for and named, it counts neither as failed
# nor as healthy, a newer release does not starve behind it, and when it is back it gets the newest.

% fleet dev-1:env=dev eu-1:env=prod,region=eu eu-2:env=prod,region=eu us-1:env=prod,region=us us-2:env=prod,region=us

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true,true,true

$ mkdir -p repo/web && cat > repo/web/deployment.yaml <<END
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
|       source: {repoURL: "$REPO", targetRevision: main, path: 'web'}
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
|       maxConcurrency: 4
|       unreachable: {grace: 3s, then: wait}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

% wire us-1 cut
% wire us-2 cut
~30s $ tidegate get clusters -o json | jq -r '[.items[] | .connected // false] | @csv'
> true,true,true,false,false
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~90s $ for c in dev-1 eu-1 eu-2 us-1 us-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:2 good:1 good:1
~60s $ tidegate run explain --set web -o json | jq -r '.run.state, (.blocking[] | "\(.code) \(.wave) \(.cluster): \(.clears)")'
> Rolling
> Unreachable prod us-1: …
> Unreachable prod us-2: …

# A newer release does not wait behind them.
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~90s $ for c in dev-1 eu-1 eu-2 us-1 us-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3 good:3 good:1 good:1
$ tidegate get runs --set web -o json | jq -r '.items[] | "\(.release) \(.state)"'
> 3 Rolling
> 2 Superseded
> 1 Succeeded

% wire us-1 mend
% wire us-2 mend
~150s $ for c in dev-1 eu-1 eu-2 us-1 us-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3 good:3 good:3 good:3
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 3 Succeeded
