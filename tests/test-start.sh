#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What tempfiled refuses to start with, and what it takes over: each refusal is one line that names
# the thing and the reason, a documented exit status, and nothing that was there is changed.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

state=$work/daemon/state
status=0
said=

# ---- helpers -----------------------------------------------------------------------------------

# start ARGUMENT...: a daemon that should end by itself; sets $said and $status.
start() {
    local user=()

    ((EUID == 0)) || user=(--user)
    said=$(timeout --kill-after=1 "$patience" "$TEMPFILED" "${user[@]}" "$@" 2>&1)
    status=$?
}

# refused STATUS PATTERN: in one line, or in one and a hint at --help.
refused() {
    local lines

    mapfile -t lines <<<"$said"
    [[ $status == "$1" && ${lines[0]} == *tempfiled:\ $2 ]] || return 1
    ((${#lines[@]} == 1)) || [[ ${#lines[@]} == 2 && ${lines[1]} == "Try 'tempfiled --help'." ]]
}

# check NAME COMMAND...
check() {
    local name=$1
    shift

    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "status: $status" "said: $said"
    fi
}

daemon_stop() {
    end_process "$daemon_pid" TERM
    status=$?
    daemon_pid=
    return "$status"
}

schema_version() { od -An -t u4 --endian=big -j 60 -N 4 "$state/tempfiled.db" | tr -d ' '; }
sum() { cksum "$state/tempfiled.db"; }

# ---- wrong options -----------------------------------------------------------------------------

test_options() {
    start --nonsense
    check "an unknown option: a line, a hint, status 2" refused 2 "*'--nonsense'*"
    start --durability=often
    check "an unknown durability is refused" refused 2 "--durability is power or crash, not 'often'"
    start --socket "$TEMPFILED_SOCKET" --state-dir "$state" serve
    check "an argument is refused" refused 2 "unexpected argument 'serve'"
    said=$(env -u XDG_RUNTIME_DIR "$TEMPFILED" --user --state-dir "$state" 2>&1)
    status=$?
    check "--user without a runtime directory says so" refused 2 "--user without --socket needs *"
}

# ---- the socket --------------------------------------------------------------------------------

test_socket() {
    local long

    long=$work/$(printf '%0120d' 0)
    start --state-dir "$state" --socket "$long"
    check "a path that is too long for a socket" refused 1 "Cannot listen on '$long': File name too long"
    start --state-dir "$state" --socket /proc/no/socket
    check "a socket that can't be made" refused 1 "Cannot listen on '/proc/no/socket': No such file or directory"

    echo precious >"$work/file"
    start --state-dir "$state" --socket "$work/file"
    check "a file in the socket's place is refused" refused 1 "Cannot listen on '$work/file': File exists"
    check "and stays" grep -q precious "$work/file"
}

# ---- the state directory -----------------------------------------------------------------------

test_state() {
    start --socket "$TEMPFILED_SOCKET" --state-dir /proc/no/state
    check "a state directory that can't be made" refused 1 "Cannot use the state directory '/proc/no/state': *"
    start --socket "$TEMPFILED_SOCKET" --state-dir "$work/file"
    check "a file in its place" refused 1 "Cannot use the state directory '$work/file': Not a directory"
}

test_in_use() {
    start --socket "$TEMPFILED_SOCKET" --state-dir "$work/other"
    check "a socket that another daemon serves" refused 1 "The socket '$TEMPFILED_SOCKET' is in use by another daemon"
    start --socket "$work/other-socket" --state-dir "$state"
    check "a state directory that another daemon uses" refused 1 "The state directory '$state' is in use by another daemon, process $daemon_pid"
    check "neither harms the other daemon" daemon_answers
}

test_stop() {
    check "SIGTERM ends it with status 0" daemon_stop
    check "and its socket goes" test ! -e "$TEMPFILED_SOCKET"
}

is_locked() { ! flock -n "$state/lock" true; }

# As a child has it that the daemon was just about to turn into a delegate when it was killed.
test_in_use_for_a_moment() {
    local holder

    echo 4194304 >"$state/lock" # no process has that number
    (flock 9 && exec sleep 1000) 9<>"$state/lock" &
    holder=$!
    disown $holder # the shell is not to say that it was killed
    wait_until is_locked
    start --socket "$work/other-socket" --state-dir "$state"
    check "a state directory that a dead daemon's child has" refused 1 "The state directory '$state' is in use by another daemon"
    { sleep 0.2 && kill -KILL $holder; } &
    check "for a moment only: that is waited for" daemon_start
    check "and it serves" daemon_answers
    check "and ends" daemon_stop
}

# ---- the database ------------------------------------------------------------------------------

set_schema_version() {
    printf '%b' "$(printf '\\x%02x' 0 0 $(($1 / 256)) $(($1 % 256)))" |
        dd of="$state/tempfiled.db" bs=1 seek=60 conv=notrunc status=none
}

test_newer() {
    local version before

    version=$(schema_version)
    set_schema_version 9999
    before=$(sum)
    start --socket "$TEMPFILED_SOCKET" --state-dir "$state"
    check "a newer database is refused" refused 1 "The database in '$state' is of a newer version than this daemon"
    check "and nothing of it is changed" test "$before" == "$(sum)"
    set_schema_version "$version"
}

# Its last pages are overwritten, so that the rest can still be read.
test_damaged() {
    local temporary log=$work/daemon/log

    daemon_start || return
    # By the name of a file in place, so that this shell is the owner.
    temporary=$(TMPDIR=$work "$TEMPFILECTL" mktemp --owner-pid $$)
    daemon_stop
    : >"$log"
    printf 'no database' | dd of="$state/tempfiled.db" conv=notrunc status=none
    check "with a damaged database it starts" daemon_start
    check "and says where the old one is" grep -q "was damaged: set aside as '$state/tempfiled.db.damaged-" "$log"
    check "which is there" test -s "$(compgen -G "$state/tempfiled.db.damaged-*Z")"
    check "what a living process has made stays" test -e "$temporary"
    daemon_stop
}

# is_waiting ENTRY
is_waiting() { "$TEMPFILECTL" show "$1" 2>/dev/null | grep -q waiting; }

# silent_at_first ENTRY LOG: or it was looked for again meanwhile, which is after two seconds.
silent_at_first() {
    ! grep -q "Cannot delete" "$2" || ! "$TEMPFILECTL" list --json | grep -q "\"id\":\"$1\".*\"attempts\":1,"
}

# What is in a directory that is to be deleted, too, finds it moved aside: no reason to warn. The owner
# ends while no daemon is there, and the next one does not have the directory open.
test_away() {
    local owner entry path log=$work/daemon/log

    mkdir -p "$work/there"
    daemon_start || return
    sleep 1000 &
    owner=$!
    path=$(TMPDIR=$work/there "$TEMPFILECTL" mktemp --owner-pid $owner)
    entry=$("$TEMPFILECTL" list --quiet | cut -d " " -f 1)
    daemon_kill
    mv "$work/there" "$work/aside"
    end_process $owner KILL
    : >"$log"
    daemon_start || return
    check "what is in a directory that is away waits" wait_until is_waiting "$entry"
    check "about which nothing is said at first" silent_at_first "$entry" "$log"
    if ((EUID != 0)); then
        chmod 500 "$work/aside"
        mv "$work/aside" "$work/there"
    fi
    "$TEMPFILECTL" reap --force "$entry" >/dev/null 2>&1
    check "but at the second look, whatever it is then" wait_until grep -q "Cannot delete '$path'" "$log"
    if ((EUID != 0)); then
        chmod 700 "$work/there"
    else
        mv "$work/aside" "$work/there"
    fi
    "$TEMPFILECTL" reap --force "$entry" >/dev/null 2>&1
    check "and it is deleted when the directory is back" wait_until test ! -e "$path"
    check "as the daemon ends" daemon_stop
}

# Nothing is closed to root.
test_closed() {
    ((EUID != 0)) || return
    mkdir -m 500 "$work/closed"
    start --socket "$TEMPFILED_SOCKET" --state-dir "$work/closed"
    check "a state directory that can't be written to" refused 1 "Cannot use the state directory '$work/closed': Permission denied"
}

mkdir -p "$work/daemon"
test_options
test_socket
test_state
daemon_start || exit 1
test_in_use
test_stop
test_in_use_for_a_moment
test_newer
test_damaged
test_away
test_closed
tap_plan "$tap_number"
tap_end
