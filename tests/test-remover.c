/* SPDX-License-Identifier: MIT */

/*
 * What the remover removes, what it leaves, what it says about it, and what it needs for that.
 * Traps that somebody else sets are test-remover-traps' business.
 */

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/remover-fixture.h"

#define MANY 1500U /* enough for a helper */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED false
#endif

/* ---- what is removed -------------------------------------------------------------------------- */

START_TEST(what_is_missing_is_no_failure)
{
        ck_assert_int_eq(remove_in_yard("x", 0), 0);
        ck_assert_int_eq(remove_in_yard("x", TREE), 0);
        ck_assert_int_eq(remove_in_yard("x", TREE | REMOVER_CONTENTS), 0);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
        static const char *const wrong[] = { "", ".", "..", "a/b", "/", "a/", "/a", "../x" };
        char long_name[NAME_LEN_MAX + 2];

        make_directory("a");
        make_file("a/b");
        memset(long_name, 'x', sizeof(long_name));
        long_name[sizeof(long_name) - 1] = '\0';
        for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++)
                expect_failure(remove_in_yard(wrong[i], TREE), -EINVAL, wrong[i]);
        expect_failure(remove_in_yard(long_name, TREE), -EINVAL, long_name);
        expect_failure(remove_in_yard(NULL, TREE), -EINVAL, "");
        ck_assert(is_there("a/b"));
}
END_TEST

START_TEST(unknown_flags_are_refused)
{
        make_file("a");
        expect_failure(remove_in_yard("a", 1U << 7), -EINVAL, "a");
        expect_failure(remove_in_yard("a", REMOVER_CONTENTS), -EINVAL, "a");
        ck_assert(is_there("a"));
}
END_TEST

static void make_socket(const char *name)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", yard_path(name));
        ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        (void) close(fd);
}

/* Each kind once, in the yard; with a target that must stay. */
static void make_kinds(void)
{
        make_file("file");
        make_directory("empty");
        make_socket("socket");
        make_link("target", "link");
        make_link("nowhere", "dangling");
        make_link("loop", "loop");
        ck_assert_int_eq(mkfifoat(yard, "fifo", 0600), 0);
        ck_assert_int_eq(linkat(yard, "file", yard, "hardlink", 0), 0);
}

START_TEST(one_of_any_kind_is_removed_with_any_flags)
{
        static const char *const kinds[] = { "file",     "empty", "socket", "link",
                                             "dangling", "loop",  "fifo",   "hardlink" };
        static const unsigned int flags[] = { 0, TREE, TREE | REMOVER_SERIAL };

        make_directory("target");
        make_file("target/precious");
        make_kinds();
        for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
                ck_assert_int_eq(remove_in_yard(kinds[i], flags[_i]), 1);
                ck_assert(!is_there(kinds[i]));
        }
        ck_assert(is_there("target/precious"));
}
END_TEST

START_TEST(a_directory_that_is_not_empty_needs_to_be_meant)
{
        make_directory("t");
        make_file("t/f");
        expect_failure(remove_in_yard("t", 0), -ENOTEMPTY, "t");
        ck_assert(is_there("t/f"));
        ck_assert_int_eq(remove_in_yard("t", TREE), 2);
        ck_assert(!is_there("t"));
}
END_TEST

START_TEST(contents_alone_can_be_removed)
{
        const unsigned int flags = TREE | REMOVER_CONTENTS;

        make_directory("t");
        ck_assert_int_eq(remove_in_yard("t", flags), 0);
        make_directory("t/sub");
        make_file("t/sub/f");
        make_files("t", _i == 0 ? 1 : MANY);
        ck_assert_int_eq(remove_in_yard("t", flags), _i == 0 ? 3 : MANY + 2);
        ck_assert(is_there("t"));
        ck_assert_int_eq(remove_in_yard("t", 0), 1);

        make_file("f");
        expect_failure(remove_in_yard("f", flags), -ENOTDIR, "f");
        ck_assert(is_there("f"));
}
END_TEST

START_TEST(every_byte_may_be_in_a_name)
{
        char name[4] = "", path[16];
        unsigned int n = 0;

        make_directory("t");
        for (unsigned int byte = 1; byte < 256; byte++) {
                name[0] = (char) byte;
                (void) snprintf(path, sizeof(path), "t/%s", name);
                if (byte == '/' || byte == '.')
                        continue;
                make_directory(path);
                (void) snprintf(path, sizeof(path), "t/%s/%s.", name, name);
                make_file(path);
                n += 2;
        }
        make_file("t/...");
        make_file("t/..x");
        make_directory("t/.y");
        ck_assert_int_eq(remove_in_yard("t", TREE), n + 4);
}
END_TEST

