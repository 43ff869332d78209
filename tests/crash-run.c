/* SPDX-License-Identifier: MIT */

/*
 * One run of a scenario with one crash; see the header.
 *
 * When the daemon is the victim, the window does not end with the client's last call: the client
 * is killed in it too, and then whoever else owns something ends, so that the daemon's own reaping
 * has its points; it is over when the daemon has had nothing to do for a while.
 */

#include "tests/crash-run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-process.h"

#define QUIET_MSEC 40 /* the daemon has nothing left to do */

bool crash_run_knows(const struct crash_scenario *s, enum crash_victim victim)
{
        if (s->flags & CRASH_FLAG_FAULTY)
                return victim == CRASH_CLIENT;
        if (s->flags & (CRASH_FLAG_START | CRASH_FLAG_SLOW))
                return victim != CRASH_CLIENT;
        return true;
}

/* ---- ends ---- */

static bool has_others(const struct crash_run *run)
{
        return (run->scenario->flags & CRASH_FLAG_OTHERS) && !run->report->others_have_ended;
}

/* Until now all that it held must be there. */
static bool end_client(struct crash_run *run, bool is_killed)
{
        bool ok = crash_world_has_held(run->world, run->report);

        process_client_end(run, is_killed);
        return ok;
}

/*
 * The client has gone: what others hold is looked at, and then they end. Where that takes a daemon
 * (to end a long lease), it has to wait until there is one that is not traced.
 */
static bool end_others(struct crash_run *run, bool is_served)
{
        bool is_leased = run->scenario->flags & CRASH_FLAG_LEASE, ok;

        if (!has_others(run) || (is_leased && !is_served))
                return true;
        ok = is_served ? crash_world_is_clean(run->world, run->scenario, run->report)
                       : crash_world_has_subject(run->world, run->scenario, run->report);
        process_others_end(run);
        if (ok && is_leased)
                ok = crash_world_end_leases(run->world);
        run->report->others_have_ended = 1;
        return ok;
}

/* ---- the client as the victim ---- */

static bool run_client_victim(struct crash_run *run)
{
        struct trace *t = &run->trace;
        enum trace_event e;
        int r;

        trace_init(t, run->signal_fd, TRACE_AT_MARK, run->thread, run->point);
        t->is_verbose = run->is_verbose;
        r = trace_seize(t, run->client);
        if (r < 0)
                return crash_problem(run, "cannot trace the client", r);
        process_client_go(run, 'v');

        e = trace_run(t, -1, CRASH_HANG_MSEC);
        trace_kill(t);
        run->client = 0; /* reaped by the trace */
        run->is_reached = e == TRACE_REACHED;
        if (e == TRACE_QUIET)
                return crash_problem(run, "the client hangs", 0);
        if (e == TRACE_ENDED && t->status != 0)
                return crash_problem(run, "the client ended by itself, and not well", 0);
        return true;
}

/* ---- the daemon as the victim ---- */

/* What goes on while there is no daemon, before a start. */
static bool pass_downtime(struct crash_run *run)
{
        if (run->scenario->downtime) {
                process_client_go(run, 'w');
                if (!process_client_says(run, 'w'))
                        return crash_problem(run, "the downtime failed", run->report->wrong_result);
        }
        if (run->victim == CRASH_BOTH)
                process_client_end(run, true);
        if ((run->scenario->flags & CRASH_FLAG_DAMAGED) && crash_world_mark_damaged(run->world) < 0)
                return crash_problem(run, "cannot mark the database", -errno);
        return true;
}

/* Puts the daemon under trace: as it runs, or from its start. */
static bool trace_daemon(struct crash_run *run)
{
        struct crash_world *w = run->world;
        struct trace *t = &run->trace;
        bool is_start = run->scenario->flags & CRASH_FLAG_START;
        int r;

        trace_init(t, run->signal_fd, is_start ? TRACE_AT_LOADED : TRACE_AT_ONCE, run->thread,
                   run->point);
        t->is_verbose = run->is_verbose;
        if (!is_start) {
                r = trace_seize(t, w->daemon.pid);
                return r == 0 || crash_problem(run, "cannot trace the daemon", r);
        }

        crash_world_kill_daemon(w, false);
        if (!pass_downtime(run))
                return false;
        r = daemon_fixture_spawn(&w->daemon, true);
        if (r == 0)
                r = trace_adopt(t, w->daemon.pid);
        return r == 0 || crash_problem(run, "cannot start the daemon traced", r);
}

/* What is waited for while the daemon runs, and for how long. */
static int next_wake(const struct crash_run *run, int *ret_msec)
{
        *ret_msec = run->phase == CRASH_RESTING ? QUIET_MSEC : CRASH_HANG_MSEC;
        if (run->phase == CRASH_STARTING)
                return run->world->daemon.notify_fd;
        return run->phase == CRASH_CALLING ? run->control : -1;
}

/* It came: the daemon is ready, or the client has said or done its last. */
static bool handle_wake(struct crash_run *run)
{
        if (run->phase == CRASH_STARTING) {
                if (daemon_fixture_is_ready(&run->world->daemon))
                        run->phase = CRASH_RESTING;
                return true;
        }
        run->phase = CRASH_RESTING;
        if (!process_client_says(run, 'd'))
                return crash_problem(run, "the client ended by itself", 0);
        return end_client(run, true);
}

