/* SPDX-License-Identifier: MIT */

/*
 * What a restart must not change: who lives is found again, who died is reaped, and nobody is
 * mistaken for another: not by a pid that was given again, nor by clocks that jump, nor after a
 * boot.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

#define OWNERS 500U
#define OWNERS_FULL 10000U
#define STACK_SIZE 4096U
#define DAY_SEC 86400U
#define THIRD_BOOT "fedcba9876543210fedcba9876543210"
#define OTHER_BOOT "0123456789abcdef0123456789abcdef"

static struct world world;
static struct tempfile_options options;
static char path[PATH_MAX + NAME_MAX + 2];

static void set_up(void)
{
        (void) unsetenv("TEMPFILED_BOOT_ID");
        world_init(&world);
        world_start_daemon(&world);
        options = world_options(&world);
}

static void tear_down(void)
{
        (void) unsetenv("TEMPFILED_BOOT_ID");
        world_done(&world);
}

static void expect_gone(void)
{
        ck_assert(wait_gone(path));
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}

static int note_row(const struct tempfile_entry *e, void *userdata)
{
        *(struct tempfile_entry *) userdata = *e;
        return 0;
}

/* The one entry that the daemon lists; its report may be heard a moment later. */
static struct tempfile_entry get_row(void)
{
        const time_t end = time(NULL) + 60;
        struct tempfile_entry row = { 0 };
        struct tempfile_admin *a;
        int64_t n;

        do {
                ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
                n = tempfile_admin_list(a, NULL, note_row, &row);
                tempfile_admin_close(a);
        } while (n == 0 && time(NULL) < end);
        ck_assert_int_eq(n, 1);
        return row;
}

static int make_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        be_heard(&options); /* a list may show what is not stored yet */
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static void start(struct victim *v)
{
        victim_start(v, make_and_wait, NULL);
        ck_assert_msg(victim_hear(v, path, sizeof(path)), "it ended with %d", victim_join(v));
        (void) get_row(); /* its report was heard */
}

/* ---- the daemon is replaced ---- */