/* Paths in there are up to 40 times as long as a system call would take. */
START_TEST(the_longest_names_may_be_nested)
{
        char name[NAME_LEN_MAX + 1];
        int fd, below;

        memset(name, '\xff', NAME_LEN_MAX);
        name[NAME_LEN_MAX] = '\0';
        make_directory(name);
        fd = openat(yard, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned int i = 0; i < 640; i++) {
                ck_assert_int_eq(mkdirat(fd, name, 0700), 0);
                below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                ck_assert_int_ge(below, 0);
                (void) close(fd);
                fd = below;
        }
        (void) close(fd);
        ck_assert_int_eq(remove_in_yard(name, TREE), 641);
}
END_TEST

/* ---- what is in the way ----------------------------------------------------------------------- */

static void remove_closed_directories(void)
{
        static const char *const paths[] = { "t/closed/below/last", "t/closed/below", "t/closed",
                                             "t" };

        for (mode_t mode = 0; mode <= 0700; mode += 0100) {
                make_directory("t");
                make_directory("t/closed");
                make_directory("t/closed/below");
                make_directory("t/closed/below/last");
                make_file("t/closed/below/last/f");
                make_file("t/closed/f");
                for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++)
                        set_mode(paths[i], mode | 0044);
                ck_assert_int_eq(remove_in_yard("t", TREE), 6);
        }
}

START_TEST(directories_without_permissions_are_opened_up)
{
        as_ordinary(remove_closed_directories);
}
END_TEST

static void remove_closed_wide_tree(void)
{
        char path[64];

        make_directory("t");
        for (unsigned int i = 0; i < 200; i++) {
                (void) snprintf(path, sizeof(path), "t/%u", i);
                make_directory(path);
                make_files(path, 10);
                set_mode(path, (mode_t) (i % 8) << 6);
        }
        ck_assert_int_eq(remove_in_yard("t", TREE), 2201);
}

START_TEST(two_walks_open_directories_up_together)
{
        as_ordinary(remove_closed_wide_tree);
}
END_TEST

/* What a kept directory needed to be emptied stays with it: whoever keeps it may write to it. */
static void empty_closed_directory(void)
{
        make_directory("t");
        make_file("t/f");
        set_mode("t", 0);
        ck_assert_int_eq(remove_in_yard("t", TREE | REMOVER_CONTENTS), 1);
        ck_assert_uint_eq(mode_of("t"), 0700);
}

START_TEST(a_kept_directory_is_opened_up_too)
{
        as_ordinary(empty_closed_directory);
}
END_TEST

static void remove_from_closed_yard(void)
{
        make_directory("t");
        make_file("t/f");
        make_file("f");
        ck_assert_int_eq(fchmod(yard, 0500), 0);
        expect_failure(remove_in_yard("t", TREE), -EACCES, "t");
        expect_failure(remove_in_yard("f", TREE), -EACCES, "f");
        expect_failure(remove_in_yard("f", 0), -EACCES, "f");
        ck_assert(!is_there("t/f"));
        ck_assert(is_there("f"));
        ck_assert_uint_eq(mode_of("."), 0500);
        ck_assert_int_eq(fchmod(yard, 0700), 0);
}

START_TEST(the_directory_given_is_not_opened_up)
{
        as_ordinary(remove_from_closed_yard);
}
END_TEST

static void remove_what_root_owns(void)
{
        expect_failure(remove_in_yard("t", TREE), -EACCES, "t/theirs");
        ck_assert(!is_there("t/empty"));
        ck_assert(!is_there("t/mine"));
        expect_failure(remove_in_yard("u", TREE), -EACCES, "u/theirs/f");
}

