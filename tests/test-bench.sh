#!/bin/bash
# SPDX-License-Identifier: MIT
#
# That the bench runs, in its shortest form: all that it measures is there, and it clears up. The
# figures mean nothing here.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

: "${TEMPFILED_BENCH:?the bench}"

mkdir "$work/memory" "$work/disk"

# bench ARGUMENT...: its output goes to $work/out.
bench() {
    "$TEMPFILED_BENCH" --extent=shortest --memory="$work/memory" --disk="$work/disk" "$@" \
        >"$work/out" 2>"$work/err"
}

check() {
    local name=$1
    shift

    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "$(tail -n 20 "$work/out")" "$(tail -n 5 "$work/err")"
    fi
}

everything_is_measured() {
    local title

    bench --keep="$work" || return 1
    for title in 'A named file' 'A directory' 'The first file' 'Acknowledged registrations' \
        'SIGKILL to gone' 'Registrations with 100 entries' 'Memory of the daemon' 'To start again' \
        'Processor time' 'A registration beside' 'The aims'; do
        grep -q "^$title" "$work/out" && grep -q "^$title" "$work/bench.txt" || return 1
    done
}

the_points_are_numbers() {
    awk -F'\t' 'NR > 1 && (NF != 7 || $2 + 0 <= 0 || $5 + 0 <= 0) { bad = 1 } END { exit bad || NR < 20 }' \
        "$work/bench.points"
}

json_is_json() { python3 -m json.tool "$work/bench.json" >/dev/null; }

json_is_printed() { bench --only=interference --json && head -c 1 "$work/out" | grep -qF '{'; }

nothing_is_left() { ! compgen -G "$work/*/tempfiled-bench-*" >/dev/null; }

has_started() { compgen -G "$work/disk/tempfiled-bench-*/*/socket" >/dev/null; }

an_interrupted_one_clears_up() {
    local pid

    "$TEMPFILED_BENCH" --extent=shortest --only=scale --memory="$work/memory" --disk="$work/disk" \
        >"$work/out" 2>"$work/err" &
    pid=$!
    wait_until has_started || return 1
    kill -TERM "$pid"
    wait "$pid"
    (($? == 143)) && nothing_is_left
}

bad_arguments_are_refused() {
    ! bench --extent=none && ! bench --only=none && ! bench more
}

tap_plan 7
check 'everything is measured' everything_is_measured
check 'the points of the plot are numbers' the_points_are_numbers
if command -v python3 >/dev/null; then
    check 'what is kept as JSON is JSON' json_is_json
else
    tap_skip 'what is kept as JSON is JSON' 'no python3'
fi
check 'JSON is printed when asked for' json_is_printed
check 'nothing is left' nothing_is_left
check 'an interrupted bench clears up' an_interrupted_one_clears_up
check 'bad arguments are refused' bad_arguments_are_refused
tap_end
