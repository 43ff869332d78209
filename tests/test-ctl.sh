#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl as its users see it: every command, its errors, its exit status, what it prints on a
# narrow terminal and into a pipe, whom mktemp makes the owner in real shells and other programs,
# and whether --help and the manual page say the same.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

page=${top_srcdir:-$(dirname "$0")/..}/tools/tempfilectl.1
commands=(list show status scan monitor check metrics reap keep track give renew retain run mktemp)
files=$work/files # where things are made
ordinary=65534    # an ordinary one, when this runs as root

chmod 711 "$work"
mkdir "$files"
export TMPDIR=$files
unset NO_COLOR COLUMNS
shopt -s extglob

# ---- helpers -----------------------------------------------------------------------------------

is_gone() { [[ ! -e $1 && ! -L $1 ]]; }
is_filled() { ! is_empty "$1"; }
is_empty() { [[ -z $(ls -A "$1") ]]; }
is_listed() { [[ $("$ctl" list --no-legend) == *"$1"* ]]; }
is_leaked() { [[ $("$ctl" list --no-legend --leaked) == *"$1"* ]]; }
is_unlisted() { ! is_listed "$1"; }
is_executing() { [[ $(readlink "/proc/$1/exe") == */"$2" ]]; }
is_json() { python3 -c 'import json, sys; json.load(sys.stdin.buffer)' <<<"$1"; }
has_failed_in_one_line() { [[ $status == "$1" && -z $out && $err == tempfilectl:\ * && $err != *$'\n'* ]]; }

# What the last command printed, and how it ended: as patterns.
# shellcheck disable=SC2053
out_like() { [[ $status == 0 && $out == $1 ]]; }
# shellcheck disable=SC2053
err_like() { [[ $err == $1 ]]; }
# shellcheck disable=SC2053
fails_like() { has_failed_in_one_line 1 && [[ $err == $1 ]]; }

# is_owned PATH PID
is_owned() { [[ $("$ctl" list --no-legend --pid="$2") == *"$1"* ]]; }

has_no_wider_line() { ! grep -E ".{$(($1 + 1))}" <<<"$out"; }

# json EXPRESSION: prints it, "j" being what is in $out, and name(e) the bytes of an entry's path
json() {
    python3 -c "if True:
        import json, os, sys
        j = json.load(sys.stdin.buffer)
        def name(e): return bytes.fromhex(e['path_hex']) if 'path_hex' in e else e['path'].encode()
        print($1)" <<<"$out"
}

# as_user COMMAND...: as an ordinary user.
as_user() {
    if ((EUID == 0)); then
        setpriv --reuid=$ordinary --regid=$ordinary --clear-groups "$@"
    else
        "$@"
    fi
}

# ---- arguments, without a daemon ---------------------------------------------------------------

wrong=(
    "" "--nonsense" "nonsense" "--socket" "--socket= list" "list stray" "list --nonsense" "list -z"
    "list --unit=" "list --older" "list --older=2x" "list --older=-1" "list --older=" "list --larger=1Q"
    "list --larger=1.G" "list --sort=x" "list --total --json" "keep" "keep 0.0" "keep --pid=1 a"
    "keep --pid=0" "track" "track --lease=0 a" "track --lease=1 --boot a" "give" "give --lease=x 1.2"
    "give --owner-pid=0 1.2" "renew" "renew 1.2" "renew 1h" "renew 1.2 0" "retain 1.2" "retain 1.2 -1"
    "reap --all --pid=1" "reap --pid=1 a"
    "list --uid" "list --uid=no-such-user" "list --uid=4294967295" "list --pid=0" "list --pid=1x"
    "list --pid=99999999999" "list --json=long" "list --leaked=yes" "show" "status stray"
    "reap" "reap --all 1.2" "reap --all --force" "reap 0.0" "run" "run --nonsense true" "mktemp a b"
    "mktemp aXX" "mktemp XXX/a" "mktemp aXXXbX" "mktemp --suffix=.c aXXXb" "mktemp --suffix=a/b aXXX"
    "mktemp -t a/XXX" "mktemp -p d /aXXX" "mktemp --owner-pid=0" "mktemp --owner-pid=-1" "mktemp -p"
    "mktemp --owner-pid=1 --unit=a" "give --boot --from-unit=" "give --boot --from-unit=a 1.2"
)

