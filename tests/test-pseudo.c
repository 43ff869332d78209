/* SPDX-License-Identifier: MIT */

/*
 * Files and directories that belong to a descriptor, with a true daemon: wherever the copies of it
 * go, whoever dies, and whether the daemon sees it or not.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/testutil.h"

#define NOBODY 65534
#define MANY 50U

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

static int make_either(bool is_directory)
{
        char *made = NULL;
        int fd;

        fd = is_directory ? tempfile_pseudo_directory(&options, &made)
                          : tempfile_pseudo_file(&options, &made);
        ck_assert_msg(fd >= 0, "%s", strerror(-fd));
        (void) strcpy(path, made);
        free(made);
        return fd;
}

static void expect_gone(void)
{
        ck_assert(wait_gone(path));
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}

START_TEST(it_is_deleted_when_the_descriptor_is_closed)
{
        struct stat st;
        int fd;

        for (unsigned int is_directory = 0; is_directory < 2; is_directory++) {
                fd = make_either(is_directory);
                ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
                ck_assert_int_eq(fstat(fd, &st), 0);
                ck_assert_int_eq(S_ISDIR(st.st_mode), is_directory);
                if (is_directory)
                        ck_assert_int_eq(mkdirat(fd, "inner", 0700), 0);
                else
                        ck_assert_int_eq(write(fd, "x", 1), 1);
                ck_assert(path_exists(path));
                (void) close(fd);
                expect_gone();
        }
}
END_TEST

START_TEST(the_last_copy_counts_and_the_daemons_restarts_do_not)
{
        struct stat st;
        int fd, copy;

        for (unsigned int is_directory = 0; is_directory < 2; is_directory++) {
                fd = make_either(is_directory);
                copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the daemon is not to inherit one */
                (void) close(fd);
                restart_daemon();
                ck_assert_int_eq(fstat(copy, &st), 0);
                ck_assert(path_exists(path));
                (void) close(copy);
                expect_gone();
        }
}
END_TEST

START_TEST(who_opens_and_closes_the_file_as_well_does_not_matter)
{
        int fd = make_either(false), again;

        for (unsigned int i = 0; i < MANY; i++) {
                again = open(path, O_RDWR | O_CLOEXEC);
                ck_assert_int_ge(again, 0);
                (void) close(again);
        }
        restart_daemon();
        ck_assert(path_exists(path));
        (void) close(fd);
        expect_gone();
}
END_TEST

START_TEST(a_descriptor_closed_while_the_daemon_is_away_is_found_so)
{
        int fd;

        for (unsigned int is_directory = 0; is_directory < 2; is_directory++) {
                fd = make_either(is_directory);
                world_kill_daemon(&world);
                (void) close(fd);
                ck_assert(path_exists(path));
                world_start_daemon(&world);
                expect_gone();
        }
}
END_TEST

/* ---- processes -------------------------------------------------------------------------------- */

static int make_and_wait(int to, void *userdata)
{
        char *made;

        if (tempfile_pseudo_file(&options, &made) < 0)
                return 1;
        victim_say(to, made);
        victim_wait();
}

/* Makes one, leaves a copy with a child, says the child's pid and ends. */
static int make_and_leave(int to, void *userdata)
{
        char *made, pid[32];
        pid_t child;

        if (tempfile_pseudo_directory(&options, &made) < 0)
                return 1;
        child = fork();
        if (child == 0)
                victim_wait();
        (void) snprintf(pid, sizeof(pid), "%d", (int) child);
        victim_say(to, made);
        victim_say(to, pid);
        return 0;
}

static int make_and_exec(int to, void *userdata)
{
        char *made;
        int fd = tempfile_pseudo_file(&options, &made);

        if (fd < 0 || fcntl(fd, F_SETFD, 0) < 0)
                return 1;
        victim_say(to, made);
        (void) execl("/bin/sleep", "sleep", "1000", (char *) NULL);
        return 2;
}

