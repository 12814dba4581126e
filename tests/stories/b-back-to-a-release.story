# A person says how far back: one wave, or everybody to an earlier release; and sees before what it
# would do.

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
|   strategy:
|     type: Waves
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 1s
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
|       maxConcurrency: 2
|       failureBudget: {max: 0, mode: fast}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 1 Succeeded
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 2 Succeeded
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 3 Succeeded

# What cannot be says what can.
$ tidegate rollback web --to 9 --reason no 2>&1
[3]
> …has no release 9…
$ tidegate rollback web --wave canary --reason no 2>&1
[3]
> …the run has no wave canary; it has dev, prod
$ tidegate rollback web --clusters edge --reason no 2>&1
[3]
> …cluster edge is not in run…

# A look before.
$ tidegate rollback web --wave prod --dry-run --reason look
> APP         CLUSTER  WAVE  FROM          TO            PINNED  DENIED
> web-prod-1  prod-1   prod  …  yes     1
> web-prod-2  prod-2   prod  …  yes     1
> would be denied in 2 applications: Deployment.apps web
$ tidegate rollback web --to 1 --clusters 'env=dev' --dry-run --reason look -o name
> application/web-dev-1
$ tidegate rollback web --to 1 --dry-run --reason look -o json | jq -r '[.items[] | select(.from != .to and .pinned)] | length'
> 3
$ tidegate get pins -o json | jq '.items | length'
> 0
$ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# One wave alone.
$ tidegate rollback web --wave prod --reason 'slow in prod'
~60s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:2 good:2
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> RolledBack
$ tidegate get pins -o json | jq -r '[.items[] | "\(.cluster) \(.release)"] | sort | @csv'
> "prod-1 converged","prod-2 converged"
$ tidegate unpin web --reason 'mended in Git'
$ sed -i s/good:3/good:4/ repo/web/deployment.yaml && cd repo && git commit -qam four
$ tidegate refresh web
~120s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:4 good:4 good:4
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# Everybody, further back than what ran well last, until a person lets go.
$ tidegate rollback web --to 1 --release manual --reason 'as it was at first'
~60s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:1 good:1 good:1
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> RolledBack
$ tidegate get pins -o json | jq -r '[.items[].release] | unique | @csv'
> "manual"
$ tidegate get apps -o json | jq -r '[.items[].release] | unique | @csv'
> "1"
$ sed -i s/good:4/good:5/ repo/web/deployment.yaml && cd repo && git commit -qam five
$ tidegate refresh web
~30s $ tidegate get holds --set web -o json | jq -r '[.items[].kind] | unique | @csv'
> "Pinned"
$ tidegate rollback web --to 2 --reason again 2>&1
[1]
> …goes nowhere else in this run…
$ tidegate unpin web --reason done
~120s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:5 good:5 good:5
