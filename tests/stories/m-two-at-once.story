# Two people approve and two roll back, all in the same moment: each is heard once or told why not, and
# the set ends where a rollback leaves it, whoever came first.

% fleet dev-1:env=dev prod-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ mkdir -p repo/web && cat > repo/web/settings.yaml <<END
| apiVersion: v1
| kind: ConfigMap
| metadata: {name: settings}
| data: {colour: c0}
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
|       gates:
|         before:
|         - approval: {minApprovals: 2, approvers: [{group: release}]}
| END
$ for who in ann bob kim otto; do tidegate user create $who --role operator --group release --out $who.yaml > /dev/null; done
$ tidegate apply -f set.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> WaitingGate
$ for who in ann bob; do tidegate --config $who.yaml run approve --set web > /dev/null; done
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

$ cat > bin/rush <<'END'
| #!/bin/bash
| gated() {
|   for _ in $(seq 300); do
|     [ "$(tidegate get runs --set web -o json | jq -r '.items[0] | "\(.state) \(.sources[0].commit)"')" = "WaitingGate $(git -C repo rev-parse HEAD)" ] && break
|     sleep 0.1
|   done
| }
| (cd repo && sed -i "s/colour: .*/colour: c$1}/" web/settings.yaml && git commit -qam "$1")
| tidegate refresh web > /dev/null
| gated
| pids=()
| for who in ann bob; do tidegate --config $who.yaml run approve --set web > said.$who 2>&1 & pids+=($!); done
| for who in kim otto; do tidegate --config $who.yaml rollback web --reason "looks bad" > said.$who 2>&1 & pids+=($!); done
| for pid in "${pids[@]}"; do wait "$pid"; echo $? >> codes; done
| for _ in $(seq 300); do [ "$(tidegate get runs --set web -o json | jq -r '.items[0].state')" = RolledBack ] && break; sleep 0.1; done
| echo "$(tidegate get runs --set web -o json | jq -r '.items[0].state') dev $(k dev-1 get configmap settings -o jsonpath='{.data.colour}') prod $(k prod-1 get configmap settings -o jsonpath='{.data.colour}')"
| tidegate unpin web --reason 'next round' > /dev/null; gated
| END
$ chmod +x bin/rush; for n in $(seq 5); do rush $n; done
> RolledBack dev c0 prod c0
> RolledBack dev c1 prod c0
> RolledBack dev c2 prod c0
> RolledBack dev c3 prod c0
> RolledBack dev c4 prod c0
# What dev runs when it is taken back is what ran well there last: the gate is behind its wave.
# One rollback a round was begun and is on record, and nobody met anything but a yes or a reason.
$ tidegate audit log --action run.rollback -o json | jq '.items | length'
> 5
$ sort -u codes | tr '\n' ' '
> 0 …
$ tidegate audit verify > /dev/null && echo whole
> whole
