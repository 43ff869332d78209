/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REGISTRY_FIXTURE_H
#define TEMPFILED_REGISTRY_FIXTURE_H

/* A registry with its server and a store, and two clients of it: this process, and a child. */

#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)

extern struct client here; /* of this process, which lives */

/* Checked fixture. */
void registry_setup(void);
void registry_teardown(void);

/* A child's body: five files and a directory with something in it, under TAG; then it waits. */
void make_some(void);
const char *path_under_tag(unsigned int seq); /* what a child calls its files */

bool is_empty(const struct wire_status_reply *s); /* without owners, too */
bool has_no_entries(const struct wire_status_reply *s);

#endif
