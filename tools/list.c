/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl list: the entries as a table or as JSON.
 *
 * Streams: neither form holds all entries in memory, unless they are to be sorted. Stops asking
 * the daemon when the reader of the output has gone. Sizes are looked at only when asked for:
 * that goes to every file system there is an entry on.
 */

#include <inttypes.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/collection.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/filter.h"
#include "tools/instances.h"
#include "tools/pager.h"
#include "tools/table.h"

/* Title, least width, priority, weight, number. At 20 columns STATE and PATH are left. */
enum { INSTANCE = 0, SIZE = 8, REASON = 9, N_COLUMNS = 11 };
/* clang-format off */
static const struct table_column columns[N_COLUMNS] = {
        [INSTANCE] = { "INSTANCE", 6, 45, 1, false },
        { "ID", 0, 40, 1, false },
        { "STATE", 0, 90, 1, false },
        { "KIND", 4, 30, 1, false },
        { "USER", 4, 60, 1, false },
        { "PID", 0, 80, 1, true },
        { "OWNER", 7, 70, 1, false },
        { "AGE", 0, 50, 1, true },
        [SIZE] = { "SIZE", 0, 95, 1, true },
        [REASON] = { "REASON", 12, 85, 1, false },
        { "PATH", 10, 100, 4, false },
};
/* clang-format on */

struct listing {
        const struct ctl *ctl;
        struct filter filter;
        struct table *table; /* else JSON */
        struct table_column shown[N_COLUMNS];
        size_t n_shown;
        struct json json;
        const char *instance; /* NULL: only one is asked */
        bool is_kept;         /* until all are there, to be sorted */
        struct collection kept;
        int64_t n;
        uint64_t bytes;
        bool is_partial; /* the sum is not all */
        int status;      /* of instances that could not be asked */
};

static enum table_color color_of(uint32_t state)
{
        switch (state) {
        case TEMPFILE_STATE_STUCK:
                return TABLE_RED;
        case TEMPFILE_STATE_WAITING:
                return TABLE_YELLOW;
        case TEMPFILE_STATE_REAPING:
        case TEMPFILE_STATE_RETAINED:
                return TABLE_GREY;
        default:
                return TABLE_PLAIN;
        }
}

/* Is this column wanted? */
static bool is_shown(const struct listing *l, size_t column)
{
        if (column == INSTANCE)
                return l->ctl->has_all_instances;
        if (column == REASON)
                return l->ctl->filter.flags & TEMPFILE_LIST_LEAKED;
        return column != SIZE || l->ctl->has_size;
}

static int print_row(struct listing *l, const struct tempfile_entry *e, const struct usage *usage)
{
        char id[ENTRY_ID_SIZE], age[ENTRY_AGE_SIZE], pid[16] = "-", size[QUANTITY_SIZE_SIZE] = "";
        char owner[ENTRY_OWNER_SIZE];
        const char *kind = e->kind == TEMPFILE_KIND_DIRECTORY ? "dir" : entry_kind_name(e->kind);
        const char *all[N_COLUMNS] = {
                l->instance,
                id,
                entry_state_name(e->state),
                kind,
                entry_user_name(e->uid),
                pid,
                owner,
                age,
                size,
                e->error != 0 ? strerror(-e->error) : "-",
                e->path,
        };
        const char *cells[N_COLUMNS];
        size_t n = 0;

        entry_format_id(e->id, id);
        entry_format_since(e->created_usec, age);
        entry_format_owner(e, owner);
        if (entry_has_process(e))
                (void) snprintf(pid, sizeof(pid), "%" PRIu32, e->pid);
        if (usage)
                entry_format_usage(usage, size);
        for (size_t i = 0; i < N_COLUMNS; i++)
                if (is_shown(l, i))
                        cells[n++] = all[i];
        return table_add(l->table, cells, color_of(e->state));
}

static void print_object(struct listing *l, const struct tempfile_entry *e,
                         const struct usage *usage)
{
        json_begin(&l->json, NULL, '{');
        if (l->instance)
                json_string(&l->json, "instance", l->instance);
        entry_print_json_members(&l->json, e);
        if (usage)
                entry_print_json_usage(&l->json, usage);
        json_end(&l->json, '}');
}

