#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl called as mktemp, through a link, beside the mktemp(1) of this machine: the same
# command lines, and what each prints, says, makes and exits with. Then what only the link does:
# the files go with the script.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

links=$work/links # where mktemp is tempfilectl
own=$(command -v mktemp)
own=${own%/*}
common=$work/common # $TMPDIR for both
status=0
out=
err=

chmod 711 "$work"
mkdir "$links" "$work/real" "$work/ours" "$common" "$common/sub" "$work/real/sub" "$work/ours/sub"
ln -s "$(realpath "$TEMPFILECTL")" "$links/mktemp"
export TMPDIR=$common

check() {
    local name=$1

    shift
    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "status: $status" "out: $out" "err: $err"
    fi
}

is_gone() { [[ ! -e $1 && ! -L $1 ]]; }
is_owned() { [[ $("$TEMPFILECTL" list --no-legend --pid="$2") == *"$1"* ]]; }
is_unlisted() { [[ $("$TEMPFILECTL" list --no-legend) != *"$1"* ]]; }
ours() { PATH=$links:$PATH mktemp "$@"; }

# ---- beside the other --------------------------------------------------------------------------

# Of what was made: its kind, permissions and size; the letters of its name are random.
describe() {
    local path=$1 name

    if [[ -z $path ]]; then
        echo "no path"
        return
    fi
    name=${path##*/}
    printf '%q %q ' "${path%"$name"}" "${name//[0-9A-Za-z]/X}"
    stat -c '%F %a %s' "$path" 2>/dev/null || echo "nothing there"
}

# run_in DIRECTORY PATH ARGUMENT...: what came of it, on standard output.
run_in() {
    local dir=$1 path=$2 printed status

    shift 2
    cd "$dir" || exit 99
    printed=$(umask "$mask"; PATH=$path mktemp "$@" 2>"$work/said")
    status=$?
    printf 'status %d\n' $status
    describe "$printed"
    cat "$work/said"
}

# same ARGUMENT...: both do the same with them.
same() {
    local real

    real=$(run_in "$work/real" "$own:$PATH" "$@")
    err=$(run_in "$work/ours" "$links:$PATH" "$@")
    status="$real"
    out=
    printf -v name ' %q' "$@"
    check "$label: mktemp${name:0:100}" [ "$real" = "$err" ]
}

same_files() {
    same
    same -d
    same aXXX
    same -d "sub/aXXXX"
    same ./sub/../aXXX.c
    same XXXaXXXX.c
    same aXXXb.XXX-
    same "$work/common/XXXXXXXXXXXX"
    same -p sub aXXX
    same -p "$common/" -- -XXX
    same -p "$common///" aXXX
    same -p .. aXXX
    same -p '' aXXX
    same -psub
    same --tmpdir
    same --tmpdir=sub
    same --tmpdir= -d
    same --tmpdir sub/aXXX
    same --tmp=sub aXXX
    same -t aXXX
    same -p "$work/ours" -t aXXX
    same -tp "$work/ours" aXXX
    same -dq
    same --directory --quiet aXXX
    same --dir
    same --suffix=.tar.gz aXXX
    same --suffix= aXXX
    same --suffix=X aXXX
    same --suffix=Xb aXXX
    same --suffix=XXX aXXX
    same --suffix=XXXXb aXXXXXX
    same --suf .c -p sub
    same "$(printf '%0250d' 0)XXX"
    same $'\e[31m\377\nXXXX'
    same -d $'a b\\\'\tXXXX'
}

same_names() {
    same -u
    same -u aXXXX
    same -du sub/aXXX.c
    same --dry-run -p "$work/none"
    same -u "$work/none/aXXX"
    same -u "$work/said/aXXX"
    same -u -t aXXXXXXXXXX
}

