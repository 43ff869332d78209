/* SPDX-License-Identifier: MIT */

/*
 * The crash-point harness: kills a victim with SIGKILL at its k-th system-call stop, for every k,
 * and looks whether the promise held. This file chooses the points and tells what came of them;
 * crash-run.c runs one, crash-scenarios.c says what is done, crash-check.c what must be true.
 *
 * Entry and exit stops both count, and every thread of the victim has its turn. With
 * $TEMPFILED_TEST_FULL every point of a daemon is tried, otherwise every n-th, so that no group
 * takes more than some seconds; a client's points are always all tried. The daemon's threads are
 * not perfectly regular, so a thread's points end where one is not reached that was not reached
 * when they were counted either.
 */

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-process.h"
#include "tests/crash-run.h"

#define QUICK_POINTS 10U /* of a daemon, in a group */
#define QUICK_OTHERS 5U  /* the same with clients of another user: credentials are what differs */
#define QUICK_SLOW 3U    /* of a scenario that waits for time */
#define OTHER_UID 65534U /* as root: whose clients there are as well */
#define FAILURES_MAX 5U  /* of a group, then it is given up */
#define SELFTEST_MSEC 200
#define LOG_LINES 6U

struct options {
        const char *program;
        const char *scenario; /* NULL: all */
        int victim;           /* -1: all */
        unsigned int thread;  /* 0: all */
        uint64_t point;       /* 0: all */
        unsigned int every;   /* 0: as it fits */
        unsigned int seed;
        uid_t uid; /* of the clients */
        bool has_uid;
        bool is_list;
        bool is_verbose;
};

static uint64_t total_tried;

/* Asked to end: the directory and the daemon are to be cleared away first. */
static volatile sig_atomic_t is_interrupted;

static const char *const victims[CRASH_VICTIMS] = { "client", "daemon", "both" };

static const char help[] =
        "Usage: crashpoint [OPTION...]\n"
        "Kills programs that use tempfiled, or tempfiled, at every system call.\n"
        "\n"
        "  --list            list the scenarios\n"
        "  --scenario NAME   this one only\n"
        "  --victim WHO      client, daemon (started again), or both (daemon, client at once)\n"
        "  --thread N        the victim's N-th thread only\n"
        "  --point N         its N-th stop only\n"
        "  --every N         every N-th point only\n"
        "  --seed N          which ones these are; else others every day\n"
        "  --uid N           as root: the clients are this user's; else once 0's, once 65534's\n"
        "  --verbose         tell every stop\n"
        "\n"
        "The daemon is $TEMPFILED. $TEMPFILED_TEST_FULL: every point of it.\n";

static bool parse_number(const char *text, uint64_t *ret)
{
        char *end;

        *ret = strtoull(text, &end, 10);
        return *text != '\0' && *end == '\0';
}

static int parse_victim(const char *name)
{
        for (int i = 0; i < CRASH_VICTIMS; i++)
                if (streq(victims[i], name))
                        return i;
        return -1;
}

static bool parse_option(struct options *o, int opt)
{
        uint64_t n = 0;

        if (strchr("tpesu", opt) && !parse_number(optarg, &n))
                return false;
        switch (opt) {
        case 'l':
                o->is_list = true;
                return true;
        case 'V':
                o->is_verbose = true;
                return true;
        case 'S':
                o->scenario = optarg;
                return crash_scenario_find(optarg);
        case 'v':
                o->victim = parse_victim(optarg);
                return o->victim >= 0;
        case 't':
                o->thread = (unsigned int) n;
                return true;
        case 'p':
                o->point = n;
                return true;
        case 'e':
                o->every = (unsigned int) n;
                return true;
        case 's':
                o->seed = (unsigned int) n;
                return true;
        case 'u':
                o->uid = (uid_t) n;
                o->has_uid = true;
                return geteuid() == 0;
        default:
                return false;
        }
}

