/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DIAL_H
#define TEMPFILED_DIAL_H

/*
 * Finding the daemon: where it is looked for, connecting within a time, and whether who answers is
 * to be trusted (root, or the caller's effective user).
 */

#include <stddef.h>
#include <stdint.h>

#define DIAL_PATH_SIZE 108U /* sun_path, with the NUL */

/*
 * The places where a daemon is looked for: @only when that is given, else as libtempfile.h says.
 * Writes the @i-th, from 0, and returns its length as snprintf(3); -ENOENT: there are no more.
 */
int dial_candidate(const char *only, unsigned int i, char *buf, size_t size);

/*
 * Connects to the first that answers; *ret_path is its path. The socket is non-blocking,
 * close-on-exec and not a standard descriptor. Waits (for room in a full backlog) until the deadline.
 * Returns 0; -ECONNREFUSED nobody is at any of them; -EACCES not trusted, or not let in;
 * -ETIMEDOUT; others as socket(2).
 */
int dial(const char *only, uint64_t deadline_usec, char ret_path[DIAL_PATH_SIZE], int *ret_fd);

#endif