/* The daemon rests. True in *ret_is_over: nobody is left who could give it something to do. */
static bool handle_rest(struct crash_run *run, bool *ret_is_over)
{
        *ret_is_over = false;
        if (run->client > 0)
                return end_client(run, true);
        if (has_others(run) && !run->has_rested) {
                run->has_rested = true;
                return end_others(run, false);
        }
        *ret_is_over = true;
        return true;
}

/*
 * Lets daemon and client run until the point or the end of the window. The client has its say
 * ("d", or its end) in between; then it and the others go, and the daemon reaps.
 */
static bool run_window(struct crash_run *run)
{
        bool is_over = false;
        int wake_fd, msec;

        run->phase = run->scenario->flags & CRASH_FLAG_START ? CRASH_STARTING : CRASH_CALLING;
        while (!is_over) {
                wake_fd = next_wake(run, &msec);
                switch (trace_run(&run->trace, wake_fd, msec)) {
                case TRACE_REACHED:
                        run->is_reached = true;
                        return true;
                case TRACE_ENDED:
                        return crash_problem(run, "the daemon ended by itself", 0);
                case TRACE_WAKE:
                        if (!handle_wake(run))
                                return false;
                        break;
                case TRACE_QUIET:
                        if (wake_fd >= 0)
                                return crash_problem(run, "client or daemon hangs", 0);
                        if (!handle_rest(run, &is_over))
                                return false;
                        break;
                }
        }
        return true;
}

/* The client lived through the crash: it finishes what it was doing, and ends. Half of those that
 * live to their end are killed there, the other half exit. */
static bool finish_client(struct crash_run *run)
{
        if (run->client <= 0)
                return true;
        if (run->scenario->flags & CRASH_FLAG_START)
                process_client_go(run, 'l');
        if (!process_client_says(run, 'd'))
                return crash_problem(run, "the client does not finish", 0);
        return end_client(run, run->point % 2 == 0);
}

static bool run_daemon_victim(struct crash_run *run)
{
        bool ok;

        run->report->is_daemon_mortal = 1;
        ok = trace_daemon(run);
        if (ok) {
                if (!(run->scenario->flags & CRASH_FLAG_START))
                        process_client_go(run, 'l');
                ok = run_window(run);
        }

        /* whatever happened: the tracee must not outlive its trace */
        trace_kill(&run->trace);
        if (run->victim == CRASH_BOTH) {
                process_client_end(run, true);
                if (ok && run->point % 2 == 1) /* the others too, every other time */
                        ok = end_others(run, false);
        }
        crash_world_kill_daemon(run->world, true);
        if (!ok || crash_world_start_daemon(run->world) < 0)
                return false;
        return finish_client(run);
}

/* ---- putting it together ---- */

static bool report_open(struct crash_run *run)
{
        run->report_fd = memfd_create("crash-report", MFD_CLOEXEC);
        if (run->report_fd < 0 || ftruncate(run->report_fd, sizeof(*run->report)) < 0)
                return crash_problem(run, "memfd", -errno);
        run->report = mmap(NULL, sizeof(*run->report), PROT_READ | PROT_WRITE, MAP_SHARED,
                           run->report_fd, 0);
        if (run->report == MAP_FAILED) {
                run->report = NULL;
                return crash_problem(run, "mmap", -errno);
        }
        return true;
}

static bool run_prepare(struct crash_run *run)
{
        int r;

        r = crash_world_prepare(run->world, run->scenario);
        if (r < 0)
                return run->world->problem[0] ? false : crash_problem(run, "the directories", r);
        if (!report_open(run) || !process_owner_start(run) || !process_client_start(run))
                return false;
        if (run->scenario->flags & CRASH_FLAG_RESTART) {
                crash_world_kill_daemon(run->world, false);
                return crash_world_start_daemon(run->world) == 0;
        }
        return true;
}

static void run_done(struct crash_run *run)
{
        process_client_end(run, true);
        process_others_end(run);
        run->control = close_fd(run->control);
        run->owner_pidfd = close_fd(run->owner_pidfd);
        run->report_fd = close_fd(run->report_fd);
        if (run->report)
                (void) munmap(run->report, sizeof(*run->report));
        run->report = NULL;
}

bool crash_run(struct crash_run *run)
{
        bool ok;

        run->is_reached = run->has_rested = false;
        run->report = NULL;
        run->report_fd = run->control = run->owner_pidfd = run->passed_fd = -1;
        run->client = run->owner = 0;
        run->cgroup[0] = '\0';
        trace_init(&run->trace, run->signal_fd, TRACE_AT_ONCE, 0, 0);

        ok = run_prepare(run);
        if (ok)
                ok = run->victim == CRASH_CLIENT ? run_client_victim(run) : run_daemon_victim(run);
        if (ok)
                ok = end_others(run, true);
        if (ok)
                ok = crash_world_is_clean(run->world, run->scenario, run->report);
        if (ok && run->victim != CRASH_CLIENT)
                ok = crash_world_is_database_sound(run->world);
        run_done(run);
        return ok;
}