START_TEST(who_lives_through_a_stop_goes_on)
{
        struct tempfile *before, *after;

        ck_assert_int_eq(tempfile_named(&options, &before), 0);
        ck_assert_int_eq(daemon_fixture_stop(&world.daemon), 0); /* as for an upgrade */
        ck_assert(path_exists(tempfile_path(before)));
        ck_assert_int_eq(tempfile_named(&options, &after), 0); /* under a tag that it knows */
        world_start_daemon(&world);
        ck_assert(path_exists(tempfile_path(before)));
        ck_assert_int_eq(tempfile_keep(after), 0);
        ck_assert_int_eq(unlink(tempfile_path(after)), 0);
        ck_assert_int_eq(tempfile_close(after), 0);
        ck_assert_int_eq(tempfile_close(before), 0);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

START_TEST(a_boot_ends_who_lived_in_the_last_one)
{
        struct victim v;

        start(&v);
        write_file(world_path(&world, "other"), "somebody's");
        world_kill_daemon(&world);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        world_start_daemon(&world);
        ck_assert(wait_gone(path));
        ck_assert(wait_list_empty());
        ck_assert(file_has(world_path(&world, "other"), "somebody's"));
        victim_kill(&v, SIGKILL);
}
END_TEST

/* ---- its number is given again ---- */

static uint64_t start_of(pid_t pid)
{
        char name[64], buf[1024] = "", *at;
        FILE *f;

        (void) snprintf(name, sizeof(name), "/proc/%d/stat", (int) pid);
        f = fopen(name, "re");
        ck_assert_ptr_nonnull(f);
        (void) !fread(buf, 1, sizeof(buf) - 1, f);
        (void) fclose(f);
        at = strrchr(buf, ')');
        ck_assert_ptr_nonnull(at);
        for (unsigned int field = 2; field < 22; field++)
                at = strchr(at + 1, ' ');
        return strtoull(at, NULL, 10);
}

static pid_t start_with_number(pid_t pid)
{
        struct clone_args args = {
                .exit_signal = SIGCHLD,
                .set_tid = (uint64_t) (uintptr_t) &pid,
                .set_tid_size = 1,
        };
        pid_t started = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

        if (started == 0)
                for (;;)
                        (void) pause();
        return started;
}

START_TEST(who_has_the_number_of_the_dead_is_not_taken_for_it)
{
        struct victim v;
        uint64_t began;
        pid_t pid, other;

        start(&v);
        pid = v.pid;
        began = start_of(pid);
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        do { /* the kernel counts in ticks: in the same one it could not be told */
                other = start_with_number(pid);
                ck_assert_msg(other == pid, "clone3: %s", strerror(errno));
                if (start_of(other) != began)
                        break;
                (void) kill(other, SIGKILL);
                ck_assert_int_eq(waitpid(other, NULL, 0), other);
        } while (true);
        world_start_daemon(&world);
        expect_gone();
        (void) kill(other, SIGKILL);
        ck_assert_int_eq(waitpid(other, NULL, 0), other);
}
END_TEST

/* ---- many ---- */

static unsigned int count_owners(void)
{
        const char *full = getenv("TEMPFILED_TEST_FULL");

        return full && *full && !streq(full, "0") ? OWNERS_FULL : OWNERS;
}

/* Cheap ones: they have their parent's memory, and a little stack in it. */
static int sleep_for_ever(void *userdata)
{
        while (true)
                (void) syscall(SYS_pause);
        return 0;
}

/* Returns their stacks, to be freed when all are dead. */
static char *start_sleepers(pid_t *pids, unsigned int n)
{
        char *stacks = malloc((size_t) n * STACK_SIZE);

        ck_assert_ptr_nonnull(stacks);
        for (unsigned int i = 0; i < n; i++) {
                pids[i] = clone(sleep_for_ever, stacks + (size_t) (i + 1) * STACK_SIZE,
                                CLONE_VM | SIGCHLD, NULL);
                ck_assert_msg(pids[i] > 0, "clone, number %u: %s", i, strerror(errno));
        }
        return stacks;
}

static void make_for(pid_t pid)
{
        struct tempfile_options o = options;
        struct tempfile *t;
        int r;

        o.flags = TEMPFILE_OWNER_PIDFD;
        o.owner_pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        r = tempfile_named(&o, &t);
        ck_assert_msg(r == 0, "for %d: %s", (int) pid, strerror(-r));
        ck_assert_int_eq(tempfile_release(t), 0);
        (void) close(o.owner_pidfd);
}

static uint64_t count_listed_owners(void)
{
        struct tempfile_status s = { .size = sizeof(s) };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &s), 0);
        tempfile_admin_close(a);
        return s.owners;
}

static void kill_some(const pid_t *pids, unsigned int first, unsigned int n, unsigned int step)
{
        for (unsigned int i = first; i < n; i += step) {
                (void) kill(pids[i], SIGKILL);
                ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
        }
}

/* Ten thousand take their time on a busy machine; as long as there are fewer, all is well. */
static void wait_many(unsigned int n)
{
        for (unsigned int before = UINT_MAX, left; !wait_left(world.dir, n); before = left) {
                left = count_files(world.dir);
                ck_assert_uint_lt(left, before);
        }
}

/* They go from the list after their files. */
static void wait_owners(uint64_t n)
{
        const time_t end = time(NULL) + 60;

        while (count_listed_owners() > n) /* takes its time at the daemon */
                ck_assert_int_lt(time(NULL), end);
}

/* Every other one dies while the daemon is away. */
START_TEST(many_owners_are_found_again_or_found_dead)
{
        unsigned int n = count_owners();
        pid_t *pids = calloc(n, sizeof(*pids));
        char *stacks;

        ck_assert_ptr_nonnull(pids);
        stacks = start_sleepers(pids, n);
        for (unsigned int i = 0; i < n; i++)
                make_for(pids[i]);
        ck_assert_uint_eq(count_files(world.dir), n);
        be_heard(&options);
        world_kill_daemon(&world);
        kill_some(pids, 0, n, 2);
        world_start_daemon(&world);
        wait_many(n / 2);
        ck_assert_uint_eq(count_files(world.dir), n / 2);
        wait_owners(n / 2 + 1); /* this process made them */
        kill_some(pids, 1, n, 2);
        wait_many(0);
        ck_assert(wait_list_empty());
        free(stacks);
        free(pids);
}
END_TEST

