# A bad image stops in the canary and is taken back by itself; nothing brings it back but new
# content for the object that was bad.

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
$ cat > repo/web/settings.yaml <<END
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
|       syncPolicy: {drift: 'heal'}
|   strategy:
|     type: Waves
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 1s
|       progressDeadline: 1m
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
|       maxConcurrency: 2
|       failureBudget: {max: 0, mode: fast}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

$ sed -i s/good:1/bad:2/ repo/web/deployment.yaml && cd repo && git commit -qam bad
$ tidegate refresh web
~90s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> RolledBack
$ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate get pins -o json | jq -r '.items[] | "\(.app) \(.release) \(.actor)"'
> web-dev-1 changed system

# Another file of the same application changes: the bad image stays away.
$ sed -i s/blue/green/ repo/web/settings.yaml && cd repo && git commit -qam 'another file'
$ tidegate refresh web
~30s $ tidegate get holds --set web -o json | jq -r '[.items[].kind] | unique | @csv'
> …DeniedContent…
$ sleep 2; k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ k dev-1 get configmap settings -o jsonpath='{.data.colour}'
> blue

# The image is mended: through the waves, without a word from anybody.
$ sed -i s/bad:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam mended
$ tidegate refresh web
~90s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:3 good:3 good:3
~30s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ tidegate get pins -o name

# Two commits come while a bad image rolls out, before anybody knows that it is bad. The release that
# was made of the first is as bad and does not undo the rollback; the second mends it and goes its way.
$ sed -i s/good:3/bad:4/ repo/web/deployment.yaml && cd repo && git commit -qam 'bad again'
% kubelet dev-1 hold
$ tidegate refresh web
~30s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> bad:4
$ sed -i s/green/red/ repo/web/settings.yaml && cd repo && git commit -qam 'as bad'
$ tidegate refresh web
~30s $ tidegate get set web -o json | jq -r '"\(.release) \(.runState)"'
> 5 Rolling
% kubelet dev-1 release
~90s $ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 4 RolledBack
~30s $ tidegate get holds --set web -o json | jq -r '[.items[].kind] | unique | @csv'
> …DeniedContent…
$ sleep 2; k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:3
$ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 4 RolledBack
$ sed -i s/bad:4/good:5/ repo/web/deployment.yaml && cd repo && git commit -qam 'mended again'
$ tidegate refresh web
~90s $ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:5 good:5 good:5
