# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A server for a suite. To be sourced after lab.sh; EBB_BINARY names the program (build/ebb).
#
#   ebb_start DIR [ARGUMENT...]  on a free port, data in DIR/data, log in DIR/log; sets REGISTRY=HOST:PORT
#   ebb_stop                     ends it; false when it ended badly: exit status or a sanitizer's report
#
# With accounts, and with TLS when DIR/cert.pem is there (ebb_certificate):
#
#   ebb_start_accounts DIR [ARGUMENT...]   the administrator is `admin` with $EBB_ADMIN_PASSWORD
#   ebb_certificate DIR                    for 127.0.0.1 and localhost; its own root, DIR/cert.pem
#   ebb_api METHOD PATH [JSON]             /api/ebb/v1 as the administrator; prints the body, false unless 2xx
#   ebb_account NAME PASSWORD [PREFIX ROLE]...
#   ebb_deploy_token PREFIX SCOPE,...      prints the secret
#   ebb_personal_token NAME PASSWORD SCOPE,... [PREFIX]   of that account; prints the secret

ebb_pid=
ebb_dir=
ebb_scheme=http

ebb_answers() {
    [[ $(curl -sk -o /dev/null -m 5 -w '%{http_code}' "$ebb_scheme://$REGISTRY/v2/") =~ ^(200|401)$ ]]
}

# Answers, or is gone: both end the wait.
ebb_settled() { ! kill -0 "$ebb_pid" 2>/dev/null || ebb_answers; }

ebb_start() {
    local binary=${EBB_BINARY:-build/ebb} try
    ebb_dir=$1
    shift
    [ -x "$binary" ] || die "no $binary; make build, or set EBB_BINARY"
    mkdir -p "$ebb_dir/data"
    # The port may be taken between the look and the start: then the server ends at once.
    for try in 1 2 3; do
        REGISTRY=127.0.0.1:$(lab_port)
        "$binary" serve --listen "$REGISTRY" --data "$ebb_dir/data" "$@" >"$ebb_dir/log" 2>&1 </dev/null &
        ebb_pid=$!
        lab_wait 30 ebb_settled && kill -0 "$ebb_pid" 2>/dev/null && return 0
        kill -KILL "$ebb_pid" 2>/dev/null || :
        wait "$ebb_pid" || :
        say "the server did not come up (try $try)"
    done
    ebb_pid=
    tail -n 20 "$ebb_dir/log" >&2
    return 1
}

ebb_certificate() {
    mkdir -p "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
        -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null
}

ebb_start_accounts() {
    local dir=$1 tls=()
    shift
    ebb_scheme=http
    if [ -f "$dir/cert.pem" ]; then
        ebb_scheme=https
        tls=(--set "tls.cert=$dir/cert.pem" --set "tls.key=$dir/key.pem")
    fi
    export EBB_ADMIN_PASSWORD=${EBB_ADMIN_PASSWORD:-administrators-password}
    ebb_start "$dir" --set auth.mode=accounts "${tls[@]}" "$@"
}

ebb_api_as() { # NAME:PASSWORD METHOD PATH [JSON]
    local body=()
    [ $# -lt 4 ] || body=(-H 'Content-Type: application/json' --data-binary "$4")
    curl -sSk --fail-with-body -m 60 -u "$1" -X "$2" "${body[@]}" "$ebb_scheme://$REGISTRY/api/ebb/v1$3"
}

ebb_api() { ebb_api_as "admin:$EBB_ADMIN_PASSWORD" "$@"; }

ebb_account() {
    local name=$1
    ebb_api POST /accounts "{\"account\": \"$name\", \"password\": \"$2\"}" >/dev/null || return 1
    shift 2
    while [ $# -ge 2 ]; do
        ebb_api POST /members "{\"prefix\": \"$1\", \"account\": \"$name\", \"role\": \"$2\"}" >/dev/null || return 1
        shift 2
    done
}

ebb_scopes() { jq -cn --arg s "$1" '$s | split(",")'; }

ebb_deploy_token() {
    ebb_api POST /tokens "{\"name\": \"deploy\", \"deploy\": true, \"prefix\": \"$1\",
        \"scopes\": $(ebb_scopes "$2")}" | jq -er .secret
}

ebb_personal_token() {
    ebb_api_as "$1:$2" POST /tokens "{\"name\": \"personal\", \"prefix\": \"${4:-}\",
        \"scopes\": $(ebb_scopes "$3")}" | jq -er .secret
}

ebb_ended() { ! kill -0 "$ebb_pid" 2>/dev/null; }

ebb_stop() {
    local rc=0
    [ -n "$ebb_pid" ] || return 0
    kill -TERM "$ebb_pid" 2>/dev/null || :
    lab_wait 30 ebb_ended || {
        say "the server did not stop within 30 s; killing it"
        kill -KILL "$ebb_pid"
    }
    wait "$ebb_pid" || rc=$?
    ebb_pid=
    if [ "$rc" != 0 ] || grep -qE 'ERROR: [A-Za-z]+Sanitizer|runtime error:' "$ebb_dir/log"; then
        say "the server ended badly (status $rc)"
        tail -n 40 "$ebb_dir/log" >&2
        return 1
    fi
}
