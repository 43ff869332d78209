/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DEADLINE_H
#define TEMPFILED_DEADLINE_H

/*
 * Moments on CLOCK_MONOTONIC, in microseconds, that a wait ends at. DEADLINE_PAST is one that lies
 * behind us: not to wait at all, and not even to look at the clock. Signals do not end a wait.
 */

#include <stdint.h>

#define DEADLINE_PAST UINT64_C(0)

uint64_t deadline_now(void);

/* That far from now; never DEADLINE_PAST. */
uint64_t deadline_in(uint64_t usec);

/* Milliseconds left, rounded up: 0 only when it has passed. */
int deadline_left_msec(uint64_t deadline_usec);

/* Waits until @fd shows one of @events or an error. Returns 0, -ETIMEDOUT, or as poll(2). */
int deadline_poll(int fd, short events, uint64_t deadline_usec);

/* Waits @usec, or until the deadline when that is earlier. */
void deadline_pause(uint64_t usec, uint64_t deadline_usec);

#endif
