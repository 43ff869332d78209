#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfiled under systemd, on a booted one: this machine's root file system, with what is built here
# installed into it, boots in a container; nothing of it reaches the machine, since all that is
# written goes to an overlay in memory. It boots twice from that overlay, and a third time for the
# Debian packages, which are built beside the first: what is done in there is in boot-inside.sh.
#
# Needs root, systemd-nspawn and the right to mount; else it is skipped, and says why. The packages
# need dpkg-buildpackage and debhelper.
# Needs $top_srcdir and $top_builddir; $INSTRUMENT_FLAGS is what the daemon was built with.

: "${top_srcdir:?}" "${top_builddir:?}" "${INSTRUMENT_FLAGS:=}"

boot_limit=150 # seconds for the first boot, where nearly all is done
number=0
failed=0
work=
holders=()
builder= # of the packages, beside the first boot

skip_all() { echo "1..0 # SKIP $*"; exit 0; }
ok() { echo "ok $((number += 1)) - $1"; }
skip() { echo "ok $((number += 1)) - $1 # SKIP $2"; }
not_ok() { echo "not ok $((number += 1)) - $1"; failed=1; }
note() { sed 's/^/# /' <<<"$*"; }

check() {
    local name=$1 said
    shift

    if said=$("$@" 2>&1); then
        ok "$name"
    else
        not_ok "$name"
        note "$said"
    fi
}

# ---- the root file system ----------------------------------------------------------------------

clean_up() {
    [[ -n $work ]] || return
    [[ -z $builder ]] || { kill "$builder" && wait "$builder"; } 2>/dev/null
    ((${#holders[@]} == 0)) || kill -KILL "${holders[@]}" 2>/dev/null
    umount "$work/root" 2>/dev/null
    umount "$work/memory" 2>/dev/null
    # Not across what could not be unmounted.
    rm -rf --one-file-system "$work"
}

# An overlay of our own rather than --volatile=overlay, whose contents end with each boot.
mount_root() {
    mkdir "$work/memory" "$work/root" "$work/out" "$work/persistent" &&
        mount -t tmpfs -o mode=755 tmpfs "$work/memory" &&
        mkdir "$work/memory/upper" "$work/memory/work" &&
        mount -t overlay overlay "$work/root" \
            -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work"
}

# Of this machine only the programs are wanted: neither its services nor its mounts.
strip_root() {
    local etc=$work/root/etc

    rm -rf "$etc"/systemd/{system,user}/*.{wants,requires} "$etc"/rc?.d/* \
        "$work"/root/var/log/journal "$work"/root/var/lib/tempfiled "$work"/root/usr/sbin/policy-rc.d
    : >"$etc/fstab"
    tr -d - </proc/sys/kernel/random/uuid >"$etc/machine-id"
    mkdir -p "$work/root/tmp" "$work/root/run"
}

# The make that runs this test has no part in the ones below.
run_make() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$top_builddir" DESTDIR="$work/root" "$@"
}

# What the tests themselves need in there. Its names have no "tempfiled" in front, so that what an
# installation has left can be told.
install_test() {
    local etc=$work/root/etc

    install -m 755 "$top_builddir/tests/boot-client" "$top_srcdir/tests/boot-inside.sh" \
        "$work/root/usr/bin/" &&
        mkdir -p "$etc/systemd/system/multi-user.target.wants" "$etc/sysusers.d" &&
        ln -s ../boot-test.service "$etc/systemd/system/multi-user.target.wants/" &&
        printf 'u tf-alice 60011 - /home/tf-alice\nu tf-bob 60012 - /\n' >"$etc/sysusers.d/boot-test.conf" &&
        install -d -o 60011 -g 60011 "$work/root/home/tf-alice"
}

# boot NUMBER SECONDS
boot() {
    local number=$1 limit=$2 device=()

    [[ ! -c /dev/fuse ]] || device=(--bind=/dev/fuse)
    cat >"$work/root/etc/systemd/system/boot-test.service" <<UNIT
[Service]
ExecStart=/usr/bin/boot-inside.sh $number /mnt/out
UNIT
    rm -f "$work/out"/{results,errors,started,finished}
    timeout --kill-after=5 "$limit" systemd-nspawn --quiet --directory="$work/root" --boot \
        --register=no --keep-unit --link-journal=no --console=pipe "${device[@]}" \
        --bind="$work/out:/mnt/out" --bind="$work/persistent:/srv/boot-test" \
        systemd.unit=multi-user.target </dev/null >"$work/console" 2>&1
}

# The number of the first boot's process namespace is given to somebody else: nothing but its boot id
# tells the second that all of the first has ended.
hold_namespace_numbers() {
    local i

    for i in 1 2; do
        unshare --pid --fork --kill-child sleep 300 &
        holders+=($!)
    done
}

# ---- packages ----------------------------------------------------------------------------------

# What is released, in a directory of its own, and what is built of it beside that.
copy_sources() {
    mkdir "$work/out/packages" && run_make distdir distdir="$work/out/packages/source"
}

start_building_packages() {
    check "make distdir, for the packages" copy_sources
    # timeout passes on a signal to all that it has started.
    env -i -C "$work/out/packages/source" "PATH=$PATH" "HOME=$work" \
        DEB_BUILD_OPTIONS='nocheck noautodbgsym parallel=2' \
        timeout 300 dpkg-buildpackage -b -us -uc </dev/null >"$work/build-log" 2>&1 &
    builder=$!
}

# check has commands run by a subshell, which cannot wait for what is not its own.
wait_for_packages() {
    wait "$builder" && echo done >"$work/built"
    builder=
}

packages_are_built() {
    [[ -e $work/built ]] || { tail -n 20 "$work/build-log"; return 1; }
}

# Installed, used and purged in a boot of their own, where nothing of the first two is left.
check_packages() {
    wait_for_packages
    check "the packages are built" packages_are_built
    if command -v lintian >/dev/null; then
        check "lintian finds no errors in them" lintian --fail-on error "$work"/out/packages/*.changes
    else
        skip "lintian finds no errors in them" "lintian is not installed"
    fi
    rm -rf "$work/root/var/lib/tempfiled"
    boot 3 120
    relay_boot 3
    check "nothing is left of the packages, nor any state" nothing_is_left -o -path '*/var/lib/tempfiled*'
}

why_no_packages() {
    local command

    for command in dpkg-buildpackage dh; do
        command -v "$command" >/dev/null || { echo "$command is not installed"; return; }
    done
}

# ---- what came of it ---------------------------------------------------------------------------

# Numbers the results, which may end in the midst of a line.
relay() {
    local line

    while IFS= read -r line; do
        case $line in
        "ok - "*) echo "ok $((number += 1)) - ${line#ok - }" ;;
        "not ok - "*) not_ok "${line#not ok - }" ;;
        "#"*) echo "$line" ;;
        esac
    done <"$work/out/results"
}

