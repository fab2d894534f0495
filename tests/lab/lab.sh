# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of this folder share. To be sourced.
#
# Contract of every script here: it keeps to one directory and to 127.0.0.1, ends only processes that
# it can prove to be its own, can be run again at any time, prints KEY=VALUE lines on stdout and all
# else on stderr, and takes its options from the environment (listed at its head).

lab_name=${0##*/}
say() { printf '%s: %s\n' "$lab_name" "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# need SET COMMAND...: every command is there, or say which package set brings it.
need() {
    local set=$1 command
    shift
    for command; do
        command -v "$command" >/dev/null || die "no $command here; tools/install-deps $set"
    done
}

# lab_dir NAME: makes the script's folder within LAB_DIR and prints its absolute path.
lab_dir() {
    local dir=${LAB_DIR:-/tmp/ebb-lab}/$1
    mkdir -p "$dir" && (cd "$dir" && pwd)
}

# Processes are known by what their command line names: a pid alone may have been given to another.
# lab_owns PID TEXT: that process has TEXT in its command line.
lab_owns() {
    { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF -- "$2"
}

# lab_alive PIDFILE TEXT
lab_alive() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && lab_owns "$pid" "$2"
}

# lab_wait SECONDS COMMAND...: until it succeeds; false when the time is over.
lab_wait() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

lab_gone() { ! lab_owns "$1" "$2"; }

# lab_stop PIDFILE TEXT SECONDS: asks the process to end, kills it when it does not.
lab_stop() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    rm -f "$1"
    [ -n "$pid" ] && lab_owns "$pid" "$2" || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    lab_wait "$3" lab_gone "$pid" "$2" && return 0
    say "$pid still runs after $3 s; killing it"
    kill -KILL "$pid" 2>/dev/null || return 0
    lab_wait 5 lab_gone "$pid" "$2" || die "could not end $pid"
}

# lab_remove DIR: what containers left mounted below it goes first.
lab_remove() {
    awk -v d="$1/" 'index($2, d) == 1 { print $2 }' /proc/self/mounts | sort -r |
        while IFS= read -r mount; do umount "$mount" || umount -l "$mount"; done
    rm -rf --one-file-system "$1"
}

# lab_usage LINES: the head of the script is its manual.
lab_usage() {
    sed -n "3,$1s/^# \\{0,1\\}//p" "$0" >&2
    exit 2
}

# A port nobody listens on at the moment.
lab_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# lab_port_busy PORT
lab_port_busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
