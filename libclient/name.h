/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_NAME_H
#define TEMPFILED_NAME_H

/*
 * Names that carry a tag.
 *
 *     prefix + TAG + RANDOM + CHECK + suffix
 *              11    5        6        characters of [0-9A-Za-z]
 *
 * TAG is the 64-bit mark that one process's names in one directory share, RANDOM 29 random bits,
 * CHECK 32 bits of a keyed hash (SipHash-2-4) over prefix, tag, random and suffix. Who does not
 * hold the key can't make a name that passes; a copy such as NAME.bak fails, because the suffix
 * is part of what is checked. Pure: no I/O, no state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_TAG_CHARS 11U
#define NAME_RANDOM_CHARS 5U
#define NAME_CHECK_CHARS 6U
#define NAME_MARK_CHARS (NAME_TAG_CHARS + NAME_RANDOM_CHARS + NAME_CHECK_CHARS)
#define NAME_KEY_SIZE 16U
#define NAME_LEN_MAX 255U /* NAME_MAX of every Linux file system worth the name */

/* SipHash-2-4 of @len bytes at @data. */
uint64_t name_hash(const uint8_t key[NAME_KEY_SIZE], const void *data, size_t len);

/* Writes @len characters of [0-9A-Za-z] that spell @value, most significant first, no NUL. */
void name_encode(uint64_t value, char *buf, size_t len);

/* The reverse. False when a character is none of these or the number needs more than 64 bits. */
bool name_decode(const char *text, size_t len, uint64_t *ret);

/* Spells the tag as it stands in names; @buf receives a NUL too. */
void name_of_tag(uint64_t tag, char buf[NAME_TAG_CHARS + 1]);

/*
 * Makes a name. @random may be any value; 29 bits of it are used. @buf receives name and NUL.
 * Returns the name's length, or -ENAMETOOLONG when prefix and suffix leave no room for the mark
 * in NAME_LEN_MAX bytes, or -EINVAL when prefix or suffix holds a slash.
 */
int name_make(uint64_t tag, const uint8_t key[NAME_KEY_SIZE], uint64_t random, const char *prefix,
              const char *suffix, char buf[NAME_LEN_MAX + 1]);

/* Is @name (of @len bytes) one that name_make() made for this tag with this key? */
bool name_check(uint64_t tag, const uint8_t key[NAME_KEY_SIZE], const char *name, size_t len);

/* Is this a single component that may be created or deleted: not empty, "." or "..", no slash or
 * NUL inside, at most NAME_LEN_MAX bytes? */
bool name_is_component(const char *name, size_t len);

#endif
