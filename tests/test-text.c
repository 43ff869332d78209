/* SPDX-License-Identifier: MIT */

/*
 * Text for terminals and JSON: whatever the bytes, what comes out is harmless and valid.
 */

#include <check.h>
#include <locale.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/json.h"
#include "tools/text.h"

#define CSI_C1 "\xc2\x9b"           /* U+009B, which some terminals take for ESC [ */
#define RTL_OVERRIDE "\xe2\x80\xae" /* U+202E */
#define REPLACEMENT "\357\277\275"  /* U+FFFD */
#define WIDE "\xe6\xbc\xa2"         /* a character of two columns */
#define DOTS "\xe2\x80\xa6"

static void use_utf8(void)
{
        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

static void use_ascii(void)
{
        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C"));
}

/* ---- escaping ---- */

static const struct {
        const char *raw, *escaped;
} escapes[] = {
        { "", "" },
        { "/tmp/plain name", "/tmp/plain name" },
        { "new\nline\ttab", "new\\x0aline\\x09tab" },
        { "\033[31mred", "\\x1b[31mred" },
        { "del\x7f", "del\\x7f" },
        { "back\\slash", "back\\x5cslash" },
        { "caf\xc3\xa9", "caf\xc3\xa9" },
        { "latin1 \xe9", "latin1 \\xe9" },
        { "cut \xc3", "cut \\xc3" },
        { CSI_C1 "31m", "\\xc2\\x9b31m" },
        { "a" RTL_OVERRIDE "b", "a\\xe2\\x80\\xaeb" },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* half of a surrogate pair */
        { "\xc0\xaf", "\\xc0\\xaf" },          /* a slash, longer than needed */
};

START_TEST(what_a_terminal_would_act_on_is_escaped)
{
        _cleanup_(freep) char *escaped = NULL;

        use_utf8();
        escaped = text_escape(escapes[_i].raw);
        ck_assert_str_eq(escaped, escapes[_i].escaped);
}
END_TEST

START_TEST(without_a_locale_only_ascii_is_printed)
{
        _cleanup_(freep) char *escaped = NULL;

        use_ascii();
        escaped = text_escape("caf\xc3\xa9 ok");
        ck_assert_str_eq(escaped, "caf\\xc3\\xa9 ok");
}
END_TEST

START_TEST(no_byte_below_space_survives)
{
        use_utf8();
        for (int c = 1; c < 256; c++) {
                _cleanup_(freep) char *escaped = NULL;
                const char raw[] = { (char) c, '\0' };

                escaped = text_escape(raw);
                for (const char *p = escaped; *p; p++)
                        ck_assert_msg(*p >= ' ' && *p < 0x7f, "byte 0x%02x", c);
        }
}
END_TEST

/* ---- measuring ---- */

START_TEST(width_counts_columns_not_bytes)
{
        use_utf8();
        ck_assert_uint_eq(text_width(""), 0);
        ck_assert_uint_eq(text_width("caf\xc3\xa9"), 4);
        ck_assert_uint_eq(text_width(WIDE WIDE), 4);
        ck_assert_uint_eq(text_width("e\xcc\x81"), 1); /* a combining accent */
}
END_TEST

static const struct {
        const char *text;
        size_t width;
        const char *shortened;
} shortenings[] = {
        { "abcdefghij", 10, "abcdefghij" },
        { "abcdefghij", 5, "ab" DOTS "ij" },
        { "abcdefghij", 4, "a" DOTS "ij" },
        { "abcdefghij", 2, DOTS "j" },
        { "abcdefghij", 1, "a" },
        { "abcdefghij", 0, "" },
        { WIDE WIDE WIDE, 5, WIDE DOTS WIDE },
        { WIDE WIDE WIDE, 4, DOTS WIDE },
};

START_TEST(shortened_text_keeps_both_ends)
{
        _cleanup_(freep) char *s = NULL;

        use_utf8();
        s = text_shorten(shortenings[_i].text, shortenings[_i].width);
        ck_assert_str_eq(s, shortenings[_i].shortened);
        ck_assert_uint_le(text_width(s), shortenings[_i].width);
}
END_TEST

START_TEST(shortened_ascii_has_three_dots_where_they_fit)
{
        _cleanup_(freep) char *wide = NULL, *narrow = NULL;

        use_ascii();
        wide = text_shorten("abcdefghijklmnop", 9);
        narrow = text_shorten("abcdefghijklmnop", 5);
        ck_assert_str_eq(wide, "abc...nop");
        ck_assert_str_eq(narrow, "ab~op");
}
END_TEST

/* ---- JSON ---- */

/* What @print writes, to be freed. */
static char *written(void (*print)(struct json *j, const void *arg), enum json_style style,
                     const void *arg)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        struct json j;

        ck_assert_ptr_nonnull(f);
        json_init(&j, f, style);
        print(&j, arg);
        json_done(&j);
        ck_assert_int_eq(fclose(f), 0);
        return text;
}

static void print_member(struct json *j, const void *arg)
{
        json_begin(j, NULL, '{');
        json_string(j, "s", arg);
        json_end(j, '}');
}

