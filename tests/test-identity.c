/* SPDX-License-Identifier: MIT */

/* What is taken for the same thing again, and what is not, whatever stands under its name. */

#include <check.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "daemon/identity.h"
#include "libclient/util.h"
#include "tests/disk-fixture.h"
#include "tests/unit.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

#define REUSE_TRIES 2000

static char dir[UNIT_PATH_SIZE];
static int dirfd = -1;

static void setup(void)
{
        unit_make_directory(dir);
        dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(dirfd, 0);
}

static void teardown(void)
{
        dirfd = close_fd(dirfd);
        unit_remove_directory(dir);
}

static struct identity look_at(const char *name)
{
        struct identity i;

        ck_assert_int_eq(identity_at(dirfd, name, &i), 0);
        return i;
}

static void make(const char *name)
{
        unit_write(unit_path(dir, name), name);
}

/* ---- objects ---- */

START_TEST(file_is_itself_by_name_and_by_descriptor)
{
        _cleanup_(closep) int fd = -1;
        struct identity a, b;

        make("a");
        a = look_at("a");
        fd = open(unit_path(dir, "a"), O_PATH | O_CLOEXEC);
        ck_assert_int_eq(identity_of_fd(fd, &b), 0);
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_SAME);
        unit_write(unit_path(dir, "a"), "other contents");
        ck_assert_int_eq(chmod(unit_path(dir, "a"), 0), 0);
        ck_assert_int_eq(rename(unit_path(dir, "a"), unit_path(dir, "b")), 0);
        b = look_at("b");
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_SAME);
        ck_assert_uint_eq(b.uid, geteuid());
}
END_TEST

START_TEST(hard_link_is_the_same_file)
{
        struct identity a, b;

        make("a");
        ck_assert_int_eq(link(unit_path(dir, "a"), unit_path(dir, "b")), 0);
        a = look_at("a"), b = look_at("b");
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_SAME);
}
END_TEST

START_TEST(what_replaced_it_is_another)
{
        struct identity a, b;

        make("a");
        a = look_at("a");
        make("b");
        ck_assert_int_eq(rename(unit_path(dir, "b"), unit_path(dir, "a")), 0);
        b = look_at("a");
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
}
END_TEST

START_TEST(reused_inode_number_is_another)
{
        struct identity a, b;

        make("a");
        a = look_at("a");
        if (a.handle_len == 0)
                SKIP("this file system has no file handles");
        for (int i = 0; i < REUSE_TRIES; i++) {
                ck_assert_int_eq(unlink(unit_path(dir, "a")), 0);
                make("a");
                b = look_at("a");
                ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
                if (a.ino == b.ino)
                        return;
        }
        SKIP("this file system does not use inode numbers again at once");
}
END_TEST

START_TEST(without_a_handle_it_cannot_be_told)
{
        struct identity a, b;

        make("a");
        a = b = look_at("a");
        b.handle_len = 0;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_UNKNOWN);
        ck_assert_int_eq(identity_compare_object(&b, &a), IDENTITY_UNKNOWN);
        ck_assert_int_eq(identity_compare_directory(&a, &b), IDENTITY_SAME);
        b.btime_nsec++;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
        ck_assert_int_eq(identity_compare_directory(&a, &b), IDENTITY_OTHER);
        b = a;
        b.dev++; /* the same file system after a remount */
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_SAME);
        b.fs_id++;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
        b = a;
        b.handle_type++;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
}
END_TEST

/* From now on each try to read a handle fails in that way. */
static bool refuse_handles(int error)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_name_to_handle_at, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int) error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { ARRAY_SIZE(code), code };

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum { FINE, WRONG, NO_WAY }; /* a child's exit status */

static int look_without_handles(void *userdata)
{
        const int error = *(int *) userdata, expected = error == EOPNOTSUPP ? 0 : -error;
        struct identity at = { 0 }, of_fd = { 0 };

        if (!refuse_handles(error))
                return NO_WAY;
        if (identity_at(dirfd, "a", &at) != expected || identity_of_fd(dirfd, &of_fd) != expected)
                return WRONG;
        return of_fd.handle_len == 0 ? FINE : WRONG;
}

