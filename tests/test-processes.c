/* SPDX-License-Identifier: MIT */

/*
 * When has a process ended? Not when its main thread has, nor at exec, nor when a child closes or
 * keeps the connection; but when it is a zombie that nobody waits for, or is held by a tracer. And
 * whose are its files: the effective user's of the moment. All of it with both ways to identify a
 * client: with SO_PEERPIDFD, and with the nonce as on kernels that have none.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

#define WAYS 2 /* to identify a client; _i is which */
#define REAL_UID 61001U
#define EFFECTIVE_UID 61002U

static struct world world;
static struct tempfile_options options;
static char path[PATH_MAX + NAME_MAX + 2];
static int orders[2]; /* each byte: make another */

static void set_up(void)
{
        world_init(&world);
        ck_assert_int_eq(pipe2(orders, O_CLOEXEC), 0);
        options = world_options(&world);
}

static void tear_down(void)
{
        world_done(&world);
        (void) unsetenv("TEMPFILED_NO_PEERPIDFD");
}

static void begin(int way)
{
        if (way == 1)
                ck_assert_int_eq(setenv("TEMPFILED_NO_PEERPIDFD", "1", 1), 0);
        world_start_daemon(&world);
        if (geteuid() == 0) {
                ck_assert_int_eq(chmod(world.dir, 01777), 0);
                ck_assert_int_eq(chmod(world.daemon.socket, 0666), 0);
        }
}

static void restart_daemon(void)
{
        world_kill_daemon(&world);
        world_start_daemon(&world);
        if (geteuid() == 0)
                ck_assert_int_eq(chmod(world.daemon.socket, 0666), 0);
}

static void hear(struct victim *v)
{
        ck_assert_msg(victim_hear(v, path, sizeof(path)), "it ended with %d", victim_join(v));
}

static void expect_gone(void)
{
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}

static struct tempfile *make(void)
{
        struct tempfile *t;
        int r = tempfile_named(&options, &t);

        if (r < 0)
                (void) fprintf(stderr, "# tempfile_named: %s\n", strerror(-r));
        return r < 0 ? NULL : t;
}

/* The daemon has dealt with all that has ended up to now: it reaps another one's file. */
static int make_and_exit(int to, void *userdata)
{
        return make() ? 0 : 1;
}

static void let_it_notice(unsigned int expected)
{
        struct victim other;

        victim_start(&other, make_and_exit, NULL);
        ck_assert_int_eq(victim_join(&other), 0);
        ck_assert(wait_left(world.dir, expected));
        ck_assert_uint_eq(count_files(world.dir), expected);
}

/* ---- threads -------------------------------------------------------------------------------- */

static int thread_says;

static char state_of(pid_t pid)
{
        char name[64], buf[512] = "", *at;
        FILE *f;

        (void) snprintf(name, sizeof(name), "/proc/%d/stat", (int) pid);
        f = fopen(name, "re");
        if (!f)
                return 0;
        (void) !fread(buf, 1, sizeof(buf) - 1, f);
        (void) fclose(f);
        at = strrchr(buf, ')');
        return at ? at[2] : 0;
}

static void *go_on(void *userdata)
{
        const struct tempfile *t;
        char c;

        while (state_of(getpid()) != 'Z')
                (void) sched_yield();
        victim_say(thread_says, tempfile_path(userdata));
        while (read(orders[0], &c, 1) == 1) {
                t = make();
                if (!t)
                        _exit(3);
                victim_say(thread_says, tempfile_path(t));
        }
        return NULL;
}

static int leave_it_to_a_thread(int to, void *userdata)
{
        struct tempfile *t = make();
        pthread_t thread;

        thread_says = to;
        if (!t || pthread_create(&thread, NULL, go_on, t) != 0)
                return 1;
        pthread_exit(NULL);
}

