/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_DIRECTORY_H
#define TEMPFILED_DIRECTORY_H

/*
 * Opening a directory and telling later whether another opening is the same one. Pure questions to
 * the file system: nothing is made, nothing remembered.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libclient/ownfd.h"

/*
 * Opens it, O_RDONLY, or O_PATH when it may not be read; close-on-exec, not a standard descriptor.
 * Returns 0 or as open(2).
 */
int directory_open(const char *path, struct ownfd *ret, bool *ret_is_unreadable);

/* Its canonical absolute path, to be freed. @asked led to it. -ENAMETOOLONG: too long for the wire;
 * -ENOENT, -ESTALE: no path leads there (any more). */
int directory_path(const struct ownfd *dir, const char *asked, char **ret);

/* A hash of its file handle, which is not reused as inode numbers are. 0: the file system has none. */
uint64_t directory_handle(const struct ownfd *dir);

#endif
