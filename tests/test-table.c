/* SPDX-License-Identifier: MIT */

/*
 * The table: aligned, never wider than the terminal, and in bounded memory.
 */

#include <check.h>
#include <locale.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/table.h"
#include "tools/text.h"

/* Title, least width, priority, weight, number. */
static const struct table_column columns[] = {
        { "ID", 0, 10, 1, false },
        { "N", 0, 20, 1, true },
        { "PATH", 4, 30, 1, false },
};

static const char *const rows[][ARRAY_SIZE(columns)] = {
        { "1.1", "7", "/tmp/a" },
        { "1.2", "1234", "/tmp/a-rather-long-name" },
};

static struct table *table;
static FILE *file;
static char *text;
static size_t text_size;

static void setup(void)
{
        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
        text = NULL;
        file = open_memstream(&text, &text_size);
        ck_assert_ptr_nonnull(file);
}

static void teardown(void)
{
        table_free(table);
        table = NULL;
        if (file)
                fclose(file);
        free(text);
}

static void start(size_t width, bool has_header, bool has_colors)
{
        const struct table_style style = { width, has_header, has_colors };

        ck_assert_int_eq(table_new(file, columns, ARRAY_SIZE(columns), &style, &table), 0);
}

static void add_rows(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                ck_assert_int_eq(table_add(table, rows[i], TABLE_PLAIN), 0);
}

/* What was printed. */
static const char *finish(void)
{
        ck_assert_int_eq(table_flush(table), 0);
        ck_assert_int_eq(fclose(file), 0);
        file = NULL;
        return text;
}

START_TEST(columns_are_aligned_and_nothing_is_cut_without_a_terminal)
{
        start(TABLE_UNLIMITED, true, false);
        add_rows();
        ck_assert_str_eq(finish(), "ID     N PATH\n"
                                   "1.1    7 /tmp/a\n"
                                   "1.2 1234 /tmp/a-rather-long-name\n");
}
END_TEST

START_TEST(header_can_be_left_out)
{
        start(TABLE_UNLIMITED, false, false);
        add_rows();
        ck_assert_str_eq(finish(), "1.1    7 /tmp/a\n1.2 1234 /tmp/a-rather-long-name\n");
}
END_TEST

START_TEST(empty_table_has_no_header)
{
        start(80, true, false);
        ck_assert_str_eq(finish(), "");
}
END_TEST

START_TEST(long_cells_are_shortened_to_the_width)
{
        start(20, true, false);
        add_rows();
        ck_assert_str_eq(finish(), "ID     N PATH\n"
                                   "1.1    7 /tmp/a\n"
                                   "1.2 1234 /tmp/\xe2\x80\xa6-name\n");
}
END_TEST

START_TEST(least_important_column_goes_first)
{
        start(11, true, false);
        add_rows();
        ck_assert_str_eq(finish(), "   N PATH\n"
                                   "   7 /tmp/a\n"
                                   "1234 /t\xe2\x80\xa6"
                                   "ame\n");
}
END_TEST

/* The widest line, in columns. */
static size_t widest(char *s)
{
        size_t width = 0;
        char *saved;

        for (char *line = strtok_r(s, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved))
                width = MAX(width, text_width(line));
        return width;
}

START_TEST(no_line_is_wider_than_the_terminal)
{
        start((size_t) _i, true, false);
        add_rows();
        (void) finish();
        ck_assert_uint_le(widest(text), (size_t) _i);
}
END_TEST

START_TEST(rows_beyond_those_held_back_fit_too)
{
        static const char *const wide[] = { "123456.1234567", "99999999", "/tmp/wide" };

        start(30, true, false);
        for (int i = 0; i < 2500; i++)
                ck_assert_int_eq(table_add(table, rows[0], TABLE_PLAIN), 0);
        ck_assert_int_eq(table_add(table, wide, TABLE_PLAIN), 0);
        (void) finish();
        ck_assert_uint_le(widest(text), 30);
}
END_TEST

START_TEST(rows_beyond_those_held_back_are_all_printed)
{
        size_t lines = 0;

        start(TABLE_UNLIMITED, true, false);
        for (int i = 0; i < 2500; i++)
                ck_assert_int_eq(table_add(table, rows[0], TABLE_PLAIN), 0);
        for (const char *p = finish(); *p; p++)
                lines += *p == '\n';
        ck_assert_uint_eq(lines, 2501);
}
END_TEST

START_TEST(colours_enclose_the_line)
{
        start(80, false, true);
        ck_assert_int_eq(table_add(table, rows[0], TABLE_RED), 0);
        ck_assert_int_eq(table_add(table, rows[0], TABLE_PLAIN), 0);
        ck_assert_str_eq(finish(), "\033[1;31m1.1 7 /tmp/a\033[0m\n1.1 7 /tmp/a\n");
}
END_TEST

START_TEST(cells_are_escaped)
{
        static const char *const odd[] = { "1.1", "7", "/tmp/\033[2Ja\nb" };

        start(80, false, true);
        ck_assert_int_eq(table_add(table, odd, TABLE_PLAIN), 0);
        ck_assert_str_eq(finish(), "1.1 7 /tmp/\\x1b[2Ja\\x0ab\n");
}
END_TEST

START_TEST(what_is_no_terminal_gets_neither_width_nor_colours)
{
        struct table_style style;
        FILE *plain = tmpfile();

        ck_assert_ptr_nonnull(plain);
        ck_assert_int_eq(setenv("COLUMNS", "20", 1), 0);
        ck_assert_int_eq(setenv("TERM", "xterm", 1), 0);
        style = table_style_for(plain, true);
        fclose(plain);
        ck_assert_uint_eq(style.width, TABLE_UNLIMITED);
        ck_assert(!style.has_colors);
}
END_TEST

static Suite *table_suite(void)
{
        Suite *s = suite_create("table");
        TCase *t = tcase_create("table");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, columns_are_aligned_and_nothing_is_cut_without_a_terminal);
        tcase_add_test(t, header_can_be_left_out);
        tcase_add_test(t, empty_table_has_no_header);
        tcase_add_test(t, long_cells_are_shortened_to_the_width);
        tcase_add_test(t, least_important_column_goes_first);
        tcase_add_loop_test(t, no_line_is_wider_than_the_terminal, 1, 40);
        tcase_add_test(t, rows_beyond_those_held_back_fit_too);
        tcase_add_test(t, rows_beyond_those_held_back_are_all_printed);
        tcase_add_test(t, colours_enclose_the_line);
        tcase_add_test(t, cells_are_escaped);
        tcase_add_test(t, what_is_no_terminal_gets_neither_width_nor_colours);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        SRunner *runner = srunner_create(table_suite());
        int failed;

        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
