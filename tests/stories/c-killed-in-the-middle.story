# The hub dies in the middle of a wave and an agent in the middle of an apply: started again, the
# run ends right.

% fleet dev-1:env=dev prod-1:env=prod prod-2:env=prod

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
|       progressDeadline: 3m
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
|       maxConcurrency: 2
|       failureBudget: {max: 0, mode: fast}
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

% kubelet dev-1 hold
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~30s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
% hub kill
% agent dev-1 kill
% hub start
% agent dev-1 start
~150s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true,true
$ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Rolling
$ k prod-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
% kubelet dev-1 release
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.metadata.generation} {.spec.template.spec.containers[0].image} '; done
> 2 good:2 2 good:2 2 good:2
$ tidegate get applications --set web -o json | jq -r '[.items[].generation] | @csv'
> "2","2","2"

% unless sandbox: it calls no webhooks, so it has no object in hand that it does not answer for
# An agent dies inside an apply: its API server has one of the objects in hand and does not answer.
% deaf webhook
$ k dev-1 apply -f - <<END
| apiVersion: admissionregistration.k8s.io/v1
| kind: ValidatingWebhookConfiguration
| metadata: {name: slow}
| webhooks:
| - name: slow.example.com
|   admissionReviewVersions: [v1]
|   sideEffects: None
|   timeoutSeconds: 30
|   objectSelector: {matchLabels: {slow: "yes"}}
|   clientConfig: {url: "https://$(cat webhook)/"}
|   rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
| END
$ for name in first slow last; do cat <<END; done > repo/web/more.yaml
| ---
| apiVersion: v1
| kind: ConfigMap
| metadata: {name: $name, labels: {$name: "yes"}}
| END
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git add . && git commit -qm three
$ tidegate refresh web
~30s $ k dev-1 get configmap first last -o name
> configmap/first
> configmap/last
$ k dev-1 get configmap first last -o jsonpath='{.items[*].metadata.resourceVersion}' > before
$ tidegate get applications --set web --cluster dev-1 -o json | jq -r '.items[0].report.phase'
> …APPLYING
% agent dev-1 kill
$ k dev-1 get configmap slow --ignore-not-found -o name | wc -l
> 0
$ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
$ k dev-1 delete validatingwebhookconfiguration slow
% agent dev-1 start
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded
$ for c in dev-1 prod-1 prod-2; do k $c get configmap first slow last -o name | wc -l; done
> 3
> 3
> 3
$ k dev-1 get configmap first last -o jsonpath='{.items[*].metadata.resourceVersion}' | diff before -
$ for c in dev-1 prod-1 prod-2; do k $c get deployment web -o jsonpath='{.metadata.generation} {.spec.template.spec.containers[0].image} '; done
> 3 good:3 3 good:3 3 good:3
$ tidegate get applications --set web -o json | jq -r '[.items[].generation] | @csv'
> "3","3","3"
% end
