/* SPDX-License-Identifier: MIT */

/*
 * Many processes, each an owner with a connection of its own: what each costs the daemon, and that
 * after a restart all who live are found again and those who died meanwhile are found dead, no other
 * file touched; also when all of the living speak at once. A few hundred, or ten thousand with
 * TEMPFILED_TEST_FULL=1.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

#define CROWD 300U
#define CROWD_FULL 10000U
#define DESCRIPTORS_WANTED (CROWD_FULL * 10) /* one user may have an eighth of the daemon's */
#define DESCRIPTORS_EACH 2U                  /* a connection and a pidfd */
#define DESCRIPTORS_BESIDE 64U
#define DESCRIPTORS_PASSING 1000U /* while they are asked for */
#define TIMEOUT_MSEC 60000U       /* of a call, amid so many others */

static struct world world;
static struct tempfile_options options;
static unsigned int n_wanted;
static pid_t *pids;
static int answers[2]; /* each byte: one of them has done what it was to do, or (1) could not */
static int orders[2];  /* each byte: one of them is to make another */

static bool is_full(void)
{
        const char *full = getenv("TEMPFILED_TEST_FULL");

        return full && *full && !streq(full, "0");
}

/* As many as there can be: of the daemon's descriptors an ordinary user may have an eighth only. */
static void choose_number(void)
{
        struct rlimit limit = { DESCRIPTORS_WANTED, DESCRIPTORS_WANTED };
        unsigned int most;

        if (geteuid() == 0)
                (void) setrlimit(RLIMIT_NOFILE, &limit); /* which root may not everywhere */
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        most = (unsigned int) MIN(limit.rlim_max, DESCRIPTORS_WANTED);
        most = geteuid() == 0 ? (most - DESCRIPTORS_PASSING) / DESCRIPTORS_EACH : most / 10;
        n_wanted = MIN(is_full() ? CROWD_FULL : CROWD, most);
}

static void set_up(void)
{
        world_init(&world);
        ck_assert_int_eq(pipe2(answers, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(orders, O_CLOEXEC), 0);
        options = world_options(&world);
        choose_number();
        pids = calloc(n_wanted, sizeof(*pids));
        ck_assert_ptr_nonnull(pids);
        world_start_daemon(&world);
}

static void tear_down(void)
{
        for (unsigned int i = 0; i < n_wanted; i++)
                if (pids[i] > 0)
                        (void) kill(pids[i], SIGKILL);
        free(pids);
        world_done(&world);
}

/* One of the crowd. */
static void make_some(void)
{
        struct tempfile *t;
        char c = 0;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        do {
                c = tempfile_named(&options, &t) != 0 || tempfile_retain(t, 0) != 0;
                if (write(answers[1], &c, 1) != 1)
                        _exit(2);
        } while (read(orders[0], &c, 1) == 1);
        _exit(3);
}

static void wait_answers(unsigned int n)
{
        char buf[4096];
        ssize_t got;

        for (; n > 0; n -= (unsigned int) got) {
                got = read(answers[0], buf, MIN(n, sizeof(buf)));
                ck_assert_int_gt(got, 0);
                for (ssize_t i = 0; i < got; i++)
                        ck_assert_int_eq(buf[i], 0);
        }
}

static void gather(void)
{
        (void) fflush(NULL);
        for (unsigned int i = 0; i < n_wanted; i++) {
                pids[i] = fork();
                ck_assert_msg(pids[i] >= 0, "fork, number %u: %s", i, strerror(errno));
                if (pids[i] == 0)
                        make_some();
        }
        wait_answers(n_wanted);
}

static void kill_every_other(unsigned int first)
{
        for (unsigned int i = first; i < n_wanted; i += 2)
                ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
        for (unsigned int i = first; i < n_wanted; i += 2) {
                ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
                pids[i] = 0;
        }
}

static uint64_t count_live(void)
{
        struct tempfile_status s = { .size = sizeof(s) };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, TIMEOUT_MSEC, &a), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &s), 0);
        tempfile_admin_close(a);
        return s.live;
}

