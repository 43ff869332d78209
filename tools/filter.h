/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FILTER_H
#define TEMPFILED_FILTER_H

/*
 * Which entries the command line asks for, as far as the daemon does not tell them apart.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libclient/libtempfile-admin.h"
#include "tools/ctl.h"

struct filter {
        const struct ctl *ctl;
        char *under;       /* NULL: anywhere */
        char *unit;        /* NULL: any */
        uint64_t now_usec; /* of the wall clock */
};

/* 0, or -ENOMEM. */
int filter_init(struct filter *f, const struct ctl *c);
void filter_done(struct filter *f);

/* Leaves .larger to who knows sizes. */
bool filter_matches(const struct filter *f, const struct tempfile_entry *e);

/* The daemon's word for one that was given: "foo" is "foo.service". */
char *filter_unit_name(const char *unit);

/* Is @path @dir, or below it? */
bool filter_is_under(const char *path, const char *dir);

#endif
