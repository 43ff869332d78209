#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What tempfiled does, shown on real programs with a private daemon; ./quickstart demo runs it.
# Needs tempfiled, tempfilectl and python3 in PATH. Everything that waits looks for an event again
# and again and gives up after a while; nothing waits for time to pass. Leaves nothing behind,
# also when interrupted.

set -u -o pipefail

die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

work=
daemon_pid=
victim=

tell() {
    printf '\n'
    printf '%s\n' "$@"
}

# shown COMMAND...: as somebody would type it, and what it says
shown() {
    printf '  $ %s\n' "$*"
    "$@" 2>&1 | sed 's/^/    /'
}

files() {
    find "$TMPDIR" -mindepth 1 -printf '%P\n' | sort
}

# Looks until the command succeeds, a hundred times a second; gives up after 20 seconds.
wait_until() {
    local end=$((SECONDS + 20))

    until "$@"; do
        ((SECONDS < end)) || die "waited in vain for: $*"
        read -r -t 0.01 -u "$silence" || true
    done
}

daemon_answers() {
    kill -0 "$daemon_pid" 2>/dev/null || die "tempfiled does not start: $(tail -n 3 "$work/log")"
    tempfilectl status >/dev/null 2>&1
}

start_daemon() {
    local options=(--socket "$TEMPFILED_SOCKET" --state-dir "$work/state")

    ((EUID == 0)) || options=(--user "${options[@]}")
    printf '  $ tempfiled %s &\n' "${options[*]}"
    tempfiled "${options[@]}" >>"$work/log" 2>&1 &
    daemon_pid=$!
    wait_until daemon_answers
}

# end PID SIGNAL: and takes its status, without the shell's word about it
end() {
    kill -s "$2" "$1" 2>/dev/null
    { wait "$1"; } 2>/dev/null || true
}

kill_daemon() {
    printf '  $ kill -KILL %d   # tempfiled\n' "$daemon_pid"
    end "$daemon_pid" KILL
    daemon_pid=
}

# start_victim COMMAND...: in the background; what it reads from is a pipe that stays open
start_victim() {
    rm -f "$work/input"
    mkfifo "$work/input"
    exec {input}<>"$work/input"
    "$@" <"$work/input" >"$work/output" 2>&1 &
    victim=$!
}

kill_victim() {
    printf '  $ kill -%s %d\n' "$1" "$victim"
    end "$victim" "$1"
    victim=
    exec {input}>&-
}

clean_up() {
    [[ -z $victim ]] || end "$victim" KILL
    [[ -z $daemon_pid ]] || end "$daemon_pid" TERM
    [[ -z $work ]] || rm -rf "$work"
}

set_up() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/tempfiled-demo.XXXXXXXXXX") || exit 1
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    exec {silence}<> <(:)
    export TEMPFILED_SOCKET=$work/socket TMPDIR=$work/tmp
    mkdir "$TMPDIR"
    printf 'not a temporary\n' >"$TMPDIR/notes.txt"

    tell "A daemon of our own, with its database in a temporary place; temporary files go to" \
        "$TMPDIR, where somebody's notes.txt lies already."
    start_daemon
}

python_program='import sys, tempfile
file = tempfile.NamedTemporaryFile()
directory = tempfile.TemporaryDirectory()
sys.stdin.read()'

python_is_ready() {
    (($(find "$TMPDIR" -path '*tmp*' -mindepth "$1" -name 'tmp*' | wc -l) >= 2))
}

only_notes_are_left() {
    [[ $(files) == "$1" ]]
}

# all_is_gone WHAT_STAYS: and how long that took
all_is_gone() {
    local start=${EPOCHREALTIME/[.,]/}

    wait_until only_notes_are_left "$1"
    printf '    ... gone after %d ms. What is in the directory:\n' $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
    files | sed 's/^/        /'
    shown tempfilectl list
}

show_without() {
    tell "1. As it is without tempfiled: a Python program with a NamedTemporaryFile and a" \
        "   TemporaryDirectory is told to terminate."
    printf '  $ python3 program.py &\n'
    start_victim python3 -c "$python_program"
    wait_until python_is_ready 1
    kill_victim TERM
    printf '    It is dead. What is in the directory:\n'
    files | sed 's/^/        /'
    rm -rf "$TMPDIR"/tmp*
}

show_python() {
    tell "2. The same program, run by tempfilectl, which has no part in what follows: it has become" \
        "   the program."
    printf '  $ tempfilectl run python3 program.py &\n'
    start_victim tempfilectl run python3 -c "$python_program"
    wait_until python_is_ready 2
    shown tempfilectl list
    kill_victim TERM
    all_is_gone notes.txt
}

sort_is_spilling() {
    (($(find "$TMPDIR" -mindepth 2 -name 'sort*' | wc -l) >= 2))
}

show_sort() {
    tell "3. GNU sort, with more input than memory, and SIGKILL, which nobody can catch."
    printf '  $ tempfilectl run sort -S 1M huge.txt &\n'
    start_victim tempfilectl run sort -S 1M
    timeout 20 seq 200000 >&"$input"
    wait_until sort_is_spilling
    printf '    It has written what does not fit into memory:\n'
    files | sed -n -e 's/^/        /' -e '1,4p' -e '5s/.*/        .../p'
    shown tempfilectl list
    kill_victim KILL
    all_is_gone notes.txt
}

script_is_ready() {
    [[ -e $TMPDIR/report.bak ]]
}

show_script() {
    local script='report=$(tempfilectl mktemp --suffix=.csv)
echo 1,2,3 >"$report"
cp "$report" "$TMPDIR/report.bak"
read -r line'

    tell "4. A shell script. Its temporary is its own, not that of the tempfilectl that made it. The" \
        "   copy that it makes is not a temporary. And meanwhile tempfiled dies too."
    sed 's/^/        /' <<<"$script"
    printf '  $ sh script.sh &\n'
    printf '%s\n' "$script" >"$work/script.sh"
    start_victim sh "$work/script.sh"
    wait_until script_is_ready
    shown tempfilectl list
    kill_daemon
    kill_victim KILL
    printf '    Nobody is there to delete anything. What is in the directory:\n'
    files | sed 's/^/        /'
    start_daemon
    all_is_gone $'notes.txt\nreport.bak'
}

show_end() {
    rm "$TMPDIR/report.bak"
    tell "5. What the daemon says of itself, and the end."
    shown tempfilectl status
    printf '  $ kill -TERM %d   # tempfiled\n' "$daemon_pid"
    end "$daemon_pid" TERM
    daemon_pid=
    only_notes_are_left notes.txt || die "this is left: $(files)"
    tell "Every program was killed with temporaries of its own, and none is left."
}

set_up
show_without
show_python
show_sort
show_script
show_end
