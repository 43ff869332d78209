/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_SCENARIOS_H
#define TEMPFILED_CRASH_SCENARIOS_H

/*
 * What the client of the crash-point harness does, and what must be true of it afterwards.
 *
 * A scenario runs in a process of its own. It keeps a report in shared memory of how far it has
 * come, which needs no system call and therefore is exact at every point; from it the harness
 * knows what the promise says of this crash.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct crash_client;

#define CRASH_HELD_MAX 128U
#define CRASH_COPIES_MAX 8U
#define CRASH_NEW "what the scenario wrote\n"
#define CRASH_OLD "what was there before\n"
#define CRASH_COPY "a copy that is none of tempfiled's business\n"

enum crash_progress { CRASH_NOT_YET, CRASH_BEGUN, CRASH_DONE, CRASH_FAILED };

/* One call that the outcome depends on. */
struct crash_step {
        uint32_t progress; /* enum crash_progress */
        int32_t result;
};

struct crash_report {
        /* from the harness */
        uint32_t is_daemon_mortal;  /* the daemon may die: the documented errors are no failure */
        int32_t error;              /* calls fail with that, here or in the daemon; 0: none does */
        uint32_t others_have_ended; /* who held the subject beside the client */

        /* from the client */
        struct crash_step change;  /* the call that decides: persist, keep, give, ... */
        struct crash_step second;  /* what comes after it, where that decides too */
        char subject[PATH_MAX];    /* the path that is decided about; "": not known (yet) */
        char inside[NAME_MAX + 1]; /* what was made in it by a call of its own; "": nothing */
        uint32_t expires_sec[2];   /* the subject's lease before and after the change; 0: none */

        uint32_t n_held; /* paths that must be there for as long as the client lives */
        char held[CRASH_HELD_MAX][PATH_MAX];

        uint32_t n_copies; /* foreign files that the client made beside its own */
        struct {
                char path[PATH_MAX];
                uint32_t progress;
        } copies[CRASH_COPIES_MAX];

        char wrong_call[64]; /* a call that failed with what it must not fail with; "": none */
        int32_t wrong_result;
};

enum crash_fate {
        CRASH_GONE,   /* or, where something was there before, that */
        CRASH_EITHER, /* it was on its way: all of one or all of the other */
        CRASH_STAYS,
};

#define CRASH_FLAG_OVER (1U << 0)      /* something is at the target before */
#define CRASH_FLAG_DIRECTORY (1U << 1) /* the subject is a directory */
#define CRASH_FLAG_OWNER (1U << 2)     /* there is another process, as an owner */
#define CRASH_FLAG_RESTART (1U << 3)   /* the daemon is restarted before the window */
#define CRASH_FLAG_START (1U << 4)     /* the window is the daemon's start itself */
#define CRASH_FLAG_FAULTY (1U << 5)    /* breaks the promise: the harness must notice */
#define CRASH_FLAG_OTHERS (1U << 6)    /* what the client made may outlive it: others end later */
#define CRASH_FLAG_CGROUP (1U << 7)    /* the other process is in a cgroup of its own */
#define CRASH_FLAG_LEASE (1U << 8)     /* those others are a long lease, to be cut short */
#define CRASH_FLAG_DAMAGED (1U << 9)   /* the database counts as damaged when the daemon starts */
#define CRASH_FLAG_SLOW (1U << 10)     /* waits for time, in the daemon alone: few points */

struct crash_scenario {
        const char *name;
        const char *about;
        unsigned int flags;
        int (*prepare)(struct crash_client *c); /* before the window; may be NULL */
        void (*run)(struct crash_client *c);
        enum crash_fate (*fate)(const struct crash_report *r); /* of the subject; NULL: has none */
        int (*downtime)(struct crash_client *c); /* while there is no daemon, before a start */
};

/* Making, closing, keeping; others as owners; starts. The last one of each has no name. */
extern const struct crash_scenario crash_makers[], crash_owners[], crash_starts[];

/* One after the other; NULL: the first, and there are no more. */
const struct crash_scenario *crash_scenario_next(const struct crash_scenario *s);

const struct crash_scenario *crash_scenario_find(const char *name);

/* What is to become of the subject, as far as the client had come. */
enum crash_fate crash_scenario_fate(const struct crash_scenario *s, const struct crash_report *r);

#endif
