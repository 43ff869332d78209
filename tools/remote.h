/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REMOTE_H
#define TEMPFILED_REMOTE_H

/*
 * The same command on another host, by way of ssh(1).
 */

#include "tools/ctl.h"

/* Notes an option for the host. 0, or CTL_FAILED after telling an error. */
int remote_add_option(struct ctl *c, const char *name, const char *value);

/* Becomes ssh(1), which exits with the command's status. Returns only when it failed. */
int remote_run(struct ctl *c);

#endif
