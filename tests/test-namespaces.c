/* SPDX-License-Identifier: MIT */

/*
 * A daemon in another process namespace than before, or than its clients': their numbers mean
 * nothing there. Living owners are never taken for dead; they are known again when they speak, and
 * those that can't be seen from there are refused with a clear error.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

#define WAYS 2 /* to identify a client */

static struct world world;
static struct tempfile_options options;
static char real_daemon[PATH_MAX];
static char path[PATH_MAX + NAME_MAX + 2];
static int orders[2]; /* each byte: make another */

/* What the daemon is started by: with a namespace of its own, in the one of somebody, or nothing. */
static void set_wrapper(const char *command)
{
        char wrapper[PATH_MAX], text[2 * PATH_MAX];

        if (!command) {
                ck_assert_int_eq(setenv("TEMPFILED", real_daemon, 1), 0);
                return;
        }
        (void) snprintf(wrapper, sizeof(wrapper), "%s/wrapper", world.top);
        (void) snprintf(text, sizeof(text), "#!/bin/sh\nexec %s %s \"$@\"\n", command, real_daemon);
        write_file(wrapper, text);
        ck_assert_int_eq(chmod(wrapper, 0700), 0);
        ck_assert_int_eq(setenv("TEMPFILED", wrapper, 1), 0);
}

static void identify(int way)
{
        if (way == 1)
                ck_assert_int_eq(setenv("TEMPFILED_NO_PEERPIDFD", "1", 1), 0);
}

static void be_alone(void)
{
        set_wrapper("unshare --pid --fork --mount-proc");
}

static void set_up(void)
{
        const char *given = getenv("TEMPFILED");

        ck_assert_ptr_nonnull(given);
        ck_assert_ptr_nonnull(realpath(given, real_daemon));
        world_init(&world);
        ck_assert_int_eq(pipe2(orders, O_CLOEXEC), 0);
        options = world_options(&world);
}

static void tear_down(void)
{
        world_done(&world);
        (void) unsetenv("TEMPFILED_NO_PEERPIDFD");
}

/* The number of what unshare(1) or nsenter(1) has started; it may be on its way there. */
static pid_t child_of(pid_t pid)
{
        const time_t end = time(NULL) + 60;
        char name[64];
        int child = 0;
        FILE *f;

        (void) snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int) pid, (int) pid);
        while (child == 0 && time(NULL) < end) {
                f = fopen(name, "re");
                ck_assert_ptr_nonnull(f);
                if (fscanf(f, "%d", &child) != 1)
                        child = 0;
                (void) fclose(f);
        }
        ck_assert_int_gt(child, 0);
        return child;
}

/* It has the state directory until it has ended. */
static void kill_wrapped_daemon(void)
{
        const pid_t child = child_of(world.daemon.pid);
        struct pollfd p = { .fd = (int) syscall(SYS_pidfd_open, child, 0), .events = POLLIN };

        ck_assert_int_ge(p.fd, 0);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(poll(&p, 1, WORLD_WAIT_MSEC), 1);
        (void) close(p.fd);
        world_kill_daemon(&world);
}

static int make_and_obey(int to, void *userdata)
{
        struct tempfile *t;
        char c, text[32];
        int r;

        do {
                r = tempfile_named(&options, &t);
                if (r == 0)
                        r = tempfile_retain(t, 0); /* acknowledged */
                (void) snprintf(text, sizeof(text), "%d", r);
                victim_say(to, text);
        } while (read(orders[0], &c, 1) == 1);
        return 0;
}

static int hear(struct victim *v)
{
        ck_assert_msg(victim_hear(v, path, sizeof(path)), "it ended with %d", victim_join(v));
        return (int) strtol(path, NULL, 10);
}

static int make_another(struct victim *v)
{
        ck_assert_int_eq(write(orders[1], "x", 1), 1);
        return hear(v);
}

START_TEST(a_client_that_can_not_be_seen_is_refused)
{
        struct victim v;

        identify(_i);
        be_alone();
        world_start_daemon(&world);
        victim_start(&v, make_and_obey, NULL);
        ck_assert_int_eq(hear(&v), -EREMOTE);
        ck_assert_uint_eq(count_files(world.dir), 0);
        victim_kill(&v, SIGKILL);
        kill_wrapped_daemon();
}
END_TEST

