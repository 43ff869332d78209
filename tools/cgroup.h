/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CGROUP_H
#define TEMPFILED_CGROUP_H

/* Where cgroups of version 2 are in the file system. */

#include <sys/types.h>

/* The directory of the cgroup that a process, 0: this one, is in; to be freed. -EOPNOTSUPP: there
 * are none, or it is outside of those that are seen here. */
int cgroup_path(pid_t pid, char **ret);

#endif
