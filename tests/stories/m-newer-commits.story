# Two newer commits arrive while a wave is under way. Four sets, one for each policy: what takes over,
# when, and what prod gets to see.

% fleet dev-1:env=dev prod-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ cat > manifest <<END
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
$ cat > commit <<'END'
| for policy in finishWave immediately queue never; do
|   mkdir -p repo/$policy; sed "s/name: web}/name: ${policy,,}}/; s/good:1/good:$1/" manifest > repo/$policy/deployment.yaml
| done
| cd repo && git add . && git commit -qm "$1"
| END
$ git -C repo init -q && bash commit 1
$ for policy in finishWave immediately queue never; do cat <<END; done > sets.yaml
| ---
| apiVersion: tidegate.dev/v1alpha1
| kind: ApplicationSet
| metadata: {name: ${policy,,}}
| spec:
|   generators:
|   - clusters: {}
|   template:
|     metadata: {name: '${policy,,}-{{.name}}'}
|     spec:
|       source: {repoURL: "$REPO", targetRevision: main, path: $policy}
|       destination: {name: '{{.name}}', namespace: default}
|   strategy:
|     type: Waves
|     supersede: {newer: $policy}
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 0s
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 0s
| END
$ tidegate apply -f sets.yaml > /dev/null
~60s $ tidegate get runs -o json | jq -r '.items[] | "\(.set) \(.release) \(.state)"' | sort
> finishwave 1 Succeeded
> immediately 1 Succeeded
> never 1 Succeeded
> queue 1 Succeeded

% kubelet dev-1 hold
$ bash commit 2 && for set in finishwave immediately queue never; do tidegate refresh $set; done
~60s $ k dev-1 get deployments -o jsonpath='{.items[*].spec.template.spec.containers[0].image}'
> good:2 good:2 good:2 good:2
$ bash commit 3 && for set in finishwave immediately queue never; do tidegate refresh $set; done
~60s $ tidegate release list -o json | jq -r '[.items[] | select(.number == "3") | .set] | sort | @csv'
> "finishwave","immediately","never","queue"
$ bash commit 4 && for set in finishwave immediately queue never; do tidegate refresh $set; done

# Only one of them does not wait for who is under way.
~60s $ for set in finishwave immediately never queue; do tidegate get runs --set $set -o json | jq -r '.items[] | "\(.set) \(.release) \(.state)"' | head -2; done
> finishwave 2 Rolling
> finishwave 1 Succeeded
> immediately 4 Rolling
> immediately 3 Superseded
> never 2 Rolling
> never 1 Succeeded
> queue 2 Rolling
> queue 1 Succeeded
% kubelet dev-1 release

~120s $ for set in finishwave immediately never queue; do tidegate get runs --set $set -o json | jq -r '.items[] | "\(.set) \(.release) \(.state)"'; done
> finishwave 4 Succeeded
> finishwave 2 Superseded
> finishwave 1 Succeeded
> immediately 4 Succeeded
> immediately 3 Superseded
> immediately 2 Superseded
> immediately 1 Succeeded
> never 4 Succeeded
> never 2 Succeeded
> never 1 Succeeded
> queue 4 Succeeded
> queue 3 Succeeded
> queue 2 Succeeded
> queue 1 Succeeded
$ k prod-1 get deployments -o jsonpath='{.items[*].spec.template.spec.containers[0].image}'
> good:4 good:4 good:4 good:4
# What prod was told to run, by the record.
$ for set in finishwave immediately never queue; do echo $set $(tidegate audit log --action run.assign -o json | jq -r --arg set "set/$set " '.items[] | select((.subject | startswith($set)) and (.subject | contains("cluster/prod-1"))) | .after' | uniq | wc -l); done
> finishwave 2
> immediately 2
> never 3
> queue 4
