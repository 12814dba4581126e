# A wave waits while an alarm fires and until the change board says yes: a real Prometheus, a webhook.

% fleet dev-1:env=dev prod-1:env=prod
% prometheus start

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ cat > served/metrics <<'END'
| web_error_ratio{path="/"} 0.001
| web_error_ratio{path="/buy"} 0.2
| END
$ echo '{"waiting": 500}' > served/queue.json
$ mkdir -p repo/web && cat > repo/web/settings.yaml <<END
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
|     - name: canary
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 0s
|       gates:
|         after:
|         - analysis: {name: queue, http: {url: "$WORKLOAD/queue.json", value: /waiting}, pass: "<= 100", interval: 1s}
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
|       gates:
|         before:
|         - alarmClear: {name: errors, prometheus: {server: $PROMETHEUS, query: 'web_error_ratio > 0.05'}, interval: 1s}
|         - webhook: {name: change-board, url: "$WORKLOAD/board", interval: 1s}
| END
$ tidegate plan -f set.yaml | grep -c 'must'
> 3
~90s $ sleep 1; curl -sf --get "$PROMETHEUS/api/v1/query" --data-urlencode 'query=web_error_ratio > 0.05' | jq '.data.result | length'
> 1
$ tidegate apply -f set.yaml

# The canary is done when the queue is short.
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code): \(.message)\n\(.clears)"'
> Analysis: analysis queue does not pass: it is not <= 100 (asked at …)
> a sample that passes; or cancel or roll back the run
$ echo '{"waiting": 5}' > served/queue.json

# An alarm fires, and the board has not decided: both are told, and prod keeps what it runs.
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code): \(.message)"'
> Alarm: alarm errors fires: 1 …path=/buy (asked at …)
> Webhook: webhook change-board does not let it through: HTTP 404 (asked at …)
$ k prod-1 get configmap settings --ignore-not-found -o name | wc -l
> 0
$ jq -r '"\(.kind) \(.gate) \(.position) \(.project)/\(.set) \(.release) \(.wave) \(.clusters)"' served/board.asked
> GateReview change-board before default/web 1 prod 1

# A board that says yes does not silence the alarm, nor does a hub that dies.
$ echo 'approved in CHG-1' > served/board
~30s $ tidegate run explain --set web -o json | jq -r '.blocking[].code'
> Alarm
% hub kill
% hub start
~150s $ tidegate run explain --set web -o json | jq -r '.blocking[].code'
> Alarm

$ sed -i 's/0.2/0.002/' served/metrics
~90s $ tidegate get run --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k prod-1 get configmap settings -o jsonpath='{.data.colour}'
> blue
$ tidegate audit log --action run.answer-gate -o json | jq -r '.items[] | "\(.actor) \(.invoker): \(.reason)"' | sed 's/ at 2[^ ]*: /: /g'
> system …: After: analysis queue: 5
> system …: Before: alarm errors: 0; webhook change-board: HTTP 200: approved in CHG-1

# Whoever cannot be asked lets nothing through, and what was answered for one release says nothing of the next.
% prometheus kill
$ sed -i s/blue/green/ repo/web/settings.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[].message'
> analysis queue does not pass: error sending request…
$ k dev-1 get configmap settings -o jsonpath='{.data.colour}'
> green
$ k prod-1 get configmap settings -o jsonpath='{.data.colour}'
> blue
$ tidegate run cancel --set web --reason 'nothing can be seen' > /dev/null
$ tidegate audit replay | grep -c 'the hub holds the same'
> 2