same_refusals() {
    local name

    for name in '' X aXX aXXbX aXXXbX 'a'\''XX' $'a\tb\\\e\177XX' äXX ‘a’XX $'\377XX'; do
        same "$name"
        same -q -d "$name"
    done
    same XXX/a
    same XXX/
    same aXXXbX/
    same --suffix=a/b aXXX
    same --suffix=/
    same --suffix=/ aXX
    same --suffix=.c aXXXb
    same --suffix= ''
    same --suffix=.c
    same --suffix=X aXX
    same -p sub /aXXX
    same --tmpdir /aXX
    same --tmpdir "$common/XXX"
    same -t a/XXX
    same -t /aXXX
    same -t XXX/
    same -t aXX
    same -p "$work/none"
    same -p "$work/none//" -d aXXX
    same "$work/none/aXXX"
    same -d none/XXXX.c
    same -q none/XXX
    same -p "$work/said"
    same "$(printf '%0253d' 0)XXX"
    same --suffix="$(printf '%0253d' 0)"
    ((EUID == 0)) || same /aXXX
}

same_usage() {
    same a b
    same -q a b c
    same -x
    same -h
    same -dx aXXX
    same -p
    same -d -p
    same --nonsense
    same --suffix
    same --quiet=1
    same --directory=yes aXXX
    same --d
    same --suffi
    same --q -p "$work/none"
    same -- -d --nonsense
}

test_sameness() {
    local label mask=022 name

    for label in C C.UTF-8; do
        export LC_ALL=$label
        same_refusals
    done
    same_files
    same_names
    same_usage
    label="umask"
    for mask in 0 077 0177 0377 0777; do
        same "m$mask-XXX"
        same -d "m$mask-XXXXXXXXXX"
    done
    mask=022
    label="no TMPDIR"
    export -n TMPDIR
    same -p "$common" -t aXXX
    same -p sub
    export TMPDIR=
    label="empty TMPDIR"
    same -p sub -t
    export TMPDIR=sub
    label="relative TMPDIR"
    same
    same -t aXXX
    export TMPDIR=$work/none
    label="TMPDIR is not there"
    same
    same -dt aXXX
    export TMPDIR=$common
    unset LC_ALL
}

# Standard output that takes nothing.
test_full() {
    local before real options

    for options in "" -d -u -q; do
        before=$(find "$common" | wc -l)
        real=$(PATH=$own:$PATH mktemp $options 2>&1 >/dev/full)$?
        err=$(ours $options 2>&1 >/dev/full)$?
        check "the name can't be printed: mktemp $options" [ "$err" = "$real" ]
        check "and nothing is left" [ "$(find "$common" | wc -l)" = "$before" ]
        real=$(PATH=$own:$PATH mktemp $options 2>&1 >&-)$?
        err=$(ours $options 2>&1 >&-)$?
        check "standard output is closed: mktemp $options" [ "$err" = "$real" ]
        check "and nothing is left" [ "$(find "$common" | wc -l)" = "$before" ]
    done
}

# ---- what is its own ---------------------------------------------------------------------------

# ours_does ARGUMENT...: sets $out, $err and $status.
ours_does() {
    out=$(ours "$@" 2>"$work/err")
    status=$?
    err=$(<"$work/err")
}

test_help() {
    local option

    ours_does --help
    check "--help names the program" [ "$status:${out%%$'\n'*}" = "0:Usage: mktemp [OPTION]... [TEMPLATE]" ]
    for option in -d --directory -u --dry-run -q --quiet --suffix=SUFF -p --tmpdir[=DIR] -t \
        --owner-pid=PID --unit=UNIT --help --version; do
        check "--help has $option" grep -qF -e " $option" <<<"$out"
    done
    for option in --version -V --vers; do
        ours_does $option
        check "$option tells whose it is" [ "$status:${out%% [0-9]*}" = "0:mktemp (tempfiled)" ]
    done
    out=$("$links/mktemp" --nonsense 2>&1)
    check "messages begin with what it was called" [ "${out%%:*}" = "$links/mktemp" ]
}

