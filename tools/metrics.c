/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl metrics: the daemon in numbers, as OpenMetrics text.
 *
 * Nothing is printed before all is known, so that a collector never gets half of it. What is by
 * user comes from a list of all entries, which takes no memory but for the users; sizes are looked
 * at only when asked for.
 */

#include <inttypes.h>
#include <search.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"

#define STATES (TEMPFILE_STATE_WAITING + 1)

struct user {
        uint32_t uid;
        uint64_t entries[STATES];
        uint64_t bytes[STATES];
};

struct counting {
        bool has_size;
        void *users; /* tree */
        struct user *last;
};

static int compare_users(const void *a, const void *b)
{
        const struct user *x = a, *y = b;

        return (x->uid > y->uid) - (x->uid < y->uid);
}

static struct user *find_user(struct counting *x, uint32_t uid)
{
        struct user *u, **found;

        if (x->last && x->last->uid == uid)
                return x->last; /* lists come in runs of one user */
        u = calloc(1, sizeof(*u));
        if (!u)
                return NULL;
        u->uid = uid;
        found = tsearch(u, &x->users, compare_users);
        if (!found || *found != u)
                free(u);
        x->last = found ? *found : NULL;
        return x->last;
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct counting *x = userdata;
        struct user *u = find_user(x, e->uid);
        struct usage usage;

        if (!u)
                return -ENOMEM;
        if (e->state >= STATES)
                return 0;
        u->entries[e->state]++;
        if (!x->has_size)
                return 0;
        usage_of_path(e->path, &usage);
        u->bytes[e->state] += usage.bytes;
        return 0;
}

/* ---- printing ---- */

static void print_head(const char *name, const char *type, const char *unit, const char *help)
{
        printf("# TYPE tempfiled_%s %s\n", name, type);
        if (unit)
                printf("# UNIT tempfiled_%s %s\n", name, unit);
        printf("# HELP tempfiled_%s %s\n", name, help);
}

static void print_gauge(const char *name, const char *unit, const char *help, uint64_t value)
{
        print_head(name, "gauge", unit, help);
        printf("tempfiled_%s %" PRIu64 "\n", name, value);
}

static void print_counter(const char *name, const char *help, uint64_t value)
{
        print_head(name, "counter", NULL, help);
        printf("tempfiled_%s_total %" PRIu64 "\n", name, value);
}

