/* SPDX-License-Identifier: MIT */

/*
 * Who makes much in a short time reports it through memory that is shared with the daemon. What ends
 * meanwhile (the process, the daemon, the connection) must leave nothing, as ever.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/testutil.h"

#define SOME 100U
#define ATTEMPTS 200U

static struct world world;
static struct tempfile_options options;
static struct tempfile *held[SOME];

static void set_up(void)
{
        world_init(&world);
        world_start_daemon(&world);
        options = world_options(&world);
}

static void tear_down(void)
{
        world_done(&world);
}

static bool has_ring(void)
{
        _cleanup_(freep) char *line = NULL;
        FILE *f = fopen("/proc/self/maps", "re");
        bool is_there = false;
        size_t size = 0;

        while (f && !is_there && getline(&line, &size, f) > 0)
                is_there = strstr(line, "tempfiled-ring") != NULL;
        if (f)
                (void) fclose(f);
        return is_there;
}

static int make_and_close(unsigned int n)
{
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; r == 0 && i < n; i++) {
                r = tempfile_named(&options, &t);
                if (r == 0)
                        r = tempfile_close(t);
        }
        return r;
}

/* So fast that it is given the memory. On a busy machine that may take more than one attempt. */
static int get_busy(void)
{
        int r = 0;

        for (unsigned int i = 0; r == 0 && !has_ring() && i < ATTEMPTS; i++)
                r = make_and_close(SOME);
        return r < 0 ? r : has_ring() ? 0 : -ETIME;
}

static int hold_some(void)
{
        int r = 0;

        for (unsigned int i = 0; r == 0 && i < SOME; i++)
                r = tempfile_named(&options, &held[i]);
        return r;
}

START_TEST(all_that_is_made_is_listed_and_what_is_closed_is_not)
{
        ck_assert(!has_ring());
        ck_assert_int_eq(get_busy(), 0);
        ck_assert_int_eq(hold_some(), 0);
        ck_assert(wait_list_length(SOME));
        for (unsigned int i = 0; i < SOME; i++)
                ck_assert_int_eq(tempfile_close(held[i]), 0);
        be_heard(&options);
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(what_is_asked_is_about_what_was_made)
{
        ck_assert_int_eq(get_busy(), 0);
        for (unsigned int i = 0; i < SOME; i++) {
                ck_assert_int_eq(tempfile_named(&options, &held[0]), 0);
                ck_assert_int_eq(tempfile_named(&options, &held[1]), 0);
                ck_assert_int_eq(tempfile_keep(held[0]), 0);
                ck_assert_int_eq(unlink(tempfile_path(held[0])), 0);
                ck_assert_int_eq(tempfile_close(held[0]), 0);
                ck_assert_int_eq(tempfile_close(held[1]), 0);
                ck_assert_int_eq(make_and_close(10), 0);
        }
        be_heard(&options);
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* ---- what victims do ---------------------------------------------------------------------------- */

static int hold_and_die(int to, void *userdata)
{
        if (get_busy() != 0 || hold_some() != 0)
                return 1;
        (void) raise(SIGKILL);
        return 2;
}

static int go_on_until_killed(int to, void *userdata)
{
        if (get_busy() != 0 || hold_some() != 0)
                return 1;
        victim_say(to, "");
        while (make_and_close(SOME) == 0)
                ;
        return 2;
}

/* A program that closes what it does not know, and goes on at once. */
static int close_all_and_die(int to, void *userdata)
{
        if (get_busy() != 0)
                return 1;
        if (dup2(to, 0) < 0 || close_range(3, ~0U, 0) < 0 || open("/dev/null", O_RDWR) < 0)
                return 2;
        if (hold_some() != 0)
                return 3;
        (void) raise(SIGKILL);
        return 4;
}

static int fork_and_die(int to, void *userdata)
{
        pid_t pid;

        if (get_busy() != 0)
                return 1;
        pid = fork();
        if (pid == 0) {
                if (hold_some() != 0 || get_busy() != 0 || hold_some() != 0)
                        _exit(1);
                (void) raise(SIGKILL);
        }
        if (hold_some() != 0 || pid < 0 || waitpid(pid, NULL, 0) != pid)
                return 2;
        (void) raise(SIGKILL);
        return 3;
}

static const struct {
        const char *name;
        int (*body)(int to, void *userdata);
} deaths[] = {
        { "held", hold_and_die },
        { "closed", close_all_and_die },
        { "forked", fork_and_die },
};

START_TEST(nothing_is_left_of_who_died)
{
        struct victim v;

        write_file(world_path(&world, "other"), "somebody's");
        victim_start(&v, deaths[_i].body, NULL);
        ck_assert_msg(victim_join(&v) == -1, "%s: it did not come so far", deaths[_i].name);
        ck_assert(wait_left(world.dir, 1));
        ck_assert(wait_list_empty());
        ck_assert(file_has(world_path(&world, "other"), "somebody's"));
}
END_TEST

/* The daemon goes and comes back while it works: killed or stopped. */
START_TEST(a_daemon_that_is_replaced_meanwhile_knows_all_of_it)
{
        struct victim v;
        char said[8];

        victim_start(&v, go_on_until_killed, NULL);
        ck_assert(victim_hear(&v, said, sizeof(said)));
        for (unsigned int i = 0; i < 3; i++) {
                if (_i == 0)
                        world_kill_daemon(&world);
                else
                        ck_assert_int_eq(daemon_fixture_stop(&world.daemon), 0);
                world_start_daemon(&world);
        }
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

static int hold_while_it_is_away(int to, void *userdata)
{
        char byte;

        if (get_busy() != 0)
                return 1;
        victim_say(to, "");
        if (read(*(int *) userdata, &byte, 1) != 1)
                return 2;
        if (hold_some() != 0)
                return 3;
        (void) raise(SIGKILL);
        return 4;
}

/* What it reports there nobody reads. */
START_TEST(what_the_memory_of_a_dead_daemon_tells_is_found)
{
        struct victim v;
        char said[8];
        int go[2];

        ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
        victim_start(&v, hold_while_it_is_away, &go[0]);
        ck_assert(victim_hear(&v, said, sizeof(said)));
        world_kill_daemon(&world);
        ck_assert_int_eq(write(go[1], "", 1), 1);
        ck_assert_int_eq(victim_join(&v), -1);
        ck_assert_uint_eq(count_files(world.dir), SOME);
        world_start_daemon(&world);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

static Suite *make_suite(void)
{
        Suite *s = suite_create("busy");
        TCase *c = tcase_create("busy");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 60);
        tcase_add_test(c, all_that_is_made_is_listed_and_what_is_closed_is_not);
        tcase_add_test(c, what_is_asked_is_about_what_was_made);
        tcase_add_loop_test(c, nothing_is_left_of_who_died, 0, ARRAY_SIZE(deaths));
        tcase_add_loop_test(c, a_daemon_that_is_replaced_meanwhile_knows_all_of_it, 0, 2);
        tcase_add_test(c, what_the_memory_of_a_dead_daemon_tells_is_found);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *runner = srunner_create(make_suite());
        int failed;

        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
