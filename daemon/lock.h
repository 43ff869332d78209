/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_LOCK_H
#define TEMPFILED_LOCK_H

/*
 * The lock of a state directory: one daemon at a time, and who it is.
 */

#include <stdbool.h>
#include <sys/types.h>

/* *ret_fd: has the lock for as long as it is open. -EBUSY: another process has it. */
int lock_take(int dirfd, int *ret_fd);

struct lock_holder {
        pid_t pid;
        bool is_killed; /* but can't end: one of its threads is inside the kernel */
};

/* Who has it, where another process does; false: that can't be told. */
bool lock_find_holder(const char *directory, struct lock_holder *ret);

#endif
