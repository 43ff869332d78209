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

struct tempfile;

#define CRASH_HELD_MAX 128U
#define CRASH_COPIES_MAX 8U
#define CRASH_NEW "what the scenario wrote\n"
#define CRASH_OLD "what was there before\n"
#define CRASH_COPY "a copy that is none of tempfiled's business\n"

enum crash_progress { CRASH_NOT_YET, CRASH_BEGUN, CRASH_DONE, CRASH_FAILED };

/* One library call that the outcome depends on. */
struct crash_step {
        uint32_t progress; /* enum crash_progress */
        int32_t result;
};

struct crash_report {
        /* from the harness */
        uint32_t is_daemon_mortal; /* the daemon may die: the documented errors are no failure */

        /* from the client */
        struct crash_step change;  /* persist, keep or track */
        char subject[PATH_MAX];    /* the path that the change decides about */
        char inside[NAME_MAX + 1]; /* what was made in it by a call of its own; "": nothing */

        uint32_t n_held; /* paths that must be there for as long as the owner lives */
        char held[CRASH_HELD_MAX][PATH_MAX];

        uint32_t n_copies; /* foreign files that the client made beside its own */
        struct {
                char path[PATH_MAX];
                uint32_t progress;
        } copies[CRASH_COPIES_MAX];

        char wrong_call[64]; /* a call that failed with what it must not fail with; "": none */
        int32_t wrong_result;
};

/* The client's side of a scenario. */
struct crash_client {
        struct crash_report *report;
        const char *tmp_dir;    /* where temporaries are made */
        const char *target_dir; /* where things persist to */
        int owner_pidfd;        /* another process, for the scenario that needs one */
        struct tempfile *held[CRASH_HELD_MAX];
        unsigned int n_held;
};

enum crash_fate {
        CRASH_GONE,   /* or, where something was there before, that */
        CRASH_EITHER, /* it was on its way: all of one or all of the other */
        CRASH_STAYS,
};

#define CRASH_FLAG_OVER (1U << 0)      /* something is at the target before */
#define CRASH_FLAG_DIRECTORY (1U << 1) /* the subject is a directory */
#define CRASH_FLAG_OWNER (1U << 2)     /* another process owns what is made */
#define CRASH_FLAG_RESTART (1U << 3)   /* the daemon is restarted before the window */
#define CRASH_FLAG_START (1U << 4)     /* the window is the daemon's start itself */
#define CRASH_FLAG_FAULTY (1U << 5)    /* breaks the promise: the harness must notice */

struct crash_scenario {
        const char *name;
        const char *about;
        unsigned int flags;
        int (*prepare)(struct crash_client *c); /* before the window; may be NULL */
        void (*run)(struct crash_client *c);
        enum crash_fate (*fate)(const struct crash_report *r); /* of the subject; NULL: has none */
};

/* All of them; the last one has no name. */
extern const struct crash_scenario crash_scenarios[];

const struct crash_scenario *crash_scenario_find(const char *name);

/* The whole life of a client process: @control carries "r" (ready) to the harness, then "v" (run
 * and exit) or "l" (run, say "d" and linger until it is closed) back. Returns an exit status. */
int crash_client_main(const struct crash_scenario *s, struct crash_client *c, int control);

#endif
