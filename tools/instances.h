/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_INSTANCES_H
#define TEMPFILED_INSTANCES_H

/*
 * The daemons of this machine: the system's, and those of users.
 */

#include "libclient/libtempfile-admin.h"
#include "tools/ctl.h"

struct instance {
        const char *name; /* "system", or a user's name or number */
        struct tempfile_admin *admin;
};

/* Returns 0, or a negative errno, which is told, and the next instance is asked. */
typedef int (*instance_fn)(const struct instance *i, void *userdata);

/*
 * Asks the system's daemon and, for root, each user's that has one. CTL_OK, or CTL_FAILED after
 * telling what failed; that there is none at all is a failure, too.
 */
int instances_each(instance_fn fn, void *userdata);

/* Those of users only; those that do not answer are passed over. */
void instances_each_user(instance_fn fn, void *userdata);

#endif
