# A freeze in the night in which Berlin's clocks go back holds prod and leaves dev alone. When the
# clock on the wall is past it the run goes on by itself. A week later a person does not wait.

% fleet dev-1:env=dev prod-1:env=prod

# The hub's clock is moved by a file; certificates, agents and clusters know nothing of it.
$ cat > bin/clock-to <<END
| #!/bin/sh
| echo "\$(( \$(date -d "\$1" +%s) - \$(date +%s) ))s" > clock.new && mv clock.new clock
| END
$ chmod +x bin/clock-to && clock-to 2026-10-24T23:31:00Z
% hub stop
% hub start test-clock clock
~30s $ tidegate get clusters -o json | jq -r '.items[] | "\(.name) \(.connected)"'
> dev-1 true
> prod-1 true

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

# What cannot be meant is refused, with the field and what to do.
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
|       gates:
|         before:
|         - window:
|             name: sunday-night
|             kind: deny
|             tz: Berlin
|             cron: 30 1 * * SUN
|             duration: 2h
| END
$ tidegate apply -f set.yaml 2>&1 | tr -s ' \n' ' ' | grep -o 'gates.before.0..window.tz .*did you mean Europe/Berlin?' | sed 's/ .*did/ did/'
> gates.before[0].window.tz did you mean Europe/Berlin?
$ sed -i 's|tz: Berlin|tz: Europe/Berlin|' set.yaml && tidegate apply -f set.yaml
> set/web created

# It is 01:31 on the wall. Dev rolls, prod waits.
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code) \(.message)"'
> Window wave prod is closed by deny window sunday-night ("30 1 * * SUN" for 2h, Europe/Berlin); it opens at 2026-10-25 03:30 Europe/Berlin (2026-10-25 02:30 UTC)
$ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate get runs --set web -o json | jq -r '.items[0].state'
> WaitingGate
$ tidegate why web-prod-1 | tr -s ' \n' ' ' | grep -o 'wave prod is closed by deny window sunday-night'
> wave prod is closed by deny window sunday-night
$ tidegate describe run --set web | grep -A3 '^Windows'
> Windows…
> …
$ k prod-1 get deployment web
[1]

# 02:45 on the wall, an hour and a quarter later, and again after another hour: the clock went back.
$ clock-to 2026-10-25T00:45:00Z; sleep 2; tidegate get runs --set web -o json | jq -r '.items[0].state'
> WaitingGate
$ clock-to 2026-10-25T01:45:00Z; sleep 2; tidegate get runs --set web -o json | jq -r '.items[0].state'
> WaitingGate
$ k prod-1 get deployment web
[1]

# 03:30 on the wall. Nothing happens but time.
$ clock-to 2026-10-25T02:30:00Z
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate get audit -o json | jq -r '.items[].action' | grep -c 'break-glass\|glass-broken'
> 0
[1]

# The Sunday after, another commit, and no time to wait.
$ clock-to 2026-11-01T01:00:00Z
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~60s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code) \(.wave)"'
> Window prod
$ tidegate run break-glass --set web
[2]
$ tidegate run break-glass --set web --reason 'mends the outage of 1 November'
> run/… of set web, release 2, is asked to heed no window of its open wave (WaitingGate)
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
$ tidegate get audit -o json | jq -r '.items[] | select(.action | test("glass")) | "\(.action) \(.actor): \(.reason)"' | sort
> run.break-glass admin: mends the outage of 1 November
> run.glass-broken admin: mends the outage of 1 November
$ tidegate get runs --set web -o json | jq -r '.items[0].brokenGlass[] | "\(.wave) \(.actor): \(.reason)"'
> prod admin: mends the outage of 1 November
