/* SPDX-License-Identifier: MIT */

/*
 * Which points of a group are tried, and what is told of them; see the header. A client's points are
 * always all tried. With $TEMPFILED_TEST_FULL every point of a daemon is too, otherwise every n-th,
 * so that no group takes more than some seconds; and each call fails with one of the errors that it
 * may fail with, instead of with all of them.
 *
 * The daemon's threads are not perfectly regular, so a thread's points end where one is not reached
 * that was not reached when they were counted either.
 */

#include "tests/crash-group.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-process.h"

#define QUICK_POINTS 10U /* of a daemon, in a group */
#define QUICK_OTHERS 5U  /* the same with clients of another user: credentials are what differs */
#define QUICK_SLOW 3U    /* of a scenario that waits for time */
#define POINTS_OF_A_WORLD 50U
#define FAILURES_MAX 5U /* of a group, then it is given up */
#define SELFTEST_MSEC 200
#define LOG_LINES 6U

volatile sig_atomic_t crash_is_interrupted;

const char *const crash_victims[CRASH_VICTIMS] = { "client", "daemon", "both" };

/* A call that can fail, as it was seen when none did. */
struct fault_point {
        unsigned int thread;
        uint64_t stop;
        unsigned int mask;
};

struct fault_list {
        struct fault_point *points;
        size_t n, size;
};

struct group {
        const struct crash_options *options;
        struct crash_run run;
        unsigned int n_threads;
        uint64_t counted[TRACE_THREADS_MAX]; /* stops of each thread when nobody was killed */
        uint64_t total;
        unsigned int every;
        unsigned int tried;
        unsigned int failures;
        struct fault_list faults;
        enum crash_error error; /* that calls fail with now */
};

/* The command that does exactly this again. */
static void tell_command(const struct group *g)
{
        const struct crash_run *run = &g->run;

        printf("# repeat: TEMPFILED=%s %s --scenario %s --victim %s",
               getenv("TEMPFILED") ?: "tempfiled", g->options->program, run->scenario->name,
               crash_victims[run->victim]);
        if (geteuid() == 0)
                printf(" --uid %u", run->world->uid);
        if (run->fault.error != 0)
                printf(" --error %s", crash_error_name(g->error));
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
                printf("# thread %u, stop %" PRIu64 " (%s%s%s): %s\n", run->thread, run->point,
                       run->trace.where, run->fault.error != 0 ? ", which fails with " : "",
                       run->fault.error != 0 ? crash_error_name(g->error) : "",
                       run->world->problem);
        else
                printf("# with nothing done to it: %s\n", run->world->problem);
        tell_command(g);
        tell_log(run->world);
        if (crash_world_renew(run->world) < 0)
                printf("# %s\n", run->world->problem);
}

static bool is_given_up(const struct group *g)
{
        return crash_is_interrupted || g->failures >= FAILURES_MAX;
}

/* Else each point leaves a little (a tombstone lives for a minute, and no daemon here does), every
 * start has more to do than the last one, and the end is never reached. */
static void renew_sometimes(struct group *g)
{
        if (g->tried % POINTS_OF_A_WORLD != 0 || crash_world_renew(g->run.world) == 0)
                return;
        printf("# %s\n", g->run.world->problem);
        g->failures++;
}

