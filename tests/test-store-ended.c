/* SPDX-License-Identifier: MIT */

/*
 * What has ended and could be back after a power cut: hidden until its disk has that, an entry again
 * in another boot.
 */

#include "daemon/store.h"

#include <check.h>

#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/store-fixture.h"
#include "tests/unit.h"

static const struct store_bytes identity = { "identity", 8 };

static int end(uint64_t id, uint64_t n_flushes)
{
        return store_end_entry(store, id, identity, n_flushes);
}

static uint64_t forget(uint64_t n_flushes)
{
        uint64_t n = 0;

        ck_assert_int_eq(store_forget_ended(store, 1, n_flushes, &n), 0);
        return n;
}

static uint64_t count_ended(void)
{
        commit();
        return (uint64_t) query_sql("tempfiled.db", "SELECT count(*) FROM ended");
}

START_TEST(nothing_shows_of_what_has_ended)
{
        uint64_t id;
        bool has;

        add_base();
        id = put_plain(2);
        commit();
        ck_assert_int_eq(end(id, 5), 1);
        ck_assert_uint_eq(count_ended(), 1);
        ck_assert_uint_eq(state_of(id), 0);
        ck_assert_uint_eq(store_entries(store), 0);
        ck_assert_int_eq(store_owner_has_entries(store, 2, &has), 0);
        ck_assert(!has);
        ck_assert_int_eq(end(id, 5), 0); /* not a second time */
        ck_assert_int_eq(end(1000, 5), 0);
}
END_TEST

START_TEST(a_flush_covers_what_ended_before_it_began)
{
        uint64_t first, later;

        add_base();
        first = put_plain(2);
        later = put_plain(2);
        ck_assert_int_eq(put_made(1, 1), 0);
        commit();
        ck_assert_int_eq(end(first, 5), 1);
        ck_assert_int_eq(end(STORE_TAG_ID(1, 1), 5), 1);
        ck_assert_int_eq(end(later, 6), 1);
        ck_assert_uint_eq(forget(6), 1); /* the tag's does not count */
        ck_assert_uint_eq(count_ended(), 1);
        ck_assert_uint_eq(forget(7), 1);
        ck_assert_uint_eq(count_ended(), 0);
}
END_TEST

START_TEST(the_same_boot_goes_on_remembering)
{
        uint64_t id;

        add_base();
        id = put_plain(2);
        ck_assert_int_eq(end(id, 5), 1);
        commit();
        store_open_again();
        ck_assert_int_eq(store_recall_ended(store), 0);
        ck_assert_uint_eq(state_of(id), 0);
        ck_assert_uint_eq(forget(1), 1);
}
END_TEST

START_TEST(in_another_boot_it_is_an_entry_again)
{
        struct numbers due = { 0 };
        uint64_t id;

        add_base();
        id = put_plain(2);
        ck_assert_int_eq(end(id, 5), 1);
        commit();
        store_open_again();
        ck_assert_int_eq(store_revive_ended(store), 0);
        ck_assert_uint_eq(count_ended(), 0);
        ck_assert_uint_eq(state_of(id), WIRE_STATE_WAITING);
        ck_assert_uint_eq(store_entries(store), 1);
        ck_assert_int_eq(store_due(store, 10, 10, take_entry, &due), 0);
        ck_assert_uint_eq(due.n, 1);
        ck_assert_uint_eq(due.number[0], id);
}
END_TEST

/* The name that something was moved aside to follows from its number. */
START_TEST(numbers_of_what_has_ended_are_not_used_again)
{
        uint64_t id, last;

        add_base();
        id = put_plain(2);
        ck_assert_int_eq(put_made(1, 7), 0);
        ck_assert_int_eq(end(id, 5), 1);
        ck_assert_int_eq(end(STORE_TAG_ID(1, 7), 5), 1);
        commit();
        store_open_again();
        ck_assert_uint_gt(put_plain(2), id);
        ck_assert_int_eq(store_last_of_tag(store, 1, &last), 0);
        ck_assert_uint_eq(last, STORE_TAG_ID(1, 7));
}
END_TEST

static int take_count(uint64_t id, uint64_t count, void *userdata)
{
        ck_assert_uint_eq(id, 1);
        *(uint64_t *) userdata = count;
        return 0;
}

START_TEST(it_holds_its_directory_and_goes_with_its_tag)
{
        uint64_t count = 0;

        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(end(put_plain(2), 5), 1);
        ck_assert_int_eq(end(STORE_TAG_ID(1, 1), 5), 1);
        commit();
        ck_assert_int_eq(store_count_by_directory(store, take_count, &count), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(store_each_ended(store, take_count, &count), 0);
        ck_assert_uint_eq(count, 1); /* credentials */
        ck_assert_int_eq(store_remove_tag(store, 1), 0);
        ck_assert_uint_eq(count_ended(), 1);
}
END_TEST

static Suite *store_ended_suite(void)
{
        Suite *s = suite_create("store-ended");
        TCase *t = tcase_create("ended");

        tcase_add_checked_fixture(t, store_setup, store_teardown);
        tcase_add_test(t, nothing_shows_of_what_has_ended);
        tcase_add_test(t, a_flush_covers_what_ended_before_it_began);
        tcase_add_test(t, the_same_boot_goes_on_remembering);
        tcase_add_test(t, in_another_boot_it_is_an_entry_again);
        tcase_add_test(t, numbers_of_what_has_ended_are_not_used_again);
        tcase_add_test(t, it_holds_its_directory_and_goes_with_its_tag);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(store_ended_suite());
}
