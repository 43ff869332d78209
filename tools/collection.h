/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_COLLECTION_H
#define TEMPFILED_COLLECTION_H

/*
 * Copies of entries, to be sorted. The only thing here whose memory grows with what is listed.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libclient/libtempfile-admin.h"
#include "tools/usage.h"

/* An entry as it is listed. */
struct listed {
        struct tempfile_entry entry;
        struct usage usage; /* where sizes were asked for */
};

struct collection {
        struct listed *items; /* the strings are owned */
        size_t n;
        size_t n_allocated;
};

void collection_done(struct collection *c);

/* Copies it. 0, or -ENOMEM. */
int collection_add(struct collection *c, const struct tempfile_entry *e, const struct usage *usage);

/* There is one. */
void collection_drop_last(struct collection *c);

/* Is this a key to sort by? NULL is one: the order in which they came. */
bool collection_is_key(const char *key);

/* Numbers and ages from small to large, words by their bytes; equal ones as they came. */
void collection_sort(struct collection *c, const char *key, bool is_reverse);

#endif
