/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_TESTUTIL_H
#define TEMPFILED_TESTUTIL_H

/*
 * What tests that drive a true daemon share: a world with a directory and a daemon of its own,
 * processes that make something and are then killed, and waiting for what must happen. Every wait
 * is for an event and bounded by WORLD_WAIT_MSEC. Failures are Check's.
 */

#include <check.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libclient/libtempfile.h"
#include "tests/daemon-fixture.h"

#define WORLD_WAIT_MSEC 60000

struct world {
        char top[64];       /* removed with all that is in it */
        char dir[PATH_MAX]; /* where temporaries are made */
        struct daemon_fixture daemon;
};

/* Makes the directories, and points $TEMPFILED_SOCKET to a daemon that is not started yet. */
void world_init(struct world *w);
void world_start_daemon(struct world *w);
void world_kill_daemon(struct world *w);
void world_done(struct world *w);

/* For what is made in its directory. An answer may wait for a disk that others keep busy. */
struct tempfile_options world_options(const struct world *w);

/* A path in the world's directory; valid until the fourth call from now. */
const char *world_path(const struct world *w, const char *name);

/* A process that does something, says what became of it, and waits to be killed. */
struct victim {
        pid_t pid;
        int from; /* what it says comes here */
};

/* @body runs in a child and says something with victim_say(); its result is the exit status,
 * unless it waits (victim_wait()). */
void victim_start(struct victim *v, int (*body)(int to, void *userdata), void *userdata);
void victim_say(int to, const char *text);
void victim_wait(void) __attribute__((noreturn));

/* What it says next; false: it ended first. */
bool victim_hear(struct victim *v, char *buf, size_t size);
void victim_kill(struct victim *v, int sig);

/* Waits for its own end. Returns the exit status, or -1: a signal. */
int victim_join(struct victim *v);

/* Asks something: all that this process has said before the answer has been heard, too. */
void be_heard(const struct tempfile_options *o);

unsigned int count_files(const char *dir);
bool path_exists(const char *path);

/* Waits until nothing is at @path; false: it still is. */
bool wait_gone(const char *path);

/* Waits until @n names are left in @dir. */
bool wait_left(const char *dir, unsigned int n);

/* Waits until the daemon lists as many entries, or none. */
bool wait_list_length(unsigned int length);
bool wait_list_empty(void);

/* Adds a test, or, when there is a reason not to run it, a line that says so. */
void add_unless(TCase *c, const char *reason, const TTest *test);

/* Reasons: NULL as root, as an ordinary user. */
const char *unless_root(void);
const char *unless_ordinary(void);

void write_file(const char *path, const char *text);

/* Does the file hold just this text? */
bool file_has(const char *path, const char *text);

#endif
