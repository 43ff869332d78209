/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl status: the daemon at a glance.
 */

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "libclient/util.h"
#include "tools/collection.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/table.h"

#define FAILING_MAX 3U /* are shown */

/* The numbers, in the order in which they are shown. */
static const struct {
        const char *label;
        const char *key;
        size_t offset;
} numbers[] = {
        { "live", "live", offsetof(struct tempfile_status, live) },
        { "reaping", "reaping", offsetof(struct tempfile_status, reaping) },
        { "retained", "retained", offsetof(struct tempfile_status, retained) },
        { "stuck", "stuck", offsetof(struct tempfile_status, stuck) },
        { "waiting", "waiting", offsetof(struct tempfile_status, waiting) },
        { "Owners", "owners", offsetof(struct tempfile_status, owners) },
        { "Connections", "connections", offsetof(struct tempfile_status, connections) },
        { "Directories", "directories", offsetof(struct tempfile_status, directories) },
        { "Tags", "tags", offsetof(struct tempfile_status, tags) },
        { "Jobs", "jobs", offsetof(struct tempfile_status, jobs) },
        { "Reaped", "reaped", offsetof(struct tempfile_status, reaped) },
        { "Failed", "failed", offsetof(struct tempfile_status, failed) },
        { "Refused", "refused", offsetof(struct tempfile_status, refused) },
};

static uint64_t number_of(const struct tempfile_status *s, size_t i)
{
        uint64_t n;

        memcpy(&n, (const char *) s + numbers[i].offset, sizeof(n));
        return n;
}

/* As the keys of the configuration are called; NULL: nothing, or nothing that this tool knows. */
static const char *limit_of(const struct tempfile_status *s)
{
        static const char *const names[] = {
                [TEMPFILE_LIMIT_CONNECTIONS] = "MaxConnections",
                [TEMPFILE_LIMIT_OWNERS] = "MaxOwners",
                [TEMPFILE_LIMIT_ENTRIES] = "MaxEntries",
                [TEMPFILE_LIMIT_DIRECTORIES] = "MaxDirectories",
                [TEMPFILE_LIMIT_DESCRIPTORS] = "MaxDescriptors",
        };

        return s->limit < ARRAY_SIZE(names) ? names[s->limit] : NULL;
}

/* Only what is worth a look: the last fifth of it. */
static void print_limit(const struct tempfile_status *s)
{
        const char *limit = limit_of(s);
        char text[128];

        if (!limit || s->limit_used < s->limit_max / 5 * 4)
                return;
        (void) snprintf(text, sizeof(text), "%s of user %u: %" PRIu64 " of %" PRIu64, limit,
                        s->limit_uid, s->limit_used, s->limit_max);
        ctl_print_field("Near limit", text);
}

static uint64_t entries_of(const struct tempfile_status *s)
{
        return s->live + s->reaping + s->retained + s->stuck + s->waiting;
}

/* ---- what only a list tells ---- */

struct gathering {
        const struct ctl *ctl;
        struct collection failing; /* the last that could not be deleted, newest first */
        bool has_more;
        uint64_t bytes;
        bool is_partial;
};

/* The pauses grow: what was tried less often began to fail later. */
static bool is_newer(const struct tempfile_entry *a, const struct tempfile_entry *b)
{
        if (a->attempts != b->attempts)
                return a->attempts < b->attempts;
        return a->created_usec > b->created_usec;
}

static int on_failing(const struct tempfile_entry *e, void *userdata)
{
        struct gathering *g = userdata;
        struct collection *c = &g->failing;
        int r;

        if (e->error == 0)
                return 0;
        r = collection_add(c, e, NULL);
        if (r < 0)
                return r;
        for (size_t i = c->n - 1; i > 0 && is_newer(e, &c->items[i - 1].entry); i--) {
                const struct listed older = c->items[i - 1];

                c->items[i - 1] = c->items[i];
                c->items[i] = older;
        }
        g->has_more = c->n > FAILING_MAX || g->has_more;
        if (c->n > FAILING_MAX)
                collection_drop_last(c);
        return 0;
}

static int on_held(const struct tempfile_entry *e, void *userdata)
{
        struct gathering *g = userdata;
        struct usage usage;

        usage_of_path(e->path, &usage);
        g->bytes += usage.bytes;
        g->is_partial = g->is_partial || usage.is_partial || usage.error < 0;
        return 0;
}

/* A list of a million entries takes its time, and is only asked for where there is something. */
static int gather(struct gathering *g, struct tempfile_admin *a, const struct tempfile_status *s)
{
        const struct tempfile_filter leaked = {
                .size = sizeof(leaked),
                .flags = TEMPFILE_LIST_LEAKED,
        };
        int64_t n = 0;

        if (s->stuck + s->waiting > 0)
                n = tempfile_admin_list(a, &leaked, on_failing, g);
        if (n >= 0 && g->ctl->has_size)
                n = tempfile_admin_list(a, NULL, on_held, g);
        return (int) MIN(n, 0);
}

/* ---- what only /proc tells ---- */

