# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For test scripts, to be sourced: TAP, a work directory that vanishes, and a private daemon in it
# that can be killed and started again.
#
# Needs $TEMPFILED and $TEMPFILECTL. Provides $work; $TEMPFILED_SOCKET is exported. Everything that
# waits polls for an event and gives up after $patience seconds; nothing waits for time to pass.

: "${TEMPFILED:?the daemon to test}" "${TEMPFILECTL:?the tool to test}"

work=$(mktemp -d "${TMPDIR:-/tmp}/tempfiled-test-XXXXXX") || exit 99
patience=60
tap_number=0
tap_failed=0
daemon_pid=
exec {idle}<> <(:) # a pipe that nothing ever comes from
export TEMPFILED_SOCKET=$work/daemon/socket

tap_plan() { printf '1..%d\n' "$1"; }
tap_ok() { printf 'ok %d - %s\n' $((tap_number += 1)) "$*"; }
tap_skip() { printf 'ok %d - %s # SKIP %s\n' $((tap_number += 1)) "$1" "$2"; }
tap_note() { printf '%s\n' "$@" | sed 's/^/# /'; }

tap_not_ok() {
    printf 'not ok %d - %s\n' $((tap_number += 1)) "$*"
    tap_failed=$((tap_failed + 1))
}

tap_end() { [[ $tap_failed == 0 ]]; }

# ---- the tool, as its users call it; a script whose needs differ has its own of these -----------

# Where the tool is, and what the last call of ctl left.
ctl=$TEMPFILECTL
status=0
out=
err=

# ctl ARGUMENT...: sets $out, $err and $status.
ctl() {
    "$ctl" "$@" >"$work/out" 2>"$work/err"
    status=$?
    out=$(<"$work/out")
    err=$(<"$work/err")
}

# check NAME COMMAND...: a case that holds if the command succeeds.
check() {
    local name=$1

    shift
    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "status: $status" "out: $out" "err: $err"
    fi
}

# ---- waiting, and the daemon ---------------------------------------------------------------------

now_msec() { local t=$EPOCHREALTIME; echo $((${t/[.,]/} / 1000)); }

# wait_until COMMAND...: polls until it succeeds. Fails after $patience seconds.
wait_until() {
    local deadline=$(($(now_msec) + patience * 1000))

    until "$@"; do
        (($(now_msec) < deadline)) || return 1
        read -r -t 0.01 -u "$idle" # an interval between two looks
    done
    return 0
}

daemon_answers() { "$TEMPFILECTL" status >/dev/null 2>&1; }

daemon_start() {
    local user=()

    ((EUID == 0)) || user=(--user)
    mkdir -p "$work/daemon"
    "$TEMPFILED" "${user[@]}" --socket "$TEMPFILED_SOCKET" --state-dir "$work/daemon/state" --config /dev/null \
        >>"$work/daemon/log" 2>&1 &
    daemon_pid=$!
    wait_until daemon_answers && return 0
    tap_note "the daemon does not answer" "$(tail -n 5 "$work/daemon/log")"
    return 1
}

# end_process PID SIGNAL: kills a child of this script and takes its status, without the shell's
# message about it.
end_process() {
    kill "-$2" "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

daemon_kill() {
    [[ -n $daemon_pid ]] && end_process "$daemon_pid" KILL
    daemon_pid=
}

fixture_end() {
    daemon_kill
    rm -rf "$work"
}
trap fixture_end EXIT
trap 'exit 1' HUP INT TERM
