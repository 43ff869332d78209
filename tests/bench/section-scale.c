/* SPDX-License-Identifier: MIT */

/*
 * What becomes of it when there is much: entries of one owner, owners that are processes, owners that
 * are leases. Each on a daemon of its own, whose memory is looked at. The registrations that are
 * timed come from other processes.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/works.h"

#define STEPS_MAX 8U
#define STARTS 3U
#define OWNERS_AT_ONCE 64U /* that connect */
#define DESCRIPTORS_OWNER 2U
#define DESCRIPTORS_OTHER 500U
#define LEASE_SEC 86400U
#define SETTLE_USEC 2500000U
#define NSEC_PER_MSEC 1e6

struct stage {
        const struct bench *b;
        struct daemon_fixture daemon;
        char *state, *dir;
        pid_t *owners;
        unsigned int n_owners;
};

/* What was seen at one size. */
struct look {
        unsigned int n;
        double bytes, list_msec;
};

/* ---- looking at the daemon -------------------------------------------------------------------- */

/* A number from a line "key: number" of a file in /proc; 0: it is not there. */
static double proc_number(pid_t pid, const char *file, const char *key)
{
        _cleanup_(freep) char *line = NULL;
        size_t size = 0;
        double value = 0;
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (getline(&line, &size, f) > 0)
                if (strncmp(line, key, strlen(key)) == 0)
                        value = strtod(line + strlen(key), NULL);
        (void) fclose(f);
        return value;
}

static double memory_bytes(const struct daemon_fixture *d)
{
        return proc_number(d->pid, "status", "RssAnon:") * 1024;
}

/* The first number of schedstat: nanoseconds on a processor. */
static double processor_usec(const struct daemon_fixture *d)
{
        return proc_number(d->pid, "schedstat", "") / (double) NSEC_PER_USEC;
}

static int count_entry(const struct tempfile_entry *e, void *userdata)
{
        return 0;
}

static double list_msec(const struct daemon_fixture *d)
{
        const uint64_t start = clock_nsec();
        struct tempfile_admin *a;
        int64_t n;

        if (tempfile_admin_open(d->socket, 60000, &a) < 0)
                return 0;
        n = tempfile_admin_list(a, NULL, count_entry, NULL);
        tempfile_admin_close(a);
        return n < 0 ? 0 : (double) (clock_nsec() - start) / NSEC_PER_MSEC;
}

static struct look look(const struct stage *s, unsigned int n, double bytes)
{
        return (struct look) {
                .n = n,
                .list_msec = list_msec(&s->daemon),
                .bytes = bytes,
        };
}

/* ---- owners ----------------------------------------------------------------------------------- */

static int make_and_release(const struct tempfile_options *o, unsigned int n)
{
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; i < n && r == 0; i++) {
                r = tempfile_named(o, &t);
                if (r == 0)
                        r = tempfile_release(t);
        }
        return r;
}

/* Makes @n files of its own, says what became of it, and stays. */
static void be_owner(const struct stage *s, unsigned int n, int to)
{
        const struct tempfile_options o = our_options(s->dir);
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        r = setenv("TEMPFILED_SOCKET", s->daemon.socket, 1) < 0 ? -errno : make_and_release(&o, n);
        if (write(to, &r, sizeof(r)) == sizeof(r) && r == 0)
                for (;;)
                        (void) pause();
        _exit(1);
}

/* @n owners with @files files each, all at once. */
static int add_together(struct stage *s, unsigned int n, unsigned int files)
{
        int ends[2], result, r = 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        for (unsigned int i = 0; i < n && r == 0; i++) {
                const pid_t pid = fork();

                if (pid == 0)
                        be_owner(s, files, ends[1]);
                if (pid < 0)
                        r = -errno;
                else
                        s->owners[s->n_owners++] = pid;
        }
        (void) close(ends[1]);
        for (unsigned int i = 0; i < n && r == 0; i++)
                r = read(ends[0], &result, sizeof(result)) == sizeof(result) ? result : -EPIPE;
        (void) close(ends[0]);
        return r;
}

