/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_WALL_CLOCK_H
#define TEMPFILED_WALL_CLOCK_H

/*
 * A wall clock to be stepped, for the programs that are started after wall_clock_prepare(): they
 * have clock-step.c preloaded, by $LD_PRELOAD, and find the clock by $WALL_CLOCK_FILE. Not with
 * sanitizers, which want to be loaded first.
 */

#include <stdbool.h>
#include <stdint.h>

/* False: not here. It stands at the true time until it is stepped. */
bool wall_clock_prepare(const char *file);

/* @sec: from the true time. */
void wall_clock_step(int64_t sec);

/* Programs that are started from now on have the true one. */
void wall_clock_forget(void);

#endif
