/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_STAGE_H
#define TEMPFILED_STAGE_H

/*
 * Where the library acts with a daemon that only plays one: a directory for each test, and one
 * socket path for all, because the library remembers. Failures are Check's.
 */

#include <check.h>
#include <limits.h>

#include "libclient/libtempfile.h"
#include "tests/fake-daemon.h"

extern char stage_top[];
extern char stage_socket[PATH_MAX];
extern char stage_dir[PATH_MAX];

/* For each test anew: .dir is the stage's. */
extern struct tempfile_options options;

/* What was heard last. */
extern struct fake_packet packet;

/* Fixtures: unchecked, and checked. */
void stage_make_top(void);
void stage_remove_top(void);
void stage_set_up(void);
void stage_tear_down(void);

/* With the options; that works, or the test has failed. */
struct tempfile *make_file(void);

/* The TAG packet that tells of the test's directory, the @n-th of those. */
struct wire_tag get_tag(unsigned int n);

/* Its exit status, -1: a signal. */
int run_child(int (*body)(void *), void *userdata);

/* Runs the suite with its one case. Returns main()'s status. */
int run_stage(Suite *s, TCase *c);

#endif
