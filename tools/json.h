/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_JSON_H
#define TEMPFILED_JSON_H

/*
 * Writes JSON as it goes, so that a list of any length needs no memory.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum json_style {
        JSON_SHORT,  /* all on one line */
        JSON_PRETTY, /* one value a line, indented */
};

struct json {
        FILE *file;
        enum json_style style;
        unsigned int depth;
        bool is_empty; /* nothing yet in the innermost array or object */
};

void json_init(struct json *j, FILE *file, enum json_style style);

/* Containers; @key is NULL in an array and at the top. */
void json_begin(struct json *j, const char *key, char bracket); /* '[' or '{' */
void json_end(struct json *j, char bracket);                    /* ']' or '}' */

/* Ends the text with a newline. */
void json_done(struct json *j);

/*
 * A string of any bytes. What is not UTF-8 becomes U+FFFD, byte by byte, and a second member
 * "KEY_hex" then holds all the bytes in hexadecimal. The output is always valid UTF-8, and control
 * characters, also those above ASCII, are escaped.
 */
void json_string(struct json *j, const char *key, const char *s);

void json_unsigned(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