static int make_and_map(int to, void *userdata)
{
        char *made;
        int fd = tempfile_pseudo_file(&options, &made);

        if (fd < 0 || ftruncate(fd, 4096) < 0 ||
            mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
                return 1;
        (void) close(fd);
        victim_say(to, made);
        victim_wait();
}

static void start(struct victim *v, int (*body)(int, void *))
{
        victim_start(v, body, NULL);
        ck_assert_msg(victim_hear(v, path, sizeof(path)), "it ended with %d", victim_join(v));
}

START_TEST(who_is_killed_lets_go_of_it)
{
        static int (*const bodies[])(int, void *) = { make_and_wait, make_and_exec, make_and_map };
        struct victim v;

        for (unsigned int i = 0; i < ARRAY_SIZE(bodies); i++) {
                start(&v, bodies[i]);
                restart_daemon();
                ck_assert(path_exists(path));
                victim_kill(&v, SIGKILL);
                expect_gone();
        }
}
END_TEST

START_TEST(a_child_that_holds_on_is_enough)
{
        char text[32];
        struct victim v;
        int pid;

        start(&v, make_and_leave);
        ck_assert(victim_hear(&v, text, sizeof(text)));
        pid = atoi(text);
        ck_assert_int_eq(victim_join(&v), 0);
        restart_daemon();
        ck_assert(path_exists(path));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        expect_gone();
}
END_TEST

static int receive_and_hold(int to, void *userdata)
{
        char byte, control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { &byte, 1 };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
        };

        if (recvmsg(*(int *) userdata, &msg, 0) != 1)
                return 1;
        victim_say(to, "");
        victim_wait();
}

static void send_over(int socket, int fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .align = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
        struct iovec iov = { "x", 1 };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
        ck_assert_int_eq(sendmsg(socket, &msg, 0), 1);
}

START_TEST(a_socket_carries_it_on)
{
        int ends[2], fd;
        struct victim v;
        char text[8];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        victim_start(&v, receive_and_hold, &ends[1]);
        fd = make_either(false);
        send_over(ends[0], fd);
        (void) close(fd);
        ck_assert(victim_hear(&v, text, sizeof(text)));
        (void) close(ends[0]);
        (void) close(ends[1]);
        ck_assert(path_exists(path));
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

static int make_as_nobody(int to, void *userdata)
{
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
                return 9;
        return make_and_wait(to, userdata);
}

START_TEST(an_ordinary_user_has_them_from_roots_daemon)
{
        struct victim v;

        ck_assert_int_eq(chmod(world.dir, 01777), 0);
        start(&v, make_as_nobody);
        restart_daemon();
        ck_assert(path_exists(path));
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

/* ---- refused, and ended by hand --------------------------------------------------------------- */

START_TEST(unlocking_it_by_hand_ends_it)
{
        int fd = make_either(false);

        (void) flock(fd, LOCK_UN);
        (void) close(dup(fd)); /* nothing is looked at until something is closed */
        (void) close(open(path, O_RDONLY | O_CLOEXEC));
        expect_gone();
        (void) close(fd);
}
END_TEST

START_TEST(what_can_not_be_is_refused_and_leaves_nothing)
{
        options.mode = 0200;
        ck_assert_int_eq(tempfile_pseudo_file(&options, NULL), -EINVAL);
        options.mode = 0;
        options.owner_kind = TEMPFILE_OWNER_BOOT;
        ck_assert_int_eq(tempfile_pseudo_file(&options, NULL), -EINVAL);
        options.owner_kind = 0;
        options.prefix = "a/b";
        ck_assert_int_eq(tempfile_pseudo_directory(&options, NULL), -EINVAL);
        options.prefix = NULL;
        world_kill_daemon(&world);
        ck_assert_int_eq(tempfile_pseudo_file(&options, NULL), -ECONNREFUSED);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(many_come_and_go)
{
        int fds[MANY];

        for (unsigned int i = 0; i < MANY; i++)
                fds[i] = make_either(i % 2);
        ck_assert_uint_eq(count_files(world.dir), MANY);
        for (unsigned int i = 0; i < MANY; i++)
                (void) close(fds[i]);
        expect_gone();
}
END_TEST

static Suite *suite_of_pseudo(void)
{
        Suite *s = suite_create("pseudo");
        TCase *c;

        c = tcase_create("descriptors");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, it_is_deleted_when_the_descriptor_is_closed);
        tcase_add_test(c, the_last_copy_counts_and_the_daemons_restarts_do_not);
        tcase_add_test(c, who_opens_and_closes_the_file_as_well_does_not_matter);
        tcase_add_test(c, a_descriptor_closed_while_the_daemon_is_away_is_found_so);
        tcase_add_test(c, many_come_and_go);
        suite_add_tcase(s, c);

        c = tcase_create("processes");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, who_is_killed_lets_go_of_it);
        tcase_add_test(c, a_child_that_holds_on_is_enough);
        tcase_add_test(c, a_socket_carries_it_on);
        add_unless(c, unless_root(), an_ordinary_user_has_them_from_roots_daemon);
        suite_add_tcase(s, c);

        c = tcase_create("ends");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, unlocking_it_by_hand_ends_it);
        tcase_add_test(c, what_can_not_be_is_refused_and_leaves_nothing);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_pseudo());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
