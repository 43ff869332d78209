/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ROW_H
#define TEMPFILED_ROW_H

/*
 * A row of the store as clients are shown it.
 */

#include "daemon/store.h"
#include "libclient/wire.h"

#define ROW_PATH_SIZE (2 * WIRE_PATH_MAX)

/*
 * *ret_strings: as wire_add_row() takes them; they point into @path and @row. What a dead owner has
 * left is being reaped, whatever the row says.
 */
void row_to_wire(const struct store_row *row, struct wire_row *ret, char path[ROW_PATH_SIZE],
                 const char *ret_strings[4]);

/* The path of @name in @directory. */
void row_path(const char *directory, const char *name, char path[ROW_PATH_SIZE]);

/* May @asker see what is of user @uid? */
bool row_is_visible(uid_t uid, const struct cred *asker);

#endif
