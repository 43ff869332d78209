/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CONFIRM_H
#define TEMPFILED_CONFIRM_H

/*
 * Asking the person at the terminal. On standard error, so that output can go elsewhere.
 */

#include <stdbool.h>
#include <stddef.h>

/* Is anybody there to be asked? */
bool confirm_is_possible(void);

/* Shows the @i-th name, from 0, escaped; after the first few only that there are more. */
void confirm_show(size_t i, const char *name);

/* Asks "...? [y/N]". CTL_OK: yes; CTL_FAILED: no, after having said that nothing was done. */
int confirm_ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
