/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SCAN_H
#define TEMPFILED_SCAN_H

/*
 * What the parts of `tempfilectl scan` share.
 */

#include <stdbool.h>
#include <stddef.h>

#include "tools/ctl.h"
#include "tools/leftover.h"

#define SCAN_AGE_USEC (UINT64_C(86400) * 1000000) /* --older, when it is not given */

struct scan_directory {
        char *path; /* real */
        int fd;
};

struct scan {
        const struct ctl *ctl;
        struct scan_directory *directories;
        size_t n_directories;
        struct inuse *inuse;
        struct exclusions *exclusions;
        void *tracked;   /* tree of paths right in one of the directories */
        bool has_daemon; /* else what is tracked is not known */
        struct judge judge;
        struct leftover *found;
        size_t n_found;
        size_t n_allocated;
        size_t n_seen;
};

/* Looks at the processes, anew if need be. CTL_OK, or CTL_FAILED after telling why. */
int scan_look_at_processes(struct scan *s);

/* May not every process have been seen? */
bool scan_is_incomplete(const struct scan *s);

/* Deletes or adopts what was found, after asking. Returns an exit status. */
int scan_clean(struct scan *s);

/* `scan --deleted`. */
int scan_deleted(struct ctl *c);

#endif
