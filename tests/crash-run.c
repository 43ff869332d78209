/* SPDX-License-Identifier: MIT */

/*
 * One run of a scenario with one crash; see the header.
 *
 * The client is this program executed again, so that nothing is inherited that a program would
 * not have. When the daemon is the victim, the window does not end with the client's last call:
 * the client is killed in it too, so that the daemon's own reaping has its points; it is over
 * when the daemon has had nothing to do for a while.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-run.h"

#define HANG_MSEC 20000 /* nothing here takes that long */
#define QUIET_MSEC 40   /* the daemon has nothing left to do */

static bool problem(struct crash_run *run, const char *what, int r)
{
        struct crash_world *w = run->world;

        if (r < 0)
                (void) snprintf(w->problem, sizeof(w->problem), "%s: %s", what, strerror(-r));
        else
                (void) snprintf(w->problem, sizeof(w->problem), "%s", what);
        return false;
}

bool crash_run_knows(const struct crash_scenario *s, enum crash_victim victim)
{
        if (s->flags & CRASH_FLAG_FAULTY)
                return victim == CRASH_CLIENT;
        if (s->flags & CRASH_FLAG_START)
                return victim != CRASH_CLIENT;
        return true;
}

/* ---- the client process ---- */

int crash_run_client(int argc, char *argv[])
{
        const struct crash_scenario *s;
        struct crash_client c = { 0 };

        if (argc != 8 || !(s = crash_scenario_find(argv[2])))
                return EXIT_FAILURE;
        c.tmp_dir = argv[3];
        c.target_dir = argv[4];
        c.owner_pidfd = atoi(argv[7]);
        c.report =
                mmap(NULL, sizeof(*c.report), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[5]), 0);
        if (c.report == MAP_FAILED)
                return EXIT_FAILURE;
        return crash_client_main(s, &c, atoi(argv[6]));
}

/* The child's half: never returns. */
static void client_exec(const struct crash_run *run, int control)
{
        const struct crash_world *w = run->world;
        char report[16], socket[16], owner[16];
        sigset_t none;

        if (crash_world_become_user(w) < 0)
                _exit(126);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* after it: a change of user clears that */
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) fcntl(run->report_fd, F_SETFD, 0);
        (void) fcntl(control, F_SETFD, 0);
        if (run->owner_pidfd >= 0)
                (void) fcntl(run->owner_pidfd, F_SETFD, 0);

        (void) snprintf(report, sizeof(report), "%d", run->report_fd);
        (void) snprintf(socket, sizeof(socket), "%d", control);
        (void) snprintf(owner, sizeof(owner), "%d", run->owner_pidfd);
        (void) execl("/proc/self/exe", "crashpoint", CRASH_RUN_CLIENT, run->scenario->name,
                     w->tmp_dir, w->target_dir, report, socket, owner, (char *) NULL);
        _exit(127);
}

/* Waits for a byte of the client's. False: it has ended, or says nothing. */
static bool client_says(struct crash_run *run, char expected)
{
        struct pollfd p = { .fd = run->control, .events = POLLIN };
        char byte;

        while (poll(&p, 1, HANG_MSEC) < 0 && errno == EINTR)
                ;
        return recv(run->control, &byte, 1, MSG_DONTWAIT) == 1 && byte == expected;
}

