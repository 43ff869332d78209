/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_NEWOWNER_H
#define TEMPFILED_NEWOWNER_H

/*
 * The owner that --owner-pid, --lease, --unit and --boot name; without any, whoever asked.
 */

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tools/ctl.h"

struct newowner {
        struct tempfile_admin_owner owner; /* its pidfd is owned */
        pid_t pid;                         /* where it is a process; else 0 */
};

/* Checks that there is one at most. CTL_OK, or CTL_USAGE after telling. */
int newowner_check(const struct ctl *c);

/* @ret is valid, and to be given to newowner_done(), in any case. CTL_OK, or after telling why not. */
int newowner_open(const struct ctl *c, struct newowner *ret);

static inline void newowner_done(struct newowner *n)
{
        n->owner.pidfd = close_fd(n->owner.pidfd);
}

/* The same for process @pid, 0: the program that asked. */
int newowner_open_process(pid_t pid, pid_t *ret_pid, int *ret_pidfd);

#endif
