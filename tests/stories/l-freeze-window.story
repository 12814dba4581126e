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
# Agents that lost their hub wait up to two minutes before they try again.
~150s $ tidegate get clusters -o json | jq -r '.items[] | "\(.name) \(.connected)"'
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
$ tidegate apply -f set.yaml 2>&1
[8]
> error: nothing was written:
> set.yaml:12: spec.strategy: failed to use the strategy: strategy.waves[1].gates.before[0].window.tz (wave "prod"): no time zone has the name "Berlin"; did you mean Europe/Berlin? write an IANA name such as Europe/Berlin, or UTC
$ sed -i 's|tz: Berlin|tz: Europe/Berlin|' set.yaml && tidegate apply -f set.yaml
> set/web created

# It is 01:31 on the wall. Dev rolls, prod waits, and says for what and until when. It would close
# again a week later at the same hour on the wall, which is another hour of the day by then.
~120s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code) \(.message)"'
> Window wave prod is closed by deny window sunday-night ("30 1 * * SUN" for 2h, Europe/Berlin); it opens at 2026-10-25 03:30 Europe/Berlin (2026-10-25 02:30 UTC)
$ tidegate run explain --set web
> …
> WAVE  NOW     NEXT OPEN          NEXT CLOSE …
> prod  closed  2026-10-25 02:30Z  2026-11-01 00:30Z …
> …
$ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate get runs --set web -o json | jq -r '.items[0].state'
> WaitingGate
$ tidegate why web-prod-1 | tr -s ' \n' ' ' | grep -o 'wave prod is closed by deny window sunday-night'
> wave prod is closed by deny window sunday-night
$ tidegate describe run --set web | grep -A2 '^Windows'
> Windows:
> …
$ k prod-1 get deployment web 2>&1
[1]
> Error from server (NotFound): deployments.apps "web" not found

# 02:45 on the wall, an hour and a quarter later, and again after another hour: the clock went back.
# The hub looks at a run four times a second; two are many chances to get it wrong.
$ clock-to 2026-10-25T00:45:00Z; sleep 2; tidegate run explain --set web -o json | jq -r '.run.state, (.windows[] | .open // false)'
> WaitingGate
> false
$ clock-to 2026-10-25T01:45:00Z; sleep 2; tidegate run explain --set web -o json | jq -r '.run.state, (.windows[] | .open // false)'
> WaitingGate
> false
$ k prod-1 get deployment web 2>&1
[1]
> Error from server (NotFound): deployments.apps "web" not found

# 03:30 on the wall. Nothing happens but time.
$ clock-to 2026-10-25T02:30:00Z
~120s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate audit log -o json | jq -r '.items[] | select(.action == "run.close-gate" or .reason == "wave prod opens") | "\(.atMs | tonumber / 1000 | floor | todate | .[:15]) \(.action)"'
> 2026-10-24T23:3 run.close-gate
> 2026-10-25T02:3 run.open-wave
$ tidegate audit log --action '*glass*' -o json | jq -r '.items[]'

# The Sunday after, another commit, and no time to wait.
$ clock-to 2026-11-01T01:00:00Z
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~120s $ tidegate run explain --set web -o json | jq -r '.blocking[] | "\(.code) \(.wave)"'
> Window prod
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1

# Not without a reason, and not by who is to keep the windows.
$ tidegate run break-glass --set web
[2]
$ tidegate user create otto --role operator --out otto.yaml > /dev/null
$ tidegate --config otto.yaml run break-glass --set web --reason 'I may not' 2>&1
[4]
> error: tidegate.v1.Fleet/BreakGlass needs the role Admin, otto has the role Operator; an admin can change that
$ tidegate run break-glass --set web --reason 'mends the outage of 1 November'
> run/… of set web, release 2, is asked to heed no window of its open wave (WaitingGate)
~120s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
$ tidegate audit log --action '*glass*' -o json | jq -r '.items[] | "\(.action) \(.actor): \(.reason)"'
> run.break-glass admin: mends the outage of 1 November
> run.glass-broken admin: mends the outage of 1 November
$ tidegate describe run --set web | tr -s ' \n' ' ' | grep -o 'Broken glass: admin for wave prod'
> Broken glass: admin for wave prod
$ tidegate audit verify > /dev/null

# The glass was broken for that run: the next one waits again.
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~120s $ tidegate run explain --set web -o json | jq -r '.run.release, (.blocking[] | "\(.code) \(.wave)")'
> 3
> Window prod
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
