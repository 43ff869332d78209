#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What can be set: tempfiled's options and its configuration. Whether --help, the pages, the example
# and the program itself say the same; and what a running daemon makes of a file.
#
# Needs $TEMPFILED, $TEMPFILECTL and $top_srcdir.

: "${top_srcdir:=$(dirname "$0")/..}"
. "$(dirname "$0")/shell-fixture.sh"

page=$top_srcdir/daemon/tempfiled.8
config_page=$top_srcdir/daemon/tempfiled.conf.5
example=$top_srcdir/daemon/tempfiled.conf
config=$work/config
user=()
((EUID == 0)) || user=(--user)

# check NAME COMMAND...: one case; what the command says matters if it fails
check() {
    local name=$1 said
    shift

    if said=$("$@" 2>&1); then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "$said"
    fi
}

# ---- what is written ---------------------------------------------------------------------------

options_of_help() { "$TEMPFILED" --help | sed -nE 's/^  (-.| {2}) *--([a-z-]+).*/\2/p' | sort; }
options_of_page() {
    awk '/^\.Sh / { is_here = $2 == "OPTIONS" }
        is_here && /^\.It Fl / { for (i = 3; i <= NF; i++) if ($i ~ /^-[a-z]/) { print substr($i, 2); next } }' "$page" | sort
}
defaults() { "$TEMPFILED" --check-config --config=/dev/null; }

# As the program prints it: [Section], Key=default.
of_example() { sed -n 's/^#\([A-Z][A-Za-z]*=\)/\1/p; /^\[/p' "$example"; }
of_page() {
    awk '/^\.Ql \[.*\] :$/ { print $2 }
        /^\.It Cm [A-Z][A-Za-z]* Ns =/ { key = $3 }
        is_default { print key "=" $2; is_default = 0 }
        /^Default:$/ { is_default = 1 }' "$config_page"
}

are_well_formed() {
    local said

    said=$(mandoc -T lint -W style "$page" "$config_page" 2>/dev/null | grep -v 'referenced manual not found')
    [[ -z $said ]] || { echo "$said"; return 1; }
}

# ---- what a daemon makes of it -----------------------------------------------------------------

# set_keys LINE...: what is in the file from now on
set_keys() { printf '%s\n' '[Daemon]' "$@" >"$config"; }

# start_with OPTION...
start_with() {
    mkdir -p "$work/daemon"
    "$TEMPFILED" "${user[@]}" --socket "$TEMPFILED_SOCKET" --state-dir "$work/daemon/state" \
        --config "$config" "$@" >>"$work/daemon/log" 2>&1 &
    daemon_pid=$!
    wait_until daemon_answers
}

is_durability() { "$TEMPFILECTL" status | grep -q "^ *Durability: $1\$"; }
has_logged() { grep -qF -- "$1" "$work/daemon/log"; }
reload() { kill -HUP "$daemon_pid"; }

file_counts() {
    set_keys Durability=crash && start_with && is_durability crash
}

reload_reads_it_again() {
    set_keys Durability=power && reload && wait_until is_durability power
}

mistake_is_told() {
    set_keys Durability=crash Colour=red && reload &&
        wait_until has_logged "$config:3: unknown key 'Colour' in section [Daemon], ignored" &&
        wait_until is_durability crash
}

missing_file_is_told() {
    rm "$config" && reload && wait_until has_logged "$config:0: cannot be opened" &&
        wait_until is_durability power
}

# tracked PATH: it goes with $owner; prints its id
tracked() {
    as_user "$TEMPFILECTL" track --quiet --owner-pid="$owner" "$1" &&
        "$TEMPFILECTL" list --no-legend | grep -F "$1" | cut -d' ' -f1
}

