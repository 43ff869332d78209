/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_ROWS_H
#define TEMPFILED_BENCH_ROWS_H

/*
 * A table of SQLite's, as wide as the daemon's of entries, with what the limits insert into it.
 */

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rows {
        sqlite3 *db;
        sqlite3_stmt *begin, *insert, *commit;
        int64_t id;
};

/* In a file of its own in @dir. With an index, whose they are can be found. */
int rows_open(struct rows *r, const char *dir, const char *synchronous, bool is_indexed);

/* @n rows in one commit, of these @owners; NULL: all of one. */
int rows_insert(struct rows *r, size_t n, const int *owners);

#endif
