#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfiled inside a container that is started again with the files it had: a process namespace
# each time, as containers have it. Needs root for that.
#
# Needs $TEMPFILED, $TEMPFILECTL and $top_builddir.

: "${TEMPFILED:?}" "${TEMPFILECTL:?}" "${top_builddir:?}"

# The entry point. What it starts ends with it.
if [[ ${1-} == entry ]]; then
    work=$2
    export TEMPFILED_SOCKET=$work/socket
    rm -f "$TEMPFILED_SOCKET"
    options=(--container)
    [[ ${3-} == unsure ]] && options=()
    "$TEMPFILED" "${options[@]}" --socket "$TEMPFILED_SOCKET" --state-dir "$work/state" 2>>"$work/log" &
    until "$TEMPFILECTL" status >/dev/null 2>&1; do kill -0 $! || exit 1; done
    [[ ${3-} ]] || exec "$top_builddir/tests/boot-client" hold "$work/tmp" 5
    [[ $3 == again ]] || exit 0
    until [[ -z $(ls "$work/tmp") ]]; do kill -0 $! || exit 1; done
    exit 0
fi

((EUID == 0)) || { echo "1..0 # SKIP needs root, for process namespaces"; exit 0; }
unshare --pid --fork --mount-proc true 2>/dev/null ||
    { echo "1..0 # SKIP a process namespace can't be made here"; exit 0; }

work=$(mktemp -d "${TMPDIR:-/tmp}/tempfiled-test-XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp"

# In a subshell, which it takes the place of.
contain() { exec unshare --pid --fork --mount-proc --kill-child "$@"; }
has_five() { [[ $(find "$work/tmp" -type f | wc -l) == 5 ]]; }

echo 1..3
exec {alive}< <(contain "$0" entry "$work")
container=$!
until has_five || ! kill -0 $container 2>/dev/null; do :; done
exec 8<"/proc/$container/ns/pid_for_children" # the next one must not get its number
kill -KILL $container
cat <&"$alive" # ends when the last process of it has
if has_five; then
    echo "ok 1 - what a container leaves when it is killed is there at first"
else
    echo "not ok 1 - what a container leaves when it is killed is there at first"
fi

if (contain timeout 30 "$0" entry "$work" unsure) && has_five &&
    grep -q 'another process namespace have ended, 1 in all' "$work/log"; then
    echo "ok 2 - without --container it stays, and a message tells"
else
    echo "not ok 2 - without --container it stays, and a message tells"
    sed 's/^/# /' "$work/log"
fi
if (contain timeout 30 "$0" entry "$work" again); then
    echo "ok 3 - it goes when the container is started again"
else
    echo "not ok 3 - it goes when the container is started again"
    sed 's/^/# /' "$work/log"
    exit 1
fi
