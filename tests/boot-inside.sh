#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Run by test-boot.sh inside the container, as a service: the cases themselves. Each boot has a list
# of its own.
#
#     boot-inside.sh BOOT OUT     BOOT: 1, 2, 3; OUT: a directory that the other side reads
#
# Writes TAP without numbers to OUT/results. What waits looks again until it is so, or gives up
# after $patience seconds.

set -u
boot=$1
out=$2
patience=60
persistent=/srv/boot-test # the same directory in each boot
work=$persistent/work
memory=/dev/shm/boot-test
exec >>"$out/results" 2>>"$out/errors"

ok() { printf 'ok - %s\n' "$1"; }
not_ok() { printf 'not ok - %s\n' "$1"; }
skip() { printf 'ok - %s # SKIP %s\n' "$1" "$2"; }
note() { sed 's/^/# /' <<<"$*"; }

# check NAME COMMAND...
check() {
    local name=$1 said
    shift

    if said=$("$@" 2>&1); then
        ok "$name"
    else
        not_ok "$name"
        note "$said"
        note "$(journalctl -b -u tempfiled.service --no-pager -n 15 -o short-precise 2>&1)"
    fi
}

# wait_until COMMAND...
wait_until() {
    local deadline=$((SECONDS + patience))

    until "$@"; do
        ((SECONDS < deadline)) || { echo "not within $patience seconds: $*"; return 1; }
        read -r -t 0.02 <> <(:) # an interval between two looks
    done
    return 0
}

count() { find "$1" -mindepth 1 2>/dev/null | wc -l; }
is_empty() { [[ -d $1 && $(count "$1") == 0 ]]; }
holds() { [[ $(count "$1") == "$2" ]]; }
property() { systemctl show --value -p "$2" "$1"; }
is_active() { [[ $(property "$1" ActiveState) == active ]]; }
is_inactive() { [[ $(property "$1" ActiveState) == inactive ]]; }

# make_directory PATH [USER]
make_directory() {
    mkdir -p "$1" && chown "${2-root}" "$1"
}

# start UNIT DIRECTIVE... -- COMMAND...: a service that says when it is ready
start() {
    local unit=$1 options=()
    shift

    while [[ $1 != -- ]]; do options+=(-p "$1") && shift; done
    shift
    systemctl reset-failed "$unit" 2>/dev/null
    systemd-run -q --unit="$unit" -p Type=notify -p NotifyAccess=all "${options[@]}" "$@"
}

kill_service() { # with all that is in it
    systemctl kill --signal=KILL "$1" && wait_until is_gone "$1"
}

is_gone() { [[ $(property "$1" ActiveState) =~ ^(inactive|failed)$ ]]; }

daemon_pid() { property tempfiled.service MainPID; }

# What is said of the old one may be said a moment later than its end.
is_other_daemon() {
    local pid

    pid=$(daemon_pid)
    [[ $pid != 0 && $pid != "$1" ]] && is_active tempfiled.service
}

# signal_daemon SIGNAL: which it does not survive
signal_daemon() {
    local before

    before=$(daemon_pid)
    [[ $before != 0 ]] && kill "-$1" "$before" && wait_until is_other_daemon "$before"
}

kill_daemon() { signal_daemon KILL; }

restart_daemon() { systemctl restart tempfiled.service; }

# ---- socket, status, reload --------------------------------------------------------------------

is_listening_only() {
    is_active tempfiled.socket && is_inactive tempfiled.service
}

first_client_starts_it() {
    tempfilectl status >/dev/null && is_active tempfiled.service
}

says() { [[ $(property tempfiled.service StatusText) =~ $1 ]]; }

status_says_how_it_goes() {
    make_directory "$work/status"
    start status LimitNOFILE=4096 -- boot-client hold "$work/status" 1234 &&
        wait_until says '^[0-9]+ owners?, 1,234 entries, 0 leaked$' &&
        kill_service status.service && wait_until says ' 0 entries, 0 leaked$' ||
        { property tempfiled.service StatusText; return 1; }
}

