# What providers answer, and what each answer is worth: a real Prometheus, and documents over HTTP.
# No data is never a pass, whatever the time.

% fleet dev-1:env=dev prod-1:env=prod
% prometheus start

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ cat > served/metrics <<'END'
| web_error_ratio{path="/"} 0.001
| web_error_ratio{path="/buy"} 0.02
| web_up 0
| END
$ echo '{"queue": [{"waiting": 12}], "name": "web"}' > served/status.json
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
|       soak: {time: 1s}
|       analysis:
|       - {name: best, prometheus: {server: $PROMETHEUS, query: 'min(web_error_ratio)'}, pass: "< 0.01", interval: 1s, inconclusiveLimit: 1000}
|       - {name: between, prometheus: {server: $PROMETHEUS/, query: 'max(web_error_ratio)'}, pass: "< 0.01", fail: "> 0.05", interval: 1s, inconclusiveLimit: 1000}
|       - {name: constant, prometheus: {server: $PROMETHEUS, query: '7'}, fail: "> 7", interval: 1s, inconclusiveLimit: 1000}
|       - {name: gone, http: {url: "$WORKLOAD/nothing.json"}, pass: "< 1", interval: 1s, inconclusiveLimit: 1000}
|       - {name: nan, prometheus: {server: $PROMETHEUS, query: 'web_up / web_up'}, pass: ">= 0", interval: 1s, inconclusiveLimit: 1000}
|       - {name: nobody, prometheus: {server: $PROMETHEUS, query: 'web_erorr_ratio'}, fail: "> 0.05", interval: 1s, inconclusiveLimit: 1000}
|       - {name: queue, http: {url: "$WORKLOAD/status.json", value: /queue/0/waiting}, pass: "<= 100", interval: 1s, inconclusiveLimit: 1000}
|       - {name: range, prometheus: {server: $PROMETHEUS, query: 'web_up[1m]'}, pass: "< 1", interval: 1s, inconclusiveLimit: 1000}
|       - {name: several, prometheus: {server: $PROMETHEUS, query: 'web_error_ratio'}, pass: "< 1", interval: 1s, inconclusiveLimit: 1000}
|       - {name: syntax, prometheus: {server: $PROMETHEUS, query: 'sum('}, pass: "< 1", interval: 1s, inconclusiveLimit: 1000}
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get run --set web -o json | jq -r '.items[0].waves[0].analyses[] | select(.samples) | "\(.name): \(.samples[-1] | "\(.verdict) \(.value // "-") \(.reason // "")")"'
> best: Pass 0.001 
> between: Inconclusive 0.02 it is neither < 0.01 nor > 0.05
> constant: Pass 7 
> gone: Inconclusive - HTTP 404
> nan: Inconclusive NaN NaN is nothing to compare with
> nobody: Inconclusive - the query gives no series
> queue: Pass 12 
> range: Inconclusive - the query gives a range, not one value; take the [range] off
> several: Inconclusive - the query gives 2 series, not one; aggregate them, for example with sum()
> syntax: Inconclusive - HTTP 400: bad_data: …parse error: unclosed left parenthesis

# What passed is enough; the wave waits for the others, and says for which and what they said.
~30s $ tidegate run explain --set web -o json | jq -r '.blocking[] | select(.code == "Analysis") | .message' | cut -d';' -f1
> analysis between of wave canary has 0 of 1 samples that pass
> analysis gone of wave canary has 0 of 1 samples that pass
> analysis nan of wave canary has 0 of 1 samples that pass
> analysis nobody of wave canary has 0 of 1 samples that pass
> analysis range of wave canary has 0 of 1 samples that pass
> analysis several of wave canary has 0 of 1 samples that pass
> analysis syntax of wave canary has 0 of 1 samples that pass
$ tidegate get run --set web -o json | jq -r '.items[0].state'
> Soaking
$ k prod-1 get configmap settings --ignore-not-found -o name | wc -l
> 0

# A hub that dies forgets nothing of it: the same soak goes on.
$ tidegate get run --set web -o json | jq '[.items[0].waves[0].analyses[].inconclusive // 0] | add' > before
% hub kill
% hub start
~150s $ tidegate get run --set web -o json | jq -r --argjson before "$(cat before)" '.items[0] | "\(.state) \([.waves[0].analyses[].inconclusive // 0] | add > $before)"'
> Soaking true

# Prometheus is away: that is no pass either.
% prometheus kill
~30s $ tidegate get run --set web -o json | jq -r '.items[0].waves[0].analyses[] | select(.name == "best") | .samples[-1] | "\(.verdict) \(.reason)"'
> Inconclusive error sending request: …onnection refused…

# With a limit, silence beyond it asks a person, who is told why; nothing opens by itself.
$ tidegate run cancel --set web --reason 'nothing can be seen' > /dev/null
$ sed -e '/{name: between/,/{name: syntax/d' -e 's/inconclusiveLimit: 1000/inconclusiveLimit: 2/' -i set.yaml && grep -c inconclusiveLimit set.yaml
> 1
$ sed -i s/blue/green/ repo/web/settings.yaml && cd repo && git commit -qam two
$ tidegate apply -f set.yaml && tidegate refresh web
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code): \(.message)\n\(.clears)"'
> Approval: …analysis best said nothing 3 times, and its inconclusiveLimit is 2; sample 3 at … was inconclusive: error sending request…
> an approval of run … in the soak of wave canary
$ tidegate describe run --set web | grep -A2 '^Analyses'
> Analyses of wave canary…
> …ANALYSIS…
> …best…0 of 1…Inconclusive…
$ tidegate run approve --set web --reason 'looked at the logs'
> run/… of set web, release 2, is approved (…)
~60s $ tidegate get run --set web -o json | jq -r '.items[0] | "\(.state) \(.waves[0].analyses[0].passed // 0) \(.waves[0].analyses[0].accepted)"'
> Succeeded 0 true
$ k prod-1 get configmap settings -o jsonpath='{.data.colour}'
> green
$ tidegate get audit -o json | jq -r '.items[] | select(.action | test("^run.(approve|close-gate|pass-gate)")) | "\(.actor) \(.action): \(.reason)"'
> system run.close-gate: Analysis: analysis best said nothing 3 times, and its inconclusiveLimit is 2; …
> admin run.approve: looked at the logs
> system run.pass-gate: approved by admin
