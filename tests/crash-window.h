/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_WINDOW_H
#define TEMPFILED_CRASH_WINDOW_H

/*
 * The window in which the daemon has its points: from the client's first call, or from its own
 * start, until it has reaped what everybody has left and rests. Each call returns false when
 * something is wrong, which run->world->problem says.
 */

#include <stdbool.h>

struct crash_run;

/* The daemon under trace: as it runs, or from its start. */
bool window_open(struct crash_run *run);

/*
 * Lets daemon and client run until the point, or to the end. The client has its say ("d", or its
 * end) in between; then it and the others go, and the daemon reaps.
 */
bool window_run(struct crash_run *run);

/* The client ends. Until now all that it held must be there. */
bool window_end_client(struct crash_run *run, bool is_killed);

/*
 * The client has gone: what others hold is looked at, and then they end. Where that takes a daemon
 * (to end a long lease), it has to wait until there is one that is not traced (@is_served).
 */
bool window_end_others(struct crash_run *run, bool is_served);

#endif
