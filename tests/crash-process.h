/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_PROCESS_H
#define TEMPFILED_CRASH_PROCESS_H

/*
 * The processes of one run beside the daemon: the client, and those others that may own what it
 * makes. Each call that can fail says why in run->world->problem.
 */

#include <stdbool.h>

struct crash_run;

/* What a client process does with the arguments that process_client_start() gave it. */
int crash_process_main(int argc, char *argv[]);

/* The hidden first argument of a client process. */
#define CRASH_PROCESS_CLIENT "--client"

/* Says what is wrong, with a negative errno where there is one. Returns false. */
bool crash_problem(struct crash_run *run, const char *what, int r);

/* Starts the client and waits until it is ready. */
bool process_client_start(struct crash_run *run);

/* Waits for a byte of the client's. False: it has ended, or says nothing. */
bool process_client_says(struct crash_run *run, char expected);

/* Tells it to go on. */
void process_client_go(struct crash_run *run, char how);

/* Ends it: by SIGKILL, or it exits. */
void process_client_end(struct crash_run *run, bool is_killed);

/* Starts the process that the scenario needs as an owner, if any. */
bool process_owner_start(struct crash_run *run);

/* Ends those who need no daemon for that: the process, descriptors that the client passed on. */
void process_others_end(struct crash_run *run);

/* Why the scenario can't be run here; NULL: it can. */
struct crash_scenario;
const char *crash_process_obstacle(const struct crash_scenario *s);

#endif
