# A run that begins in the second of a commit brings exactly what its release says, twenty times of
# twenty: neither what was there before, nor what is committed while it begins.

% fleet dev-1:env=dev prod-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ mkdir -p repo/web && cat > repo/web/settings.yaml <<END
| apiVersion: v1
| kind: ConfigMap
| metadata: {name: settings}
| data: {colour: none}
| END
$ cd repo && git init -q && git add . && git commit -qm zero
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

# Two commits around the hub's look at the repository, in the same second if it can be, and then the
# same for what the clusters run, what the release says and what Git says of its commit.
$ cat > bin/once <<'END'
| #!/bin/bash
| set -euo pipefail
| commit() { (cd repo && sed -i "s/colour: .*/colour: $1}/" web/settings.yaml && git commit -qam "$1" && git rev-parse HEAD); }
| latest() { tidegate get runs --set web -o json | jq -c '.items[0]'; }
| until [ "$(date +%N | cut -c1)" -lt 2 ]; do sleep 0.02; done
| first=$(commit "a$1")
| tidegate refresh web > /dev/null
| second=$(commit "b$1")
| for _ in $(seq 300); do
|   run=$(latest)
|   commit=$(jq -r '.sources[0].commit' <<< "$run")
|   case $commit in "$first"|"$second") [ "$(jq -r .terminal <<< "$run")" = true ] && break;; esac
|   sleep 0.1
| done
| said=$(cd repo && git show "$commit:web/settings.yaml" | sed -n 's/.*colour: \(.*\)}/\1/p')
| for cluster in dev-1 prod-1; do
|   runs=$(k "$cluster" get configmap settings -o jsonpath='{.data.colour}')
|   [ "$runs" = "$said" ] || echo "round $1: $cluster runs $runs, the release is of $said: $run" >> wrong
| done
| [ "$(jq -r .state <<< "$run")" = Succeeded ] || echo "round $1: $run" >> wrong
| begun=$(( $(jq -r .startedAtMs <<< "$run") / 1000 ))
| if [ "$begun" = "$(cd repo && git show -s --format=%ct "$commit")" ]; then echo "$1" >> same; fi
| END
$ chmod +x bin/once; touch same wrong
$ for n in $(seq 8); do once $n; done
$ for n in $(seq 9 16); do once $n; done
$ for n in $(seq 17 24); do once $n; done
$ for n in $(seq 25 32); do [ "$(wc -l < same)" -ge 20 ] || once $n; done
$ for n in $(seq 33 40); do [ "$(wc -l < same)" -ge 20 ] || once $n; done
$ cat wrong; [ "$(wc -l < same)" -ge 20 ] && echo 20 of 20 || wc -l same
> 20 of 20
