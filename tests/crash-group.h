/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_GROUP_H
#define TEMPFILED_CRASH_GROUP_H

/*
 * A group: one scenario with one victim, and all of its points, or of the errors that its calls can
 * fail with; told as one line of TAP.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/crash-fault.h"
#include "tests/crash-run.h"

struct crash_options {
        const char *program;
        const char *scenario;   /* NULL: all */
        int victim;             /* -1: all */
        unsigned int thread;    /* 0: all */
        uint64_t point;         /* 0: all */
        bool has_errors;        /* calls fail; else the victims are killed */
        enum crash_error error; /* which one; CRASH_ERRORS: all that make sense */
        unsigned int every;     /* 0: as it fits */
        unsigned int seed;
        uid_t uid; /* of the clients */
        bool has_uid;
        bool is_list;
        bool is_verbose;
};

/* Of all groups. */
struct crash_totals {
        uint64_t points; /* victims killed */
        uint64_t errors; /* calls that failed */
};

extern const char *const crash_victims[CRASH_VICTIMS];

/* Asked to end: the directory and the daemon are to be cleared away first. */
extern volatile sig_atomic_t crash_is_interrupted;

/*
 * Runs it, with clients of that user and in a world of its own, and tells of it. True: the promise
 * held everywhere.
 */
bool crash_group_run(const struct crash_options *o, uid_t uid, int signal_fd,
                     const struct crash_scenario *s, enum crash_victim victim, unsigned int number,
                     struct crash_totals *totals);

#endif