START_TEST(what_belongs_to_others_stays_and_is_reported)
{
        make_directory("t");
        make_directory("t/theirs");
        make_directory("t/empty");
        make_file("t/theirs/f");
        make_file("t/mine");
        make_directory("u");
        make_directory("u/theirs");
        make_file("u/theirs/f");
        set_mode("u/theirs", 0755);
        ck_assert_int_eq(fchownat(yard, "t", NOBODY, NOBODY, 0), 0);
        ck_assert_int_eq(fchownat(yard, "u", NOBODY, NOBODY, 0), 0);
        as_ordinary(remove_what_root_owns);
        ck_assert(is_there("t/theirs/f"));
        ck_assert(is_there("u/theirs/f"));
        ck_assert_uint_eq(mode_of("t/theirs"), 0700);
        ck_assert_uint_eq(mode_of("u/theirs"), 0755);
}
END_TEST

START_TEST(what_is_immutable_stays_and_the_rest_goes)
{
        make_directory("t");
        make_directory("t/a");
        make_directory("t/b");
        make_chain("t/a", 40);
        make_file("t/a/d/d/d/stuck");
        make_file("t/b/f");
        make_files("t", _i == 0 ? 10 : MANY);
        ck_assert_int_eq(set_immutable("t/a/d/d/d/stuck", true), 0);

        expect_failure(remove_in_yard("t", TREE), -EPERM, "t/a/d/d/d/stuck");
        ck_assert(!is_there("t/a/f"));
        ck_assert(!is_there("t/a/d/d/d/d"));
        ck_assert(!is_there("t/b"));
        ck_assert(!is_there("t/file-1"));
        expect_failure(remove_in_yard("t", TREE | REMOVER_CONTENTS), -EPERM, "t/a/d/d/d/stuck");

        ck_assert_int_eq(set_immutable("t/a/d/d/d/stuck", false), 0);
        ck_assert_int_eq(remove_in_yard("t", TREE), 6);
}
END_TEST

/* Each level up has something that stays: nothing of it may be tried again for each level. */
START_TEST(a_path_too_long_to_be_reported_loses_its_front)
{
        const unsigned int depth = 5000;
        int fd, stuck;

        make_directory("t");
        make_chain("t", depth);
        fd = openat(yard, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned int i = 0; i < depth; i++) {
                int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                ck_assert_int_ge(below, 0);
                (void) close(fd);
                fd = below;
        }
        stuck = dup(yard);
        ck_assert_int_eq(dup2(fd, yard), yard);
        make_file("stuck");
        ck_assert_int_eq(set_immutable("stuck", true), 0);
        ck_assert_int_eq(dup2(stuck, yard), yard);

        ck_assert_int_eq(remove_in_yard("t", TREE), -EPERM);
        ck_assert_uint_ge(strlen(failure.path), sizeof(failure.path) - 8);
        ck_assert_int_eq(strncmp(failure.path, ".../d/d/", 8), 0);
        ck_assert_str_eq(strrchr(failure.path, '/'), "/stuck");

        ck_assert_int_eq(dup2(fd, yard), yard);
        ck_assert_int_eq(set_immutable("stuck", false), 0);
        ck_assert_int_eq(dup2(stuck, yard), yard);
        (void) close(stuck);
        (void) close(fd);
        ck_assert_int_eq(remove_in_yard("t", TREE), depth + 2);
}
END_TEST

/* ---- how much --------------------------------------------------------------------------------- */

/* Disks may take half a millisecond for a file. */
START_TEST(a_deep_tree_needs_few_descriptors)
{
        const unsigned int depth = yard_is_fast || is_full_run() ? 20000 : 1000;
        struct rlimit limit;

        make_directory("t");
        make_chain("t", depth);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = 64;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_int_eq(remove_in_yard("t", _i == 0 ? TREE : TREE | REMOVER_SERIAL),
                         2 * depth + 1);
}
END_TEST

/* Below each level of a chain longer than the window, more directories than one. */
static unsigned int make_comb(unsigned int depth, unsigned int width)
{
        char path[PATH_MAX] = "t", tooth[PATH_MAX + 16];
        unsigned int n = 1;

        make_directory("t");
        for (unsigned int i = 0; i < depth; i++) {
                for (unsigned int j = 0; j < width; j++) {
                        (void) snprintf(tooth, sizeof(tooth), "%s/%u", path, j);
                        make_directory(tooth);
                        make_files(tooth, 5);
                        n += 6;
                }
                (void) strcat(path, "/5");
                if (width <= 5)
                        make_directory(path);
                n += width <= 5;
        }
        return n;
}

START_TEST(a_shut_directory_is_read_on_where_it_was)
{
        unsigned int n = make_comb(60, 8 - 4 * (unsigned int) _i);

        ck_assert_int_eq(remove_in_yard("t", TREE), n);
}
END_TEST

