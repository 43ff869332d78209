/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl check: does what the daemon knows agree with the file system?
 *
 * Each entry is looked at where it is to be: it is there, of its kind and, where a name and a user
 * are what it is known by, of that user. The subtle thing: a program deletes first and says so
 * afterwards, so what differs is kept in mind and listed again: only what is still known then, and
 * still differs, is told.
 */

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/table.h"

/* clang-format off */
static const struct table_column columns[] = {
        { "ID", 0, 40, 1, false },
        { "STATE", 0, 60, 1, false },
        { "DIFFERENCE", 10, 90, 1, false },
        { "PATH", 10, 100, 4, false },
};
/* clang-format on */

struct checking {
        struct table *table; /* else JSON */
        struct json json;
        void *doubtful; /* tree of numbers that differed */
        bool is_second;
        uint64_t n_entries;
        uint64_t n_differ;
};

static int compare_ids(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

static bool is_kind(const struct tempfile_entry *e, mode_t mode)
{
        switch (e->kind) {
        case TEMPFILE_KIND_FILE:
                return S_ISREG(mode);
        case TEMPFILE_KIND_DIRECTORY:
                return S_ISDIR(mode);
        default:
                return !S_ISDIR(mode); /* a file, too, where but a name was asked for */
        }
}

/* NULL: it agrees. */
static const char *find_difference(const struct tempfile_entry *e)
{
        struct stat st;

        if (e->state == TEMPFILE_STATE_REAPING)
                return NULL; /* there or not: both is right */
        if (lstat(e->path, &st) < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        return strerror(errno);
                return e->state == TEMPFILE_STATE_WAITING ? NULL : "is not there";
        }
        if (!is_kind(e, st.st_mode))
                return "is of another kind";
        if (e->is_made && st.st_uid != e->uid)
                return "is another user's";
        return NULL;
}

static int remember(struct checking *x, uint64_t id)
{
        uint64_t *copy = malloc(sizeof(*copy)), **found;

        if (!copy)
                return -ENOMEM;
        *copy = id;
        found = tsearch(copy, &x->doubtful, compare_ids);
        if (!found || *found != copy)
                free(copy);
        return found ? 0 : -ENOMEM;
}

static int tell(struct checking *x, const struct tempfile_entry *e, const char *difference)
{
        char id[ENTRY_ID_SIZE];
        const char *cells[ARRAY_SIZE(columns)] = { id, entry_state_name(e->state), difference,
                                                   e->path };

        x->n_differ++;
        entry_format_id(e->id, id);
        if (x->table)
                return table_add(x->table, cells, TABLE_RED);
        json_begin(&x->json, NULL, '{');
        json_string(&x->json, "id", id);
        json_string(&x->json, "path", e->path);
        json_string(&x->json, "state", entry_state_name(e->state));
        json_string(&x->json, "difference", difference);
        json_end(&x->json, '}');
        return 0;
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct checking *x = userdata;
        const char *difference;

        x->n_entries += !x->is_second;
        if (x->is_second && !tfind(&e->id, &x->doubtful, compare_ids))
                return 0;
        difference = find_difference(e);
        if (!difference)
                return 0;
        return x->is_second ? tell(x, e, difference) : remember(x, e->id);
}

/* 0, or negative errno. */
static int check(struct checking *x, struct tempfile_admin *a)
{
        int64_t n;

        n = tempfile_admin_list(a, NULL, on_entry, x);
        x->is_second = true;
        if (n >= 0 && x->doubtful)
                n = tempfile_admin_list(a, NULL, on_entry, x);
        tdestroy(x->doubtful, free);
        return n < 0 ? (int) n : 0;
}

static int check_as_json(struct ctl *c, struct checking *x, struct tempfile_admin *a)
{
        int r;

        json_init(&x->json, stdout, c->json_style);
        json_begin(&x->json, NULL, '[');
        r = check(x, a);
        if (r < 0)
                return r;
        json_end(&x->json, ']');
        json_done(&x->json);
        return 0;
}

static int check_as_table(struct ctl *c, struct checking *x, struct tempfile_admin *a)
{
        struct table_style style = table_style_for(stdout, c->has_legend);
        _cleanup_(table_freep) struct table *table = NULL;
        int r;

        r = table_new(stdout, columns, ARRAY_SIZE(columns), &style, &table);
        if (r < 0)
                return r;
        x->table = table;
        r = check(x, a);
        if (r >= 0)
                r = table_flush(table);
        if (r >= 0 && !c->is_quiet)
                ctl_say(style.width, "%s%" PRIu64 " of %" PRIu64 " entr%s differ%s.",
                        x->n_differ > 0 ? "\n" : "", x->n_differ, x->n_entries,
                        x->n_entries == 1 ? "y" : "ies", x->n_differ == 1 ? "s" : "");
        return r;
}

int ctl_check(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct checking x = { 0 };
        int r;

        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        r = c->is_json ? check_as_json(c, &x, a) : check_as_table(c, &x, a);
        if (r < 0)
                return ctl_error("cannot check: %s", ctl_strerror(r));
        return x.n_differ > 0 ? CTL_FAILED : CTL_OK;
}
