# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the clients' files share that log in. To be sourced first, in place of matrix.sh; the runner starts
# the registry with accounts. Afterwards there are, on `team`, with these passwords:
#   dev dev-password-1 (developer), mia mia-password-1 (maintainer), gus gus-password-1 (guest)
# a deploy token for `team` that may pull ($pull_token), and images: team/ready:1 and open/app:1, which is public.

# shellcheck source=tests/clients/matrix.sh
. "$(dirname "$0")/matrix.sh"
# shellcheck source=tests/lab/lab.sh
. "$here/../lab/lab.sh"
# shellcheck source=tests/lab/ebb.sh
. "$here/../lab/ebb.sh"
: "${EBB_ADMIN_PASSWORD:?the registry has to have accounts}"

layout=oci:$IMAGES/layout
cert=$WORK/server/cert.pem
[ ! -f "$cert" ] || ebb_scheme=https
ebb_account dev dev-password-1 team developer
ebb_account mia mia-password-1 team maintainer
ebb_account gus gus-password-1 team guest
pull_token=$(ebb_deploy_token team pull)
ebb_api POST /visibility '{"prefix": "open", "public": true}' >/dev/null
for image in team/ready open/app; do
    skopeo copy -q --preserve-digests --dest-tls-verify=false --dest-creds "admin:$EBB_ADMIN_PASSWORD" \
        "$layout:amd64" "docker://$REGISTRY/$image:1"
done
# is_there REPOSITORY REFERENCE, is_gone REPOSITORY REFERENCE: as the administrator sees it
seen() {
    curl -sk -m 60 -o "$WORK/body" -w '%{http_code}' -H "Accept: $accept" -u "admin:$EBB_ADMIN_PASSWORD" -I \
        "$ebb_scheme://$REGISTRY/v2/$1/manifests/$2"
}
is_there() { [ "$(seen "$@")" = 200 ]; }
is_gone() { [ "$(seen "$@")" = 404 ]; }