reload_changes_nothing() {
    local before

    before=$(daemon_pid)
    systemctl reload tempfiled.service && wait_until is_active tempfiled.service &&
        [[ $(daemon_pid) == "$before" ]] && tempfilectl status >/dev/null
}

# ---- services ----------------------------------------------------------------------------------

killed_service_leaves_nothing() {
    make_directory "$work/leak" || return 1
    start leak -- boot-client hold "$work/leak" 100 && holds "$work/leak" 100 &&
        kill_service leak.service && wait_until is_empty "$work/leak"
}

stopped_service_leaves_nothing() {
    make_directory "$work/stop"
    start stop -- boot-client hold "$work/stop" 100 && holds "$work/stop" 100 &&
        systemctl stop stop.service && wait_until is_empty "$work/stop"
}

# The maker ends long before the service does.
units_files_go_with_the_unit() {
    make_directory "$work/unit"
    # shellcheck disable=SC2016
    start unit -- /bin/sh -c 'boot-client hold "$0" 10 unit & sleep infinity & wait' "$work/unit" &&
        kill -KILL "$(pid_in unit.service boot-client)" &&
        wait_until no_pid_in unit.service boot-client &&
        holds "$work/unit" 10 &&
        systemctl stop unit.service && wait_until is_empty "$work/unit"
}

# pid_in UNIT COMMAND
pid_in() {
    local status

    for status in /proc/[0-9]*; do
        grep -qs "/$1" "$status/cgroup" && [[ $(cat "$status/comm" 2>/dev/null) == "$2" ]] &&
            [[ $(cut -d' ' -f3 "$status/stat") != Z ]] && echo "${status#/proc/}" && return 0
    done
    return 1
}

no_pid_in() { ! pid_in "$@" >/dev/null; }

# sandboxed NAME BETWEEN DIRECTORY DIRECTIVE...: a client in a service that sees other mounts is
# killed, while the service lives on (its private directories would go with it). BETWEEN is done to
# the daemon first.
sandboxed() {
    local unit=sandboxed-$1 between=$2 dir=$3 seen
    shift 3

    # shellcheck disable=SC2016
    start "$unit" "$@" -- \
        /bin/sh -c 'mkdir -p "$0"; boot-client hold "$0" 20 & sleep infinity & wait' "$dir" || return 1
    seen=/proc/$(property "$unit.service" MainPID)/root$dir
    holds "$seen" 20 && "$between" && holds "$seen" 20 &&
        kill -KILL "$(pid_in "$unit.service" boot-client)" &&
        wait_until is_empty "$seen" || { tempfilectl list; systemctl stop "$unit.service"; return 1; }
    systemctl stop "$unit.service"
}

check_sandboxes() {
    local between

    make_directory "$work/strict"
    for between in true kill_daemon restart_daemon; do
        check "PrivateTmp=yes, then $between" sandboxed "private-$between" "$between" \
            /tmp/held PrivateTmp=yes
        check "DynamicUser=yes, then $between" sandboxed "dynamic-$between" "$between" \
            /var/tmp/held DynamicUser=yes
        check "ProtectSystem=strict, then $between" sandboxed "strict-$between" "$between" \
            "$work/strict" ProtectSystem=strict "ReadWritePaths=$work/strict"
    done
}

no_descriptor_is_kept() { [[ $(property tempfiled.service NFileDescriptorStore) == 0 ]]; }

# ---- load --------------------------------------------------------------------------------------

load_begin() {
    local i

    for i in 1 2; do
        make_directory "$work/load-$i" && make_directory "$memory/load-$i" &&
            start "load-$i" -- boot-client churn "$work/load-$i" &&
            start "load-m$i" -- boot-client churn "$memory/load-$i" || return 1
    done
}

load_is_on() {
    local unit

    for unit in load-1 load-2 load-m1 load-m2; do
        is_active "$unit.service" || { journalctl -b -u "$unit" -n 3; return 1; }
    done
}

