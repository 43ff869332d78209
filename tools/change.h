/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CHANGE_H
#define TEMPFILED_CHANGE_H

/*
 * What the commands that change entries share: finding those that the command line names, asking
 * when they are many, going on after a failure, counting.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libclient/libtempfile-admin.h"
#include "tools/ctl.h"

struct change {
        const char *verb;      /* "keep" */
        const char *done;      /* "kept" */
        uint32_t timeout_msec; /* for each; 0: the usual */

        /* Does it, to one entry. Returns how many it was done to, or a negative errno. */
        int64_t (*apply)(const struct change *change, struct tempfile_admin *a, uint64_t id);

        /* What an error of that means in words that follow "'PATH' "; NULL: nothing special. */
        const char *(*explain)(const struct change *change, int error);

        bool wants_ownerless; /* of what a filter finds, only what has no owner any more */
        const void *userdata;
};

/* Does all of it. Returns an exit status, after having told what went wrong. */
int change_run(const struct ctl *c, const struct change *change);

/* Takes a length of time off the end of the arguments. CTL_OK, or CTL_USAGE after telling why. */
int change_take_time(struct ctl *c, uint32_t *ret_sec);

#endif