static uint64_t count_owners(void)
{
        struct tempfile_status s = { .size = sizeof(s) };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &s), 0);
        tempfile_admin_close(a);
        return s.owners;
}

/* Not by the namespace that it is in for a while, in which there are other processes, with these
 * numbers perhaps. */
START_TEST(the_living_are_not_dead_to_a_daemon_that_can_not_see_them)
{
        struct victim v, silent;

        identify(_i);
        set_wrapper(NULL);
        world_start_daemon(&world);
        victim_start(&v, make_and_obey, NULL);
        ck_assert_int_eq(hear(&v), 0);
        victim_start(&silent, make_and_obey, NULL);
        ck_assert_int_eq(hear(&silent), 0);
        world_kill_daemon(&world);

        be_alone();
        world_start_daemon(&world);
        (void) make_another(&v); /* is heard or not; made it is under its tag */
        ck_assert_uint_ge(count_files(world.dir), 2);
        kill_wrapped_daemon();
        ck_assert_uint_ge(count_files(world.dir), 2);

        set_wrapper(NULL);
        world_start_daemon(&world);
        ck_assert_uint_eq(count_owners(), 2);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 1));
        ck_assert_uint_eq(count_files(world.dir), 1);
        victim_kill(&silent, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

/* ---- clients that both can see ---- */

/* Its child is the first of a process namespace, and sleeps. */
static int make_namespace(int to, void *userdata)
{
        victim_say(to, "");
        (void) execlp("unshare", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                      "sleep", "1000", (char *) NULL);
        return 1;
}

/* Has unshare(1) got that far? It executes sleep(1) when all is mounted. */
static bool has_own_namespace(pid_t pid)
{
        const time_t end = time(NULL) + 60;
        char name[64], text[16] = "";
        FILE *f;

        (void) snprintf(name, sizeof(name), "/proc/%d/comm", (int) pid);
        while (!streq(text, "sleep\n") && time(NULL) < end) {
                f = fopen(name, "re");
                if (!f || !fgets(text, sizeof(text), f))
                        text[0] = 0;
                if (f)
                        (void) fclose(f);
        }
        return streq(text, "sleep\n");
}

static bool enter_namespace(pid_t pid, const char *kind, int type)
{
        char name[64];
        int fd;

        (void) snprintf(name, sizeof(name), "/proc/%d/ns/%s", (int) pid, kind);
        fd = open(name, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && setns(fd, type) == 0 && close(fd) == 0;
}

static int obey_in_namespace(int to, void *userdata)
{
        int status;
        pid_t pid;

        if (!enter_namespace(*(pid_t *) userdata, "pid", CLONE_NEWPID) ||
            !enter_namespace(*(pid_t *) userdata, "mnt", CLONE_NEWNS))
                return 101;
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(make_and_obey(to, NULL));
        }
        return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 102;
}

START_TEST(who_speaks_to_a_daemon_outside_is_known_again)
{
        struct victim holder, v, silent;
        char command[128], said[4];
        pid_t first;

        identify(_i);
        victim_start(&holder, make_namespace, NULL);
        ck_assert(victim_hear(&holder, said, sizeof(said)));
        first = child_of(holder.pid);
        ck_assert(has_own_namespace(first));
        (void) snprintf(command, sizeof(command), "nsenter --pid --mount --target %d", (int) first);
        set_wrapper(command);
        world_start_daemon(&world);
        victim_start(&v, obey_in_namespace, &first);
        ck_assert_int_eq(hear(&v), 0);
        victim_start(&silent, obey_in_namespace, &first);
        ck_assert_int_eq(hear(&silent), 0);
        kill_wrapped_daemon();

        set_wrapper(NULL);
        world_start_daemon(&world);
        ck_assert_int_eq(make_another(&v), 0);
        ck_assert_uint_eq(count_files(world.dir), 3);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 1));
        victim_kill(&silent, SIGKILL);
        world_kill_daemon(&world);
        ck_assert_uint_eq(count_files(world.dir), 1); /* who can tell? */

        set_wrapper(command); /* somebody who sees that namespace from inside */
        world_start_daemon(&world);
        ck_assert(wait_left(world.dir, 0));
        kill_wrapped_daemon();

        set_wrapper(NULL); /* where this process is served */
        world_start_daemon(&world);
        ck_assert(wait_list_empty());
        victim_kill(&holder, SIGKILL);
}
END_TEST