/* The output's reader may have gone: then there is no point in going on. */
static int print_entry(struct listing *l, const struct tempfile_entry *e, const struct usage *usage)
{
        int r = 0;

        if (l->table)
                r = print_row(l, e, usage);
        else
                print_object(l, e, usage);
        return r < 0 ? r : ferror(stdout) ? -EPIPE : 0;
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct listing *l = userdata;
        const struct usage *usage = NULL;
        struct usage u;

        if (!filter_matches(&l->filter, e))
                return 0;
        if (l->ctl->has_size) {
                usage_of_path(e->path, &u);
                usage = &u;
                if (l->ctl->is_larger && u.bytes <= l->ctl->bytes)
                        return 0;
                l->bytes += u.bytes;
                l->is_partial = l->is_partial || u.is_partial || u.error < 0;
        }
        l->n++;
        return l->is_kept ? collection_add(&l->kept, e, usage) : print_entry(l, e, usage);
}

static int tell_failure(int64_t error)
{
        if (error == -EPIPE)
                return CTL_OK; /* whether that was a failure, ctl_finish_output() finds out */
        return ctl_error("cannot list: %s", ctl_strerror((int) error));
}

static int print_kept(struct listing *l)
{
        int r = 0;

        collection_sort(&l->kept, l->ctl->sort, l->ctl->is_reverse);
        for (size_t i = 0; i < l->kept.n && r >= 0; i++)
                r = print_entry(l, &l->kept.items[i].entry,
                                l->ctl->has_size ? &l->kept.items[i].usage : NULL);
        return r;
}

/* 0, or negative errno. */
static int list_instance(const struct instance *i, void *userdata)
{
        struct listing *l = userdata;
        int64_t n;

        l->instance = i->name;
        n = tempfile_admin_list(i->admin, &l->ctl->filter, on_entry, l);
        return n < 0 && n != -EPIPE ? (int) n : 0;
}

/* 0, or negative errno. */
static int list_entries(struct listing *l, struct tempfile_admin *a)
{
        int64_t n;

        if (!a) {
                l->status = instances_each(list_instance, l);
                return 0;
        }
        n = tempfile_admin_list(a, &l->ctl->filter, on_entry, l);
        return n < 0 ? (int) n : print_kept(l);
}

static int list_as_json(struct listing *l, struct tempfile_admin *a)
{
        int r;

        json_init(&l->json, stdout, l->ctl->json_style);
        json_begin(&l->json, NULL, '[');
        r = list_entries(l, a);
        if (r < 0)
                return tell_failure(r); /* without the end nobody takes it for all of it */
        json_end(&l->json, ']');
        json_done(&l->json);
        return l->status;
}

static void print_count(const struct listing *l, size_t width)
{
        char size[QUANTITY_SIZE_SIZE] = "";

        if (l->ctl->has_total)
                quantity_format_bytes(l->bytes, size);
        ctl_say(width, "%s%" PRIi64 " entr%s listed%s%s%s%s.", l->n > 0 ? "\n" : "", l->n,
                l->n == 1 ? "y" : "ies", *size ? ", " : "",
                *size && l->is_partial ? "at least " : "", size, *size ? " in all" : "");
}

static int list_as_table(struct listing *l, struct tempfile_admin *a)
{
        _cleanup_(table_freep) struct table *table = NULL;
        const struct ctl *c = l->ctl;
        struct table_style style = table_style_for(stdout, c->has_legend);
        int r, error;

        pager_open(c);
        for (size_t i = 0; i < N_COLUMNS; i++)
                if (is_shown(l, i))
                        l->shown[l->n_shown++] = columns[i];
        r = table_new(stdout, l->shown, l->n_shown, &style, &table);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        l->table = table;
        error = list_entries(l, a);
        r = table_flush(table);
        if (error < 0)
                return tell_failure(error);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        if (c->has_legend || c->has_total)
                print_count(l, style.width);
        return l->status;
}

static int check_arguments(struct ctl *c)
{
        if (!collection_is_key(c->sort))
                return ctl_usage_error(c->command,
                                       "cannot sort by '%s': id, path, age, size, "
                                       "user, pid, state or owner",
                                       c->sort);
        if (c->has_total && c->is_json)
                return ctl_usage_error(c->command, "--total and --json exclude each other: sum up "
                                                   "the members \"size\"");
        if (c->has_all_instances && (c->sort || c->is_reverse))
                return ctl_usage_error(c->command, "--all-instances is not to be sorted");
        c->has_size = c->has_size || (c->sort && streq(c->sort, "size"));
        return CTL_OK;
}

int ctl_list(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct listing l = { .ctl = c, .is_kept = c->sort || c->is_reverse };
        int r;

        r = check_arguments(c);
        if (r == CTL_OK && !c->has_all_instances)
                r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        if (filter_init(&l.filter, c) < 0)
                r = ctl_error("%s", ctl_strerror(-ENOMEM));
        else
                r = c->is_json ? list_as_json(&l, a) : list_as_table(&l, a);
        filter_done(&l.filter);
        collection_done(&l.kept);
        return r;
}
