/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_OPTION_TABLE_H
#define TEMPFILED_OPTION_TABLE_H

/*
 * All options of all commands: where each is valid, what it does, and what --help prints.
 */

#include <stddef.h>

#include "tools/ctl.h"

#define OPTION_ROWS_MAX 96

enum argument {
        ARG_NONE,
        ARG_REQUIRED,
        ARG_OPTIONAL,      /* of the long form only; without a short one */
        ARG_LONG_OPTIONAL, /* required after the short form, optional after the long one */
};

struct option_row {
        const char *name; /* NULL: only a short one */
        char letter;      /* 0: only a long one */
        enum argument argument;
        unsigned int commands;
        const char *metavar;
        const char *help;
        /* 0, or CTL_... after telling an error */
        int (*apply)(struct ctl *c, const struct option_row *row, const char *value);
        size_t offset; /* of the member of struct ctl that a general apply function sets */
};

extern const struct option_row option_rows[];
extern const size_t n_option_rows;

#endif
