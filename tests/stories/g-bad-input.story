# Bad input of every kind: refused or held with its place, its cause and what to do, while a healthy
# set goes on as if nothing had been.

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
|   - clusters: {}
|   template:
|     metadata: {name: 'web-{{.name}}'}
|     spec:
|       source: {repoURL: "$REPO", targetRevision: main, path: web}
|       destination: {name: '{{.name}}', namespace: default}
|   strategy:
|     type: Waves
|     waves:
|     - name: all
|       healthWindow: 1s
| END
$ tidegate apply -f web.yaml
~60s $ tidegate get runs --set web -o json | jq -r '.items[0].state'
> Succeeded

# What must not change: the object, its record, the set.
$ cat > bin/witness <<'END'
| #!/bin/sh
| k dev-1 get deployment web -o jsonpath='{.metadata.resourceVersion} {.metadata.generation}{"\n"}'
| tidegate get app web-dev-1 -o json | jq -r '"\(.generation) \(.release) \(.health) \(.synced)"'
| tidegate get set web -o json | jq -r '"\(.release) \(.runState) \(.problems // [])"'
| END
$ chmod +x bin/witness
~20s $ witness > before; tail -n +2 before
> 1 1 HEALTH_HEALTHY true
> 1 Succeeded []

# `variant NAME EDIT` is the set of web under another name, with one thing edited.
$ cat > bin/variant <<'END'
| #!/bin/sh
| sed -E -e "s/name: web\}/name: $1}/" -e "s/'web-/'$1-/" -e "$2" web.yaml > "$1.yaml"
| END
$ chmod +x bin/variant

# What is wrong in the document itself is refused with its line, and nothing is written.
$ variant syntax 's/  - clusters: \{\}/  - clusters: {/'; tidegate apply -f syntax.yaml 2>&1
[8]
> error: nothing was written:
> syntax.yaml:8:13: while parsing a flow mapping, did not find expected ',' or '}'; correct the syntax
$ variant unknown 's/  strategy:/  stratgy:/'; tidegate apply -f unknown.yaml 2>&1
[8]
> error: nothing was written:
> unknown.yaml:12: spec.stratgy: unknown field `stratgy`, expected one of …`strategy`…; correct its name or remove it
$ variant wrong 's/healthWindow: 1s/healthWindow: [1s]/'; tidegate apply -f wrong.yaml 2>&1
[8]
> error: nothing was written:
> wrong.yaml:16: spec.strategy.waves[0].healthWindow: invalid type: sequence, expected a string; correct the value
$ variant all 's/  - clusters: \{\}/  - clusters: []/'; tidegate apply -f all.yaml 2>&1
[8]
> error: nothing was written:
> all.yaml:6: spec.generators[0].clusters: invalid type: a list, expected a map; write key: value pairs, or {}
$ { echo 'a: &a [x, x, x, x, x, x, x, x, x, x]'; p=a; for n in b c d e f g h i; do echo "$n: &$n [*$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p]"; p=$n; done; } > bomb.yaml; tidegate apply -f bomb.yaml 2>&1
[8]
> error: nothing was written:
> bomb.yaml:5:36: aliases copy more than 100000 values; write the values out
$ head -c 50000000 /dev/zero > huge.yaml; tidegate apply -f huge.yaml 2>&1
[8]
> error: huge.yaml is too big: one apply carries at most 4000000 bytes in all; …
# A good document beside a bad one is not written either.
$ variant fine s/x/x/; tidegate apply -f fine.yaml -f unknown.yaml 2>&1
[8]
> error: nothing was written:
> unknown.yaml:12: spec.stratgy: …
$ tidegate get sets -o name
> set/web

