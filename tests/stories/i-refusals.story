# Whoever may not is refused, learns why, and changes nothing: strangers with bad join tokens, people
# beyond their role, callers without a certificate or with one that is not for this.

% fleet dev-1:env=dev

~30s $ tidegate get clusters -o json | jq -r '[.items[].connected] | @csv'
> true

# `stranger TOKEN` runs an agent in a namespace of its own until it says why it has no identity.
$ cat > bin/stranger <<'END'
| #!/bin/bash
| rm -rf stranger stranger.log
| tidegate-agent --hub "$HUB" --state-dir stranger --join-token "$1" --namespace stranger --kubeconfig kube/k/dev-1 --health-listen 127.0.0.1:0 2> stranger.log > stranger.log &
| for i in $(seq 100); do
|   grep -m 1 -o 'the agent has no good identity.*' stranger.log && break
|   sleep 0.1
| done
| kill $!
| END
$ chmod +x bin/stranger && k dev-1 create namespace stranger

# Join tokens: of another secret, used before, too old, of another hub.
$ tidegate cluster join-token dev-2 --ca-out ca.pem > token 2> /dev/null
$ stranger "$(awk -F. -v OFS=. '{gsub(/./, "0", $3); print}' token)"
> the agent has no good identity problem="failed to join with token …: the hub refused: failed to use the join token: it is not known to this hub; check the hub's address, or make a new one"
$ stranger "$(cat token-dev-1)"
> the agent has no good identity problem="failed to join with token …: the hub refused: failed to use the join token: it was used at …, and a token is good once; make a new one, and if that was not you, somebody else has joined with it: remove the cluster first"
$ tidegate cluster join-token dev-3 --ttl 1s > late 2> /dev/null; sleep 1.1; stranger "$(cat late)"
> the agent has no good identity problem="failed to join with token …: the hub refused: failed to use the join token: it expired at …; make a new one"
$ stranger "$(awk -F. -v OFS=. '{gsub(/./, "0", $4); print}' token)"
> the agent has no good identity problem="failed to join with token …: failed to connect to the hub at …: no certificate of the hub is the authority in the join token; check the hub's address and what is between it and this agent, or make a token at this hub"
$ tidegate get audit -p _ -o json | jq -r '.items[] | select(.action == "cluster.join-refused") | "\(.actor): \(.reason)"'
> anonymous: failed to use the join token: it is not known to this hub; …
> anonymous: failed to use the join token: it was used at …
> anonymous: failed to use the join token: it expired at …
$ tidegate get clusters -o json | jq -r '.items[] | "\(.name) \(.connected // false)"'
> dev-1 true
> dev-2 false
> dev-3 false

# People beyond their role.
$ cat > set.yaml <<END
| apiVersion: tidegate.dev/v1alpha1
| kind: ApplicationSet
| metadata: {name: web}
| spec:
|   generators: [{clusters: {}}]
|   template:
|     metadata: {name: 'web-{{.name}}'}
|     spec:
|       source: {repoURL: "$REPO", targetRevision: main, path: web}
|       destination: {name: '{{.name}}'}
|   strategy: {type: AllAtOnce}
| END
$ tidegate user create vera --role viewer --out vera.yaml && tidegate user create otto --role operator --out otto.yaml
$ tidegate --config vera.yaml apply -f set.yaml 2>&1
[4]
> error: tidegate.v1.Fleet/Apply needs the role Operator, vera has the role Viewer; an admin can change that
$ tidegate --config vera.yaml rollback web --reason 'I may not' 2>&1
[4]
> error: tidegate.v1.Fleet/Rollback needs the role Operator, vera has the role Viewer; an admin can change that
$ tidegate --config vera.yaml cluster join-token dev-4 2>&1
[4]
> error: tidegate.v1.Fleet/CreateJoinToken needs the role Admin, vera has the role Viewer; an admin can change that
$ tidegate --config otto.yaml cluster join-token dev-4 2>&1
[4]
> error: tidegate.v1.Fleet/CreateJoinToken needs the role Admin, otto has the role Operator; an admin can change that
$ tidegate --config vera.yaml get sets -o json | jq '[.items[]?] | length'
> 0
$ tidegate --config vera.yaml get clusters -o name | wc -l
> 3
$ grep -o 'denied a call: .*vera.*' hub.log
> denied a call: tidegate.v1.Fleet/Apply needs the role Operator, vera has the role Viewer; …
> …

