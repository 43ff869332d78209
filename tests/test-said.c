/* SPDX-License-Identifier: MIT */

/* What is said once a day. */

#include "daemon/said.h"

#include "tests/unit.h"

#define HOUR_USEC (SAID_DAY_USEC / 24)
#define START (100 * SAID_DAY_USEC)

static struct said *said;

static void set_up(void)
{
        said = said_new(START);
        ck_assert_ptr_nonnull(said);
}

static void tear_down(void)
{
        said_free(said);
}

START_TEST(each_is_said_once_a_day_however_often_it_is_tried)
{
        unsigned int n = 0;

        for (uint64_t hour = 0; hour < 100; hour++)
                for (unsigned int i = 0; i < 50; i++)
                        n += said_may_say(said, 7, hour + i == 0, START + hour * HOUR_USEC);
        ck_assert_uint_eq(n, 5);
}
END_TEST

START_TEST(each_is_said_on_its_own)
{
        for (uint64_t i = 1; i <= 1000; i++)
                ck_assert(said_may_say(said, i, true, START + i));
        for (uint64_t i = 1; i <= 1000; i++)
                ck_assert(!said_may_say(said, i, false, START + SAID_DAY_USEC));
        for (uint64_t i = 1; i <= 1000; i++)
                ck_assert(said_may_say(said, i, false, START + i + SAID_DAY_USEC));
}
END_TEST

START_TEST(what_was_tried_before_the_start_may_have_been_said)
{
        ck_assert(!said_may_say(said, 7, false, START));
        ck_assert(!said_may_say(said, 7, false, START + SAID_DAY_USEC - 1));
        ck_assert(said_may_say(said, 7, false, START + SAID_DAY_USEC));
        ck_assert(!said_may_say(said, 7, false, START + SAID_DAY_USEC));
}
END_TEST

static Suite *said_suite(void)
{
        Suite *s = suite_create("said");
        TCase *c = tcase_create("said");

        suite_add_tcase(s, c);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, each_is_said_once_a_day_however_often_it_is_tried);
        tcase_add_test(c, each_is_said_on_its_own);
        tcase_add_test(c, what_was_tried_before_the_start_may_have_been_said);
        return s;
}

int main(void)
{
        return unit_main(said_suite());
}
