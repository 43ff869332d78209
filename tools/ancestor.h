/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ANCESTOR_H
#define TEMPFILED_ANCESTOR_H

/*
 * Who is the owner of what a short-lived tool makes? Not the tool, which ends at once, and not
 * the forked subshell that a shell runs it in, but the program that asked.
 */

#include <sys/types.h>

/*
 * ancestor_open() - find the nearest ancestor that is not a forked subshell
 * @ret_pid:   receives its number
 * @ret_pidfd: receives a pidfd of it, close-on-exec; the caller closes it
 *
 * Return: 0;
 *   -ECHILD  the parent has ended: this process was handed to init or to a subreaper
 *   -ESRCH   an ancestor ended while it was looked at
 *   -ENOENT  /proc is not there, or is another pid namespace's
 *   others   as open(2) and pidfd_open(2)
 */
int ancestor_open(pid_t *ret_pid, int *ret_pidfd);

/* Opens a pidfd of @pid, close-on-exec. -ESRCH: it has ended (also when not yet waited for). */
int ancestor_open_pid(pid_t pid, int *ret_pidfd);

#endif
