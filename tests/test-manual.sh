#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The library's manual against its headers and its version script: what one of them names, the
# others do. And the pages are well formed, if mandoc(1) is there to say so.

: "${top_srcdir:=$(dirname "$0")/..}"
library=$top_srcdir/libclient
pages=("$library"/*.3)
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

declared() { sed -nE '/^[a-z].*\btempfile_[a-z_]+\(/s/.*\b(tempfile_[a-z_]+)\(.*/\1/p' "$library"/libtempfile*.h | sort; }
listed() { sed -nE 's/^ *(tempfile_[a-z_]+);/\1/p' "$library/libtempfile.sym" | sort; }
named() { sed -n '/^\.Nd/,$d; s/^\.Nm \(tempfile_[a-z_]*\).*/\1/p' "$1"; }
all_named() { for page in "${pages[@]}"; do named "$page"; done | sort; }
shown() { sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/s/^\.Fn \(tempfile_[a-z_]*\) .*/\1/p' "$1"; }

# A function that is declared twice, or on two pages, shows as a difference, too.
have_symbols() { diff <(declared) <(listed); }
have_pages() { diff <(declared) <(all_named); }

show_what_they_name() {
    local page

    for page in "${pages[@]}"; do
        diff <(named "$page") <(shown "$page") || { echo "in ${page##*/}"; return 1; }
    done
}

# A prototype on a page has the parameters that the header has, in their order.
parameters_of_header() {
    grep -hvE '^( \*|/\*)' "$library"/libtempfile*.h | sed -E 's,/\*.*\*/,,' | tr -s '\n ' ' ' |
        grep -oE "\\b$1\([^;{]*\);" | head -n 1 | grep -oE '\w+(\[[A-Z_]*\])?\)?[,)]' |
        sed -E 's/\[.*//; s/[,)]//g; s/_$//'
}

parameters_of_page() {
    sed -n "s/^\.Fn $2 //p" "$1" | head -n 1 | grep -oE '\w+(\[[A-Z_]*\])?"|\bvoid$' |
        sed -E 's/"//; s/\[.*//'
}

agree_on_parameters() {
    local page name

    for page in "${pages[@]}"; do
        for name in $(shown "$page"); do
            diff <(parameters_of_header "$name") <(parameters_of_page "$page" "$name") ||
                { echo "of $name in ${page##*/}"; return 1; }
        done
    done
}

refer_to_what_is_there() {
    comm -13 <(declared) <(sed -n 's/.*\.*Xr \(tempfile_[a-z_]*\) 3.*/\1/p' "${pages[@]}" | sort -u) | grep . && return 1
    return 0
}

know_the_constants() {
    local name

    for name in $(grep -hv '^\.Dt' "${pages[@]}" | grep -oE '\bTEMPFILE_[A-Z_]+\b' | sort -u); do
        grep -qw "$name" "$library"/libtempfile*.h || { echo "$name is in no header"; return 1; }
    done
}

are_well_formed() {
    local said

    # Whether other manuals are installed here is not their fault.
    said=$(mandoc -T lint -W style "${pages[@]}" 2>/dev/null | grep -v 'referenced manual not found')
    [[ -z $said ]] || { echo "$said"; return 1; }
}

echo 1..7
check "every function has a symbol" have_symbols
check "every function has a page, and one only" have_pages
check "pages show the functions that they are named after" show_what_they_name
check "pages and headers agree on parameters" agree_on_parameters
check "pages refer to functions that exist" refer_to_what_is_there
check "pages name constants that exist" know_the_constants
if command -v mandoc >/dev/null; then
    check "pages are well formed" are_well_formed
else
    echo "ok $((number += 1)) - pages are well formed # SKIP mandoc is not installed"
fi
exit $failed
