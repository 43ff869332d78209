/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_TREES_H
#define TEMPFILED_BENCH_TREES_H

/*
 * Trees of files, to be deleted.
 */

#include <sys/types.h>

/* @count empty files in a hundred directories in @top, or in one for each when they are fewer. */
int trees_fill(const char *top, unsigned int count);

/*
 * A process that has made a temporary directory in @dir with such a tree in it, and waits for its end.
 * Its daemon is at @socket; NULL: where it is anyway. Returns 0 or a negative errno.
 */
int trees_start_owner(const char *dir, unsigned int count, const char *socket, pid_t *ret);

#endif