/* Else it would never be told from another again. */
START_TEST(handle_that_cannot_be_read_is_not_none)
{
        static int errors[] = { EOPNOTSUPP, ENOMEM, EIO };
        int status;

        make("a");
        status = unit_in_child(look_without_handles, &errors[_i]);
        if (status == NO_WAY)
                SKIP("there are no filters of system calls");
        ck_assert_int_eq(status, FINE);
}
END_TEST

/* A FUSE server numbers its files as it likes: handles come and go, and come again for others. */
/* The number is given to the next at once, here; its birth comes later than what was waited for. */
START_TEST(without_handles_its_birth_tells_it)
{
        struct identity young, a, b;

        ck_assert_int_eq(setenv("TEMPFILED_NO_HANDLES", "1", 1), 0);
        make("a");
        young = look_at("a");
        ck_assert_int_eq(identity_at_settled(dirfd, "a", &a), 0);
        if (a.btime_nsec == 0)
                SKIP("this file system does not know when a file was born");
        ck_assert_uint_gt(a.handle_len, 0);
        if (young.handle_len == 0)
                ck_assert_int_eq(identity_compare_object(&a, &young), IDENTITY_UNKNOWN);
        b = look_at("a");
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_SAME);
        for (int n = 0; n < 100; n++) {
                ck_assert_int_eq(unlink(unit_path(dir, "a")), 0);
                make("a");
                b = look_at("a");
                ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
        }
        ck_assert_int_eq(unsetenv("TEMPFILED_NO_HANDLES"), 0);
        ck_assert_int_eq(unlink(unit_path(dir, "a")), 0);
        make("a");
        b = look_at("a"); /* of a kernel that has handles there */
        b.ino = a.ino;
        b.btime_nsec = a.btime_nsec;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_UNKNOWN);
}
END_TEST

START_TEST(what_a_server_numbers_is_never_another_for_sure)
{
        struct identity a, b;

        make("a");
        a = look_at("a");
        a.fs_type = FUSE_SUPER_MAGIC;
        b = a;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_SAME);
        b.fs_id++; /* seen by a daemon that ran before */
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_UNKNOWN);
        b = a;
        b.dev++; /* mounted again */
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_UNKNOWN);
        b = a;
        b.handle[0]++; /* looked up again */
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_UNKNOWN);
        ck_assert_int_eq(identity_compare_directory(&a, &b), IDENTITY_SAME);
        b.fs_id++;
        ck_assert_int_eq(identity_compare_directory(&a, &b), IDENTITY_SAME);
        b = a;
        b.ino++;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_UNKNOWN);
        ck_assert_int_eq(identity_compare_directory(&a, &b), IDENTITY_OTHER);
        b = a;
        b.mode = S_IFIFO;
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
}
END_TEST

START_TEST(symbolic_link_is_not_followed)
{
        struct identity a, b;

        make("a");
        ck_assert_int_eq(symlink("a", unit_path(dir, "l")), 0);
        a = look_at("a"), b = look_at("l");
        ck_assert(S_ISLNK(b.mode));
        ck_assert_int_eq(identity_compare_object(&a, &b), IDENTITY_OTHER);
        ck_assert_int_eq(symlink("nowhere", unit_path(dir, "dangling")), 0);
        (void) look_at("dangling");
}
END_TEST

START_TEST(missing_name_is_told)
{
        struct identity i;

        ck_assert_int_eq(identity_at(dirfd, "none", &i), -ENOENT);
}
END_TEST

START_TEST(memory_does_not_outlive_power)
{
        struct identity i = { .fs_type = TMPFS_MAGIC };

        ck_assert(!identity_outlives_power(&i));
        i.fs_type = EXT4_SUPER_MAGIC;
        ck_assert(identity_outlives_power(&i));
}
END_TEST

