/* SPDX-License-Identifier: MIT */

/*
 * Files that live in memory until they are large. No daemon is there: none is needed.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/testutil.h"

#define LIMIT 1000U

static struct world world;
static struct tempfile_options options;
static struct tempfile_spooled *spooled;
static const char thousand[LIMIT] = { [0 ... LIMIT - 1] = 'x' };

static void set_up(void)
{
        world_init(&world);
        options = world_options(&world);
        options.mode = 0640;
        ck_assert_int_eq(tempfile_spooled(&options, LIMIT, &spooled), 0);
}

static void tear_down(void)
{
        tempfile_spooled_close(spooled);
        world_done(&world);
}

static bool is_in_memory(void)
{
        const int fd = tempfile_spooled_fd(spooled);
        char link[64], target[PATH_MAX];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof(target) - 1);
        ck_assert_int_gt(n, 0);
        target[n] = '\0';
        return strncmp(target, "/memfd:", 7) == 0;
}

START_TEST(what_is_small_stays_in_memory)
{
        char buf[LIMIT + 1];
        struct stat st;

        ck_assert_int_eq(tempfile_spooled_write(spooled, thousand, LIMIT), 0);
        ck_assert_int_eq(tempfile_spooled_check(spooled), 0);
        ck_assert(is_in_memory());
        ck_assert_int_eq(pread(tempfile_spooled_fd(spooled), buf, sizeof(buf), 0), LIMIT);
        ck_assert_int_eq(fcntl(tempfile_spooled_fd(spooled), F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(fstat(tempfile_spooled_fd(spooled), &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0640);
}
END_TEST

START_TEST(one_byte_more_moves_it_and_the_number_stays)
{
        const int fd = tempfile_spooled_fd(spooled);
        char buf[LIMIT + 2];
        struct stat st;

        ck_assert_int_eq(tempfile_spooled_write(spooled, thousand, LIMIT), 0);
        ck_assert_int_eq(tempfile_spooled_write(spooled, "y", 1), 0);
        ck_assert_int_eq(tempfile_spooled_fd(spooled), fd);
        ck_assert(!is_in_memory());
        ck_assert_int_eq(tempfile_spooled_check(spooled), 1);
        ck_assert_int_eq(pread(fd, buf, sizeof(buf), 0), LIMIT + 1);
        ck_assert_int_eq(memcmp(buf, thousand, LIMIT), 0);
        ck_assert_int_eq(buf[LIMIT], 'y');
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0640);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(plain_writes_are_noticed_by_the_next_call)
{
        const int fd = tempfile_spooled_fd(spooled);

        ck_assert_int_eq(write(fd, thousand, LIMIT), LIMIT);
        ck_assert_int_eq(write(fd, thousand, LIMIT), LIMIT);
        ck_assert(is_in_memory());
        ck_assert_int_eq(tempfile_spooled_check(spooled), 1);
        ck_assert(!is_in_memory());
        ck_assert_int_eq(lseek(fd, 0, SEEK_END), 2 * LIMIT);
}
END_TEST

START_TEST(position_and_flags_move_along)
{
        const int fd = tempfile_spooled_fd(spooled);

        ck_assert_int_eq(tempfile_spooled_write(spooled, thousand, LIMIT), 0);
        ck_assert_int_eq(lseek(fd, 7, SEEK_SET), 7);
        ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND), 0);
        ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
        ck_assert_int_eq(tempfile_spooled_rollover(spooled), 0);
        ck_assert_int_eq(tempfile_spooled_rollover(spooled), 0);
        ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 7);
        ck_assert(fcntl(fd, F_GETFL) & O_APPEND);
        ck_assert_int_eq(fcntl(fd, F_GETFD), 0);
        ck_assert_int_eq(tempfile_spooled_write(spooled, "z", 1), 0);
        ck_assert_int_eq(lseek(fd, 0, SEEK_END), LIMIT + 1);
}
END_TEST

START_TEST(a_failure_to_move_leaves_it_in_memory_and_whole)
{
        char buf[LIMIT];

        ck_assert_int_eq(tempfile_spooled_write(spooled, thousand, LIMIT), 0);
        ck_assert_int_eq(rmdir(world.dir), 0);
        ck_assert_int_eq(tempfile_spooled_write(spooled, "y", 1), -ENOENT);
        ck_assert_int_eq(tempfile_spooled_rollover(spooled), -ENOENT);
        ck_assert(is_in_memory());
        ck_assert_int_eq(lseek(tempfile_spooled_fd(spooled), 0, SEEK_CUR), LIMIT);
        ck_assert_int_eq(pread(tempfile_spooled_fd(spooled), buf, LIMIT, 0), LIMIT);
}
END_TEST

START_TEST(what_has_moved_can_be_given_a_name)
{
        const char *final = world_path(&world, "final");

        ck_assert_int_eq(tempfile_spooled_write(spooled, "text", 4), 0);
        ck_assert_int_lt(
                tempfile_unnamed_persist(tempfile_spooled_fd(spooled), final, TEMPFILE_NOREPLACE),
                0);
        ck_assert_int_eq(tempfile_spooled_rollover(spooled), 0);
        ck_assert_int_eq(
                tempfile_unnamed_persist(tempfile_spooled_fd(spooled), final, TEMPFILE_NOREPLACE),
                0);
        ck_assert(file_has(final, "text"));
}
END_TEST

START_TEST(what_is_not_valid_is_refused)
{
        struct tempfile_spooled *s = NULL;

        ck_assert_int_eq(tempfile_spooled(&options, 1, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_fd(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_write(NULL, "", 0), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_write(spooled, NULL, 1), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_check(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_rollover(NULL), -EINVAL);
        tempfile_spooled_close(NULL);
        options.retain_sec = 1;
        ck_assert_int_eq(tempfile_spooled(&options, 1, &s), -EINVAL);
        options.retain_sec = 0;
        options.dir = world_path(&world, "missing");
        ck_assert_int_eq(tempfile_spooled(&options, 1, &s), -ENOENT);
        ck_assert_ptr_null(s);
}
END_TEST

START_TEST(without_a_limit_only_asking_moves_it)
{
        TEMPFILE_AUTO_CLOSE_SPOOLED struct tempfile_spooled *s = NULL;

        ck_assert_int_eq(tempfile_spooled(&options, 0, &s), 0);
        for (unsigned int i = 0; i < 100; i++)
                ck_assert_int_eq(tempfile_spooled_write(s, thousand, LIMIT), 0);
        ck_assert_int_eq(tempfile_spooled_check(s), 0);
        ck_assert_int_eq(tempfile_spooled_rollover(s), 0);
        ck_assert_int_eq(tempfile_spooled_check(s), 1);
}
END_TEST

static Suite *suite_of_spooled(void)
{
        Suite *s = suite_create("spooled");
        TCase *c = tcase_create("spooled");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, what_is_small_stays_in_memory);
        tcase_add_test(c, one_byte_more_moves_it_and_the_number_stays);
        tcase_add_test(c, plain_writes_are_noticed_by_the_next_call);
        tcase_add_test(c, position_and_flags_move_along);
        tcase_add_test(c, a_failure_to_move_leaves_it_in_memory_and_whole);
        tcase_add_test(c, what_has_moved_can_be_given_a_name);
        tcase_add_test(c, without_a_limit_only_asking_moves_it);
        tcase_add_test(c, what_is_not_valid_is_refused);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_spooled());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