relay_boot() {
    local number_of_boot=$1

    relay
    [[ -e $work/out/finished ]] && return
    not_ok "boot $number_of_boot comes to its end"
    note "$(tail -n 20 "$work/out/errors" "$work/console")"
}

# In the upper layer is all that was written in there. State may stay, unless the arguments say more.
leftovers() {
    find "$work/memory/upper" -not -type d -not -type c -path '*tempfile*' \
        '(' -not -path '*/var/lib/tempfiled/*' -not -path '*/.local/state/tempfiled/*' "$@" ')'
}

nothing_is_left() {
    [[ -z $(leftovers "$@") ]] || { leftovers "$@"; return 1; }
}

((EUID == 0)) || skip_all "needs root, to boot a container"
command -v systemd-nspawn >/dev/null || skip_all "systemd-nspawn (package systemd-container) is not installed"
[[ -z $INSTRUMENT_FLAGS ]] || skip_all "the units' sandbox leaves no room for sanitizers"
[[ -x $top_builddir/tests/boot-client ]] || skip_all "tests/boot-client is not built"

trap clean_up EXIT
trap 'exit 1' HUP INT TERM
work=$(mktemp -d "${TMPDIR:-/tmp}/boot-test-XXXXXX") || exit 99
said=$(mount_root 2>&1) || skip_all "cannot mount an overlay of / here: $said"
strip_root

check "make install" run_make install
install_test
no_packages=$(why_no_packages)
[[ -n $no_packages ]] || start_building_packages
boot 1 "$boot_limit"
[[ -e $work/out/started ]] ||
    skip_all "systemd does not boot in a container here: $(tail -n 3 "$work/console" | tr '\n' ' ')"
relay_boot 1
hold_namespace_numbers
boot 2 60
relay_boot 2
check "make uninstall" run_make uninstall
check "nothing is left but the state" nothing_is_left
if [[ -n $no_packages ]]; then
    skip "the Debian packages are built, installed and purged" "$no_packages"
else
    check_packages
fi
echo "1..$number"
exit $failed
