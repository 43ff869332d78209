/* SPDX-License-Identifier: MIT */

/*
 * The start: owners that can't be told about at once, because there is no descriptor left to look
 * with, or because their directory is away. Neither makes them dead, nor lets them live for ever.
 */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)

static struct client here;
static int locked = -1;
static char held[256]; /* the path that belongs to it */

static void setup(void)
{
        server_setup();
        client_start(&here);
}

static void teardown(void)
{
        server_before_load = NULL;
        locked = close_fd(locked);
        server_teardown();
}

/* ---- who owns what ---- */

static void make_three(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        for (unsigned int seq = 1; seq <= 3; seq++)
                client_make(&c, seq);
        client_settle(&c);
        worker_pause();
}

/* A file that goes with the last copy of a descriptor. */
static void make_locked(void)
{
        struct wire_claim m = {
                .ref = { .tag_or_id = TAG + 1, .seq = 1 },
                .owner = { .kind = WIRE_OWNER_DESCRIPTOR },
                .flags = WIRE_CLAIM_GIVE,
        };

        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), 0);
        client_make(&here, 1);
        (void) snprintf(held, sizeof(held), "%s", file_path(client_name(&here, 1, "")));
        locked = open(held, O_RDWR | O_CLOEXEC);
        ck_assert_int_ge(locked, 0);
        ck_assert_int_eq(flock(locked, LOCK_EX), 0);
        ck_assert_int_eq(client_ask(&here, &m, sizeof(m), WIRE_CLAIM, locked, NULL), 0);
        client_close(&here);
}

static bool has_one(const struct wire_status_reply *s)
{
        return s->live == 1 && s->waiting == 0;
}

static bool has_none(const struct wire_status_reply *s)
{
        return s->live + s->reaping + s->stuck + s->waiting == 0;
}

/* ---- no descriptor left ---- */

static struct rlimit enough;

static void starve(void)
{
        _cleanup_(closep) int next = open("/", O_PATH | O_CLOEXEC);
        struct rlimit limit = enough;

        limit.rlim_cur = (rlim_t) next;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(owners_that_could_not_be_asked_about_are_asked_again)
{
        struct worker w;

        worker_start(&w, geteuid(), make_three);
        worker_wait(&w);
        make_locked();
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &enough), 0);
        server_before_load = starve;
        server_restart();
        server_run_until_idle();
        ck_assert_uint_eq(server_status().live, 4);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &enough), 0);
        worker_kill(&w);
        locked = close_fd(locked);
        wait_path_gone(held);
        wait_status(has_none);
        ck_assert_uint_eq(unit_count_names(file_path("")), 0);
}
END_TEST

/* ---- a directory that is away ---- */

START_TEST(descriptor_owner_whose_directory_is_away_is_not_dead)
{
        char away[UNIT_PATH_SIZE + 8];

        (void) snprintf(away, sizeof(away), "%s/away", server_dir);
        make_locked();
        server_stop();
        ck_assert_int_eq(rename(file_path(""), away), 0);
        server_restart();
        server_run_until_idle();
        ck_assert(has_one((struct wire_status_reply[]) { server_status() }));
        ck_assert_int_eq(rename(away, file_path("")), 0);
        ck_assert(unit_exists(held));
        locked = close_fd(locked);
        wait_path_gone(held);
        wait_status(has_none);
}
END_TEST

static Suite *load_suite(void)
{
        Suite *s = suite_create("load");
        TCase *t = tcase_create("load");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, owners_that_could_not_be_asked_about_are_asked_again);
        tcase_add_test(t, descriptor_owner_whose_directory_is_away_is_not_dead);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(load_suite());
}
