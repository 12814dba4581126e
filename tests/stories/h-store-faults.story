# The hub's store is full, damaged, read-only or taken: the hub says so and what to do, loses nothing
# that it acknowledged, and the cluster goes on healing by itself.

% fleet dev-1:env=dev

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true

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

$ cat > web.yaml <<END
| apiVersion: tidegate.dev/v1alpha1
| kind: ApplicationSet
| metadata: {name: web}
| spec:
|   generators:
|   - clusters: {selector: {matchLabels: {env: dev}}}
|   template:
|     metadata: {name: 'web-{{.name}}'}
|     spec:
|       source: {repoURL: "$REPO", targetRevision: main, path: web}
|       destination: {name: '{{.name}}', namespace: default}
|       syncPolicy: {drift: heal}
|   strategy:
|     type: Waves
|     waves:
|     - name: all
|       healthWindow: 1s
| END
$ tidegate apply -f web.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

$ cat > bin/witness <<'END'
| #!/bin/sh
| k dev-1 get deployment web -o jsonpath='{.metadata.resourceVersion} {.metadata.generation}{"\n"}'
| tidegate get app web-dev-1 -o json | jq -r '"\(.generation) \(.release) \(.health) \(.synced)"'
| END
# `heals` is an engineer's change that an agent takes back, hub or no hub.
$ cat > bin/heals <<'END'
| #!/bin/bash
| engineer dev-1 scale deployment web --replicas 3 > /dev/null
| for i in $(seq 100); do
|   test "$(k dev-1 get deployment web -o jsonpath='{.spec.replicas}')" = 1 && exit 0
|   sleep 0.2
| done
| exit 1
| END
# `serve` starts a hub on the same state directory and says how it ended.
$ cat > bin/serve <<'END'
| #!/bin/sh
| exec timeout 20 "$@" tidegate-hub serve --state-dir hub --allow-file-sources --listen 127.0.0.1:0 --health-listen 127.0.0.1:0 2>&1
| END
# `mortal` takes from root what other users do not have: the right to write everything.
$ cat > bin/mortal <<'END'
| #!/bin/sh
| test "$(id -u)" != 0 || exec setpriv --bounding-set=-all --inh-caps=-all "$@"
| exec "$@"
| END
# `ask` asks the hub's plain port.
$ cat > bin/ask <<'END'
| #!/bin/bash
| exec 3<>"/dev/tcp/${HUB_HEALTH%:*}/${HUB_HEALTH#*:}"
| printf 'GET /%s HTTP/1.0\r\n\r\n' "$1" >&3
| sed '1,/^\r$/d' <&3
| END
$ chmod +x bin/*
~20s $ witness > before; tail -n +2 before
> 1 1 HEALTH_HEALTHY true

# Full. Sets that carry much are applied until no file of the hub may grow.
% hub stop
% hub start limit-files 2500
~150s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true
$ for i in $(seq 12); do
|   { sed "s/name: web}/name: full-$i}/; s/'web-/'full-$i-/; s/- clusters: .*/- list: {elements: []}/" web.yaml
|     echo "  # $i"; } > full-$i.yaml
|   sed -i "s#^    metadata: .*#    metadata: {name: 'full-$i-{{.name}}', annotations: {pad: $(head -c 75000 /dev/urandom | base64 -w0)}}#" full-$i.yaml
|   if tidegate apply -f full-$i.yaml >> told 2>&1; then echo set/full-$i; else echo full-$i >> refused; fi
| done > kept; wc -l < kept; wc -l < refused
> …
$ test -s kept && test -s refused && tail -1 told
> error: failed to … hub/store.redb: the disk is full or a size limit is reached; free space or enlarge the volume, the operation is then tried again; the change was written whole or not at all; look before you repeat it
# What is left for a large set is enough for small ones; then they are refused as well.
$ for i in $(seq 13 400); do
|   { sed "s/name: web}/name: full-$i}/; s/'web-/'full-$i-/; s/- clusters: .*/- list: {elements: []}/" web.yaml
|     echo "  # $i"; } > full-$i.yaml
|   if tidegate apply -f full-$i.yaml >> told 2>&1; then echo set/full-$i >> kept; else echo full-$i >> refused; break; fi
| done; tail -1 told
> error: failed to … hub/store.redb: the disk is full or a size limit is reached; free space or enlarge the volume, …
$ grep -c 'ERROR .*the store failed to commit error=failed to .* hub/store.redb: the disk is full or a size limit is reached; free space' hub.log | sed 's/^[1-9][0-9]*$/it is in the log/'
> it is in the log
# It still shows what it has, and the cluster has not noticed.
$ echo set/web | cat kept - | sort > expected; tidegate get sets -o name | sort | diff expected -
$ tidegate get clusters -o name
> cluster/dev-1
$ ask livez
> ok
$ witness | diff before -
$ heals
# Space is freed: the same hub goes on.
$ prlimit --pid "$HUB_PID" --fsize=unlimited
$ again=$(tail -1 refused); tidegate apply -f $again.yaml; echo set/$again >> kept
> set/full-… created
$ tidegate cluster join-token dev-2 2>/dev/null | grep -c '^tgj1'
> 1
$ ask readyz
> ok
# Started again it has every set that it acknowledged, whole, and no other.
% hub kill
% hub start
$ echo set/web | cat kept - | sort > expected; tidegate get sets -o name | sort | diff expected -
$ for set in $(sed 's#set/##' kept); do tidegate apply -f $set.yaml; done | sed 's/.* //' | sort -u
> unchanged
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two && tidegate refresh web
~150s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
~60s $ tidegate get set web -o json | jq -r '"\(.release) \(.runState)"'
> 2 Succeeded

