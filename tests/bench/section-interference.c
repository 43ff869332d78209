/* SPDX-License-Identifier: MIT */

/*
 * Whether one's registrations feel that another's tree is being deleted: a client registers a
 * thousand times a second, while nothing happens and while that does.
 */

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/gone.h"
#include "tests/bench/machine.h"
#include "tests/bench/trees.h"
#include "tests/bench/works.h"

#define SAMPLES_MAX 200000U
#define PAUSE_USEC 1000U

/* Between the one who registers and the one who tells him to stop. */
struct samples {
        atomic_bool is_over;
        int error;
        unsigned int n;
        double usec[SAMPLES_MAX];
};

static void sample(struct samples *s, const struct tempfile_options *o)
{
        struct tempfile *t;
        uint64_t start;

        do {
                start = clock_nsec();
                s->error = tempfile_mktemp(o, TEMPFILE_KIND_FILE, &t);
                s->usec[s->n++] = (double) (clock_nsec() - start) / (double) NSEC_PER_USEC;
                if (s->error == 0)
                        s->error = tempfile_close(t);
                (void) usleep(PAUSE_USEC);
        } while (!s->is_over && s->n < SAMPLES_MAX && s->error == 0);
}

static pid_t start_client(const struct bench *b, struct samples *s)
{
        const struct tempfile_options o = our_reserving_options(b->world->memory);
        pid_t pid;

        s->is_over = false;
        s->error = 0;
        s->n = 0;
        pid = fork();
        if (pid != 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setenv("TEMPFILED_SOCKET", b->world->crash.socket, 1) == 0)
                sample(s, &o);
        _exit(0);
}

static void stop_client(pid_t pid, struct samples *s)
{
        s->is_over = true;
        (void) waitpid(pid, NULL, 0);
}

static int kill_tree_owner(const char *dir, pid_t owner)
{
        struct gone gone;
        int r;

        r = gone_watch(&gone, dir, "", 1);
        (void) kill(owner, SIGKILL);
        if (r == 0)
                r = gone_wait(&gone);
        (void) waitpid(owner, NULL, 0);
        return r;
}

/* Percentiles of the two, and how they compare. */
static void show(const struct bench *b, const struct samples *quiet, const struct samples *busy)
{
        static const struct {
                const char *name;
                double at;
        } points[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "max", 1 } };
        char name[64];

        for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
                const double calm = quiet->usec[(size_t) (points[i].at * (quiet->n - 1))];
                const double value = busy->usec[(size_t) (points[i].at * (busy->n - 1))];

                (void) snprintf(name, sizeof(name), "%s, while nothing happens", points[i].name);
                report_value(b->report, ROLE_LIMIT, name, calm, 0);
                (void) snprintf(name, sizeof(name), "%s, while the tree is deleted",
                                points[i].name);
                report_add(b->report, &(struct result) {
                                              .role = ROLE_OURS,
                                              .name = name,
                                              .value = spread_one(value),
                                              .ratio = spread_one(value / calm),
                                      });
        }
}

static int measure(const struct bench *b, const char *dir, struct samples *quiet,
                   struct samples *busy)
{
        pid_t client, owner;
        int r;

        r = trees_start_owner(dir, b->extent->interference, b->world->crash.socket, &owner);
        if (r < 0)
                return r;
        client = start_client(b, quiet);
        (void) usleep(b->extent->pause_msec * 1000);
        stop_client(client, quiet);
        client = start_client(b, busy);
        r = kill_tree_owner(dir, owner);
        stop_client(client, busy);
        if (r == 0)
                r = quiet->error < 0 ? quiet->error : busy->error;
        return r == 0 && (quiet->n == 0 || busy->n == 0) ? -ENODATA : r;
}

void bench_interference(const struct bench *b)
{
        const size_t size = 2 * sizeof(struct samples);
        struct samples *s =
                mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        _cleanup_(freep) char *dir = world_directory(b->world->disk);
        int r = -ENOMEM;

        report_group(b->report, "us", NULL, 0,
                     "A registration beside the deletion of a tree of %u files, on %s",
                     b->extent->interference, machine_file_system(b->world->disk));
        if (dir && s != MAP_FAILED)
                r = measure(b, dir, &s[0], &s[1]);
        if (r == 0) {
                (void) spread_of(s[0].usec, s[0].n); /* sorts them */
                (void) spread_of(s[1].usec, s[1].n);
                show(b, &s[0], &s[1]);
        } else {
                report_add(b->report, &(struct result) { .role = ROLE_OURS,
                                                         .name = "to measure it",
                                                         .error = r });
        }
        if (s != MAP_FAILED)
                (void) munmap(s, size);
}
