# A cluster's agent gets a new key and certificate on order, and the former is refused from then on;
# an agent that is away or dies does it when it comes.

% fleet dev-1:env=dev

~30s $ tidegate get clusters -o json | jq -r '.items[].connected'
> true
$ cp -r agent-dev-1 former && jq -r .keyPem former/identity.json > former.key

# `former-renews` asks for a certificate with the former one, from outside.
$ cat > bin/former-renews <<'END'
| #!/bin/bash
| rm -rf outside outside.log && cp -r former outside
| tidegate-agent --hub "$HUB" --state-dir outside --namespace outside --kubeconfig kube/k/dev-1 --health-listen 127.0.0.1:0 > outside.log 2>&1 &
| for i in $(seq 100); do
|   grep -m 1 -o 'this certificate of cluster .* was replaced by a newer one and is refused since' outside.log && break
|   sleep 0.1
| done
| kill $!
| END
$ chmod +x bin/former-renews && k dev-1 create namespace outside --dry-run=client -o yaml | k dev-1 apply -f -
> namespace/outside created

$ tidegate cluster rotate dev-1 --reason 'lent laptop' --wait --timeout 60s
> cluster/dev-1 uses a new certificate; the former is refused
$ jq -r .keyPem agent-dev-1/identity.json | diff -q former.key -
[1]
> …
$ former-renews
> this certificate of cluster … was replaced by a newer one and is refused since
$ tidegate get audit -p _ -o json | jq -r '.items[] | select(.action | startswith("cluster.r")) | "\(.actor) \(.action) \(.subject) \(.reason)"'
> admin cluster.rotate cluster/dev-1 lent laptop
> cluster/dev-1 cluster.renew cluster/dev-1…
> cluster/dev-1 cluster.rotated cluster/dev-1 its new certificate is in use: the former is refused from now on
~20s $ tidegate get clusters -o json | jq -r '.items[] | "\(.connected) \(.rotating // false)"'
> true false

# Away: the order stands, through a restart of the hub, until the agent comes.
% agent dev-1 kill
~20s $ tidegate get clusters -o json | jq -r '.items[].connected // false'
> false
$ cp agent-dev-1/identity.json second.json
$ tidegate cluster rotate dev-1
> cluster/dev-1 is not connected: recorded; its agent makes a new key when it comes, and the former certificate is refused then
$ tidegate cluster rotate dev-1 --wait --timeout 1s 2>&1 | tail -1
[6]
> error: cluster/dev-1 does not use a new certificate after 1s; the order stands, and the former one is good until then
% hub kill
% hub start
% agent dev-1 start
~30s $ tidegate get clusters -o json | jq -r '.items[] | "\(.connected) \(.rotating // false)"'
> true false
$ cmp -s second.json agent-dev-1/identity.json
[1]

# Killed in the middle, whenever that is: it comes back with what it has, and the order is carried out.
$ tidegate cluster rotate dev-1
> …
% agent dev-1 kill
% agent dev-1 start
$ tidegate cluster rotate dev-1 --wait --timeout 60s -o name
> cluster/dev-1
~30s $ tidegate get clusters -o json | jq -r '.items[] | "\(.connected) \(.rotating // false)"'
> true false
$ tidegate events --cluster dev-1 -o json | jq -r '.items[].reason' | grep -c -e RotationRequested -e CertificateRotated | xargs test 6 -le
