#!/usr/bin/env bash
# Gets Debian's Prometheus once and prints the path of its program; nothing is installed or started.
# stdout: the path, nothing else. stderr: progress and errors.
# Exit status: 0 there, 3 the machine has no Debian packages, 1 any other failure.
# Cache: ${TIDEGATE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tidegate}/prometheus/
# Nothing removes it; the cache may be deleted at any time no test runs.
set -euo pipefail

say() { printf 'prometheus: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
lack() { say "$*"; exit 3; }

cache=${TIDEGATE_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:?set HOME, XDG_CACHE_HOME or TIDEGATE_CACHE_DIR: the cache needs a folder}/.cache}/tidegate}
folder=$cache/prometheus
program=$folder/prometheus

if [[ -x $program ]]; then
    printf '%s\n' "$program"
    exit 0
fi

for tool in apt-get dpkg-deb flock; do
    command -v "$tool" >/dev/null ||
        lack "failed to get Prometheus: $tool is not installed; set TIDEGATE_PROMETHEUS to a prometheus program, 2.42 or newer"
done

mkdir -p "$folder"
exec 9>"$folder/lock"
if ! flock --nonblock 9; then
    say "another process gets it; waiting"
    flock 9
fi
if [[ ! -x $program ]]; then
    part=$(mktemp -d "$folder/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    # apt drops its rights to a user of its own, who must be able to write here; as nobody else, it keeps them.
    apt=(apt-get -q -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1)
    say "downloading Debian's package, 19 MB, once"
    if ! (cd "$part" && "${apt[@]}" download prometheus) 9>&- >&2; then
        # The machine's lists are missing or old. Lists of our own need no rights of the administrator.
        say "the machine's package lists do not help; getting them anew"
        mkdir -p "$part/lists/partial" "$part/cache"
        apt+=(-o Dir::State::Lists="$part/lists" -o Dir::Cache="$part/cache")
        "${apt[@]}" update 9>&- >&2 || die "failed to get package lists; apt-get's words are above"
        (cd "$part" && "${apt[@]}" download prometheus) 9>&- >&2 ||
            die "failed to download the package prometheus; apt-get's words are above"
    fi
    dpkg-deb --extract "$part"/prometheus_*.deb "$part/files" 9>&- || die "failed to unpack the package"
    "$part/files/usr/bin/prometheus" --version 9>&- >&2 || die "the package's program does not run here"
    mv "$part/files/usr/bin/prometheus" "$program"
fi
printf '%s\n' "$program"
