#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl --host: what ssh(1) is called with, what the host's shell makes of it, and how it ends.
# In ssh's place is a script that notes its arguments and has a shell execute the last, elsewhere; at
# the end ssh itself, whose sshd talks to it through a pipe: nothing listens to a network.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

ctl=$TEMPFILECTL
files=$work/files
odd=$files/$'it\'s "odd" $(touch hit) `touch hit` \\\n;& *\e[1m\xff'

mkdir "$files" "$work/bin" "$work/elsewhere"
export TMPDIR=$files PATH=$work/bin:$PATH
unset NO_COLOR COLUMNS
shopt -s extglob
cat >"$work/bin/ssh" <<'END'
#!/bin/bash
work=${0%/bin/ssh}
printf '%s\0' "$@" >"$work/ssh"
cd "$work/elsewhere" || exit 99
[[ ! -e $work/broken ]] || { echo "ssh: cannot connect" >&2; exit 255; }
exec sh -c "${!#}"
END
printf '#!/bin/sh\nexec "%s" "$@"\n' "$ctl" >"$work/bin/tempfilectl"
chmod 755 "$work/bin/ssh" "$work/bin/tempfilectl"

# ctl ARGUMENT...: sets $out, $err, $status and, if it was called, what ssh was called with.
ctl() {
    rm -f "$work/ssh"
    "$ctl" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    out=$(<"$work/out")
    err=$(<"$work/err")
    words=()
    [[ ! -e $work/ssh ]] || mapfile -d '' words <"$work/ssh"
}

check() {
    local name=$1

    shift
    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "status: $status" "out: $out" "err: $err" "ssh: ${words[*]@Q}"
    fi
}

