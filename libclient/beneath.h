/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENEATH_H
#define TEMPFILED_BENEATH_H

/*
 * Going down into directories, and back up, without being led astray: never through a symbolic
 * link, never onto another mount, not even a bind mount of the same file system.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What an open directory is recognised by, as long as something keeps it alive. */
struct beneath_id {
        uint64_t device;
        uint64_t inode;
        uint64_t mount; /* 0: this kernel does not say; then the device stands for it */
        mode_t mode;    /* permission bits, when it was looked at */
};

int beneath_identify(int fd, struct beneath_id *ret);

bool beneath_is_same(const struct beneath_id *a, const struct beneath_id *b);

/*
 * Opens the directory @name in @dirfd: a single component, or "..", and then it is for the caller
 * to compare. @flags: O_RDONLY or O_PATH and the like; @origin: whose mount it has to be on.
 * Returns a descriptor, or among others -ENOTDIR (a symbolic link, too), -EXDEV.
 */
int beneath_open(int dirfd, const char *name, int flags, const struct beneath_id *origin,
                 struct beneath_id *ret);

/* Gives the owner all rights on an open directory. 0 also when it had them: a retry tells whether
 * that helps. */
int beneath_permit(int fd);

/* The same for @name in @dirfd, which need not let itself be opened. */
int beneath_permit_at(int dirfd, const char *name, const struct beneath_id *origin);

#endif
