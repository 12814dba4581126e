#!/usr/bin/env bash
# Builds the control-plane binary once per content and prints its path.
# stdout: the path, nothing else. stderr: progress and errors.
# Exit status: 0 built or cached, 3 a tool that the build needs is missing, 1 any other failure.
# Cache: ${TIDEGATE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate}/controlplane/<digest>/
#   controlplane   the binary
#   bin/           a link for each component; works as KUBEBUILDER_ASSETS too
# Nothing removes old digests; the cache may be deleted at any time no test runs.
set -euo pipefail

say() { printf 'controlplane: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
lack() { say "$*"; exit 3; }

sources=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TIDEGATE_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:?set HOME, XDG_CACHE_HOME or TIDEGATE_CACHE_DIR: the cache needs a folder}/.cache}/tidegate}
digest=$(cd "$sources" && sha256sum go.mod go.sum main.go build.sh | sha256sum | cut -c1-32)
folder=$cache/controlplane/$digest
binary=$folder/controlplane

if [[ -x $binary ]]; then
    printf '%s\n' "$binary"
    exit 0
fi

# A Go older than go.mod asks for says so itself.
command -v go >/dev/null || lack "failed to build the test control plane: Go is not installed; install $(sed -n 's/^go //p' "$sources/go.mod") or newer from https://go.dev/dl, \
or set KUBEBUILDER_ASSETS to a folder with kube-apiserver, kube-controller-manager, etcd and kubectl"
command -v flock >/dev/null || lack "failed to build the test control plane: flock is not installed (package util-linux)"

mkdir -p "$folder"
exec 9>"$folder/lock"
if ! flock --nonblock 9; then
    say "another process builds it; waiting"
    flock 9
fi
if [[ ! -x $binary ]]; then
    version=$(sed -n 's|^require k8s.io/kubernetes v||p; s|^\tk8s.io/kubernetes v||p' "$sources/go.mod" | head -n 1)
    IFS=. read -r major minor _ <<<"$version"
    [[ -n ${minor:-} ]] || die "failed to read the version of k8s.io/kubernetes from $sources/go.mod"
    # A killed build leaves its part; with the lock held, none is being written.
    rm -f "$binary".part.*
    part=$binary.part.$$
    trap 'rm -f "$part"' EXIT
    say "building Kubernetes $version into $binary: about 6 minutes and 3 GB of Go build cache on 2 cores, once"
    started=$SECONDS
    pkg=k8s.io/component-base/version
    # The lock must not outlive this script in a child, hence 9>&-.
    (cd "$sources" && CGO_ENABLED=0 GOTOOLCHAIN=${GOTOOLCHAIN:-local} GOFLAGS=-mod=readonly go build -p 2 -trimpath -buildvcs=false \
        -ldflags "-s -w -X $pkg.gitVersion=v$version -X $pkg.gitMajor=$major -X $pkg.gitMinor=$minor" \
        -o "$part" .) 9>&- >&2 || die "failed to build the test control plane in $sources; the compiler's words are above"
    mkdir -p "$folder/bin"
    for component in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl jq; do
        ln -sfn ../controlplane "$folder/bin/$component"
    done
    mv "$part" "$binary"
    say "built in $((SECONDS - started)) s, $(du -m "$binary" | cut -f1) MB"
fi
printf '%s\n' "$binary"