static bool parse(int argc, char *argv[], struct options *o)
{
        static const struct option longs[] = {
                { "list", no_argument, NULL, 'l' },
                { "scenario", required_argument, NULL, 'S' },
                { "victim", required_argument, NULL, 'v' },
                { "thread", required_argument, NULL, 't' },
                { "point", required_argument, NULL, 'p' },
                { "every", required_argument, NULL, 'e' },
                { "seed", required_argument, NULL, 's' },
                { "uid", required_argument, NULL, 'u' },
                { "verbose", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { NULL, 0, NULL, 0 },
        };
        int opt;

        while ((opt = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
                if (opt == 'h') {
                        (void) fputs(help, stdout);
                        exit(EXIT_SUCCESS);
                }
                if (opt == '?' || !parse_option(o, opt)) {
                        (void) fprintf(stderr, "Wrong option; see crashpoint --help.\n");
                        return false;
                }
        }
        return optind == argc;
}

static void list_scenarios(void)
{
        for (const struct crash_scenario *s = NULL; (s = crash_scenario_next(s));)
                printf("%-18s %s\n", s->name, s->about);
}

static void on_signal(int sig)
{
        is_interrupted = 1;
}

static void catch_signals(void)
{
        struct sigaction sa = { .sa_handler = on_signal };

        (void) sigaction(SIGINT, &sa, NULL);
        (void) sigaction(SIGTERM, &sa, NULL);
        (void) sigaction(SIGHUP, &sa, NULL);
}

/* ---- a group: one scenario with one victim ---- */

struct group {
        const struct options *options;
        struct crash_run run;
        unsigned int n_threads;
        uint64_t counted[TRACE_THREADS_MAX]; /* stops of each thread when nobody was killed */
        uint64_t total;
        unsigned int every;
        unsigned int tried;
        unsigned int failures;
};

/* The command that does exactly this again. */
static void tell_command(const struct group *g)
{
        const struct crash_run *run = &g->run;

        printf("# repeat: TEMPFILED=%s %s --scenario %s --victim %s",
               getenv("TEMPFILED") ?: "tempfiled", g->options->program, run->scenario->name,
               victims[run->victim]);
        if (geteuid() == 0)
                printf(" --uid %u", run->world->uid);
        if (run->point > 0)
                printf(" --thread %u --point %" PRIu64, run->thread, run->point);
        printf("\n");
}

/* The last lines that the daemon wrote. */
static void tell_log(const struct crash_world *w)
{
        char lines[LOG_LINES][256] = { { 0 } };
        unsigned int n = 0;
        FILE *f;

        f = fopen(w->daemon.log, "re");
        if (!f)
                return;
        while (fgets(lines[n % LOG_LINES], sizeof(lines[0]), f)) {
                lines[n % LOG_LINES][strcspn(lines[n % LOG_LINES], "\n")] = '\0';
                n++;
        }
        for (unsigned int i = n < LOG_LINES ? 0 : n - LOG_LINES; i < n; i++)
                printf("#   log: %s\n", lines[i % LOG_LINES]);
        (void) fclose(f);
}

static void tell_failure(struct group *g)
{
        const struct crash_run *run = &g->run;

        g->failures++;
        if (run->is_reached)
                printf("# thread %u, stop %" PRIu64 " (%s): %s\n", run->thread, run->point,
                       run->trace.where, run->world->problem);
        else
                printf("# with nobody killed: %s\n", run->world->problem);
        tell_command(g);
        tell_log(run->world);
        if (crash_world_renew(run->world) < 0)
                printf("# %s\n", run->world->problem);
}

static bool is_given_up(const struct group *g)
{
        return is_interrupted || g->failures >= FAILURES_MAX;
}

/* One point. True: it was reached. */
static bool try_point(struct group *g, unsigned int thread, uint64_t point)
{
        g->run.thread = thread;
        g->run.point = point;
        if (!crash_run(&g->run))
                tell_failure(g);
        else if (g->run.is_reached)
                g->tried++;
        g->n_threads = MAX(g->n_threads, g->run.trace.n_threads);
        return g->run.is_reached;
}

static unsigned int quick_points(const struct group *g)
{
        if (g->run.scenario->flags & CRASH_FLAG_SLOW)
                return QUICK_SLOW;
        return g->run.world->uid == geteuid() ? QUICK_POINTS : QUICK_OTHERS;
}

/* The whole scenario once with nobody killed in it: how many points are there? */
static void count_points(struct group *g)
{
        const struct options *o = g->options;
        const unsigned int quick = quick_points(g);

        (void) try_point(g, 0, 0);
        g->total = 0;
        for (unsigned int i = 0; i < g->run.trace.n_threads; i++) {
                g->counted[i] = g->run.trace.threads[i].stops;
                g->total += g->counted[i];
        }

        g->every = 1;
        if (o->every > 0)
                g->every = o->every;
        else if (g->run.victim != CRASH_CLIENT && !getenv("TEMPFILED_TEST_FULL"))
                g->every = (unsigned int) (g->total / quick) + 1;
}

static void try_thread(struct group *g, unsigned int thread)
{
        for (uint64_t k = 1 + g->options->seed % g->every; !is_given_up(g); k += g->every) {
                bool is_reached = try_point(g, thread, k);

                if (!is_reached && k >= g->counted[thread - 1])
                        break;
        }
}

static void try_all(struct group *g)
{
        const struct options *o = g->options;

        if (o->point > 0) {
                g->every = 1;
                (void) try_point(g, o->thread > 0 ? o->thread : 1, o->point);
                return;
        }
        count_points(g);
        for (unsigned int t = 1; t <= g->n_threads && !is_given_up(g); t++)
                if (o->thread == 0 || o->thread == t)
                        try_thread(g, t);
        if (!crash_world_is_database_sound(g->run.world))
                tell_failure(g);
}

/* The harness must be able to fail: a client that breaks the promise has to be noticed. */
static void try_faulty(struct group *g)
{
        struct crash_world *w = g->run.world;

        w->wait_msec = SELFTEST_MSEC;
        if (crash_run(&g->run)) {
                g->failures++;
                printf("# nothing was noticed\n");
        } else {
                printf("# noticed: %s\n", w->problem);
        }
        (void) crash_world_renew(w);
}

static void tell_group(const struct group *g, unsigned int number)
{
        const struct crash_run *run = &g->run;

        printf("%s %u - %s, victim %s", g->failures > 0 ? "not ok" : "ok", number,
               run->scenario->name, victims[run->victim]);
        if (run->world->uid != geteuid())
                printf(", clients of user %u", run->world->uid);
        printf(": %u points tried", g->tried);
        if (g->every > 1)
                printf(", every %uth of %" PRIu64, g->every, g->total);
        printf(", %u threads\n", g->n_threads);
}

static bool run_group(const struct options *o, struct crash_world *w, int signal_fd,
                      const struct crash_scenario *s, enum crash_victim victim, unsigned int number)
{
        const char *obstacle = crash_process_obstacle(s);
        struct group g = { .options = o };

        if (obstacle) {
                printf("ok %u - %s, victim %s # SKIP %s\n", number, s->name, victims[victim],
                       obstacle);
                return true;
        }
        g.run = (struct crash_run) {
                .world = w,
                .scenario = s,
                .victim = victim,
                .signal_fd = signal_fd,
                .is_verbose = o->is_verbose,
        };
        if (s->flags & CRASH_FLAG_FAULTY)
                try_faulty(&g);
        else
                try_all(&g);

        tell_group(&g, number);
        total_tried += g.tried;
        (void) fflush(stdout);
        return g.failures == 0;
}

/* A world to run groups in: of the self-test, or of one user's clients. */
struct round {
        bool is_selftest;
        uid_t uid;
};

static bool is_wanted(const struct options *o, const struct round *r,
                      const struct crash_scenario *s, enum crash_victim victim)
{
        bool is_faulty = s->flags & CRASH_FLAG_FAULTY;

        return is_faulty == r->is_selftest && crash_run_knows(s, victim) &&
               (!o->scenario || streq(o->scenario, s->name)) &&
               (o->victim < 0 || o->victim == (int) victim);
}

static unsigned int count_groups(const struct options *o, const struct round *r)
{
        unsigned int n = 0;

        for (const struct crash_scenario *s = NULL; (s = crash_scenario_next(s));)
                for (int v = 0; v < CRASH_VICTIMS; v++)
                        n += is_wanted(o, r, s, v);
        return n;
}

/* All wanted groups. Returns how many failed. */
static unsigned int run_groups(const struct options *o, const struct round *r, int signal_fd,
                               unsigned int *number)
{
        unsigned int failures = 0;
        struct crash_world w;

        if (count_groups(o, r) == 0)
                return 0;
        if (crash_world_open(&w, !r->is_selftest, r->uid) < 0) {
                printf("Bail out! %s\n", w.problem);
                crash_world_close(&w);
                exit(EXIT_FAILURE);
        }
        for (const struct crash_scenario *s = NULL; (s = crash_scenario_next(s));)
                for (int v = 0; v < CRASH_VICTIMS; v++)
                        if (!is_interrupted && is_wanted(o, r, s, v))
                                failures += !run_group(o, &w, signal_fd, s, v, ++*number);
        crash_world_close(&w);
        return failures;
}

/* Returns how many groups failed. */
static unsigned int run_rounds(const struct options *o, int signal_fd)
{
        const struct round rounds[] = { { true, o->uid }, { false, o->uid }, { false, OTHER_UID } };
        const size_t n = geteuid() == 0 && !o->has_uid ? 3 : 2;
        unsigned int plan = 0, number = 0, failures = 0;

        for (size_t i = 0; i < n; i++)
                plan += count_groups(o, &rounds[i]);
        printf("1..%u\n", plan);
        for (size_t i = 0; i < n; i++)
                failures += run_groups(o, &rounds[i], signal_fd, &number);
        printf("# %" PRIu64 " points tried in all\n", total_tried);
        return failures;
}

int main(int argc, char *argv[])
{
        struct options o = {
                .program = argv[0],
                .victim = -1,
                .uid = geteuid(),
                .seed = (unsigned int) (time(NULL) / 86400), /* other points every day */
        };
        unsigned int failures;
        int signal_fd, r;

        if (argc > 1 && streq(argv[1], CRASH_PROCESS_CLIENT))
                return crash_process_main(argc, argv);
        if (!parse(argc, argv, &o))
                return 2;
        if (o.is_list) {
                list_scenarios();
                return EXIT_SUCCESS;
        }

        /* LeakSanitizer traces its own process at exit: it can't in one that is traced already */
        (void) setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
        catch_signals();
        signal_fd = trace_setup();
        if (signal_fd < 0) {
                printf("Bail out! signalfd\n");
                return EXIT_FAILURE;
        }
        r = trace_probe();
        if (r < 0) {
                printf("1..0 # SKIP processes can't be traced here: %s\n", strerror(-r));
                return EXIT_SUCCESS;
        }
        failures = run_rounds(&o, signal_fd);
        if (is_interrupted)
                printf("Bail out! Interrupted.\n");
        return failures > 0 || is_interrupted ? EXIT_FAILURE : EXIT_SUCCESS;
}