load_end() {
    local dir

    systemctl kill --signal=KILL load-1 load-2 load-m1 load-m2
    for dir in "$work" "$memory"; do
        wait_until is_empty "$dir/load-1" && wait_until is_empty "$dir/load-2" ||
            { find "$dir" | head; tempfilectl list | head; return 1; }
    done
}

under_load() {
    local times=$1 i
    shift

    load_begin || return 1
    for ((i = 0; i < times; i++)); do
        "$@" && load_is_on || return 1
    done
    load_end
}

hang_the_daemon() { signal_daemon STOP; } # the watchdog ends it

watchdog_ends_a_hang() {
    mkdir -p /run/systemd/system/tempfiled.service.d
    printf '[Service]\nWatchdogSec=2s\n' >/run/systemd/system/tempfiled.service.d/watchdog.conf
    systemctl daemon-reload && restart_daemon && under_load 1 hang_the_daemon || return 1
    rm -r /run/systemd/system/tempfiled.service.d
    systemctl daemon-reload && restart_daemon
}

ended_while_stopped() {
    make_directory "$work/down"
    start down -- boot-client hold "$work/down" 50 &&
        systemctl stop tempfiled.socket tempfiled.service 2>/dev/null &&
        kill_service down.service && holds "$work/down" 50 &&
        systemctl start tempfiled.service && wait_until is_empty "$work/down"
}

# ---- users -------------------------------------------------------------------------------------

as() { # as USER COMMAND...
    setpriv --reuid="$1" --regid=nogroup --clear-groups env "XDG_RUNTIME_DIR=/run/user/$(id -u "$1")" "${@:2}"
}

users_see_and_delete_their_own() {
    local user

    make_directory "$work/users" && chmod 1777 "$work/users"
    for user in tf-alice tf-bob; do
        start "of-$user" "User=$user" -- boot-client hold "$work/users" 10 || return 1
    done
    [[ $(as tf-alice tempfilectl list --no-legend | wc -l) == 10 ]] || { echo "alice sees too much"; return 1; }
    [[ $(tempfilectl list --no-legend | grep -c "$work/users") == 20 ]] || { echo "root sees too little"; return 1; }
    kill_service of-tf-alice.service && wait_until holds "$work/users" 10 &&
        [[ -z $(find "$work/users" -user tf-alice) ]] &&
        kill_service of-tf-bob.service && wait_until is_empty "$work/users"
}

# Where not even root is let in, and the daemon's sandbox must let a process become the user.
users_own_mount() {
    local dir=$work/fuse

    make_directory "$dir" && make_directory "$dir/backing" tf-alice && make_directory "$dir/mnt" tf-alice
    start fuse -- boot-client mount "$dir/mnt" "$dir/backing" "$(id -u tf-alice)" &&
        ! ls "$dir/mnt" 2>/dev/null &&
        start on-fuse User=tf-alice -- boot-client hold "$dir/mnt" 10 && holds "$dir/backing" 10 &&
        kill_service on-fuse.service && wait_until is_empty "$dir/backing" || { tempfilectl list; return 1; }
    systemctl stop fuse.service
}

user_instance() {
    local uid

    uid=$(id -u tf-alice)
    make_directory "$work/own" tf-alice
    as tf-alice systemctl --user enable --now tempfiled.socket &&
        as tf-alice systemd-run --user -q --unit=own -p Type=notify -p NotifyAccess=all \
            --setenv="TEMPFILED_SOCKET=/run/user/$uid/tempfiled/socket" \
            boot-client hold "$work/own" 30 &&
        holds "$work/own" 30 && [[ $(as tf-alice tempfilectl --user list --no-legend | wc -l) == 30 ]] &&
        as tf-alice systemctl --user restart tempfiled.service &&
        as tf-alice systemctl --user kill --signal=KILL own.service &&
        wait_until is_empty "$work/own" &&
        as tf-alice systemctl --user disable --now tempfiled.socket tempfiled.service
}

# ---- journal -----------------------------------------------------------------------------------

said() { # said MESSAGE-ID FIELD...
    journalctl -b -q --no-pager SYSLOG_IDENTIFIER=tempfiled MESSAGE_ID="$1" "${@:2}" | grep -q .
}

