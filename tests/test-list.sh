#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tempfilectl list with very many entries: all are there, and none is held in memory. The database is
# filled while the daemon is away, with copies of an entry that has a lease. And all of a unit's given.
#
# With TEMPFILED_TEST_FULL=1 a million, otherwise 20,000.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/shell-fixture.sh"

ctl=$TEMPFILECTL
n_entries=20000
limit_kib=3072 # of memory of its own; as many as in the quick form do not fit in
if [[ -n ${TEMPFILED_TEST_FULL:-} ]]; then
    n_entries=1000000
    patience=300
fi

check() {
    local name=$1

    shift
    if "$@"; then
        tap_ok "$name"
    else
        tap_not_ok "$name"
        tap_note "$(head -c 1000 "$work/out")" "$(head -c 1000 "$work/err")"
    fi
}

# in_little_memory ARGUMENT...: prints what tempfilectl does; its errors are in $work/err.
in_little_memory() (
    ulimit -d $limit_kib
    exec "$ctl" "$@" 2>"$work/err"
)

fill_database() {
    python3 -c "if True:
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1])
        with db:
            db.execute('''WITH RECURSIVE number (n) AS
                (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < ?)
                INSERT INTO entry (id, kind, state, name, created, owner, directory, cred, identity)
                SELECT e.id + n, e.kind, e.state, CAST(printf('%s-%07d', e.name, n) AS BLOB),
                    e.created, e.owner, e.directory, e.cred, e.identity FROM entry e, number''',
                (int(sys.argv[2]),))
            # Three at places far apart wait for a directory that has gone with its file system.
            db.execute('''INSERT INTO directory SELECT id + 1, CAST(? AS BLOB), identity, 0
                FROM directory ORDER BY id DESC LIMIT 1''', (sys.argv[3],))
            db.execute('''UPDATE entry SET state = 5, attempts = 1,
                directory = (SELECT max(id) FROM directory)
                WHERE id - (SELECT min(id) FROM entry) IN (5, ?1 / 2, ?1 - 5)''', (int(sys.argv[2]),))
        db.close()" "$work/daemon/state"/*.db $((n_entries - 1)) "$work/away"
}

# Counts the objects of an array, and does not hold them either.
count_objects() {
    python3 -c "if True:
        import json, sys
        decode, text, n = json.JSONDecoder().raw_decode, '', 0
        assert sys.stdin.read(1) == '['
        while text.strip() != ']':
            chunk, at = sys.stdin.read(1 << 16), 0
            assert chunk
            text += chunk
            while True:
                at += text[at:at + 1] == ','
                try:
                    e, at = decode(text, at)
                except json.JSONDecodeError:
                    break # the rest of it is in the next chunk
                assert e['path']
                n += 1
            text = text[at:]
        print(n)"
}

test_table() {
    in_little_memory list >"$work/out"
    check "a table" [ $? = 0 ]
    check "of all" [ "$(tail -n 1 "$work/out")" = "$n_entries entries listed." ]
    check "and each once" [ "$(grep -o 'file-[0-9]*$' "$work/out" | sort -u | wc -l)" = $((n_entries - 1)) ]
    in_little_memory list --retained --no-legend >"$work/out"
    check "none of them retained" [ $? = 0 -a ! -s "$work/out" ]
}

# What the daemon looks at for it: packets that it is asked with.
test_leaked() {
    local asked

    in_little_memory list --leaked --no-legend >"$work/out"
    check "three of them leaked" [ $? = 0 -a "$(grep -c " waiting .*$work/away/file-" "$work/out")" = 3 ]
    if ! strace -o /dev/null true 2>/dev/null; then
        tap_skip "found at once" "needs strace"
        return
    fi
    strace -o "$work/calls" -e trace=sendmsg,sendto,send "$ctl" list --leaked >"$work/out" 2>"$work/err"
    asked=$(grep -c MSG_ "$work/calls")
    strace -o "$work/calls" -e trace=sendmsg,sendto,send "$ctl" list --pid=1 >"$work/out" 2>"$work/err"
    check "found at once: $asked packets, not $(grep -c MSG_ "$work/calls")" [ "$asked" -le 3 ]
}

test_json() {
    in_little_memory list --json >"$work/out"
    check "an array" [ $? = 0 ]
    check "of all, as a parser finds" [ "$(count_objects <"$work/out" 2>>"$work/err")" = $n_entries ]
}

test_cut_off() {
    local status

    in_little_memory list | head -n 3 >"$work/out"
    status=${PIPESTATUS[0]}
    check "the first lines" [ "$status:$(wc -l <"$work/out"):$(<"$work/err")" = 0:3: ]
    in_little_memory list --json | head -c 100 >"$work/out"
    status=${PIPESTATUS[0]}
    check "the first bytes" [ "$status:$(<"$work/err")" = 0: ]
}

# This also shows that the others had less memory than all of them need.
test_sorted() {
    in_little_memory list --sort=age >"$work/out"
    check "to be sorted they would have to fit in" [ \
        "$?:$(<"$work/err")" = "1:tempfilectl: cannot list: Cannot allocate memory" ]
    "$ctl" list --sort=path -r --no-legend >"$work/out" 2>"$work/err"
    check "and are" [ "$(head -n 1 "$work/out" | grep -o 'file-.*')" = "file-$(printf %07d $((n_entries - 1)))" ]
}

# No systemd is needed for an owner that was in a unit.
test_unit() {
    daemon_kill
    python3 -c "if True:
        import sqlite3, sys
        db = sqlite3.connect(sys.argv[1])
        with db:
            db.execute('UPDATE owner SET unit = ? WHERE id = (SELECT min(owner) FROM entry)', ('many.service',))
        db.close()" "$work/daemon/state"/*.db
    daemon_start || exit 1
    "$ctl" give -n --boot --from-unit=many >"$work/out" 2>"$work/err"
    check "all that was a unit's can be given" [ "$(grep -c '^Would give .*/file' "$work/out")" = $n_entries ]
    "$ctl" give -n --boot --from-unit=few >"$work/out" 2>"$work/err"
    check "and nothing else" [ $? = 0 -a ! -s "$work/out" ]
}

mkdir "$work/files"
touch "$work/files/file"
if ! (ulimit -d $limit_kib && "$ctl" --version) >/dev/null 2>&1; then
    echo "1..0 # SKIP this build needs more memory to start with"
    exit 0
fi
daemon_start && "$ctl" track -q --lease=1w "$work/files/file" || exit 1
daemon_kill
fill_database && daemon_start || exit 1
test_table
test_leaked
test_json
test_cut_off
test_sorted
test_unit
tap_plan $tap_number
tap_end