# In a subshell, which it takes the place of.
become_user() {
    ((EUID == 0)) || exec "$@"
    exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
as_user() { (become_user "$@"); }

# make_owned: a directory of an ordinary user with a file in it, and a process of that user
make_owned() {
    chmod 711 "$work" && mkdir -m 777 "$work/$1" && as_user touch "$work/$1/file" || return 1
    become_user sleep 60 >/dev/null 2>&1 &
    owner=$!
    wait_until has_begun
}
has_begun() { [[ $(cat "/proc/$owner/comm" 2>/dev/null) == sleep ]]; }

is_gone() { [[ ! -e $1 ]]; }

retained_for_no_longer() {
    set_keys RetainMaxSec=0 && reload && make_owned retained && id=$(tracked "$work/retained/file") &&
        "$TEMPFILECTL" retain "$id" 1h || return 1
    end_process "$owner" KILL
    wait_until is_gone "$work/retained/file" || { "$TEMPFILECTL" list; return 1; }
}

# With pauses of 2, 4 and 8 seconds it would take longer than a minute.
was_tried_often() { "$TEMPFILECTL" show "$1" | grep -Eq '^ *Attempts: ([6-9]|[1-9][0-9])'; }

retried_after_short_pauses() {
    set_keys RetryMaxSec=20ms && reload && make_owned stuck && id=$(tracked "$work/stuck/file") || return 1
    # Nobody may delete in there any more.
    if ((EUID == 0)); then chmod 755 "$work/stuck"; else chmod 555 "$work/stuck"; fi
    end_process "$owner" KILL
    wait_until was_tried_often "$id" || { "$TEMPFILECTL" show "$id"; return 1; }
    chmod 777 "$work/stuck"
    wait_until is_gone "$work/stuck/file"
}

# Once more, until it was tried fifty times: what a worker just has does not count.
reap_the_fiftieth() {
    "$TEMPFILECTL" reap "$1" 2>/dev/null
    "$TEMPFILECTL" show "$1" | grep -Eq '^ *Attempts: [5-9][0-9]'
}

# Asked for, and at a start. (The next try of its own would be half an hour later.)
said_once() {
    set_keys && reload && make_owned said && id=$(tracked "$work/said/file") || return 1
    if ((EUID == 0)); then chmod 755 "$work/said"; else chmod 555 "$work/said"; fi
    end_process "$owner" KILL
    wait_until reap_the_fiftieth "$id" || return 1
    daemon_kill
    start_with && "$TEMPFILECTL" reap "$id" 2>/dev/null
    [[ $(grep -cF "Cannot delete '$work/said/file'" "$work/daemon/log") == 1 ]] || return 1
    chmod 777 "$work/said"
    "$TEMPFILECTL" reap "$id" 2>/dev/null # or the start's own attempt
    wait_until is_gone "$work/said/file"
}

option_counts_more() {
    set_keys Durability=crash What && start_with --durability=power && is_durability power &&
        reload && wait_until has_logged_twice && is_durability power
}
has_logged_twice() { [[ $(grep -cF "$config:3: 'What'" "$work/daemon/log") == 2 ]]; }

checks_only() {
    set_keys Durability=crash
    [[ $("$TEMPFILED" --check-config --config="$config") == *Durability=crash* ]] &&
        set_keys RetryMaxSec=never && ! "$TEMPFILED" --check-config --config="$config" >/dev/null
}

users_file_is_found() {
    mkdir -p "$work/xdg/tempfiled/tempfiled.conf.d"
    printf '[Daemon]\nRetryMaxSec=5min\n' >"$work/xdg/tempfiled/tempfiled.conf"
    printf '[Daemon]\nRetainMaxSec=1d\n' >"$work/xdg/tempfiled/tempfiled.conf.d/a.conf"
    XDG_CONFIG_HOME=$work/xdg "$TEMPFILED" --user --check-config | tr '\n' ' ' |
        grep 'RetryMaxSec=5min RetainMaxSec=1d'
}

tap_plan 15
check "--help and tempfiled(8) have the same options" diff <(options_of_help) <(options_of_page)
check "the example has every key with its default" diff <(of_example) <(defaults)
check "tempfiled.conf(5) has every key with its default" diff <(of_page) <(defaults)
if command -v mandoc >/dev/null; then
    check "both pages are well formed" are_well_formed
else
    tap_skip "both pages are well formed" "mandoc is not installed"
fi
check "the example is right as it is" "$TEMPFILED" --check-config --config="$example"
check "--check-config tells right from wrong" checks_only
check "a user's files are found" users_file_is_found
if file_counts; then tap_ok "what a file says holds"; else tap_not_ok "what a file says holds"; fi
check "a reload reads it again" reload_reads_it_again
check "a mistake is told with its line, and the rest counts" mistake_is_told
check "a file that is missing is told, and the defaults hold" missing_file_is_told
check "what was to be retained goes when it has been for long enough" retained_for_no_longer
check "what is stuck is tried again after no longer a pause" retried_after_short_pauses
if said_once; then tap_ok "what is stuck is said once a day"; else tap_not_ok "what is stuck is said once a day"; fi
daemon_kill
if option_counts_more; then tap_ok "an option counts more than a file"; else tap_not_ok "an option counts more than a file"; fi
tap_end
