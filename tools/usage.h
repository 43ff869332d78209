/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_USAGE_H
#define TEMPFILED_USAGE_H

/*
 * How much room something takes on its file system.
 */

#include <stdbool.h>
#include <stdint.h>

struct usage {
        uint64_t bytes; /* allocated; each of several hard links counts */
        uint64_t names;
        uint64_t used_usec; /* last change of anything in it, or reading of a file; since 1970 */
        int error;          /* negative errno: nothing is known; 0 */
        bool is_partial;    /* not all of it could be looked at: at least that much */
};

struct stat;

/* Called for each name. A result other than 0 ends the walk. */
typedef int (*usage_fn)(const char *name, const struct stat *st, void *userdata);

/* Looks at @path itself, never through a symbolic link, and at what is below on the same mount. */
void usage_of_path(const char *path, struct usage *ret);

/* The same for @name in the directory @parent. @fn may be NULL. Returns what it ended with, or 0. */
int usage_walk(int parent, const char *name, usage_fn fn, void *userdata, struct usage *ret);

#endif