START_TEST(two_descriptors_are_enough)
{
        unsigned int n = make_comb(40, 8);

        limit_descriptors(2);
        ck_assert_int_eq(remove_in_yard("t", _i == 0 ? TREE : TREE | REMOVER_SERIAL), n);
        unlimit_descriptors();
}
END_TEST

START_TEST(without_descriptors_the_failure_is_reported)
{
        make_directory("t");
        make_directory("t/d");
        make_file("t/d/f");
        make_file("t/f");
        limit_descriptors(0);
        expect_failure(remove_in_yard("t", TREE), -EMFILE, "t");
        unlimit_descriptors();
        limit_descriptors(1);
        expect_failure(remove_in_yard("t", TREE), -EMFILE, "t/d");
        unlimit_descriptors();
        ck_assert(!is_there("t/f"));
        ck_assert_int_eq(remove_in_yard("t", TREE), 3);
}
END_TEST

static unsigned int wide_count(void)
{
        return is_full_run() ? 1000000 : 100000;
}

static long resident_kib(void)
{
        struct rusage usage;

        ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
        return usage.ru_maxrss;
}

static void remove_wide(void)
{
        long before = resident_kib();

        ck_assert_int_eq(remove_in_yard("t", TREE), wide_count() + 1);
        if (!IS_SANITIZED)
                ck_assert_int_lt(resident_kib() - before, 16 * 1024);
}

START_TEST(a_wide_directory_needs_little_memory)
{
        make_directory("t");
        make_files("t", wide_count());
        in_child(remove_wide);
}
END_TEST

START_TEST(very_many_directories_may_lie_side_by_side)
{
        char path[32];

        make_directory("t");
        for (unsigned int i = 0; i < wide_count() / 2; i++) {
                (void) snprintf(path, sizeof(path), "t/%u", i);
                make_directory(path);
        }
        ck_assert_int_eq(remove_in_yard("t", TREE), wide_count() / 2 + 1);
}
END_TEST

/* ---- company ---------------------------------------------------------------------------------- */

static atomic_uint n_started;

static int count_start(void *userdata)
{
        n_started++;
        return *(int *) userdata;
}

static int64_t remove_counting(unsigned int flags, int answer)
{
        struct remover_options options = { .thread_start = count_start, .userdata = &answer };

        n_started = 0;
        return remover_remove(yard, "t", flags, &options, NULL);
}

static void make_tree(unsigned int n)
{
        make_directory("t");
        make_directory("t/sub");
        make_files("t", n / 2);
        make_files("t/sub", n / 2);
}

START_TEST(a_helper_is_asked_for_in_large_trees_only)
{
        cpu_set_t set;
        unsigned int many = 1;

        if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1)
                many = 0;
        make_tree(900);
        ck_assert_int_eq(remove_counting(TREE, 0), 902);
        ck_assert_uint_eq(n_started, 0);
        make_tree(MANY);
        ck_assert_int_eq(remove_counting(TREE, 0), MANY + 2);
        ck_assert_uint_eq(n_started, many);
        make_tree(MANY);
        ck_assert_int_eq(remove_counting(TREE | REMOVER_SERIAL, 0), MANY + 2);
        ck_assert_uint_eq(n_started, 0);
}
END_TEST

START_TEST(a_helper_that_may_not_start_is_done_without)
{
        make_tree(MANY);
        ck_assert_int_eq(remove_counting(TREE, -EPERM), MANY + 2);
}
END_TEST

static void *remove_too(void *userdata)
{
        (void) remover_remove(yard, "t", TREE, NULL, userdata);
        return NULL;
}

START_TEST(two_may_remove_the_same_tree)
{
        struct remover_failure theirs;
        pthread_t thread;

        for (unsigned int i = 0; i < (yard_is_fast ? 10 : 1); i++) {
                (void) make_comb(20, 8);
                make_files("t", MANY);
                ck_assert_int_eq(pthread_create(&thread, NULL, remove_too, &theirs), 0);
                ck_assert_int_ge(remove_in_yard("t", TREE), 0);
                ck_assert_int_eq(pthread_join(thread, NULL), 0);
                ck_assert_int_eq(theirs.error, 0);
                ck_assert(!is_there("t"));
        }
}
END_TEST

static atomic_bool is_enough;