# Nobody in particular: health answers, nothing else does.
$ cat > bin/call <<'END'
| #!/bin/bash
| curl -s -m 10 -X POST --http2 --cacert ca.pem -D - -o /dev/null -H 'content-type: application/grpc' -H 'te: trailers' "${@:2}" "$HUB/$1" | tr -d '\r' | sed -n 's/^grpc-//p' | sed 's/%20/ /g; s/%2C/,/g; s/%3B/;/g; s/%3A/:/g'
| END
$ chmod +x bin/call && printf '\0\0\0\0\0' > empty-message
$ call grpc.health.v1.Health/Check --data-binary @empty-message
> status: 0
$ call tidegate.v1.Fleet/ListRuns
> status: 16
> message: tidegate.v1.Fleet/ListRuns needs a client certificate, and none was presented; an admin can make one for you
$ call tidegate.v1.Fleet/Apply
> status: 16
> …
$ call tidegate.v1.AgentLink/FetchBlobs
> status: 16
> message: tidegate.v1.AgentLink/FetchBlobs needs a client certificate, and none was presented; an agent gets one with a join token
$ call grpc.health.v1.Health/Watch
> status: 16
> …

# A person of another hub.
$ tidegate-hub init --state-dir other --admin-config other.yaml && { sed '/certificateData/,$d' admin.yaml; sed -n '/certificateData/,$p' other.yaml; } > foreign.yaml; chmod 600 foreign.yaml
$ tidegate --config foreign.yaml get sets 2>&1
[4]
> error: the hub at https://localhost:… does not accept the certificate of context "admin": another authority than the hub's signed it, …; ask an administrator for a new one (`tidegate user create`)

# The agent's certificate is for the link, a person's is not.
$ for part in tls.crt tls.key; do k dev-1 -n tidegate-system get secret tidegate-identity -o json | jq -r --arg part $part '.data[$part] | @base64d' > agent.$part; done
$ jq -n --rawfile ca ca.pem --rawfile crt agent.tls.crt --rawfile key agent.tls.key --arg hub "$HUB" '{apiVersion: "tidegate.dev/v1alpha1", kind: "Config", currentContext: "a", contexts: [{name: "a", server: $hub, caData: $ca, certificateData: $crt, keyData: $key}]}' > agent.yaml; chmod 600 agent.yaml
$ tidegate --config agent.yaml get sets 2>&1
[4]
> error: tidegate.v1.Fleet/ListApplicationSets is for people; this is the certificate of the agent of cluster …
$ call tidegate.v1.Fleet/Apply --cert agent.tls.crt --key agent.tls.key
> status: 7
> message: tidegate.v1.Fleet/Apply is for people; this is the certificate of the agent of cluster …
$ sed -n '/certificateData/,/keyData/p' vera.yaml | sed -n 's/^ *//; /-BEGIN/,/-END/p' > vera.crt; sed -n '/keyData/,$p' vera.yaml | sed -n 's/^ *//; /-BEGIN/,/-END/p' > vera.key
$ call tidegate.v1.AgentLink/FetchBlobs --cert vera.crt --key vera.key
> status: 7
> message: tidegate.v1.AgentLink/FetchBlobs is for agents; this is the certificate of the person vera

# The agent of a cluster that was removed is nobody any more.
$ tidegate cluster remove dev-1 --reason 'gone'
$ call tidegate.v1.AgentLink/FetchBlobs --cert agent.tls.crt --key agent.tls.key
> status: 7
> message: the cluster … is not registered: it was removed; make a join token to bring it back as a new one

# After all this nothing was written that nobody allowed.
$ tidegate get sets -o json | jq '[.items[]?] | length'
> 0
$ tidegate get clusters -o name
> cluster/dev-2
> cluster/dev-3
