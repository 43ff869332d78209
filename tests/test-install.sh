#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What make install leaves, seen by somebody who programs with libtempfile: headers that stand
# alone, what pkg-config says, a library that needs libc only and exports what it promises. And
# make uninstall takes it all away again.
#
# Needs $top_srcdir and $top_builddir; $CC and $INSTRUMENT_FLAGS are what the library was built with.

: "${top_srcdir:?}" "${top_builddir:?}" "${CC:=cc}" "${INSTRUMENT_FLAGS:=}"

work=$(mktemp -d "${TMPDIR:-/tmp}/tempfiled-test-XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
root=$work/root
number=0
failed=0

# check NAME COMMAND...: one case; what the command says matters if it fails
check() {
    local name=$1 said
    shift

    if said=$("$@" 2>&1); then
        echo "ok $((number += 1)) - $name"
    else
        echo "not ok $((number += 1)) - $name"
        sed 's/^/# /' <<<"$said"
        failed=1
    fi
}

skip() {
    echo "ok $((number += 1)) - $1 # SKIP $2"
}

# The make that runs this test has no part in the ones below.
run_make() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$top_builddir" DESTDIR="$root" "$@"
}

# installed NAME: where it is below the root, if it is there once; the name may have directories
installed() {
    local paths

    mapfile -t paths < <(find "$root" -not -type d -path "*/$1")
    ((${#paths[@]} == 1)) && printf '%s\n' "${paths[0]}"
}

all_is_there() {
    local name

    for name in sbin/tempfiled bin/tempfilectl libtempfile.so.0 libtempfile.pc libtempfile.h \
        libtempfile-admin.h tempfiled.8 tempfilectl.1 libtempfile.3; do
        installed "$name" >/dev/null || { echo "$name is not there"; return 1; }
    done
}

# header_stands_alone HEADER COMPILER...
header_stands_alone() {
    local header=$1
    shift

    printf '#include <%s>\n' "$header" >"$work/alone.c"
    "$@" -Wall -Wextra -Werror -pedantic -I"$(dirname "$(installed "$header")")" -fsyntax-only "$work/alone.c"
}

pkg_config() {
    PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$(dirname "$(installed libtempfile.pc)") \
        pkg-config "$@" libtempfile
}

says_version() {
    [[ $(pkg_config --modversion) == "$("$top_builddir/daemon/tempfiled" --version | sed -n '1s/.* //p')" ]]
}

program_runs() {
    local flags

    cat >"$work/program.c" <<'C'
#include <libtempfile.h>

int main(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        return tempfile_gettempprefix()[0] == 't' && o.owner_pidfd == -1 ? 0 : 1;
}
C
    read -r -a flags < <(pkg_config --cflags --libs)
    # shellcheck disable=SC2086 # several words each
    $CC $INSTRUMENT_FLAGS "$work/program.c" "${flags[@]}" -o "$work/program" &&
        LD_LIBRARY_PATH=$(dirname "$(installed libtempfile.so.0)") "$work/program"
}

dynamic() { # dynamic TAG: its values, without what instrumentation brings
    readelf -d "$(installed libtempfile.so.0)" | sed -n "s/.*($1).*\[\(.*\)\]/\1/p" | grep -vE '^ld-linux'
}

needs_libc_only() {
    [[ $(dynamic NEEDED) == libc.so.* ]] || { dynamic NEEDED; return 1; }
}

has_soname() {
    [[ $(dynamic SONAME) == libtempfile.so.0 ]]
}

# What the headers declare, what the version script lists and what is exported are the same.
declared() { sed -nE '/^[a-z].*\btempfile_[a-z_]+\(/s/.*\b(tempfile_[a-z_]+)\(.*/\1/p' "$top_srcdir"/libclient/libtempfile*.h | grep -v '_fn$' | sort; }
listed() { sed -nE 's/^ *(tempfile_[a-z_]+);/\1/p' "$top_srcdir/libclient/libtempfile.sym" | sort; }
exported() { nm -D --defined-only "$(installed libtempfile.so.0)" | sed -nE 's/.* T (.*)@@.*/\1/p' | sort; }

exports_what_it_lists() { diff <(listed) <(exported); }
lists_what_it_declares() { diff <(declared) <(listed); }

nothing_is_left() {
    [[ -z $(find "$root" -not -type d -print -quit) ]] || { find "$root" -not -type d; return 1; }
}

# As the packages' lists have it, short of the prefix and the architecture's directory.
packaged() {
    sed -E 's/ .*//; s,^(usr/)?,,; s,^lib/\*/,lib/,' "$top_srcdir"/debian/*.install
}

every_file_is_in_one_package() {
    local file pattern n

    while IFS= read -r file; do
        n=0
        while IFS= read -r pattern; do
            # shellcheck disable=SC2053,SC2254
            case $file in
            */$pattern | */$pattern/*) n=$((n + 1)) ;;
            esac
        done < <(packaged)
        ((n == 1)) || { echo "${file#"$root"} is in $n packages"; return 1; }
    done < <(find "$root" -not -type d -not -name '*.la')
}

echo 1..15
check "make install DESTDIR=" run_make install
((failed == 0)) || { echo "Bail out! Nothing to look at"; exit 1; }
check "programs, library, headers and pages are there" all_is_there
for header in libtempfile.h libtempfile-admin.h; do
    # shellcheck disable=SC2086
    check "$header stands alone in C" header_stands_alone "$header" $CC -std=c99 -xc
    if command -v c++ >/dev/null; then
        check "$header stands alone in C++" header_stands_alone "$header" c++ -std=c++11 -xc++
    else
        skip "$header stands alone in C++" "no C++ compiler"
    fi
done
check "pkg-config knows the version" says_version
check "a program built with pkg-config's flags runs" program_runs
check "the SONAME is libtempfile.so.0" has_soname
if [[ -n $INSTRUMENT_FLAGS ]]; then
    skip "the library needs libc only" "not with sanitizers"
else
    check "the library needs libc only" needs_libc_only
fi
check "the version script lists what the headers declare" lists_what_it_declares
check "the library exports what the version script lists" exports_what_it_lists
check "every file is in one package" every_file_is_in_one_package
check "make uninstall" run_make uninstall
check "nothing is left of it" nothing_is_left
exit $failed