static bool client_start(struct crash_run *run)
{
        int pair[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return problem(run, "socketpair", -errno);

        (void) fflush(NULL);
        pid = fork();
        if (pid == 0)
                client_exec(run, pair[1]);
        run->control = pair[0];
        (void) close_fd(pair[1]);
        if (pid < 0)
                return problem(run, "fork", -errno);

        run->client = pid;
        if (!client_says(run, 'r'))
                return problem(run,
                               run->report->wrong_result < 0 ? "the preparation failed"
                                                             : "the client does not start",
                               run->report->wrong_result);
        return true;
}

static void client_go(struct crash_run *run, char how)
{
        (void) send(run->control, &how, 1, MSG_NOSIGNAL);
}

static void client_reap(struct crash_run *run)
{
        if (run->client <= 0)
                return;
        while (waitpid(run->client, NULL, 0) < 0 && errno == EINTR)
                ;
        run->client = 0;
}

/* Half of the clients that live to their end are killed there, the other half exit. */
static void client_end(struct crash_run *run, bool is_killed)
{
        if (run->client <= 0)
                return;
        if (is_killed)
                (void) kill(run->client, SIGKILL);
        else
                (void) shutdown(run->control, SHUT_RDWR);
        client_reap(run);
}

/* ---- the other process that owns what the client makes ---- */

static bool owner_start(struct crash_run *run)
{
        int ready[2];
        ssize_t n;
        char byte;

        if (!(run->scenario->flags & CRASH_FLAG_OWNER))
                return true;

        if (pipe2(ready, O_CLOEXEC) < 0)
                return problem(run, "pipe2", -errno);
        (void) fflush(NULL);
        run->owner = fork();
        if (run->owner == 0) {
                if (crash_world_become_user(run->world) < 0)
                        _exit(126);
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) !write(ready[1], "r", 1);
                for (;;)
                        (void) pause();
        }
        (void) close(ready[1]);
        /* As long as it is another user's, the client may not name it. */
        n = run->owner > 0 ? read(ready[0], &byte, 1) : -1;
        (void) close(ready[0]);
        if (n != 1)
                return problem(run, "the owner does not start", run->owner < 0 ? -errno : -ESRCH);
        run->owner_pidfd = (int) syscall(SYS_pidfd_open, run->owner, 0);
        if (run->owner_pidfd < 0)
                return problem(run, "pidfd_open", -errno);
        return true;
}

static void owner_end(struct crash_run *run)
{
        if (run->owner <= 0)
                return;
        (void) kill(run->owner, SIGKILL);
        while (waitpid(run->owner, NULL, 0) < 0 && errno == EINTR)
                ;
        run->owner = 0;
}

/* The client goes and then the owner, if that is another: until then everything must be there. */
static bool owners_end(struct crash_run *run, bool is_killed)
{
        bool has_owner = run->owner > 0, ok;

        ok = crash_world_has_held(run->world, run->report);
        client_end(run, is_killed);
        if (ok && has_owner)
                ok = crash_world_has_held(run->world, run->report);
        owner_end(run);
        return ok;
}

/* ---- the three kinds of runs ---- */

static bool run_client_victim(struct crash_run *run)
{
        struct trace *t = &run->trace;
        enum trace_event e;
        int r;

        trace_init(t, run->signal_fd, TRACE_AT_MARK, run->thread, run->point);
        t->is_verbose = run->is_verbose;
        r = trace_seize(t, run->client);
        if (r < 0)
                return problem(run, "cannot trace the client", r);
        client_go(run, 'v');

        e = trace_run(t, -1, HANG_MSEC);
        trace_kill(t);
        run->client = 0; /* reaped by the trace */
        run->is_reached = e == TRACE_REACHED;
        if (e == TRACE_QUIET)
                return problem(run, "the client hangs", 0);
        if (e == TRACE_ENDED && t->status != 0)
                return problem(run, "the client ended by itself, and not well", 0);

        if (run->owner > 0 && !crash_world_has_held(run->world, run->report))
                return false;
        owner_end(run);
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
                return r == 0 || problem(run, "cannot trace the daemon", r);
        }

        crash_world_kill_daemon(w, false);
        if (run->victim == CRASH_BOTH)
                client_end(run, true);
        r = daemon_fixture_spawn(&w->daemon, true);
        if (r == 0)
                r = trace_adopt(t, w->daemon.pid);
        return r == 0 || problem(run, "cannot start the daemon traced", r);
}

/* What is waited for while the daemon runs, and for how long. */
static int next_wake(const struct crash_run *run, int *ret_msec)
{
        *ret_msec = HANG_MSEC;
        if (run->is_starting)
                return run->world->daemon.notify_fd;
        if (run->is_waiting)
                return run->control;
        *ret_msec = QUIET_MSEC;
        return -1;
}

