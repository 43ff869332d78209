#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl run with a process in between, and without one: whose the directory is, how long it
# stays, and that the command and its caller do not notice.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

files=$work/files

mkdir "$files"
export TMPDIR=$files ctl work

is_empty() { [[ -z $(ls -A "$1") ]]; }
is_filled() { ! is_empty "$1"; }
is_there() { [[ -e $1 ]]; }
is_over() { ! kill -0 "$1" 2>/dev/null; }
has_line() { grep -qx "$1" "$2" 2>/dev/null; }
state_of() { "$ctl" list --no-legend | awk -v path="$1" '$NF == path { print $2 }'; }
is_in_state() { [[ $(state_of "$1") == "$2" ]]; }

test_environment() {
    ctl run --env=WORK sh -c 'echo "$WORK"; test -d "$WORK"; echo "$TMPDIR"'
    check "--env names the directory" [ "$status:${out%/run-*}" = "0:$files" ]
    check "and leaves TMPDIR alone" [ "${out#*$'\n'}" = "$files" ]
    for name in 1A A-B "" =; do
        ctl run --env="$name" true
        check "--env refuses what is no variable: '$name'" [ "$status:$out:${err%%:*}" = 2::tempfilectl ]
    done
    for name in 0 x -1 ""; do
        ctl run --retain="$name" true
        check "--retain refuses what is no time: '$name'" [ "$status:$out:${err%%:*}" = 2::tempfilectl ]
    done
}

test_retain() {
    "$ctl" run --retain=1h sh -c 'echo "$$ $TMPDIR"; exit 3' >"$work/out" &
    wait $!
    status=$?
    out=$(<"$work/out")
    check "--retain takes no process in between" [ "${out%% *}:$status" = "$!:3" ]
    check "--retain lets the directory outlive the command" wait_until is_in_state "${out#* }" retained
    "$ctl" reap -qf "${out#* }"
}

test_keep_on_failure() {
    ctl run --keep-on-failure sh -c 'touch "$TMPDIR/inside"'
    check "--keep-on-failure: success" [ "$status:$out$err" = 0: ]
    check "leaves nothing, at once" is_empty "$files"
    ctl run --keep-on-failure sh -c 'touch "$TMPDIR/inside"; echo "$TMPDIR"; exit 7'
    check "--keep-on-failure: failure" [ "$status" = 7 ]
    check "leaves the directory" is_there "$out/inside"
    check "tells where it is" [ "${err##*temporary directory is }" = "'$out'" ]
    check "and it is temporary no more" [ -z "$(state_of "$out")" ]
    rm -r "$out"
    ctl run --keep-on-failure sh -c 'echo "$TMPDIR"; kill -KILL $$'
    check "a signal is a failure, and 128 more" [ "$status" = 137 ]
    check "that leaves the directory" is_there "$out"
    rmdir "$out"
    ctl run --keep-on-failure --retain=1h true
    check "with --retain: success" [ "$status:$(ls "$files")" = 0: ]
    ctl run --keep-on-failure --retain=1h sh -c 'echo "$TMPDIR"; exit 1'
    check "with --retain: failure" [ "$status" = 1 ]
    check "is retained" wait_until is_in_state "$out" retained
    "$ctl" reap -qf "$out"
    ctl run --keep-on-failure "$work/no-such-command"
    check "what can't be executed is no failure: 127" [ "$status:$(ls "$files")" = 127: ]
    ctl run --keep-on-failure "$work/out"
    check "what can't be executed is no failure: 126" [ "$status:$(ls "$files")" = 126: ]
    TEMPFILED_SOCKET=$work/none ctl run --keep-on-failure true
    check "no daemon is told once" [ "$status:$out:$err" = "1::tempfilectl: no tempfiled answers; tried $work/none" ]
}

# The command's own view of things.
test_inherited() {
    ctl run --keep-on-failure grep -E '^(SigBlk|SigIgn)' /proc/self/status
    check "the command has its signals as they were" [ "$out" = "$(grep -E '^(SigBlk|SigIgn)' /proc/self/status)" ]
    ctl run --keep-on-failure ls /proc/self/fd
    check "the command inherits no descriptors" [ "$out" = "$(ls /proc/self/fd)" ]
    out=$(echo a | "$ctl" run --keep-on-failure cat)
    check "the command has standard input" [ "$out" = a ]
    out=$(trap '' CHLD; "$ctl" run --keep-on-failure sh -c 'exit 4' 2>/dev/null; echo $?)
    check "SIGCHLD may be ignored" [ "$out" = 4 ]
    rm -r "$files"/run-*
}