/* How many descriptors the daemon has, and may have; false: not this user's to know. */
static bool read_descriptors(uint32_t pid, uint64_t *ret_n, uint64_t *ret_max)
{
        char path[64];
        struct rlimit limit;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%" PRIu32 "/fd", pid);
        d = opendir(path);
        if (!d)
                return false;
        for (*ret_n = 0; readdir(d);)
                (*ret_n)++;
        (void) closedir(d);
        *ret_n -= MIN(*ret_n, UINT64_C(2)); /* . and .. */
        if (prlimit((pid_t) pid, RLIMIT_NOFILE, NULL, &limit) < 0)
                return false;
        *ret_max = limit.rlim_cur;
        return true;
}

/* ---- printing ---- */

static void print_errors_json(struct json *j, const struct gathering *g)
{
        json_begin(j, "errors", '[');
        for (size_t i = 0; i < g->failing.n; i++)
                entry_print_json(j, &g->failing.items[i].entry, NULL);
        json_end(j, ']');
}

static void print_json(const struct ctl *c, const struct tempfile_status *s,
                       const struct gathering *g)
{
        uint64_t n, max;
        struct json j;

        json_init(&j, stdout, c->json_style);
        json_begin(&j, NULL, '{');
        json_string(&j, "version", s->version);
        json_string(&j, "instance", s->is_system ? "system" : "user");
        json_string(&j, "socket", s->socket);
        json_unsigned(&j, "pid", s->pid);
        json_unsigned(&j, "uptime_usec", s->uptime_usec);
        json_string(&j, "durability", s->is_power ? "power" : "crash");
        json_unsigned(&j, "entries", entries_of(s));
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                json_unsigned(&j, numbers[i].key, number_of(s, i));
        json_unsigned(&j, "hung", s->hung);
        json_unsigned(&j, "commit_failures", s->commit_failures);
        if (read_descriptors(s->pid, &n, &max)) {
                json_unsigned(&j, "descriptors", n);
                json_unsigned(&j, "descriptors_max", max);
        }
        json_unsigned(&j, "database_bytes", s->database_bytes);
        if (c->has_size)
                json_unsigned(&j, "held_bytes", g->bytes);
        print_errors_json(&j, g);
        if (limit_of(s)) {
                json_string(&j, "limit", limit_of(s));
                json_unsigned(&j, "limit_uid", s->limit_uid);
                json_unsigned(&j, "limit_used", s->limit_used);
                json_unsigned(&j, "limit_max", s->limit_max);
        }
        json_end(&j, '}');
        json_done(&j);
}

static void print_descriptors(const struct tempfile_status *s)
{
        uint64_t n, max;
        char text[96];

        if (!read_descriptors(s->pid, &n, &max))
                return;
        (void) snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 "%s", n, max,
                        n >= max - max / 10 ? ", nearly all" : "");
        ctl_print_field("Descriptors", text);
}

static void print_held(const struct gathering *g)
{
        char bytes[QUANTITY_SIZE_SIZE], text[QUANTITY_SIZE_SIZE + 2];

        quantity_format_bytes(g->bytes, bytes);
        (void) snprintf(text, sizeof(text), "%s%s", bytes, g->is_partial ? "+" : "");
        ctl_print_field("Held", text);
}

static void print_errors(const struct gathering *g)
{
        for (size_t i = 0; i < g->failing.n; i++) {
                const struct tempfile_entry *e = &g->failing.items[i].entry;
                _cleanup_(freep) char *text = NULL;

                if (asprintf(&text, "%s: %s", *e->failed ? e->failed : e->path,
                             strerror(-e->error)) < 0)
                        return;
                ctl_print_field("Failing", text);
        }
        if (g->failing.n > 0)
                ctl_say(table_style_for(stdout, false).width, "See 'tempfilectl list --leaked'%s.",
                        g->has_more ? ": there are more" : "");
}

/* Short lines: they stay whole on a narrow terminal. What is not as it should be stands apart. */
static void print_text(const struct tempfile_status *s, const struct gathering *g)
{
        char text[64];

        ctl_print_field("Version", s->version);
        ctl_print_field("Instance", s->is_system ? "system" : "user");
        ctl_print_field("Socket", s->socket);
        ctl_print_number("PID", s->pid);
        entry_format_age(s->uptime_usec, text);
        ctl_print_field("Uptime", text);
        ctl_print_field("Durability", s->is_power ? "power" : "crash");
        ctl_print_number("Entries", entries_of(s));
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                ctl_print_number(numbers[i].label, number_of(s, i));
        print_descriptors(s);
        (void) snprintf(text, sizeof(text), "%" PRIu64 " KiB", (s->database_bytes + 1023) / 1024);
        ctl_print_field("Database", text);
        if (g->ctl->has_size)
                print_held(g);
        if (s->hung > 0)
                ctl_print_number("Hung", s->hung);
        if (s->commit_failures > 0)
                ctl_print_number("Unwritten", s->commit_failures);
        print_errors(g);
        print_limit(s);
}

int ctl_status(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct tempfile_status s = { .size = sizeof(s) };
        struct gathering g = { .ctl = c };
        int r;

        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        r = tempfile_admin_status(a, &s);
        if (r == 0)
                r = gather(&g, a, &s);
        if (r == 0 && c->is_json)
                print_json(c, &s, &g);
        else if (r == 0)
                print_text(&s, &g);
        collection_done(&g.failing);
        return r < 0 ? ctl_error("cannot get the status: %s", ctl_strerror(r)) : CTL_OK;
}
