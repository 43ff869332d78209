/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_TEXT_H
#define TEMPFILED_TEXT_H

/*
 * Bytes of unknown origin made fit for a terminal, and measured in its columns.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Replaces every byte that is not part of a printable character of the locale by \xNN, and the
 * backslash itself too, so that the original can be told. Characters that change the direction of
 * text or take no space are replaced as well. Returns a string to be freed; NULL: out of memory.
 */
char *text_escape(const char *s);

/* The same, but a backslash stays: for messages that hold words of ours as well. */
char *text_escape_message(const char *s);

/* Columns that an escaped text takes on a terminal. */
size_t text_width(const char *s);

/*
 * Shortens an escaped text to @width columns, cutting from the middle, where a path tells least.
 * Returns a string to be freed; NULL: out of memory.
 */
char *text_shorten(const char *s, size_t width);

/* Has no line of an escaped text be wider than @width columns, where it can be broken at a space,
 * which a line feed takes the place of. */
void text_wrap(char *s, size_t width);

/* How much of the front of @s, in bytes, is one well-formed UTF-8 character; 0: none is. */
size_t text_utf8_length(const char *s, unsigned int *ret_codepoint);

/* Is this a character without a place of its own, or one that turns the direction of text? */
bool text_is_invisible(unsigned int codepoint);

#endif