# What shows only against the fleet and the repository shows at its set, and touches no other.
$ mkdir -p repo/bomb repo/big repo/rows && cp bomb.yaml repo/bomb/
$ { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n'; head -c 50000000 /dev/zero | tr '\0' '#'; } > repo/big/big.yaml
$ for i in 1 2 3 4 5; do echo "app: $i" > repo/rows/r$i.yaml; done; cp repo/web/deployment.yaml repo/rows/
$ cd repo && git add . && git commit -qm 'a bomb, a big file, five rows' && tidegate refresh web
$ variant nope 's/namespace: default/namespace: "{{.nope}}"/'
$ variant cluster "s/destination: .name: '[^']*'/destination: {name: 'dve-1'/"
$ variant twice 's/- clusters: \{\}/- list: {elements: [{name: dev-1}, {name: dev-1}]}/'
$ variant taken "s/'taken-/'web-/"
$ variant away 's#repoURL: "[^"]*"#repoURL: "https://127.0.0.1:1/away.git"#'
$ variant absent 's#repoURL: "[^"]*"#repoURL: "file:///nowhere"#'
$ variant path 's#path: web#path: wbe#'
$ variant bomb 's#path: web#path: bomb#'
$ variant big 's#path: web#path: big#'
$ tidegate apply $(printf -- '-f %s.yaml ' nope cluster twice taken away absent path bomb big)
> set/nope created
> …
> set/big created

$ cat > bin/problems <<'END'
| #!/bin/sh
| tidegate get set "$1" -o json | jq -r '(.problems // [])[]'
| END
$ chmod +x bin/problems
~30s $ problems nope
> spec.generators[0].clusters, row 0, cluster dev-1, spec.template.spec.destination.namespace: failed to render "{{.nope}}": there is no key "nope"; at the top the row has: metadata, name, nameNormalized, project, server. Correct the key, or ask first with hasKey
~30s $ problems cluster
> spec.generators[0].clusters, row 0, cluster dev-1, spec.template.spec.destination.name: no cluster named "dve-1" is registered; register it, or correct the name
~30s $ problems twice
> spec.generators[0].list, row 0, element 0, spec.template.metadata.name: the name "twice-dev-1" is also made by spec.generators[0].list row 1 (element 1); make the name depend on what tells the rows apart
> spec.generators[0].list, row 1, element 1, spec.template.metadata.name: the name "twice-dev-1" is also made by spec.generators[0].list row 0 (element 0); make the name depend on what tells the rows apart
~30s $ problems taken
> application web-dev-1 (spec.generators[0].clusters row 0): the name belongs to set web of project default; give it another name
~30s $ problems away
> application away-dev-1: failed to reach repository https://127.0.0.1:1/away.git: …; check the address, and network, proxy and certificate authorities of the hub
~30s $ problems absent
> application absent-dev-1: failed to find repository file:///nowhere: …; check the address
~30s $ problems path
> application path-dev-1: failed to find directory "wbe" in file:///… at main; correct the source's path or targetRevision, or commit the directory
~30s $ problems bomb
> application bomb-dev-1: failed to read bomb/bomb.yaml:5:36: aliases copy more than 100000 values; write the values out
~30s $ problems big
> application big-dev-1: failed to render big/big.yaml: it has 500…… bytes, at most 10485760 are allowed for a file; split it, or take it out with directory.exclude

# A person sees it in the list, with the source, and where a run ran into it.
$ tidegate get sets
> …
> nope 0 - - 0 0 spec.generators[0].clusters…
> …
> web 1 1 Succeeded 0 0 -
$ tidegate get sources -o json | jq -r '.items[] | select(.error) | "\(.repoUrl) \(.error)"' | sort
> file:///nowhere failed to find repository file:///nowhere: …
> https://127.0.0.1:1/away.git failed to reach repository https://127.0.0.1:1/away.git: …
~30s $ tidegate get runs --set big -o json | jq -r '.items[0].state'
> Failed
$ tidegate run explain --set big
> …
> wave all, cluster dev-1: default/big-dev-1: could not be rendered: failed to
> render big/big.yaml: …
> file; split it, or take it out with directory.exclude (Unrendered)
> …
$ tidegate run explain --set nope 2>&1
[3]
> error: set nope has no run yet; `tidegate get sets` shows why

# Nothing of all this reached the cluster, and web is as it was.
$ k dev-1 get deployments -o name
> deployment.apps/web
$ witness | diff before -

# Five rows become ten thousand: nothing is expanded, and the five go on.
$ variant rows "s#- clusters: \{\}#- git: {repoURL: '$REPO', revision: main, files: [{path: 'rows/r*.yaml'}]}#; s/rows-\{\{.name\}\}/rows-{{.app}}/; s/name: '\{\{.name\}\}', namespace: default/name: dev-1, namespace: 'rows-{{.app}}'/; s/path: web/path: web/"
$ for i in 1 2 3 4 5; do k dev-1 create namespace rows-$i; done
$ tidegate apply -f rows.yaml
> set/rows created
~60s $ tidegate get runs --set rows -o json | jq -r '.items[0].state'
> Succeeded
$ for i in 1 2 3 4 5; do k dev-1 -n rows-$i get deployment web -o jsonpath='{.metadata.resourceVersion} '; done > rows-before
$ seq 1 10000 | sed 's/.*/- app: x&/' > repo/rows/r6.yaml; cd repo && git add . && git commit -qm 'far too many' && tidegate refresh rows
~30s $ problems rows
> spec.generators[0].git, spec.maxApplications: it makes 10005 rows, all generators together 10005, more than the 1000 of spec.maxApplications; nothing was expanded. Narrow its selector or patterns, or raise spec.maxApplications if so many are meant
$ tidegate get apps --set rows -o name | wc -l
> 5
$ tidegate get set rows -o json | jq -r '"\(.release) \(.runState)"'
> 1 Succeeded
$ for i in 1 2 3 4 5; do k dev-1 -n rows-$i get deployment web -o jsonpath='{.metadata.resourceVersion} '; done | diff rows-before -
$ witness | diff before -

# And a commit to web still goes out.
$ sed -i s/good:1/good:2/ repo/web/deployment.yaml && cd repo && git commit -qam two && tidegate refresh web
~60s $ k dev-1 get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'
> good:2
~60s $ tidegate get set web -o json | jq -r '"\(.release) \(.runState) \(.problems // [])"'
> 2 Succeeded []
