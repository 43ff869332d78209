/* SPDX-License-Identifier: MIT */

/* Is that still the same process? Asked of the living, the dead, and those in between. */

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "daemon/owner.h"
#include "daemon/proc.h"
#include "libclient/util.h"
#include "tests/unit.h"

struct child {
        pid_t pid;
        int pidfd;
        int said; /* what it says comes here; end of file: it has ended, or runs another program */
};

static void wait_for_ever(int said)
{
        (void) !write(said, "", 1);
        for (;;)
                (void) pause();
}

static struct child start(void (*body)(int said))
{
        struct child c;
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        c.pid = fork();
        ck_assert_int_ge(c.pid, 0);
        if (c.pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) close(ends[0]);
                body(ends[1]);
                _exit(0);
        }
        (void) close(ends[1]);
        c.said = ends[0];
        c.pidfd = pidfd_open(c.pid, 0);
        ck_assert_int_ge(c.pidfd, 0);
        return c;
}

/* A byte: true; the end: false. */
static bool hear(const struct child *c)
{
        char byte;

        return read(c->said, &byte, 1) == 1;
}

static void kill_child(struct child *c)
{
        siginfo_t info;

        (void) kill(c->pid, SIGKILL);
        ck_assert_int_eq(waitid(P_PID, (id_t) c->pid, &info, WEXITED | WNOWAIT), 0);
}

static void reap_child(struct child *c)
{
        (void) kill(c->pid, SIGKILL);
        ck_assert_int_eq(waitpid(c->pid, NULL, 0), c->pid);
}

static void close_child(struct child *c)
{
        c->pidfd = close_fd(c->pidfd);
        c->said = close_fd(c->said);
}

/* A program that runs until it is killed: it reads what nobody writes. */
static void execute_for_ever(const char *argument)
{
        int ends[2];

        if (pipe(ends) < 0 || dup2(ends[0], STDIN_FILENO) < 0)
                _exit(1);
        (void) execl("/bin/sh", "sh", "-c", "read x", argument, NULL);
        _exit(1);
}

/* ---- processes ---- */

START_TEST(process_is_read)
{
        struct process p;

        ck_assert_int_eq(prctl(PR_SET_NAME, ") R 1 (2"),
                         0); /* a name that looks like what follows */
        ck_assert_int_eq(process_read(getpid(), &p), 0);
        ck_assert_int_eq(p.pid, getpid());
        ck_assert_uint_gt(p.start, 0);
        ck_assert_uint_eq(p.uid, getuid());
        ck_assert_uint_eq(p.saved_uid, geteuid());
        ck_assert_str_eq(p.command, ") R 1 (2");
        ck_assert_ptr_nonnull(strstr(p.arguments, "test-owner"));
        ck_assert_ptr_nonnull(strstr(p.executable, "test-owner"));
        process_done(&p);
        ck_assert_ptr_null(p.command);
}
END_TEST

enum { FINE, WRONG, NO_WAY }; /* a child's exit status */

static int read_without_its_cgroup(void *userdata)
{
        struct process p;

        if (!unit_spoil("/proc/self/cgroup"))
                return NO_WAY;
        return process_read(getpid(), &p) == 0 && p.unit_error == -EIO && !p.unit ? FINE : WRONG;
}

/* A unit that can't be told is not the same as none. */
START_TEST(unit_is_known_or_an_error)
{
        struct process p;
        int status;

        ck_assert_int_eq(process_read(getpid(), &p), 0);
        ck_assert_int_eq(p.unit_error, 0);
        process_done(&p);
        status = unit_in_child(read_without_its_cgroup, NULL);
        if (status == NO_WAY)
                SKIP("needs root, to make a file of /proc unreadable");
        ck_assert_int_eq(status, FINE);
}
END_TEST

/* The second time it is remembered. */
START_TEST(unit_is_the_same_each_time)
{
        struct process first, again;

        ck_assert_int_eq(process_read(getpid(), &first), 0);
        ck_assert_int_eq(process_read(getpid(), &again), 0);
        ck_assert(!first.unit == !again.unit);
        if (first.unit)
                ck_assert_str_eq(first.unit, again.unit);
        process_done(&first);
        process_done(&again);
}
END_TEST

