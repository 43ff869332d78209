/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DAEMON_FIXTURE_H
#define TEMPFILED_DAEMON_FIXTURE_H

/*
 * A tempfiled of a test's own: started on a socket and a state directory inside a directory of
 * the test's, killed, and started again on the same state. Every wait is for an event (the
 * daemon's READY=1, its exit) and bounded. The daemon dies with the process that started it.
 *
 * The binary is $TEMPFILED, else "tempfiled" is looked for in $PATH. Its messages go to the file
 * DIR/log. An ordinary user's daemon runs with --user. If asked to, the fixture is a service manager
 * that keeps descriptors for it from one run to the next.
 */

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define DAEMON_FIXTURE_KEPT_MAX 16

struct daemon_fixture {
        char socket[PATH_MAX];    /* DIR/socket: what $TEMPFILED_SOCKET is to be */
        char state_dir[PATH_MAX]; /* DIR/state */
        char log[PATH_MAX];       /* DIR/log */
        pid_t pid;                /* 0: not running */
        int notify_fd;            /* -1, or where READY=1 is expected */
        const char *durability;   /* of --durability; NULL: the daemon's own choice */
        const char *config;       /* of --config; NULL: none, whatever this machine has */
        bool is_keeping;          /* what it hands over; it must say little meanwhile, since that is
                                     taken in when it has ended */
        struct {
                char name[64];
                int fd;
        } kept[DAEMON_FIXTURE_KEPT_MAX];
        unsigned int n_kept;
};

/* @dir exists and is the test's. Starts nothing. Returns 0 or -ENAMETOOLONG. */
int daemon_fixture_init(struct daemon_fixture *d, const char *dir);

/* Starts the daemon and waits until it is ready. Returns 0; -ECHILD it ended instead; -ETIMEDOUT. */
int daemon_fixture_start(struct daemon_fixture *d);

/* Starts it only. @gate: -1, or its exec waits until there is something to read from that. */
int daemon_fixture_spawn(struct daemon_fixture *d, int gate);

/* What start() does after spawn(). */
int daemon_fixture_wait_ready(struct daemon_fixture *d);

/* Has READY=1 arrived? Does not wait. */
bool daemon_fixture_is_ready(struct daemon_fixture *d);

/* SIGKILL, reaped. */
void daemon_fixture_kill(struct daemon_fixture *d);

/* SIGTERM. Returns the status as waitpid() gives it, or -ETIMEDOUT (it was killed then). */
int daemon_fixture_stop(struct daemon_fixture *d);

/* How many descriptors it has given to be kept, by all that it has said until now. */
unsigned int daemon_fixture_count_kept(struct daemon_fixture *d);

/* Closes what is kept. */
void daemon_fixture_drop_kept(struct daemon_fixture *d);

/* The caller has reaped the process itself (a tracer does). */
void daemon_fixture_forget(struct daemon_fixture *d);

#endif
