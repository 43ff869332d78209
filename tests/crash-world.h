/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_WORLD_H
#define TEMPFILED_CRASH_WORLD_H

/*
 * The place that the scenarios of the crash-point harness play in: a directory for temporaries and
 * one for targets, both with foreign files in them, and a private daemon; and the look at it
 * afterwards: nothing left, nothing foreign touched, nothing listed, the database sound.
 */

#include <limits.h>
#include <stdbool.h>

#include "tests/crash-scenarios.h"
#include "tests/daemon-fixture.h"

struct tempfile_admin;

struct crash_world {
        char dir[PATH_MAX / 2];
        char daemon_dir[PATH_MAX / 2]; /* socket, database, log */
        char tmp_dir[PATH_MAX];
        char target_dir[PATH_MAX];
        bool has_daemon; /* the self-test does without */
        uid_t uid;       /* who the clients are; as root it may be another user */
        struct daemon_fixture daemon;
        struct tempfile_admin *admin;
        int inotify_fd;
        int wait_msec;              /* how long things may take to be gone */
        bool is_helped;             /* calls have failed: what did is tried again on request */
        unsigned int n_ended;       /* daemons that have ended by themselves, and said why */
        unsigned int n_restarted;   /* daemons that had to be restarted to have all gone */
        char problem[PATH_MAX * 2]; /* what the last call found wrong */
};

/* Makes the place and starts the daemon. Negative errno; w->problem says more. */
int crash_world_open(struct crash_world *w, bool has_daemon, uid_t uid);

/* In a child process: becomes the clients' user. Negative errno. */
int crash_world_become_user(const struct crash_world *w);

/* Kills the daemon and removes everything. */
void crash_world_close(struct crash_world *w);

/* As new: after a failure nothing of it is to show up in the next point. */
int crash_world_renew(struct crash_world *w);

/* Removes what the last point left lawfully and lays out what the scenario wants to find. */
int crash_world_prepare(struct crash_world *w, const struct crash_scenario *s);

/* Starts the daemon (again) and connects to it. */
int crash_world_start_daemon(struct crash_world *w);

/* Leaves the mark that a daemon leaves who has met damage in its database. Negative errno. */
int crash_world_mark_damaged(struct crash_world *w);

/* Connects to it. */
int crash_world_connect(struct crash_world *w);

/*
 * Has the daemon ended by itself? 0: it runs. 1: it had, saying why and not by a signal, and has
 * been started again. Negative: it should not have, or does not start.
 */
int crash_world_revive(struct crash_world *w);

/* SIGKILL; with @is_reaped a tracer has done it already. */
void crash_world_kill_daemon(struct crash_world *w, bool is_reaped);

/* Is everything there that must be for as long as the client lives? */
bool crash_world_has_held(struct crash_world *w, const struct crash_report *r);

/* Is what others have by now there? Asks no daemon. */
bool crash_world_has_subject(struct crash_world *w, const struct crash_scenario *s,
                             const struct crash_report *r);

/* The client has gone: waits until what was its alone is gone too, then looks at everything. */
bool crash_world_is_clean(struct crash_world *w, const struct crash_scenario *s,
                          const struct crash_report *r);

/* Has the daemon end the lease that is left. */
bool crash_world_end_leases(struct crash_world *w);

/* SQLite's own check of every database in the state directory, of which there is one. */
bool crash_world_is_database_sound(struct crash_world *w);

#endif