# Taken: a second hub on the same directory is refused, and the first goes on.
$ serve
[1]
> tidegate-hub: failed to open the store hub/store.redb: another process has it open; run one hub for each store file, and wait for the old one to end
$ tidegate apply -f web.yaml
> set/web unchanged

# Damaged in several places: refused with the file, the cause and the way out; left as it is.
% hub stop
$ cp hub/store.redb good
$ cat > bin/damaged <<'END'
| #!/bin/bash
| cp hub/store.redb bad
| serve; status=$?
| cmp hub/store.redb bad && cp good hub/store.redb && exit $status
| END
$ chmod +x bin/damaged
$ dd if=/dev/zero of=hub/store.redb bs=64 count=1 conv=notrunc status=none; damaged
[1]
> tidegate-hub: failed to read the store hub/store.redb: it is damaged or not a store (…); it is left as it is: restore it from a backup, or move it away to start empty (agents keep what they run)
$ dd if=/dev/zero of=hub/store.redb bs=4096 seek=2 count=200 conv=notrunc status=none; damaged
[1]
> tidegate-hub: failed to read the store hub/store.redb: it is damaged (…); it is left as it is: restore it from a backup, or …
$ truncate -s -4096 hub/store.redb; damaged
[1]
> tidegate-hub: failed to read the store hub/store.redb: it is damaged (…truncated…); it is left as it is: restore it from a backup, or …
$ truncate -s 0 hub/store.redb; damaged
[1]
> tidegate-hub: failed to read the store hub/store.redb: the file is empty; it is left as it is: restore it from a backup, or …
$ heals

# Read-only: refused at the start, and nothing is changed.
$ chmod 400 hub/store.redb; serve mortal
[1]
> tidegate-hub: failed to open the store hub/store.redb: it is read-only or belongs to another user; mount the volume writable and make it owned by the user the hub runs as…
$ cmp hub/store.redb good && chmod 600 hub/store.redb

# With the good file back all is well.
% hub start
~150s $ tidegate get clusters -o json | jq -r '[.items[] | "\(.name) \(.connected // false)"] | @csv'
> "dev-1 true","dev-2 false"
$ tidegate get sets -o name | sort | diff expected -
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three && tidegate refresh web
~60s $ tidegate get set web -o json | jq -r '"\(.release) \(.runState)"'
> 3 Succeeded
$ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:3
