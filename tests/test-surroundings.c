/* SPDX-License-Identifier: MIT */

/*
 * The library and a true daemon in a program that is not gentle: it forks, crashes, changes its user
 * and its root, is showered with signals, runs out of descriptors and of room, and has no standard
 * descriptors. Nothing of it may cost a file that is still wanted, or leave one that is not.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "libclient/util.h"
#include "tests/testutil.h"

#define ORDINARY_ID 65534
#define DESCRIPTORS 24 /* more than any call here needs beyond what is open */

static struct world world;
static struct tempfile_options options;
static struct tempfile *file, *tree;

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

static struct tempfile *make_file(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_named(&options, &t);

        ck_assert_msg(r == 0, "tempfile_named: %s", strerror(-r));
        return t;
}

/* One of each, as the parent has them when it forks. */
static void have_both(void)
{
        file = make_file();
        ck_assert_int_eq(tempfile_directory(&options, &tree), 0);
        ck_assert_int_eq(mkdirat(tempfile_fd(tree), "inside", 0700), 0);
}

static void check_both_there(void)
{
        char inside[PATH_MAX];

        (void) snprintf(inside, sizeof(inside), "%.4000s/inside", tempfile_path(tree));
        ck_assert(path_exists(tempfile_path(file)));
        ck_assert(path_exists(inside));
}

