/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ENTRY_H
#define TEMPFILED_ENTRY_H

/*
 * Entries as people write and read them: numbers and words.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libclient/libtempfile-admin.h"
#include "tools/json.h"
#include "tools/quantity.h"
#include "tools/usage.h"

#define ENTRY_ID_SIZE 24 /* "4294967295.4294967295" and the NUL */
#define ENTRY_AGE_SIZE 24
#define ENTRY_OWNER_SIZE 256
#define ENTRY_ERROR_SIZE 24

/* The number of an entry, as N.M: its upper and its lower 32 bits. */
void entry_format_id(uint64_t id, char ret[static ENTRY_ID_SIZE]);

/* The reverse. 0, or -EINVAL: this is not such a number (it may be a path). */
int entry_parse_id(const char *s, uint64_t *ret);

const char *entry_kind_name(uint32_t kind);
const char *entry_state_name(uint32_t state);
const char *entry_owner_kind_name(uint32_t owner_kind);

/* A length of time in its largest unit: "5s", "3min", "2h", "4d". */
void entry_format_age(uint64_t usec, char ret[static ENTRY_AGE_SIZE]);

/* Whose end means deletion, short: the command; the unit; a lease's rest; what kind it is. */
void entry_format_owner(const struct tempfile_entry *e, char ret[static ENTRY_OWNER_SIZE]);

/* Is its process number that of the owner, and not only of who registered it? */
bool entry_has_process(const struct tempfile_entry *e);

/* How long ago that was; "-" for 0. */
void entry_format_since(uint64_t realtime_usec, char ret[static ENTRY_AGE_SIZE]);

/* The name of a negative errno, as "EACCES"; "" for 0. */
void entry_format_error(int32_t error, char ret[static ENTRY_ERROR_SIZE]);

/* A user's name, or its number. Borrowed until the next call. */
const char *entry_user_name(uint32_t uid);

/* The entry as a JSON object. @usage: NULL: sizes were not asked for. */
void entry_print_json(struct json *j, const struct tempfile_entry *e, const struct usage *usage);

/* What the object has in it. */
void entry_print_json_members(struct json *j, const struct tempfile_entry *e);

/* "size" and "size_partial", null where nothing is known. */
void entry_print_json_usage(struct json *j, const struct usage *usage);

/* "1.2M"; "1.2M+" where there may be more; "-" where nothing is known. */
void entry_format_usage(const struct usage *usage, char ret[static QUANTITY_SIZE_SIZE]);

#endif
