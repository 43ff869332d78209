/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_LEFTOVER_H
#define TEMPFILED_LEFTOVER_H

/*
 * Is this something that a program left behind?
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tools/exclusion.h"
#include "tools/inuse.h"
#include "tools/usage.h"

enum verdict {
        VERDICT_LEFTOVER,
        VERDICT_USED,     /* a process holds it, or something in it */
        VERDICT_YOUNG,    /* used too short a time ago */
        VERDICT_TRACKED,  /* the daemon looks after it */
        VERDICT_EXCLUDED, /* made on purpose, as tmpfiles.d says */
        VERDICT_UNKNOWN,  /* it could not be looked into */
};

struct judge {
        const struct inuse *inuse;
        const struct exclusions *exclusions;
        /* Does the daemon look after @path, or after something below it? */
        bool (*is_tracked)(const char *path, void *userdata);
        void *userdata;
        uint64_t now_usec; /* of the wall clock */
        uint64_t age_usec;
};

struct leftover {
        char *path; /* owned */
        struct stat st;
        struct usage usage;
        enum verdict verdict;
        char *reason; /* owned */
};

/* Looks at @name in the directory @dirfd, whose path is @dir. 0; -ENOENT it is gone; -ENOMEM. */
int leftover_judge(const struct judge *j, int dirfd, const char *dir, const char *name,
                   struct leftover *ret);
void leftover_done(struct leftover *l);

const char *leftover_verdict_name(enum verdict verdict);

#endif