/* ---- bytes ---- */

START_TEST(packed_comes_back)
{
        uint8_t buf[IDENTITY_PACKED_MAX + 1];
        struct identity a, b;
        size_t len;

        make("a");
        a = look_at("a");
        len = identity_pack(&a, buf);
        ck_assert_uint_le(len, IDENTITY_PACKED_MAX);
        ck_assert_int_eq(identity_unpack(buf, len, &b), 0);
        ck_assert_mem_eq(&a, &b, sizeof(a));
        a.handle_len = IDENTITY_HANDLE_MAX;
        memset(a.handle, 0xee, sizeof(a.handle));
        len = identity_pack(&a, buf);
        ck_assert_uint_eq(len, IDENTITY_PACKED_MAX);
        ck_assert_int_eq(identity_unpack(buf, len, &b), 0);
        ck_assert_mem_eq(&a, &b, sizeof(a));
}
END_TEST

START_TEST(bytes_of_another_length_are_refused)
{
        uint8_t buf[IDENTITY_PACKED_MAX + 1] = { 0 };
        struct identity a, b;
        size_t len;

        make("a");
        a = look_at("a");
        len = identity_pack(&a, buf);
        for (size_t n = 0; n < len; n++)
                ck_assert_int_eq(identity_unpack(buf, n, &b), -EBADMSG);
        ck_assert_int_eq(identity_unpack(buf, len + 1, &b), -EBADMSG);
        ck_assert_int_eq(identity_unpack(NULL, 0, &b), -EBADMSG);
        buf[0]++; /* the version */
        ck_assert_int_eq(identity_unpack(buf, len, &b), -EBADMSG);
        buf[0]--;
        memset(buf + 52, 0xff, 4); /* the length of the handle */
        ck_assert_int_eq(identity_unpack(buf, len, &b), -EBADMSG);
}
END_TEST

/* ---- directories ---- */

static int open_as(const char *name, const struct identity *expected)
{
        return identity_open_directory(unit_path(dir, name), expected);
}

static struct identity make_directory(const char *name)
{
        ck_assert_int_eq(mkdir(unit_path(dir, name), 0700), 0);
        return look_at(name);
}

