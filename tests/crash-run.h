/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_RUN_H
#define TEMPFILED_CRASH_RUN_H

/*
 * One run of a scenario with one crash, or one failing call, in it: who is the victim, at which
 * point, what happened.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/crash-scenarios.h"
#include "tests/crash-trace.h"
#include "tests/crash-world.h"

#define CRASH_HANG_MSEC 20000 /* nothing here takes that long */

enum crash_victim {
        CRASH_CLIENT, /* killed at the point */
        CRASH_DAEMON, /* killed at the point, started again; the client lives on */
        CRASH_BOTH,   /* the daemon at the point, the client at once; the daemon started again */
        CRASH_VICTIMS,
};

/* How far a run with the daemon as its victim has come. */
enum crash_phase {
        CRASH_STARTING, /* the daemon, until it is ready */
        CRASH_CALLING,  /* the client, until it has said or done its last */
        CRASH_RESTING,  /* the daemon, until it has nothing left to do */
};

struct crash_run {
        struct crash_world *world;
        const struct crash_scenario *scenario;
        enum crash_victim victim;
        int signal_fd;
        unsigned int thread; /* the point; 0: none, the whole scenario is only counted */
        uint64_t point;
        struct trace_fault fault; /* what happens there instead of a kill */
        bool is_verbose;

        /* what came of it */
        bool is_reached;
        struct trace trace;

        /* in between */
        struct crash_report *report;
        int report_fd;
        pid_t client;
        int control;
        pid_t owner; /* another process that owns what the client makes */
        int owner_pidfd;
        char cgroup[PATH_MAX]; /* that it is in; "": none of its own */
        int passed_fd;         /* that the client has passed on */
        enum crash_phase phase;
        bool has_rested; /* since the client went: the others have ended then */
};

/* Does the scenario know this victim? */
bool crash_run_knows(const struct crash_scenario *s, enum crash_victim victim);

/* Runs it. True: the promise held. Else world->problem says what is wrong. */
bool crash_run(struct crash_run *run);

#endif
