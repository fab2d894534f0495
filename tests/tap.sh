# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Cases of a shell suite, as TAP. To be sourced; wants WORK, a directory of the suite's own.
#
#   check DESCRIPTION COMMAND...     ok when the command succeeds; its output stays in $WORK/said
#   refuse DESCRIPTION COMMAND...    ok when it fails
#   says DESCRIPTION TEXT            ok when the last command's output has the text
#   is DESCRIPTION WANTED GOT
#   tap_end                          the plan; false when a case failed

tap_count=0
tap_failed=0

tap_result() { # 0 or other, description
    tap_count=$((tap_count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tap_count - $2"
    else
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $2"
        tail -n 30 "$WORK/said" | sed 's/^/#   /'
    fi
}

check() {
    local what=$1 rc=0
    shift
    "$@" >"$WORK/said" 2>&1 </dev/null || rc=$?
    tap_result "$rc" "$what"
}

refuse() {
    local what=$1 rc=0
    shift
    "$@" >"$WORK/said" 2>&1 </dev/null || rc=$?
    # It hung (124), could not be started or died: that is no refusal. 125 is podman's own error.
    case $rc in
    0 | 124 | 126 | 127 | 12[89] | 1[3-9]? | 2??) rc=1 ;;
    *) rc=0 ;;
    esac
    tap_result "$rc" "$what"
}

says() {
    local rc=0
    grep -qF -- "$2" "$WORK/said" || rc=1
    tap_result "$rc" "$1"
}

is() {
    printf 'wanted: %s\ngot:    %s\n' "$2" "$3" >"$WORK/said"
    local rc=0
    [ "$2" = "$3" ] || rc=1
    tap_result "$rc" "$1"
}

tap_end() {
    echo "1..$tap_count"
    [ "$tap_failed" = 0 ]
}
