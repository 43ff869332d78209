/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FDSTORE_H
#define TEMPFILED_FDSTORE_H

/*
 * Directories that only a descriptor leads to, kept by the service manager while the daemon is
 * restarted. Without one that keeps descriptors nothing is kept, and nothing else changes.
 *
 * A descriptor is known by its directory's number and inode number; the latter so that a database
 * that has been exchanged is not misled. Each function takes NULL for @f.
 */

#include <stdbool.h>
#include <stdint.h>

struct fdstore;

/* Takes up what was kept. Inherited descriptors with other names are left alone. */
int fdstore_new(struct fdstore **ret);
void fdstore_free(struct fdstore *f);

/* What was kept of this directory, now the caller's; -1: nothing. */
int fdstore_take(struct fdstore *f, uint64_t id, uint64_t ino);

/* Has it kept; @fd stays the caller's. False: it was not handed over. */
bool fdstore_keep(struct fdstore *f, uint64_t id, uint64_t ino, int fd);
void fdstore_forget(struct fdstore *f, uint64_t id, uint64_t ino);

/* What has not been taken is of no use to anybody: one that is forgotten, to be closed; -1: none. */
int fdstore_drop_one(struct fdstore *f);

#endif