static int add_owners(struct stage *s, unsigned int n, unsigned int files)
{
        int r = 0;

        for (unsigned int at = 0; at < n && r == 0; at += OWNERS_AT_ONCE)
                r = add_together(s, MIN(n - at, OWNERS_AT_ONCE), files);
        return r;
}

/* A process that is not there any more when this returns: what it made is held by leases. */
static int add_leases(struct stage *s, unsigned int n)
{
        struct tempfile_options o = our_options(s->dir);
        int status = 1;
        pid_t pid;

        o.owner_kind = TEMPFILE_OWNER_LEASE;
        o.lease_sec = LEASE_SEC;
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(setenv("TEMPFILED_SOCKET", s->daemon.socket, 1) < 0 ||
                      make_and_release(&o, n) < 0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return -errno;
        return status == 0 ? 0 : -EIO;
}

/* ---- the stage -------------------------------------------------------------------------------- */

static int stage_open(struct stage *s, const struct bench *b, unsigned int owners)
{
        int r;

        *s = (struct stage) { .b = b, .daemon.notify_fd = -1 };
        s->state = world_directory(b->world->disk);
        s->dir = world_directory(b->world->memory);
        s->owners = calloc(owners, sizeof(*s->owners));
        if (!s->state || !s->dir || !s->owners)
                return -errno;
        r = world_start_daemon(&s->daemon, s->state, "crash");
        return r;
}

/* The daemon first: it need not delete what goes with the directory. */
static void stage_close(struct stage *s)
{
        daemon_fixture_kill(&s->daemon);
        for (unsigned int i = 0; i < s->n_owners; i++)
                (void) kill(s->owners[i], SIGKILL);
        for (unsigned int i = 0; i < s->n_owners; i++)
                (void) waitpid(s->owners[i], NULL, 0);
        if (s->dir)
                world_remove(s->dir);
        free(s->owners);
        free(s->state);
        free(s->dir);
}

static void failed(const struct bench *b, const char *what, int error)
{
        report_add(b->report,
                   &(struct result) { .role = ROLE_OURS, .name = (char *) what, .error = error });
}

static void time_registrations(const struct stage *s, const char *series, const char *what,
                               unsigned int n)
{
        const struct extent *e = s->b->extent;
        const struct contestant c[] = {
                LIMIT("mkostemp, close, unlink", &bare_file, .dir = s->b->world->memory,
                      .per_round = e->files / 4 + 1),
                OURS("under a tag", &our_file, .dir = s->b->world->memory,
                     .socket = s->daemon.socket, .per_round = e->files / 4 + 1),
                OURS("reserved", &our_reservation, .dir = s->b->world->memory,
                     .socket = s->daemon.socket, .per_round = e->files / 16 + 1),
        };

        report_group(s->b->report, "us each", series, n, "Registrations with %u %s", n, what);
        report_contest(s->b->report, c, ARRAY_SIZE(c), e->rounds);
}

/* One row a size, of what @value takes from a look. */
static void show_looks(const struct stage *s, const struct look *looks, size_t n, const char *what,
                       bool is_memory, double aim)
{
        char name[64];

        for (size_t i = 0; i < n; i++) {
                (void) snprintf(name, sizeof(name), "with %u %s", looks[i].n, what);
                report_value(s->b->report, ROLE_OURS, name,
                             is_memory ? looks[i].bytes / looks[i].n : looks[i].list_msec,
                             i == n - 1 ? aim : 0);
        }
}

/* Grows by powers of ten and looks at each size. Returns 0 or why it went no further. */
static int grow(struct stage *s, const char *series, const char *what, unsigned int max,
                int (*add)(struct stage *s, unsigned int n), double aim_bytes)
{
        struct look looks[STEPS_MAX] = { 0 };
        double before,
                bytes = 0; /* what those added have taken, and not what was measured meanwhile */
        unsigned int have = 0;
        size_t n_looks = 0;
        int r = 0;

        for (unsigned int n = 10; have < max && n_looks < STEPS_MAX; n *= 10) {
                n = MIN(n, max);
                before = memory_bytes(&s->daemon);
                r = add(s, n - have);
                if (r < 0)
                        break;
                bytes += memory_bytes(&s->daemon) - before;
                have = n;
                time_registrations(s, series, what, n);
                looks[n_looks++] = look(s, n, bytes);
        }
        report_group(s->b->report, "bytes", NULL, 0, "Memory of the daemon for each of the %s",
                     what);
        show_looks(s, looks, n_looks, what, true, aim_bytes);
        report_group(s->b->report, "ms", NULL, 0, "To list all %s", what);
        show_looks(s, looks, n_looks, what, false, 0);
        if (r < 0)
                failed(s->b, "to have more of them", r);
        return r;
}

static int restart(struct stage *s, double *ret_msec)
{
        uint64_t start;
        int r;

        daemon_fixture_kill(&s->daemon);
        start = clock_nsec();
        r = daemon_fixture_start(&s->daemon);
        *ret_msec = (double) (clock_nsec() - start) / NSEC_PER_MSEC;
        return r;
}

static void time_starts(struct stage *s, const char *name, double aim_msec)
{
        double msec[STARTS];
        int r = 0;

        for (unsigned int i = 0; i < STARTS && r == 0; i++)
                r = restart(s, &msec[i]);
        report_group(s->b->report, "ms", NULL, 0, "To start again after SIGKILL, until ready");
        report_add(s->b->report, &(struct result) {
                                         .role = ROLE_OURS,
                                         .name = (char *) name,
                                         .error = r,
                                         .value = spread_of(msec, STARTS),
                                         .aim = aim_msec,
                                 });
}

/* ---- the scales ------------------------------------------------------------------------------- */

/* By one more process each time. */
static int add_entries(struct stage *s, unsigned int n)
{
        return add_owners(s, 1, n);
}

static int add_processes(struct stage *s, unsigned int n)
{
        return add_owners(s, n, 1);
}

static void watch_idle(const struct stage *s)
{
        const unsigned int msec = s->b->extent->pause_msec;
        double before;

        (void) usleep(SETTLE_USEC); /* what was begun is done with, and the service manager told */
        before = processor_usec(&s->daemon);
        (void) usleep(msec * 1000);
        report_group(s->b->report, "us", NULL, 0,
                     "Processor time of an idle daemon with %u owners, in a second", s->n_owners);
        report_value(s->b->report, ROLE_OURS, "idle",
                     (processor_usec(&s->daemon) - before) * 1000 / msec, 0);
}

/* As many as there may be descriptors for. */
static unsigned int allowed_owners(const struct bench *b)
{
        const unsigned int max = b->extent->owners_max;
        const uint64_t limit =
                world_raise_descriptors((uint64_t) max * DESCRIPTORS_OWNER + DESCRIPTORS_OTHER);

        return (unsigned int) MIN(max, (limit - MIN(limit, DESCRIPTORS_OTHER)) / DESCRIPTORS_OWNER);
}

/* Owners, and then entries beside them; started again with all of them. */
static void scale_processes(const struct bench *b)
{
        const unsigned int max = allowed_owners(b);
        struct stage s;
        char name[64];
        int r;

        r = stage_open(&s, b, max + STEPS_MAX);
        if (r == 0)
                r = grow(&s, "owners", "owners that are processes", max, add_processes, 1024);
        else
                failed(b, "a daemon", r);
        if (r == 0) {
                watch_idle(&s);
                r = grow(&s, "entries", "entries", b->extent->entries_max, add_entries, 0);
        }
        if (r == 0) {
                (void) snprintf(name, sizeof(name), "with %u entries and %u owners",
                                b->extent->entries_max, s.n_owners);
                time_starts(&s, name, 1000);
        }
        stage_close(&s);
}

static void scale_leases(const struct bench *b)
{
        struct stage s;
        char name[64];
        int r;

        r = stage_open(&s, b, 1);
        if (r == 0)
                r = grow(&s, "leases", "owners that are leases", b->extent->leases_max, add_leases,
                         1024);
        else
                failed(b, "a daemon", r);
        if (r == 0) {
                (void) snprintf(name, sizeof(name), "with %u leases", b->extent->leases_max);
                time_starts(&s, name, 0);
        }
        stage_close(&s);
}

void bench_scale(const struct bench *b)
{
        scale_processes(b);
        scale_leases(b);
}