/* A file in /proc is read to its end, however long it is, or as far as was said. */
START_TEST(files_of_proc_are_read_whole)
{
        char *text;
        size_t len;

        ck_assert_int_eq(proc_read(getpid(), "status", PROC_MAX, &text, &len), 0);
        ck_assert_uint_eq(strlen(text), len);
        ck_assert_ptr_nonnull(proc_field(text, "Name:"));
        ck_assert_ptr_nonnull(proc_field(text, "nonvoluntary_ctxt_switches:")); /* the last line */
        ck_assert_ptr_null(proc_field(text, "ame:"));
        free(text);
        ck_assert_int_eq(proc_read(getpid(), "status", 10, &text, &len), 0);
        ck_assert_uint_eq(len, 10);
        free(text);
        ck_assert_int_eq(proc_read(getpid(), "maps", PROC_MAX, &text, &len), 0);
        ck_assert_uint_gt(len, 4096);
        ck_assert_ptr_nonnull(strstr(text, "[stack]"));
        free(text);
        ck_assert_int_eq(proc_read(getpid(), "nothing", PROC_MAX, &text, &len), -ESRCH);
        ck_assert_int_eq(proc_read(0x7fffffff, "stat", PROC_MAX, &text, &len), -ESRCH);
}
END_TEST

START_TEST(start_time_grows)
{
        struct child c = start(wait_for_ever);
        uint64_t own, its;

        ck_assert_int_eq(process_read_start(getpid(), &own), 0);
        ck_assert_int_eq(process_read_start(c.pid, &its), 0);
        ck_assert_uint_ge(its, own);
        reap_child(&c);
        ck_assert_int_eq(process_read_start(c.pid, &its), -ESRCH);
        close_child(&c);
}
END_TEST

static void execute_with_long_arguments(int said)
{
        static char line[100000];

        memset(line, 'x', sizeof(line) - 1);
        execute_for_ever(line);
}

START_TEST(long_arguments_are_cut)
{
        struct child c = start(execute_with_long_arguments);
        struct process p;

        ck_assert(!hear(&c)); /* it runs the other program */
        ck_assert_int_eq(process_read(c.pid, &p), 0);
        ck_assert_uint_lt(strlen(p.arguments), 2000);
        ck_assert_str_eq(p.command, "sh");
        process_done(&p);
        reap_child(&c);
        close_child(&c);
}
END_TEST

/* ---- pidfds ---- */

START_TEST(pidfd_names_its_process)
{
        struct child c = start(wait_for_ever);
        pid_t pid = 0;

        ck_assert_int_eq(pidfd_get_pid(c.pidfd, &pid), 0);
        ck_assert_int_eq(pid, c.pid);
        reap_child(&c);
        ck_assert_int_eq(pidfd_get_pid(c.pidfd, &pid), -ESRCH);
        close_child(&c);
}
END_TEST