/* It came: the daemon is ready, or the client has said or done its last. */
static bool handle_wake(struct crash_run *run)
{
        if (run->is_starting) {
                run->is_starting = !daemon_fixture_is_ready(&run->world->daemon);
                return true;
        }
        run->is_waiting = false;
        if (!client_says(run, 'd'))
                return problem(run, "the client ended by itself", 0);
        return owners_end(run, true);
}

/*
 * Lets daemon and client run until the point or the end of the window. The client has its say
 * ("d", or its end) in between; then it and the owner go, and the daemon reaps.
 */
static bool run_window(struct crash_run *run)
{
        int wake_fd, msec;

        run->is_starting = run->scenario->flags & CRASH_FLAG_START;
        run->is_waiting = !run->is_starting;
        for (;;) {
                wake_fd = next_wake(run, &msec);
                switch (trace_run(&run->trace, wake_fd, msec)) {
                case TRACE_REACHED:
                        run->is_reached = true;
                        return true;
                case TRACE_ENDED:
                        return problem(run, "the daemon ended by itself", 0);
                case TRACE_WAKE:
                        if (!handle_wake(run))
                                return false;
                        break;
                case TRACE_QUIET:
                        if (wake_fd >= 0)
                                return problem(run, "client or daemon hangs", 0);
                        if (run->client <= 0)
                                return true;
                        if (!owners_end(run, true))
                                return false;
                        break;
                }
        }
}

/* The client lived through the crash: it finishes what it was doing, and ends. */
static bool finish_client(struct crash_run *run)
{
        if (run->client <= 0)
                return true;
        if (run->scenario->flags & CRASH_FLAG_START)
                client_go(run, 'l');
        if (!client_says(run, 'd'))
                return problem(run, "the client does not finish", 0);
        return owners_end(run, run->point % 2 == 0);
}

static bool run_daemon_victim(struct crash_run *run)
{
        bool ok;

        run->report->is_daemon_mortal = 1;
        ok = trace_daemon(run);
        if (ok) {
                if (!(run->scenario->flags & CRASH_FLAG_START))
                        client_go(run, 'l');
                ok = run_window(run);
        }

        /* whatever happened: the tracee must not outlive its trace */
        trace_kill(&run->trace);
        if (run->victim == CRASH_BOTH) {
                client_end(run, true);
                owner_end(run);
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
                return problem(run, "memfd", -errno);
        run->report = mmap(NULL, sizeof(*run->report), PROT_READ | PROT_WRITE, MAP_SHARED,
                           run->report_fd, 0);
        if (run->report == MAP_FAILED) {
                run->report = NULL;
                return problem(run, "mmap", -errno);
        }
        return true;
}

static bool run_prepare(struct crash_run *run)
{
        int r;

        r = crash_world_prepare(run->world, run->scenario);
        if (r < 0)
                return run->world->problem[0] ? false : problem(run, "the directories", r);
        if (!report_open(run) || !owner_start(run) || !client_start(run))
                return false;
        if (run->scenario->flags & CRASH_FLAG_RESTART) {
                crash_world_kill_daemon(run->world, false);
                return crash_world_start_daemon(run->world) == 0;
        }
        return true;
}

static void run_done(struct crash_run *run)
{
        client_end(run, true);
        owner_end(run);
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

        run->is_reached = run->is_starting = run->is_waiting = false;
        run->report = NULL;
        run->report_fd = run->control = run->owner_pidfd = -1;
        run->client = run->owner = 0;
        trace_init(&run->trace, run->signal_fd, TRACE_AT_ONCE, 0, 0);

        ok = run_prepare(run);
        if (ok)
                ok = run->victim == CRASH_CLIENT ? run_client_victim(run) : run_daemon_victim(run);
        if (ok)
                ok = crash_world_is_clean(run->world, run->scenario, run->report);
        if (ok && run->victim != CRASH_CLIENT)
                ok = crash_world_is_database_sound(run->world);
        run_done(run);
        return ok;
}
