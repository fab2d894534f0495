# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the clients' files share that speak Azure's API. To be sourced first, in place of matrix.sh; the
# runner starts the registry with accounts and TLS. Afterwards there are anna (maintainer on team, with
# annas-password) and gus (guest there, with gus-password), open is public, and images: team/app:v1 and :latest (one manifest),
# team/app:v2, team/app:multi, open/app:1.

# shellcheck source=tests/clients/matrix.sh
. "$(dirname "$0")/matrix.sh"
# shellcheck source=tests/lab/lab.sh
. "$here/../lab/lab.sh"
# shellcheck source=tests/lab/ebb.sh
. "$here/../lab/ebb.sh"
: "${EBB_ADMIN_PASSWORD:?the registry has to have accounts}"

ebb_scheme=https
certificate=$WORK/server/cert.pem
export REQUESTS_CA_BUNDLE=$certificate SSL_CERT_FILE=$certificate
ebb_account anna annas-password team maintainer
ebb_account gus gus-password team guest
ebb_api POST /visibility '{"prefix": "open", "public": true}' >/dev/null

# put REPOSITORY TAG LAYOUT-NAME [LAYOUT]: as the administrator.
put() {
    skopeo copy -q --all --preserve-digests --dest-tls-verify=false --dest-creds "admin:$EBB_ADMIN_PASSWORD" \
        "oci:${4:-$IMAGES/layout}:$3" "docker://$REGISTRY/$1:$2"
}
put team/app v1 amd64
put team/app latest amd64
"$here/make-images" "$WORK/more"
"$here/make-images" "$WORK/parts"
put team/app v2 amd64 "$WORK/more/layout"
put team/app multi multi "$WORK/parts/layout"
put open/app 1 arm64

# status METHOD PATH [curl options]: as anna; the body in $WORK/body, headers in $WORK/head.
status() {
    local method=$1 path=$2
    shift 2
    curl -sk -m 60 -o "$WORK/body" -D "$WORK/head" -w '%{http_code}' -u anna:annas-password -X "$method" "$@" \
        "https://$REGISTRY$path"
}
is_there() { [ "$(status GET "/v2/$1/manifests/$2" -H "Accept: $accept")" = 200 ]; }
is_gone() { [ "$(status GET "/v2/$1/manifests/$2" -H "Accept: $accept")" = 404 ]; }