/* ---- clocks ---- */

/* A time namespace in which CLOCK_BOOTTIME and CLOCK_MONOTONIC are a day later. */
static int make_later(void)
{
        char text[128];
        int fd, len;

        if (unshare(CLONE_NEWTIME) < 0)
                return -1;
        fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
        len = snprintf(text, sizeof(text), "monotonic %u 0\nboottime %u 0\n", DAY_SEC, DAY_SEC);
        if (fd < 0 || write(fd, text, (size_t) len) != len)
                return -1;
        (void) close(fd);
        return open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
}

/* Children of this process live a day later from now on, always in the same namespace; or not. */
static bool shift_clocks(bool is_later)
{
        static int own = -1, later = -1;

        if (own < 0)
                own = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
        if (own >= 0 && later < 0)
                later = make_later();
        return own >= 0 && later >= 0 && setns(is_later ? later : own, CLONE_NEWTIME) == 0;
}

static void make_leased(unsigned int sec)
{
        struct tempfile *t;

        options.owner_kind = TEMPFILE_OWNER_LEASE;
        options.lease_sec = sec;
        ck_assert_int_eq(tempfile_named(&options, &t), 0);
        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_release(t), 0);
        options.owner_kind = options.lease_sec = 0;
        be_heard(&options);
}

/* To the lease's end, by the wall clock. */
static int64_t seconds_left(void)
{
        return (int64_t) (get_row().expires_usec / USEC_PER_SEC) - (int64_t) time(NULL);
}

#define SKIP_WITHOUT_CLOCKS()                                                                      \
        do {                                                                                       \
                if (!shift_clocks(true)) {                                                         \
                        (void) fprintf(stderr, "# SKIP no time namespaces here\n");                \
                        return;                                                                    \
                }                                                                                  \
        } while (0)

START_TEST(a_lease_ends_in_time_that_the_machine_slept)
{
        make_leased(1000);
        world_kill_daemon(&world);
        SKIP_WITHOUT_CLOCKS(); /* as it is after a day of suspend */
        world_start_daemon(&world);
        ck_assert(shift_clocks(false));
        expect_gone();
}
END_TEST

/* CLOCK_BOOTTIME begins anew: a deadline kept as it was would never come. */
START_TEST(a_lease_has_left_what_it_had_when_the_machine_went_down)
{
        world_kill_daemon(&world);
        SKIP_WITHOUT_CLOCKS();
        world_start_daemon(&world);
        ck_assert(shift_clocks(false));
        make_leased(1000);
        world_kill_daemon(&world);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        world_start_daemon(&world);
        ck_assert_int_le(seconds_left(), 1061); /* written down once a minute */
        ck_assert_int_ge(seconds_left(), 900);
        world_kill_daemon(&world); /* and again, at once */
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", THIRD_BOOT, 1), 0);
        world_start_daemon(&world);
        ck_assert_int_ge(seconds_left(), 900);
        ck_assert(path_exists(path));
}
END_TEST

static void wait_waiting(void)
{
        const time_t end = time(NULL) + 60;

        while (get_row().state != TEMPFILE_STATE_WAITING) /* takes its time at the daemon */
                ck_assert_int_lt(time(NULL), end);
}

static void move_directory(const char *from, const char *to)
{
        world_kill_daemon(&world);
        ck_assert_int_eq(rename(from, to), 0);
        world_start_daemon(&world);
}

/* One lease that had ended when the daemon was killed, and had something left: the next still ends. */
START_TEST(a_lease_ends_beside_one_that_was_loaded_dead)
{
        char away[PATH_MAX + 8];

        (void) snprintf(away, sizeof(away), "%s.away", world.dir);
        make_leased(10); /* not before the directory is away */
        move_directory(world.dir, away);
        wait_waiting();
        move_directory(away, world.dir);
        make_leased(1);
        expect_gone();
}
END_TEST

