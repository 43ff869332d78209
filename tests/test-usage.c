/* SPDX-License-Identifier: MIT */

/* What users have, and may have: counting, refusing, sharing a turn, and the rate. */

#include <check.h>
#include <errno.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/usage.h"
#include "libclient/util.h"
#include "tests/unit.h"

#define ALICE 1001
#define MALLORY 1002
#define SHARE 4096U /* of a turn */

static struct usage *usage;
static struct usage_user *alice, *mallory;
static struct usage_limits limits;

static void setup(void)
{
        struct config c;

        log_set_level(LOG_ERR); /* refusals are told, and here there are many */
        config_init(&c);
        limits = c.limits;
        limits.messages_per_sec = UINT64_MAX;
        ck_assert_int_eq(usage_new(&usage), 0);
        usage_set_limits(usage, &limits);
        alice = usage_user(usage, ALICE);
        mallory = usage_user(usage, MALLORY);
        ck_assert_ptr_nonnull(alice);
        ck_assert_ptr_nonnull(mallory);
}

static void teardown(void)
{
        usage_free(usage);
}

static void limit(enum usage_what what, uint64_t max)
{
        limits.max[what] = max;
        usage_set_limits(usage, &limits);
}

START_TEST(user_is_found_again)
{
        ck_assert_ptr_eq(usage_user(usage, ALICE), alice);
        ck_assert_ptr_ne(alice, mallory);
}
END_TEST

START_TEST(who_has_enough_gets_no_more)
{
        enum usage_what what = (enum usage_what) _i;

        limit(what, 2);
        usage_take(mallory, what, 1);
        ck_assert_int_eq(usage_may(mallory, what), 0);
        usage_take(mallory, what, 1);
        ck_assert_int_eq(usage_may(mallory, what), -EDQUOT);
        ck_assert(!usage_has_room(mallory, what));
        ck_assert_int_eq(usage_may(alice, what), 0); /* others do */
        usage_give_back(mallory, what, 1);
        ck_assert_int_eq(usage_may(mallory, what), 0);
        ck_assert_uint_eq(usage_refused(usage), 1);
}
END_TEST

START_TEST(root_may_have_anything)
{
        struct usage_user *root = usage_user(usage, 0);

        limit(USAGE_OWNERS, 0);
        ck_assert_int_eq(usage_may(root, USAGE_OWNERS), 0);
        usage_take(root, USAGE_OWNERS, 1000);
        ck_assert_int_eq(usage_may(root, USAGE_OWNERS), 0);
}
END_TEST

START_TEST(lower_limit_takes_nothing_away)
{
        usage_take(mallory, USAGE_OWNERS, 10);
        limit(USAGE_OWNERS, 5);
        ck_assert_int_eq(usage_may(mallory, USAGE_OWNERS), -EDQUOT);
        usage_give_back(mallory, USAGE_OWNERS, 6);
        ck_assert_int_eq(usage_may(mallory, USAGE_OWNERS), 0);
}
END_TEST

START_TEST(no_user_gets_all_descriptors_of_the_process)
{
        struct usage_nearest n;

        limit(USAGE_CONNECTIONS, UINT64_MAX - 1);
        usage_take(mallory, USAGE_CONNECTIONS, 1);
        ck_assert(usage_get_nearest(usage, NULL, &n));
        ck_assert_uint_lt(n.max, UINT64_MAX / 8);
}
END_TEST

START_TEST(entries_count_when_they_are_committed)
{
        struct usage_nearest n;

        limit(USAGE_ENTRIES, 10);
        usage_entries_change(mallory, 6);
        usage_settle(usage, false); /* nothing of it has happened */
        ck_assert(!usage_get_nearest(usage, NULL, &n));
        usage_entries_change(mallory, 6);
        usage_entries_change(mallory, 4);
        ck_assert_int_eq(usage_may(mallory, USAGE_ENTRIES), -EDQUOT); /* before it is, too */
        usage_settle(usage, true);
        ck_assert_int_eq(usage_may(mallory, USAGE_ENTRIES), -EDQUOT);
        usage_entries_change(mallory, -1);
        ck_assert_int_eq(usage_may(mallory, USAGE_ENTRIES), -EDQUOT); /* not gone for good yet */
        usage_settle(usage, true);
        ck_assert_int_eq(usage_may(mallory, USAGE_ENTRIES), 0);
        usage_entries_change(mallory, 3);
        usage_entries_change(mallory, -3);
        usage_settle(usage, true);
        ck_assert(usage_get_nearest(usage, NULL, &n));
        ck_assert_uint_eq(n.used, 9);
}
END_TEST

