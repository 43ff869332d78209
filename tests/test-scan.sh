#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl scan: for each way to use a file, that a process which does so keeps it from being
# called left over; what is not used is; what stands in the way of deleting; deleted files.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

dir=$work/scanned
subjects=()

mkdir "$dir"
unset NO_COLOR COLUMNS
shopt -s extglob

# ---- helpers -----------------------------------------------------------------------------------

# shellcheck disable=SC2053
out_like() { [[ $out == $1 ]]; }
# shellcheck disable=SC2053
err_like() { [[ $err == $1 ]]; }
is_gone() { [[ ! -e $1 && ! -L $1 ]]; }
is_executing() { [[ $(readlink "/proc/$1/exe") == "$2" ]]; }

# json EXPRESSION: prints it, "j" being what is in $out, and of(name) the entry of that name
json() {
    python3 -c "if True:
        import json, os, sys
        j = json.load(sys.stdin.buffer)
        def of(n): return [e for e in j['found'] if os.path.basename(e['path']) == n][0]
        print($1)" <<<"$out"
}

verdict() { json "of('$1')['verdict']"; }
reason() { json "of('$1')['reason']"; }

# Runs a program of Python's with the rest of the arguments, until the end of the script; returns
# when it has said something.
subject() {
    local fd

    mkfifo "$work/said"
    python3 -c "$1" "${@:2}" >"$work/said" 2>/dev/null &
    subjects+=($!)
    exec {fd}<"$work/said"
    read -r -u "$fd"
    exec {fd}<&-
    rm "$work/said"
}

end_subjects() {
    local pid

    for pid in "${subjects[@]}"; do
        end_process "$pid" KILL
    done
    subjects=()
}
trap 'end_subjects; fixture_end' EXIT

# ---- who uses what -----------------------------------------------------------------------------

stay='
import mmap, os, signal, socket, sys, threading
def stay():
    print("ready", flush=True)
    signal.pause()
path = sys.argv[1]
'

