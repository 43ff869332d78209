/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_BENCH_GONE_H
#define TEMPFILED_BENCH_GONE_H

/*
 * Seeing that names have left a directory: by counting events where they are few, so that it is seen
 * at once; by looking every millisecond whether the directory is empty where they are many, since
 * events would get lost and cost the one who deletes.
 */

#include <stdbool.h>

struct gone {
        const char *dir;
        const char *prefix; /* of the names that count */
        unsigned int left;
        int events_fd; /* -1: it is looked */
};

/* To be called before they go: @n names that begin with @prefix. Returns 0 or a negative errno. */
int gone_watch(struct gone *g, const char *dir, const char *prefix, unsigned int n);

/* Returns 0, or -ETIMEDOUT; either way it is over with @g. */
int gone_wait(struct gone *g);

#endif