static void close_both(void)
{
        check_both_there();
        ck_assert_int_eq(tempfile_close(file), 0);
        ck_assert_int_eq(tempfile_close(tree), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}

/* ---- children --------------------------------------------------------------------------------- */

static int end_by_exit(int to, void *userdata)
{
        exit(0);
}

static int end_by_closing(int to, void *userdata)
{
        return tempfile_close(file) == 0 && tempfile_close(tree) == 0 ? 0 : 1;
}

static int end_by_releasing(int to, void *userdata)
{
        return tempfile_release(file) == 0 && tempfile_release(tree) == 0 ? 0 : 1;
}

static int end_by_abort(int to, void *userdata)
{
        abort();
}

static int make_and_end_by_exit(int to, void *userdata)
{
        struct tempfile *own;

        if (tempfile_named(&options, &own) != 0)
                return 1;
        exit(0);
}

static int make_and_crash(int to, void *userdata)
{
        struct tempfile *own;

        if (tempfile_named(&options, &own) != 0 || tempfile_close(file) != 0)
                return 1;
        abort();
}

static int end_by_exec(int to, void *userdata)
{
        execl("/bin/true", "true", (char *) NULL);
        return 1;
}

static int (*const endings[])(int, void *) = {
        end_by_exit,          end_by_closing, end_by_releasing, end_by_abort,
        make_and_end_by_exit, make_and_crash, end_by_exec,
};

START_TEST(a_child_takes_nothing_of_its_parents_along)
{
        struct victim child;

        have_both();
        victim_start(&child, endings[_i], NULL);
        (void) victim_join(&child);
        ck_assert(wait_left(world.dir, 2)); /* what the child made is gone */
        close_both();
}
END_TEST

static int fork_once_more(int to, void *userdata)
{
        struct victim grandchild;

        victim_start(&grandchild, end_by_closing, NULL);
        return victim_join(&grandchild);
}

START_TEST(nor_does_a_grandchild)
{
        struct victim child;

        have_both();
        victim_start(&child, fork_once_more, NULL);
        ck_assert_int_eq(victim_join(&child), 0);
        close_both();
}
END_TEST

START_TEST(a_childs_copy_of_a_stream_neither_writes_nor_moves)
{
        struct victim child;
        FILE *f;

        have_both();
        ck_assert_int_eq(tempfile_stream(file, NULL, -1, &f), 0);
        ck_assert_int_gt(fprintf(f, "once\n"), 0);
        victim_start(&child, end_by_closing, NULL);
        ck_assert_int_eq(victim_join(&child), 0);
        ck_assert_int_eq(fflush(f), 0);
        ck_assert(file_has(tempfile_path(file), "once\n"));

        rewind(f);
        ck_assert_int_eq(getc(f), 'o'); /* and the stream has read all of it */
        victim_start(&child, end_by_closing, NULL);
        ck_assert_int_eq(victim_join(&child), 0);
        ck_assert_int_eq(lseek(fileno(f), 0, SEEK_CUR), 5);
        close_both();
}
END_TEST

/* ---- another directory, root and user --------------------------------------------------------- */

START_TEST(relative_paths_mean_what_they_meant)
{
        struct tempfile *t = NULL;

        ck_assert_int_eq(chdir(world.top), 0);
        options.dir = "dir";
        t = make_file();
        ck_assert_int_eq(*tempfile_path(t), '/');
        ck_assert_int_eq(chdir("/"), 0);
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
        ck_assert_int_eq(tempfile_named(&options, &t), -ENOENT); /* "/dir" is another */
}
END_TEST

static int live_in_a_small_world(int to, void *userdata)
{
        struct tempfile *t, *inside;

        have_both();
        t = make_file();
        if (chroot(world.dir) < 0 || chdir("/") < 0)
                return 1;
        options.dir = "/";
        if (tempfile_named(&options, &inside) != 0 || tempfile_close(inside) != 0)
                return 2;
        if (tempfile_named(&options, &inside) != 0)
                return 3;
        if (tempfile_close(t) != 0)
                return 4;
        victim_say(to, "ready");
        victim_wait();
}

START_TEST(a_new_root_changes_nothing)
{
        struct victim v;
        char buf[16];

        victim_start(&v, live_in_a_small_world, NULL);
        ck_assert(victim_hear(&v, buf, sizeof(buf)));
        ck_assert_uint_eq(count_files(world.dir), 3);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

static int drop_privileges(int to, void *userdata)
{
        struct tempfile *early, *late;

        if (tempfile_named(&options, &early) != 0)
                return 1;
        if (setgroups(0, NULL) < 0 || setgid(ORDINARY_ID) < 0 || setuid(ORDINARY_ID) < 0)
                return 2;
        if (tempfile_named(&options, &late) != 0 || tempfile_close(late) != 0)
                return 3;
        if (tempfile_named(&options, &late) != 0)
                return 4;
        if (tempfile_close(early) != -EPERM) /* root's, in a sticky directory */
                return 5;
        victim_say(to, "ready");
        victim_wait();
}

START_TEST(who_drops_privileges_keeps_the_guarantee)
{
        struct victim v;
        char buf[16];

        ck_assert_int_eq(chmod(world.dir, 01777), 0);
        ck_assert_int_eq(chmod(world.daemon.socket, 0666), 0);
        victim_start(&v, drop_privileges, NULL);
        ck_assert(victim_hear(&v, buf, sizeof(buf)));
        ck_assert_uint_eq(count_files(world.dir), 2);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

/* ---- signals ---------------------------------------------------------------------------------- */

static void be_interrupted(int sig)
{
}

/* Without SA_RESTART, every 200 microseconds. */
static void shower(bool is_on)
{
        const struct itimerval storm = { { 0, is_on ? 200 : 0 }, { 0, is_on ? 200 : 0 } };
        struct sigaction action = { .sa_handler = be_interrupted };

        (void) sigaction(SIGALRM, &action, NULL);
        (void) setitimer(ITIMER_REAL, &storm, NULL);
}

/* Some of everything that waits. The line in which it failed, else 0. */
static int do_some_of_everything(unsigned int i)
{
        const int parent = (int) syscall(SYS_pidfd_open, getppid(), 0);
        struct tempfile_options o = options;
        struct tempfile_spooled *s;
        struct tempfile *t;
        char target[PATH_MAX];
        uint64_t token;
        int fd;

        if (tempfile_named(&o, &t) != 0 || tempfile_share(t, parent) != 0 ||
            tempfile_keep(t) != 0 || unlink(tempfile_path(t)) != 0 || tempfile_close(t) != 0)
                return __LINE__;
        (void) close(parent);
        if (tempfile_directory(&o, &t) != 0 || mkdirat(tempfile_fd(t), "sub", 0700) != 0 ||
            tempfile_close(t) != 0)
                return __LINE__;
        fd = tempfile_token_new(0, &token);
        if (fd < 0 || close(fd) != 0)
                return __LINE__;
        fd = tempfile_pseudo_file(&o, NULL);
        if (fd < 0 || close(fd) != 0)
                return __LINE__;
        (void) snprintf(target, sizeof(target), "%.4000s/kept-%u", world.dir, i);
        o.pattern = "a.XXX";
        if (tempfile_named(&o, &t) != 0 || tempfile_retain(t, 9) != 0 ||
            tempfile_persist(t, target, TEMPFILE_FSYNC) != 0 || tempfile_close(t) != 0)
                return __LINE__;
        if (unlink(target) != 0)
                return __LINE__;
        o.pattern = NULL;
        if (tempfile_spooled(&o, 3, &s) != 0 || tempfile_spooled_write(s, "four", 4) != 0)
                return __LINE__;
        tempfile_spooled_close(s);
        return 0;
}

static int be_in_a_storm(int to, void *userdata)
{
        int r = 0;

        shower(true);
        for (unsigned int i = 0; r == 0 && i < 20; i++)
                r = do_some_of_everything(i);
        shower(false);
        if (r != 0)
                (void) fprintf(stderr, "# line %d\n", r);
        return r != 0;
}

START_TEST(signals_interrupt_nothing)
{
        struct victim v;

        victim_start(&v, be_in_a_storm, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

static int wait_in_a_storm(int to, void *userdata)
{
        struct tempfile *t;
        int r;

        options.timeout_msec = 8000;
        victim_say(to, "waiting");
        shower(true);
        r = tempfile_named(&options, &t);
        shower(false);
        return r == 0 && tempfile_close(t) == 0 ? 0 : 1;
}

START_TEST(signals_shorten_no_wait_for_a_daemon)
{
        struct victim v;
        char buf[16];

        ck_assert_int_eq(kill(world.daemon.pid, SIGSTOP), 0);
        victim_start(&v, wait_in_a_storm, NULL);
        ck_assert(victim_hear(&v, buf, sizeof(buf)));
        ck_assert_int_eq(usleep(100000), 0); /* so that there is something to wait for */
        ck_assert_int_eq(kill(world.daemon.pid, SIGCONT), 0);
        ck_assert_int_eq(victim_join(&v), 0);
}
END_TEST

/* ---- descriptors and room --------------------------------------------------------------------- */

static void limit_descriptors(unsigned int spare)
{
        struct rlimit limit;
        int lowest = dup(STDERR_FILENO);

        (void) close(lowest);
        (void) getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = (rlim_t) lowest + spare;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

/* Each call with so few descriptors to spare that it fails further and further along. */
static int do_with_few_descriptors(int to, void *userdata)
{
        const unsigned int spare = *(unsigned int *) userdata;
        struct tempfile *t = NULL;
        char target[PATH_MAX];
        uint64_t token;
        int r;

        limit_descriptors(spare);
        (void) snprintf(target, sizeof(target), "%.4000s/target", world.dir);
        r = tempfile_named(&options, &t);
        if (r != 0 && r != -EMFILE)
                return 1;
        if (r == 0) {
                r = tempfile_persist(t, target, TEMPFILE_FSYNC);
                if (r == 0 ? unlink(target) != 0 : r != -EMFILE)
                        return 2;
                if (tempfile_close(t) != 0)
                        return 3;
        }
        r = tempfile_directory(&options, &t);
        if (r != 0 && r != -EMFILE)
                return 4;
        if (r == 0 && mkdirat(tempfile_fd(t), "sub", 0700) != 0)
                return 5;
        if (r == 0 && tempfile_close(t) != 0)
                return 6;
        r = tempfile_pseudo_directory(&options, NULL);
        if (r >= 0 ? close(r) != 0 : r != -EMFILE)
                return 7;
        r = tempfile_token_new(0, &token);
        if (r >= 0 ? close(r) != 0 : r != -EMFILE)
                return 8;
        victim_say(to, "done");
        victim_wait();
}

START_TEST(without_descriptors_each_call_fails_and_leaves_nothing)
{
        for (unsigned int spare = 0; spare < DESCRIPTORS; spare++) {
                struct victim v;
                char buf[16];
                bool is_done;

                victim_start(&v, do_with_few_descriptors, &spare);
                is_done = victim_hear(&v, buf, sizeof(buf));
                if (is_done)
                        victim_kill(&v, SIGKILL);
                ck_assert_msg(is_done, "with %u to spare: %d", spare,
                              is_done ? 0 : victim_join(&v));
                ck_assert_msg(wait_left(world.dir, 0), "with %u to spare", spare);
        }
        ck_assert(wait_list_empty());
}
END_TEST

/* A descriptor more is needed for closing what has many; closing goes on when there is one again. */
START_TEST(what_could_not_be_deleted_for_want_of_descriptors_goes_with_the_process)
{
        struct rlimit before;
        int r;

        have_both();
        (void) getrlimit(RLIMIT_NOFILE, &before);
        ck_assert_int_eq(tempfile_close_fd(tree), 0);
        limit_descriptors(0);
        r = tempfile_close(tree);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        ck_assert(r == 0 || r == -EMFILE);
        ck_assert_int_eq(tempfile_close(file), 0);
        ck_assert_uint_eq(count_files(world.dir), r == 0 ? 0 : 1);
}
END_TEST

static int live_where_it_is_narrow(int to, void *userdata)
{
        struct tempfile *t;
        char buf[65536] = { 0 }, *path, target[PATH_MAX];
        FILE *f;
        int r;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tempfiled-test", world.dir, "tmpfs", 0, "size=32k,nr_inodes=4") < 0)
                return 1;
        (void) snprintf(target, sizeof(target), "%.4000s/target", world.dir);
        if (tempfile_named(&options, &t) != 0)
                return 2;
        if (tempfile_stream(t, NULL, -1, &f) != 0)
                return 3;
        (void) fwrite(buf, 1, sizeof(buf), f);
        r = tempfile_persist(t, target, 0);
        if (r != -ENOSPC && r != -EIO)
                return 4; /* half of it is not a result */
        path = strdup(tempfile_path(t));
        if (tempfile_close(t) != 0 || path_exists(path) || path_exists(target))
                return 5;
        for (unsigned int i = 0; (r = tempfile_named(&options, &t)) == 0; i++)
                if (i > 4)
                        return 6;
        return r == -ENOSPC ? 0 : 7;
}

START_TEST(a_full_file_system_is_told_of_and_left_clean)
{
        struct victim v;

        victim_start(&v, live_where_it_is_narrow, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert(wait_list_empty());
}
END_TEST

/* ---- standard descriptors --------------------------------------------------------------------- */

static int live_without_standard_descriptors(int to, void *userdata)
{
        for (int fd = 0; fd <= 2; fd++)
                (void) close(fd);
        for (unsigned int i = 0; i < 3; i++)
                if (do_some_of_everything(i) != 0)
                        return 1;
        for (int fd = 0; fd <= 2; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        return 2 + fd;
        have_both();
        victim_say(to, "ready");
        victim_wait();
}

START_TEST(nothing_becomes_a_standard_descriptor)
{
        struct victim v;
        char buf[16];

        victim_start(&v, live_without_standard_descriptors, NULL);
        ck_assert(victim_hear(&v, buf, sizeof(buf)));
        world_kill_daemon(&world);
        world_start_daemon(&world);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
}
END_TEST

static int lose_descriptors_again_and_again(int to, void *userdata)
{
        struct stat st;
        int first = -1;

        for (unsigned int i = 0; i < 5; i++) {
                have_both();
                for (int fd = 3; fd < 64; fd++)
                        if (fd != to)
                                (void) close(fd);
                for (int fd = 3; fd < 40; fd++) /* other files at all the numbers */
                        if (fd != to && open(world.top, O_RDONLY | O_DIRECTORY) < 0)
                                return 1;
                if (do_some_of_everything(i) != 0)
                        return 2;
                for (int fd = 3; fd < 40; fd++) {
                        if (fd == to)
                                continue;
                        if (fstat(fd, &st) < 0)
                                return 3; /* the library closed the program's */
                        first = first < 0 ? (int) st.st_ino : first;
                        if ((int) st.st_ino != first)
                                return 4;
                }
        }
        victim_say(to, "ready");
        victim_wait();
}

START_TEST(who_closes_all_descriptors_keeps_the_guarantee)
{
        struct victim v;
        char buf[16];
        bool is_ready;

        victim_start(&v, lose_descriptors_again_and_again, NULL);
        is_ready = victim_hear(&v, buf, sizeof(buf));
        ck_assert_msg(is_ready, "%d", is_ready ? 0 : victim_join(&v));
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

int main(void)
{
        TCase *c = tcase_create("surroundings");
        Suite *s = suite_create("surroundings");
        SRunner *r;
        int failed;

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_loop_test(c, a_child_takes_nothing_of_its_parents_along, 0,
                            (int) ARRAY_SIZE(endings));
        tcase_add_test(c, nor_does_a_grandchild);
        tcase_add_test(c, a_childs_copy_of_a_stream_neither_writes_nor_moves);
        tcase_add_test(c, relative_paths_mean_what_they_meant);
        add_unless(c, unless_root(), a_new_root_changes_nothing);
        add_unless(c, unless_root(), who_drops_privileges_keeps_the_guarantee);
        tcase_add_test(c, signals_interrupt_nothing);
        tcase_add_test(c, signals_shorten_no_wait_for_a_daemon);
        tcase_add_test(c, without_descriptors_each_call_fails_and_leaves_nothing);
        tcase_add_test(c, what_could_not_be_deleted_for_want_of_descriptors_goes_with_the_process);
        add_unless(c, unless_root(), a_full_file_system_is_told_of_and_left_clean);
        tcase_add_test(c, nothing_becomes_a_standard_descriptor);
        tcase_add_test(c, who_closes_all_descriptors_keeps_the_guarantee);
        suite_add_tcase(s, c);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
