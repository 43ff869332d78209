/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SAID_H
#define TEMPFILED_SAID_H

/*
 * Which entries' failures were said within a day: each is said at most once a day, however often it
 * is tried.
 */

#include <stdbool.h>
#include <stdint.h>

#define SAID_DAY_USEC UINT64_C(86400000000)

struct said;

/* @now_usec, here and below, is of CLOCK_BOOTTIME. NULL: out of memory. */
struct said *said_new(uint64_t now_usec);
void said_free(struct said *s);

/* Is it time to say it? Then it counts as said. @is_first: it was never tried before. */
bool said_may_say(struct said *s, uint64_t entry, bool is_first, uint64_t now_usec);

#endif
