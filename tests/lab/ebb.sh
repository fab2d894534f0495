# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A server for a suite. To be sourced after lab.sh; EBB_BINARY names the program (build/ebb).
#
#   ebb_start DIR [ARGUMENT...]  on a free port, data in DIR/data, log in DIR/log; sets REGISTRY=HOST:PORT
#   ebb_stop                     ends it; false when it ended badly: exit status or a sanitizer's report

ebb_pid=
ebb_dir=

ebb_answers() { [ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' "http://$REGISTRY/v2/")" = 200 ]; }

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
