/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_EXCLUSION_H
#define TEMPFILED_EXCLUSION_H

/*
 * Paths that tmpfiles.d(5) speaks of: made on purpose, or not to be cleaned up.
 */

struct exclusions;

/* Reads the configuration, as far as it is there and readable. 0, or -ENOMEM. */
int exclusions_read(struct exclusions **ret);

void exclusions_free(struct exclusions *x);
static inline void exclusions_freep(struct exclusions **x)
{
        exclusions_free(*x);
}

/* The line that speaks of @path or of something below it, as "FILE: GLOB"; NULL: none. Borrowed. */
const char *exclusions_find(const struct exclusions *x, const char *path);

#endif
