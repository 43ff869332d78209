/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_TABLE_H
#define TEMPFILED_TABLE_H

/*
 * A table on standard output, aligned, and on a terminal as wide as that.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16
#define TABLE_UNLIMITED ((size_t) -1)

struct table_column {
        const char *title;
        size_t min_width;      /* may be shortened down to this; 0: not at all */
        unsigned int priority; /* where space is short, the column with the lowest one goes first */
        unsigned int weight;   /* 1..: how dearly its width is kept when all must be shortened */
        bool is_right;         /* numbers */
};

struct table_style {
        size_t width; /* TABLE_UNLIMITED: nothing is ever shortened or left out */
        bool has_header;
        bool has_colors;
};

enum table_color {
        TABLE_PLAIN,
        TABLE_RED,
        TABLE_YELLOW,
        TABLE_GREY,
};

struct table;

/* What suits the stream: its width when it is a terminal, and colours unless NO_COLOR is set. */
struct table_style table_style_for(FILE *file, bool has_header);

/* @columns: borrowed, must outlive the table. 0, or -ENOMEM. */
int table_new(FILE *file, const struct table_column *columns, size_t n_columns,
              const struct table_style *style, struct table **ret);

/* Frees, without printing what is still held back. */
void table_free(struct table *t);
static inline void table_freep(struct table **t)
{
        table_free(*t);
}

/*
 * Adds a row; @cells are raw bytes, copied and escaped. The first thousand rows are held back to
 * find the widths; later ones are printed at once. 0, or -ENOMEM.
 */
int table_add(struct table *t, const char *const cells[], enum table_color color);

/*
 * For rows that come one by one and are to be seen at once: nothing is held back. @widths: of each
 * column, as far as one can tell. Prints the header. 0, or -ENOMEM.
 */
int table_begin(struct table *t, const size_t widths[]);

/* Prints what is held back. 0, or -ENOMEM. */
int table_flush(struct table *t);

#endif
