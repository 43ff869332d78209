/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_RINGS_H
#define TEMPFILED_RINGS_H

/*
 * The memory (libclient/ring.h) in which clients report: read for a few connections at a time, those
 * that report much.
 */

#include <sys/queue.h>

struct conn;

struct rings {
        TAILQ_HEAD(, conn) used; /* whose are read, the oldest first */
        unsigned int n;
};

void rings_init(struct rings *r);

/* Reads @fd's from now on, which is borrowed; or tells its writer that nobody does, if others need it
 * more. Returns 0; -EBADMSG it is no ring; -ENOMEM. */
int rings_add(struct rings *r, struct conn *c, int fd);

/* What was written there is lost, unless it was read before. Nothing, if it has none. */
void rings_drop(struct rings *r, struct conn *c);

#endif
