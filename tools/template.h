/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_TEMPLATE_H
#define TEMPFILED_TEMPLATE_H

/*
 * mktemp(1)'s rules: from the template and the options of the command line to the path of what is
 * to be made.
 */

#include <stddef.h>

#include "tools/ctl.h"

struct name_template {
        char *path;       /* as it is to be printed, but for the X */
        size_t name_at;   /* where its last component begins */
        size_t random_at; /* the X that are to be replaced */
        size_t random_len;
};

/*
 * @ret is valid, and to be given to template_done(), in any case. CTL_OK, or after telling what is
 * wrong.
 */
int template_init(struct name_template *ret, const struct ctl *c);

static inline void template_done(struct name_template *t)
{
        free(t->path);
}

/* The directory, and what is before, with, and behind the X: to be freed; NULL: out of memory. */
char *template_directory(const struct name_template *t);
char *template_pattern(const struct name_template *t); /* the name up to the last X */
const char *template_suffix(const struct name_template *t);

/* @s in quotation marks, as mktemp(1) shows names: to be freed; NULL: out of memory. */
char *template_quote(const char *s);

#endif