cat >"$work/waits" <<'END'
for signal in TERM USR1 INT HUP WINCH; do
    trap "echo $signal >>'$work/signals'" $signal
done
trap 'exit 5' USR2
echo ready >"$work/ready"
while :; do sleep 0.02; done
END

test_signals() {
    local pid signal

    "$ctl" run --keep-on-failure bash "$work/waits" 2>"$work/err" &
    pid=$!
    wait_until has_line ready "$work/ready"
    for signal in TERM USR1 HUP WINCH; do
        kill -$signal $pid
        check "SIG$signal is passed on" wait_until has_line $signal "$work/signals"
    done
    kill -USR2 $pid
    wait $pid
    status=$?
    err=$(<"$work/err")
    check "and then the exit status" [ $status = 5 ]
    rm -rf "$files"/run-*
    rm "$work/ready"
}

# Stopped, continued, and told by the terminal's keys.
test_job_control() {
    out=$(python3 - "$ctl" "$work/waits" "$work" <<'END'
import os, pty, signal, subprocess, sys, time
ctl, waits, work = sys.argv[1:]
p = subprocess.Popen([ctl, 'run', '--keep-on-failure', 'sh', '-c', 'kill -STOP $$; exit 0'])
_, status = os.waitpid(p.pid, os.WUNTRACED)
print('stopped', os.WIFSTOPPED(status))
os.kill(p.pid, signal.SIGCONT)
_, status = os.waitpid(p.pid, 0)
print('ended', os.waitstatus_to_exitcode(status))

# A shell's part: only what is not alone in its session can be stopped by a key.
def lead():
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(ctl, [ctl, 'run', '--keep-on-failure', 'bash', waits])
    _, status = os.waitpid(pid, os.WUNTRACED)
    stopped = os.WIFSTOPPED(status)
    os.killpg(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGUSR2)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) + (100 if stopped else 0))

open(work + '/signals', 'w')
pid, terminal = pty.fork()
if pid == 0:
    lead()
while not os.path.exists(work + '/ready'):
    time.sleep(0.01)
os.write(terminal, b'\x03')
while 'INT' not in open(work + '/signals').read():
    time.sleep(0.01)
os.write(terminal, b'\x1a')
_, status = os.waitpid(pid, 0)
print('by keys', os.waitstatus_to_exitcode(status))
print('interrupted', open(work + '/signals').read().split().count('INT'))
END
    )
    check "it stops, goes on and ends with the command, and the terminal's keys come once" [ "$out" = \
        $'stopped True\nended 0\nby keys 105\ninterrupted 1' ]
    rm -rf "$files"/run-* "$work/ready"
}

