# A gate asks for two people, one of them of a group, and not the one who wrote the commit. One no
# keeps it closed, whoever else says yes.

% fleet dev-1:env=dev prod-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ mkdir -p repo/web && cat > repo/web/settings.yaml <<END
| apiVersion: v1
| kind: ConfigMap
| metadata: {name: settings}
| data: {colour: blue}
| END
$ cd repo && git init -q && git add . && git commit -qm one --author 'Otto <otto@example.com>'
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
|       healthWindow: 0s
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
|       gates:
|         before:
|         - approval:
|             minApprovals: 2
|             approvers: [{group: sre, required: true}, {group: release}]
|             separationOfDuties: true
| END

# Who may approve is refused with the line, before anything is stored.
$ sed 's/{group: release}/{group: release, user: kim}/' set.yaml | tidegate apply -f - 2>&1
[8]
> error: nothing was written:
> stdin:12: spec.strategy: failed to use the strategy: strategy.waves[1].gates.before.approval.approvers[1] (wave "prod"): it names exactly one of group and user; write another entry for the other
$ for who in otto:release bob:release kim:sre vic:none; do tidegate user create ${who%:*} --role operator --group ${who#*:} --out ${who%:*}.yaml > /dev/null; done
$ cat > bin/as <<'END'
| #!/bin/bash
| tidegate --config "$1.yaml" "${@:2}" 2>&1
| END
$ chmod +x bin/as; as kim whoami
> kim, operator of … at …, in sre

# How it would roll out is seen before it is applied, and the same afterwards.
$ tidegate plan -f set.yaml -o json | jq -r '.plans[].waves[] | "\(.name): \(.clusters | join(" ")); \(.before // [] | join(" "))"'
> dev: dev-1; 
> prod: prod-1; approval by 2 people of group sre (required), group release, not by its authors
$ tidegate get sets -o name
$ tidegate apply -f set.yaml
~30s $ COLUMNS=200 tidegate plan web | tr -s ' '
> Set: web
> Project: default
> Done: at once, if whoever must approve does so at once
> Waves:
>  WAVE CLUSTERS AT ONCE BEGINS TAKES WAITS FOR
>  dev 1 1 now 0s -
>  prod 1 1 now 0s approval by 2 people of group sre (required), group release, not by its authors
> Order:
>  WAVE CLUSTERS, AS THEY FOLLOW EACH OTHER
>  dev dev-1
>  prod prod-1
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[] | select(.code == "Approval") | "\(.message)\n\(.clears)"'
> the gate before wave prod needs the approval of 2 people, one of them by group sre for content …
> 2 approvals of run … before wave prod

# Neither a stranger to the gate nor the author of the commit is heard.
$ as vic run approve --set web
[4]
> error: the gate asks for group sre or group release, and vic is none of them
$ as otto run approve --set web
[4]
> error: otto made this release, and the gate asks for a separation of duties: somebody else has to approve

# One person twice is one person.
$ as bob run approve --set web --reason 'dev looks good' > /dev/null; as bob run approve --set web > /dev/null
$ as kim run reject --set web > /dev/null
[2]
$ as kim run reject --set web --reason 'error rate'
> run/… of set web, release 1, is rejected (WaitingGate)
$ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.message)\n\(.clears)"'
> the gate before wave prod has the approval of bob and needs 1 more, one of them by group sre, kim rejected it (error rate) for content …
> an approval by kim, who rejected it, or a newer release instead of run … before wave prod
$ tidegate get run --set web -o json | jq -r '.items[0] | .state, (.approvals[] | "\(.actor) \(.verdict) \(.position) \(.wave)")'
> WaitingGate
> bob Approve Before prod
> kim Reject Before prod
$ k prod-1 get configmap settings --ignore-not-found -o name | wc -l
> 0

# The hub dies and comes back: the no stands.
% hub kill
% hub start
~60s $ tidegate get run --set web -o json | jq -r '.items[0].state'
> WaitingGate
$ as kim run approve --set web --reason 'rate is fine again'
> run/… of set web, release 1, is approved (…)
~150s $ tidegate get run --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k prod-1 get configmap settings -o jsonpath='{.data.colour}'
> blue
$ tidegate get audit -o json | jq -r '.items[] | select(.action | test("^run.(approve|reject|pass-gate)")) | "\(.actor) \(.action): \(.reason)"'
> bob run.approve: dev looks good
> kim run.reject: error rate
> kim run.approve: rate is fine again
> system run.pass-gate: approved by bob, kim

# On what the gate opened.
$ tidegate audit log --action run.pass-gate -o json | jq -r '.items[0] | .invoker, .evidence[], .outcome.state' | sed 's/ at 2.*//'
> Person
> bob: Approve on the gate Before
> kim: Reject on the gate Before
> kim: Approve on the gate Before
> Rolling
~30s $ tidegate audit replay -o json | jq -r '[.items[].hub] | unique | @csv'
> "same"
