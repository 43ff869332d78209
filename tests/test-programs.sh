#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Real programs, killed with SIGKILL in the middle: none leaves a file, and nothing else in the
# directory is touched. Each three times: with the daemon there all the time; with the daemon killed
# too and started again before the program dies; with no daemon there when the program dies.
#
# A program is in the middle when its temporaries are there: sort and the scripts then wait for
# more input, which never comes; gcc has enough to do.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

tmp=$work/tmp           # where programs make their temporaries
expected=$work/expected # what is to be left of it
subject_pid=

modes=(alive restarted down)
scripts=(plain directory function pipeline nested)
shells=(dash bash)

# ---- the directory and what must be true of it -------------------------------------------------

lay_out() {
    rm -rf "$tmp" "$expected"
    mkdir -p "$tmp/other"
    echo "nothing to do with anybody" >"$tmp/unrelated.txt"
    echo "as mktemp would call it" >"$tmp/tmp.a1B2c3D4e5"
    echo "in a directory" >"$tmp/other/unrelated.bak"
    echo "with a newline in its name" >"$tmp/tmp
.txt"
    ln -s /dev/null "$tmp/link"
    cp -a "$tmp" "$expected"
}

# copy_names: beside each temporary a copy of its name, with contents that are to stay.
copy_names() {
    local path

    for path in "$@"; do
        echo "a copy of ${path##*/}" >"$path.bak"
        cp -p "$path.bak" "$expected/"
    done
}

# The temporaries: what is in the directory and was not there before. One path a line.
temporaries() {
    local path

    for path in "$tmp"/*; do
        [[ -e $expected/${path##*/} || -L $expected/${path##*/} ]] || printf '%s\n' "$path"
    done
}

is_swept() { [[ -z $(temporaries) ]]; }

is_list_empty() {
    local list

    list=$("$TEMPFILECTL" list --json 2>/dev/null) && [[ $list != *'"path"'* ]]
}

# files_within N: are there N files inside of the tracked directory (whose name nobody knows)?
files_within() { (($(find "$tmp" -mindepth 2 -not -path "$tmp/other/*" -type f | wc -l) >= $1)); }

# verdict NAME: waits until all is gone, and compares.
verdict() {
    local start difference

    start=$(now_msec)
    if ! wait_until is_swept; then
        tap_not_ok "$1"
        tap_note "left behind:" "$(temporaries)" "$("$TEMPFILECTL" list 2>&1)"
    elif ! wait_until is_list_empty; then
        tap_not_ok "$1"
        tap_note "still listed:" "$("$TEMPFILECTL" list 2>&1)"
    elif ! difference=$(diff -r "$expected" "$tmp" 2>&1); then
        tap_not_ok "$1"
        tap_note "foreign files touched:" "$difference"
    else
        tap_ok "$1"
        tap_note "gone within $(($(now_msec) - start)) ms"
    fi
}

# failed NAME REASON: it did not even come to the middle.
failed() {
    tap_not_ok "$1"
    tap_note "$2" "$(tail -n 5 "$work/output" "$work/daemon/log" 2>&1)"
    kill_subject
}

# ---- killing -----------------------------------------------------------------------------------

# start COMMAND...: in the background, in a session of its own; its input is a pipe that stays open.
start() {
    rm -f "$work/input" "$work/ready"
    mkfifo "$work/input"
    exec 9<>"$work/input"
    TMPDIR=$tmp setsid "$@" <"$work/input" >"$work/output" 2>&1 9>&- &
    subject_pid=$!
}

# The program first and alone; then, for cleanliness, what it had started.
kill_subject() {
    [[ -n $subject_pid ]] || return 0
    end_process "$subject_pid" KILL
    kill -KILL -- "-$subject_pid" 2>/dev/null
    subject_pid=
    exec 9>&-
}

# kill_in MODE TEMPORARIES: the program is in the middle; what dies now, and in which order?
# Fails if something of a living program is gone.
kill_in() {
    local is_unharmed=true

    case $1 in
    alive)
        kill_subject
        ;;
    restarted)
        daemon_kill
        daemon_start
        [[ $(temporaries) == "$2" ]] || is_unharmed=false
        kill_subject
        ;;
    down)
        daemon_kill
        kill_subject
        daemon_start
        ;;
    esac
    $is_unharmed
}