test_options() {
    local pid

    ours_does --owner-pid=0
    check "a wrong owner is told" [ "$status:$err" = "1:mktemp: '0' is not a process number
Try 'mktemp --help' for more information." ]
    ours_does --unit=no-such-unit
    check "a unit that is not there is told" [ "$status:${err%%:*}" = 1:mktemp ]
    ours_does --owner-pid=$$ --unit=a
    check "one owner only" [ "$status:${err%%:*}" = 1:mktemp ]
    sleep 1000 &
    pid=$!
    ours_does --owner-pid=$pid
    check "--owner-pid names the owner" is_owned "$out" $pid
    ours_does -u -p "$common" --owner-pid=$pid uXXXXXXXXXX
    check "-u registers a name that can't be guessed" is_owned "$out" $pid
    mkfifo "$out"
    end_process $pid KILL
    check "what is made there goes with the owner" wait_until is_gone "$out"
    ours_does -u -p "$common" uXXXXXXXXX
    check "-u does not register one that can" is_unlisted "$out"
    ours -p "$common" told-XXXXXXXXXX >/dev/full 2>"$work/err"
    status=$?
    err=$(<"$work/err")
    check "a name that can't be printed is an error" [ "$status:$err" = "1:mktemp: write error: No space left on device" ]
    check "and nothing is left of what nobody can know of" [ -z "$(compgen -G "$common/told-*")" ]
    check "nor is it in the list" is_unlisted "$common/told-"
}

test_no_daemon() {
    TEMPFILED_SOCKET=$work/none ours_does
    check "without a daemon it fails in one line" [ \
        "$status:$out$err" = "1:mktemp: no tempfiled answers; tried $work/none" ]
    TEMPFILED_SOCKET=$work/none ours_does -u
    check "also with -u" [ "$status:$out" = 1: ]
    TEMPFILED_SOCKET=$work/none ours_does -q
    check "silently with -q" [ "$status:$out$err" = 1: ]
}

# In each shell: a path a line, then "ready". All of them are the script's.
cat >"$work/script" <<'END'
set -e
f() { mktemp; }
a=$(mktemp)
b=$(mktemp -d "${TMPDIR:-/tmp}/script-XXXXXX")
c=`f`
d=$(f | cat)
e=$(mktemp -t in-XXXX) || exit 1
if ! g=$(mktemp -q "$b/gXXXXXX"); then exit 1; fi
h=$(cd "$b" && mktemp hXXX)
i=$(echo "$(mktemp -d)")
mktemp -p "$b" >"$b/list"
read j <"$b/list"
k=$(mktemp -u)
mkfifo "$k"
trap 'exit 1' TERM
for path in "$a" "$b" "$c" "$d" "$e" "$g" "$b/$h" "$i" "$j" "$k"; do
    [ -e "$path" ] || exit 1
    echo "$path"
done
echo ready
read x
END

are_gone() {
    local path

    for path in "$@"; do
        is_gone "$path" || return 1
    done
}

is_ready() { grep -sqx ready "$work/paths" || ! kill -0 "$subject" 2>/dev/null; }

test_script() {
    local shell=$1 signal=$2 subject paths

    rm -f "$work/paths" # the one before was ready, too
    PATH=$links:$PATH $shell "$work/script" <&"$idle" >"$work/paths" 2>"$work/err" &
    subject=$!
    wait_until is_ready
    err=$(<"$work/err")
    mapfile -t paths < <(grep -vx ready "$work/paths")
    check "$shell: a script with mktemp comes to its end" [ "${#paths[@]}" = 10 ]
    kill -"$signal" "$subject"
    wait $subject 2>/dev/null
    check "$shell: SIG$signal ends it, and all it made is gone" wait_until are_gone "${paths[@]}"
}

if ! mktemp --version | grep -q 'GNU coreutils'; then
    printf '1..0 # SKIP mktemp is not that of GNU here\n'
    exit 0
fi
daemon_start || exit 1
test_sameness
test_full
test_help
test_options
test_no_daemon
for shell in bash dash; do
    test_script $shell KILL
    test_script $shell TERM
done
tap_plan $tap_number
tap_end