stuck_is_explained() {
    local id=5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b31 path fields name

    make_directory "$work/stuck" tf-bob
    start stuck User=tf-bob -- boot-client hold "$work/stuck" 1 || return 1
    path=$(find "$work/stuck" -type f)
    chown root "$work/stuck"
    kill_service stuck.service && wait_until said "$id" "TEMPFILED_PATH=$path" || return 1
    fields=$(journalctl -b -o export MESSAGE_ID="$id" "TEMPFILED_PATH=$path")
    for name in MESSAGE PRIORITY TEMPFILED_ENTRY TEMPFILED_UID=60012 ERRNO=13 TEMPFILED_OWNER_PID \
        TEMPFILED_UNIT=stuck.service; do
        grep -q "^$name" <<<"$fields" || { echo "no $name in:"; echo "$fields"; return 1; }
    done
    journalctl -b -x -t tempfiled --no-pager | grep -q 'tempfilectl reap --all' ||
        { echo "not explained"; return 1; }
    chown tf-bob "$work/stuck"
    tempfilectl reap --all && wait_until is_empty "$work/stuck"
}

# Nothing ended that was not meant to (SIGSYS is the sandbox's), and nothing failed but what was made to.
journal_has_no_complaints() {
    ! journalctl -b -q --no-pager -u tempfiled.service | grep -E 'status=31/SYS|SEGV|exit-code' &&
        ! journalctl -b -q --no-pager -t tempfiled | grep -v "$work/stuck/"
}

units_are_clean() {
    local said

    said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no \
        tempfiled.socket tempfiled.service 2>&1) && [[ $said != *tempfiled* ]] || { echo "$said"; return 1; }
}

show_score() {
    note "$(systemd-analyze security --no-pager tempfiled.service | tail -n 1)"
}

# ---- the boots ---------------------------------------------------------------------------------

first_boot() {
    journalctl --update-catalog
    ldconfig
    check "the units are well-formed" units_are_clean
    systemctl enable -q --now tempfiled.socket
    check "after enabling, only the socket is there" is_listening_only
    check "the first client starts the daemon" first_client_starts_it
    check "the status says how it goes" status_says_how_it_goes
    check "a reload changes nothing" reload_changes_nothing
    check "a service that is killed leaves nothing" killed_service_leaves_nothing
    check "a service that is stopped leaves nothing" stopped_service_leaves_nothing
    check "what is a unit's goes when the unit stops" units_files_go_with_the_unit
    check_sandboxes
    check "kill -9 under load loses nothing" under_load 5 kill_daemon
    check "systemctl restart under load loses nothing" under_load 5 restart_daemon
    check "a hang is caught by the watchdog and loses nothing" watchdog_ends_a_hang
    check "what ended while the daemon was stopped is reaped at its start" ended_while_stopped
    check "each user has what is his" users_see_and_delete_their_own
    if [[ -c /dev/fuse ]]; then
        check "what is on a user's own FUSE mount is deleted" users_own_mount
    else
        skip "what is on a user's own FUSE mount is deleted" "there is no /dev/fuse"
    fi
    if systemctl start "user@$(id -u tf-alice).service"; then
        check "a user has an instance of his own" user_instance
    else
        skip "a user has an instance of his own" "no service manager for users starts here"
    fi
    check "what is stuck is in the journal, with fields and an explanation" stuck_is_explained
    check "in the end no descriptor is kept" wait_until no_descriptor_is_kept
    check "the journal has no complaints" journal_has_no_complaints
    show_score
    # The machine goes down with this.
    make_directory "$persistent/left"
    check "a service is at work when the machine goes down" \
        start left -- boot-client hold "$persistent/left" 200
}

