# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the clients' files share. To be sourced first. The runner gives:
#   REGISTRY   host:port of a registry that is empty, open to everyone, in plain http
#   WORK       a directory of this client's own
#   IMAGES     what make-images made: hello, layout/
#   CLIENTS    folders of the Go and Python clients, as in PATH

set -euo pipefail
: "${REGISTRY:?start this by tests/clients/run}" "${WORK:?}" "${IMAGES:?}" "${CLIENTS:=}"
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/tap.sh
. "$here/../tap.sh"
PATH=$CLIENTS:$PATH
# No client reads or writes the settings of whoever runs this.
export HOME=$WORK/home XDG_CONFIG_HOME=$WORK/home/.config XDG_CACHE_HOME=$WORK/home/.cache
mkdir -p "$HOME"

# lab NAME: starts what tests/lab/NAME starts, for this client alone, until it ends.
lab() {
    local settings
    export LAB_DIR=$WORK/lab CONTAINERS_LAB_HTTP=$REGISTRY
    lab_used=$here/../lab/$1
    trap '"$lab_used" purge' EXIT
    settings=$("$lab_used" up)
    set -a
    eval "$settings"
    set +a
}

accept='application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json,
 application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json'
accept=${accept//$'\n'/}

# api METHOD PATH [curl options]: the status; body in $WORK/body, headers in $WORK/head.
api() {
    local method=$1 path=$2 verb
    shift 2
    verb=(-X "$method")
    [ "$method" != HEAD ] || verb=(-I)
    curl -s -m 60 -o "$WORK/body" -D "$WORK/head" -w '%{http_code}' -H "Accept: $accept" \
        "${verb[@]}" "$@" "http://$REGISTRY/v2/$path" || :
}

header() { sed -n "s/^$1: *//Ip" "$WORK/head" | tr -d '\r' | tail -n 1; }

# digest_of REPOSITORY REFERENCE: as the registry tells it.
digest_of() {
    api HEAD "$1/manifests/$2" >/dev/null
    header docker-content-digest
}

# referrers REPOSITORY DIGEST[?QUERY]: digests of what refers to it, as the registry itself lists them.
referrers() {
    local status
    status=$(api GET "$1/referrers/$2")
    if [ "$status" = 200 ]; then jq -r '.manifests[].digest' "$WORK/body"; else echo "status $status"; fi
}

# layout_digest NAME: of a manifest in the layout that make-images made.
layout_digest() {
    jq -r --arg name "$1" '.manifests[]
        | select(.annotations["org.opencontainers.image.ref.name"] == $name).digest' \
        "${2:-$IMAGES/layout}/index.json"
}

# same_manifest REPOSITORY REFERENCE LAYOUT-NAME: the registry serves the layout's very bytes.
same_manifest() {
    api GET "$1/manifests/$2" >/dev/null
    cmp "$WORK/body" "$IMAGES/layout/blobs/sha256/$(layout_digest "$3" | cut -d: -f2)"
}

# whole REPOSITORY DIGEST: a manifest, its children and every blob they name are there, and the
# blobs' bytes are those of their digests.
whole() {
    local text child blob
    [ "$(api GET "$1/manifests/$2")" = 200 ] || return 1
    text=$(cat "$WORK/body")
    for child in $(jq -r '.manifests // [] | .[].digest' <<<"$text"); do
        whole "$1" "$child" || return 1
    done
    for blob in $(jq -r '[.config // empty] + (.layers // []) | .[].digest' <<<"$text"); do
        [ "$(curl -sf -m 60 "http://$REGISTRY/v2/$1/blobs/$blob" | sha256sum | cut -d' ' -f1)" = "${blob#*:}" ] ||
            { echo "$1: $blob is not what it should be"; return 1; }
    done
}

# gone REPOSITORY REFERENCE...: for the very next request.
gone() {
    local repository=$1 reference
    shift
    for reference; do
        [ "$(api GET "$repository/manifests/$reference")" = 404 ] || { echo "$reference is still there"; return 1; }
    done
}

# The digest that stands in what the last command printed.
printed_digest() { grep -oE 'sha256:[0-9a-f]{64}' "$WORK/said" | tail -n 1; }