START_TEST(nearest_limit_is_shown)
{
        const uid_t only = ALICE;
        struct usage_nearest n;

        limit(USAGE_OWNERS, 10);
        limit(USAGE_ENTRIES, 100);
        usage_take(alice, USAGE_OWNERS, 5);
        usage_take(mallory, USAGE_ENTRIES, 90);
        usage_take(usage_user(usage, 0), USAGE_OWNERS, 1000); /* has none */
        ck_assert(usage_get_nearest(usage, NULL, &n));
        ck_assert_uint_eq(n.uid, MALLORY);
        ck_assert_int_eq(n.what, USAGE_ENTRIES);
        ck_assert_uint_eq(n.used, 90);
        ck_assert_uint_eq(n.max, 100);
        ck_assert(usage_get_nearest(usage, &only, &n));
        ck_assert_uint_eq(n.uid, ALICE);
        ck_assert_int_eq(n.what, USAGE_OWNERS);
}
END_TEST

START_TEST(turn_is_shared)
{
        ck_assert_uint_eq(usage_left(mallory, 1), SHARE);
        usage_spend(mallory, 1, SHARE - 1);
        ck_assert_uint_eq(usage_left(mallory, 1), 1);
        usage_spend(mallory, 1, 1);
        ck_assert_uint_eq(usage_left(mallory, 1), 0);
        ck_assert(!usage_is_too_fast(mallory));
        ck_assert_uint_eq(usage_left(alice, 1), SHARE);
        ck_assert_uint_eq(usage_left(mallory, 2), SHARE);
}
END_TEST

START_TEST(rate_is_kept)
{
        uint64_t n;

        limits.messages_per_sec = 100;
        usage_set_limits(usage, &limits);
        n = usage_left(mallory, 1);
        ck_assert_uint_eq(n, 10); /* what comes in a tenth of a second */
        usage_spend(mallory, n, n);
        n = usage_left(mallory, 2);
        ck_assert_uint_le(n, 10); /* however long that took */
        if (n == 0)
                ck_assert(usage_is_too_fast(mallory));
        ck_assert_uint_eq(usage_left(usage_user(usage, 0), 1), SHARE); /* root's is none */
}
END_TEST

/* What had to be read, though it was too much, is owed. */
START_TEST(what_was_too_much_is_paid_for_later)
{
        limits.messages_per_sec = 100;
        usage_set_limits(usage, &limits);
        ck_assert_uint_eq(usage_left(mallory, 1), 10);
        usage_spend(mallory, 100000, 10); /* a thousand seconds */
        for (uint64_t turn = 2; turn < 10; turn++) {
                ck_assert_uint_eq(usage_left(mallory, turn), 0);
                ck_assert(usage_is_too_fast(mallory));
        }
}
END_TEST

static Suite *usage_suite(void)
{
        Suite *s = suite_create("usage");
        TCase *t = tcase_create("usage");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, user_is_found_again);
        tcase_add_loop_test(t, who_has_enough_gets_no_more, 0, USAGE_MAX);
        tcase_add_test(t, root_may_have_anything);
        tcase_add_test(t, lower_limit_takes_nothing_away);
        tcase_add_test(t, no_user_gets_all_descriptors_of_the_process);
        tcase_add_test(t, entries_count_when_they_are_committed);
        tcase_add_test(t, nearest_limit_is_shown);
        tcase_add_test(t, turn_is_shared);
        tcase_add_test(t, rate_is_kept);
        tcase_add_test(t, what_was_too_much_is_paid_for_later);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(usage_suite());
}