/* What failed is not tried again by a clock of another boot. */
START_TEST(what_is_to_be_tried_again_later_is_tried_at_the_next_start)
{
        const char *away = "away";
        char moved[PATH_MAX];
        struct victim v;

        world_kill_daemon(&world);
        SKIP_WITHOUT_CLOCKS();
        world_start_daemon(&world);
        ck_assert(shift_clocks(false));
        start(&v);
        (void) snprintf(moved, sizeof(moved), "%s/%s", world.top, away);
        world_kill_daemon(&world); /* it had the directory open */
        ck_assert_int_eq(rename(world.dir, moved), 0);
        victim_kill(&v, SIGKILL);
        ck_assert(shift_clocks(true));
        world_start_daemon(&world);
        ck_assert(shift_clocks(false));
        wait_waiting();
        world_kill_daemon(&world);
        ck_assert_int_eq(rename(moved, world.dir), 0);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        world_start_daemon(&world);
        expect_gone();
}
END_TEST

/* Start times are told by the reader's clock: whose differ from those written down may live. */
START_TEST(a_daemon_with_another_clock_takes_nobody_for_dead)
{
        struct victim v;

        start(&v);
        world_kill_daemon(&world);
        SKIP_WITHOUT_CLOCKS();
        world_start_daemon(&world);
        ck_assert_uint_eq(get_row().state, TEMPFILE_STATE_LIVE);
        ck_assert(path_exists(path));
        world_kill_daemon(&world);
        ck_assert(shift_clocks(false));
        world_start_daemon(&world);
        ck_assert_uint_eq(get_row().state, TEMPFILE_STATE_LIVE);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

/* ---- a daemon that hangs ---- */

START_TEST(calls_to_a_daemon_that_hangs_time_out_and_leave_nothing)
{
        struct tempfile *t = NULL;
        struct tempfile_options o = options;

        o.timeout_msec = 200;
        ck_assert_int_eq(kill(world.daemon.pid, SIGSTOP), 0);
        ck_assert_int_eq(tempfile_named(&o, &t), -ETIMEDOUT);
        ck_assert_int_eq(tempfile_directory(&o, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(world.dir), 0);
        ck_assert_int_eq(kill(world.daemon.pid, SIGCONT), 0);
        o.timeout_msec = 0;
        ck_assert_int_eq(tempfile_named(&o, &t), 0);
        ck_assert_uint_eq(count_files(world.dir), 1);
        ck_assert_int_eq(kill(world.daemon.pid, SIGSTOP), 0);
        ck_assert_int_eq(tempfile_close(t), 0); /* needs nobody */
        ck_assert_uint_eq(count_files(world.dir), 0);
        ck_assert_int_eq(kill(world.daemon.pid, SIGCONT), 0);
        ck_assert(wait_list_empty());
}
END_TEST

static Suite *restart_suite(void)
{
        Suite *s = suite_create("restart");
        TCase *c = tcase_create("restart");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 200);
        tcase_add_test(c, who_lives_through_a_stop_goes_on);
        tcase_add_test(c, a_boot_ends_who_lived_in_the_last_one);
        add_unless(c, unless_root(), who_has_the_number_of_the_dead_is_not_taken_for_it);
        tcase_add_test(c, many_owners_are_found_again_or_found_dead);
        tcase_add_test(c, calls_to_a_daemon_that_hangs_time_out_and_leave_nothing);
        suite_add_tcase(s, c);

        c = tcase_create("clocks");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 60);
        add_unless(c, unless_root(), a_lease_ends_in_time_that_the_machine_slept);
        add_unless(c, unless_root(), a_lease_has_left_what_it_had_when_the_machine_went_down);
        tcase_add_test(c, a_lease_ends_beside_one_that_was_loaded_dead);
        add_unless(c, unless_root(), what_is_to_be_tried_again_later_is_tried_at_the_next_start);
        add_unless(c, unless_root(), a_daemon_with_another_clock_takes_nobody_for_dead);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(restart_suite());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
