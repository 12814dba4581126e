# What failed for a reason that is gone is tried again at the same content, and a cluster that nobody
# wants to wait for is left out; both are somebody's word, and told as such.

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
|       unreachable: {grace: 2s, then: fail}
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
$ tidegate run retry --set web 2>&1
[1]
> …nobody failed who could be tried again…

# The link to dev is down for longer than its wave puts up with.
% wire dev-1 cut
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.state) \(.cause.code)"'
> Failed Unreachable
% wire dev-1 mend
~60s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true
$ tidegate run retry --set web --reason 'the link is back'
> run/… of set web, release 2, is asked to try again what failed (…)
~90s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:2
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state) \(.retry.attempt) \(.retry.reason)"'
> 2 Succeeded 2 the link is back
$ tidegate get runs --set web -o json | jq '.items | length'
> 2
$ tidegate get audit -o json | jq -r '[.items[].action] | map(select(startswith("run.retry"))) | sort | @csv'
> "run.retry","run.retry-begun","run.retry-member"

# Nobody waits for prod-2.
% wire prod-2 cut
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~90s $ for c in dev-1 prod-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3
~60s $ tidegate run explain --set web -o json | jq -r '[.blocking[].cluster] | unique | @csv'
> "prod-2"
$ tidegate run skip --set web --cluster edge 2>&1
[3]
> …cluster edge is not in run…
$ tidegate run skip --set web --cluster prod-2 --reason 'moved out'
> run/… of set web, release 3, is asked to leave cluster prod-2 out (…)
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ tidegate run explain --set web | grep 'left out'
> left out: wave prod, cluster prod-2: skipped by …: moved out
$ k prod-2 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
$ tidegate run skip --set web --cluster prod-1 2>&1
[1]
> …changes no more…

# The next release asks everybody again.
% wire prod-2 mend
$ sed -i s/good:3/good:4/ repo/web/deployment.yaml && cd repo && git commit -qam four
$ tidegate refresh web
~120s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:4 good:4 good:4

# The decisions alone lead to what the hub holds.
~30s $ tidegate audit replay -o json | jq -r '.items[] | "\(.state) \(.attempt) \(.partial) \(.hub)"' | sort | uniq
> Succeeded 1 null same
> Succeeded 2 null same
