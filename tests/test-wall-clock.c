/* SPDX-License-Identifier: MIT */

/*
 * Steps of the daemon's wall clock, which mean nothing: who lives keeps what it has, and what is due
 * comes in time.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"
#include "tests/wall-clock.h"

#define YEAR_SEC (INT64_C(365) * 86400)
#define LONG_SEC 1000U

static struct world world;
static struct tempfile_options options;
static char path[PATH_MAX + NAME_MAX + 2];

static void set_up(void)
{
        char file[PATH_MAX + 16];

        world_init(&world);
        options = world_options(&world);
        (void) snprintf(file, sizeof(file), "%s/clock", world.top);
        if (wall_clock_prepare(file))
                world_start_daemon(&world);
}

static void tear_down(void)
{
        wall_clock_forget();
        world_done(&world);
}

#define SKIP_WITHOUT_CLOCK()                                                                       \
        do {                                                                                       \
                if (world.daemon.pid <= 0) {                                                       \
                        (void) fprintf(stderr, "# SKIP no clock can be preloaded here\n");         \
                        return;                                                                    \
                }                                                                                  \
        } while (0)

static void restart_daemon(void)
{
        world_kill_daemon(&world);
        world_start_daemon(&world);
}

static struct tempfile *make_leased(unsigned int sec)
{
        struct tempfile *t = NULL;

        options.owner_kind = TEMPFILE_OWNER_LEASE;
        options.lease_sec = sec;
        ck_assert_int_eq(tempfile_named(&options, &t), 0);
        options.owner_kind = options.lease_sec = 0;
        return t;
}

static int make_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

struct sight {
        unsigned int n_live;
        int64_t made_sec; /* of the one that was made last */
};

static int see(const struct tempfile_entry *e, void *userdata)
{
        struct sight *s = userdata;

        s->n_live += e->state == TEMPFILE_STATE_LIVE;
        s->made_sec = (int64_t) (e->created_usec / USEC_PER_SEC);
        return 0;
}

/* The daemon has tried all that could be due. */
static struct sight look(void)
{
        struct sight s = { 0 };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_ge(tempfile_admin_reap(a, 0, 0), 0);
        ck_assert_int_ge(tempfile_admin_list(a, NULL, see, &s), 0);
        tempfile_admin_close(a);
        return s;
}

/* Else nothing here would be a test. */
START_TEST(the_daemon_has_the_clock_that_is_stepped)
{
        struct tempfile *t;

        SKIP_WITHOUT_CLOCK();
        wall_clock_step(-30 * YEAR_SEC);
        t = make_leased(LONG_SEC);
        ck_assert_int_lt(look().made_sec, (int64_t) time(NULL) - 29 * YEAR_SEC);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(nothing_of_the_living_ends_by_a_step)
{
        static const int64_t steps[] = { 3600, -3600, 30 * YEAR_SEC, -30 * YEAR_SEC, 0 };
        struct tempfile *t;
        struct victim v;

        SKIP_WITHOUT_CLOCK();
        t = make_leased(LONG_SEC);
        victim_start(&v, make_and_wait, NULL);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        ck_assert(wait_list_length(2));
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                wall_clock_step(steps[i]);
                ck_assert_uint_eq(look().n_live, 2);
                restart_daemon();
                ck_assert_uint_eq(look().n_live, 2);
                ck_assert(path_exists(path));
                ck_assert(path_exists(tempfile_path(t)));
        }
        victim_kill(&v, SIGKILL);
        ck_assert(wait_gone(path));
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_lease_ends_in_time_though_the_clock_goes_back)
{
        struct tempfile *t;

        SKIP_WITHOUT_CLOCK();
        t = make_leased(2);
        wall_clock_step(-YEAR_SEC);
        ck_assert(wait_gone(tempfile_path(t)));
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* A machine without a clock of its own, which gets the time from the network later. */
START_TEST(a_clock_that_begins_in_1970)
{
        struct tempfile *t;
        struct victim v;

        SKIP_WITHOUT_CLOCK();
        wall_clock_step(-(int64_t) time(NULL));
        restart_daemon();
        t = make_leased(LONG_SEC);
        victim_start(&v, make_and_wait, NULL);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        ck_assert(wait_list_length(2));
        wall_clock_step(0);
        ck_assert_uint_eq(look().n_live, 2);
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        wall_clock_step(-(int64_t) time(NULL));
        world_start_daemon(&world);
        ck_assert(wait_gone(path));
        ck_assert_uint_eq(look().n_live, 1);
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

static Suite *wall_clock_suite(void)
{
        Suite *s = suite_create("wall-clock");
        TCase *c = tcase_create("clock");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 60);
        tcase_add_test(c, the_daemon_has_the_clock_that_is_stepped);
        tcase_add_test(c, nothing_of_the_living_ends_by_a_step);
        tcase_add_test(c, a_lease_ends_in_time_though_the_clock_goes_back);
        tcase_add_test(c, a_clock_that_begins_in_1970);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(wall_clock_suite());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
