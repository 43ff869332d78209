/* SPDX-License-Identifier: MIT */

/*
 * A table that is printed while it grows.
 *
 * Owns the rows that it holds back: widths come from the first thousand, so that a list of a
 * million needs no more memory than those. Promises that on a terminal no line is wider than it,
 * at any width: columns that may are shortened, then the least important ones left out. Elsewhere
 * nothing is shortened. Errors in writing stay in the stream, for ctl_finish_output().
 */

#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "libclient/util.h"
#include "tools/table.h"
#include "tools/text.h"

#define ROWS_MAX 1000

struct row {
        enum table_color color;
        char *cells[TABLE_COLUMNS_MAX]; /* escaped */
};

struct table {
        FILE *file;
        const struct table_column *columns;
        size_t n_columns;
        struct table_style style;
        struct row *rows;
        size_t n_rows;
        bool is_laid_out;
        size_t widths[TABLE_COLUMNS_MAX]; /* widest so far; once laid out, the column's width */
        bool is_hidden[TABLE_COLUMNS_MAX];
};

/* ---- what suits a stream ---- */

static size_t terminal_width(FILE *file)
{
        const char *columns = getenv("COLUMNS");
        struct winsize w = { 0 };

        if (columns && *columns) {
                char *end;
                unsigned long n = strtoul(columns, &end, 10);

                if (*end == '\0' && n > 0 && n < 65536)
                        return n;
        }
        if (ioctl(fileno(file), TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
                return w.ws_col;
        return 80;
}

static bool wants_colors(void)
{
        const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

        return term && *term && !streq(term, "dumb") && !(no_color && *no_color);
}

struct table_style table_style_for(FILE *file, bool has_header)
{
        if (!isatty(fileno(file)))
                return (struct table_style) { TABLE_UNLIMITED, has_header, false };
        return (struct table_style) { terminal_width(file), has_header, wants_colors() };
}

/* ---- rows ---- */

static void row_done(struct row *row)
{
        for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
                free(row->cells[i]);
        *row = (struct row) { 0 };
}

static int row_init(struct row *row, const char *const cells[], size_t n, enum table_color color)
{
        *row = (struct row) { .color = color };
        for (size_t i = 0; i < n; i++) {
                row->cells[i] = text_escape(cells[i]);
                if (!row->cells[i]) {
                        row_done(row);
                        return -ENOMEM;
                }
        }
        return 0;
}

/* ---- layout ---- */

static size_t least_width(const struct table *t, size_t i)
{
        size_t min = t->columns[i].min_width;

        return min > 0 ? MIN(min, t->widths[i]) : t->widths[i];
}

/* All columns that are shown, with one space between them. */
static size_t total_width(const struct table *t, bool is_least)
{
        size_t total = 0, n_shown = 0;

        for (size_t i = 0; i < t->n_columns; i++) {
                if (t->is_hidden[i])
                        continue;
                total += is_least ? least_width(t, i) : t->widths[i];
                n_shown++;
        }
        return total + (n_shown > 0 ? n_shown - 1 : 0);
}

/* Returns false when only one column is left. */
static bool hide_least_important(struct table *t)
{
        size_t least = SIZE_MAX, n_shown = 0;

        for (size_t i = 0; i < t->n_columns; i++) {
                if (t->is_hidden[i])
                        continue;
                n_shown++;
                if (least == SIZE_MAX || t->columns[i].priority < t->columns[least].priority)
                        least = i;
        }
        if (n_shown <= 1)
                return false;
        t->is_hidden[least] = true;
        return true;
}

/* The column that has most above its least width, by its weight; SIZE_MAX: none has any. */
static size_t find_most_generous(const struct table *t)
{
        size_t best = SIZE_MAX, most = 0;

        for (size_t i = 0; i < t->n_columns; i++) {
                size_t spare = t->widths[i] - least_width(t, i);

                spare = (spare + t->columns[i].weight - 1) / t->columns[i].weight;
                if (!t->is_hidden[i] && spare > most) {
                        best = i;
                        most = spare;
                }
        }
        return best;
}

static void fit(struct table *t)
{
        while (total_width(t, true) > t->style.width)
                if (!hide_least_important(t))
                        break;
        while (total_width(t, false) > t->style.width) {
                size_t i = find_most_generous(t);

                if (i == SIZE_MAX)
                        break; /* one column, still too wide: it is cut when it is printed */
                t->widths[i]--;
        }
}

static size_t last_shown(const struct table *t)
{
        size_t last = 0;

        for (size_t i = 0; i < t->n_columns; i++)
                if (!t->is_hidden[i])
                        last = i;
        return last;
}

static void lay_out(struct table *t)
{
        size_t last, others;

        if (t->style.has_header)
                for (size_t i = 0; i < t->n_columns; i++)
                        t->widths[i] = MAX(t->widths[i], text_width(t->columns[i].title));
        t->is_laid_out = true;
        if (t->style.width == TABLE_UNLIMITED)
                return;
        fit(t);
        /* What is left over goes to the last column: later rows may need it. */
        last = last_shown(t);
        others = total_width(t, false) - t->widths[last];
        t->widths[last] = t->style.width > others ? t->style.width - others : 1;
}

/* ---- printing ---- */

static const char *color_code(enum table_color color)
{
        switch (color) {
        case TABLE_RED:
                return "\033[1;31m";
        case TABLE_YELLOW:
                return "\033[1;33m";
        case TABLE_GREY:
                return "\033[2m";
        default:
                return "";
        }
}

static int print_cell(const struct table *t, size_t i, const char *text, bool is_last)
{
        _cleanup_(freep) char *shortened = NULL;
        size_t width = t->widths[i], used;
        int padding;

        if (t->style.width != TABLE_UNLIMITED) {
                shortened = text_shorten(text, width);
                if (!shortened)
                        return -ENOMEM;
                text = shortened;
        }
        used = text_width(text);
        padding = used < width ? (int) (width - used) : 0;
        if (t->columns[i].is_right)
                fprintf(t->file, "%*s%s", padding, "", text);
        else
                fprintf(t->file, "%s%*s", text, is_last ? 0 : padding, "");
        return 0;
}

static int print_line(const struct table *t, const char *const cells[], const char *color)
{
        size_t last = last_shown(t);
        int r;

        if (t->style.has_colors)
                fputs(color, t->file);
        for (size_t i = 0; i <= last; i++) {
                if (t->is_hidden[i])
                        continue;
                r = print_cell(t, i, cells[i], i == last);
                if (r < 0)
                        return r;
                if (i != last)
                        fputc(' ', t->file);
        }
        if (t->style.has_colors && *color)
                fputs("\033[0m", t->file);
        fputc('\n', t->file);
        return 0;
}

static int print_header(const struct table *t)
{
        const char *titles[TABLE_COLUMNS_MAX];

        for (size_t i = 0; i < t->n_columns; i++)
                titles[i] = t->columns[i].title;
        return print_line(t, titles, "\033[4m");
}

static int print_row(const struct table *t, const struct row *row)
{
        return print_line(t, (const char *const *) row->cells, color_code(row->color));
}

int table_flush(struct table *t)
{
        int r = 0;

        if (!t->is_laid_out) {
                lay_out(t);
                if (t->style.has_header && t->n_rows > 0)
                        r = print_header(t);
        }
        for (size_t i = 0; i < t->n_rows; i++) {
                if (r >= 0)
                        r = print_row(t, &t->rows[i]);
                row_done(&t->rows[i]);
        }
        t->n_rows = 0;
        return r;
}

/* ---- the table ---- */

int table_begin(struct table *t, const size_t widths[])
{
        for (size_t i = 0; i < t->n_columns; i++)
                t->widths[i] = widths[i];
        lay_out(t);
        return t->style.has_header ? print_header(t) : 0;
}

int table_add(struct table *t, const char *const cells[], enum table_color color)
{
        struct row *row;
        int r;

        if (t->n_rows == ROWS_MAX || t->is_laid_out) {
                r = table_flush(t);
                if (r < 0)
                        return r;
        }
        row = &t->rows[t->n_rows];
        r = row_init(row, cells, t->n_columns, color);
        if (r < 0)
                return r;
        t->n_rows++;
        if (t->is_laid_out)
                return table_flush(t);
        for (size_t i = 0; i < t->n_columns; i++)
                t->widths[i] = MAX(t->widths[i], text_width(row->cells[i]));
        return 0;
}

int table_new(FILE *file, const struct table_column *columns, size_t n_columns,
              const struct table_style *style, struct table **ret)
{
        _cleanup_(table_freep) struct table *t = NULL;

        if (n_columns == 0 || n_columns > TABLE_COLUMNS_MAX)
                return -EINVAL;
        t = malloc(sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (struct table) {
                .file = file,
                .columns = columns,
                .n_columns = n_columns,
                .style = *style,
        };
        t->rows = calloc(ROWS_MAX, sizeof(*t->rows));
        if (!t->rows)
                return -ENOMEM;
        *ret = TAKE_PTR(t);
        return 0;
}

void table_free(struct table *t)
{
        if (!t)
                return;
        for (size_t i = 0; i < t->n_rows; i++)
                row_done(&t->rows[i]);
        free(t->rows);
        free(t);
}
