# A wave goes on without a cluster that cannot be reached, as far as its strategy lets it. What the
# cluster missed is owed: it gets it on its return and before anything newer, unless newer content has
# proven itself meanwhile, and then it gets that at once.

% fleet dev-1:env=dev eu-1:env=prod us-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true

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
|       gates: {after: [{approval: {}}]}
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
|       maxConcurrency: 2
|       unreachable: {grace: 3s, then: defer, maxDeferred: 1}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate run approve --set web 2>&1
> run/… of set web, release 1, is approved (…)
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# The run succeeds without us-1, and says whom it owes what, also now that it is over.
% wire us-1 cut
~30s $ tidegate get clusters -o json | jq -r '[.items[] | .connected // false] | @csv'
> true,true,false
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~60s $ tidegate run approve --set web 2>&1
> run/… of set web, release 2, is approved (…)
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 2 Succeeded
$ for c in dev-1 eu-1 us-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:1
$ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code) \(.wave) \(.cluster): \(.message)\n\(.clears)"'
> Deferred prod us-1: cluster us-1: deferred: it cannot be reached, and gets release 2 before anything newer when it is back
> its agent's return

# A newer release is under way and stands at its gate when the cluster is back, after the hub died in
# between: it gets what it was owed, not what nobody has let through.
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 3 WaitingGate
% hub kill
% hub start
% wire us-1 mend
~150s $ for c in dev-1 eu-1 us-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:2 good:2
~30s $ tidegate get audit -o json | jq -r '.items[] | select(.action | test("^run.(defer|pay)")) | "\(.action) \(.subject)"' | sed 's/run.[0-9a-f-]\{36\}/RUN/'
> run.defer-member …us-1…
> run.pay-debt …us-1…
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 3 WaitingGate
~60s $ tidegate run approve --set web 2>&1
> run/… of set web, release 3, is approved (…)
~90s $ for c in dev-1 eu-1 us-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3 good:3
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# Away for two releases that both proved themselves: it gets the newer one and never sees the other.
% wire us-1 cut
~30s $ tidegate get clusters -o json | jq -r '[.items[] | .connected // false] | @csv'
> true,true,false
$ sed -i s/good:3/good:4/ repo/web/deployment.yaml && cd repo && git commit -qam four
$ tidegate refresh web
~60s $ tidegate run approve --set web 2>&1
> run/… of set web, release 4, is approved (…)
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 4 Succeeded
$ sed -i s/good:4/good:5/ repo/web/deployment.yaml && cd repo && git commit -qam five
$ tidegate refresh web
~60s $ tidegate run approve --set web 2>&1
> run/… of set web, release 5, is approved (…)
~60s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 5 Succeeded
% wire us-1 mend
~150s $ k us-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:5
$ k us-1 get replicasets -o jsonpath='{range .items[*]}{.spec.template.spec.containers[0].image}{"\n"}{end}' | sort
> good:1
> good:2
> good:3
> good:5
~30s $ tidegate run explain --set web -o json | jq -r '.blocking // [] | length'
> 0
~30s $ tidegate audit replay -o json | jq -r '[.items[].hub] | unique | @csv'
> "same"
