/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_CLIENT_H
#define TEMPFILED_CRASH_CLIENT_H

/*
 * The client process of the crash-point harness: its life, and what the scenarios are written
 * with. A call that decides about the outcome stands between client_begin() and client_end().
 */

#include "libclient/libtempfile.h"
#include "tests/crash-scenarios.h"

struct crash_client {
        struct crash_report *report;
        const char *tmp_dir;    /* where temporaries are made */
        const char *target_dir; /* where things persist to */
        int owner_pidfd;        /* another process, for the scenario that needs one */
        int control;            /* to the harness */
        struct tempfile *held[CRASH_HELD_MAX];
        unsigned int n_held;
        int helper; /* to a child of its own, and that; -1, 0: none */
        int helper_pid;
};

/* The whole life of a client process: @control carries "r" (ready) to the harness, then "v" (run
 * and exit) or "l" (run, say "d" and linger until it is closed) back, and before that, for a
 * scenario that knows a downtime, "w", answered by "w". Returns an exit status. */
int crash_client_main(const struct crash_scenario *s, struct crash_client *c);

/* ---- what the outcome depends on ---- */

/* The call failed as it must not, whatever happens to the daemon. */
void client_note_wrong(struct crash_client *c, const char *call, int r);

/* Did the call succeed? If not, and it had to, the report says so. */
bool client_succeeded(struct crash_client *c, const char *call, int r);

/* The same, where it has to also when there is no daemon. */
bool client_must_succeed(struct crash_client *c, const char *call, int r);

/* The call that decides about the subject is about to be made, and has returned. */
void client_begin(struct crash_client *c);
void client_end(struct crash_client *c, const char *call, int r);

void client_set_subject(struct crash_client *c, const char *path);

/* ---- making ---- */

/* For calls that may be held up for as long as the machine is. */
struct tempfile_options client_options(void);

/* From here on until client_unhold() the path must be there. */
void client_hold(struct crash_client *c, struct tempfile *t);

/* The thing that was held last is about to be closed, kept or moved. */
struct tempfile *client_unhold(struct crash_client *c);
struct tempfile *client_last(struct crash_client *c);
void client_close_last(struct crash_client *c);

/* A file with CRASH_NEW in it. Negative errno. */
int client_write_path(const char *path, const char *data);

/* Make and hold. A directory has files inside. Negative errno. */
int client_make_with(struct crash_client *c, struct tempfile_options *o);
int client_make_file(struct crash_client *c);
int client_make_directory(struct crash_client *c);

/* What a directory of these scenarios has inside. Negative errno. */
int client_fill_directory(const char *path);

/* A directory with a temporary in it, that has an entry of its own. */
bool client_make_tree(struct crash_client *c);

/* Somebody's copy of what was made last, under a name that looks like its own. */
void client_copy_last(struct crash_client *c, const char *format);

/* Hands a descriptor to the harness, which holds it. Negative errno. */
int client_pass(struct crash_client *c, int fd);

#endif