/* Each bucket counts what is in those before, too. */
static void print_histogram(const char *name, const char *help, const struct tempfile_histogram *h)
{
        static const uint64_t bounds[] = TEMPFILE_HISTOGRAM_BOUNDS_USEC;
        uint64_t sum = 0;
        double bound;

        print_head(name, "histogram", "seconds", help);
        for (size_t i = 0; i < TEMPFILE_HISTOGRAM_COUNTS; i++) {
                sum += h->counts[i];
                if (i == ARRAY_SIZE(bounds)) {
                        printf("tempfiled_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
                        break;
                }
                bound = (double) bounds[i] / (double) USEC_PER_SEC;
                printf("tempfiled_%s_bucket{le=\"%g%s\"} %" PRIu64 "\n", name, bound,
                       bound >= 1 ? ".0" : "", sum); /* always with a point */
        }
        printf("tempfiled_%s_count %" PRIu64 "\n", name, sum);
        printf("tempfiled_%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, h->sum_usec / USEC_PER_SEC,
               h->sum_usec % USEC_PER_SEC);
}

static void print_latencies(const struct tempfile_status *s)
{
        print_histogram("reap_latency_seconds",
                        "From an owner's end until an entry of its was deleted.", &s->reap);
        print_histogram("commit_latency_seconds", "Writing what came together to the database.",
                        &s->commit);
        print_histogram("sync_latency_seconds",
                        "From there until the disk has it, where that is promised.", &s->sync);
}

static void print_entries(const struct tempfile_status *s)
{
        print_head("entries", "gauge", NULL, "Entries by state.");
        printf("tempfiled_entries{state=\"live\"} %" PRIu64 "\n", s->live);
        printf("tempfiled_entries{state=\"reaping\"} %" PRIu64 "\n", s->reaping);
        printf("tempfiled_entries{state=\"retained\"} %" PRIu64 "\n", s->retained);
        printf("tempfiled_entries{state=\"stuck\"} %" PRIu64 "\n", s->stuck);
        printf("tempfiled_entries{state=\"waiting\"} %" PRIu64 "\n", s->waiting);
        print_gauge("leaked_entries", NULL,
                    "Entries whose owner is gone and that are still there: stuck or waiting.",
                    s->stuck + s->waiting);
}

static void print_status(const struct tempfile_status *s)
{
        /* Not of type info, at which node_exporter's older reader of such files stops. */
        print_head("build_info", "gauge", NULL, "Version of the daemon.");
        printf("tempfiled_build_info{version=\"%s\",instance=\"%s\",durability=\"%s\"} 1\n",
               s->version, s->is_system ? "system" : "user", s->is_power ? "power" : "crash");
        print_gauge("uptime_seconds", "seconds", "Time since the daemon started.",
                    s->uptime_usec / USEC_PER_SEC);
        print_entries(s);
        print_gauge("owners", NULL, "Owners that have entries or tags.", s->owners);
        print_gauge("connections", NULL, "Clients that are connected.", s->connections);
        print_gauge("directories", NULL, "Directories that entries are in.", s->directories);
        print_gauge("tags", NULL, "Tags of processes in directories.", s->tags);
        print_counter("reaped", "Entries deleted after their owner since the start.", s->reaped);
        print_counter("failed_attempts", "Attempts to delete that failed since the start.",
                      s->failed);
        print_counter("commit_failures", "Failures to write to the database since the start.",
                      s->commit_failures);
        print_gauge("queue_jobs", NULL, "Jobs that workers have, or that wait for one.", s->jobs);
        print_gauge("hung_jobs", NULL, "Jobs on a file system that does not answer.", s->hung);
        print_gauge("database_bytes", "bytes", "Size of the database.", s->database_bytes);
        print_latencies(s);
}

/* The user's number, and no name: that may hold anything, and take a network to find. */
static void print_by_user(const char *name, const struct user *u, const uint64_t values[STATES])
{
        for (uint32_t i = 1; i < STATES; i++)
                if (u->entries[i] > 0)
                        printf("tempfiled_%s{uid=\"%" PRIu32 "\",state=\"%s\"} %" PRIu64 "\n", name,
                               u->uid, entry_state_name(i), values[i]);
}

static void print_user_entries(const void *node, VISIT visit, void *userdata)
{
        const struct user *u = *(const struct user *const *) node;

        if (visit == postorder || visit == leaf)
                print_by_user("user_entries", u, u->entries);
}

static void print_user_bytes(const void *node, VISIT visit, void *userdata)
{
        const struct user *u = *(const struct user *const *) node;

        if (visit == postorder || visit == leaf)
                print_by_user("user_bytes", u, u->bytes);
}

static void print_users(const struct counting *x)
{
        print_head("user_entries", "gauge", NULL, "Entries by user and state.");
        twalk_r(x->users, print_user_entries, NULL);
        if (!x->has_size)
                return;
        print_head("user_bytes", "gauge", "bytes", "Room that entries take, by user and state.");
        twalk_r(x->users, print_user_bytes, NULL);
}

int ctl_metrics(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct tempfile_status s = { .size = sizeof(s) };
        struct counting x = { .has_size = c->has_size };
        int64_t n;
        int r;

        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        n = tempfile_admin_status(a, &s);
        if (n >= 0)
                n = tempfile_admin_list(a, NULL, on_entry, &x);
        if (n >= 0) {
                print_status(&s);
                print_users(&x);
                puts("# EOF");
        }
        tdestroy(x.users, free);
        return n < 0 ? ctl_error("cannot get the numbers: %s", ctl_strerror((int) n)) : CTL_OK;
}
