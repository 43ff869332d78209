/* SPDX-License-Identifier: MIT */

/*
 * One run of a scenario with one crash, or one failing call; see the header. A call that fails ends
 * nobody: the victim runs on, without a tracer, and at the end the same must be true as after a
 * crash. What has failed once is then tried again on request, rather than after the daemon's pause.
 */

#include "tests/crash-run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-process.h"
#include "tests/crash-window.h"

bool crash_run_knows(const struct crash_scenario *s, enum crash_victim victim)
{
        if (s->flags & CRASH_FLAG_FAULTY)
                return victim == CRASH_CLIENT;
        if (s->flags & (CRASH_FLAG_START | CRASH_FLAG_SLOW))
                return victim != CRASH_CLIENT;
        return true;
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
        return window_end_client(run, run->point % 2 == 0);
}

static bool run_daemon_victim(struct crash_run *run)
{
        bool ok;

        run->report->is_daemon_mortal = 1;
        ok = window_open(run);
        if (ok) {
                if (!(run->scenario->flags & CRASH_FLAG_START))
                        process_client_go(run, 'l');
                ok = window_run(run);
        }

        /* whatever happened: the tracee must not outlive its trace */
        trace_kill(&run->trace);
        if (run->victim == CRASH_BOTH) {
                process_client_end(run, true);
                if (ok && run->point % 2 == 1) /* the others too, every other time */
                        ok = window_end_others(run, false);
        }
        crash_world_kill_daemon(run->world, true);
        if (!ok || crash_world_start_daemon(run->world) < 0)
                return false;
        return finish_client(run);
}

/* ---- calls that fail ---- */

static bool fault_client(struct crash_run *run)
{
        struct trace *t = &run->trace;
        enum trace_event e;
        int r;

        trace_init(t, run->signal_fd, TRACE_AT_MARK, run->thread, run->point);
        t->fault = run->fault;
        t->is_verbose = run->is_verbose;
        r = trace_seize(t, run->client);
        if (r < 0)
                return crash_problem(run, "cannot trace the client", r);
        process_client_go(run, 'l');

        e = trace_run(t, run->control, CRASH_HANG_MSEC);
        run->is_reached = t->n_failed > 0;
        if (e == TRACE_ENDED) {
                run->client = 0;
                return crash_problem(run, "the client ended by itself", 0);
        }
        trace_release(t);
        if (e == TRACE_QUIET || !process_client_says(run, 'd'))
                return crash_problem(run, "the client hangs, or has ended", 0);
        return window_end_client(run, run->point % 2 == 0);
}

/* It may have told that it is ready, and end for what its database says then. */
static bool connect_or_revive(struct crash_world *w)
{
        int r = 0;

        for (unsigned int i = 0; i < CRASH_HANG_MSEC && r == 0; i++) {
                if (crash_world_connect(w) == 0) {
                        w->problem[0] = '\0';
                        return true;
                }
                r = crash_world_revive(w);
                (void) poll(NULL, 0, 1);
        }
        return r > 0;
}

/* The daemon runs on by itself from here, or has ended for a reason that it has told. */
static bool resume_daemon(struct crash_run *run)
{
        struct crash_world *w = run->world;
        int r;

        if (run->phase != CRASH_STARTING)
                return w->admin || connect_or_revive(w);
        r = daemon_fixture_wait_ready(&w->daemon);
        if (r == -ECHILD)
                return crash_world_revive(w) > 0;
        if (r < 0)
                return crash_problem(run, "the daemon does not get ready", r);
        return connect_or_revive(w);
}

static bool fault_daemon(struct crash_run *run)
{
        bool ok;

        ok = window_open(run);
        if (ok) {
                if (!(run->scenario->flags & CRASH_FLAG_START))
                        process_client_go(run, 'l');
                ok = window_run(run);
        }
        run->is_reached = run->trace.n_failed > 0;
        trace_release(&run->trace);
        return ok && resume_daemon(run) && finish_client(run);
}

/* What has failed for one must not fail for the next. */
static bool is_serving(struct crash_run *run)
{
        const struct crash_scenario *s = run->scenario;
        bool ok;

        memset(run->report, 0, sizeof(*run->report));
        process_others_end(run);
        run->control = close_fd(run->control);
        run->scenario = crash_scenario_find("named");
        ok = crash_world_prepare(run->world, run->scenario) == 0 && process_client_start(run);
        if (ok) {
                process_client_go(run, 'l');
                ok = process_client_says(run, 'd') ||
                     crash_problem(run, "the next client does not finish", 0);
        }
        process_client_end(run, false);
        ok = ok && crash_world_is_clean(run->world, run->scenario, run->report);
        run->scenario = s;
        return ok;
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
        run->world->is_helped = run->fault.error != 0;
        run->report->error = run->fault.error;
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
        bool is_fault = run->fault.error != 0 || run->fault.note, ok;

        run->is_reached = run->has_rested = false;
        run->report = NULL;
        run->report_fd = run->control = run->owner_pidfd = run->passed_fd = -1;
        run->client = run->owner = 0;
        run->cgroup[0] = '\0';
        trace_init(&run->trace, run->signal_fd, TRACE_AT_ONCE, 0, 0);

        ok = run_prepare(run);
        if (ok && is_fault)
                ok = run->victim == CRASH_CLIENT ? fault_client(run) : fault_daemon(run);
        else if (ok)
                ok = run->victim == CRASH_CLIENT ? run_client_victim(run) : run_daemon_victim(run);
        if (ok)
                ok = window_end_others(run, true);
        if (ok)
                ok = crash_world_is_clean(run->world, run->scenario, run->report);
        if (ok && run->victim != CRASH_CLIENT)
                ok = crash_world_is_database_sound(run->world);
        run->world->is_helped = false;
        if (ok && run->fault.error != 0)
                ok = is_serving(run);
        run_done(run);
        return ok;
}
