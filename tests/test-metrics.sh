#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The daemon in numbers: tempfilectl metrics, read by a parser that is as strict as a collector, and
# tempfilectl status.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

files=$work/files
here=$(dirname "$0")
page=${top_srcdir:-$here/..}/tools/tempfilectl.1

mkdir "$files"
export TMPDIR=$files

# metrics OPTION...: its samples in $out, one a line; $err says what is wrong.
metrics() {
    "$ctl" metrics "$@" >"$work/metrics" 2>"$work/err"
    status=$?
    out=$(python3 "$here/openmetrics.py" <"$work/metrics" 2>>"$work/err") || status=1
    err=$(<"$work/err")
}

# is NAME{LABELS} VALUE
value_of() { sed -n "s/^$1{$2} //p" <<<"$out"; }
is() { [[ $status == 0 && $(value_of "$1" "$2") == "$3" ]]; }
is_more() { [[ $status == 0 && $(value_of "$1" "$2") -gt $3 ]]; }
has_reaped() { metrics; is tempfiled_reaped_total "" "$1"; }
has_live() { metrics; is tempfiled_entries state=live "$1"; }

test_empty() {
    metrics
    check "metrics of a daemon with nothing to do are OpenMetrics" [ "$status:$err" = 0: ]
    check "they have the version" [ "$(value_of tempfiled_build_info \
        "durability=power,instance=$( ((EUID == 0)) && echo system || echo user ),version=[^}]*")" = 1 ]
    check "they count no entries" is tempfiled_entries state=live 0
}

test_entries() {
    local path pid uid

    uid=$(id -u)
    path=$("$ctl" mktemp)
    head -c 100000 /dev/zero >"$path"
    "$ctl" run sleep 1000 &
    pid=$!
    wait_until has_live 2
    check "entries by state" is tempfiled_entries state=live 2
    check "entries by user and state" is tempfiled_user_entries "state=live,uid=$uid" 2
    check "nothing is leaked" is tempfiled_leaked_entries "" 0
    check "owners" is_more tempfiled_owners "" 1
    check "what was committed took its time" is_more tempfiled_commit_latency_seconds_count "" 0
    check "and so did the disk" is_more tempfiled_sync_latency_seconds_count "" -1
    metrics --size
    check "with --size they are OpenMetrics, too" [ "$status:$err" = 0: ]
    check "bytes by user and state" is_more tempfiled_user_bytes "state=live,uid=$uid" 99999
    end_process $pid KILL
    check "what was reaped" wait_until has_reaped 1
    check "and how long that took" is tempfiled_reap_latency_seconds_count "" 1
    check "is in the last bucket, too" is tempfiled_reap_latency_seconds_bucket le=+Inf 1
    "$ctl" reap -qf "$path"
}

test_leaked() {
    local dir=$files/stuck path more=() i

    mkdir "$dir"
    path=$("$ctl" mktemp -p "$dir")
    for i in 1 2 3; do
        more+=("$("$ctl" mktemp -p "$dir")")
    done
    if ((EUID != 0)); then
        chmod 555 "$dir"
    elif ! chattr +i "$dir" 2>/dev/null; then
        tap_skip "what is leaked (7 cases)" "chattr does not work here"
        return
    fi
    "$ctl" reap -qf "$path" 2>/dev/null
    metrics
    check "what is leaked" is tempfiled_leaked_entries "" 1
    check "by state" is tempfiled_entries state=stuck 1
    check "attempts that failed" is_more tempfiled_failed_attempts_total "" 0
    ctl status
    check "status tells what is failing, why, and where to look" grep -qzE \
        "  Failing: $path: [A-Z][a-z ]*.See 'tempfilectl list --leaked'\." <<<"$out"
    "$ctl" reap -q "$path" 2>/dev/null
    "$ctl" reap -qf "${more[@]}" 2>/dev/null
    ctl status
    check "the last errors come first, three of them" \
        newest_failing "${more[2]}" "${more[1]}" "${more[0]}"
    check "that there are more is said" grep -q 'there are more' <<<"$out"
    ctl status --json
    check "in JSON, too" grep -qE '"errors":\[\{"id":.*"error":"E' <<<"$out"
    ((EUID != 0)) || chattr -i "$dir"
    chmod 755 "$dir"
    "$ctl" reap -q "$path" "${more[@]}"
}

# newest_failing PATH...: what status says, in that order
newest_failing() {
    diff <(grep -o 'Failing: [^:]*' <<<"$out" | cut -d ' ' -f 2) <(printf '%s\n' "$@")
}

test_documentation() {
    local name

    metrics --size
    for name in $(grep -o '\btempfiled_[a-z_]*[a-z]\b' "$page" | sort -u); do
        check "the manual names what there is: $name" grep -q "^$name{" <<<"$out"
    done
}

test_output() {
    err=$("$ctl" metrics 2>&1 >/dev/full)
    status=$?
    check "metrics that can't be written are a failure" [ "$status:${err%%:*}" = 1:tempfilectl ]
    TEMPFILED_SOCKET=$work/none ctl metrics
    check "without a daemon nothing is printed" [ "$status:$out" = 1: ]
}

# What the timer runs, but for where.
test_unit() {
    local command

    command=$(sed -n "s/^ExecStart=.bin.sh -c '\\(.*\\)'$/\\1/p" \
        "${top_srcdir:-$here/..}/systemd/tempfiled-metrics.service.in")
    command=${command/@bindir@\/tempfilectl --system/$ctl}
    mkdir "$work/collector"
    (cd "$work/collector" && sh -c "$command")
    out=$(python3 "$here/openmetrics.py" <"$work/collector/tempfiled.prom" 2>&1)
    status=0
    check "the timer's command writes the file" is tempfiled_build_info '.*' 1
    (cd "$work/collector" && TEMPFILED_SOCKET=$work/none sh -c "$command" 2>/dev/null)
    check "and leaves it alone without a daemon" [ -s "$work/collector/tempfiled.prom" ]
}

test_status() {
    ctl status
    check "status has its lines" [ "$(sed 's/^ *//; s/:.*//' <<<"$out" | tr '\n' ' ')" = \
        "Version Instance Socket PID Uptime Durability Entries live reaping retained stuck waiting \
Owners Connections Directories Tags Jobs Reaped Failed Refused Descriptors Database " ]
    check "status tells the daemon's descriptors" grep -qE '^Descriptors: [0-9]+ of [0-9]+$' <<<"$(sed 's/^ *//' <<<"$out")"
    ctl status --size
    check "status --size tells what is held" grep -qE '^ *Held: 0$|^ *Held: [0-9.]+[KMG]?$' <<<"$out"
    ctl status --json
    check "status --json has the same and more" python3 -c '
import json, sys
j = json.load(sys.stdin)
assert j["entries"] == sum(j[s] for s in ("live", "reaping", "retained", "stuck", "waiting"))
assert j["jobs"] == j["hung"] == j["commit_failures"] == 0 and j["errors"] == []
assert j["descriptors"] < j["descriptors_max"]' <<<"$out"
}

daemon_start || exit 1
test_empty
test_entries
test_leaked
test_documentation
test_output
test_unit
test_status
tap_plan $tap_number
tap_end
