/* SPDX-License-Identifier: MIT */

/*
 * How long it is remembered what owners had that have ended: until the disk has it, and no longer.
 */

#include <check.h>

#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)
#define MANY_TAGS 1100U
#define PAUSE 100U /* each waits for the disk, and a wait here is bounded */

static void tag_often(void)
{
        struct client c;

        client_start(&c);
        for (unsigned int i = 0; i < MANY_TAGS; i++) {
                ck_assert_int_eq(client_tag(&c, TAG + i, file_path("")), 0);
                if (i % PAUSE == PAUSE - 1)
                        worker_pause();
        }
}

static bool has_no_tags(const struct wire_status_reply *s)
{
        return s->tags == 0 && s->owners == 0;
}

/* Sooner than they would go one by one: who makes many has to be the one who waits for the disk. */
START_TEST(many_go_within_less_than_a_minute)
{
        struct worker w;

        worker_start(&w, geteuid(), tag_often);
        for (unsigned int i = 0; i < MANY_TAGS / PAUSE; i++) {
                worker_wait(&w);
                worker_go_on(&w);
        }
        worker_wait(&w);
        worker_kill(&w);
        wait_status(has_no_tags); /* half a minute at most */
}
END_TEST

static void tag_once(void)
{
        struct client c;

        client_start(&c);
        ck_assert_int_eq(client_tag(&c, TAG + (uint64_t) getpid(), file_path("")), 0);
}

static bool is_past(void *userdata)
{
        return server_status().uptime_usec > *(uint64_t *) userdata;
}

/* Somebody ends every second, for more than the minute after which the first are to go. */
START_TEST(who_ends_does_not_keep_others)
{
        uint64_t next = 0, n = 0;
        struct worker w;

        while (next < 75 * USEC_PER_SEC) {
                worker_start(&w, geteuid(), tag_once);
                worker_wait(&w);
                worker_kill(&w);
                n++;
                next = server_status().uptime_usec + USEC_PER_SEC;
                ck_assert(unit_run_until(event, is_past, &next));
        }
        ck_assert_uint_lt(server_status().tags, n);
}
END_TEST

static Suite *tombstone_suite(void)
{
        Suite *s = suite_create("tombstone");
        TCase *c = tcase_create("tombstone");

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 180);
        tcase_add_checked_fixture(c, server_setup, server_teardown);
        tcase_add_test(c, many_go_within_less_than_a_minute);
        if (getenv("TEMPFILED_TEST_FULL"))
                tcase_add_test(c, who_ends_does_not_keep_others);
        return s;
}

int main(void)
{
        return unit_main(tombstone_suite());
}
