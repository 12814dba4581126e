# A hub is lost and an older backup is restored: agents obey it again and go on with what they run
# until releases of the restored hub reach them in waves; nothing is deleted because the hub forgot
# it, and the hub that was lost is obeyed by nobody when it comes back.

% fleet dev-1:env=dev prod-1:env=prod

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true,true

$ mkdir -p repo/web repo/later && cat > repo/web/deployment.yaml <<END
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
$ for name in settings extra; do cat <<END > $name.yaml; done
| apiVersion: v1
| kind: ConfigMap
| metadata: {name: $name}
| data: {colour: blue}
| END
$ cp settings.yaml repo/web/ && sed s/settings/later/ settings.yaml > repo/later/later.yaml
$ cd repo && git init -q && git add . && git commit -qm one

$ cat > web.yaml <<END
| apiVersion: tidegate.dev/v1alpha1
| kind: ApplicationSet
| metadata: {name: web}
| spec:
|   generators:
|   - clusters: {selector: {matchExpressions: [{key: env, operator: Exists}]}}
|   template:
|     metadata: {name: 'web-{{.name}}'}
|     spec:
|       source: {repoURL: "$REPO", targetRevision: main, path: web}
|       destination: {name: '{{.name}}', namespace: default}
|       syncPolicy: {drift: heal}
|   strategy:
|     type: Waves
|     waves:
|     - name: dev
|       select: {clusters: {matchLabels: {env: dev}}}
|       healthWindow: 1s
|     - name: prod
|       select: {clusters: {matchLabels: {env: prod}}}
|       healthWindow: 1s
| END
$ sed "s/name: web}/name: later}/; s/'web-/'later-/; s/path: web/path: later/" web.yaml > later.yaml
$ cat > bin/images <<'END'
| #!/bin/sh
| for c in dev-1 prod-1; do k $c get deployment web -o jsonpath='{.spec.template.spec.containers[0].image} '; done
| END
$ cat > bin/objects <<'END'
| #!/bin/sh
| for c in dev-1 prod-1; do k $c get deployment,configmap -o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation}{"\n"}{end}' | grep -v kube-root-ca; done
| END
$ cat > bin/state <<'END'
| #!/bin/sh
| tidegate get set web -o json | jq -r '"\(.release) \(.runState) \(.problems // [])"'
| END
$ chmod +x bin/images bin/objects bin/state
$ tidegate apply -f web.yaml
~60s $ state
> 1 Succeeded []
$ images
> good:1 good:1

$ tidegate cluster join-token dev-9 > unused 2> /dev/null

# The backup. On etcd the hub goes on meanwhile, a file has one user at a time.
% unless etcd: its hub need not stop
$ tidegate-hub backup --state-dir hub --to backup.tar.zst $STORE 2>&1
[1]
> tidegate-hub: failed to back up hub/store.redb: a hub is running on it, and a redb file has one user at a time; stop the hub for as long as the backup takes (agents go on by themselves), or keep its records in etcd
% hub stop
% end
$ tidegate-hub backup --state-dir hub --to backup.tar.zst $STORE
> wrote backup.tar.zst: … records at revision …, … blobs, and the hub's identity
> the authority's key is in it: keep it like a password
$ stat -c %a backup.tar.zst
> 600
$ cp backup.tar.zst kept; tidegate-hub backup --state-dir hub --to backup.tar.zst $STORE 2>&1
[1]
> tidegate-hub: failed to write the backup backup.tar.zst: there is a file of that name; choose another
$ cmp kept backup.tar.zst
$ tidegate-hub restore --from backup.tar.zst --state-dir hub $STORE 2>&1
[1]
> tidegate-hub: failed to make a hub in hub: there is one already; choose another --state-dir
% unless etcd: its hub still runs
% hub start
% end

# The hub goes on: two more releases, one of them with another object, and another set.
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cp extra.yaml repo/web/ && cd repo && git add . && git commit -qm two && tidegate refresh web
~60s $ state
> 2 Succeeded []
$ sed -i s/good:2/good:3/ repo/web/deployment.yaml && cd repo && git commit -qam three && tidegate refresh web
~60s $ state
> 3 Succeeded []
$ tidegate apply -f later.yaml
~60s $ tidegate get runs --set later -o json | jq -r '.items[0].state'
> Succeeded
$ images; objects > before; grep -c . before
> good:3 good:3 8

