/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_TARGET_H
#define TEMPFILED_TARGET_H

/*
 * A path as callers give it, taken apart: the directory, opened, and the name in it. The last
 * component is never followed.
 */

#include <stdbool.h>

#include "libclient/name.h"
#include "libclient/ownfd.h"

struct target {
        struct ownfd dir; /* O_PATH */
        char *dir_path;   /* canonical */
        char name[NAME_LEN_MAX + 1];
        bool has_slash; /* the path ended in one: only a directory will do */
};

/*
 * Returns 0; -EINVAL empty, "/", or ends in "." or ".."; -ENAMETOOLONG; or as open(2) of the
 * directory.
 */
int target_read(const char *path, struct target *ret);
void target_done(struct target *g);

/* A descriptor of the directory that it can be written to disk with, or as open(2). */
int target_open(const struct target *g);

#endif
