/* SPDX-License-Identifier: MIT */

/*
 * What hangs holds up its own kind only. Jobs that "hang" read a pipe; that a job does not run is
 * seen by another, queued behind it, that has run.
 */

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "daemon/pool.h"
#include "libclient/util.h"
#include "tests/unit.h"

#define PER_LANE 2U
#define PER_UID 16U

static sd_event *event;
static struct pool *pool;
static int gate[2]; /* who reads it goes on when its other end is closed */

struct task {
        struct job job;
        bool hangs;
        uint64_t moves_to; /* 0: stays */
        _Atomic bool has_run;
        bool is_done;
        sigset_t blocked;
        pid_t thread;
};

static int run_task(struct job *j)
{
        struct task *t = (struct task *) j;
        char byte;

        if (t->moves_to > 0) {
                j->device = t->moves_to;
                t->moves_to = 0;
                return 1;
        }
        t->has_run = true;
        t->thread = gettid();
        (void) pthread_sigmask(SIG_SETMASK, NULL, &t->blocked);
        if (t->hangs)
                (void) !read(gate[0], &byte, 1);
        return 0;
}

static void done_task(struct job *j, void *userdata)
{
        ((struct task *) j)->is_done = true;
}

static void take_finished(void *userdata)
{
        struct job *j;

        while ((j = pool_take(pool)))
                j->done(j, NULL);
}

static void setup(void)
{
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(pool_new(event, take_finished, NULL, &pool), 0);
        ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
}

static void open_gate(void)
{
        gate[1] = close_fd(gate[1]);
}

static bool is_idle(void *userdata)
{
        unsigned int jobs, hung;

        pool_count(pool, &jobs, &hung);
        if (jobs == 0)
                take_finished(NULL);
        return jobs == 0;
}

static void teardown(void)
{
        open_gate();
        if (pool)
                ck_assert(unit_run_until(event, is_idle, NULL));
        pool_free(pool);
        pool = NULL;
        event = sd_event_unref(event);
        gate[0] = close_fd(gate[0]);
}

static void submit(struct task *t, uid_t uid, uint64_t device)
{
        t->job = (struct job) { run_task, done_task, uid, device, NULL };
        pool_submit(pool, &t->job);
}

static bool is_done(void *task)
{
        return ((struct task *) task)->is_done;
}

static void wait_done(struct task *t)
{
        ck_assert(unit_run_until(event, is_done, t));
}

START_TEST(job_runs_in_a_thread_and_ends_in_the_loop)
{
        struct task t = { 0 };

        submit(&t, 1, 1);
        ck_assert(!t.is_done);
        wait_done(&t);
        ck_assert(t.has_run);
        ck_assert_int_ne(t.thread, gettid());
        ck_assert_int_eq(sigismember(&t.blocked, SIGTERM), 1); /* signals are the loop's */
        ck_assert_ptr_null(pool_take(pool));
}
END_TEST

START_TEST(many_jobs_are_all_done)
{
        static struct task t[500];

        for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
                t[i] = (struct task) { .moves_to = i % 3 };
                submit(&t[i], (uid_t) (i % 7), i % 5 ? i % 5 : POOL_DEVICE_UNKNOWN);
        }
        for (size_t i = 0; i < ARRAY_SIZE(t); i++)
                wait_done(&t[i]);
}
END_TEST

START_TEST(hanging_device_stops_its_own_lane_only)
{
        struct task hanging[PER_LANE] = { 0 }, waiting = { 0 }, device = { 0 }, user = { 0 };
        unsigned int jobs, hung;

        for (unsigned int i = 0; i < PER_LANE; i++) {
                hanging[i].hangs = true;
                submit(&hanging[i], 1, 1);
        }
        submit(&waiting, 1, 1);
        submit(&device, 1, 2);
        submit(&user, 2, 1);
        wait_done(&device);
        wait_done(&user);
        ck_assert(!waiting.has_run);
        pool_count(pool, &jobs, &hung);
        ck_assert_uint_eq(jobs, PER_LANE + 1);
        ck_assert_uint_eq(hung, 0); /* not for ten seconds yet */
        open_gate();
        wait_done(&waiting);
        for (unsigned int i = 0; i < PER_LANE; i++)
                wait_done(&hanging[i]);
}
END_TEST

START_TEST(user_has_a_bounded_number_of_threads)
{
        struct task hanging[PER_UID] = { 0 }, waiting = { 0 }, unknown = { 0 }, other = { 0 };

        for (unsigned int i = 0; i < PER_UID; i++) {
                hanging[i].hangs = true;
                submit(&hanging[i], 1, 1 + i);
        }
        submit(&waiting, 1, 100);
        submit(&unknown, 1, POOL_DEVICE_UNKNOWN);
        submit(&other, 2, 1);
        wait_done(&other);
        ck_assert(!waiting.has_run);
        ck_assert(!unknown.has_run);
        open_gate();
        wait_done(&waiting);
        wait_done(&unknown);
        for (unsigned int i = 0; i < PER_UID; i++)
                wait_done(&hanging[i]);
}
END_TEST

