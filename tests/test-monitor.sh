#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl monitor as people use it: in a terminal, in a pipe, as JSON, and when the daemon goes.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

files=$work/files
ordinary=65534

chmod 711 "$work"
mkdir "$files" "$files/a" "$files/b"
export TMPDIR=$files
unset NO_COLOR COLUMNS

has() { grep -q -e "$1" "$work/$2"; }
is_over() { ! kill -0 "$1" 2>/dev/null; }
as_user() { setpriv --reuid=$ordinary --regid=$ordinary --clear-groups "$@"; }

# watch NAME OPTION...: into $work/NAME, until $monitor is ended; returns when nothing is missed.
watch() {
    local name=$1

    shift
    "$ctl" monitor "$@" >"$work/$name" 2>"$work/$name.err" &
    monitor=$!
    case " $* " in
    *" --json"* | *" -q "*) wait_until sees_something "$name" ;;
    *) wait_until has ^TIME "$name" ;;
    esac
}

# Without a header only an event shows that it has begun.
sees_something() {
    "$ctl" run -d "$files/a" true
    [[ -s $work/$1 ]]
}

events_of() { awk -v path="$2" '$NF == path || $(NF - 3) == path ":" { print $2 }' "$work/$1" | tr '\n' ' '; }

test_table() {
    local path kept

    watch table
    path=$("$ctl" mktemp --owner-pid=$$)
    kept=$("$ctl" mktemp -d)
    "$ctl" give --quiet --boot "$path"
    "$ctl" give --quiet --lease=1h "$path"
    "$ctl" renew --quiet "$path" 2h
    "$ctl" keep --quiet "$kept"
    "$ctl" reap --quiet --force "$path"
    wait_until has " reaped .*$path" table
    out=$(<"$work/table")
    check "each event is a line" [ "$(events_of table "$path")" = "registered given given renewed reaped " ]
    check "keeping too" [ "$(events_of table "$kept")" = "registered kept " ]
    check "a line has the time" grep -qE "^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{3} registered " "$work/table"
    check "a line has the owner" grep -qE " registered .* $$ test-monitor.sh +$path$" "$work/table"
    rmdir "$kept"
    end_process $monitor TERM
}

# At 20 columns what happened, and to what, is left.
test_narrow() {
    local terminal

    COLUMNS=20 TERM=dumb script -qefc "'$ctl' monitor" "$work/narrow" </dev/null >/dev/null 2>&1 &
    terminal=$!
    wait_until has PATH narrow
    "$ctl" run -d "$files/a" true
    wait_until has reaped narrow
    out=$(tr -d '\r' <"$work/narrow" | grep -v '^Script')
    check "a narrow terminal has events and paths" [ "$(sed -n '1p' <<<"$out" | tr -s ' ')" = "EVENT PATH" ]
    check "and no line is wider" [ "$(wc -L <<<"$out")" -le 20 ]
    end_process $terminal TERM
}

test_failure() {
    local dir=$files/stuck path

    mkdir "$dir"
    watch failure --under "$dir"
    path=$("$ctl" mktemp -p "$dir")
    # Another file system that takes no deletion, or a directory that may not be written to.
    if ((EUID == 0)) && ! chattr +i "$dir" 2>/dev/null; then
        tap_skip "what can't be deleted is told with the reason" "chattr does not work here"
        tap_skip "and that it was tried again" "chattr does not work here"
        end_process $monitor TERM
        return
    fi
    ((EUID == 0)) || chmod 555 "$dir"
    "$ctl" reap --force "$path" 2>/dev/null
    "$ctl" reap "$path" 2>/dev/null
    wait_until has retried failure
    out=$(<"$work/failure")
    check "what can't be deleted is told with the reason" grep -qE " stuck .* $path: [A-Z]" "$work/failure"
    check "and that it was tried again" grep -qE " retried .* $path: [A-Z]" "$work/failure"
    ((EUID != 0)) || chattr -i "$dir"
    chmod 755 "$dir"
    "$ctl" reap --quiet "$path"
    end_process $monitor TERM
}

test_json() {
    local odd=$files/$'odd\nname\e[31m\377'

    : >"$odd"
    watch json --json
    "$ctl" track --quiet --boot "$odd"
    "$ctl" reap --quiet --force "$odd"
    wait_until has '"reaped".*odd' json
    out=$(python3 - "$work/json" "$odd" <<'END'
import json, os, sys
events = [json.loads(line) for line in open(sys.argv[1], 'rb')]
assert all(e['time_usec'] > 0 and e['id'] and e['uid'] == os.geteuid() for e in events)
odd = [e for e in events if bytes.fromhex(e.get('path_hex', '')) == os.fsencode(sys.argv[2])]
print(*[e['event'] for e in odd], odd[0]['owner']['kind'])
END
    )
    check "with --json each line is an object" [ "$out" = "registered reaped boot" ]
    end_process $monitor TERM
    watch pretty --json=pretty
    end_process $monitor TERM
    check "--json=pretty prints objects, too" python3 -c '
import json, sys
text, n = open(sys.argv[1]).read(), 0
while text.strip():
    event, end = json.JSONDecoder().raw_decode(text)
    text, n = text[end:].lstrip(), n + 1
    assert event["event"] in ("registered", "gone", "reaped")
assert n > 0' "$work/pretty"
}