# It is lost. A damaged copy of the backup is refused, and so is what is not empty.
% hub stop
% hub lose
$ head -c -100 backup.tar.zst > cut; tidegate-hub restore --from cut --state-dir hub $STORE 2>&1
[1]
> tidegate-hub: failed to read the backup cut: it is cut off, damaged or no backup (…); nothing was written, use another copy of it
$ test ! -e hub; mkdir other && touch other/something; tidegate-hub restore --from backup.tar.zst --state-dir other $STORE 2>&1
[1]
> tidegate-hub: failed to restore into other: there is something in it already (something); choose an empty --state-dir
# Killed anywhere, it begins anew; until it is over no hub starts.
$ cat > bin/killed <<'END'
| #!/bin/bash
| # Later and later in the work, until one comes to its end.
| for ms in $(seq -f %03g 5 7 999); do
|   timeout -s KILL 0.$ms tidegate-hub restore --from backup.tar.zst --state-dir hub $STORE > /dev/null 2> told && break
|   # Killed when only its mark was left to be removed.
|   grep -q 'there is one already' told && break
|   cat told
|   # Killed before its mark was there: nothing has begun.
|   ls -A hub 2> /dev/null | grep -qv '^\.tidegate-' || continue
|   test ! -e hub/store.redb || break
|   # Killed before it let hubs start: the etcd says so itself.
|   test ! -e hub/store.etcd || continue
|   tidegate-hub serve --state-dir hub --listen 127.0.0.1:0 --health-listen 127.0.0.1:0 $STORE > started 2>&1 && exit 1
|   cat started
| done | sort -u
| END
$ chmod +x bin/killed; killed
> tidegate-hub: failed to use hub: a restore into it was interrupted; run `tidegate-hub restore` again with the same backup, or remove the directory
$ stat -c %a hub hub/identity/ca.pem
> 700
> 600
$ cmp hub/identity/ca.pem lost/identity/ca.pem

# The restored hub: its agents obey it, and nothing moves but what it now sends through its waves.
% hub start
~180s $ tidegate get clusters -o json | jq -r '.items[] | "\(.name) \(.connected // false)"'
> dev-1 true
> dev-9 false
> prod-1 true
~60s $ state
> 2 Succeeded []
$ images
> good:3 good:3
$ objects | diff before -
$ tidegate get applications --set web -o json | jq -r '[.items[] | (.generation | tonumber) > 1700000000] | @csv'
> true,true
$ tidegate get audit -p _ -o json | jq -r '.items[] | select(.action == "hub.restore") | .reason'
> from the backup … of …, of revision … in term …
# A join token that nobody had used by then is void: it may have been used since.
$ cat > bin/stranger <<'END'
| #!/bin/bash
| tidegate-agent --hub "$HUB" --state-dir stranger --join-token "$1" --namespace stranger --kubeconfig kube/k/dev-1 --health-listen 127.0.0.1:0 > stranger.log 2>&1 &
| for i in $(seq 100); do
|   grep -m 1 -o 'to use the join token.*' stranger.log && break
|   sleep 0.1
| done
| kill -KILL $!
| END
$ k dev-1 apply -f - > created <<END
| {apiVersion: v1, kind: Namespace, metadata: {name: stranger}}
| END
$ chmod +x bin/stranger; stranger "$(cat unused)"
> to use the join token: it is not known to this hub; check the hub's address, or make a new one"
# What came after the backup runs on, and is taken over as it is when it is given again.
$ tidegate get sets -o name
> set/web
$ tidegate apply -f later.yaml
~60s $ tidegate get runs --set later -o json | jq -r '.items[0].state'
> Succeeded
$ objects | diff before -
# It goes on from there, and knows what to prune.
$ sed -i s/good:3/good:4/ repo/web/deployment.yaml && cd repo && git rm -q web/extra.yaml && git commit -qam four && tidegate refresh web
~60s $ state
> 3 Succeeded []
$ images; objects | grep -c extra
[1]
> good:4 good:4 0

# The hub that was lost comes back: nobody obeys it.
% unless etcd: what it had in etcd is gone, and without it no hub starts
% hub stop
$ objects > before; mv hub restored && mv lost hub
% hub start
~180s $ grep -c 'it lost its term and is not obeyed' agent-dev-1.log | sed 's/^[1-9][0-9]*$/said so/'
> said so
$ tidegate get audit -p _ -o json | jq -r 'first(.items[] | select(.action == "link.alarm")).reason'
> the agent has seen hub epoch …, this hub has …: another hub took over, or this one was restored from an old copy of its store
$ objects | diff before -
% hub stop
$ mv hub lost && mv restored hub
% hub start
% end

# The same backup again, and Git is back at what it was then: the hub wants what it wanted, but its
# agents are further. They are taken back in waves, by one more release.
% hub stop
$ rm -rf lost
% hub lose
$ cd repo && git reset -q --hard main~3
$ tidegate-hub restore --from backup.tar.zst --state-dir hub $STORE | sed -n 1p
> restored … records and … blobs into hub; the hub's term is …
% kubelet dev-1 hold
% hub start
~180s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:1
$ sleep 2; state; images
> 2 Rolling […]
> good:1 good:4
$ tidegate get audit -p default -o json | jq -r '.items[] | select(.action == "release.create" or .action == "application.astray") | "\(.subject): \(.reason)"' | sort
> application/web-dev-1: its agent holds something else than the backup that the hub was restored from says
> …
> set/web release/1: first release
> set/web release/2: the hub was restored from a backup, and some agents hold something else
% kubelet dev-1 release
~180s $ state; images
> 2 Succeeded []
> good:1 good:1
~30s $ tidegate audit replay -o json | jq -r '[.items[].hub] | unique | @csv'
> "same"
