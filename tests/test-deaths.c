/* SPDX-License-Identifier: MIT */

/*
 * What is left when somebody dies: the owner, the daemon, both, in either order. Always the same:
 * nothing of the owner's, and everything else.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/testutil.h"

#define NOBODY 65534
#define SOME 100U

static struct world world;
static struct tempfile_options options;
static char path[PATH_MAX + NAME_MAX + 2];

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

static void restart_daemon(void)
{
        world_kill_daemon(&world);
        world_start_daemon(&world);
}

/* ---- what victims do -------------------------------------------------------------------------- */

static int make_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static int make_and_exit(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        return 0;
}

static int make_tree_and_wait(int to, void *userdata)
{
        struct tempfile *t;
        int fd;

        if (tempfile_directory(&options, &t) != 0)
                return 1;
        fd = tempfile_fd(t);
        for (char name[] = "a"; name[0] <= 'z'; name[0]++)
                if (mkdirat(fd, name, 0700) < 0 || symlinkat("/", fd, (char[]) { name[0], '-', 0 }))
                        return 2;
        if (close(openat(fd, "a/file", O_CREAT | O_WRONLY, 0)) < 0 || fchmodat(fd, "a", 0, 0) < 0)
                return 3;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static int make_some_and_wait(int to, void *userdata)
{
        struct tempfile *t[SOME];

        for (unsigned int i = 0; i < SOME; i++)
                if (tempfile_named(&options, &t[i]) != 0)
                        return 1;
        for (unsigned int i = 0; i < SOME; i += 2)
                if (tempfile_close(t[i]) != 0)
                        return 2;
        victim_say(to, "");
        victim_wait();
}

static int make_and_keep(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0 || tempfile_keep(t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static int make_and_persist(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0 ||
            tempfile_persist(t, world_path(&world, "final"), 0) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static int track_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_track(userdata, NULL, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

/* Makes one, is told that the daemon has gone, makes another. */
static int make_before_and_after(int to, void *userdata)
{
        struct tempfile *t;
        char c;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        if (read(*(int *) userdata, &c, 1) != 1)
                return 2;
        if (tempfile_named(&options, &t) != 0)
                return 3;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static int make_as_nobody(int to, void *userdata)
{
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
                return 9;
        return make_tree_and_wait(to, userdata);
}

/* For an owner that is not its maker. */
static int make_for(int to, void *userdata)
{
        struct tempfile_options o = options;
        struct tempfile *t;

        o.flags = TEMPFILE_OWNER_PIDFD;
        o.owner_pidfd = (int) syscall(SYS_pidfd_open, *(pid_t *) userdata, 0);
        if (tempfile_named(&o, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        return tempfile_close(t) == 0 ? 0 : 2;
}

static int do_nothing(int to, void *userdata)
{
        victim_wait();
}

static void start(struct victim *v, int (*body)(int, void *), void *userdata)
{
        victim_start(v, body, userdata);
        ck_assert_msg(victim_hear(v, path, sizeof(path)), "it ended with %d", victim_join(v));
}

static void expect_gone(void)
{
        ck_assert(wait_gone(path));
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}

/* ---- the owner dies --------------------------------------------------------------------------- */

START_TEST(a_killed_process_leaves_no_file)
{
        static const int signals[] = { SIGKILL, SIGTERM, SIGHUP, SIGABRT, SIGSEGV };
        struct victim v;

        for (unsigned int i = 0; i < ARRAY_SIZE(signals); i++) {
                start(&v, make_and_wait, NULL);
                ck_assert(path_exists(path));
                victim_kill(&v, signals[i]);
                expect_gone();
        }
}
END_TEST

START_TEST(a_process_that_exits_without_closing_leaves_no_file)
{
        struct victim v;

        start(&v, make_and_exit, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        expect_gone();
}
END_TEST

START_TEST(a_killed_process_leaves_no_tree)
{
        struct victim v;

        start(&v, make_tree_and_wait, NULL);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

START_TEST(names_from_patterns_go_too)
{
        static const char *const patterns[] = { "a.XXXXXX", "b.XXXXXXXXXXXX" };
        struct victim v;

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                options.pattern = patterns[i];
                start(&v, make_and_wait, NULL);
                victim_kill(&v, SIGKILL);
                expect_gone();
                start(&v, make_tree_and_wait, NULL);
                victim_kill(&v, SIGKILL);
                expect_gone();
        }
}
END_TEST

/* More than may have jobs in a directory at one time; the daemon hears of them all at once. */
START_TEST(many_owners_may_die_together)
{
        struct victim v[24];

        for (unsigned int i = 0; i < ARRAY_SIZE(v); i++)
                start(&v[i], make_and_wait, NULL);
        ck_assert_int_eq(kill(world.daemon.pid, SIGSTOP), 0);
        for (unsigned int i = 0; i < ARRAY_SIZE(v); i++)
                victim_kill(&v[i], SIGKILL);
        ck_assert_int_eq(kill(world.daemon.pid, SIGCONT), 0);
        expect_gone();
}
END_TEST

START_TEST(a_kept_and_a_persisted_file_stay)
{
        struct victim v;
        char kept[sizeof(path)];

        start(&v, make_and_keep, NULL);
        memcpy(kept, path, sizeof(path));
        victim_kill(&v, SIGKILL);
        start(&v, make_and_persist, NULL);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        restart_daemon();
        ck_assert(wait_list_empty());
        ck_assert(path_exists(kept));
        ck_assert(path_exists(path));
}
END_TEST

START_TEST(copies_and_strangers_stay)
{
        struct victim v;
        char copy[sizeof(path) + 4];

        write_file(world_path(&world, "stranger"), "");
        start(&v, make_and_wait, NULL);
        (void) snprintf(copy, sizeof(copy), "%s.bak", path);
        write_file(copy, "");
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world); /* sweeps */
        ck_assert(wait_gone(path));
        ck_assert(wait_list_empty());
        ck_assert(path_exists(copy));
        ck_assert(path_exists(world_path(&world, "stranger")));
}
END_TEST

START_TEST(what_was_tracked_goes_and_its_replacement_stays)
{
        const char *mine = world_path(&world, "mine");
        struct victim v;

        write_file(mine, "");
        start(&v, track_and_wait, (void *) mine);
        victim_kill(&v, SIGKILL);
        expect_gone();

        write_file(mine, "old");
        start(&v, track_and_wait, (void *) mine);
        write_file(world_path(&world, "next"), "new");
        ck_assert_int_eq(rename(world_path(&world, "next"), mine), 0);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        ck_assert(file_has(mine, "new"));
}
END_TEST

START_TEST(another_owner_decides_by_its_own_end)
{
        struct victim owner, maker;

        victim_start(&owner, do_nothing, NULL);
        start(&maker, make_for, &owner.pid);
        ck_assert_int_eq(victim_join(&maker), 0);
        restart_daemon(); /* which has heard of the maker's end by then */
        ck_assert(path_exists(path));
        victim_kill(&owner, SIGKILL);
        expect_gone();
}
END_TEST

START_TEST(an_owner_that_has_ended_is_refused)
{
        struct victim owner;
        struct tempfile *t;
        int pidfd;

        victim_start(&owner, do_nothing, NULL);
        pidfd = (int) syscall(SYS_pidfd_open, owner.pid, 0);
        victim_kill(&owner, SIGKILL);
        options.flags = TEMPFILE_OWNER_PIDFD;
        options.owner_pidfd = pidfd;
        ck_assert_int_eq(tempfile_named(&options, &t), -ESRCH);
        ck_assert_uint_eq(count_files(world.dir), 0);
        (void) close(pidfd);
}
END_TEST

START_TEST(an_ordinary_users_files_go_when_roots_daemon_serves)
{
        struct victim v;

        ck_assert_int_eq(chmod(world.dir, 01777), 0);
        start(&v, make_as_nobody, NULL);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

START_TEST(files_in_a_directory_that_can_not_be_read_go_too)
{
        static const char *const patterns[] = { NULL, "a.XXX", "b.XXXXXXXXXXXX" };
        struct victim v;

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                options.pattern = patterns[i];
                ck_assert_int_eq(chmod(world.dir, 0300), 0);
                start(&v, make_and_wait, NULL);
                victim_kill(&v, SIGKILL);
                ck_assert(wait_list_empty());
                ck_assert_int_eq(chmod(world.dir, 0700), 0);
                ck_assert_uint_eq(count_files(world.dir), 0);
        }
}
END_TEST

/* ---- the daemon dies -------------------------------------------------------------------------- */

START_TEST(a_restart_of_the_daemon_loses_nothing)
{
        struct victim v;

        start(&v, make_some_and_wait, NULL);
        restart_daemon();
        ck_assert_uint_eq(count_files(world.dir), SOME / 2);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

START_TEST(who_dies_while_the_daemon_is_away_is_found_later)
{
        struct victim v;

        start(&v, make_some_and_wait, NULL);
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        ck_assert_uint_eq(count_files(world.dir), SOME / 2);
        world_start_daemon(&world);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

START_TEST(what_is_made_while_the_daemon_is_away_goes_too)
{
        char first[sizeof(path)];
        struct victim v;
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        for (unsigned int restarts_first = 0; restarts_first < 2; restarts_first++) {
                start(&v, make_before_and_after, &ends[0]);
                memcpy(first, path, sizeof(path));
                world_kill_daemon(&world);
                ck_assert_int_eq(write(ends[1], "x", 1), 1);
                ck_assert(victim_hear(&v, path, sizeof(path)));
                ck_assert(path_exists(first));
                ck_assert(path_exists(path));
                if (restarts_first)
                        world_start_daemon(&world);
                victim_kill(&v, SIGKILL);
                if (!restarts_first)
                        world_start_daemon(&world);
                ck_assert(wait_gone(first));
                expect_gone();
        }
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

START_TEST(the_library_goes_on_over_many_restarts)
{
        struct tempfile *held[5], *t;

        for (unsigned int i = 0; i < ARRAY_SIZE(held); i++) {
                ck_assert_int_eq(tempfile_named(&options, &held[i]), 0);
                restart_daemon();
                ck_assert_int_eq(tempfile_directory(&options, &t), 0);
                ck_assert_int_eq(tempfile_keep(t), 0);
                ck_assert_int_eq(rmdir(tempfile_path(t)), 0);
                ck_assert_int_eq(tempfile_close(t), 0);
        }
        for (unsigned int i = 0; i < ARRAY_SIZE(held); i++) {
                ck_assert(path_exists(tempfile_path(held[i])));
                ck_assert_int_eq(tempfile_close(held[i]), 0);
        }
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

static Suite *suite_of_deaths(void)
{
        Suite *s = suite_create("deaths");
        TCase *c;

        c = tcase_create("owner");
        tcase_set_timeout(c, 20);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, a_killed_process_leaves_no_file);
        tcase_add_test(c, a_process_that_exits_without_closing_leaves_no_file);
        tcase_add_test(c, a_killed_process_leaves_no_tree);
        tcase_add_test(c, names_from_patterns_go_too);
        tcase_add_test(c, many_owners_may_die_together);
        tcase_add_test(c, a_kept_and_a_persisted_file_stay);
        tcase_add_test(c, copies_and_strangers_stay);
        tcase_add_test(c, what_was_tracked_goes_and_its_replacement_stays);
        tcase_add_test(c, another_owner_decides_by_its_own_end);
        tcase_add_test(c, an_owner_that_has_ended_is_refused);
        add_unless(c, unless_root(), an_ordinary_users_files_go_when_roots_daemon_serves);
        add_unless(c, unless_ordinary(), files_in_a_directory_that_can_not_be_read_go_too);
        suite_add_tcase(s, c);

        c = tcase_create("daemon");
        tcase_set_timeout(c, 20);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, a_restart_of_the_daemon_loses_nothing);
        tcase_add_test(c, who_dies_while_the_daemon_is_away_is_found_later);
        tcase_add_test(c, what_is_made_while_the_daemon_is_away_goes_too);
        tcase_add_test(c, the_library_goes_on_over_many_restarts);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_deaths());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
