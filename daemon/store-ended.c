/* SPDX-License-Identifier: MIT */

/*
 * Owns the rows of what was deleted and could be back after a power cut: an entry moves here when
 * its object has ended with its deletion, and is forgotten when the file system was written through.
 * In another boot all of them are entries again, which wait to be looked for.
 */

#include "daemon/store-internal.h"
#include "libclient/util.h"

int store_end_entry(struct store *s, uint64_t id, struct store_bytes identity, uint64_t n_flushes)
{
        bool is_remembered;
        int r;

        r = store_change(s, STMT_END_ENTRY, "ibi", (int64_t) id, identity, (int64_t) n_flushes);
        if (r < 0)
                return r;
        is_remembered = store_changed(s) > 0;
        r = store_remove_entry(s, id);
        return r < 0 ? r : is_remembered;
}

static int forget(struct store *s, enum statement which, uint64_t directory, uint64_t n_flushes,
                  uint64_t *ret_n)
{
        int r;

        r = store_change(s, which, "ii", (int64_t) directory, (int64_t) n_flushes);
        if (r >= 0)
                *ret_n = store_changed(s);
        return r;
}

int store_forget_ended(struct store *s, uint64_t directory, uint64_t n_flushes,
                       uint64_t *ret_n_plain)
{
        uint64_t n;
        int r;

        r = forget(s, STMT_FORGET_ENDED_OF_TAGS, directory, n_flushes, &n);
        return r < 0 ? r : forget(s, STMT_FORGET_ENDED_PLAIN, directory, n_flushes, ret_n_plain);
}

int store_revive_ended(struct store *s)
{
        int r;

        r = store_change(s, STMT_REVIVE_ENDED, "");
        if (r < 0)
                return r;
        store_tally(s)->n_entries += store_changed(s);
        return store_change(s, STMT_CLEAR_ENDED, "");
}

int store_recall_ended(struct store *s)
{
        return store_change(s, STMT_RECALL_ENDED, "");
}

static int ended_row(struct row *row, const void *fn, void *userdata)
{
        return (*(const store_count_fn *) fn)(row_number(row, 0), row_number(row, 1), userdata);
}

int store_each_ended(struct store *s, store_count_fn fn, void *userdata)
{
        return store_ask(s, STMT_EACH_ENDED, ended_row, &fn, userdata, "");
}