# test_subject NAME MODE READY...: the program was started; waits for READY, kills, looks.
test_subject() {
    local name="$1, $2" mode=$2 before paths
    shift 2

    if ! wait_until "$@"; then
        failed "$name" "it never came to the middle"
        return
    fi
    before=$(temporaries)
    mapfile -t paths <<<"$before"
    copy_names "${paths[@]}"
    if ! kill -0 "$subject_pid" 2>/dev/null; then
        failed "$name" "it ended before it was killed"
        return
    fi
    if kill_in "$mode" "$before"; then
        verdict "$name"
    else
        failed "$name" "the restart took what its owner still needed"
    fi
}

# ---- programs that know nothing of tempfiled, under tempfilectl run ----------------------------

test_sort() {
    start "$TEMPFILECTL" run sort -S 1M
    cat "$work/lines" >&9
    test_subject "sort on more than its buffer" "$1" files_within 2
}

test_gcc() {
    start "$TEMPFILECTL" run gcc -O2 -c "$work/large.c" -o "$work/large.o"
    test_subject "gcc on a large file" "$1" files_within 1
}

test_python() {
    start "$TEMPFILECTL" run python3 -c '
import sys, tempfile
file = tempfile.NamedTemporaryFile()
file.write(b"data")
file.flush()
directory = tempfile.TemporaryDirectory()
open(directory.name + "/inside", "w").close()
tempfile.mkstemp()
sys.stdin.read()'
    test_subject "python with its tempfile module" "$1" files_within 3
}

make_lines() { awk 'BEGIN { srand(1); for (i = 0; i < 600000; i++) printf "%.9f line %d of the input\n", rand(), i }'; }

# Functions by the hundred, with enough in them for the optimiser to chew on.
make_large_c() {
    awk 'BEGIN {
        for (i = 0; i < 4000; i++)
            printf "int f%d(int *a, int n) { int s = 0; for (int i = 0; i < n; i++) " \
                   "for (int j = i; j < n; j++) s += a[i] * a[j] ^ (a[j] %% (i + %d)); return s; }\n", i, i + 1
    }'
}

# Program, the command that it needs, the function that runs it.
programs=(
    "sort sort test_sort"
    "gcc gcc test_gcc"
    "python python3 test_python"
)

# unless_missing NAME COMMAND MODE: tells the skip, and fails, where the command is not there.
unless_missing() {
    command -v "$2" >/dev/null && return 0
    tap_skip "$1, $3" "$2 is not installed"
    return 1
}

test_programs() {
    local mode name needs run

    make_lines >"$work/lines"
    make_large_c >"$work/large.c"
    for mode in "${modes[@]}"; do
        while read -r name needs run; do
            lay_out
            unless_missing "$name" "$needs" "$mode" && $run "$mode"
        done < <(printf '%s\n' "${programs[@]}")
    done
}

# ---- scripts that use tempfilectl mktemp -------------------------------------------------------

# script KIND: one that makes a temporary in a way of its own, says so, and waits for input.
# shellcheck disable=SC2016 # the script is to expand that, not this one
script() {
    case $1 in
    plain) echo 't=$("$TEMPFILECTL" mktemp)' ;;
    directory) echo 't=$("$TEMPFILECTL" mktemp -d) && echo inside >"$t/inside"' ;;
    function) echo 'make() { "$TEMPFILECTL" mktemp; }; t=$(make)' ;;
    pipeline) echo 't=$("$TEMPFILECTL" mktemp | cat)' ;;
    nested) echo 't=$(echo $(echo $("$TEMPFILECTL" mktemp || echo failed)))' ;;
    esac
    echo '[ -e "$t" ] && echo "$t" >"$1"'
    echo 'read -r line'
    echo 'rm -rf "$t"'
}

# Is the script ready, and is it the one that its temporary belongs to?
is_ready() { [[ -s $work/ready ]]; }
is_owner() { "$TEMPFILECTL" list --json 2>/dev/null | grep -q "\"pid\": *$subject_pid\\b"; }
is_ready_owner() { is_ready && is_owner; }

test_scripts() {
    local shell kind mode

    for shell in "${shells[@]}"; do
        for kind in "${scripts[@]}"; do
            script "$kind" >"$work/$kind.sh"
            for mode in "${modes[@]}"; do
                unless_missing "$shell script, mktemp $kind" "$shell" "$mode" || continue
                lay_out
                start "$shell" "$work/$kind.sh" "$work/ready"
                test_subject "$shell script, mktemp $kind" "$mode" is_ready_owner
            done
        done
    done
}

export TEMPFILECTL
tap_plan $(((${#programs[@]} + ${#shells[@]} * ${#scripts[@]}) * ${#modes[@]}))
daemon_start || exit 99
test_programs
test_scripts
tap_end
