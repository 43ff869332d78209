/* SPDX-License-Identifier: MIT */

/*
 * A name reserved for another owner, by a process that is about to make it: whichever of the two
 * ends first, and whatever was not said, the thing is deleted at the other's end at the latest.
 */

#include <check.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)
#define NAME "reserved-0123456789ab"

static struct client maker;

static uint64_t reserve_leased(unsigned int kind)
{
        struct wire_register m = {
                .tag = TAG,
                .owner = { .kind = WIRE_OWNER_LEASE, .lease_sec = 1 },
                .kind = (uint8_t) kind,
                .name_len = sizeof(NAME) - 1,
        };
        uint8_t packet[sizeof(m) + sizeof(NAME)];
        uint64_t id = 0;

        client_start(&maker);
        ck_assert_int_eq(client_tag(&maker, TAG, file_path("")), 0);
        memcpy(packet, &m, sizeof(m));
        memcpy(packet + sizeof(m), NAME, sizeof(NAME));
        ck_assert_int_eq(client_ask(&maker, packet, sizeof(packet), WIRE_RESERVE, -1, &id), 0);
        return id;
}

static bool has_no_entries(const struct wire_status_reply *s)
{
        return s->live + s->reaping + s->retained + s->stuck + s->waiting == 0;
}

/* The lease has ended and was dealt with: the maker is left, and what it may still make. */
static bool is_the_makers(const struct wire_status_reply *s)
{
        return s->owners == 1 && s->live == 1;
}

/* Made first, since the answer may wait for the disk for longer than the lease lasts: it is only
 * when the lease has ended that somebody looks. */
START_TEST(lease_ends_a_file_that_was_not_said_to_be_made)
{
        unit_write(file_path(NAME), "");
        (void) reserve_leased(WIRE_KIND_FILE);
        wait_path_gone(file_path(NAME));
        wait_status(has_no_entries);
        client_close(&maker);
}
END_TEST

START_TEST(lease_ends_a_directory_that_was_not_said_to_be_made)
{
        ck_assert_int_eq(mkdir(file_path(NAME), 0700), 0);
        (void) reserve_leased(WIRE_KIND_DIRECTORY);
        wait_path_gone(file_path(NAME));
        wait_status(has_no_entries);
        client_close(&maker);
}
END_TEST

START_TEST(what_is_made_after_the_end_goes_when_that_is_said)
{
        uint64_t id = reserve_leased(WIRE_KIND_FILE);

        wait_status(is_the_makers);
        unit_write(file_path(NAME), "");
        client_report(&maker, WIRE_SETTLED, id, 0, 0, "");
        wait_path_gone(file_path(NAME));
        wait_status(has_no_entries);
        client_close(&maker);
}
END_TEST

START_TEST(what_is_not_made_after_all_is_forgotten)
{
        uint64_t id = reserve_leased(WIRE_KIND_FILE);

        wait_status(is_the_makers);
        client_report(&maker, WIRE_GONE, id, 0, 0, "");
        client_settle(&maker);
        ck_assert_uint_eq(server_status().live, 0);
        client_close(&maker);
}
END_TEST

static void reserve_and_wait(void)
{
        (void) reserve_leased(WIRE_KIND_FILE);
        worker_pause();
}

START_TEST(what_is_made_after_the_end_goes_with_its_maker)
{
        struct worker w;

        worker_start(&w, geteuid(), reserve_and_wait);
        worker_wait(&w);
        wait_status(is_the_makers);
        unit_write(file_path(NAME), "");
        worker_kill(&w);
        wait_path_gone(file_path(NAME));
        wait_status(has_no_entries);
}
END_TEST

static Suite *reserved_suite(void)
{
        Suite *s = suite_create("reserved");
        TCase *t = tcase_create("maker");

        tcase_add_checked_fixture(t, server_setup, server_teardown);
        tcase_add_test(t, lease_ends_a_file_that_was_not_said_to_be_made);
        tcase_add_test(t, lease_ends_a_directory_that_was_not_said_to_be_made);
        tcase_add_test(t, what_is_made_after_the_end_goes_when_that_is_said);
        tcase_add_test(t, what_is_not_made_after_all_is_forgotten);
        tcase_add_test(t, what_is_made_after_the_end_goes_with_its_maker);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(reserved_suite());
}