/* One point. True: it was reached. */
static bool try_point(struct group *g, unsigned int thread, uint64_t point)
{
        g->run.thread = thread;
        g->run.point = point;
        if (!crash_run(&g->run))
                tell_failure(g);
        else if (g->run.is_reached) {
                g->tried++;
                renew_sometimes(g);
        }
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
        const struct crash_options *o = g->options;
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

static void try_kills(struct group *g)
{
        const struct crash_options *o = g->options;

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

/* ---- calls that fail ---- */

static void note_fault(unsigned int thread, uint64_t stop, unsigned int mask, void *userdata)
{
        struct fault_list *l = userdata;
        size_t size = l->size == 0 ? 256 : l->size * 2;
        struct fault_point *grown;

        if (mask == 0)
                return;
        if (l->n == l->size) {
                grown = reallocarray(l->points, size, sizeof(*grown));
                if (!grown)
                        return;
                l->points = grown;
                l->size = size;
        }
        l->points[l->n++] = (struct fault_point) { thread, stop, mask };
}

/* The whole scenario once, to see which calls there are. */
static void list_faults(struct group *g)
{
        g->run.fault = (struct trace_fault) { .note = note_fault,
                                              .userdata = &g->faults,
                                              .is_deaf = g->run.victim != CRASH_CLIENT };
        (void) try_point(g, 0, 0);
        g->total = g->faults.n;
        g->every = 1;
        if (g->options->every > 0)
                g->every = g->options->every;
        else if (g->run.victim != CRASH_CLIENT && !getenv("TEMPFILED_TEST_FULL"))
                g->every = (unsigned int) (g->total / quick_points(g)) + 1;
}

static void try_error(struct group *g, unsigned int thread, uint64_t stop, enum crash_error e)
{
        g->error = e;
        g->run.fault = (struct trace_fault) {
                .error = crash_error_number(e),
                .bit = 1U << e,
                .is_deaf = g->run.victim != CRASH_CLIENT,
                .is_lasting = e == CRASH_EIO_ON,
        };
        (void) try_point(g, thread, stop);
}

/* A daemon whose disk is gone for good could not keep any promise. */
static unsigned int errors_of(enum crash_victim victim)
{
        return victim == CRASH_CLIENT ? ~0U : ~(1U << CRASH_EIO_ON);
}

/* What to make this call fail with: the chosen one, all, or in the quick form one in turn. */
static unsigned int choose_errors(const struct group *g, size_t i)
{
        const unsigned int mask = g->faults.points[i].mask & errors_of(g->run.victim);
        unsigned int e = (unsigned int) (i / g->every + g->options->seed) % CRASH_ERRORS;

        if (g->options->error != CRASH_ERRORS)
                return mask & 1U << g->options->error;
        if (getenv("TEMPFILED_TEST_FULL"))
                return mask;
        while (mask != 0 && !(mask & 1U << e))
                e = (e + 1) % CRASH_ERRORS;
        return mask & 1U << e;
}

static void try_errors(struct group *g)
{
        const struct crash_options *o = g->options;
        unsigned int mask;

        if (o->point > 0) {
                g->every = 1;
                try_error(g, o->thread > 0 ? o->thread : 1, o->point, o->error);
                return;
        }
        list_faults(g);
        for (size_t i = o->seed % g->every; i < g->faults.n && !is_given_up(g); i += g->every) {
                const struct fault_point *p = &g->faults.points[i];

                mask = o->thread == 0 || o->thread == p->thread ? choose_errors(g, i) : 0;
                for (enum crash_error e = 0; e < CRASH_ERRORS && !is_given_up(g); e++)
                        if (mask & 1U << e)
                                try_error(g, p->thread, p->stop, e);
        }
        free(g->faults.points);
}

/* ---- together ---- */

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
        bool has_errors = g->options->has_errors;

        printf("%s %u - %s, victim %s", g->failures > 0 ? "not ok" : "ok", number,
               run->scenario->name, crash_victims[run->victim]);
        if (run->world->uid != geteuid())
                printf(", clients of user %u", run->world->uid);
        printf(": %u %s tried", g->tried, has_errors ? "errors" : "points");
        if (g->every > 1)
                printf(", every %uth of %" PRIu64 "%s", g->every, g->total,
                       has_errors ? " calls" : "");
        if (run->world->n_ended > 0)
                printf(", %u ended the daemon", run->world->n_ended);
        if (run->world->n_restarted > 0)
                printf(", %u wanted a restart", run->world->n_restarted);
        printf(", %u threads\n", g->n_threads);
        run->world->n_ended = run->world->n_restarted = 0;
}

static void try_group(struct group *g)
{
        if (g->run.scenario->flags & CRASH_FLAG_FAULTY)
                try_faulty(g);
        else if (g->options->has_errors)
                try_errors(g);
        else
                try_kills(g);
}

bool crash_group_run(const struct crash_options *o, uid_t uid, int signal_fd,
                     const struct crash_scenario *s, enum crash_victim victim, unsigned int number,
                     struct crash_totals *totals)
{
        const char *obstacle = crash_process_obstacle(s);
        struct crash_world w;
        struct group g = {
                .options = o,
                .run = {
                        .world = &w,
                        .scenario = s,
                        .victim = victim,
                        .signal_fd = signal_fd,
                        .is_verbose = o->is_verbose,
                },
        };

        if (obstacle) {
                printf("ok %u - %s, victim %s # SKIP %s\n", number, s->name, crash_victims[victim],
                       obstacle);
                return true;
        }

        /* one of its own: what went before changes nothing */
        if (crash_world_open(&w, !(s->flags & CRASH_FLAG_FAULTY), uid) < 0) {
                g.failures++;
                printf("# %s\n", w.problem);
        } else {
                try_group(&g);
        }
        tell_group(&g, number);
        crash_world_close(&w);
        *(o->has_errors ? &totals->errors : &totals->points) += g.tried;
        (void) fflush(stdout);
        return g.failures == 0;
}
