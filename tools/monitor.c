/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl monitor: what happens, as it happens.
 *
 * What has come is printed at once, and then waited for: for more, and for the reader of the output
 * to go. The daemon waits for nobody, so whoever prints to something slow is cut off, and says so.
 */

#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/filter.h"
#include "tools/table.h"

#define TIME_SIZE 32

/* Title, least width, priority, weight, number. Widths are guesses: nobody knows what will come. */
/* clang-format off */
static const struct table_column columns[] = {
        { "TIME", 0, 50, 1, false },
        { "EVENT", 8, 95, 1, false }, /* at 20 columns beside PATH */
        { "ID", 0, 40, 1, false },
        { "USER", 4, 60, 1, false },
        { "PID", 0, 80, 1, true },
        { "OWNER", 7, 70, 1, false },
        { "PATH", 10, 100, 4, false },
};
/* clang-format on */
static const size_t widths[ARRAY_SIZE(columns)] = { 12, 10, 8, 8, 7, 12, 40 };

struct monitoring {
        const struct ctl *ctl;
        struct filter filter;
        struct table *table; /* else JSON */
};

static const char *event_name(uint32_t event)
{
        static const char *const names[] = {
                [TEMPFILE_EVENT_REGISTERED] = "registered",
                [TEMPFILE_EVENT_GONE] = "gone",
                [TEMPFILE_EVENT_REAPED] = "reaped",
                [TEMPFILE_EVENT_REPLACED] = "replaced",
                [TEMPFILE_EVENT_STUCK] = "stuck",
                [TEMPFILE_EVENT_WAITING] = "waiting",
                [TEMPFILE_EVENT_RETRIED] = "retried",
                [TEMPFILE_EVENT_RETAINED] = "retained",
                [TEMPFILE_EVENT_KEPT] = "kept",
                [TEMPFILE_EVENT_GIVEN] = "given",
                [TEMPFILE_EVENT_SHARED] = "shared",
                [TEMPFILE_EVENT_RENEWED] = "renewed",
        };

        return event < ARRAY_SIZE(names) && names[event] ? names[event] : "unknown";
}

static enum table_color color_of(uint32_t event)
{
        switch (event) {
        case TEMPFILE_EVENT_STUCK:
        case TEMPFILE_EVENT_RETRIED:
                return TABLE_RED;
        case TEMPFILE_EVENT_WAITING:
        case TEMPFILE_EVENT_REPLACED:
                return TABLE_YELLOW;
        case TEMPFILE_EVENT_GONE:
                return TABLE_GREY;
        default:
                return TABLE_PLAIN;
        }
}

static void format_time(uint64_t usec, char ret[static TIME_SIZE])
{
        time_t sec = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;
        size_t n;

        *ret = '\0';
        if (!localtime_r(&sec, &tm))
                return;
        n = strftime(ret, TIME_SIZE, "%H:%M:%S", &tm);
        (void) snprintf(ret + n, TIME_SIZE - n, ".%03u",
                        (unsigned int) (usec % USEC_PER_SEC / USEC_PER_MSEC));
}

static int print_row(struct monitoring *m, uint32_t event, uint64_t usec,
                     const struct tempfile_entry *e)
{
        char id[ENTRY_ID_SIZE], when[TIME_SIZE], pid[16] = "-", owner[ENTRY_OWNER_SIZE];
        _cleanup_(freep) char *text = NULL;
        const char *cells[ARRAY_SIZE(columns)] = {
                when, event_name(event), id, entry_user_name(e->uid), pid, owner, e->path,
        };

        format_time(usec, when);
        entry_format_id(e->id, id);
        entry_format_owner(e, owner);
        if (entry_has_process(e))
                (void) snprintf(pid, sizeof(pid), "%u", e->pid);
        if (e->error < 0) {
                if (asprintf(&text, "%s: %s", e->path, strerror(-e->error)) < 0)
                        return -ENOMEM;
                cells[ARRAY_SIZE(columns) - 1] = text;
        }
        return table_add(m->table, cells, color_of(event));
}

static void print_json(const struct ctl *c, uint32_t event, uint64_t usec,
                       const struct tempfile_entry *e)
{
        struct json j;

        json_init(&j, stdout, c->json_style);
        json_begin(&j, NULL, '{');
        json_string(&j, "event", event_name(event));
        json_unsigned(&j, "time_usec", usec);
        entry_print_json_members(&j, e);
        json_end(&j, '}');
        json_done(&j);
}

static bool is_wanted(const struct monitoring *m, const struct tempfile_entry *e)
{
        const struct tempfile_filter *f = &m->ctl->filter;

        if ((f->flags & TEMPFILE_LIST_UID) && e->uid != f->uid)
                return false;
        if ((f->flags & TEMPFILE_LIST_PID) && e->pid != f->pid)
                return false;
        return filter_matches(&m->filter, e);
}

static int on_event(uint32_t event, uint64_t usec, const struct tempfile_entry *e, void *userdata)
{
        struct monitoring *m = userdata;

        if (!is_wanted(m, e))
                return 0;
        if (m->table)
                return print_row(m, event, usec, e);
        print_json(m->ctl, event, usec, e);
        return 0;
}

/* Until there is something to read. False: nobody reads what is printed any more. */
static bool wait_for_events(struct tempfile_admin *a)
{
        struct pollfd fds[] = {
                { .fd = tempfile_admin_fd(a), .events = POLLIN },
                { .fd = STDOUT_FILENO }, /* that it is gone is told unasked */
        };

        if (fflush(stdout) != 0)
                return false;
        while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
                if (errno != EINTR)
                        return false;
        return !(fds[1].revents & (POLLERR | POLLHUP));
}

static int print_events(struct monitoring *m, struct tempfile_admin *a)
{
        int64_t n = 0;

        while (n >= 0 && wait_for_events(a))
                n = tempfile_admin_read_events(a, 0, on_event, m);
        if (n == -EOVERFLOW)
                return ctl_error("too slow for all that happens: cut off, some of it was missed");
        return n < 0 ? ctl_error("cannot go on: %s", ctl_strerror((int) n)) : CTL_OK;
}

/* The header tells that from now on nothing is missed. */
static int begin(struct monitoring *m)
{
        struct table_style style = table_style_for(stdout, m->ctl->has_legend);
        int r;

        if (m->ctl->is_json)
                return 0;
        r = table_new(stdout, columns, ARRAY_SIZE(columns), &style, &m->table);
        return r < 0 ? r : table_begin(m->table, widths);
}

int ctl_monitor(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct monitoring m = { .ctl = c };
        int r;

        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        r = tempfile_admin_monitor(a);
        if (r == -EOPNOTSUPP)
                return ctl_error("this daemon is too old to be monitored");
        if (r == -EUSERS)
                return ctl_error("too many of yours monitor it already");
        if (r == 0)
                r = filter_init(&m.filter, c);
        if (r == 0)
                r = begin(&m);
        r = r < 0 ? ctl_error("cannot monitor: %s", ctl_strerror(r)) : print_events(&m, a);
        table_free(m.table);
        filter_done(&m.filter);
        return r;
}