START_TEST(many_users_with_what_hangs_leave_threads_for_others)
{
        static struct task hanging[40 * PER_UID];
        struct task other = { 0 }, root = { 0 };

        /* Sixteen of them could take all there are; forty can't keep another from getting one. */
        for (unsigned int i = 0; i < ARRAY_SIZE(hanging); i++) {
                hanging[i] = (struct task) { .hangs = true };
                submit(&hanging[i], 1000 + i % 40, 1 + i / 40);
        }
        submit(&other, 1, 1);
        wait_done(&other);
        open_gate();
        for (unsigned int i = 0; i < ARRAY_SIZE(hanging); i++)
                wait_done(&hanging[i]);
        submit(&root, 0, 1);
        wait_done(&root);
}
END_TEST

START_TEST(no_number_of_users_keeps_root_from_being_served)
{
        static struct task hanging[400];
        struct task root = { 0 };

        for (unsigned int i = 0; i < ARRAY_SIZE(hanging); i++) {
                hanging[i] = (struct task) { .hangs = true };
                submit(&hanging[i], 1000 + i, 1);
        }
        submit(&root, 0, 1);
        wait_done(&root);
        open_gate();
        for (unsigned int i = 0; i < ARRAY_SIZE(hanging); i++)
                wait_done(&hanging[i]);
}
END_TEST

/* As a user who may start no thread, then may again. */
static int submit_without_threads(void *userdata)
{
        struct rlimit before, limit;
        struct task t = { 0 };

        if (geteuid() == 0 && setresuid(UNIT_NOBODY, UNIT_NOBODY, UNIT_NOBODY) < 0)
                return 1;
        setup();
        if (getrlimit(RLIMIT_NPROC, &before) < 0)
                return 2;
        limit = before;
        limit.rlim_cur = 0;
        if (setrlimit(RLIMIT_NPROC, &limit) < 0)
                return 3;
        submit(&t, 1, 1);
        if (sd_event_run(event, 0) < 0 || t.has_run || setrlimit(RLIMIT_NPROC, &before) < 0)
                return 4;
        return unit_run_until(event, is_done, &t) ? 0 : 5;
}

START_TEST(job_without_a_thread_is_run_when_there_is_one)
{
        ck_assert_int_eq(unit_in_child(submit_without_threads, NULL), 0);
}
END_TEST

START_TEST(job_that_learns_its_device_goes_on_there)
{
        struct task hanging[PER_LANE] = { 0 }, moved = { .moves_to = 1 }, free = { .moves_to = 2 };

        for (unsigned int i = 0; i < PER_LANE; i++) {
                hanging[i].hangs = true;
                submit(&hanging[i], 1, 1);
        }
        submit(&moved, 1, POOL_DEVICE_UNKNOWN);
        submit(&free, 1, POOL_DEVICE_UNKNOWN);
        wait_done(&free);
        ck_assert(!moved.has_run); /* its new lane is full */
        open_gate();
        wait_done(&moved);
        for (unsigned int i = 0; i < PER_LANE; i++)
                wait_done(&hanging[i]);
}
END_TEST

static bool is_set(void *flag)
{
        return *(bool *) flag;
}

static int on_closed(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        *(bool *) userdata = true;
        return sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

START_TEST(descriptor_is_closed_in_a_thread)
{
        sd_event_source *source = NULL;
        bool is_closed = false;
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        ck_assert_int_ge(sd_event_add_io(event, &source, ends[0], EPOLLIN, on_closed, &is_closed),
                         0);
        pool_close(pool, 1, ends[1]);
        pool_close(pool, 1, -1); /* nothing */
        ck_assert(unit_run_until(event, is_set, &is_closed));
        sd_event_source_disable_unref(source);
        (void) close(ends[0]);
}
END_TEST

START_TEST(pool_ends_though_a_job_hangs)
{
        /* Static: its thread still has it when this is over. */
        static struct task hanging = { .hangs = true }, done;
        static struct pool *given_up; /* with its thread; it is not lost to who looks for leaks */

        submit(&hanging, 1, 1);
        submit(&done, 1, 2);
        wait_done(&done);
        given_up = pool;
        pool_free(given_up);
        ck_assert(!hanging.is_done);
        pool_free(NULL);
        pool = NULL;
}
END_TEST

static Suite *pool_suite(void)
{
        Suite *s = suite_create("pool");
        TCase *t = tcase_create("pool");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, job_runs_in_a_thread_and_ends_in_the_loop);
        tcase_add_test(t, many_jobs_are_all_done);
        tcase_add_test(t, hanging_device_stops_its_own_lane_only);
        tcase_add_test(t, user_has_a_bounded_number_of_threads);
        tcase_add_test(t, many_users_with_what_hangs_leave_threads_for_others);
        tcase_add_test(t, no_number_of_users_keeps_root_from_being_served);
        tcase_add_test(t, job_without_a_thread_is_run_when_there_is_one);
        tcase_add_test(t, job_that_learns_its_device_goes_on_there);
        tcase_add_test(t, descriptor_is_closed_in_a_thread);
        tcase_add_test(t, pool_ends_though_a_job_hangs);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(pool_suite());
}
