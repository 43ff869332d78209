/* SPDX-License-Identifier: MIT */

/*
 * Best effort: made without a daemon, deleted by closing, and guaranteed from the moment on that a
 * daemon is there and the process has said something.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

static struct world world;
static struct tempfile_options options;
static char path[PATH_MAX + NAME_MAX + 2];

static void set_up(void)
{
        world_init(&world);
        options = world_options(&world);
        options.flags = TEMPFILE_BEST_EFFORT;
}

static void tear_down(void)
{
        world_done(&world);
}

static const char *const patterns[] = { NULL, "a.XXX", "b.XXXXXXXXXXXX" };

START_TEST(without_a_daemon_it_is_made_and_closing_deletes_it)
{
        struct tempfile *t = NULL;

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                options.pattern = patterns[i];
                ck_assert_int_eq(tempfile_named(&options, &t), 0);
                ck_assert_int_eq(tempfile_is_guaranteed(t), 0);
                ck_assert(path_exists(tempfile_path(t)));
                ck_assert_int_eq(tempfile_close(t), 0);
                ck_assert_int_eq(tempfile_directory(&options, &t), 0);
                ck_assert_int_eq(tempfile_close(t), 0);
        }
        write_file(world_path(&world, "mine"), "");
        ck_assert_int_eq(tempfile_track(world_path(&world, "mine"), &options, &t), 0);
        ck_assert_int_eq(tempfile_is_guaranteed(t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(the_environment_asks_for_it_too)
{
        struct tempfile *t = NULL;

        options.flags = 0;
        ck_assert_int_eq(tempfile_named(&options, &t), -ECONNREFUSED);
        (void) setenv("TEMPFILED_BEST_EFFORT", "0", 1);
        ck_assert_int_eq(tempfile_named(&options, &t), -ECONNREFUSED);
        (void) setenv("TEMPFILED_BEST_EFFORT", "1", 1);
        ck_assert_int_eq(tempfile_named(&options, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        (void) unsetenv("TEMPFILED_BEST_EFFORT");
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(who_does_not_ask_is_refused_in_the_same_directory)
{
        struct tempfile *t = NULL, *strict = NULL;

        ck_assert_int_eq(tempfile_named(&options, &t), 0);
        options.flags = 0;
        ck_assert_int_eq(tempfile_named(&options, &strict), -ECONNREFUSED);
        world_start_daemon(&world);
        ck_assert_int_eq(tempfile_named(&options, &strict), 0);
        ck_assert_int_eq(tempfile_is_guaranteed(strict), 1);
        ck_assert_int_eq(tempfile_is_guaranteed(t), 1);
        ck_assert_int_eq(tempfile_close(strict), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(another_owner_needs_a_daemon)
{
        struct tempfile *t = NULL;

        options.owner_kind = TEMPFILE_OWNER_BOOT;
        ck_assert_int_eq(tempfile_named(&options, &t), -ECONNREFUSED);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* ---- when a daemon comes ---------------------------------------------------------------------- */

/* Makes some without a daemon, is told that one is there, waits until all are guaranteed. */
static int make_early(int to, void *userdata)
{
        struct tempfile *t[ARRAY_SIZE(patterns)];
        char c;

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                options.pattern = patterns[i];
                if (tempfile_named(&options, &t[i]) != 0 || tempfile_is_guaranteed(t[i]) != 0)
                        return 1;
        }
        victim_say(to, "");
        if (read(*(int *) userdata, &c, 1) != 1)
                return 2;
        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++)
                while (tempfile_is_guaranteed(t[i]) != 1)
                        ;
        victim_say(to, "");
        victim_wait();
}

static int count_rows(const struct tempfile_entry *e, void *userdata)
{
        return 0;
}

START_TEST(a_daemon_that_comes_later_guarantees_what_was_made_before)
{
        struct tempfile_admin *a;
        struct victim v;
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        victim_start(&v, make_early, &ends[0]);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        world_start_daemon(&world);
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
        ck_assert_msg(victim_hear(&v, path, sizeof(path)), "it ended with %d", victim_join(&v));
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_list(a, NULL, count_rows, NULL), ARRAY_SIZE(patterns));
        tempfile_admin_close(a);
        ck_assert_uint_eq(count_files(world.dir), ARRAY_SIZE(patterns));
        world_kill_daemon(&world);
        world_start_daemon(&world);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

/* Keeps one without a daemon, and goes on when there is one. */
static int keep_early(int to, void *userdata)
{
        struct tempfile *kept, *t;
        char c;

        if (tempfile_named(&options, &kept) != 0 || tempfile_keep(kept) != 0)
                return 1;
        victim_say(to, tempfile_path(kept));
        if (read(*(int *) userdata, &c, 1) != 1)
                return 2;
        if (tempfile_named(&options, &t) != 0)
                return 3;
        while (tempfile_is_guaranteed(t) != 1)
                ;
        victim_say(to, "");
        victim_wait();
}

START_TEST(what_was_kept_without_a_daemon_stays)
{
        char end[8];
        struct victim v;
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        victim_start(&v, keep_early, &ends[0]);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        world_start_daemon(&world);
        ck_assert_int_eq(write(ends[1], "x", 1), 1);
        ck_assert(victim_hear(&v, end, sizeof(end)));
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 1));
        ck_assert(wait_list_empty());
        ck_assert(path_exists(path));
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

START_TEST(things_made_early_are_kept_and_given_when_a_daemon_is_there)
{
        struct tempfile *t[ARRAY_SIZE(patterns)];

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                options.pattern = patterns[i];
                ck_assert_int_eq(tempfile_named(&options, &t[i]), 0);
        }
        world_start_daemon(&world);
        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                while (tempfile_is_guaranteed(t[i]) != 1)
                        ;
                ck_assert_int_eq(tempfile_retain(t[i], 1), 0);
                ck_assert_int_eq(tempfile_keep(t[i]), 0);
        }
        ck_assert(wait_list_empty());
        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++)
                ck_assert_int_eq(tempfile_close(t[i]), 0);
        ck_assert_uint_eq(count_files(world.dir), ARRAY_SIZE(patterns));
}
END_TEST

static Suite *suite_of_best_effort(void)
{
        Suite *s = suite_create("besteffort");
        TCase *c = tcase_create("besteffort");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, without_a_daemon_it_is_made_and_closing_deletes_it);
        tcase_add_test(c, the_environment_asks_for_it_too);
        tcase_add_test(c, who_does_not_ask_is_refused_in_the_same_directory);
        tcase_add_test(c, another_owner_needs_a_daemon);
        tcase_add_test(c, a_daemon_that_comes_later_guarantees_what_was_made_before);
        tcase_add_test(c, what_was_kept_without_a_daemon_stays);
        tcase_add_test(c, things_made_early_are_kept_and_given_when_a_daemon_is_there);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_best_effort());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
