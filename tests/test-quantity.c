/* SPDX-License-Identifier: MIT */

/*
 * tools/quantity.c: what is a length of time or a size, what is none, and how sizes are written.
 */

#include <check.h>
#include <errno.h>

#include "libclient/util.h"
#include "tools/quantity.h"

#define YEAR (UINT64_C(365) * 86400)
#define PREFILL UINT64_C(42) /* what a failure leaves as it was */

static const struct {
        const char *text;
        int result;
        uint64_t sec;
} times[] = {
        { "0", 0, 0 },
        { "90", 0, 90 },
        { "90s", 0, 90 },
        { "5m", 0, 300 },
        { "5min", 0, 300 },
        { "2h", 0, 7200 },
        { "1d12h", 0, 36 * 3600 },
        { "1d 12h 1", 0, 36 * 3600 + 1 },
        { "1w", 0, 7 * 86400 },
        { "100y", 0, 100 * YEAR },
        { "100y 1", -ERANGE, 0 },
        { "101y", -ERANGE, 0 },
        { "18446744073709551615", -ERANGE, 0 },
        { "18446744073709551616", -ERANGE, 0 },
        { "99999999999999999999999d", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "+1", -EINVAL, 0 },
        { "1.5h", -EINVAL, 0 },
        { "1x", -EINVAL, 0 },
        { "1hh", -EINVAL, 0 },
        { "h", -EINVAL, 0 },
        { "1H", -EINVAL, 0 },
        { "1h-1m", -EINVAL, 0 },
        { "0x10", -EINVAL, 0 },
};

START_TEST(times_are_read)
{
        uint64_t usec = PREFILL;

        ck_assert_int_eq(quantity_parse_time(times[_i].text, &usec), times[_i].result);
        ck_assert_uint_eq(usec, times[_i].result < 0 ? PREFILL : times[_i].sec * USEC_PER_SEC);
}
END_TEST

static const struct {
        const char *text;
        int result;
        uint64_t bytes;
} sizes[] = {
        { "0", 0, 0 },
        { "4096", 0, 4096 },
        { "10B", 0, 10 },
        { "10K", 0, 10240 },
        { "10KiB", 0, 10240 },
        { "1M", 0, UINT64_C(1) << 20 },
        { "1G", 0, UINT64_C(1) << 30 },
        { "16383P", 0, UINT64_C(16383) << 50 },
        { "16384P", -ERANGE, 0 },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { "K", -EINVAL, 0 },
        { "1k", -EINVAL, 0 },
        { "1KB", -EINVAL, 0 },
        { "1.5", -EINVAL, 0 },
        { "1.K", -EINVAL, 0 },
        { ".5K", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "1G1M", -EINVAL, 0 },
        { "1 G", -EINVAL, 0 },
};

START_TEST(sizes_are_read)
{
        uint64_t bytes = PREFILL;

        ck_assert_int_eq(quantity_parse_bytes(sizes[_i].text, &bytes), sizes[_i].result);
        ck_assert_uint_eq(bytes, sizes[_i].result < 0 ? PREFILL : sizes[_i].bytes);
}
END_TEST

/* A thousandth is what counts behind the point. */
START_TEST(fractions_are_read)
{
        uint64_t bytes;

        ck_assert_int_eq(quantity_parse_bytes("1.5G", &bytes), 0);
        ck_assert_uint_ge(bytes, (UINT64_C(3) << 29) - 1000);
        ck_assert_uint_le(bytes, UINT64_C(3) << 29);
        ck_assert_int_eq(quantity_parse_bytes("0.0000000000000000000000001K", &bytes), 0);
        ck_assert_uint_eq(bytes, 0);
}
END_TEST

static const struct {
        uint64_t bytes;
        const char *text;
} written[] = {
        { 0, "0" },
        { 1023, "1023" },
        { 1024, "1.0K" },
        { 1025, "1.1K" },
        { 4096, "4.0K" },
        { 10 * 1024, "10K" },
        { 10 * 1024 + 1, "11K" },
        { (UINT64_C(1) << 20) - 1, "1024K" },
        { UINT64_C(1) << 20, "1.0M" },
        { UINT64_C(3) << 29, "1.5G" },
        { UINT64_MAX, "16E" },
};

START_TEST(sizes_are_written)
{
        char text[QUANTITY_SIZE_SIZE];

        quantity_format_bytes(written[_i].bytes, text);
        ck_assert_str_eq(text, written[_i].text);
}
END_TEST

START_TEST(numbers_are_read)
{
        uint64_t n = PREFILL;

        ck_assert_int_eq(quantity_parse_number("17", 17, &n), 0);
        ck_assert_uint_eq(n, 17);
        ck_assert_int_eq(quantity_parse_number("18", 17, &n), -EINVAL);
        ck_assert_int_eq(quantity_parse_number("1 ", 17, &n), -EINVAL);
        ck_assert_int_eq(quantity_parse_number("", 17, &n), -EINVAL);
        ck_assert_uint_eq(n, 17);
}
END_TEST

static Suite *quantity_suite(void)
{
        Suite *s = suite_create("quantity");
        TCase *c = tcase_create("quantity");

        tcase_add_loop_test(c, times_are_read, 0, ARRAY_SIZE(times));
        tcase_add_loop_test(c, sizes_are_read, 0, ARRAY_SIZE(sizes));
        tcase_add_test(c, fractions_are_read);
        tcase_add_loop_test(c, sizes_are_written, 0, ARRAY_SIZE(written));
        tcase_add_test(c, numbers_are_read);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *runner = srunner_create(quantity_suite());
        int failed;

        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
