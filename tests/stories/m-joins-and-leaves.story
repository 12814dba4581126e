# One cluster joins while a run is on its way, and one leaves: nobody waits for who is gone, who is new
# gets the next release, and what runs where nobody looks any more stays.

% fleet dev-1:env=dev prod-1:env=prod prod-2:env=prod +prod-3

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
|       source: {repoURL: "$REPO", targetRevision: main, path: 'web'}
|       destination: {name: '{{.name}}', namespace: default}
|   strategy:
|     type: Waves
|     supersede: {newer: never}
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 0s
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
| END
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# dev takes its time.
% kubelet dev-1 hold
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two
$ tidegate refresh web
~60s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
% join prod-3:env=prod
~60s $ tidegate get clusters -o json | jq -r '.items[] | select(.name == "prod-3") | .connected'
> true
$ tidegate cluster remove prod-2 --reason 'shop is closed' > /dev/null
~60s $ tidegate get apps -o name | sort
> application/web-dev-1
> application/web-prod-1
> application/web-prod-3
$ tidegate get runs --set web -o json | jq -r '.items[0] | "\(.release) \(.state)"'
> 2 Rolling
% kubelet dev-1 release

~90s $ tidegate get runs --set web -o json | jq -r '.items[] | "\(.release) \(.state)"'
> 4 Succeeded
> 2 Succeeded
> 1 Succeeded
$ for c in dev-1 prod-1 prod-3; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
> good:2 good:2 good:2
$ k prod-2 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ tidegate get runs --set web -o json | jq -r '.items[1].waves[1].members[] | "\(.cluster) \(.state)"' | sort
> prod-1 Soaked
> prod-2 Skipped
