/* SPDX-License-Identifier: MIT */

/*
 * 64 threads at once, with a true daemon. What it is for is the thread sanitizer: see .ci/run.
 * With TEMPFILED_TEST_FULL=1 twenty times as much.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/testutil.h"

#define THREADS 64U
#define ROUNDS 25U
#define RESTARTS 3U

static struct world world;
static struct tempfile_options options;
static struct tempfile *arena;
static unsigned int rounds;

static void set_up(void)
{
        world_init(&world);
        world_start_daemon(&world);
        options = world_options(&world);
        rounds = getenv("TEMPFILED_TEST_FULL") ? 20 * ROUNDS : ROUNDS;
}

static void tear_down(void)
{
        world_done(&world);
}

/* ---- what the threads do: NULL, or what went wrong ------------------------------------------- */

static void *make_and_close(void *userdata)
{
        struct tempfile *t;

        for (unsigned int i = 0; i < rounds; i++) {
                if (tempfile_named(&options, &t) != 0)
                        return "tempfile_named";
                if (write(tempfile_fd(t), "x", 1) != 1 || tempfile_close(t) != 0)
                        return "tempfile_close";
        }
        return NULL;
}

static void *make_a_tree(void *userdata)
{
        struct tempfile_options inside = TEMPFILE_OPTIONS_INIT;
        struct tempfile *d, *t;

        for (unsigned int i = 0; i < rounds / 5; i++) {
                if (tempfile_directory(&options, &d) != 0)
                        return "tempfile_directory";
                inside.dir = tempfile_path(d);
                inside.timeout_msec = options.timeout_msec;
                if (tempfile_named(&inside, &t) != 0)
                        return "tempfile_named in a directory of its own";
                if (tempfile_close(d) != 0 || tempfile_close(t) != 0)
                        return "tempfile_close";
        }
        return NULL;
}

static void *ask_each_time(void *userdata)
{
        struct tempfile_options weak = options;
        struct tempfile *t;
        char path[PATH_MAX];
        int r;

        weak.pattern = "a-XXXX.txt";
        for (unsigned int i = 0; i < rounds / 5; i++) {
                if (tempfile_named(&weak, &t) != 0)
                        return "tempfile_named with a pattern";
                (void) snprintf(path, sizeof(path), "%s", tempfile_path(t));
                if (tempfile_release(t) != 0 || tempfile_find(path, &t) != 0)
                        return "tempfile_find";
                r = i % 2 == 0 ? tempfile_keep(t) : tempfile_retain(t, 5);
                if (r != 0 || tempfile_close(t) != 0)
                        return "tempfile_keep, tempfile_retain";
                if (i % 2 == 0 && unlink(path) != 0)
                        return "unlink";
        }
        return NULL;
}

static int look(const struct tempfile_item *item, void *userdata)
{
        return *item->path == '/' ? 0 : -EINVAL;
}

static void *look_around(void *userdata)
{
        char *dir;

        for (unsigned int i = 0; i < rounds / 5; i++) {
                if (tempfile_list(look, NULL) < 0)
                        return "tempfile_list";
                if (tempfile_settempdir(i % 2 == 0 ? world.dir : NULL) != 0 ||
                    tempfile_gettempdir(&dir) != 0)
                        return "tempfile_gettempdir";
                free(dir);
        }
        return NULL;
}

static void *share_an_arena(void *userdata)
{
        char name[TEMPFILE_NAME_SIZE];
        int fd;

        for (unsigned int i = 0; i < rounds; i++) {
                fd = tempfile_arena_named(arena, NULL, name);
                if (fd < 0 || close(fd) != 0)
                        return "tempfile_arena_named";
        }
        return NULL;
}

static void *let_descriptors_own(void *userdata)
{
        int fd;

        for (unsigned int i = 0; i < rounds / 5; i++) {
                fd = tempfile_pseudo_file(&options, NULL);
                if (fd < 0 || close(fd) != 0)
                        return "tempfile_pseudo_file";
                fd = tempfile_unnamed(&options);
                if (fd < 0 || close(fd) != 0)
                        return "tempfile_unnamed";
        }
        return NULL;
}

static void *(*const works[])(void *) = {
        make_and_close, make_a_tree,    ask_each_time,
        look_around,    share_an_arena, let_descriptors_own,
};

/* ---- all at once ------------------------------------------------------------------------------ */

static void start(pthread_t *threads, unsigned int n_works)
{
        for (unsigned int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, works[i % n_works], NULL), 0);
}

static void join(const pthread_t *threads)
{
        void *failed;

        for (unsigned int i = 0; i < THREADS; i++) {
                ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
                ck_assert_msg(!failed, "%s", failed ? (char *) failed : "");
        }
}

START_TEST(threads_hammer_at_one_directory)
{
        pthread_t threads[THREADS];

        start(threads, 1);
        join(threads);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(threads_do_all_there_is_to_do)
{
        pthread_t threads[THREADS];

        ck_assert_int_eq(tempfile_directory(&options, &arena), 0);
        start(threads, ARRAY_SIZE(works));
        join(threads);
        ck_assert_int_eq(tempfile_close(arena), 0);
        ck_assert(wait_left(world.dir, 0));
}
END_TEST

/* Names under a tag need no daemon to be there. */
START_TEST(threads_go_on_over_restarts)
{
        pthread_t threads[THREADS];

        (void) make_and_close(NULL);
        rounds *= 4;
        start(threads, 1);
        for (unsigned int i = 0; i < RESTARTS; i++) {
                world_kill_daemon(&world);
                world_start_daemon(&world);
        }
        join(threads);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

int main(void)
{
        TCase *c = tcase_create("threads");
        Suite *s = suite_create("threads");
        SRunner *r;
        int failed;

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 120);
        tcase_add_test(c, threads_hammer_at_one_directory);
        tcase_add_test(c, threads_do_all_there_is_to_do);
        tcase_add_test(c, threads_go_on_over_restarts);
        suite_add_tcase(s, c);
        r = srunner_create(s);
        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