test_uses() {
    mkdir "$dir"/{cwd,open-inside,open-inside/a,open-inside/a/b,socket,thread,unused}
    head -c 8192 /dev/zero | tee "$dir"/{open,mapped,unused-file,open-inside/a/b/c,thread/f,unused/f} >/dev/null
    cp /bin/sleep "$dir/executed"
    ln -s nowhere "$dir/link"

    subject "$stay
f = open(path); stay()" "$dir/open"
    subject "$stay
f = open(path); stay()" "$dir/open-inside/a/b/c"
    subject "$stay
import ctypes # mmap.mmap() would keep a descriptor
with open(path) as f: ctypes.CDLL(None).mmap(0, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, f.fileno(), 0)
stay()" "$dir/mapped"
    subject "$stay
os.chdir(path); stay()" "$dir/cwd"
    subject "$stay
s = socket.socket(socket.AF_UNIX)
s.bind(path)
stay()" "$dir/socket/bound-by-${work##*-}"
    # A process whose first thread has ended: only the other one shows what is open.
    subject "$stay
f = open(path)
threading.Thread(target=stay).start()
import ctypes
ctypes.CDLL(None).pthread_exit(None)" "$dir/thread/f"
    "$dir/executed" 1000 &
    subjects+=($!)
    wait_until is_executing $! "$dir/executed"

    ctl scan --json --all --older=0 "$dir"
    check "scan succeeds" [ "$status:$err" = 0: ]
    check "a file that is open is used" [ "$(verdict open)" = used ]
    check "and the process is told" [ "$(reason open)" = "open in ${subjects[0]} (python3)" ]
    check "so is a directory with an open file deep in it" [ "$(verdict open-inside)" = used ]
    check "a file that is mapped only" [ "$(reason mapped)" = "mapped by ${subjects[2]} (python3)" ]
    check "a working directory" [ "$(reason cwd)" = "working directory of ${subjects[3]} (python3)" ]
    check "a bound socket" [ "$(reason socket)" = "a socket of that name is bound" ]
    check "what a process without its first thread has open" [ "$(verdict thread)" = used ]
    check "what is executed" [ "$(verdict executed)" = used ]
    check "nothing else: a file" [ "$(verdict unused-file)" = leftover ]
    check "a directory" [ "$(verdict unused)" = leftover ]
    check "a symbolic link" [ "$(verdict link)" = leftover ]
    check "the size is what is allocated" [ "$(json "of('unused')['size'] >= 8192")" = True ]
    ctl scan --json "$dir"
    check "what was used today is not left over" [ "$(json "len(j['found'])")" = 0 ]
    touch -a -m -d '3 days ago' "$dir/unused-file"
    ctl scan --json --all --older=1h "$dir"
    check "a change of times is a use" [ "$(verdict unused-file)" = young ]
    end_subjects
    ctl scan --json --older=0 "$dir"
    check "what processes used is left over when they have ended" [ "$(json "len(j['found'])")" = 10 ]
    ctl scan --older=0 --larger=8K "$dir"
    check "--larger" [ "$(wc -l <"$work/out")" -ge 3 ]
    ctl scan --older=0 --larger=1G "$dir"
    check "--larger than all" [ "$out" = "0 leftovers, 0 in all." ]
    rm -r "${dir:?}"/*
}

test_daemon() {
    ctl scan --older=0 "$dir"
    check "nothing is left over" out_like '*0 leftovers, 0 in all.'
    mkdir "$dir/tracked"
    touch "$dir/tracked/inside"
    ctl track -q --owner-pid=$$ "$dir/tracked/inside"
    ctl scan --json --all --older=0 "$dir"
    check "what the daemon looks after is told" [ "$(verdict tracked)" = tracked ]
    ctl reap -fq "$dir/tracked/inside"
    TEMPFILED_SOCKET=$work/none ctl scan --older=0 "$dir"
    check "without a daemon that is said" err_like '*no tempfiled answers*'
    TEMPFILED_SOCKET=$work/none ctl scan --json --older=0 "$dir"
    check "in JSON, too" [ "$(json 'j["daemon"]')" = False ]
    rm -r "$dir/tracked"
}

test_arguments() {
    local words

    for words in "--delete --json" "--delete --deleted" "--delete --all" "--yes" "-n" "--deleted --older=1h" \
        "--older=x" "--larger=x"; do
        # shellcheck disable=SC2086
        ctl scan $words
        check "wrong arguments are told: scan $words" [ $status = 2 ]
    done
    ctl scan "$work/none"
    check "a directory that is not there is told" [ "$status:${err%%:*}" = 1:tempfilectl ]
}

test_odd_names() {
    local name=$'odd\nname \e[31m\377' width line is_wide=

    touch "$dir/$name"
    ctl scan --older=0 --json=short "$dir"
    check "JSON has the bytes of odd names" [ "$(json 'bytes.fromhex(j["found"][0]["path_hex"]).rsplit(b"/")[-1]')" = \
        "$(python3 -c 'import os, sys; print(os.fsencode(sys.argv[1]))' "$name")" ]
    ctl scan --older=0 "$dir"
    check "odd bytes are escaped" out_like '*odd\\x0aname \\x1b\[31m\\xff*'
    for width in 20 80; do
        while IFS= read -r line; do
            ((${#line} <= width)) || is_wide=$line
        done < <(script -qec "stty cols $width; '$ctl' scan --no-pager --older=0 '$dir'" /dev/null </dev/null |
            sed 's/\x1b\[[0-9;]*m//g; s/\r//')
    done
    check "all of it fits 20 and 80 columns" [ -z "$is_wide" ]
    out=$(script -qec "stty cols 20; '$ctl' scan -aq --no-pager --older=0 '$dir'" /dev/null </dev/null)
    check "with --all the verdict stays" out_like '*leftover*'
    rm "$dir"/*
}

# ---- what systemd knows ------------------------------------------------------------------------

test_private() {
    local boot other=0123456789abcdef0123456789abcdef

    if ((EUID != 0)); then
        tap_skip "private directories of services" "needs root"
        return
    fi
    boot=$(tr -d - </proc/sys/kernel/random/boot_id)
    mkdir "$dir/systemd-private-$other-old.service-AbCdEf" "$dir/systemd-private-$boot-none.service-AbCdEf"
    ctl scan --json --all --older=1d "$dir"
    check "a service's private directory of an earlier boot is left over" [ "$(
        reason "systemd-private-$other-old.service-AbCdEf")" = "of unit old.service, before the last restart" ]
    check "that of a unit that is not active, too" [ "$(
        reason "systemd-private-$boot-none.service-AbCdEf")" = "of unit none.service, which is not active" ]
    rm -r "${dir:?}"/*
}

# In a mount namespace of its own, with other configuration: needs to be allowed to make one.
test_exclusions() {
    if ((EUID != 0)) || ! unshare -m true 2>/dev/null; then
        tap_skip "exclusions of tmpfiles.d, and mounts" "needs a mount namespace"
        return
    fi
    mkdir -p "$work/tmpfiles" "$dir/excluded-a" "$dir/b" "$dir/c" "$dir/mounted" /etc/tmpfiles.d
    cat >"$work/tmpfiles/test.conf" <<END
# a comment
x $dir/excluded-*
d "$dir/b/inside" 0755 root root -
r! $dir/c
END
    # shellcheck disable=SC2016
    unshare -m sh -c 'mount --make-rprivate / && mount --bind "$1" /etc/tmpfiles.d &&
        mount -t tmpfs none "$2/mounted" && exec "$3" scan --json --all --older=0 "$2"' \
        sh "$work/tmpfiles" "$dir" "$ctl" >"$work/out"
    status=$?
    out=$(<"$work/out")
    check "what tmpfiles.d excludes is" [ "$(verdict excluded-a)" = excluded ]
    check "what tmpfiles.d makes something in, too" [ "$(verdict b)" = excluded ]
    check "what tmpfiles.d removes is not" [ "$(verdict c)" = leftover ]
    check "a mount point is used" [ "$(verdict mounted)" = used ]
    rmdir "$dir"/*
}

# ---- deleting ----------------------------------------------------------------------------------

# Deletes as if process 1 had nothing, since not even root may always look into it.
scan_alone() {
    # shellcheck disable=SC2016
    unshare -m sh -c 'mount --make-rprivate / && mount -t tmpfs none /proc/1 && exec "$@"' sh \
        "$ctl" scan "$@" >"$work/out" 2>"$work/err"
    status=$?
    out=$(<"$work/out")
    err=$(<"$work/err")
}

# Other tests' mounts may be closed to root.
is_all_seen() {
    scan_alone --json --older=0 "$dir"
    [[ $(json "j['unseen_processes']") == 0 ]]
}

test_delete() {
    if ((EUID != 0)); then
        touch "$dir/a"
        ctl scan --delete --yes --older=0 "$dir"
        check "an ordinary user may not delete" [ $status = 1 -a -e "$dir/a" ]
        rm "$dir/a"
        tap_skip "deleting what is left over" "needs root"
        return
    fi
    if ! unshare -m true 2>/dev/null || [[ $(readlink /proc/self/ns/pid) != "pid:[4026531836]" ]]; then
        tap_skip "deleting what is left over" "not every process can be seen from in here"
        return
    fi
    if ! wait_until is_all_seen; then
        tap_skip "deleting what is left over" "a process uses a mount that is closed to root"
        return
    fi
    mkdir "$dir/a" "$dir/used"
    touch "$dir/a/f" "$dir/b" "$dir/used/f"
    subject "$stay
f = open(path); stay()" "$dir/used/f"
    scan_alone --delete --older=0 -n "$dir"
    check "--dry-run deletes nothing" [ -e "$dir/a/f" ]
    check "and shows what it would" out_like '*2 leftovers*'
    scan_alone --delete --older=0 "$dir" </dev/null
    check "without a terminal it needs --yes" [ $status = 1 -a -e "$dir/a/f" ]
    TEMPFILED_SOCKET=$work/none scan_alone --delete --older=0 --yes "$dir"
    check "without a daemon nothing is deleted" [ $status = 1 -a -e "$dir/a/f" ]
    # shellcheck disable=SC2016
    out=$(unshare -m sh -c 'mount --make-rprivate / && mount -t tmpfs none /proc/1 && exec script -qec "$1" /dev/null' \
        sh "'$ctl' scan --delete --older=0 '$dir'" <<<n)
    check "at a terminal it asks" out_like '*Delete these 2? \[y/N\]*nothing was done*'
    check "and takes no for an answer" [ -e "$dir/a/f" ]
    scan_alone --delete --older=0 --yes "$dir"
    check "--yes deletes what is left over" is_gone "$dir/a"
    check "and counts it" out_like $'*\n2 deleted, *freed.'
    check "what is used stays" [ -e "$dir/used/f" ]
    end_subjects
    rm -r "$dir/used"
}

test_adopt() {
    local words

    for words in "--adopt --delete" "--adopt --json" "--adopt --all" "--adopt --deleted" "--lease=1h" \
        "--adopt --lease=0"; do
        # shellcheck disable=SC2086 # words of a command line
        ctl scan $words "$dir"
        check "wrong arguments are told: scan $words" [ "$status" = 2 ]
    done
    touch "$dir/a"
    if ((EUID != 0)) || ! unshare -m true 2>/dev/null ||
        [[ $(readlink /proc/self/ns/pid) != "pid:[4026531836]" ]]; then
        ctl scan --adopt --yes --older=0 "$dir"
        check "where not every process is seen nothing is adopted" [ \
            "$status:$("$ctl" list --no-legend --under="$dir")" = 1: ]
        tap_skip "adopting what is left over (4 cases)" "not every process can be seen from in here"
        rm "$dir/a"
        return
    fi
    if ! wait_until is_all_seen; then
        tap_skip "adopting what is left over (4 cases)" "a process uses a mount that is closed to root"
        rm "$dir/a"
        return
    fi
    scan_alone --adopt --older=0 --dry-run "$dir"
    check "--adopt --dry-run does nothing" [ "$status:$("$ctl" list --no-legend --under="$dir")" = 0: ]
    scan_alone --adopt --older=0 --yes "$dir"
    check "--adopt says how many" out_like $'*\n1 adopted, *in all.'
    ctl list --json --under="$dir"
    check "what is adopted has a lease of a week" [ "$(json '[(e["owner"]["kind"],
        round((e["expires_usec"] - e["created_usec"]) / 86400e6)) for e in j]')" = "[('lease', 7)]" ]
    ctl scan --json --all --older=0 "$dir"
    check "and is tracked from then on" [ "$(verdict a)" = tracked ]
    ctl keep -q "$dir/a"
    scan_alone --adopt --lease=1s --older=0 --yes "$dir"
    check "--lease says when it goes" wait_until is_gone "$dir/a"
}

# A user's own daemon, which root asks, too.
test_instances() {
    local runtime=/run/user/64321 daemon path

    ctl list --all-instances --sort=age
    check "what can't be sorted is told" [ "$status" = 2 ]
    if ((EUID != 0)) || [[ -e $runtime ]] || ! mkdir -p "$runtime/tempfiled" 2>/dev/null; then
        tap_skip "what users' daemons have (3 cases)" "needs root, and /run/user"
        return
    fi
    chown 64321 "$runtime" "$runtime/tempfiled"
    chmod 700 "$runtime"
    setpriv --reuid=64321 --regid=64321 --clear-groups "$TEMPFILED" --user \
        --socket "$runtime/tempfiled/socket" --state-dir "$runtime/tempfiled/state" 2>"$work/err" &
    daemon=$!
    chmod 711 "$work"
    chmod 777 "$dir"
    wait_until setpriv --reuid=64321 --regid=64321 --clear-groups "$ctl" \
        --socket="$runtime/tempfiled/socket" status >/dev/null 2>&1
    path=$(setpriv --reuid=64321 --regid=64321 --clear-groups "$ctl" \
        --socket="$runtime/tempfiled/socket" mktemp -p "$dir" --owner-pid=$daemon)
    ctl list --all-instances
    check "--all-instances has what users' daemons have" out_like "*INSTANCE*64321 *$path*"
    ctl list --all-instances --json
    check "in JSON, too" [ "$(json '[e["instance"] for e in j if e["path"] == "'"$path"'"]')" = "['64321']" ]
    ctl scan --json --all --older=0 "$dir"
    check "what a user's daemon looks after is not left over" [ "$(verdict "${path##*/}")" = tracked ]
    end_process $daemon KILL
    ctl list --all-instances
    check "one that has ended is no failure" [ "$status:$err" = 0: ]
    rm -rf "$runtime" "$path"
}

test_deleted() {
    subject "$stay
f = open(path, 'w'); g = os.dup(f.fileno())
f.write('x' * 300000); f.flush(); os.unlink(path)
stay()" "$dir/gone"
    ctl scan --deleted --json "$dir"
    check "--deleted: what is open without a name" [ "$(json '[(e["path"], e["pid"]) for e in j["deleted"]]')" = \
        "[('$dir/gone', ${subjects[0]})]" ]
    check "with its size" [ "$(json 'j["deleted"][0]["size"] >= 300000')" = True ]
    ctl scan --deleted "$dir"
    check "as a table" out_like "*PATH*${subjects[0]} python3 *$dir/gone*1 deleted file still open, 2??K in all."
    ctl scan --deleted --larger=1G "$dir"
    check "--deleted --larger" [ "$out" = "0 deleted files still open, 0 in all." ]
    end_subjects
    ctl scan --deleted "$dir"
    check "and gone with its process" [ "$out" = "0 deleted files still open, 0 in all." ]
}

daemon_start || exit 1
test_arguments
test_uses
test_daemon
test_odd_names
test_private
test_exclusions
test_delete
test_adopt
test_instances
test_deleted
tap_plan $tap_number
tap_end
