/* SPDX-License-Identifier: MIT */

/*
 * The client library inside somebody else's program, which forks, closes descriptors, changes users
 * and starts threads; and the ways of making things that are not the usual one.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "tests/stage.h"
#include "tests/testutil.h"

#define THREADS 8U
#define FILES_PER_THREAD 200U
#define MANY_DIRECTORIES 40U
#define CHILDREN 20

#ifdef __SANITIZE_ADDRESS__
#define UNLESS_FORKS_WORK                                                                          \
        "the address sanitizer's allocator can't be used after a fork amid threads"
#else
#define UNLESS_FORKS_WORK NULL
#endif

/* ---- in somebody else's program --------------------------------------------------------------- */

/* In a child: Check needs its own descriptors. Exit status: the number of the check that failed. */
static int lose_all_descriptors(void *userdata)
{
        struct tempfile *t;
        char path[PATH_MAX + 8];
        struct stat st;
        int fds[64];

        fake_start(stage_socket);
        if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                return 1;
        fake_stop(); /* its descriptors are this process's too */
        (void) snprintf(path, sizeof(path), "%s/mine", stage_top);
        closefrom(3);
        for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        fake_start(stage_socket);
        if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                return 2;
        options.pattern = "a.XXXXXXXXXX";
        if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                return 3;
        for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
                if (fstat(fds[i], &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != 0)
                        return 4;
        return count_files(stage_dir) == 0 ? 0 : 5;
}

START_TEST(descriptors_that_the_program_closed_and_reused_are_left_alone)
{
        fake_stop();
        ck_assert_int_eq(run_child(lose_all_descriptors, NULL), 0);
}
END_TEST

static int be_a_child(void *userdata)
{
        struct tempfile *inherited = userdata, *own;

        if (tempfile_keep(inherited) != -EPERM)
                return 1;
        if (tempfile_persist(inherited, "/nowhere", 0) != -EPERM)
                return 2;
        if (tempfile_named(&options, &own) != 0)
                return 3;
        if (tempfile_close(inherited) != 0)
                return 4;
        if (!path_exists(tempfile_path(own)))
                return 5;
        return tempfile_close(own) == 0 ? 0 : 6;
}

START_TEST(a_child_deletes_nothing_of_its_parents_and_has_tags_of_its_own)
{
        struct tempfile *t = make_file();

        ck_assert_int_eq(run_child(be_a_child, t), 0);
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_uint_ne(get_tag(1).tag, get_tag(2).tag);
        ck_assert_uint_eq(fake_count(WIRE_HELLO), 2);

        (void) tempfile_close(make_file()); /* the parent's connection is as it was */
        ck_assert_uint_eq(fake_count(WIRE_HELLO), 2);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* With an ordinary user's daemon nobody could tell later that the directory was not just moved away. */
START_TEST(what_goes_with_its_directory_is_said_to_be_gone)
{
        struct tempfile_options inside = options;
        struct tempfile *d, *held, *released, *kept = make_file();

        ck_assert_int_eq(tempfile_directory(&options, &d), 0);
        inside.dir = tempfile_path(d);
        ck_assert_int_eq(tempfile_named(&inside, &held), 0);
        ck_assert_int_eq(tempfile_named(&inside, &released), 0);
        ck_assert_int_eq(tempfile_release(released), 0);
        ck_assert_int_eq(tempfile_close(d), 0);
        ck_assert_int_eq(tempfile_keep(held), -EINVAL);
        ck_assert_int_eq(tempfile_close(held), 0);
        ck_assert_int_eq(tempfile_keep(kept), 0); /* an answer: all before it was heard */
        ck_assert_int_eq(tempfile_close(kept), 0);
        ck_assert_uint_eq(fake_count_records(WIRE_MADE, 0), 4);
        ck_assert_uint_eq(fake_count_records(WIRE_GONE, 0), 3);
}
END_TEST

static int have_no_standard_descriptors(void *userdata)
{
        struct tempfile *t, *d;

        (void) close(0);
        (void) close(1);
        (void) close(2);
        if (tempfile_named(&options, &t) != 0 || tempfile_directory(&options, &d) != 0)
                return 1;
        for (int fd = 0; fd <= 2; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        return 2 + fd;
        return tempfile_close(t) == 0 && tempfile_close(d) == 0 ? 0 : 5;
}

START_TEST(nothing_of_the_librarys_becomes_a_standard_descriptor)
{
        ck_assert_int_eq(run_child(have_no_standard_descriptors, NULL), 0);
}
END_TEST

static int act_as_another(void *userdata)
{
        struct tempfile *mine = userdata, *theirs;

        if (chmod(stage_dir, 0777) < 0 || chmod(stage_top, 0711) < 0 ||
            chmod(stage_socket, 0777) < 0)
                return 1;
        if (tempfile_named(&options, &mine) != 0 || seteuid(65534) < 0)
                return 2;
        if (tempfile_named(&options, &theirs) != 0 || seteuid(0) < 0)
                return 3;
        if (tempfile_close(theirs) != 0)
                return 4;
        return tempfile_close(mine) == 0 ? 0 : 5;
}

START_TEST(each_effective_user_has_a_connection_and_tags_of_its_own)
{
        ck_assert_int_eq(run_child(act_as_another, NULL), 0);
        ck_assert_uint_eq(fake_count(WIRE_HELLO), 2);
        ck_assert_uint_ne(get_tag(1).tag, get_tag(2).tag);
}
END_TEST

static int meet_a_stranger(void *userdata)
{
        struct tempfile *t;

        (void) userdata;
        if (chmod(stage_dir, 0777) < 0 || chmod(stage_top, 0777) < 0 || setgid(65534) < 0 ||
            seteuid(65534) < 0)
                return 1;
        fake_start(stage_socket);
        if (seteuid(0) < 0 || setresuid(12345, 12345, 12345) < 0)
                return 2;
        return tempfile_named(&options, &t) == -EACCES ? 0 : 3;
}

START_TEST(a_daemon_of_another_ordinary_user_is_not_trusted)
{
        fake_stop();
        ck_assert_int_eq(run_child(meet_a_stranger, NULL), 0);
        (void) unlink(stage_socket);
}
END_TEST

static unsigned int count_descriptors(void)
{
        return count_files("/proc/self/fd");
}

START_TEST(few_descriptors_are_kept_however_many_directories_there_are)
{
        struct tempfile *t[MANY_DIRECTORIES];
        char sub[MANY_DIRECTORIES][PATH_MAX];
        unsigned int before;

        (void) tempfile_close(make_file());
        before = count_descriptors();
        for (unsigned int i = 0; i < MANY_DIRECTORIES; i++) {
                (void) snprintf(sub[i], sizeof(sub[i]), "%.200s/%u", stage_dir, i);
                ck_assert_int_eq(mkdir(sub[i], 0700), 0);
                options.dir = sub[i];
                t[i] = make_file();
        }
        ck_assert_uint_le(count_descriptors(), before + MANY_DIRECTORIES + 16);

        for (unsigned int i = 0; i < MANY_DIRECTORIES; i++) {
                ck_assert_int_eq(tempfile_close(t[i]), 0);
                ck_assert_uint_eq(count_files(sub[i]), 0);
        }
        ck_assert_uint_le(count_descriptors(), before + 16);
}
END_TEST

/* Their descriptors were closed in favour of later ones, so that only their paths are known. */
START_TEST(what_was_in_a_directory_that_is_gone_counts_as_deleted)
{
        struct tempfile *t[MANY_DIRECTORIES];
        char sub[PATH_MAX];

        for (unsigned int i = 0; i < MANY_DIRECTORIES; i++) {
                (void) snprintf(sub, sizeof(sub), "%.200s/%u", stage_dir, i);
                ck_assert_int_eq(mkdir(sub, 0700), 0);
                options.dir = sub;
                t[i] = make_file();
        }
        for (unsigned int i = 0; i < MANY_DIRECTORIES; i++) {
                (void) snprintf(sub, sizeof(sub), "%.200s/%u", stage_dir, i);
                ck_assert_int_eq(unlink(tempfile_path(t[i])), 0);
                ck_assert_int_eq(rmdir(sub), 0);
                if (i % 2 == 0)
                        ck_assert_int_eq(mkdir(sub, 0700), 0); /* another */
                ck_assert_int_eq(tempfile_close(t[i]), 0);
        }
}
END_TEST

static void *make_and_close(void *userdata)
{
        struct tempfile *t;

        for (unsigned int i = 0; i < FILES_PER_THREAD; i++)
                if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                        return userdata;
        return NULL;
}

START_TEST(threads_share_one_connection_and_one_tag)
{
        pthread_t threads[THREADS];
        void *failed;

        for (unsigned int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, make_and_close, threads), 0);
        for (unsigned int i = 0; i < THREADS; i++) {
                ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
                ck_assert_ptr_null(failed);
        }
        ck_assert_uint_eq(count_files(stage_dir), 0);
        ck_assert_uint_eq(fake_count(WIRE_HELLO), 1);
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, THREADS * FILES_PER_THREAD));
}
END_TEST