/* ---- units ---- */

static char cgroup[64]; /* made for a test; or "" */

/* Where cgroups are of version 2, which needs no more than a directory. */
static bool make_cgroup(void)
{
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
                if (statfs(roots[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
                        continue;
                (void) snprintf(cgroup, sizeof(cgroup), "%s/tempfiled-%d", roots[i], getpid());
                if (mkdir(cgroup, 0755) == 0)
                        return true;
        }
        cgroup[0] = 0;
        return false;
}

static void remove_cgroup(void)
{
        if (cgroup[0])
                (void) rmdir(cgroup);
        cgroup[0] = 0;
}

static void tear_down_units(void)
{
        tear_down();
        remove_cgroup();
}

static const char *unless_cgroup(void)
{
        const char *reason = unless_root();

        if (!reason && !make_cgroup())
                reason = "no cgroup can be made here";
        remove_cgroup();
        return reason;
}

static int make_for_its_unit(int to, void *userdata)
{
        char procs[sizeof(cgroup) + 16];

        (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
        write_file(procs, "0");
        options.owner_kind = TEMPFILE_OWNER_UNIT;
        return make_and_obey(to, NULL);
}

static int note_row(const struct tempfile_entry *e, void *userdata)
{
        *(struct tempfile_entry *) userdata = *e;
        return 0;
}

static void expect_live_unit(void)
{
        struct tempfile_entry row = { 0 };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_list(a, NULL, note_row, &row), 1);
        tempfile_admin_close(a);
        ck_assert_uint_eq(row.owner_kind, TEMPFILE_OWNER_UNIT);
        ck_assert_uint_eq(row.state, TEMPFILE_STATE_LIVE);
        ck_assert_uint_eq(count_files(world.dir), 1);
}

/* Where no cgroups are mounted none is found, which says nothing of the unit. */
START_TEST(a_unit_is_not_dead_to_a_daemon_that_sees_no_cgroups)
{
        struct victim v;

        ck_assert(make_cgroup());
        set_wrapper(NULL);
        world_start_daemon(&world);
        victim_start(&v, make_for_its_unit, NULL);
        ck_assert_int_eq(hear(&v), 0);
        world_kill_daemon(&world);

        set_wrapper("unshare --mount sh -c 'mount -t tmpfs none /sys/fs/cgroup; exec \"$@\"' sh");
        world_start_daemon(&world);
        expect_live_unit();
        world_kill_daemon(&world);

        set_wrapper(NULL);
        world_start_daemon(&world);
        expect_live_unit();
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}
END_TEST

static void add_in_both_ways(TCase *c, const TTest *test)
{
        if (unless_root())
                add_unless(c, unless_root(), test);
        else
                tcase_add_loop_test(c, test, 0, WAYS);
}

int main(void)
{
        TCase *c = tcase_create("namespaces"), *units = tcase_create("units");
        Suite *s = suite_create("namespaces");
        SRunner *r;
        int failed;

        tcase_set_timeout(c, 20);
        tcase_add_checked_fixture(c, set_up, tear_down);
        add_in_both_ways(c, a_client_that_can_not_be_seen_is_refused);
        add_in_both_ways(c, the_living_are_not_dead_to_a_daemon_that_can_not_see_them);
        add_in_both_ways(c, who_speaks_to_a_daemon_outside_is_known_again);
        suite_add_tcase(s, c);
        tcase_set_timeout(units, 20);
        tcase_add_checked_fixture(units, set_up, tear_down_units);
        add_unless(units, unless_cgroup(), a_unit_is_not_dead_to_a_daemon_that_sees_no_cgroups);
        suite_add_tcase(s, units);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