static const struct {
        const char *raw, *json;
} strings[] = {
        { "", "{\"s\":\"\"}\n" },
        { "\"\\/", "{\"s\":\"\\\"\\\\/\"}\n" },
        { "a\nb\tc\x01", "{\"s\":\"a\\nb\\tc\\u0001\"}\n" },
        { "\x7f" CSI_C1, "{\"s\":\"\\u007f\\u009b\"}\n" },
        { RTL_OVERRIDE, "{\"s\":\"\\u202e\"}\n" },
        { "\xf3\xa0\x80\x81", "{\"s\":\"\\udb40\\udc01\"}\n" }, /* U+E0001, an invisible tag */
        { WIDE, "{\"s\":\"" WIDE "\"}\n" },
        { "x\xff", "{\"s\":\"x" REPLACEMENT "\",\"s_hex\":\"78ff\"}\n" },
        { "\xc3", "{\"s\":\"" REPLACEMENT "\",\"s_hex\":\"c3\"}\n" },
        { "\xed\xa0\x80",
          "{\"s\":\"" REPLACEMENT REPLACEMENT REPLACEMENT "\",\"s_hex\":\"eda080\"}\n" },
        { "\xf4\x90\x80\x80", "{\"s\":\"" REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT
                              "\",\"s_hex\":\"f4908080\"}\n" },
};

START_TEST(json_strings_are_valid_whatever_the_bytes)
{
        _cleanup_(freep) char *text = NULL;

        use_ascii(); /* JSON does not depend on the locale */
        text = written(print_member, JSON_SHORT, strings[_i].raw);
        ck_assert_str_eq(text, strings[_i].json);
}
END_TEST

static void print_nested(struct json *j, const void *arg)
{
        json_begin(j, NULL, '[');
        json_begin(j, NULL, '{');
        json_unsigned(j, "n", UINT64_MAX);
        json_bool(j, "b", true);
        json_null(j, "z");
        json_begin(j, "empty", '[');
        json_end(j, ']');
        json_end(j, '}');
        json_begin(j, NULL, '{');
        json_end(j, '}');
        json_end(j, ']');
}

START_TEST(json_fits_on_one_line)
{
        _cleanup_(freep) char *text = written(print_nested, JSON_SHORT, NULL);

        ck_assert_str_eq(text, "[{\"n\":18446744073709551615,\"b\":true,\"z\":null,"
                               "\"empty\":[]},{}]\n");
}
END_TEST

START_TEST(json_can_be_indented)
{
        _cleanup_(freep) char *text = written(print_nested, JSON_PRETTY, NULL);

        ck_assert_str_eq(text, "[\n  {\n    \"n\": 18446744073709551615,\n    \"b\": true,\n"
                               "    \"z\": null,\n    \"empty\": []\n  },\n  {}\n]\n");
}
END_TEST

static const struct {
        size_t width;
        const char *text, *wrapped;
} wraps[] = {
        { 9, "a sentence of words.", "a\nsentence\nof words." },
        { 20, "a sentence of words.", "a sentence of words." },
        { 19, "a sentence of words.", "a sentence of\nwords." },
        { 3, "unbreakable or not", "unbreakable\nor\nnot" },
        { 6, "\n12 34 56\n78 9\n", "\n12 34\n56\n78 9\n" },
        { 2, "\344\275\240 \345\245\275", "\344\275\240\n\345\245\275" },
        { SIZE_MAX, "all of it", "all of it" },
        { 1, "", "" },
};

START_TEST(lines_are_broken_between_words)
{
        char text[64];

        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
        (void) strcpy(text, wraps[_i].text);
        text_wrap(text, wraps[_i].width);
        ck_assert_str_eq(text, wraps[_i].wrapped);
}
END_TEST

static Suite *text_suite(void)
{
        Suite *s = suite_create("text");
        TCase *terminal = tcase_create("terminal"), *json = tcase_create("json");

        tcase_add_loop_test(terminal, what_a_terminal_would_act_on_is_escaped, 0,
                            ARRAY_SIZE(escapes));
        tcase_add_test(terminal, without_a_locale_only_ascii_is_printed);
        tcase_add_test(terminal, no_byte_below_space_survives);
        tcase_add_test(terminal, width_counts_columns_not_bytes);
        tcase_add_loop_test(terminal, shortened_text_keeps_both_ends, 0, ARRAY_SIZE(shortenings));
        tcase_add_test(terminal, shortened_ascii_has_three_dots_where_they_fit);
        tcase_add_loop_test(terminal, lines_are_broken_between_words, 0, ARRAY_SIZE(wraps));
        suite_add_tcase(s, terminal);

        tcase_add_loop_test(json, json_strings_are_valid_whatever_the_bytes, 0,
                            ARRAY_SIZE(strings));
        tcase_add_test(json, json_fits_on_one_line);
        tcase_add_test(json, json_can_be_indented);
        suite_add_tcase(s, json);
        return s;
}

int main(void)
{
        SRunner *runner = srunner_create(text_suite());
        int failed;

        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
