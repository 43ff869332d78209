/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_RINGS_H
#define TEMPFILED_RINGS_H

/*
 * The memory (libclient/ring.h) in which clients may report: for a few connections at a time, those
 * that report much.
 */

#include <sys/queue.h>

struct conn;

struct rings {
        TAILQ_HEAD(, conn) lent; /* to whom, the longest first */
        unsigned int n_lent;
};

void rings_init(struct rings *r);

/* *ret_fd, to be sent to the client and closed. -EALREADY it has one; -EBUSY all are in use; -EMFILE,
 * -ENFILE, -ENOMEM. */
int rings_lend(struct rings *r, struct conn *c, int *ret_fd);

/* What was written there is lost, unless it was read before. Nothing, if it has none. */
void rings_take_back(struct rings *r, struct conn *c);

#endif