/* Entries go after their files. As long as there are fewer and fewer, all is well. */
static void wait_for(unsigned int n)
{
        time_t end;

        for (unsigned int before = UINT_MAX, left; !wait_left(world.dir, n); before = left) {
                left = count_files(world.dir);
                ck_assert_uint_lt(left, before);
        }
        ck_assert_uint_eq(count_files(world.dir), n);
        end = time(NULL) + 60;
        while (count_live() > n)
                ck_assert_int_lt(time(NULL), end);
        ck_assert_uint_eq(count_live(), n);
}

static unsigned int count_descriptors(void)
{
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) world.daemon.pid);
        return count_files(path);
}

START_TEST(a_crowd_is_found_again_and_its_dead_are_found_dead)
{
        const unsigned int n_dead = (n_wanted + 1) / 2, n_living = n_wanted - n_dead;
        char *bytes = calloc(n_wanted, 1);

        gather();
        wait_for(n_wanted);
        ck_assert_uint_le(count_descriptors(), DESCRIPTORS_EACH * n_wanted + DESCRIPTORS_BESIDE);
        (void) fprintf(stderr, "# %u owners, %u descriptors\n", n_wanted, count_descriptors());

        world_kill_daemon(&world);
        kill_every_other(0);
        world_start_daemon(&world);
        wait_for(n_living);

        ck_assert_int_eq(write(orders[1], bytes, n_living), n_living); /* to all, at once */
        wait_answers(n_living);
        wait_for(2 * n_living);
        kill_every_other(1);
        wait_for(0);
        ck_assert(wait_list_empty());
        free(bytes);
}
END_TEST

/* ---- none left ---- */

/* So that it may have that many descriptors beside those that it has. */
static void leave_free(unsigned int n)
{
        struct rlimit limit;
        char path[64];
        rlim_t most = 0;

        ck_assert_int_eq(prlimit(world.daemon.pid, RLIMIT_NOFILE, NULL, &limit), 0);
        for (; n > 0 || most == 0; most++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int) world.daemon.pid,
                                (unsigned int) most);
                n -= n > 0 && !path_exists(path);
        }
        limit.rlim_cur = most;
        ck_assert_int_eq(prlimit(world.daemon.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static int say_what_comes_of_it(int to, void *userdata)
{
        struct tempfile *t;
        char text[16], c;

        do {
                (void) snprintf(text, sizeof(text), "%d", tempfile_named(&options, &t));
                victim_say(to, text);
        } while (read(orders[0], &c, 1) == 1);
        return 0;
}

static int hear(struct victim *v)
{
        char text[16];

        ck_assert(victim_hear(v, text, sizeof(text)));
        return (int) strtol(text, NULL, 10);
}

/* The daemon can take in the client, and not the directory that it sends. */
START_TEST(who_comes_when_no_descriptor_is_left_is_told_so)
{
        struct victim v;

        leave_free(DESCRIPTORS_EACH);
        victim_start(&v, say_what_comes_of_it, NULL);
        ck_assert_int_eq(hear(&v), -ENFILE);
        ck_assert_uint_eq(count_files(world.dir), 0);
        leave_free(DESCRIPTORS_BESIDE);
        ck_assert_int_eq(write(orders[1], "x", 1), 1);
        ck_assert_int_eq(hear(&v), 0);
        victim_kill(&v, SIGKILL);
        wait_for(0);
}
END_TEST

int main(void)
{
        TCase *c = tcase_create("crowd");
        Suite *s = suite_create("crowd");
        SRunner *r;
        int failed;

        tcase_set_timeout(c, 200);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, who_comes_when_no_descriptor_is_left_is_told_so);
        tcase_add_test(c, a_crowd_is_found_again_and_its_dead_are_found_dead);
        suite_add_tcase(s, c);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