START_TEST(what_is_no_pidfd_is_refused)
{
        _cleanup_(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        pid_t pid = 0;

        ck_assert_int_eq(pidfd_get_pid(fd, &pid), -EBADF);
        ck_assert_int_eq(pidfd_get_pid(1000, &pid), -EBADF);
        ck_assert_int_eq(pidfd_get_pid(-1, &pid), -EBADF);
        ck_assert_int_eq(pid, 0);
}
END_TEST

START_TEST(zombie_is_dead)
{
        struct child c = start(wait_for_ever);

        ck_assert(hear(&c));
        ck_assert(!pidfd_is_dead(c.pidfd));
        kill_child(&c);
        ck_assert(pidfd_is_dead(c.pidfd));
        reap_child(&c);
        ck_assert(pidfd_is_dead(c.pidfd));
        close_child(&c);
}
END_TEST

START_TEST(stopped_process_is_alive)
{
        struct child c = start(wait_for_ever);

        ck_assert(hear(&c));
        ck_assert_int_eq(kill(c.pid, SIGSTOP), 0);
        ck_assert_int_eq(waitpid(c.pid, NULL, WUNTRACED), c.pid);
        ck_assert(!pidfd_is_dead(c.pidfd));
        reap_child(&c);
        close_child(&c);
}
END_TEST

static pthread_t main_thread;

static void *outlive_main(void *said)
{
        (void) pthread_join(main_thread, NULL);
        wait_for_ever(*(int *) said);
        return NULL;
}

static void leave_a_thread(int said)
{
        static int kept;
        pthread_t t;

        kept = said;
        main_thread = pthread_self();
        if (pthread_create(&t, NULL, outlive_main, &kept) != 0)
                _exit(1);
        pthread_exit(NULL);
}

/* ---- finding again ---- */

static enum owner_verdict find(const struct epoch *now, const struct epoch *then, pid_t pid,
                               uint64_t start)
{
        int pidfd = -1;
        enum owner_verdict v = owner_find(now, then, pid, start, &pidfd);

        ck_assert_int_eq(pidfd >= 0, v == OWNER_ALIVE);
        if (pidfd >= 0)
                ck_assert(!pidfd_is_dead(pidfd));
        close_fd(pidfd);
        return v;
}

START_TEST(main_thread_may_end_before_others)
{
        struct child c = start(leave_a_thread);
        struct process p;
        struct epoch now;
        uint64_t began;

        ck_assert(hear(&c));
        ck_assert(!pidfd_is_dead(c.pidfd));
        ck_assert_int_eq(epoch_now(&now), 0);
        ck_assert_int_eq(process_read_start(c.pid, &began), 0);
        ck_assert_int_eq(find(&now, &now, c.pid, began), OWNER_ALIVE);
        ck_assert_int_eq(process_read(c.pid, &p), 0); /* what can be read, is */
        process_done(&p);
        reap_child(&c);
        close_child(&c);
}
END_TEST

static void *wait_in_thread(void *said)
{
        wait_for_ever(*(int *) said);
        return NULL;
}

static void have_a_thread(int said)
{
        pthread_t t;

        if (pthread_create(&t, NULL, wait_in_thread, &said) != 0)
                _exit(1);
        (void) pthread_join(t, NULL);
}

/* The kernel gives numbers to both alike. */
START_TEST(who_has_the_number_of_a_thread_is_dead)
{
        struct child c = start(have_a_thread);
        struct epoch now;
        uint64_t began;
        char name[64];
        int tid = 0;
        DIR *tasks;

        ck_assert(hear(&c));
        (void) snprintf(name, sizeof(name), "/proc/%d/task", (int) c.pid);
        tasks = opendir(name);
        ck_assert_ptr_nonnull(tasks);
        for (struct dirent *e; (e = readdir(tasks));)
                if (atoi(e->d_name) > 0 && atoi(e->d_name) != c.pid)
                        tid = atoi(e->d_name);
        (void) closedir(tasks);
        ck_assert_int_gt(tid, 0);
        ck_assert_int_eq(epoch_now(&now), 0);
        ck_assert_int_eq(process_read_start(tid, &began), 0);
        ck_assert_int_eq(find(&now, &now, tid, began), OWNER_DEAD);
        ck_assert_int_eq(find(&now, &now, 0, began), OWNER_UNKNOWN); /* nobody's number */
        reap_child(&c);
        close_child(&c);
}
END_TEST

static int go_on; /* read end of a pipe that lets the child execute something */

static void execute(int said)
{
        char byte;

        (void) !write(said, "", 1);
        (void) !read(go_on, &byte, 1);
        execute_for_ever(NULL); /* closes @said */
}

START_TEST(executing_a_program_changes_nothing)
{
        struct epoch now;
        struct child c;
        uint64_t began;
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        go_on = ends[0];
        c = start(execute);
        ck_assert(hear(&c));
        ck_assert_int_eq(process_read_start(c.pid, &began), 0);
        ck_assert_int_eq(write(ends[1], "", 1), 1);
        ck_assert(!hear(&c));
        ck_assert_int_eq(epoch_now(&now), 0);
        ck_assert_int_eq(find(&now, &now, c.pid, began), OWNER_ALIVE);
        reap_child(&c);
        close_child(&c);
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

START_TEST(epoch_stays)
{
        struct epoch now, again;

        ck_assert_int_eq(epoch_now(&now), 0);
        ck_assert_int_eq(epoch_now(&again), 0);
        ck_assert(sd_id128_equal(now.boot, again.boot));
        ck_assert(!sd_id128_is_null(now.boot));
        ck_assert_uint_gt(now.pid_ns, 0);
        ck_assert_uint_eq(now.pid_ns, again.pid_ns);
        ck_assert_uint_eq(now.init_start, again.init_start);
}
END_TEST

START_TEST(service_manager_says_which_boot_it_is)
{
        static const char id[] = "0102030405060708090a0b0c0d0e0f10";
        char text[SD_ID128_STRING_MAX];
        struct epoch now;

        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", id, 1), 0);
        ck_assert_int_eq(epoch_now(&now), 0);
        ck_assert_str_eq(sd_id128_to_string(now.boot, text), id);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", "this one", 1), 0);
        ck_assert_int_eq(epoch_now(&now), -EINVAL);
        ck_assert_int_eq(unsetenv("TEMPFILED_BOOT_ID"), 0);
}
END_TEST

START_TEST(verdicts)
{
        struct child c = start(wait_for_ever);
        struct epoch now, then;
        uint64_t began;

        ck_assert(hear(&c));
        ck_assert_int_eq(epoch_now(&now), 0);
        ck_assert_int_eq(process_read_start(c.pid, &began), 0);
        ck_assert_int_eq(find(&now, &now, c.pid, began), OWNER_ALIVE);
        ck_assert_int_eq(find(&now, &now, c.pid, began - 1), OWNER_DEAD); /* its pid was reused */
        then = now;
        then.boot.bytes[0] ^= 1; /* another boot: nothing of it lives, whatever its pid */
        ck_assert_int_eq(find(&now, &then, c.pid, began), OWNER_DEAD);
        then.pid_ns++;
        ck_assert_int_eq(find(&now, &then, c.pid, began), OWNER_DEAD);
        then = now;
        then.pid_ns++; /* the pid means nothing here */
        ck_assert_int_eq(find(&now, &then, c.pid, began), OWNER_UNKNOWN);
        then.init_start++;
        ck_assert_int_eq(find(&now, &then, c.pid, began), OWNER_UNKNOWN);
        then = now;
        then.init_start++; /* the container was started again */
        ck_assert_int_eq(find(&now, &then, c.pid, began), OWNER_DEAD);
        then = now;
        then.init_start = 0; /* pid 1 could not be read then: its start tells nothing */
        ck_assert_int_eq(find(&now, &then, c.pid, began), OWNER_ALIVE);
        ck_assert_int_eq(find(&then, &now, c.pid, began), OWNER_ALIVE);
        kill_child(&c);
        ck_assert_int_eq(find(&now, &now, c.pid, began), OWNER_DEAD); /* a zombie */
        reap_child(&c);
        ck_assert_int_eq(find(&now, &now, c.pid, began), OWNER_DEAD);
        close_child(&c);
}
END_TEST

/* ---- peers ---- */

/* Where clocks are that much later. False: there is no such here. */
static bool epoch_later(unsigned int sec, struct epoch *ret)
{
        int ends[2], fd;
        ssize_t n;
        pid_t pid;

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                if (unshare(CLONE_NEWTIME) < 0)
                        _exit(1);
                fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
                if (dprintf(fd, "boottime %u 0\n", sec) < 0)
                        _exit(1);
                pid = fork(); /* only children are in there */
                if (pid == 0)
                        _exit(epoch_now(ret) < 0 ||
                              write(ends[1], ret, sizeof(*ret)) != sizeof(*ret));
                (void) waitpid(pid, NULL, 0);
                _exit(0);
        }
        (void) close(ends[1]);
        n = read(ends[0], ret, sizeof(*ret));
        (void) close(ends[0]);
        (void) waitpid(pid, NULL, 0);
        return n == sizeof(*ret);
}

/* Not by the inode of its namespace: that is the next one's as soon as it has gone. */
START_TEST(another_clock_is_another_epoch)
{
        struct epoch now, day, again, week;

        SKIP_UNLESS_ROOT("to make a time namespace");
        ck_assert_int_eq(epoch_now(&now), 0);
        if (!epoch_later(86400, &day))
                SKIP("there are no time namespaces");
        ck_assert(epoch_later(86400, &again));
        ck_assert(epoch_later(7 * 86400, &week));
        ck_assert_uint_ne(day.pid_ns, now.pid_ns);
        ck_assert_uint_ne(week.pid_ns, now.pid_ns);
        ck_assert_uint_ne(week.pid_ns, day.pid_ns);
        ck_assert_uint_eq(again.pid_ns, day.pid_ns);
}
END_TEST

START_TEST(peer_of_a_socket_has_a_pidfd)
{
        bool is_exact = _i == 0;
        int ends[2], pidfd = -1;
        pid_t pid = 0;

        if (_i > 0)
                ck_assert_int_eq(setenv("TEMPFILED_NO_PEERPIDFD", "1", 1), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        ck_assert_int_eq(pidfd_of_peer(ends[0], getpid(), &pidfd, &is_exact), 0);
        ck_assert_int_eq(pidfd_get_pid(pidfd, &pid), 0);
        ck_assert_int_eq(pid, getpid());
        if (_i > 0) {
                ck_assert(!is_exact);
                close_fd(pidfd);
                ck_assert_int_eq(pidfd_of_peer(ends[0], 0, &pidfd, &is_exact), -EREMOTE);
                ck_assert_int_eq(unsetenv("TEMPFILED_NO_PEERPIDFD"), 0);
        } else
                close_fd(pidfd);
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

static int have_no_clock(void *userdata)
{
        struct epoch now;

        if (!unit_spoil("/proc/self/timens_offsets"))
                return NO_WAY;
        return epoch_now(&now) == -EIO ? FINE : WRONG;
}

/* By the machine's, each process that was found by another would be dead, in a container. */
START_TEST(clock_that_cannot_be_told_is_an_error)
{
        int status;

        if (access("/proc/self/timens_offsets", F_OK) < 0)
                SKIP("there are no time namespaces");
        status = unit_in_child(have_no_clock, NULL);
        if (status == NO_WAY)
                SKIP("needs root, to make a file of /proc unreadable");
        ck_assert_int_eq(status, FINE);
}
END_TEST

static Suite *owner_suite(void)
{
        Suite *s = suite_create("owner");
        TCase *t = tcase_create("owner");

        tcase_add_test(t, process_is_read);
        tcase_add_test(t, unit_is_known_or_an_error);
        tcase_add_test(t, unit_is_the_same_each_time);
        tcase_add_test(t, files_of_proc_are_read_whole);
        tcase_add_test(t, start_time_grows);
        tcase_add_test(t, long_arguments_are_cut);
        tcase_add_test(t, pidfd_names_its_process);
        tcase_add_test(t, what_is_no_pidfd_is_refused);
        tcase_add_test(t, zombie_is_dead);
        tcase_add_test(t, stopped_process_is_alive);
        tcase_add_test(t, main_thread_may_end_before_others);
        tcase_add_test(t, who_has_the_number_of_a_thread_is_dead);
        tcase_add_test(t, executing_a_program_changes_nothing);
        tcase_add_test(t, epoch_stays);
        tcase_add_test(t, another_clock_is_another_epoch);
        tcase_add_test(t, clock_that_cannot_be_told_is_an_error);
        tcase_add_test(t, service_manager_says_which_boot_it_is);
        tcase_add_test(t, verdicts);
        tcase_add_loop_test(t, peer_of_a_socket_has_a_pidfd, 0, 2);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(owner_suite());
}
