/* SPDX-License-Identifier: MIT */

/*
 * Finding the owner of what mktemp makes: copies are told from programs, orphans are refused.
 * The shells themselves are tried in test-ctl.sh.
 */

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tools/ancestor.h"
#include "tools/process.h"

static pid_t program; /* this one; check runs each test in a copy of it */

/* ---- children ---- */

struct child {
        pid_t pid;
        int wait_fd; /* closed: the child goes on */
};

/* A child that waits until it is released. Returns in the parent; *ret_fd is what the child reads. */
static struct child fork_waiting(int *ret_fd)
{
        struct child c;
        int fds[2];

        ck_assert_int_eq(pipe(fds), 0);
        c.pid = fork();
        ck_assert_int_ge(c.pid, 0);
        if (c.pid == 0) {
                close(fds[1]);
                *ret_fd = fds[0];
                return c;
        }
        close(fds[0]);
        c.wait_fd = fds[1];
        return c;
}

static void wait_for_release(int fd)
{
        char c;

        (void) !read(fd, &c, 1);
}

static void release(struct child *c)
{
        c->wait_fd = close_fd(c->wait_fd);
        ck_assert_int_eq(waitpid(c->pid, NULL, 0), c->pid);
}

/* Runs @f in a child and returns what it returns, 0..127. */
static int in_child(int (*f)(void))
{
        pid_t pid = fork();
        int status;

        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(f());
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static struct process look_at(pid_t pid)
{
        struct process p;

        ck_assert_int_eq(process_read(pid, &p), 0);
        return p;
}

/* ---- /proc/PID/stat ---- */

#define REST                                                                                       \
        " S 77 5 6 34817 5 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3 10 11 12 13 14 0 0 0 0 0 " \
        "0 0 17 0 0 0 0 0 0 45 46 47 48 49 50 51 0\n"

static const struct {
        const char *line, *name;
} lines[] = {
        { "42 (sh)" REST, "sh" }, { "42 (a b)" REST, "a b" }, { "42 (a) S 1 2)" REST, "a) S 1 2" },
        { "42 (()" REST, "(" },   { "42 ()" REST, "" },
};

START_TEST(stat_is_read_whatever_the_name)
{
        struct process p;

        ck_assert_int_eq(process_parse(lines[_i].line, &p), 0);
        ck_assert_int_eq(p.pid, 42);
        ck_assert_str_eq(p.name, lines[_i].name);
        ck_assert_int_eq(p.parent, 77);
        ck_assert_int_eq(p.session, 6);
        ck_assert_uint_eq(p.start, 98765);
        ck_assert_uint_eq(p.layout[0], 12);
        ck_assert_uint_eq(p.layout[1], 45);
        ck_assert_uint_eq(p.layout[7], 51);
}
END_TEST

static const char *const bad_lines[] = {
        "",
        "42",
        "42 sh S 1",
        "42 (sh",
        "42 (sh)",
        "42 (sh) S",
        "42 (sh) S 1 2 3 x",
        "0 (sh)" REST,
        "x (sh)" REST,
};

START_TEST(what_is_no_stat_is_refused)
{
        struct process p;

        ck_assert_int_eq(process_parse(bad_lines[_i], &p), -EBADMSG);
}
END_TEST

START_TEST(missing_process_is_told_apart)
{
        struct process p;
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(process_read(pid, &p), -ESRCH);
}
END_TEST

/* ---- copies ---- */

START_TEST(forked_child_is_a_copy)
{
        struct process child, self;
        struct child c;
        int fd;

        c = fork_waiting(&fd);
        if (c.pid == 0) {
                wait_for_release(fd);
                _exit(0);
        }
        child = look_at(c.pid);
        self = look_at(getpid());
        ck_assert_int_eq(child.parent, getpid());
        ck_assert(process_is_copy(&child, &self));
        ck_assert(!process_is_same(&child, &self));
        release(&c);
}
END_TEST

/* Executes this very program, to tell on @told that it has begun and to wait on @fd. */
static void execute_again(int fd, int told)
{
        char name[] = "test-ancestor", numbers[32];
        char *argv[] = { name, NULL };

        (void) snprintf(numbers, sizeof(numbers), "%d %d", fd, told);
        (void) setenv("TEST_ANCESTOR_WAIT", numbers, 1);
        (void) execv("/proc/self/exe", argv);
        _exit(1);
}

/* What it then is. */
static int waiting_main(const char *numbers)
{
        char *end;
        int fd = (int) strtol(numbers, &end, 10), told = (int) strtol(end, NULL, 10);

        if (write(told, "", 1) != 1)
                return EXIT_FAILURE;
        wait_for_release(fd);
        return EXIT_SUCCESS;
}

static struct child spawn_waiting(void)
{
        struct child c;
        int fd, told[2];

        ck_assert_int_eq(pipe(told), 0);
        c = fork_waiting(&fd);
        if (c.pid == 0)
                execute_again(fd, told[1]);
        close(told[1]);
        wait_for_release(told[0]);
        close(told[0]);
        return c;
}

START_TEST(executed_program_is_no_copy_of_one_with_the_same_command_line)
{
        struct child a, b;
        struct process p, q;

        if (personality(0xffffffff) & ADDR_NO_RANDOMIZE)
                return; /* then they can't be told apart, and the longer-lived one is taken */
        a = spawn_waiting();
        b = spawn_waiting();
        p = look_at(a.pid);
        q = look_at(b.pid);
        ck_assert_str_eq(p.name, q.name);
        ck_assert(!process_is_copy(&p, &q));
        ck_assert(process_is_copy(&p, &p));
        release(&b);
        release(&a);
}
END_TEST

START_TEST(shells_are_known_by_their_file)
{
        struct process self = look_at(getpid());

        ck_assert(!process_is_shell(&self));
}
END_TEST

/* ---- the ancestor ---- */

static int find_program(void)
{
        _cleanup_(closep) int pidfd = -1;
        pid_t pid;

        if (ancestor_open(&pid, &pidfd) < 0)
                return 2;
        return pid == program ? 0 : 1;
}

static int find_program_deeper(void)
{
        return in_child(find_program);
}

START_TEST(ancestor_of_copies_is_the_program)
{
        ck_assert_int_eq(in_child(find_program), 0);
        ck_assert_int_eq(in_child(find_program_deeper), 0);
}
END_TEST

static int find_as_orphan(int parent_pidfd)
{
        struct pollfd p = { .fd = parent_pidfd, .events = POLLIN };
        int fd = -1;
        pid_t pid;

        if (poll(&p, 1, -1) != 1)
                return 3;
        return ancestor_open(&pid, &fd) == -ECHILD ? 0 : 1;
}

/* A session of its own, whose only process leaves a child behind. */
static int leave_orphan(void)
{
        int pidfd;

        if (setsid() < 0 || ancestor_open_pid(getpid(), &pidfd) < 0)
                return 4;
        if (fork() == 0)
                _exit(find_as_orphan(pidfd));
        return 0;
}

static int adopt(void)
{
        int status, failed = 0;

        if (prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0)
                return 6;
        if (fork() == 0)
                _exit(leave_orphan());
        for (int i = 0; i < 2; i++) { /* the one who left, and then who was left */
                if (wait(&status) < 0 || !WIFEXITED(status))
                        return 7;
                failed |= WEXITSTATUS(status);
        }
        return failed;
}

START_TEST(subreaper_is_no_owner)
{
        ck_assert_int_eq(in_child(adopt), 0);
}
END_TEST

START_TEST(process_that_has_ended_is_no_owner)
{
        pid_t pid = fork();
        siginfo_t info;
        int fd = -1;

        if (pid == 0)
                _exit(0);
        ck_assert_int_eq(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0);
        ck_assert_int_eq(ancestor_open_pid(pid, &fd), -ESRCH);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_eq(ancestor_open_pid(pid, &fd), -ESRCH);
        ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(pidfd_is_closed_on_exec)
{
        int fd = -1;

        ck_assert_int_eq(ancestor_open_pid(getpid(), &fd), 0);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
}
END_TEST

static Suite *ancestor_suite(void)
{
        Suite *s = suite_create("ancestor");
        TCase *t = tcase_create("process"), *a = tcase_create("ancestor");

        tcase_add_loop_test(t, stat_is_read_whatever_the_name, 0, ARRAY_SIZE(lines));
        tcase_add_loop_test(t, what_is_no_stat_is_refused, 0, ARRAY_SIZE(bad_lines));
        tcase_add_test(t, missing_process_is_told_apart);
        tcase_add_test(t, forked_child_is_a_copy);
        tcase_add_test(t, executed_program_is_no_copy_of_one_with_the_same_command_line);
        tcase_add_test(t, shells_are_known_by_their_file);
        suite_add_tcase(s, t);

        tcase_add_test(a, ancestor_of_copies_is_the_program);
        tcase_add_test(a, subreaper_is_no_owner);
        tcase_add_test(a, process_that_has_ended_is_no_owner);
        tcase_add_test(a, pidfd_is_closed_on_exec);
        suite_add_tcase(s, a);
        return s;
}

int main(void)
{
        const char *numbers = getenv("TEST_ANCESTOR_WAIT");
        SRunner *runner;
        int failed;

        if (numbers)
                return waiting_main(numbers);
        program = getpid();
        runner = srunner_create(ancestor_suite());
        srunner_set_tap(runner, "-");
        srunner_run_all(runner, CK_SILENT);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
