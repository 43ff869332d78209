/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SELECT_H
#define TEMPFILED_SELECT_H

/*
 * The entries that a command's arguments name, by number or by path.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libclient/libtempfile-admin.h"

/* What an argument of a command names: one entry by number, or all at a path. */
struct selector {
        const char *argument; /* borrowed */
        char *path;           /* absolute; NULL: a number was given */
        uint64_t *ids;        /* the number given; or, once looked for, those at the path */
        size_t n_ids;
};

struct selection {
        size_t n;
        struct selector items[];
};

/* @arguments: borrowed for the life of the names. 0; -ENOMEM; or why a path can't be made absolute. */
int selection_new(char *const arguments[], size_t n, struct selection **ret);

void selection_free(struct selection *wanted);
static inline void selection_freep(struct selection **wanted)
{
        selection_free(*wanted);
}

/* Does it name this entry? */
bool selector_matches(const struct selector *s, const struct tempfile_entry *e);

/* Lists once to find the numbers of all that are at the paths. 0, or negative errno. */
int selection_find(struct selection *wanted, struct tempfile_admin *a,
                   const struct tempfile_filter *filter);

/* An absolute path, as it was written, and without slashes at the end. To be freed. */
int select_make_absolute(const char *argument, char **ret);

#endif
