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

# ---- errors ------------------------------------------------------------------------------------

# "FUNCTION -ERROR" for each that the header lists for it. With "closure" also those that it refers to
# ("as tempfile_named()", "those of tempfile_keep()").
documented_errors() {
    awk -v closure="${1-}" '
        function take(text,    names, body, n, i, at, word, list) {
            at = index(text, "() - ")
            if (!at)
                return
            body = substr(text, at + 5)
            n = split(substr(text, 1, at + 1), names, /[ ,*\/]+/)
            for (i = 1; i <= n; i++) {
                if (names[i] !~ /^tempfile_[a-z_]+\(\)$/)
                    continue
                word = substr(names[i], 1, length(names[i]) - 2)
                list = body
                while (match(list, /-E[A-Z0-9]+/)) {
                    has[word, substr(list, RSTART, RLENGTH)] = 1
                    list = substr(list, RSTART + RLENGTH)
                }
                list = body
                while (match(list, /(as|of) tempfile_[a-z_]+\(\)/)) {
                    refers[word, substr(list, RSTART + 3, RLENGTH - 5)] = 1
                    list = substr(list, RSTART + RLENGTH)
                }
            }
        }
        /^\/\*\*/ { inside = 1; text = "" }
        inside { text = text " " $0; gsub(/[ *]+/, " ", text) }
        inside && /\*\// { inside = 0; take(text) }
        END {
            for (changed = closure != ""; changed;) {
                changed = 0
                for (r in refers) {
                    split(r, pair, SUBSEP)
                    for (h in has) {
                        split(h, other, SUBSEP)
                        if (other[1] == pair[2] && !((pair[1], other[2]) in has)) {
                            has[pair[1], other[2]] = 1
                            changed = 1
                        }
                    }
                }
            }
            for (h in has) {
                split(h, pair, SUBSEP)
                print pair[1], pair[2]
            }
        }' "$library/libtempfile.h" | sort -u
}

# The same for each that a test provokes: in the tables, and in what tests compare results with.
provoked_errors() {
    local table

    for table in "$top_builddir"/tests/test-errors "$top_builddir"/tests/test-errors-change; do
        "$table" --list || return 1
    done | sort -u
    cat "$top_srcdir"/tests/test-*.c | tr -s '\n ' ' ' | tr ';' '\n' |
        sed -nE 's/.*(ck_assert_int_eq\(|if \(|return )(tempfile_[a-z_]+)\(.*(,| !=| ==) (-E[A-Z0-9]+)\b.*/\2 \4/p'
}

# Not to be had in a test: no memory, no descriptor in the whole system, a bad disk, a quota, all of a
# pattern's names taken. And two that callbacks return.
unprovoked='-(ENOMEM|ENFILE|EIO|EDQUOT)$|^tempfile_named -EEXIST$|^tempfile_make -EADDRINUSE$'
callbacks='^tempfile_make -EIO$|^tempfile_list -ECANCELED$|^tempfile_admin_'

have_documented_errors() {
    comm -13 <(documented_errors closure) <(provoked_errors | grep -vE "$callbacks" | sort -u) | grep . && return 1
    return 0
}

provoke_documented_errors() {
    comm -23 <(documented_errors | grep -vE -- "$unprovoked") <(provoked_errors | sort -u) | grep . && return 1
    return 0
}

echo 1..9
check "every function has a symbol" have_symbols
check "every function has a page, and one only" have_pages
check "pages show the functions that they are named after" show_what_they_name
check "pages and headers agree on parameters" agree_on_parameters
check "pages refer to functions that exist" refer_to_what_is_there
check "pages name constants that exist" know_the_constants
if [[ -x ${top_builddir:-.}/tests/test-errors ]]; then
    check "the header lists every error that a test has seen" have_documented_errors
    check "tests have seen every error that the header lists" provoke_documented_errors
else
    for name in "the header lists every error that a test has seen" \
        "tests have seen every error that the header lists"; do
        echo "ok $((number += 1)) - $name # SKIP without check (libcheck) there are no tests of errors"
    done
fi
if command -v mandoc >/dev/null; then
    check "pages are well formed" are_well_formed
else
    echo "ok $((number += 1)) - pages are well formed # SKIP mandoc is not installed"
fi
exit $failed
