/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_UNIT_H
#define TEMPFILED_UNIT_H

/*
 * systemd's units, as far as the names of control groups tell. Needs no systemd.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Is this process in the unit? 1 it is; 0 it is not; negative errno. */
int unit_has_process(const char *unit, pid_t pid);

/* Finds a process of the unit. Close-on-exec. @ret_cgroup: the inode of the unit's cgroup, which
 * may lie in another unit's, as a user's do; 0: not to be seen. 0; -ESRCH none is in it; others. */
int unit_open_process(const char *unit, int *ret_pidfd, uint64_t *ret_cgroup);

#endif
