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

    read -r pid dir < <("$work/$1")
    [[ -d $dir ]] || return 1
    kill -TERM "$pid"
    wait_until is_gone "$dir"
}

# says EXPECTED PROGRAM ARGUMENT...: that is what it prints, and nothing is left.
says() {
    local expected=$1

    shift
    [[ $("$work/$1" "${@:2}") == "$expected" ]] || return 1
    wait_until is_empty "$files"
}

unnamed_is_printed_twice() { says $'a\na' unnamed <<<a; }
directory_has_its_files() { says $'line-001\nline-002\ntwo' directory 'ls; cat line-002' <<<$'one\ntwo'; }
# shellcheck disable=SC2016 # expanded by the command's shell
named_is_worked_on() { says $'apple\npear' named 'sort -o "$LIST" "$LIST"'; }
tempdir_is_found() { says "$files" tempdir && says /usr tempdir /usr; }
file_has_its_mode() { (umask 077; says 666 file-mode 666 && says 400 file-mode 400); }
directory_has_its_mode() { (umask 077; says 2770 directory-mode 2770); }
stream_is_read_back() { says $'c\nb\na' stream a b c; }
spooled_moves_at_its_limit() { says $'in memory\nabc' spooled 4 <<<abc && says $'on disk\nabcd' spooled 4 <<<abcd; }
arena_holds_many() { says 1000 arena 1000; }

# The environment decides, and so does what is there; the current directory comes last.
tempdir_is_pythons() {
    local settings=() at=$work/places setting words
    local find='import tempfile; print(tempfile.gettempdir())'

    mkdir -p "$at/good" "$at/more" "$at/with space" "$at/closed" && chmod 500 "$at/closed" &&
        ln -s good "$at/link" && touch "$at/file" && ln -s nowhere "$at/dangling" || return 1
    settings=(X= TMPDIR= "TMPDIR=$at/good" "TMPDIR=$at/missing" "TMPDIR=$at/file" "TMPDIR=$at/link"
        "TMPDIR=$at/dangling" "TMPDIR=$at/closed" "TMPDIR=$at/with space" TMPDIR=good TMPDIR=./good
        "TEMP=$at/good" "TMP=$at/good" "TMPDIR=$at/missing TEMP=$at/good" "TEMP=$at/good TMP=$at/more"
        "TMPDIR=$at/file TEMP=$at/dangling TMP=$at/more" "TMPDIR= TEMP=$at/more" TMPDIR=/proc TMPDIR=/sys)
    for setting in "${settings[@]}"; do
        words=("$setting")
        [[ $setting != *" "*=* ]] || read -r -a words <<<"$setting"
        diff <(cd "$at" && env -u TMPDIR "${words[@]}" python3 -c "$find") \
            <(cd "$at" && env -u TMPDIR "${words[@]}" "$work/tempdir" | sed 's,/\./,/,') >&2 ||
            { echo "with $setting" >&2; return 1; }
    done
    chmod 700 "$at/closed" && rm -r "$at"
}

affixes_are_in_the_name() {
    local name

    name=$("$work/affixes" 'my report-' .tar.gz)
    [[ $name == 'my report-'*.tar.gz ]] && is_empty "$files"
}

name_is_made() {
    local path

    path=$("$work/name")
    [[ $path == "$files"/tmp*.fifo ]] && is_empty "$files"
}

# shellcheck disable=SC2016 # expanded by the command's shell
pseudo_file_goes_with_its_descriptor() {
    local path

    path=$("$work/pseudo-file" sh -c 'echo data >&$PSEUDO_FD; cat "$PSEUDO_PATH" >&2; echo "$PSEUDO_PATH"' 2>"$work/data.out")
    [[ $(<"$work/data.out") == data && $path == "$files"/* ]] && wait_until is_gone "$path"
}

pseudo_directory_goes_with_its_descriptor() {
    local pid path

    read -r pid path < <("$work/pseudo-directory")
    wait_until test -e "$path/work" || return 1
    daemon_kill
    daemon_start || return 1
    [[ -e $path/work ]] || return 1
    kill -KILL "$pid"
    wait_until is_gone "$path"
}

given_file_goes_with_its_new_owner() {
    local pid path

    "$work/unnamed" <"$work/data" & # waits for input
    pid=$!
    path=$(echo data | "$work/give" $pid) || return 1
    [[ $(<"$path") == data ]] || return 1
    end_process $pid KILL
    wait_until is_gone "$path"
}

given_to_nobody_leaves_nothing() {
    ! echo data | "$work/give" 2147483647 && is_empty "$files"
}

scratch_is_the_commands() {
    # shellcheck disable=SC2016 # expanded by the command's shell
    "$work/scratch" 'touch $TMPDIR/file && ls $TMPDIR' | grep -qx file && is_empty "$files"
}

daemon_start || exit 99
tap_plan 43
for header in libtempfile.h libtempfile-admin.h; do
    check "$header compiles alone as C99" compiles_alone "$header" "$CC" -std=c99 -pedantic -x c
done
check "report builds" builds "$CC" report.c report
check "report writes a whole file" report_is_written
check "report fails where there is no directory" report_is_refused
check "report leaves nothing when it is killed" killed_report_leaves_nothing
check "daemonize builds" builds "$CC" daemonize.c daemonize
check "what was handed over lives as long as the process in the background" \
    background_directory_outlives_the_parent daemonize
check "family builds" builds "$CC" family.c family
check "what a token owns lives as long as the last of the family" \
    background_directory_outlives_the_parent family
for program in unnamed directory named affixes pseudo-file pseudo-directory tempdir name file-mode \
    directory-mode stream spooled arena give; do
    check "$program builds" builds "$CC" $program.c $program
done
check "unnamed: what is remembered is printed" unnamed_is_printed_twice
check "directory: its files are there for a command" directory_has_its_files
check "named: another program works on the file" named_is_worked_on
check "affixes: the name has a prefix and a suffix" affixes_are_in_the_name
check "pseudo-file: it goes with the last copy of the descriptor" pseudo_file_goes_with_its_descriptor
check "pseudo-directory: so does the directory, whoever restarts" pseudo_directory_goes_with_its_descriptor
check "tempdir: it is found, and can be set" tempdir_is_found
if command -v python3 >/dev/null; then
    check "tempdir: it is the one that Python finds" tempdir_is_pythons
else
    tap_skip "tempdir: it is the one that Python finds" "python3 is not installed"
fi
check "name: something is made at a name" name_is_made
check "file-mode: exact, whatever the umask" file_has_its_mode
check "directory-mode: exact, whatever the umask" directory_has_its_mode
check "stream: written and read back" stream_is_read_back
check "spooled: moves at its limit" spooled_moves_at_its_limit
check "arena: holds many" arena_holds_many
check "give: it goes with its new owner" given_file_goes_with_its_new_owner
check "give: what can't be given is not left" given_to_nobody_leaves_nothing

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
