/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROGRESS_H
#define TEMPFILED_PROGRESS_H

/*
 * A line on a terminal's standard error that says how far it is, when it takes long.
 */

#include <stddef.h>

/* Now and then: "WHAT N". Does nothing within the first second, and seldom writes. */
void progress_show(const char *what, size_t n);

/* Takes the line away, before anything else is printed. */
void progress_clear(void);

#endif