test_filters() {
    local first second pids=() owner

    sleep 1000 &
    owner=$!
    watch under --under="$files/b"
    pids+=($monitor)
    watch pid --pid=$owner
    pids+=($monitor)
    watch uid --uid="$(id -u)"
    pids+=($monitor)
    watch other --uid=4711
    pids+=($monitor)
    watch unit --unit=no-such-unit
    pids+=($monitor)
    watch quiet -q
    pids+=($monitor)
    first=$("$ctl" mktemp -p "$files/a" --owner-pid=$owner)
    second=$("$ctl" mktemp -p "$files/b" --owner-pid=$$)
    wait_until has "$second" uid
    wait_until has "$second" under
    wait_until has "$first" pid
    check "--under leaves out the others" [ "$(events_of under "$first")$(events_of under "$second")" = "registered " ]
    check "--pid leaves out the others" [ "$(events_of pid "$first")$(events_of pid "$second")" = "registered " ]
    check "--uid has its own" [ "$(events_of uid "$first")" = "registered " ]
    check "--uid leaves out the others" [ "$(wc -l <"$work/other")" = 1 ]
    check "--unit leaves out the others" [ "$(wc -l <"$work/unit")" = 1 ]
    check "-q has no header" [ "$(grep -c ^TIME "$work/quiet")" = 0 ]
    for owner in "${pids[@]}" $owner; do
        end_process "$owner" TERM
    done
    "$ctl" reap --quiet --force "$second"
}

test_reader() {
    local status

    # The first line is the header; then nobody reads, and something happens or not.
    "$ctl" monitor 2>"$work/err" | head -n 1 >"$work/head"
    status=${PIPESTATUS[0]}
    err=$(<"$work/err")
    check "it ends when its reader has gone" [ "$status:$err:$(cut -c 1-4 "$work/head")" = "0::TIME" ]
    out=$("$ctl" monitor 2>&1 >/dev/full)
    check "it tells that it can't write" [ "$?:${out%%:*}" = 1:tempfilectl ]
}

# A reader that is stopped is cut off, and hears of it when it goes on.
test_slow() {
    local status

    watch slow
    kill -STOP $monitor
    python3 -c '
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
for i in range(15000):
    t = ctypes.c_void_p()
    assert library.tempfile_named(None, ctypes.byref(t)) == 0
    library.tempfile_close(t)
' "$top_builddir/libclient/.libs/libtempfile.so.0"
    kill -CONT $monitor
    wait_until is_over $monitor
    wait $monitor
    status=$?
    err=$(<"$work/slow.err")
    check "a reader that is too slow is cut off, and told so" [ "$status:$err" = \
        "1:tempfilectl: too slow for all that happens: cut off, some of it was missed" ]
}

has_reaped() { [[ $(grep -c ' reaped ' "$work/$2") -ge $1 ]]; }

test_others() {
    local theirs mine

    if ((EUID != 0)) || ! as_user "$ctl" --version >/dev/null 2>&1; then
        tap_skip "an ordinary user is told what is his" "needs root, and a tool that he may execute"
        tap_skip "root is told all" "needs root, and a tool that he may execute"
        return
    fi
    chmod 777 "$files/a"
    watch all
    mine=$monitor
    as_user "$ctl" monitor >"$work/theirs" 2>&1 &
    monitor=$!
    wait_until has ^TIME theirs
    "$ctl" run -d "$files/a" true
    as_user "$ctl" run -d "$files/a" true
    wait_until has_reaped 2 all
    wait_until has reaped theirs
    check "an ordinary user is told what is his" [ "$(grep -c ' reaped ' "$work/theirs")" = 1 ]
    check "root is told all" [ "$(grep -c ' reaped ' "$work/all")" = 2 ]
    end_process $monitor TERM
    end_process $mine TERM
}

test_daemon_gone() {
    local status

    watch gone
    daemon_kill
    wait $monitor
    status=$?
    err=$(<"$work/gone.err")
    check "it tells that the daemon went away" [ "$status:$err" = \
        "1:tempfilectl: cannot go on: tempfiled went away" ]
}

daemon_start || exit 1
test_table
test_narrow
test_failure
test_json
test_filters
test_reader
test_slow
test_others
test_daemon_gone
tap_plan $tap_number
tap_end