is_refused() { [[ $status == 2 && -z $out && ${#words[@]} == 0 && $err == "tempfilectl: "*$'\n'"Try "* ]]; }
has_sent() { [[ ${words[*]:0:4} == "-x -T -- $1" && ${#words[@]} == 5 && ${words[4]} == "$2" ]]; }

# Are the paths that JSON in $out names just this one?
has_path() {
    python3 -c "if True:
        import json, os, sys
        (e,) = json.load(sys.stdin.buffer)
        path = bytes.fromhex(e['path_hex']) if 'path_hex' in e else e['path'].encode()
        sys.exit(path != os.fsencode(sys.argv[1]))" "$1" <<<"$out"
}

test_words() {
    ctl -H host list
    check "a command" has_sent host "tempfilectl list"
    check "and what it prints" [ "$status:$out" = "0:0 entries listed." ]
    ctl list --no-legend --host=user@host -r --uid "no such'user" --json=pretty
    check "options, which are not looked at here" has_sent user@host \
        "tempfilectl list '--no-legend' '--reverse' '--uid=no such'\\''user' '--json=pretty'"
    check "but there" [ "$status:${err%%$'\n'*}" = "2:tempfilectl: no user is called 'no such'user'" ]
    XDG_RUNTIME_DIR='' ctl --user status -H host
    check "options before the command" has_sent host "tempfilectl status '--user'"
    ctl -H one list -H two
    check "the last host counts" has_sent two "tempfilectl list"
    NO_COLOR=1 ctl -H host list
    check "that no colours are wanted" has_sent host "env NO_COLOR=1 tempfilectl list"
    ctl -H host show --help
    check "help is this tool's" [ "$status:${#words[@]}:${out:0:23}" = "0:0:Usage: tempfilectl show" ]
}

test_names() {
    local path

    mkdir "$odd"
    path=$("$ctl" mktemp --owner-pid=$$ -p "$odd" -- $'--a\' XXXXX.\n')$'\n'
    ctl -H host show --json "$path"
    check "an odd name arrives" has_path "$path"
    ctl list -H host --json --under "$odd"
    check "also as a value" has_path "$path"
    check "none of it is executed" [ ! -e "$work/elsewhere/hit" ]
    (cd "$files" && "$ctl" -H host show "${path#"$files"/}" >"$work/out" 2>&1)
    check "a relative one is the host's" [ $? = 1 ]
    ctl -H host reap "$path"
    check "reap leaves what has an owner" [ "$status" = 1 -a -e "$path" ]
    ctl -H host reap -fq -- "$path"
    check "reap deletes" [ "$status" = 0 -a ! -e "$path" ]
    rmdir "$odd"
}

test_refused() {
    local words_of

    for words_of in "run true" "mktemp" "track x" "give 1.1"; do
        # shellcheck disable=SC2086
        ctl -H host $words_of
        check "$words_of is for this machine" is_refused
        # shellcheck disable=SC2086
        ctl ${words_of%% *} -H host ${words_of#* }
        check "$words_of is for this machine, wherever the option is" is_refused
    done
    ctl -H '' list
    check "a host has a name" is_refused
    ctl list -H -oProxyCommand=x
    check "a host is no option" is_refused
    ctl -H host list --bogus
    check "options are this tool's" is_refused
    ctl -H
    check "the option needs a value" is_refused
}

test_failures() {
    ctl -H host show 4294967295.4294967295
    check "the exit status is the command's" [ "$status:${err%%:*}" = 1:tempfilectl ]
    touch "$work/broken"
    ctl -H host list
    check "or ssh's" [ "$status:$err" = "255:ssh: cannot connect" ]
    rm "$work/broken"
    mkdir "$work/without"
    PATH=$work/without ctl -H host list
    check "without ssh" [ "$status:$err" = "1:tempfilectl: cannot run 'ssh': No such file or directory" ]
}

# What ssh is called with at a terminal, where the output goes through a shell's $1.
at_terminal() {
    rm -f "$work/ssh"
    script -qec "'$ctl' $1" /dev/null </dev/null >"$work/out" 2>&1
    status=$?
    out=$(<"$work/out")
    mapfile -d '' words <"$work/ssh"
}

test_terminal() {
    at_terminal "-H host list"
    check "a terminal gets one there" [ "${words[1]}" = -t ]
    at_terminal "-H host list | cat"
    check "a pipe gets none" [ "${words[1]}" = -T ]
    at_terminal "-H host keep --pid=1 | cat"
    check "a command that may ask has one to ask at" [ "${words[1]}" = -t ]
    at_terminal "-H host scan --delete '$files' | cat"
    check "also scan, when it deletes" [ "${words[1]}" = -t ]
}

# ---- ssh itself -------------------------------------------------------------------------------

have_sshd() {
    sshd=$(PATH=$PATH:/usr/sbin:/sbin command -v sshd) && ssh=$(PATH=${PATH#*:} command -v ssh) &&
        command -v ssh-keygen >/dev/null
}

# Hosts "here" and "bare", which has no tempfilectl, and "away", which can't be reached.
make_hosts() {
    local name

    [[ -d /run/sshd ]] || { mkdir /run/sshd && made_run=/run/sshd; } # its place to be nobody in
    mkdir "$work/ssh.d"
    for name in host user; do
        ssh-keygen -q -t ed25519 -N '' -f "$work/ssh.d/$name" || return 1
    done
    for name in here bare; do
        cat >"$work/ssh.d/sshd-$name" <<END
HostKey $work/ssh.d/host
AuthorizedKeysFile $work/ssh.d/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
PrintMotd no
SetEnv TEMPFILED_SOCKET=$TEMPFILED_SOCKET PATH=$([[ $name == bare ]] || echo "$work/bin:")/usr/bin:/bin
END
        cat >>"$work/ssh.d/config" <<END
Host $name
    ProxyCommand $sshd -i -f $work/ssh.d/sshd-$name 2>>$work/ssh.d/log
END
    done
    cat >>"$work/ssh.d/config" <<END
Host away
    ProxyCommand false
Host *
    IdentityFile $work/ssh.d/user
    IdentitiesOnly yes
    UserKnownHostsFile $work/ssh.d/known
    StrictHostKeyChecking accept-new
    LogLevel ERROR
END
    printf '#!/bin/sh\nexec %s -F %s/ssh.d/config "$@"\n' "$ssh" "$work" >"$work/bin/ssh"
}

# Answers what is asked at a terminal: COMMAND ANSWER
answer() {
    out=$(python3 - "$1" "$2" <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp('sh', ['sh', '-c', sys.argv[1]])
text, awaited = b'', sys.argv[2].encode()
try:
    while chunk := os.read(fd, 4096):
        text += chunk
        if awaited and (b'?' in text or b'registered' in text):
            os.write(fd, awaited)
            awaited = b''
except OSError:
    pass # the terminal's other end is closed
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(status))
END
    )
    status=$?
    return $status
}

test_ssh() {
    local path other subject made_run=

    if [[ $EUID != 0 ]]; then
        tap_skip "ssh itself" "needs root, to log in"
        return
    elif ! have_sshd; then
        tap_skip "ssh itself" "needs sshd and ssh"
        return
    fi
    make_hosts
    mkdir "$odd"
    path=$("$ctl" mktemp --owner-pid=$$ -p "$odd" -- $'--a\' XXXXX.\n')$'\n'
    other=$("$ctl" mktemp --owner-pid=$$ -p "$files")
    ctl -H here list --json --under "$odd"
    check "ssh: list" has_path "$path"
    ctl -H root@here show --json "$path"
    check "ssh: show, of an odd name" has_path "$path"
    check "ssh: none of it is executed" [ ! -e "$HOME/hit" -a ! -e hit ]
    ctl -H here status
    check "ssh: status" [ "$status:${out/*Version: *PID: $daemon_pid*/all}" = 0:all ]
    ctl -H here show 4294967295.4294967295
    check "ssh: the exit status is the command's" [ "$status:${err%%:*}" = 1:tempfilectl ]
    ctl -H here list --uid 'no such'
    check "ssh: also of bad values" [ "$status" = 2 ]
    ctl -H bare list
    check "ssh: no tempfilectl there" [ "$status:${err/*tempfilectl*not found*/told}" = 127:told ]
    ctl -H away list
    check "ssh: a host out of reach" [ "$status:${out:-nothing}" = 255:nothing ]
    ctl -H here reap "$other"
    check "ssh: reap leaves what has an owner" [ "$status" = 1 -a -e "$other" ]

    answer "'$ctl' -H here keep --pid=$$" $'n\r'
    check "ssh: what may ask asks, and takes a no" [ "$status" = 1 -a -n "$("$ctl" list --no-legend --pid=$$)" ]
    answer "'$ctl' -H here monitor --under='$files'" $'\x03' &
    subject=$!
    check "ssh: monitor runs there" wait_until is_watched
    ctl -H here reap -fq -- "$path"
    check "ssh: reap deletes" [ "$status" = 0 -a ! -e "$path" ]
    check "ssh: ^C ends monitor" wait_until is_over_when_told $subject
    wait $subject
    check "ssh: with the status that ssh has for a signal" [ $? = 255 ]
    check "ssh: there, too" wait_until is_unwatched
    answer "'$ctl' -H here keep --pid=$$" $'y\r'
    check "ssh: and takes a yes" [ "$status" = 0 -a -e "$other" -a -z "$("$ctl" list --no-legend --pid=$$)" ]
    rm -r "$odd" "${files:?}"/*
    [[ -z $made_run ]] || rmdir "$made_run"
}

# It is told of more and more, since it may not listen yet.
is_over_when_told() { "$ctl" mktemp --owner-pid=$$ -p "$files" >/dev/null && is_over "$1"; }
is_over() { ! kill -0 "$1" 2>/dev/null; }
is_watched() { pgrep -f "^$ctl monitor.*$files" >/dev/null; }
is_unwatched() { ! is_watched; }

daemon_start || exit 1
test_words
test_names
test_refused
test_failures
test_terminal
test_ssh
tap_plan $tap_number
tap_end
