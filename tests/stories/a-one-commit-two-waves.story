# One commit reaches three clusters in two waves; prod stays untouched until dev is healthy at
# exactly that commit.

% fleet dev-1:env=dev prod-1:env=prod prod-2:env=prod

~30s $ tidegate get clusters -o json | jq -r '.items[] | "\(.name) \(.connected)"'
> dev-1 true
> prod-1 true
> prod-2 true

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
> set/web created

~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

$ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ k prod-2 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1

# The second commit: pods in dev do not become ready before they are told to.
% kubelet dev-1 hold
$ k prod-1 get deployment web -o jsonpath='{.metadata.resourceVersion}' > prod-before
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~30s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
$ sleep 3; tidegate get runs --set web -o json | jq -r '.items[0].state'
> Rolling
$ tidegate run explain --set web
> …
> 1. cluster dev-1: default/web-dev-1: Progressing: …
> …
> to clear: a report that it is healthy at what the run assigned, or its
> …
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ test "$(k prod-1 get deployment web -o jsonpath='{.metadata.resourceVersion}')" = "$(cat prod-before)"

% kubelet dev-1 release
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:2
# Prod's server wrote the new image later than dev's became ready, by at least the health window.
$ k dev-1 get deployment web -o json | jq -r '.status.conditions[] | select(.reason == "NewReplicaSetAvailable") | .lastUpdateTime // .lastTransitionTime' > dev-ready; test -s dev-ready
$ for c in prod-1 prod-2; do k $c get deployment web --show-managed-fields -o jsonpath='{.metadata.managedFields[?(@.manager=="tidegate-agent")].time}' > $c-written; done
$ for c in prod-1 prod-2; do [[ "$(cat $c-written)" > "$(cat dev-ready)" ]]; done

# The third commit: dev's API server hangs, so its agent can only vouch for the commit before. That
# opens nothing.
$ for c in prod-1 prod-2; do k $c get deployment web -o jsonpath='{.metadata.resourceVersion}' > $c-before; done
% cluster dev-1 pause
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three
$ tidegate refresh web
~10s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Rolling
$ sleep 4; tidegate get runs --set web -o json | jq -r '.items[0].state'
> Rolling
$ for c in prod-1 prod-2; do k $c get deployment web -o jsonpath='{.metadata.resourceVersion}' | diff $c-before -; done
% cluster dev-1 resume
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3 good:3
