# Whoever watches the fleet is told what happens, once and in order, through the death of the hub;
# what nobody knows any more is said.

% fleet dev-1:env=dev prod-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

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
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
|       gates: {before: [{approval: {}}]}
| END

# Two follow: one everything of the set for a person, one all of the fleet for a program. Their own
# limit ends them if this story does not.
$ tidegate events --follow --set web --timeout 4m > set.log 2> set.err & echo $! > set.pid
$ tidegate events -f -o json --timeout 4m > fleet.log 2> fleet.err & echo $! > fleet.pid
~20s $ jq -r .reason fleet.log | grep -c -e ClusterJoined -e ClusterConnected
> 4
$ tidegate apply -f set.yaml
> set/web created
~60s $ tail -1 set.log | grep -o 'AwaitingApproval .*'
> AwaitingApproval…set/web…wave prod: Before: a person must approve

# The hub dies. What it decides as soon as it lives again is told, and what agents said meanwhile is
# known to be unknown.
% hub kill
~20s $ grep -c 'trying again' set.err fleet.err
> set.err:1
> fleet.err:1
% hub start
$ tidegate run approve --set web --reason seen > approved
~60s $ tail -1 set.log | grep -o 'RunSucceeded .*'
> RunSucceeded…set/web…every wave is done
$ awk '/^TIME/ || /not known/ {next} {print $3}' set.log
> SetCreated
> ReleaseCreated
> RunStarted
> WaveOpened
> WaveSucceeded
> AwaitingApproval
> Approved
> GatePassed
> WaveOpened
> WaveSucceeded
> RunSucceeded
$ grep -c 'what agents and sources told between .* is not known any more: the hub was restarted' set.log
> 1
~20s $ jq -r 'select(.gap).gap.reason' fleet.log
> HubRestarted
# Nothing of either life was told twice, and every decision was told.
$ jq -r 'select(.position) | "\(.position.epoch) \(.position.sequence)"' fleet.log | sort | uniq -d
$ jq -r 'select(.reason) | select(.set == "web") | .reason' fleet.log | grep -v Application > told; awk '/^TIME/ || /not known/ {next} {print $3}' set.log | diff told -
~20s $ jq -rs '[.[] | select(.reason == "ClusterConnected")] | length' fleet.log
> 4

# A bad image: its application falls ill.
$ sed -i s/good:1/bad:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~60s $ tidegate events --set web --cluster dev-1 -o json | jq -r '.items[] | select(.reason == "ApplicationDegraded" or .reason == "MemberFailed") | "\(.type) \(.object)"' | sort -u
> Warning application/web-dev-1
> Warning cluster/dev-1

$ for log in set fleet; do kill -INT "$(cat $log.pid)"; done
~10s $ tail -qn 1 set.err fleet.err
> error: interrupted
> error: interrupted
$ tidegate events --since 1h --set web -o name | wc -l | xargs test 11 -le