# What the daemon knows, and may have known wrongly, for a failure that can't be repeated at will.
show_daemon() {
    echo "$(count "$persistent/left") left in $(stat -f -c 'a file system of type %T, id %i' "$persistent")"
    echo "boot id here $(cat /proc/sys/kernel/random/boot_id), for the daemon $(nsenter -m \
        -t "$(daemon_pid)" cat /proc/sys/kernel/random/boot_id), $(readlink /proc/self/ns/pid)"
    tempfilectl status
    tempfilectl list | head -n 5
}

reaped_at_boot() {
    wait_until is_empty "$persistent/left" || { show_daemon; return 1; }
}

second_boot() {
    check "what the last boot left is reaped without being asked for" reaped_at_boot
    check "the daemon runs" is_active tempfiled.service
    check "it can be disabled and stopped" systemctl disable -q --now tempfiled.service tempfiled.socket
    check "its socket is gone" test ! -e /run/tempfiled/socket
}

# ---- the packages ------------------------------------------------------------------------------

packages_install() { dpkg -i "$out"/packages/*.deb; }

# By nothing but the maintainers' scripts.
packages_enable_the_socket() {
    systemctl is-enabled tempfiled.socket tempfiled.service &&
        wait_until is_active tempfiled.socket && wait_until is_active tempfiled.service
}

program_built_with_them_leaves_nothing() {
    local program=$persistent/named flags

    make_directory "$work/program"
    flags=$(pkg-config --cflags --libs libtempfile) || return 1
    # shellcheck disable=SC2086
    cc "$out/packages/source/tests/examples/named.c" -o "$program" $flags &&
        start program "Environment=TMPDIR=$work/program" -- \
            "$program" 'systemd-notify --ready; sleep infinity' &&
        holds "$work/program" 1 && kill_service program.service && wait_until is_empty "$work/program"
}

entry_is_pending() {
    make_directory "$work/pending"
    start pending -- boot-client hold "$work/pending" 1 &&
        tempfilectl list --no-legend | grep "$work/pending/"
}

is_leaked() { tempfilectl list --leaked --no-legend | grep -q "$1/"; }

entry_is_leaked() {
    make_directory "$work/due" tf-bob
    start due User=tf-bob -- boot-client hold "$work/due" 1 && chown root "$work/due" &&
        kill_service due.service && wait_until is_leaked "$work/due"
}

packages_purge() {
    chown tf-bob "$work/due"
    dpkg --purge tempfiled libtempfile-dev libtempfile0 >"$out/purge" 2>&1 || { cat "$out/purge"; return 1; }
}

purge_says_what_stays() {
    grep -q "can't be deleted: 1\. Without" "$out/purge" && grep -q "$work/pending/" "$out/purge" &&
        holds "$work/pending" 1 || { cat "$out/purge"; return 1; }
}

packages_leave_nothing() {
    local path

    is_inactive tempfiled.service && is_inactive tempfiled.socket || { echo "a unit is active"; return 1; }
    [[ -z $(systemctl list-unit-files --no-legend 'tempfiled*') ]] || { echo "a unit is there"; return 1; }
    for path in /run/tempfiled /var/lib/tempfiled; do
        [[ ! -e $path ]] || { ls -lR "$path"; return 1; }
    done
}

third_boot() {
    check "the packages can be installed" packages_install
    check "they enable and start the socket" packages_enable_the_socket
    check "a program built with them is killed and leaves nothing" program_built_with_them_leaves_nothing
    check "an entry is pending" entry_is_pending
    check "one that is leaked can be deleted by now" entry_is_leaked
    check "the packages can be purged" packages_purge
    check "purging reaps first" is_empty "$work/due"
    check "purging says what stays, and leaves it" purge_says_what_stays
    check "no unit, no socket and no state is left" packages_leave_nothing
    kill_service pending.service
}

touch "$out/started"
mkdir -p "$work"
case $boot in
1) first_boot ;;
2) second_boot ;;
3) third_boot ;;
esac
cp /proc/uptime "$out/finished"
journalctl -b --no-pager -o short-precise >"$out/journal-$boot" 2>&1
# The first time as when the power goes; then in order.
if [[ $boot == 1 ]]; then
    systemctl poweroff --force --force
else
    systemctl poweroff --no-block
fi