START_TEST(directory_is_opened_and_is_the_same)
{
        struct identity i = make_directory("d"), again;
        _cleanup_(closep) int fd = open_as("d", &i);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(identity_of_fd(fd, &again), 0);
        ck_assert_int_eq(identity_compare_directory(&i, &again), IDENTITY_SAME);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(symbolic_links_on_the_way_are_refused)
{
        struct identity i = make_directory("d"), below = make_directory("d/e");
        _cleanup_(closep) int fd = -1;

        ck_assert_int_eq(symlink("d", unit_path(dir, "l")), 0);
        ck_assert_int_eq(open_as("l", &i), -ESTALE);
        ck_assert_int_eq(open_as("l/e", &below), -ESTALE);
        fd = open_as("d/e", &below);
        ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(renamed_directory_is_not_there)
{
        struct identity i = make_directory("d");

        ck_assert_int_eq(rename(unit_path(dir, "d"), unit_path(dir, "e")), 0);
        ck_assert_int_eq(open_as("d", &i), -ENOENT);
}
END_TEST

START_TEST(what_stands_in_its_place_is_refused)
{
        struct identity i = make_directory("d");

        ck_assert_int_eq(rename(unit_path(dir, "d"), unit_path(dir, "e")), 0);
        make("d");
        ck_assert_int_eq(open_as("d", &i), -ESTALE);
        ck_assert_int_eq(unlink(unit_path(dir, "d")), 0);
        (void) make_directory("d");
        ck_assert_int_eq(open_as("d", &i), -ESTALE);
}
END_TEST

/* Also while somebody has it open. */
START_TEST(only_a_deleted_directory_counts_as_deleted)
{
        struct identity i;
        int fd = -1;

        SKIP_UNLESS_ROOT("to ask a file system for a handle");
        ck_assert_int_eq(mkdir(unit_path(dir, "d"), 0700), 0);
        if (_i > 0)
                fd = open(unit_path(dir, "d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_eq(fd >= 0, _i > 0);
        i = look_at("d");
        if (i.handle_len == 0)
                SKIP("this file system gives no handles");
        ck_assert(!identity_is_deleted(unit_path(dir, "d"), &i));
        ck_assert_int_eq(rename(unit_path(dir, "d"), unit_path(dir, "e")), 0);
        ck_assert(!identity_is_deleted(unit_path(dir, "d"), &i));
        ck_assert_int_eq(rmdir(unit_path(dir, "e")), 0);
        ck_assert(identity_is_deleted(unit_path(dir, "d"), &i));
        i.fs_id++; /* another file system, that is not mounted */
        ck_assert(!identity_is_deleted(unit_path(dir, "d"), &i));
        close_fd(fd);
}
END_TEST

START_TEST(removed_directory_made_again_is_another)
{
        struct identity i = make_directory("d");

        if (i.handle_len == 0)
                SKIP("this file system has no file handles");
        for (int n = 0; n < 100; n++) {
                ck_assert_int_eq(rmdir(unit_path(dir, "d")), 0);
                (void) make_directory("d");
                ck_assert_int_eq(open_as("d", &i), -ESTALE);
        }
}
END_TEST

/* Its number is the device's, which the next mount changes: so more is asked, of a descriptor. */
START_TEST(xfs_that_cannot_be_asked_is_not_another)
{
        const char *why = unless_disk(DISK_XFS);
        struct rlimit limit, none;
        struct identity before, i;
        struct disk disk;
        int fd;

        if (why)
                SKIP(why);
        disk_own_mounts();
        ck_assert_int_eq(mkdir(unit_path(dir, "xfs"), 0700), 0);
        disk_make(&disk, DISK_XFS, dir, unit_path(dir, "xfs"));
        disk_mount(&disk);
        fd = open(disk.at, O_PATH | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_eq(identity_of_fd(fd, &before), 0);
        ck_assert_uint_ne(before.fs_id, 0);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = limit;
        none.rlim_cur = 0;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        ck_assert_int_eq(identity_of_fd(fd, &i), -EMFILE);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        ck_assert_int_eq(identity_of_fd(fd, &i), 0);
        ck_assert_uint_eq(i.fs_id, before.fs_id);
        (void) close(fd);
        disk_done(&disk);
}
END_TEST

static Suite *identity_suite(void)
{
        Suite *s = suite_create("identity");
        TCase *t = tcase_create("identity");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, file_is_itself_by_name_and_by_descriptor);
        tcase_add_test(t, hard_link_is_the_same_file);
        tcase_add_test(t, what_replaced_it_is_another);
        tcase_add_test(t, reused_inode_number_is_another);
        tcase_add_test(t, without_a_handle_it_cannot_be_told);
        tcase_add_loop_test(t, handle_that_cannot_be_read_is_not_none, 0, 3);
        tcase_add_test(t, without_handles_its_birth_tells_it);
        tcase_add_test(t, what_a_server_numbers_is_never_another_for_sure);
        tcase_add_test(t, symbolic_link_is_not_followed);
        tcase_add_test(t, missing_name_is_told);
        tcase_add_test(t, memory_does_not_outlive_power);
        tcase_add_test(t, packed_comes_back);
        tcase_add_test(t, bytes_of_another_length_are_refused);
        tcase_add_test(t, directory_is_opened_and_is_the_same);
        tcase_add_test(t, symbolic_links_on_the_way_are_refused);
        tcase_add_test(t, renamed_directory_is_not_there);
        tcase_add_test(t, what_stands_in_its_place_is_refused);
        tcase_add_test(t, removed_directory_made_again_is_another);
        tcase_add_loop_test(t, only_a_deleted_directory_counts_as_deleted, 0, 2);
        tcase_add_test(t, xfs_that_cannot_be_asked_is_not_another);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(identity_suite());
}
