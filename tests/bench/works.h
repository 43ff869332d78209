/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_WORKS_H
#define TEMPFILED_BENCH_WORKS_H

/*
 * What contestants do. A work's name says what one unit of it is; c->dir is where, c->count what it
 * says beside the name.
 */

#include <stdbool.h>

#include "libclient/libtempfile.h"
#include "tests/bench/measure.h"

/* ---- bare.c: what can't be beaten ---- */

extern const struct work bare_file;       /* mkostemp, close, unlink */
extern const struct work bare_directory;  /* mkdtemp, rmdir */
extern const struct work bare_round_trip; /* 64 bytes to another process and back */
extern const struct work bare_row_normal; /* an SQLite row, count in a commit; synchronous=NORMAL */
extern const struct work bare_row_full;   /* the same with synchronous=FULL: on the disk */
extern const struct work bare_first; /* to a process that commits with FULL, and back; bare_file */

/* ---- fresh.c: in a process that has just been forked ---- */

int fresh_run(struct contestant *c, int (*once)(struct contestant *c), unsigned int n,
              uint64_t *ret_nsec);

/* ---- ours.c ---- */

/* To make things in @dir: under a tag, and with a name that has to be reserved. With more patience than
 * a program has: on a machine that is busy a round is slow, and not a failure. */
struct tempfile_options our_options(const char *dir);
struct tempfile_options our_reserving_options(const char *dir);

extern const struct work our_file;         /* under a tag, and closed */
extern const struct work our_directory;    /* the same for a directory */
extern const struct work our_acknowledged; /* a file with a name that has to be reserved */
extern const struct work our_arena_file;   /* in an arena, closed, unlinked */
extern const struct work our_first;        /* the first file of a process, in that process's time */
extern const struct work
        our_reservation; /* a name is reserved, and let go of later: no file is made */

/* ---- peers.c ---- */

extern const struct work python_file;    /* CPython's NamedTemporaryFile, and closed */
extern const struct work python_tracker; /* an end, of one with count shared memory objects */
bool peers_have_python(void);

/* ---- echo.c: one process that answers many, when it has stored what it says ---- */

enum echo_store {
        ECHO_NOTHING,
        ECHO_ROWS,
        ECHO_INDEXED_ROWS, /* so that those of a client can be found */
};

int echo_start(const char *dir, enum echo_store store);
extern const struct work bare_question; /* 64 bytes to it, and back */

/* ---- together.c: the same by many at once; count is how many ---- */

extern const struct work processes_bare_question, processes_bare_file;
extern const struct work processes_bare_row, processes_bare_indexed_row;
extern const struct work processes_our_file, processes_our_reservation;
extern const struct work threads_bare_file, threads_our_file, threads_our_reservation;

/* ---- ends.c: from an end to its being gone; one unit is one end ---- */

extern const struct work end_of_owner;      /* of one that has made count files */
extern const struct work end_of_owners;     /* of count, with a file each */
extern const struct work end_of_tree_owner; /* of one with a directory of count files */
extern const struct work watcher_of_owner;  /* a process that waits for a pidfd, and unlinks */
extern const struct work watcher_of_owners; /* for count of them */
extern const struct work rm_of_files, rm_of_tree, find_of_tree;

#endif
