#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One client program (tour.c), which calls every function of the library, as other machines and tools
# see it: with the shared library, compiled for 32 bits beside a daemon of 64, and under valgrind.
# With TEMPFILED_TEST_FULL=1 the examples run under valgrind, too.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

: "${CC:=cc}" "${LIBTEMPFILE_CFLAGS:?where the headers are}" "${LIBTEMPFILE_LIBS:?where it is}"
: "${top_srcdir:=$(dirname "$0")/..}" "${INSTRUMENT_FLAGS:=}"
export TMPDIR=$work/files
mkdir "$TMPDIR"

# check NAME COMMAND...: a case that holds if the command succeeds.
check() {
    local name=$1

    shift
    if "$@" >"$work/out" 2>&1; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "$(tail -n 30 "$work/out")"
    fi
}

is_empty() { [[ -z $(ls -A "$TMPDIR") ]]; }

# leaves_nothing COMMAND...: it succeeds, and what it made is gone.
leaves_nothing() { "$@" && wait_until is_empty; }

# Every function that libtempfile.h declares is called, but those that are called the same way.
visits_all() {
    sed -nE '/^[a-z].*\btempfile_[a-z_]+\(/s/.*\b(tempfile_[a-z_]+)\(.*/\1/p' "$top_srcdir/libclient/libtempfile.h" |
        grep -vE '^tempfile_(closep|spooled_closep|spooled_close|give|share)$' |
        while read -r name; do
            grep -q "\b$name(" "$top_srcdir/tests/tour.c" || echo "$name is not called"
        done | grep . && return 1
    return 0
}

build() {
    # shellcheck disable=SC2086 # lists of arguments
    $CC $LIBTEMPFILE_CFLAGS -g -Wall -Wextra -Wno-unused-parameter -Werror -o "$work/tour" \
        "$top_srcdir/tests/tour.c" $LIBTEMPFILE_LIBS
}

# ---- 32 bits -----------------------------------------------------------------------------------

# The library's sources as they are; sizes of what goes over the wire are asserted in them.
build_narrow() {
    local source

    mkdir "$work/narrow" && cd "$work/narrow" || return 1
    for source in "$top_srcdir"/libclient/*.c "$top_srcdir/tests/tour.c"; do
        printf '%s\0' "$source"
    done | xargs -0 -n 8 -P 2 $CC -m32 -c -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread -O0 \
        -Wall -Wextra -Wno-unused-parameter -Werror -I"$top_srcdir" -I"$top_srcdir/libclient" &&
        $CC -m32 -pthread -o "$work/tour32" ./*.o
}

can_build_narrow() {
    echo 'int main(void) { return sizeof(void *) != 4; }' >"$work/narrow.c"
    $CC -m32 -o "$work/narrow.out" "$work/narrow.c" 2>/dev/null && "$work/narrow.out"
}

# ---- valgrind ----------------------------------------------------------------------------------

# An error is a bad access, or memory that nothing leads to any more.
under_valgrind() {
    valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect,possible --trace-children=no "$@"
}

run_examples_under_valgrind() {
    local name

    for name in unnamed directory named affixes tempdir name file-mode directory-mode stream spooled arena; do
        # shellcheck disable=SC2086 # lists of arguments
        $CC $LIBTEMPFILE_CFLAGS -g -o "$work/$name" "$top_srcdir/tests/examples/$name.c" $LIBTEMPFILE_LIBS ||
            return 1
    done
    under_valgrind "$work/unnamed" <<<a && under_valgrind "$work/directory" true <<<a &&
        under_valgrind "$work/named" true && under_valgrind "$work/affixes" a b &&
        under_valgrind "$work/tempdir" && under_valgrind "$work/name" &&
        under_valgrind "$work/file-mode" 640 && under_valgrind "$work/directory-mode" 750 &&
        under_valgrind "$work/stream" a b && under_valgrind "$work/spooled" 2 <<<abc &&
        under_valgrind "$work/arena" 10
}

skip_valgrind() {
    tap_skip "the tour, under valgrind" "$1"
    tap_skip "the examples, under valgrind" "$1"
}

daemon_start || exit 99
tap_plan 7
check "the tour calls every function" visits_all
check "the tour builds" build
check "the tour" leaves_nothing "$work/tour"

if can_build_narrow; then
    check "library and tour build for 32 bits" build_narrow
    check "the tour, a client of 32 bits" leaves_nothing "$work/tour32"
else
    tap_skip "library and tour build for 32 bits" "no toolchain for 32 bits"
    tap_skip "the tour, a client of 32 bits" "no toolchain for 32 bits"
fi

if [[ -n $INSTRUMENT_FLAGS ]]; then
    skip_valgrind "not with sanitizers"
elif ! command -v valgrind >/dev/null; then
    skip_valgrind "valgrind is not installed"
else
    check "the tour, under valgrind" leaves_nothing under_valgrind "$work/tour"
    if [[ -n ${TEMPFILED_TEST_FULL:-} ]]; then
        check "the examples, under valgrind" leaves_nothing run_examples_under_valgrind
    else
        tap_skip "the examples, under valgrind" "with TEMPFILED_TEST_FULL=1"
    fi
fi
tap_end