test_family() {
    local child front

    ctl run --until-family-ends sh -c 'echo "$TMPDIR"; exit 6'
    check "--until-family-ends: a command alone" [ "$status" = 6 ]
    check "leaves nothing" wait_until is_empty "$files"
    mkfifo "$work/hold"
    # A daemon: of another session, its parent gone, all descriptors closed but its own.
    ctl run --until-family-ends sh -c 'echo "$TMPDIR"
        setsid sh -c "(exec python3 -c \"
import os
open(\\\"$work/child\\\", \\\"w\\\").write(str(os.getpid()) + \\\"\n\\\")
os.closerange(0, 1000)
open(\\\"$work/hold\\\").read()\" >/dev/null 2>&1 &)" >/dev/null 2>&1
        exit 6'
    check "a family that lives on does not hold up the command's end" [ "$status" = 6 ]
    wait_until [ -s "$work/child" ]
    child=$(<"$work/child")
    check "and it keeps the directory" is_in_state "$out" live
    let_go
    check "until it has ended, too" wait_until is_empty "$files"
    wait_until is_over "$child"

    # Killed outright, it takes nobody along.
    "$ctl" run --until-family-ends sh -c "echo \$\$ >'$work/second'; read x <'$work/hold'; exit 0" &
    front=$!
    wait_until [ -s "$work/second" ]
    end_process $front KILL
    child=$(<"$work/second")
    check "SIGKILL leaves the command alone" kill -0 "$child"
    check "and the directory" is_filled "$files"
    let_go
    check "which goes with it all the same" wait_until is_empty "$files"
}

# Whoever reads there ends. (A case has failed if nobody does.)
let_go() { timeout "$patience" sh -c ': >"$1"' sh "$work/hold"; }

# The cgroup that this script is in; fails where none can be made in it.
own_cgroup() {
    local name top

    name=$(sed -n 's/^0:://p' /proc/self/cgroup)
    for top in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        [[ $(stat -f -c %T $top 2>/dev/null) == cgroup2fs ]] || continue
        echo "$top${name%/}"
        mkdir "$top${name%/}/test-run-$$" 2>/dev/null && rmdir "$top${name%/}/test-run-$$" && return
        return 1
    done
    return 1
}

has_cgroups() { compgen -G "$cgroup/tempfiled-run-*" >/dev/null; }
owner_is_unit() { "$ctl" show "$1" | grep -q 'Owner: unit'; }
has_none() { ! has_cgroups; }

# The keeper is killed: the cgroup, which the daemon watches, still knows the family.
test_cgroup() {
    local child keeper directory

    if ! cgroup=$(own_cgroup); then
        cgroup=
        tap_skip "the family has a cgroup" "none can be made here"
        return
    fi
    ctl run --until-family-ends sh -c 'sed -n s/^0:://p /proc/self/cgroup'
    check "the family has a cgroup" [ "$status:${out%/tempfiled-run-*}" != "$status:$out" ]
    check "which is removed after it" wait_until has_none

    rm -f "$work/second" "$work/third"
    "$ctl" run --until-family-ends sh -c "(echo \"\$TMPDIR\"; sh -c 'echo \$PPID') >'$work/second'
        setsid sh -c 'echo >$work/third; read x <$work/hold' & wait" 2>/dev/null &
    wait_until has_line '[0-9]\+' "$work/second"
    wait_until [ -s "$work/third" ]
    { read -r directory && read -r child; } <"$work/second"
    keeper=$(awk '{ print $4 }' "/proc/$child/stat")
    check "it is an owner beside the one who waits" is_in_state "$directory" live
    kill -KILL "$keeper"
    end_process $! KILL
    kill -KILL "$child"
    wait_until is_over "$child"
    check "and the only one when that one is killed" wait_until owner_is_unit "$directory"
    check "who has lost the parents of all keeps it" is_there "$directory"
    let_go
    check "until all have ended" wait_until is_empty "$files"
    check "the cgroup is left" has_cgroups
    ctl run --until-family-ends true
    check "and removed by the next" wait_until has_none
}

# The first process that is found is in a cgroup below the unit's: it is not that one that counts.
test_named_unit() {
    local outer inner first second

    [[ -n $cgroup ]] || { tap_skip "a unit is the one that was named" "no cgroup can be made here"; return; }
    outer=$cgroup/outer-$$.service inner=$cgroup/outer-$$.service/inner-$$.service
    mkdir "$outer" "$inner"
    sleep 1000 &
    first=$!
    sleep 1000 &
    second=$!
    echo $first >"$inner/cgroup.procs"
    echo $second >"$outer/cgroup.procs"
    touch "$files/given"
    ctl track -q --unit="outer-$$" "$files/given"
    check "a unit is the one that was named" [ "$status:$("$ctl" show "$files/given" | grep -c "Unit: outer-$$.service")" = 0:1 ]
    out=$("$ctl" mktemp --unit="inner-$$" -p "$files")
    end_process $first TERM
    check "the inner one ends with its own" wait_until is_missing "$out"
    check "and the outer one does not" is_in_state "$files/given" live
    end_process $second TERM
    check "but with its last process" wait_until is_empty "$files"
    rmdir "$inner" "$outer"
}

is_missing() { [[ ! -e $1 ]]; }

daemon_start || exit 1
test_environment
test_retain
test_keep_on_failure
test_inherited
test_signals
test_job_control
test_family
test_cgroup
test_named_unit
tap_plan $tap_number
tap_end
