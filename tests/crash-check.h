/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CRASH_CHECK_H
#define TEMPFILED_CRASH_CHECK_H

/*
 * Foreign files: those that lie in every directory of a crash_world, with known contents, and are
 * nobody's temporaries.
 */

#include <stdbool.h>

/* What the names of databases have that were set aside. */
#define CRASH_SET_ASIDE ".damaged-"

/* Makes them in @dir. Negative errno. */
int crash_foreign_make(const char *dir);

/* Is this name one of theirs? */
bool crash_foreign_is(const char *name);

/* Makes a file with these contents. Negative errno. */
int crash_file_make(const char *path, const char *contents);

#endif