static void *add_contents(void *userdata)
{
        char path[64];
        int fd;

        for (unsigned int i = 0; !is_enough; i++) {
                (void) mkdirat(yard, "t", 0700);
                (void) snprintf(path, sizeof(path), "t/%u", i);
                if (i % 4 == 0)
                        (void) mkdirat(yard, path, 0700);
                else {
                        fd = openat(yard, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
                        (void) close_fd(fd);
                }
        }
        return NULL;
}

START_TEST(contents_that_keep_coming_do_not_keep_it_busy)
{
        pthread_t thread;
        int64_t r;

        is_enough = false;
        ck_assert_int_eq(pthread_create(&thread, NULL, add_contents, NULL), 0);
        for (unsigned int i = 0; i < 300; i++) {
                r = remove_in_yard("t", TREE);
                if (r < 0)
                        expect_failure(r, -ENOTEMPTY, "t");
        }
        is_enough = true;
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_int_ge(remove_in_yard("t", TREE), 0);
        ck_assert(!is_there("t"));
}
END_TEST

/* ---- suite ------------------------------------------------------------------------------------ */

static TCase *add_case(Suite *s, const char *name, SFun set_up)
{
        TCase *c = tcase_create(name);

        tcase_add_checked_fixture(c, set_up, yard_tear_down);
        tcase_set_timeout(c, is_full_run() ? 600 : 60);
        suite_add_tcase(s, c);
        return c;
}

static Suite *suite_of_remover(void)
{
        Suite *s = suite_create("remover");
        TCase *c;

        c = add_case(s, "removed", yard_set_up);
        tcase_add_test(c, what_is_missing_is_no_failure);
        tcase_add_test(c, what_is_no_name_is_refused);
        tcase_add_test(c, unknown_flags_are_refused);
        tcase_add_loop_test(c, one_of_any_kind_is_removed_with_any_flags, 0, 3);
        tcase_add_test(c, a_directory_that_is_not_empty_needs_to_be_meant);
        tcase_add_loop_test(c, contents_alone_can_be_removed, 0, 2);
        tcase_add_test(c, every_byte_may_be_in_a_name);
        tcase_add_test(c, the_longest_names_may_be_nested);

        c = add_case(s, "in the way", yard_set_up);
        tcase_add_test(c, directories_without_permissions_are_opened_up);
        tcase_add_test(c, two_walks_open_directories_up_together);
        tcase_add_test(c, a_kept_directory_is_opened_up_too);
        tcase_add_test(c, the_directory_given_is_not_opened_up);
        add_test_unless(c, what_belongs_to_others_stays_and_is_reported, reason_not_root());
        add_loop_test_unless(c, what_is_immutable_stays_and_the_rest_goes, 2,
                             reason_no_immutable());
        add_test_unless(c, a_path_too_long_to_be_reported_loses_its_front, reason_no_immutable());

        c = add_case(s, "how much", yard_set_up);
        tcase_add_loop_test(c, a_deep_tree_needs_few_descriptors, 0, 2);
        tcase_add_loop_test(c, a_shut_directory_is_read_on_where_it_was, 0, 2);
        tcase_add_loop_test(c, two_descriptors_are_enough, 0, 2);
        tcase_add_test(c, without_descriptors_the_failure_is_reported);

        c = add_case(s, "very much", yard_set_up_fast);
        tcase_add_loop_test(c, a_deep_tree_needs_few_descriptors, 0, 2);
        tcase_add_test(c, a_wide_directory_needs_little_memory);
        tcase_add_test(c, very_many_directories_may_lie_side_by_side);
        tcase_add_loop_test(c, a_shut_directory_is_read_on_where_it_was, 0, 2);

        c = add_case(s, "company", yard_set_up);
        tcase_add_test(c, a_helper_is_asked_for_in_large_trees_only);
        tcase_add_test(c, a_helper_that_may_not_start_is_done_without);
        tcase_add_test(c, two_may_remove_the_same_tree);
        tcase_add_test(c, contents_that_keep_coming_do_not_keep_it_busy);

        c = add_case(s, "company on a tmpfs", yard_set_up_fast);
        tcase_add_test(c, two_may_remove_the_same_tree);
        tcase_add_test(c, contents_that_keep_coming_do_not_keep_it_busy);
        return s;
}

int main(void)
{
        return run_suite(suite_of_remover());
}
