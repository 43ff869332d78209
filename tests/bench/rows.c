/* SPDX-License-Identifier: MIT */

#include "tests/bench/rows.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int prepare(struct rows *r, const char *sql, sqlite3_stmt **ret)
{
        return sqlite3_prepare_v2(r->db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : -EIO;
}

int rows_open(struct rows *r, const char *dir, const char *synchronous, bool is_indexed)
{
        char path[512], sql[512];

        *r = (struct rows) { 0 };
        (void) snprintf(path, sizeof(path), "%s/rows-%d.db", dir, (int) getpid());
        (void) snprintf(sql, sizeof(sql),
                        "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s;"
                        "CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, kind INTEGER,"
                        " state INTEGER, created INTEGER, owner INTEGER);%s",
                        synchronous, is_indexed ? "CREATE INDEX by_owner ON rows (owner)" : "");
        if (sqlite3_open(path, &r->db) != SQLITE_OK ||
            sqlite3_exec(r->db, sql, NULL, NULL, NULL) != SQLITE_OK ||
            prepare(r, "BEGIN", &r->begin) < 0 ||
            prepare(r, "INSERT INTO rows VALUES (?, ?, 1, 1, 1700000000000000, ?)", &r->insert) < 0)
                return -EIO;
        return prepare(r, "COMMIT", &r->commit);
}

static int step(sqlite3_stmt *s)
{
        int rc = sqlite3_step(s);

        (void) sqlite3_reset(s);
        return rc == SQLITE_DONE ? 0 : -EIO;
}

int rows_insert(struct rows *r, size_t n, const int *owners)
{
        static const char name[] = "tmp-0123456789abcdef0123456789";
        int error;

        error = step(r->begin);
        for (size_t i = 0; i < n && error == 0; i++) {
                (void) sqlite3_bind_int64(r->insert, 1, ++r->id);
                (void) sqlite3_bind_text(r->insert, 2, name, sizeof(name) - 1, SQLITE_STATIC);
                (void) sqlite3_bind_int(r->insert, 3, owners ? owners[i] : 1);
                error = step(r->insert);
        }
        return error == 0 ? step(r->commit) : error;
}