static int make_and_close_one(void *userdata)
{
        struct tempfile *t;

        return tempfile_named(&options, &t) == 0 && tempfile_close(t) == 0 ? 0 : 1;
}

START_TEST(a_fork_amid_busy_threads_leaves_the_child_a_library_that_works)
{
        pthread_t threads[THREADS];
        void *failed;

        for (unsigned int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, make_and_close, threads), 0);
        for (unsigned int i = 0; i < CHILDREN; i++)
                ck_assert_int_eq(run_child(make_and_close_one, NULL), 0);
        for (unsigned int i = 0; i < THREADS; i++) {
                ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
                ck_assert_ptr_null(failed);
        }
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

/* ---- the other ways --------------------------------------------------------------------------- */

START_TEST(a_long_pattern_is_reserved_before_it_is_made)
{
        struct tempfile *t;
        const char *name;

        options.pattern = "report-XXXXXXXXXX.csv";
        t = make_file();
        name = strrchr(tempfile_path(t), '/') + 1;
        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet));
        ck_assert_str_eq((const char *) packet.bytes + sizeof(struct wire_register), name);
        ck_assert_uint_eq(strlen(name), strlen(options.pattern));
        ck_assert_int_eq(strncmp(name, "report-", 7), 0);
        ck_assert_str_eq(name + 17, ".csv");
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(a_short_pattern_is_made_under_the_tag_and_moved)
{
        struct tempfile *t;

        options.pattern = "a.XXX";
        t = make_file();
        ck_assert(fake_wait(WIRE_TARGET, 1, &packet));
        ck_assert_str_eq((const char *) packet.bytes + sizeof(struct wire_register),
                         strrchr(tempfile_path(t), '/') + 1);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(what_may_not_be_targeted_is_gone_again)
{
        struct tempfile *t = NULL;

        options.pattern = "a.XXX";
        fake_set(WIRE_TARGET, FAKE_ANSWER, -ENOSPC, 1);
        ck_assert_int_eq(tempfile_directory(&options, &t), -ENOSPC);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(what_another_process_owns_is_not_deleted_by_its_maker)
{
        int pidfd = (int) syscall(SYS_pidfd_open, getppid(), 0);
        struct tempfile *t;
        char *path;

        ck_assert_int_ge(pidfd, 0);
        options.flags = TEMPFILE_OWNER_PIDFD;
        options.owner_pidfd = pidfd;
        t = make_file();
        path = strdup(tempfile_path(t));
        ck_assert(fake_wait_records(WIRE_SETTLED, 0, 1));
        ck_assert_int_eq(tempfile_keep(t), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(path));
        free(path);
        (void) close(pidfd);
}
END_TEST

START_TEST(who_names_itself_as_owner_is_not_another)
{
        struct tempfile *t;
        char *path;

        options.flags = TEMPFILE_OWNER_PIDFD;
        options.owner_pidfd = (int) syscall(SYS_pidfd_open, getpid(), 0);
        t = make_file();
        path = strdup(tempfile_path(t));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(path));
        ck_assert_uint_eq(fake_count(WIRE_RESERVE), 0);
        free(path);
        (void) close(options.owner_pidfd);
}
END_TEST

START_TEST(an_unreadable_directory_has_its_names_reserved)
{
        struct tempfile *t, *u;

        ck_assert_int_eq(chmod(stage_dir, 0300), 0);
        t = make_file();
        ck_assert_uint_eq(get_tag(1).flags, WIRE_TAG_UNREADABLE);
        ck_assert_uint_eq(fake_count(WIRE_RESERVE), 1);
        options.pattern = "a.XXX";
        u = make_file();
        ck_assert_uint_eq(fake_count(WIRE_RESERVE), 2);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_close(u), 0);
        ck_assert_int_eq(chmod(stage_dir, 0700), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(keep_is_asked_and_closing_then_deletes_nothing)
{
        struct tempfile *t = make_file();
        char *path = strdup(tempfile_path(t));
        struct wire_change m;

        fake_set(WIRE_KEEP, FAKE_ANSWER, -ENOSPC, 1);
        ck_assert_int_eq(tempfile_keep(t), -ENOSPC);
        ck_assert_int_eq(tempfile_keep(t), 0);
        ck_assert(fake_wait(WIRE_KEEP, 2, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_eq(m.ref.tag_or_id, get_tag(1).tag);
        ck_assert_uint_eq(m.ref.seq, 1);
        ck_assert_int_eq(tempfile_keep(t), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(path));
        free(path);
}
END_TEST

START_TEST(persisting_a_directory_keeps_what_was_made_in_it)
{
        struct tempfile *d, *t;
        char *target = NULL, *inside = NULL;

        ck_assert_int_eq(tempfile_directory(&options, &d), 0);
        options.dir = tempfile_path(d);
        t = make_file();
        ck_assert_int_gt(asprintf(&target, "%s/final", stage_dir), 0);
        ck_assert_int_gt(asprintf(&inside, "%s%s", target, strrchr(tempfile_path(t), '/')), 0);
        ck_assert_int_eq(tempfile_persist(d, target, 0), 0);
        ck_assert_uint_eq(fake_count(WIRE_KEEP), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_close(d), 0);
        ck_assert(path_exists(inside));
        free(target);
        free(inside);
}
END_TEST

int main(void)
{
        TCase *c = tcase_create("program");

        tcase_add_unchecked_fixture(c, stage_make_top, stage_remove_top);
        tcase_add_checked_fixture(c, stage_set_up, stage_tear_down);
        tcase_add_test(c, descriptors_that_the_program_closed_and_reused_are_left_alone);
        tcase_add_test(c, a_child_deletes_nothing_of_its_parents_and_has_tags_of_its_own);
        tcase_add_test(c, what_goes_with_its_directory_is_said_to_be_gone);
        tcase_add_test(c, nothing_of_the_librarys_becomes_a_standard_descriptor);
        add_unless(c, unless_root(), each_effective_user_has_a_connection_and_tags_of_its_own);
        add_unless(c, unless_root(), a_daemon_of_another_ordinary_user_is_not_trusted);
        tcase_add_test(c, few_descriptors_are_kept_however_many_directories_there_are);
        tcase_add_test(c, what_was_in_a_directory_that_is_gone_counts_as_deleted);
        tcase_add_test(c, threads_share_one_connection_and_one_tag);
        add_unless(c, UNLESS_FORKS_WORK,
                   a_fork_amid_busy_threads_leaves_the_child_a_library_that_works);
        tcase_add_test(c, a_long_pattern_is_reserved_before_it_is_made);
        tcase_add_test(c, a_short_pattern_is_made_under_the_tag_and_moved);
        tcase_add_test(c, what_may_not_be_targeted_is_gone_again);
        tcase_add_test(c, what_another_process_owns_is_not_deleted_by_its_maker);
        tcase_add_test(c, who_names_itself_as_owner_is_not_another);
        add_unless(c, unless_ordinary(), an_unreadable_directory_has_its_names_reserved);
        tcase_add_test(c, keep_is_asked_and_closing_then_deletes_nothing);
        tcase_add_test(c, persisting_a_directory_keeps_what_was_made_in_it);
        return run_stage(suite_create("inside"), c);
}
