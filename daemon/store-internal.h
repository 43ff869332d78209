/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_STORE_INTERNAL_H
#define TEMPFILED_STORE_INTERNAL_H

/* Between store.c, which runs statements, and store-rows.c, which knows what is in them. */

#include "daemon/store-sql.h"
#include "daemon/store.h"

enum statement {
#define X(name, text) STMT_##name,
        STATEMENTS(X)
#undef X
                STMT_MAX,
};

/* Kept in memory: what would cost a scan to ask. Taken back with a failed transaction. */
struct store_tally {
        uint64_t n_entries;
        uint64_t last_plain_entry;
        uint64_t last_reserved; /* no number up to this one is given again by a later daemon */
        uint64_t n_claims;
};

struct row; /* of an answer */

/*
 * Arguments by format: i an int64_t, I the same but NULL when 0, s a string but NULL when NULL,
 * t a string or "", b a struct store_bytes, B the same but NULL when empty.
 */
int store_change(struct store *s, enum statement which, const char *format, ...);

typedef int (*store_take_fn)(struct row *row, const void *fn, void *userdata);
int store_ask(struct store *s, enum statement which, store_take_fn take, const void *fn,
              void *userdata, const char *format, ...);
int store_ask_number(struct store *s, enum statement which, uint64_t *ret);

uint64_t store_changed(struct store *s); /* rows, by the last change */
struct store_tally *store_tally(struct store *s);

/* Columns. Strings and bytes are borrowed until the next row; a string may be NULL. */
uint64_t row_number(struct row *row, int column);
const char *row_string(struct row *row, int column);
const char *row_string_or_empty(struct row *row, int column);
struct store_bytes row_bytes(struct row *row, int column);
sd_id128_t row_id(struct row *row, int column);

#endif
