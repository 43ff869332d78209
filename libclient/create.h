/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CREATE_H
#define TEMPFILED_CREATE_H

/*
 * Creating the thing itself, exclusively and with exact permission bits: nothing is ever more open
 * than asked for, and in the end exactly as open, whatever the umask. On failure nothing is left,
 * unless that can't be removed either.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "libclient/handle.h"

/* They return 0, -EEXIST, or as open(2), mkdir(2), chmod(2). The descriptor is close-on-exec.
 * *ret_is_left is written on failure only, when something was made. */
int create_file(int dirfd, const char *name, mode_t mode, int *ret_fd, bool *ret_is_left);
int create_directory(int dirfd, const char *name, mode_t mode, int *ret_fd, bool *ret_is_left);

/* Takes back what was made. Is it gone? */
bool create_undo(int dirfd, const char *name, uint8_t kind);

/* What the recipe says, for @t. @name is not one of @t's yet. On failure @t knows whether something
 * is left. */
int create_by_recipe(struct tempfile *t, int dirfd, const char *name, const struct recipe *r);

#endif
