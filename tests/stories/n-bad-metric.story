# A version that becomes ready and answers badly: the canary is taken back for its numbers, and nobody
# else ever gets it. The numbers come from a real Prometheus that scrapes a workload.

% fleet dev-1:env=dev prod-1:env=prod prod-2:env=prod
% prometheus start

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true

$ cat > served/metrics <<'END'
| web_requests_total{cluster="dev-1",code="200"} 990
| web_requests_total{cluster="dev-1",code="500"} 1
| web_requests_total{cluster="prod-1",code="500"} 1000
| END
$ mkdir -p repo/web && cat > repo/web/deployment.yaml <<END
| apiVersion: apps/v1
| kind: Deployment
| metadata: {name: web}
| spec:
|   replicas: 1
|   selector: {matchLabels: {app: web}}
|   template:
|     metadata: {labels: {app: web}}
|     spec: {containers: [{name: web, image: "web:1"}]}
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
|       healthWindow: 1s
|       soak: {time: 2s, minSamples: 3}
|       analysis:
|       - name: error-rate
|         prometheus:
|           server: $PROMETHEUS
|           query: sum(web_requests_total{cluster="dev-1",code=~"5.."}) / sum(web_requests_total{cluster="dev-1"})
|         pass: "< 0.01"
|         fail: "> 0.05"
|         interval: 1s
|         inconclusiveLimit: 60
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
|       maxConcurrency: 2
|       soak: {time: 0s}
| END
$ tidegate apply -f set.yaml
~90s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# It passed on three numbers, not on time alone.
$ tidegate get run --set web -o json | jq -r '.items[0].waves[0].analyses[] | "\(.name) \(.passed >= 3) \(.failed // 0) \(.samples[-1].value) \(.samples[-1].verdict)"'
> error-rate true 0 0.001009… Pass
$ tidegate describe run --set web | grep -A2 '^Analyses'
> …Analyses of wave canary…
> …ANALYSIS  …PASSED  …INCONCLUSIVE  …FAILED  …LAST…
> …error-rate…of 3…0.001009…Pass…

# The next version errs wherever it runs, and is ready all the same.
$ cat > served/metrics <<'END'
| web_requests_total{cluster="dev-1",code="200"} 990
| web_requests_total{cluster="dev-1",code="500"} 330
| web_requests_total{cluster="prod-1",code="500"} 1000
| END
$ sed -i s/web:1/web:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 2 RolledBack
$ tidegate get run --set web -o json | jq -r '.items[0].waves[0].analyses[] | "\(.name) \(.failed) \(.samples[-1].value) \(.samples[-1].verdict): \(.samples[-1].reason)"'
> error-rate 1 0.25 Fail: it is > 0.05
$ tidegate get audit -o json | jq -r '.items[] | select(.action | test("run.roll")) | "\(.actor) \(.action) \(.reason)"'
> system …wave canary, analysis error-rate: sample … at …, value 0.25 failed: it is > 0.05…

# The canary is back, and the others were never touched: they have the one generation they were made with.
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> web:1 web:1 web:1
$ for c in prod-1 prod-2; do k $c get deployment web -o jsonpath='{.metadata.generation} '; done
> 1 1
$ tidegate get pins -o json | jq -r '.items[] | "\(.app) \(.actor)"'
> web-dev-1 system

# What was measured is kept, and the bad version stays away however good the numbers are.
$ sed -i 's/ 330$/ 1/' served/metrics
$ tidegate refresh web
$ tidegate get holds --set web -o json | jq -r '[.items[].kind] | unique | @csv'
> …DeniedContent…
$ tidegate get run --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 2 RolledBack

# The mended version goes the same way through the same numbers.
$ sed -i s/web:2/web:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 3 Succeeded
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> web:3 web:3 web:3

# Why it went back stands in the record of it, and the records lead to what the hub holds.
~30s $ tidegate audit replay -o json | jq -r '[.items[].hub] | unique | @csv'
> "same"
