/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_RUN_H
#define TEMPFILED_CRASH_RUN_H

/*
 * One run of a scenario with one crash in it: who is the victim, at which point, what happened.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/crash-scenarios.h"
#include "tests/crash-trace.h"
#include "tests/crash-world.h"

enum crash_victim {
        CRASH_CLIENT, /* killed at the point */
        CRASH_DAEMON, /* killed at the point, started again; the client lives on */
        CRASH_BOTH,   /* the daemon at the point, the client at once; the daemon started again */
        CRASH_VICTIMS,
};

struct crash_run {
        struct crash_world *world;
        const struct crash_scenario *scenario;
        enum crash_victim victim;
        int signal_fd;
        unsigned int thread; /* the point; 0: none, the whole scenario is only counted */
        uint64_t point;
        bool is_verbose;

        /* what came of it */
        bool is_reached;
        struct trace trace;

        /* in between */
        struct crash_report *report;
        int report_fd;
        pid_t client;
        int control;
        pid_t owner;
        int owner_pidfd;
        bool is_starting; /* the daemon, in the window */
        bool is_waiting;  /* for the client, in the window */
};

/* Does the scenario know this victim? */
bool crash_run_knows(const struct crash_scenario *s, enum crash_victim victim);

/* Runs it. True: the promise held. Else world->problem says what is wrong. */
bool crash_run(struct crash_run *run);

/* What a client process does with the arguments that crash_run() gave it. */
int crash_run_client(int argc, char *argv[]);

/* The hidden first argument of a client process. */
#define CRASH_RUN_CLIENT "--client"

#endif
