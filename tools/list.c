/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl list: the entries as a table or as JSON.
 *
 * Streams: neither form holds all entries in memory. Stops asking the daemon when the reader of
 * the output has gone.
 */

#include <inttypes.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/table.h"

/* Title, least width, priority, weight, number. At 20 columns STATE and PATH are left. */
/* clang-format off */
static const struct table_column columns[] = {
        { "ID", 0, 40, 1, false },
        { "STATE", 0, 90, 1, false },
        { "KIND", 4, 30, 1, false },
        { "USER", 4, 60, 1, false },
        { "PID", 0, 80, 1, true },
        { "COMMAND", 7, 70, 1, false },
        { "AGE", 0, 50, 1, true },
        { "PATH", 10, 100, 4, false },
};
/* clang-format on */

struct listing {
        struct table *table;
        struct json json;
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

/* The output's reader may have gone: then there is no point in going on. */
static int check_output(void)
{
        return ferror(stdout) ? -EPIPE : 0;
}

static int on_table_entry(const struct tempfile_entry *e, void *userdata)
{
        struct listing *l = userdata;
        char id[ENTRY_ID_SIZE], age[ENTRY_AGE_SIZE], pid[16] = "-";
        const char *kind = e->kind == TEMPFILE_KIND_DIRECTORY ? "dir" : entry_kind_name(e->kind);
        const char *command = *e->command ? e->command : "-", *user = entry_user_name(e->uid);
        const char *cells[ARRAY_SIZE(columns)] = {
                id, entry_state_name(e->state), kind, user, pid, command, age, e->path,
        };
        int r;

        entry_format_id(e->id, id);
        entry_format_since(e->created_usec, age);
        if (e->pid != 0)
                (void) snprintf(pid, sizeof(pid), "%" PRIu32, e->pid);
        r = table_add(l->table, cells, color_of(e->state));
        return r < 0 ? r : check_output();
}

static int on_json_entry(const struct tempfile_entry *e, void *userdata)
{
        struct listing *l = userdata;

        entry_print_json(&l->json, e);
        return check_output();
}

static int tell_failure(int64_t error)
{
        if (error == -EPIPE)
                return CTL_OK; /* whether that was a failure, ctl_finish_output() finds out */
        return ctl_error("cannot list: %s", ctl_strerror((int) error));
}

static int list_as_json(struct ctl *c, struct tempfile_admin *a)
{
        struct listing l = { 0 };
        int64_t n;

        json_init(&l.json, stdout, c->json_style);
        json_begin(&l.json, NULL, '[');
        n = tempfile_admin_list(a, &c->filter, on_json_entry, &l);
        if (n < 0)
                return tell_failure(n); /* without the end nobody takes it for all of it */
        json_end(&l.json, ']');
        json_done(&l.json);
        return CTL_OK;
}

static void print_count(int64_t n)
{
        printf("%s%" PRIi64 " entr%s listed.\n", n > 0 ? "\n" : "", n, n == 1 ? "y" : "ies");
}

static int list_as_table(struct ctl *c, struct tempfile_admin *a)
{
        _cleanup_(table_freep) struct table *table = NULL;
        struct table_style style = table_style_for(stdout, c->has_legend);
        struct listing l = { 0 };
        int64_t n;
        int r;

        r = table_new(stdout, columns, ARRAY_SIZE(columns), &style, &table);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        l.table = table;
        n = tempfile_admin_list(a, &c->filter, on_table_entry, &l);
        r = table_flush(table);
        if (n < 0)
                return tell_failure(n);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        if (c->has_legend)
                print_count(n);
        return CTL_OK;
}

int ctl_list(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        int r;

        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        return c->is_json ? list_as_json(c, a) : list_as_table(c, a);
}