is_usage_error() {
    local hint

    # shellcheck disable=SC2086 # words of a command line
    ctl $1
    hint=${err#*$'\n'}
    [[ $status == 2 && -z $out && $err == tempfilectl:\ * && $hint == "Try 'tempfilectl"*"--help'"* &&
        $hint != *$'\n'* ]]
}

test_arguments() {
    local words command

    for words in "${wrong[@]}"; do
        check "wrong arguments are told, with a hint: tempfilectl $words" is_usage_error "$words"
    done
    ctl --help
    check "the tool has help" [ "$status:${out:0:18}" = "0:Usage: tempfilectl" ]
    check "which fits 80 columns" has_no_wider_line 80
    for command in "${commands[@]}"; do
        ctl "$command" --help
        check "$command has help" [ "$status:${out%% [*}" = "0:Usage: tempfilectl $command" ]
        check "which fits 80 columns" has_no_wider_line 80
    done
    ctl --version
    check "the version is told" [ "$status:${out%% *}" = 0:tempfilectl ]
    ctl $'no\nsuch\e[31m'
    check "wrong words can't alter the terminal" [ "$status:${err%%$'\n'*}" = \
        "2:tempfilectl: unknown command 'no\\x0asuch\\x1b[31m'" ]
}

names_the_socket() { has_failed_in_one_line 1 && [[ $err == *"$TEMPFILED_SOCKET"* ]]; }

test_no_daemon() {
    local words

    for words in list "list --json" "show 1.2" status "reap --all" "run true" mktemp "mktemp -d" \
        check metrics monitor "keep 1.2" "give --boot 1.2" "renew 1.2 1h" "retain 1.2 1h" "track /dev/null"; do
        # shellcheck disable=SC2086
        ctl $words
        check "no daemon: $words says where it looked" names_the_socket
    done
    check "no daemon: nothing is made" is_empty "$files"
    ctl --socket="$work/elsewhere" list
    check "--socket names the only socket" fails_like "*$work/elsewhere"
    XDG_RUNTIME_DIR=$work/runtime ctl list --user
    check "--user asks the user's daemon" fails_like "*$work/runtime/tempfiled/socket"
    XDG_RUNTIME_DIR='' ctl --user list
    check "--user needs XDG_RUNTIME_DIR" has_failed_in_one_line 1
}

# ---- --help and the manual page ----------------------------------------------------------------

# The long options that --help shows; a letter where there is no long name.
options_of_help() {
    "$ctl" "$@" --help | sed -nE 's/^  (-.,|   ) --([a-z-]+).*/\2/p; s/^  -(.) .*/\1/p' | sort
}

# The options that the manual page describes under a command; all of OPTIONS without one.
options_of_page() {
    awk -v command="$1" '
        /^\.Sh / { section = $0; current = "" }
        section == ".Sh COMMANDS" && /^\.It Cm / { current = $3 }
        section == ".Sh OPTIONS" { current = "" }
        section !~ /COMMANDS|OPTIONS/ { next }
        /^\.It Fl / && current == command {
            name = ""
            for (i = 3; i <= NF; i++)
                if ($i ~ /^-[a-z]/) { name = substr($i, 2); break }
            print name ? name : $3
        }' "$page" | sort
}

test_documentation() {
    local command common

    common=$(options_of_page "")
    check "--help and the manual page have the same options" [ "$(options_of_help)" = "$common" ]
    for command in "${commands[@]}"; do
        check "$command --help and the manual page have the same options" [ \
            "$(options_of_help "$command")" = \
            "$({ options_of_page "$command"; echo "$common"; } | sed '/^$/d' | sort)" ]
    done
    check "the manual page has every command of --help" [ \
        "$("$ctl" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')" = \
        "$(printf '%s\n' "${commands[@]}")" ]
    if ! command -v mandoc >/dev/null; then
        tap_skip "the manual page is well formed" "mandoc is not installed"
    else
        check "the manual page is well formed" [ -z "$(mandoc -T lint -W warning "$page")" ]
    fi
}

# ---- completion --------------------------------------------------------------------------------

# complete WORD...: what bash would offer for the last one, sorted.
complete_words() {
    # shellcheck disable=SC2034
    local COMP_WORDS=(tempfilectl "$@") COMP_CWORD=$# COMPREPLY=()

    _tempfilectl
    printf '%s\n' "${COMPREPLY[@]}" | sort
}

# The long options that zsh would offer; those of all commands without one.
options_of_zsh() {
    local file=${page%/*}/completion/_tempfilectl

    if (($# == 0)); then
        sed -n '/^common=(/,/^)/p' "$file"
    else
        sed -n "/^    $1)/,/;;/p" "$file"
    fi | sed -nE "s/^ *'--([a-z-]+)[=[].*/\1/p; s/^ *'\(-. --([a-z-]+)\).*/\1/p; s/^ *'-([a-z])\[.*/\1/p" | sort
}

test_completion() {
    local command

    # shellcheck source=../tools/completion/tempfilectl
    . "${page%/*}/completion/tempfilectl"
    check "bash completes the commands of --help" [ "$(complete_words '')" = \
        "$(printf '%s\n' "${commands[@]}" | sort)" ]
    check "bash completes a part" [ "$(complete_words sta)" = status ]
    check "zsh completes the commands of --help" [ "$(sed -n "/^commands=(/,/^)/s/^    '\([a-z]*\):.*/\1/p" \
        "${page%/*}/completion/_tempfilectl")" = "$(printf '%s\n' "${commands[@]}")" ]
    check "zsh has the options of --help" [ "$(options_of_zsh)" = "$(options_of_help)" ]
    for command in "${commands[@]}"; do
        check "bash completes the options of $command --help" [ \
            "$(complete_words "$command" -- | sed 's/^--//; s/=$//')" = \
            "$(options_of_help "$command" | grep ..)" ]
        check "zsh completes the options of $command --help" [ \
            "$({ options_of_zsh "$command"; options_of_zsh; } | sort)" = "$(options_of_help "$command")" ]
    done
    check "bash completes a value" [ "$(complete_words list --sort = s | tr '\n' ' ')" = "size state " ]
    check "bash completes a value that is a word of its own" [ "$(complete_words list --sort own)" = owner ]
    # Others may begin with the same digits.
    check "bash completes a process" [ "$(complete_words list --pid = $$ | grep -x $$)" = $$ ]
    if command -v zsh >/dev/null; then
        check "zsh reads its completion" zsh -n "${page%/*}/completion/_tempfilectl"
    else
        tap_skip "zsh reads its completion" "zsh is not installed"
    fi
}

# ---- status, list and show ---------------------------------------------------------------------

test_empty() {
    ctl list
    check "an empty list says so" [ "$status:$out" = "0:0 entries listed." ]
    ctl list -q
    check "an empty list can be quiet" [ "$status:$out" = 0: ]
    ctl list --json
    check "an empty list is an empty array" [ "$status:$out" = "0:[]" ]
    ctl status
    check "status is readable" out_like '*Version:*Entries: 0*Database:*'
    ctl status --json
    check "status has the socket" [ "$(json 'j["socket"]')" = "$TEMPFILED_SOCKET" ]
    check "status has the daemon's number" [ "$(json 'j["pid"]')" = "$daemon_pid" ]
}

odd_name=$'odd\nname \e[31m\\ \377 \302\233 "quoted"'

# Every line that a terminal of $1 columns gets, without colours and carriage returns.
listed_at_width() {
    script -qec "stty cols $1; '$ctl' list --no-pager" /dev/null </dev/null | sed 's/\x1b\[[0-9;]*m//g; s/\r//'
}

fits_width() {
    local line

    while IFS= read -r line; do
        ((${#line} <= $1)) || return 1
    done < <(listed_at_width "$1")
}

test_list() {
    local path subject

    mkdir "$files/$odd_name"
    "$ctl" run -d "$files/$odd_name" sleep 1000 &
    subject=$!
    path=$files/$odd_name
    wait_until is_filled "$path"
    wait_until is_executing $subject sleep

    ctl list --pid=$subject
    check "odd bytes are escaped" out_like '*odd\\x0aname \\x1b\[31m\\x5c \\xff*'
    check "the count is told" out_like $'*\n\n1 entry listed.'
    check "the header is there" out_like $'ID *PATH\n*'
    ctl list --no-legend --pid=$subject
    check "neither header nor count can be had" [ "$(wc -l <"$work/out")" = 1 ]
    check "without a terminal there are no colours" out_like $'!(*\e*)'
    check "user and process are named" out_like "* $(id -un) *$subject sleep *"
    ctl list --uid="$(id -u)" --json
    check "JSON is valid" is_json "$out"
    check "JSON is valid UTF-8" iconv -f UTF-8 -t UTF-8 -o /dev/null "$work/out"
    check "JSON is on one line" [ "$(wc -l <"$work/out")" = 1 ]
    check "JSON has no control characters" [ -z "$(LC_ALL=C tr -d ' -~\200-\377\n' <"$work/out")" ]
    check "JSON has the bytes of the path" [ "$(json 'os.path.dirname(name(j[0]))')" = \
        "$(python3 -c 'import os, sys; print(os.fsencode(sys.argv[1]))' "$path")" ]
    check "JSON names the owner" [ "$(json 'j[0]["owner"]["pid"]')" = $subject ]
    ctl list --json=pretty
    check "JSON can be indented" out_like $'\\[\n  {\n    "id": *'
    ctl list --leaked
    check "what has its owner is not leaked" [ "$out" = "0 entries listed." ]
    ctl list --retained
    check "nothing is retained" [ "$out" = "0 entries listed." ]
    ctl list --uid=12345
    check "another user has nothing" [ "$out" = "0 entries listed." ]
    for width in 20 21 40 80 132; do
        check "the table fits $width columns" fits_width $width
    done
    out=$(script -qec "TERM=xterm '$ctl' list --no-pager" /dev/null </dev/null)
    check "a terminal gets colours" out_like $'*\e[[]*'
    out=$(script -qec "NO_COLOR=1 TERM=xterm '$ctl' list --no-pager" /dev/null </dev/null)
    check "but not with NO_COLOR" out_like $'!(*\e*)'

    test_show "$path" $subject
    end_process $subject KILL
    check "what a killed program had is gone" wait_until is_empty "$path"
    check "and no longer listed" wait_until is_unlisted 'odd\x0aname'
    rmdir "$path"
}

test_show() {
    local id path

    ctl list --json --pid="$2"
    id=$(json 'j[0]["id"]')
    path=$(find "$1" -mindepth 1 -maxdepth 1)
    ctl show "$id"
    check "show finds by number" out_like "*Owner: process $2*"
    ctl show "$path"
    check "show finds by path" out_like "*ID: $id*"
    cd "$1" && ctl show "./${path##*/}/"
    cd "$work" || exit 99
    check "show finds by relative path" out_like "*ID: $id*"
    ctl show --json "$id" "$path"
    check "show knows JSON" [ "$(json 'len(j)')" = 1 ]
    ctl show 4294967295.4294967295
    check "show tells what it can't find" has_failed_in_one_line 1
}

test_output() {
    local piped

    "$ctl" --help | true
    piped=${PIPESTATUS[0]}
    check "a reader that has gone is no failure" [ "$piped" = 0 ]
    for words in list "list --json" status --help; do
        # shellcheck disable=SC2086
        err=$("$ctl" $words 2>&1 >/dev/full)
        status=$?
        out=
        check "output that can't be written is a failure: $words" fails_like '*No space left*'
    done
}

# ---- run ---------------------------------------------------------------------------------------

test_run() {
    local made pid

    ctl run sh -c 'echo "$$ $TMPDIR $TMP $TEMP"; stat -c %a "$TMPDIR"; exit 7'
    made=${out#* }
    made=${made%% *}
    check "run gives the command's exit status" [ "$status" = 7 ]
    check "run sets TMPDIR, TMP and TEMP" [ "${out%$'\n'*}" = "${out%% *} $made $made $made" ]
    check "run makes its directory in TMPDIR" [ "${made%/*}" = "$files" ]
    check "run makes a private directory" [ "${out##*$'\n'}" = 700 ]
    check "run's directory goes with the command" wait_until is_gone "$made"

    "$ctl" run sh -c 'echo "$$"' >"$work/out" &
    pid=$!
    wait $pid
    check "run's command is the same process" [ "$(<"$work/out")" = $pid ]
    wait_until is_empty "$files"

    ctl run "$work/no-such-command"
    check "run says that a command is not found: 127" has_failed_in_one_line 127
    ctl run "$page"
    check "run says that a file is not executable: 126" has_failed_in_one_line 126
    check "run then removes its directory" is_empty "$files"
    ctl run -d "$work/no-such-directory" true
    check "run tells that it can't make a directory" has_failed_in_one_line 1
    "$ctl" run sh -c 'kill -KILL $$' &
    wait $! 2>/dev/null
    status=$?
    check "run's command can be killed" [ "$status" = 137 ]
    check "run then leaves nothing" wait_until is_empty "$files"
    ctl run -- sh -c 'echo "$1"' sh --help
    check "run leaves the command's options alone" [ "$status:$out" = 0:--help ]
    ctl run sh -c 'yes | head -n 1'
    check "run's command has SIGPIPE as it was" [ "$status:$out$err" = 0:y ]
    ctl run ls /proc/self/fd
    check "run's command inherits no descriptors" [ "$out" = "$(ls /proc/self/fd)" ]
    ctl --socket="$TEMPFILED_SOCKET" run sh -c 'echo "$TEMPFILED_SOCKET"'
    check "run's command uses the same daemon" [ "$out" = "$TEMPFILED_SOCKET" ]
}

# ---- mktemp ------------------------------------------------------------------------------------

matches() { [[ $status == 0 && $out =~ ^$1$ ]]; }
mode_of() { stat -c %a "$1"; }

test_mktemp() {
    local a='[0-9A-Za-z]' d

    d=$(realpath "$files")
    mkdir "$files/sub"
    ctl mktemp
    check "mktemp makes tmp.XXXXXXXXXX in TMPDIR" matches "$d/tmp\.$a{10}"
    check "for the owner only" [ "$(mode_of "$out")" = 600 ]
    check "an empty file" [ -f "$out" -a ! -s "$out" ]
    check "of this script" is_owned "$out" $$
    ctl mktemp -d
    check "mktemp -d makes a directory" [ -d "$out" -a "$(mode_of "$out")" = 700 ]
    ctl mktemp -p "$files/sub"
    check "mktemp -p makes it there" matches "$d/sub/tmp\.$a{10}"
    ctl mktemp --tmpdir="$files/sub" aXXXb
    check "mktemp --tmpdir makes it there" matches "$d/sub/a$a{3}b"
    ctl mktemp --tmpdir sub/aXXXX
    check "mktemp --tmpdir without a value is TMPDIR" matches "$d/sub/a$a{4}"
    ctl mktemp -p "$files/sub" -t tXXX
    check "mktemp -t prefers TMPDIR" matches "$d/t$a{3}"
    TMPDIR='' ctl mktemp -p "$files/sub" -t tXXX
    check "mktemp -t takes -p without TMPDIR" matches "$d/sub/t$a{3}"
    ctl mktemp --suffix=.tar.gz -p "$files" XXXXXX
    check "mktemp --suffix appends" matches "$d/$a{6}\.tar\.gz"
    ctl mktemp --suffix=fooX -p "$files" aXXX
    check "mktemp --suffix may have an X" matches "$d/a$a{3}fooX"
    ctl mktemp "$files/sub/XXXaXXXX.c"
    check "mktemp replaces the last run" matches "$d/sub/XXXa$a{4}\.c"
    cd "$files/sub" && ctl mktemp -d hereXXX
    cd "$work" || exit 99
    check "mktemp without -p makes it here, and prints what was written" matches "here$a{3}"
    ctl mktemp -p "$files/none"
    check "mktemp tells that it can't" has_failed_in_one_line 1
    ctl mktemp -q -p "$files/none"
    check "mktemp -q is silent" [ "$status:$out$err" = 1: ]
}

test_mktemp_odd() {
    local dir name

    name=$(printf '%0250d' 0)XXX
    ctl mktemp -p "$files" "$name"
    check "mktemp makes a name of 253 bytes" [ "$status:${#out}" = "0:$((${#files} + 254))" ]
    ctl mktemp -p "$files" "${name}000"
    check "mktemp refuses a name of 256 bytes" has_failed_in_one_line 1
    ln -s "$files" "$work/link"
    TMPDIR=$work/link ctl mktemp
    check "mktemp follows a symbolic link as TMPDIR" [ "$status" = 0 -a -f "$out" ]
    check "and it is owned" is_owned "${out##*/}" $$
    dir=$files/$'new\nline \377'
    mkdir "$dir"
    ctl mktemp -p "$dir" $'\e[31m\377XXXX'
    check "mktemp prints odd names as they are" [ "$status" = 0 -a -f "$out" ]
}

test_mktemp_undone() {
    local before closed

    before=$(find "$files" -type f | wc -l)
    err=$("$ctl" mktemp 2>&1 >/dev/full)
    status=$?
    out=
    check "mktemp fails if it can't print the name" fails_like '*No space left*'
    check "and leaves no file" [ "$(find "$files" -type f | wc -l)" = "$before" ]
    before=$(find "$files" -type d | wc -l)
    exec {closed}> >(:) # a pipe whose reader ends at once
    wait $!
    "$ctl" mktemp -d 1>&"$closed" 2>"$work/err"
    status=$?
    exec {closed}>&-
    check "mktemp fails if nobody reads the name" [ $status = 1 ]
    check "and leaves no directory" [ "$(find "$files" -type d | wc -l)" = "$before" ]
    ctl list --json
    check "and nothing in the list" [ "$(json 'sum(not os.path.exists(name(e)) for e in j)')" = 0 ]
}

# ---- whose is it? ------------------------------------------------------------------------------

# Runs in each shell: "NAME PATH" a line; all are to belong to the shell itself.
cat >"$work/cases.sh" <<'END'
t() { echo "$1 $2"; }
f() { "$ctl" mktemp; }
g() { cd / && "$ctl" mktemp -d; }
t plain "$("$ctl" mktemp)"
x=$("$ctl" mktemp); t assigned "$x"
t backquotes "`"$ctl" mktemp`"
t function "$(f)"
t directory-in-function "$(g)"
t and "$(cd / && "$ctl" mktemp)"
t or "$("$ctl" mktemp || echo failed)"
t otherwise "$(false || "$ctl" mktemp)"
t pipeline "$("$ctl" mktemp | cat)"
t end-of-pipeline "$(true | "$ctl" mktemp)"
t function-in-pipeline "$(f | cat)"
t nested "$(echo $(echo $("$ctl" mktemp)))"
t nested-function "$(echo $(f | cat))"
t subshell "$( ( ( f; true ); true ) )"
t loop "$(echo a | while read x; do f; done)"
t evaluated "$(eval '"$ctl" mktemp | cat')"
t environment "$(env A=1 "$ctl" mktemp)"
t executed "$(exec "$ctl" mktemp)"
t trapped "$(trap '' TERM; f; true)"
( f >"$work/background"; true ) & wait
t background "$(cat "$work/background")"
set -e
t set-e "$(f || true)"
echo "done $$"
read x
END
export ctl work

# shell_cases NAME SHELL...: the script stays until its standard input ends.
shell_cases() {
    local name=$1 in subject kind path paths=()

    shift
    mkfifo "$work/in"
    "$@" <"$work/in" >"$work/paths" 2>"$work/err" &
    subject=$!
    exec {in}>"$work/in"
    wait_until grep -q ^done "$work/paths"
    while read -r kind path; do
        [[ $kind == "done" ]] && continue
        check "$name: $kind belongs to the shell" is_owned "$path" $subject
        paths+=("$path")
    done <"$work/paths"
    check "$name: all cases were tried" [ ${#paths[@]} = 21 ]
    exec {in}>&-
    wait $subject
    rm "$work/in"
    check "$name: all are gone with the shell" wait_until are_gone "${paths[@]}"
}

are_gone() {
    local path

    for path in "$@"; do
        is_gone "$path" || return 1
    done
}

test_shells() {
    local shell

    for shell in dash bash; do
        shell_cases "$shell FILE" $shell "$work/cases.sh"
        shell_cases "$shell -c" $shell -c "$(<"$work/cases.sh")"
        printf '#!%s\n' "$(command -v $shell)" | cat - "$work/cases.sh" >"$work/script"
        chmod +x "$work/script"
        shell_cases "#!$shell" "$work/script"
    done
    shell_cases "bash --posix" bash --posix "$work/cases.sh"
    if command -v busybox >/dev/null; then
        shell_cases busybox busybox sh "$work/cases.sh"
    fi
}

# What is made, by whom: "PATH PID" on standard output.
test_programs() {
    local path pid

    cat >"$work/Makefile" <<'END'
made := $(shell "$$ctl" mktemp)
all:
	@echo "$(made) $$PPID"; "$$ctl" list --no-legend --pid=$$PPID | grep -c "$(made)"
	@f=$$("$$ctl" mktemp | cat); "$$ctl" list --no-legend --pid=$$$$ | grep -c "$$f"
END
    if command -v make >/dev/null; then
        out=$(env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -f "$work/Makefile" 2>&1)
        path=${out%% *}
        check "make: \$(shell) belongs to make, a recipe to its shell" [ "$(tail -n +2 <<<"$out")" = \
            $'1\n1' ]
        check "make: gone with it" wait_until is_gone "$path"
    else
        tap_skip "make: \$(shell) belongs to make, a recipe to its shell" "make is not installed"
        tap_skip "make: gone with it" "make is not installed"
    fi
    # shellcheck disable=SC2016
    out=$(echo x | xargs sh -c 'f=$("$ctl" mktemp | cat); "$ctl" list --no-legend --pid=$$ | grep -c "$f"')
    check "xargs sh -c: belongs to that shell" [ "$out" = 1 ]
    out=$(python3 - <<'END'
import os, subprocess
ctl = os.environ['ctl']
def made(command, shell):
    path = subprocess.check_output(command, shell=shell, text=True).strip()
    listed = subprocess.check_output([ctl, 'list', '--no-legend', f'--pid={os.getpid()}'], text=True)
    return path in listed
print(made([ctl, 'mktemp'], False), made('"$ctl" mktemp', True))
END
    )
    check "python: belongs to the program" [ "$out" = "True True" ]
    # shellcheck disable=SC2016
    out=$(printf '%s\n' 'f=$("$ctl" mktemp | cat)' '"$ctl" list --no-legend --pid=$$ | grep -c "$f"' exit |
        bash --norc -i 2>/dev/null)
    check "bash -i: belongs to the interactive shell" [ "${out##*$'\n'}" = 1 ]
    sleep 1000 &
    pid=$!
    ctl mktemp --owner-pid=$pid
    check "--owner-pid: belongs to that process" is_owned "$out" $pid
    path=$out
    end_process $pid KILL
    check "--owner-pid: gone with that process" wait_until is_gone "$path"
    ctl mktemp --owner-pid=$pid
    check "--owner-pid: refused when that has ended" has_failed_in_one_line 1
}

# ---- filters, order, sizes ---------------------------------------------------------------------

names() { json '" ".join(os.path.basename(e["path"]) for e in j)'; }

test_filters() {
    local dir=$files/filters

    mkdir "$dir" "$dir/large"
    : >"$dir/b"
    head -c 200000 /dev/zero >"$dir/large/z"
    mkfifo "$dir/a"
    ctl track -q --owner-pid=$$ "$dir/b" "$dir/large" "$dir/a"
    check "track takes several" [ "$status:$out$err" = 0: ]
    ctl list --json --under="$dir"
    check "list: as they were registered" [ "$(names)" = "b large a" ]
    ctl list --json --under="$dir/"
    check "--under: a slash at the end is nothing" [ "$(names)" = "b large a" ]
    ctl list --json --under="$dir/lar"
    check "--under: the whole name counts" [ "$(names)" = "" ]
    cd "$dir" && ctl list --json --under large
    cd "$work" || exit 99
    check "--under: relative, and itself" [ "$(names)" = "large" ]
    ctl list --json --under="$dir" --sort=path
    check "--sort=path" [ "$(names)" = "a b large" ]
    ctl list --json --under="$dir" --sort=path -r
    check "--reverse" [ "$(names)" = "large b a" ]
    ctl list --json --under="$dir" --reverse
    check "--reverse alone" [ "$(names)" = "a large b" ]
    ctl list --json --under="$dir" --sort=size --reverse
    check "--sort=size shows sizes" [ "$(json 'j[0]["size"] >= 200000, j[1]["size"], j[0]["size_partial"]')" = \
        "True 0 False" ]
    ctl list --json --under="$dir" --larger=100K
    check "--larger" [ "$(names)" = large ]
    ctl list --json --under="$dir" --larger=1T
    check "--larger than all" [ "$out" = "[]" ]
    ctl list --json --under="$dir" --older=1h
    check "--older" [ "$out" = "[]" ]
    ctl list --json --under="$dir" --older=0
    check "--older=0 is all" [ "$(names)" = "b large a" ]
    ctl list --json --under="$dir" --unit=no-such
    check "--unit" [ "$out" = "[]" ]
    ctl list --under="$dir" --total
    check "--total sums up" out_like $'*SIZE PATH\n*\n3 entries listed, 2??K in all.'
    ctl reap -qf "$dir/a" "$dir/b" "$dir/large"
    rmdir "$dir"
    check "what was tracked is gone" is_gone "$dir"
}

test_pager() {
    out=$(SYSTEMD_PAGER="sed s/^/paged:/" TERM=xterm script -qec "'$ctl' list" /dev/null </dev/null)
    check "a terminal gets a pager" out_like 'paged:*listed.*'
    out=$(PAGER="sed s/^/paged:/" TERM=xterm script -qec "'$ctl' list" /dev/null </dev/null)
    check "that may be called PAGER" out_like 'paged:*listed.*'
    out=$(SYSTEMD_PAGER='' PAGER=false TERM=xterm script -qec "'$ctl' list" /dev/null </dev/null)
    check "or none" out_like '*listed.*'
    out=$(PAGER=false TERM=xterm script -qec "'$ctl' list --no-pager" /dev/null </dev/null)
    check "--no-pager" out_like '*listed.*'
    PAGER=false ctl list
    check "no pager without a terminal" out_like '*listed.*'
    out=$(PAGER='head -n 1' TERM=xterm script -qec "'$ctl' list --json; echo status \$?" /dev/null </dev/null)
    check "a pager that ends early is no failure" out_like '*status 0*'
}

# ---- keep, track, give, renew, retain ----------------------------------------------------------

# entry PATH EXPRESSION: of the entry "e" at that path
entry() {
    out=$("$ctl" list --json) json "[$2 for e in j if name(e) == os.path.realpath(b'$1')]"
}

test_changes() {
    local a=$files/a b=$files/b subject

    touch "$a" "$b"
    sleep 1000 &
    subject=$!
    ctl track "$a"
    check "track says what it tracks" [ "$status:${out##*( )}" = "0:Tracked: $(realpath "$a")" ]
    check "track: the owner is the caller" is_owned "$a" $$
    ctl track "$work/none"
    check "track tells what is not there" has_failed_in_one_line 1
    ctl track /
    check "track refuses the root" has_failed_in_one_line 1
    ctl give --owner-pid=$subject "$a"
    check "give: another process" is_owned "$a" $subject
    check "and counts it" [ "$status:$out" = "0:1 entry given." ]
    ctl give -n --boot "$a"
    check "give --dry-run says what it would do" [ "$status:$out" = "0:Would give $(realpath "$a")" ]
    check "and does nothing" is_owned "$a" $subject
    ctl renew "$a" 1h
    check "renew refuses what is on no lease" fails_like '*not on a lease*'
    ctl give --lease=1h "$a"
    check "give: a lease" [ "$(entry "$a" 'e["owner"]["kind"]')" = "['lease']" ]
    ctl list --under="$a"
    check "list shows what is left of it" out_like '* - 59min left*'
    ctl renew "$a" 1d12h
    check "renew says so" [ "$status:$out" = "0:1 entry renewed." ]
    ctl list --under="$a"
    check "list shows that" out_like '* - 35h left*'
    ctl give --boot "$a"
    check "give: the boot" [ "$(entry "$a" 'e["owner"]["kind"]')" = "['boot']" ]
    ctl give --unit=no-such "$a"
    check "give tells that there is no such unit" fails_like "*no-such.service*"
    ctl track -q --lease=1h "$b"
    check "track: a lease" [ "$status:$(entry "$b" 'e["owner"]["kind"]')" = "0:['lease']" ]
    ctl give --boot --from-unit=no-such
    check "give: none of a unit that has none" [ "$status:$out" = "0:0 entries given." ]
    ctl give -q --owner-pid=$subject "$a" "$b"
    check "give: several" [ "$status:$out$err" = 0: ]
    ctl retain --pid=$subject 1h
    check "retain: by process" [ "$status:$out" = "0:2 entries will be retained." ]
    end_process $subject KILL
    check "what is retained outlives its owner" wait_until is_retained "$a"
    check "and is there" [ -e "$a" -a -e "$b" ]
    ctl list --retained
    check "list shows for how long" out_like "*retained*59min left*"
    ctl keep "$a" "$b" 4294967295.4294967295 "$work/none"
    check "keep goes on after a failure" [ "$status:$out:$(wc -l <"$work/err")" = "1:2 entries kept.:2" ]
    ctl list --json --under="$a"
    check "what is kept is no entry" [ "$out" = "[]" ]
    check "and there" [ -e "$a" -a -e "$b" ]
    rm "$a" "$b"
}

is_retained() { [[ $(entry "$1" 'e["state"]') == "['retained']" ]]; }

# At a terminal, with $1 as the answer.
answered() {
    out=$(script -qec "'$ctl' $2" /dev/null <<<"$1")
    status=$?
}

test_questions() {
    local i subject

    sleep 1000 &
    subject=$!
    for i in 1 2 3; do
        touch "$files/q$i"
    done
    ctl track -q --owner-pid=$subject "$files"/q?
    answered n "reap -f --pid=$subject"
    check "a no is a failure" [ "$status" = 1 ]
    status=0
    check "many: asked on a terminal" out_like $'*q1*q3*Delete these 3 entries? \\[y/N]*nothing was done*'
    check "no means no" [ -e "$files/q1" ]
    answered y "reap -f --pid=$subject -n"
    check "--dry-run asks nothing" out_like '!(*Delete these*)'
    ctl reap --pid=$subject
    check "reap leaves what has its owner" fails_like '*3 still have an owner*'
    answered y "reap -f --pid=$subject"
    check "yes means yes" wait_until is_gone "$files/q3"
    end_process $subject KILL
}

# ---- check and metrics -------------------------------------------------------------------------

test_check() {
    local dir=$files/checked

    mkdir "$dir"
    touch "$dir/a" "$dir/b"
    ctl track -q --owner-pid=$$ "$dir/a" "$dir/b"
    ctl check
    check "check finds that all agrees" out_like '0 of * entries differ.'
    ctl check -q
    check "quietly" [ "$status:$out" = 0: ]
    rm "$dir/a" "$dir/b"
    mkdir "$dir/b"
    ctl check
    check "check fails when something differs" [ "$status" = 1 ]
    status=0
    check "and says what" out_like "*is not there *$dir/a*is of another kind *$dir/b*2 of * entries differ."
    ctl check --json
    check "in JSON, too" [ "$status:$(json '[e["difference"] for e in j]')" = \
        "1:['is not there', 'is of another kind']" ]
    ctl keep -q "$dir/a" "$dir/b"
    rmdir "$dir/b" "$dir"
}

# ---- reap --------------------------------------------------------------------------------------

test_reap() {
    local path id

    ctl mktemp
    path=$out
    ctl reap "$path"
    check "reap refuses what has its owner" fails_like '*--force*'
    check "and leaves it alone" [ -f "$path" ]
    ctl reap --force "$path"
    check "reap --force deletes it" is_gone "$path"
    check "and says so" [ "$status:$out" = "0:1 entry reaped." ]
    ctl reap "$path"
    check "reap tells what it can't find" has_failed_in_one_line 1
    ctl reap 4294967295.4294967295
    check "reap tells which number it can't find" has_failed_in_one_line 1
    ctl reap --all
    check "reap --all with nothing to do" [ "$status:$out" = "0:0 entries reaped." ]
    path=$("$ctl" mktemp -d)
    touch "$path/inside"
    ctl list --json
    id=$(json '[e["id"] for e in j if e["path"] == os.path.realpath("'"$path"'")][0]')
    ctl reap -qf "$id"
    check "reap by number deletes a directory with its contents" is_gone "$path"
    check "quietly" [ "$status:$out$err" = 0: ]
}

# A directory that its user may not write to any more.
test_stuck() {
    local dir=$work/stuck subject

    mkdir -m 777 "$dir"
    chmod 755 "$files"
    if ! as_user "$ctl" --version >/dev/null 2>&1; then
        tap_skip "stuck entries (9 cases)" "user $ordinary may not execute $ctl"
        return
    fi
    ((EUID != 0)) || chown $ordinary "$dir"
    { as_user "$ctl" run -d "$dir" sleep 1000; } 2>/dev/null &
    wait_until is_filled "$dir"
    ctl list --json
    subject=$(json '[e["owner"]["pid"] for e in j if e["path"].startswith("'"$dir"'")][0]')
    out=$(as_user "$ctl" list --no-legend)
    check "an ordinary user sees his own" out_like "*$dir*"
    chmod 555 "$dir"
    kill -KILL "$subject"
    wait_until is_leaked "$dir"
    ctl list --leaked --json
    check "what can't be deleted is stuck and leaked" [ "$(json 'j[0]["state"]')" = stuck ]
    check "with the reason" [ "$(json 'j[0]["error"]')" = EACCES ]
    ctl list --leaked
    check "also in the table" out_like "*REASON*PATH*stuck*Permission denied $dir*"
    ctl show "$(find "$dir" -mindepth 1)"
    check "show tells the reason" out_like '*Error: Permission denied*'
    for _ in 1 2 3 4 5; do # after which it is not tried by itself for a minute
        ctl reap --all
    done
    check "reap fails as long as that is so" has_failed_in_one_line 1
    chmod 755 "$dir"
    ctl reap --all
    check "reap deletes it afterwards" is_empty "$dir"
    check "and counts it" [ "$out" = "1 entry reaped." ]
    ctl list --leaked
    check "nothing is leaked any more" [ "$out" = "0 entries listed." ]
}

test_other_user() {
    local path

    if ((EUID != 0)); then
        tap_skip "others' entries are neither seen nor deleted" "needs root"
        return
    fi
    path=$("$ctl" mktemp)
    out=$(as_user "$ctl" list --no-legend)
    check "others' entries are not seen" [ -z "$out" ]
    as_user "$ctl" reap -f "$path" 2>"$work/err"
    check "others' entries are not deleted" [ $? = 1 -a -e "$path" ]
    as_user "$ctl" mktemp --owner-pid=$$ -p /tmp 2>"$work/err"
    check "others' processes are no owners" [ $? = 1 ]
}

test_arguments
test_no_daemon
test_documentation
test_completion
daemon_start || exit 1
test_empty
test_output
test_list
test_run
test_mktemp
test_mktemp_odd
test_mktemp_undone
test_shells
test_programs
test_filters
test_pager
test_changes
test_questions
test_check
test_reap
test_stuck
test_other_user
tap_plan $tap_number
tap_end
