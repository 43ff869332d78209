#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The library as other programs see it: each public header compiles alone, in C and in C++, and
# the examples are built against the shared library and do what they say.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

: "${CC:=cc}" "${LIBTEMPFILE_CFLAGS:?where the headers are}" "${LIBTEMPFILE_LIBS:?where it is}"
examples=${top_srcdir:-$(dirname "$0")/..}/tests/examples
files=$work/files
mkdir "$files"
export TMPDIR=$files

is_filled() { ! is_empty "$1"; }
is_empty() { [[ -z $(ls -A "$1") ]]; }
is_gone() { [[ ! -e $1 ]]; }

# check NAME COMMAND...: a case that holds if the command succeeds.
check() {
    local name=$1

    shift
    if "$@" 2>"$work/err"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "$(<"$work/err")"
    fi
}

# compiles_alone HEADER COMPILER ARGUMENT...
compiles_alone() {
    local header=$1

    shift
    printf '#include <%s>\n' "$header" >"$work/alone"
    # shellcheck disable=SC2086 # a list of arguments
    "$@" $LIBTEMPFILE_CFLAGS -Wall -Wextra -Werror -fsyntax-only "$work/alone"
}

both_compile_as_cxx() {
    compiles_alone libtempfile.h "$cxx" -pedantic -x c++ &&
        compiles_alone libtempfile-admin.h "$cxx" -pedantic -x c++
}

# builds COMPILER SOURCE PROGRAM
builds() {
    # shellcheck disable=SC2086 # lists of arguments
    $1 $LIBTEMPFILE_CFLAGS -Wall -Wextra -Wno-unused-parameter -Werror -o "$work/$3" \
        "$examples/$2" $LIBTEMPFILE_LIBS
}

report_is_written() {
    echo data | "$work/report" "$files/report" &&
        [[ $(<"$files/report") == data && $(ls -A "$files") == report ]]
}

report_is_refused() {
    ! echo data | "$work/report" "$files/missing/report" && is_gone "$files/missing"
}

killed_report_leaves_nothing() {
    local pid

    rm -f "$files/report"
    mkfifo "$work/data"
    "$work/report" "$files/report" <"$work/data" &
    pid=$!
    exec {data}>"$work/data"
    echo half >&"$data"
    wait_until is_filled "$files" || return 1
    end_process "$pid" KILL
    exec {data}>&-
    wait_until is_empty "$files"
}

background_directory_outlives_the_parent() {
    local pid dir

    read -r pid dir < <("$work/daemonize")
    [[ -d $dir ]] || return 1
    kill -TERM "$pid"
    wait_until is_gone "$dir"
}

scratch_is_the_commands() {
    # shellcheck disable=SC2016 # expanded by the command's shell
    "$work/scratch" 'touch $TMPDIR/file && ls $TMPDIR' | grep -qx file && is_empty "$files"
}

daemon_start || exit 99
tap_plan 11
for header in libtempfile.h libtempfile-admin.h; do
    check "$header compiles alone as C99" compiles_alone "$header" "$CC" -std=c99 -pedantic -x c
done
check "report builds" builds "$CC" report.c report
check "report writes a whole file" report_is_written
check "report fails where there is no directory" report_is_refused
check "report leaves nothing when it is killed" killed_report_leaves_nothing
check "daemonize builds" builds "$CC" daemonize.c daemonize
check "what a process in the background made lives as long as it" \
    background_directory_outlives_the_parent

cxx=${CXX:-$(command -v c++ || command -v g++ || command -v clang++)}
if [[ -n $cxx ]]; then
    check "both headers compile as C++" both_compile_as_cxx
    check "scratch builds" builds "$cxx" scratch.cc scratch
    check "scratch gives its command a directory and takes it away" scratch_is_the_commands
else
    tap_skip "both headers compile as C++" "no C++ compiler"
    tap_skip "scratch builds" "no C++ compiler"
    tap_skip "scratch gives its command a directory and takes it away" "no C++ compiler"
fi
tap_end
