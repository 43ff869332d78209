/* SPDX-License-Identifier: MIT */

/*
 * The scenarios about a daemon's start: with what it has to find again, and with much to do because
 * of what went on while it was down.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-client.h"

#define LONG_SEC 3600U

/* One of each kind: what the daemon has to find again. */
static int prepare_mixed(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        int r;

        o.pattern = "held-XXXXXX";
        r = client_make_with(c, &o);
        if (r == 0)
                r = client_make_directory(c);
        for (unsigned int i = 0; r == 0 && i < 3; i++)
                r = client_make_file(c);
        if (r < 0)
                return r;
        client_copy_last(c, "%s.bak");
        client_copy_last(c, "x%s");
        return 0;
}

/* The tag is known: this must work whether the daemon is there or not. */
static void run_under_tag(struct crash_client *c)
{
        if (client_must_succeed(c, "tempfile_named, under a known tag,", client_make_file(c)))
                client_close_last(c);
}

/* One more in the same directory, and one that has to ask the daemon. */
static void run_resume(struct crash_client *c)
{
        struct tempfile_options o = client_options();

        run_under_tag(c);
        o.pattern = "report-XXXXXX.txt";
        if (client_succeeded(c, "tempfile_named", client_make_with(c, &o)))
                client_close_last(c);
}

/* ---- owners that die while there is no daemon ---- */

static int fork_helper(struct crash_client *c, int (*life)(struct crash_client *c, int control))
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        c->helper_pid = fork();
        if (c->helper_pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) close(pair[0]);
                _exit(life(c, pair[1]) < 0);
        }
        (void) close(pair[1]);
        c->helper = pair[0];
        return c->helper_pid < 0 ? -errno : 0;
}

static bool helper_says(const struct crash_client *c)
{
        char byte;

        return read(c->helper, &byte, 1) == 1;
}

static int reap_helper(struct crash_client *c)
{
        c->helper = close_fd(c->helper);
        if (waitpid(c->helper_pid, NULL, 0) < 0)
                return -errno;
        return 0;
}

static int make_retained(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        int r;

        o.retain_sec = LONG_SEC;
        r = client_make_with(c, &o);
        if (r == 0)
                client_set_subject(c, tempfile_path(client_last(c)));
        return r;
}

/* Its entries are known; then, with no daemon there, it makes one more, and dies. */
static int live_and_die(struct crash_client *c, int control)
{
        char byte = 'r';
        int r;

        r = prepare_mixed(c);
        if (r == 0)
                r = make_retained(c);
        if (r < 0 || write(control, &byte, 1) != 1 || read(control, &byte, 1) != 1)
                return -EIO;
        r = client_make_file(c);
        if (r < 0 || write(control, &byte, 1) != 1)
                return -EIO;
        (void) raise(SIGKILL);
        return 0;
}

/* Its tag has become a tombstone by the time that the daemon goes. */
static int live_well(struct crash_client *c, int control)
{
        int r;

        r = client_make_file(c);
        return r < 0 ? r : tempfile_close(client_unhold(c));
}

/* What the helper holds is not held by the client: it may go before it. */
static int prepare_dead(struct crash_client *c)
{
        int r;

        r = fork_helper(c, live_well);
        if (r == 0)
                r = reap_helper(c);
        if (r == 0)
                r = fork_helper(c, live_and_die);
        if (r == 0 && !helper_says(c))
                r = -ECHILD;
        c->report->n_held = 0;
        return r < 0 ? r : prepare_mixed(c);
}

/* One that was never reported, of a living process, and of one that is dead by then. */
static int downtime_dead(struct crash_client *c)
{
        const char go = 'g';
        uint32_t n_held = c->report->n_held;
        int r;

        if (write(c->helper, &go, 1) != 1 || !helper_says(c))
                return -ECHILD;
        r = reap_helper(c);
        c->report->n_held = n_held;
        return r < 0 ? r : client_make_file(c);
}

/* The dead process's file that is to be looked at. */
static enum crash_fate fate_retained(const struct crash_report *r)
{
        return r->others_have_ended ? CRASH_GONE : CRASH_STAYS;
}

const struct crash_scenario crash_starts[] = {
        { "resume", "the first calls after the daemon was restarted", CRASH_FLAG_RESTART,
          prepare_mixed, run_resume, NULL, NULL },
        { "start", "the daemon's start with entries in its database", CRASH_FLAG_START,
          prepare_mixed, run_under_tag, NULL, NULL },
        { "start-dead", "the same with dead owners, a sweep, a tombstone, one retained",
          CRASH_FLAG_START | CRASH_FLAG_OTHERS | CRASH_FLAG_LEASE, prepare_dead, run_under_tag,
          fate_retained, downtime_dead },
        { "start-damaged", "the start after damage was seen: all rows are taken over",
          CRASH_FLAG_START | CRASH_FLAG_DAMAGED, prepare_mixed, run_under_tag, NULL, NULL },
        { NULL, NULL, 0, NULL, NULL, NULL, NULL },
};
