/* SPDX-License-Identifier: MIT */

/*
 * The daemon's window; see the header. It does not end with the client's last call: the client is
 * killed in it too, and then whoever else owns something ends, so that the daemon's own reaping has
 * its points; it is over when the daemon has had nothing to do for a while.
 */

#include "tests/crash-window.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-process.h"
#include "tests/crash-run.h"

#define QUIET_MSEC 40 /* the daemon has nothing left to do */

static bool has_others(const struct crash_run *run)
{
        return (run->scenario->flags & CRASH_FLAG_OTHERS) && !run->report->others_have_ended;
}

bool window_end_client(struct crash_run *run, bool is_killed)
{
        bool ok = crash_world_has_held(run->world, run->report);

        process_client_end(run, is_killed);
        return ok;
}

bool window_end_others(struct crash_run *run, bool is_served)
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

/* It is seized before its exec, so that nothing of its start is missed. */
static bool start_traced(struct crash_run *run)
{
        struct daemon_fixture *d = &run->world->daemon;
        int gate[2], r;

        if (pipe2(gate, O_CLOEXEC) < 0)
                return crash_problem(run, "pipe2", -errno);
        r = daemon_fixture_spawn(d, gate[0]);
        if (r == 0)
                r = trace_seize_early(&run->trace, d->pid);
        (void) !write(gate[1], "g", 1);
        (void) close(gate[0]);
        (void) close(gate[1]);
        return r == 0 || crash_problem(run, "cannot start the daemon traced", r);
}

bool window_open(struct crash_run *run)
{
        struct crash_world *w = run->world;
        struct trace *t = &run->trace;
        bool is_start = run->scenario->flags & CRASH_FLAG_START;
        int r;

        trace_init(t, run->signal_fd, is_start ? TRACE_AT_LOADED : TRACE_AT_ONCE, run->thread,
                   run->point);
        t->fault = run->fault;
        t->is_verbose = run->is_verbose;
        if (!is_start) {
                r = trace_seize(t, w->daemon.pid);
                return r == 0 || crash_problem(run, "cannot trace the daemon", r);
        }

        crash_world_kill_daemon(w, false);
        if (!pass_downtime(run))
                return false;
        return start_traced(run);
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
        return window_end_client(run, true);
}

/* The daemon rests. True in *ret_is_over: nobody is left who could give it something to do. */
static bool handle_rest(struct crash_run *run, bool *ret_is_over)
{
        *ret_is_over = false;
        if (run->client > 0)
                return window_end_client(run, true);
        if (has_others(run) && !run->has_rested) {
                run->has_rested = true;
                return window_end_others(run, false);
        }
        *ret_is_over = true;
        return true;
}

bool window_run(struct crash_run *run)
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
