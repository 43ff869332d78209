/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROC_H
#define TEMPFILED_PROC_H

/* Files in /proc/PID. */

#include <stddef.h>
#include <sys/types.h>

#define PROC_MAX 1048576U /* more than any that is read as a whole */

/* What is in there, at most @max bytes, and a NUL; to be freed. -ESRCH: no such process; or as open(2)
 * and read(2). */
int proc_read(pid_t pid, const char *what, size_t max, char **ret, size_t *ret_len);

/* What follows @label at the beginning of a line; NULL: no line begins so. */
const char *proc_field(const char *text, const char *label);

#endif
