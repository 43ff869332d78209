/* SPDX-License-Identifier: MIT */

/*
 * How fast tempfiled is, beside what the machine can do and what others need, measured in one run.
 * Nothing in it passes or fails; it ends with an error only when something could not be measured.
 */

#include "tests/bench/bench.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/bench/machine.h"
#include "tests/bench/works.h"

#define DESCRIPTORS 65536U

static const struct extent extents[] = {
        { .name = "full",
          .rounds = 61,
          .files = 400,
          .crowd_rounds = 15,
          .crowd_files = 4000,
          .ends = 11,
          .trees = 3,
          .clients_max = 64,
          .few = 1000,
          .many = 100000,
          .owners = 1000,
          .entries_max = 1000000,
          .owners_max = 10000,
          .leases_max = 100000,
          .interference = 1000000,
          .pause_msec = 3000 },
        { .name = "quick",
          .rounds = 31,
          .files = 200,
          .crowd_rounds = 7,
          .crowd_files = 1000,
          .ends = 7,
          .trees = 3,
          .clients_max = 16,
          .few = 1000,
          .many = 10000,
          .owners = 200,
          .entries_max = 100000,
          .owners_max = 1000,
          .leases_max = 10000,
          .interference = 100000,
          .pause_msec = 1000 },
        { .name = "shortest",
          .rounds = 1,
          .files = 50,
          .crowd_rounds = 1,
          .crowd_files = 50,
          .ends = 1,
          .trees = 1,
          .clients_max = 4,
          .few = 20,
          .many = 200,
          .owners = 10,
          .entries_max = 100,
          .owners_max = 10,
          .leases_max = 10,
          .interference = 1000,
          .pause_msec = 100 },
};

static const struct section {
        const char *name;
        void (*run)(const struct bench *b);
} sections[] = {
        { "create", bench_create }, { "throughput", bench_throughput },     { "ends", bench_ends },
        { "scale", bench_scale },   { "interference", bench_interference },
};

struct arguments {
        const struct extent *extent;
        const char *memory, *disk, *only, *keep;
        bool is_json, is_help;
};

static void usage(FILE *f)
{
        (void) fputs(
                "Usage: bench [OPTION]...\n"
                "How fast tempfiled is, beside what the machine can do and what others need.\n"
                "\n"
                "  --extent=HOW     full (7 minutes), quick (2 to 3 minutes), shortest (seconds)\n"
                "  --only=SECTION   create, throughput, ends, scale or interference\n"
                "  --json           print JSON, not a table\n"
                "  --keep=DIR       write bench.txt, bench.json and bench.points there\n"
                "  --memory=DIR     make things in memory there [looked for: /dev/shm ...]\n"
                "  --disk=DIR       and on a disk there [looked for: . ...]\n"
                "  --help\n"
                "\n"
                "The daemon is $TEMPFILED, else tempfiled in $PATH.\n",
                f);
}

static const struct extent *find_extent(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(extents); i++)
                if (streq(extents[i].name, name))
                        return &extents[i];
        return NULL;
}

static bool is_section(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
                if (streq(sections[i].name, name))
                        return true;
        return false;
}

/* false: it was told what is wrong. */
static bool read_arguments(int argc, char **argv, struct arguments *a)
{
        static const struct option options[] = {
                { "extent", required_argument, NULL, 'e' },
                { "only", required_argument, NULL, 'o' },
                { "json", no_argument, NULL, 'j' },
                { "keep", required_argument, NULL, 'k' },
                { "memory", required_argument, NULL, 'm' },
                { "disk", required_argument, NULL, 'd' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        bool is_good = true;
        int c;

        *a = (struct arguments) { .extent = &extents[0] };
        while (is_good && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                if (c == 'e')
                        is_good = (a->extent = find_extent(optarg)) != NULL;
                else if (c == 'o')
                        is_good = is_section(a->only = optarg);
                else if (c == 'j')
                        a->is_json = true;
                else if (c == 'k')
                        a->keep = optarg;
                else if (c == 'm')
                        a->memory = optarg;
                else if (c == 'd')
                        a->disk = optarg;
                else if (c == 'h')
                        a->is_help = true;
                else
                        is_good = false;
        }
        if (!is_good || optind < argc) {
                usage(stderr);
                return false;
        }
        return true;
}

static int keep_one(const struct report *r, const char *dir, const char *name,
                    void (*write_out)(const struct report *r, FILE *f))
{
        char path[PATH_MAX];
        FILE *f;

        if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        f = fopen(path, "we");
        if (!f)
                return -errno;
        write_out(r, f);
        return fclose(f) != 0 ? -errno : 0;
}

static int keep(const struct report *r, const char *dir)
{
        int q;

        q = keep_one(r, dir, "bench.txt", report_table);
        if (q == 0)
                q = keep_one(r, dir, "bench.json", report_json);
        if (q == 0)
                q = keep_one(r, dir, "bench.points", report_points);
        if (q < 0)
                (void) fprintf(stderr, "bench: cannot write to %s: %s\n", dir, strerror(-q));
        return q;
}

static void run_sections(const struct bench *b, const struct arguments *a)
{
        if (b->report->table)
                machine_show(b->report->table);
        for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
                if (!a->only || streq(a->only, sections[i].name))
                        sections[i].run(b);
        if (a->is_json)
                report_json(b->report, stdout);
        else
                report_aims(b->report, stdout);
}

/* In a process of its own, which takes the daemons and all others along when it ends. */
static int run(const struct arguments *a, struct world *w)
{
        struct report report = { .table = a->is_json ? NULL : stdout };
        int r;

        (void) world_raise_descriptors(DESCRIPTORS); /* for the daemons, too */
        r = world_start_daemons(w);
        if (r < 0) {
                (void) fprintf(stderr, "bench: cannot start a daemon: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        run_sections(&(struct bench) { w, &report, a->extent, peers_have_python() }, a);
        world_stop_daemons(w);
        r = a->keep ? keep(&report, a->keep) : 0;
        if (report.is_failed)
                (void) fprintf(stderr, "bench: something could not be measured\n");
        r = r < 0 || report.is_failed ? EXIT_FAILURE : EXIT_SUCCESS;
        report_done(&report);
        return r;
}

/* Until it ends, or a signal ends it. */
static int await(pid_t pid, const sigset_t *signals)
{
        int sig, status = 0;

        do
                (void) sigwait(signals, &sig);
        while (sig == SIGCHLD && waitpid(pid, &status, WNOHANG) == 0);
        if (sig == SIGCHLD)
                return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        return 128 + sig;
}

/* The directories are removed by one who lives on, whatever happens to the other. */
static int run_and_clear(const struct arguments *a, struct world *w)
{
        sigset_t signals, before;
        pid_t pid;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGCHLD);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &signals, &before);
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) sigprocmask(SIG_SETMASK, &before, NULL);
                exit(run(a, w));
        }
        return pid < 0 ? EXIT_FAILURE : await(pid, &signals);
}

int main(int argc, char **argv)
{
        struct arguments a;
        struct world w;
        int r;

        if (!read_arguments(argc, argv, &a))
                return 2;
        if (a.is_help) {
                usage(stdout);
                return 0;
        }
        r = world_open(&w, a.memory, a.disk);
        if (r < 0) {
                (void) fprintf(stderr, "bench: cannot make a directory: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        r = run_and_clear(&a, &w);
        world_close(&w);
        return r;
}