START_TEST(the_end_of_the_main_thread_is_not_the_processs)
{
        struct victim v;

        begin(_i);
        victim_start(&v, leave_it_to_a_thread, NULL);
        hear(&v);
        let_it_notice(1);
        restart_daemon(); /* finds it again, and is greeted by what is left of it */
        ck_assert_int_eq(write(orders[1], "x", 1), 1);
        hear(&v);
        let_it_notice(2);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

static void *make_and_end(void *userdata)
{
        return make();
}

/* The connection was made by a thread that is no more. */
static int have_a_thread_connect(int to, void *userdata)
{
        pthread_t thread;
        void *t;

        if (pthread_create(&thread, NULL, make_and_end, NULL) != 0 ||
            pthread_join(thread, &t) != 0 || !t)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(the_end_of_the_thread_that_connected_is_not_the_processs)
{
        struct victim v;

        begin(_i);
        victim_start(&v, have_a_thread_connect, NULL);
        hear(&v);
        let_it_notice(1);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

/* ---- other programs, and children ----------------------------------------------------------- */

static int make_and_exec(int to, void *userdata)
{
        const struct tempfile *t = make();

        if (!t)
                return 1;
        victim_say(to, tempfile_path(t));
        (void) execl("/bin/sleep", "sleep", "1000", (char *) NULL);
        return 2;
}

START_TEST(exec_is_not_the_end)
{
        struct victim v;

        begin(_i);
        victim_start(&v, make_and_exec, NULL);
        hear(&v);
        let_it_notice(1);
        restart_daemon(); /* which asks whether the owner is still the same process */
        let_it_notice(1);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

static int have_a_child_exec(int to, void *userdata)
{
        const struct tempfile *t = make();
        int status;
        pid_t pid;

        pid = t ? vfork() : -1;
        if (pid == 0) {
                (void) execl("/bin/true", "true", (char *) NULL);
                _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(a_childs_exec_after_vfork_is_nothing_to_its_parent)
{
        struct victim v;

        begin(_i);
        victim_start(&v, have_a_child_exec, NULL);
        hear(&v);
        let_it_notice(1);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

/* Its child has the connection, and goes on; it stands still itself. */
static int be_outlived(int to, void *userdata)
{
        static char text[64];
        const struct tempfile *t = make();
        pid_t pid;

        pid = t ? vfork() : -1;
        if (pid == 0) {
                (void) snprintf(text, sizeof(text), "%d", (int) syscall(SYS_getpid));
                victim_say(to, text);
                victim_wait();
        }
        return 1;
}

START_TEST(a_connection_that_a_child_has_open_keeps_nobody_alive)
{
        struct victim v;
        pid_t child;

        begin(_i);
        victim_start(&v, be_outlived, NULL);
        hear(&v);
        child = (pid_t) strtol(path, NULL, 10);
        ck_assert_int_gt(child, 0);
        let_it_notice(1);
        victim_kill(&v, SIGKILL);
        expect_gone();
        ck_assert_int_eq(kill(child, 0), 0);
        (void) kill(child, SIGKILL);
}
END_TEST

/* ---- held up in dying ----------------------------------------------------------------------- */

static int make_and_wait(int to, void *userdata)
{
        const struct tempfile *t = make();

        if (!t)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(a_zombie_that_nobody_waits_for_has_ended)
{
        struct victim v;

        begin(_i);
        victim_start(&v, make_and_wait, NULL);
        hear(&v);
        ck_assert_int_eq(kill(v.pid, SIGKILL), 0);
        expect_gone();
        ck_assert_int_eq(state_of(v.pid), 'Z');

        restart_daemon(); /* and nothing more comes of it */
        ck_assert(wait_list_empty());
        (void) victim_join(&v);
}
END_TEST

/* The same, found at the start. */
START_TEST(a_zombie_is_found_dead_at_the_start)
{
        struct victim v;

        begin(_i);
        victim_start(&v, make_and_wait, NULL);
        hear(&v);
        world_kill_daemon(&world);
        ck_assert_int_eq(kill(v.pid, SIGKILL), 0);
        while (state_of(v.pid) != 'Z')
                (void) sched_yield();
        world_start_daemon(&world);
        expect_gone();
        (void) victim_join(&v);
}
END_TEST

struct traced {
        pid_t pid;
        char tid[32]; /* which of its threads */
};

static int hold(int to, void *userdata)
{
        const struct traced *t = userdata;

        if (ptrace(PTRACE_SEIZE, (pid_t) strtol(t->tid, NULL, 10), NULL, NULL) < 0)
                return 1;
        victim_say(to, "");
        victim_wait();
}

static void hold_thread(struct victim *tracer, struct traced *t)
{
        char said[4];

        victim_start(tracer, hold, t);
        ck_assert_msg(victim_hear(tracer, said, sizeof(said)), "PTRACE_SEIZE");
}

START_TEST(who_is_traced_and_killed_has_ended)
{
        struct victim v, tracer;
        struct traced t;

        begin(_i);
        victim_start(&v, make_and_wait, NULL);
        hear(&v);
        (void) snprintf(t.tid, sizeof(t.tid), "%d", (int) v.pid);
        hold_thread(&tracer, &t);
        let_it_notice(1);
        ck_assert_int_eq(kill(v.pid, SIGKILL), 0); /* whom its tracer does not let go */
        expect_gone();
        victim_kill(&tracer, SIGKILL);
        (void) victim_join(&v);
}
END_TEST

static void *say_number(void *userdata)
{
        char text[32];

        (void) snprintf(text, sizeof(text), "%d", (int) syscall(SYS_gettid));
        victim_say(*(int *) userdata, text);
        victim_wait();
}

static int have_two_threads(int to, void *userdata)
{
        pthread_t thread;

        if (!make() || pthread_create(&thread, NULL, say_number, &to) != 0)
                return 1;
        victim_wait();
}

/* For as long as its tracer holds one of its threads the kernel does not say that it has ended. */
START_TEST(who_has_a_traced_thread_has_ended_when_that_is_let_go)
{
        struct victim v, tracer;
        struct traced t;

        begin(_i);
        victim_start(&v, have_two_threads, NULL);
        ck_assert(victim_hear(&v, t.tid, sizeof(t.tid)));
        hold_thread(&tracer, &t);
        ck_assert_int_eq(kill(v.pid, SIGKILL), 0);
        while (state_of(v.pid) != 'Z')
                (void) sched_yield();
        restart_daemon(); /* a zombie that is not dead yet, and has to be watched */
        victim_kill(&tracer, SIGKILL);
        expect_gone();
        (void) victim_join(&v);
}
END_TEST

/* ---- process namespaces --------------------------------------------------------------------- */

static int live_as_number_one(int to, void *userdata)
{
        int status;
        pid_t pid;

        if (unshare(CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0)
                return 1;
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(getpid() == 1 ? make_and_wait(to, userdata) : 2);
        }
        return waitpid(pid, &status, 0) == pid ? status : 3;
}

START_TEST(who_is_in_a_process_namespace_is_known_by_its_number_outside)
{
        struct victim v;

        begin(_i);
        victim_start(&v, live_as_number_one, NULL);
        hear(&v);
        let_it_notice(1);
        restart_daemon();
        let_it_notice(1);
        victim_kill(&v, SIGKILL); /* its child goes with it */
        expect_gone();
}
END_TEST

/* ---- users ---------------------------------------------------------------------------------- */

/* As a set-user-ID program finds itself. */
static int be_set_user_id(int to, void *userdata)
{
        if (setgroups(0, NULL) < 0 || setresgid(REAL_UID, EFFECTIVE_UID, EFFECTIVE_UID) < 0 ||
            setresuid(REAL_UID, EFFECTIVE_UID, EFFECTIVE_UID) < 0)
                return 1;
        return make_and_wait(to, userdata);
}

START_TEST(a_set_user_id_program_is_its_effective_user)
{
        struct victim v;
        struct stat st;

        begin(_i);
        victim_start(&v, be_set_user_id, NULL);
        hear(&v);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_eq(st.st_uid, EFFECTIVE_UID);
        let_it_notice(1);
        restart_daemon();
        let_it_notice(1);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

/* One of root's after the other, then back and forth. */
static int change_users(int to, void *userdata)
{
        static const uid_t users[] = { 0, REAL_UID, EFFECTIVE_UID, REAL_UID, 0 };

        for (size_t i = 0; i < ARRAY_SIZE(users); i++)
                if (seteuid(0) < 0 || seteuid(users[i]) < 0 || !make())
                        return 1;
        victim_say(to, "");
        victim_wait();
}

static int note_user(const struct tempfile_entry *e, void *userdata)
{
        unsigned int *n = userdata;
        struct stat st;

        ck_assert_int_eq(stat(e->path, &st), 0);
        ck_assert_uint_eq(e->uid, st.st_uid);
        n[st.st_uid == 0 ? 0 : st.st_uid - REAL_UID + 1]++;
        return 0;
}

START_TEST(what_is_made_is_the_effective_users_of_that_moment)
{
        struct tempfile_admin *a;
        unsigned int n[3] = { 0 };
        struct victim v;

        begin(_i);
        victim_start(&v, change_users, NULL);
        hear(&v);
        ck_assert(wait_list_length(5));
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_list(a, NULL, note_user, n), 5);
        tempfile_admin_close(a);
        ck_assert(n[0] == 2 && n[1] == 2 && n[2] == 1);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

static const char *unless_namespaces(void)
{
        const pid_t pid = fork();
        int status = -1;

        if (pid == 0)
                _exit(unshare(CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == 0 ? 0 : 1);
        if (pid > 0)
                (void) waitpid(pid, &status, 0);
        return status == 0 ? NULL : "needs process namespaces";
}

static void add_in_both_ways(TCase *c, const char *reason, const TTest *test)
{
        if (reason)
                add_unless(c, reason, test);
        else
                tcase_add_loop_test(c, test, 0, WAYS);
}

int main(void)
{
        TCase *c = tcase_create("processes");
        Suite *s = suite_create("processes");
        SRunner *r;
        int failed;

        tcase_set_timeout(c, 20);
        tcase_add_checked_fixture(c, set_up, tear_down);
        add_in_both_ways(c, NULL, the_end_of_the_main_thread_is_not_the_processs);
        add_in_both_ways(c, NULL, the_end_of_the_thread_that_connected_is_not_the_processs);
        add_in_both_ways(c, NULL, exec_is_not_the_end);
        add_in_both_ways(c, NULL, a_childs_exec_after_vfork_is_nothing_to_its_parent);
        add_in_both_ways(c, NULL, a_connection_that_a_child_has_open_keeps_nobody_alive);
        add_in_both_ways(c, NULL, a_zombie_that_nobody_waits_for_has_ended);
        add_in_both_ways(c, NULL, a_zombie_is_found_dead_at_the_start);
        add_in_both_ways(c, NULL, who_is_traced_and_killed_has_ended);
        add_in_both_ways(c, NULL, who_has_a_traced_thread_has_ended_when_that_is_let_go);
        add_in_both_ways(c, unless_namespaces(),
                         who_is_in_a_process_namespace_is_known_by_its_number_outside);
        add_in_both_ways(c, unless_root(), a_set_user_id_program_is_its_effective_user);
        add_in_both_ways(c, unless_root(), what_is_made_is_the_effective_users_of_that_moment);
        suite_add_tcase(s, c);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
