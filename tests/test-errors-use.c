/* SPDX-License-Identifier: MIT */

/*
 * Bad input to the calls that do something with what has been made, or that take no options, and a
 * world in which they can't do well. After a failure the handle is as it was, and nothing is left.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "tests/error-table.h"

static struct tempfile *t;
static FILE *f;

static void have_kept(void)
{
        t = make_file();
        ck_assert_int_eq(tempfile_keep(t), 0);
}

static void have_directory(void)
{
        ck_assert_int_eq(tempfile_directory(&options, &t), 0);
}

/* A directory at @name in the stage's. */
static const char *have_at(const char *name, mode_t mode)
{
        ck_assert_int_eq(mkdir(stage_path(name), 0700), 0);
        ck_assert_int_eq(chmod(stage_path(name), mode), 0);
        return stage_path(name);
}

static const char *have_link(const char *name)
{
        ck_assert_int_eq(symlink(name, stage_path(name)), 0);
        return stage_path(name);
}

/* 256 bytes, one too many. */
static const char *too_long(void)
{
        static char name[257];

        memset(name, 'n', 256);
        return stage_path(name);
}

#define FILE_SIZE (1 << 20)

/* From now on no file may be longer than that. */
static void limit_size(void)
{
        const struct rlimit limit = { FILE_SIZE, RLIM_INFINITY };

        (void) signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The handle is as it was: its path is there, it is open, and closing it deletes it. */
static void check_usable(const char *path)
{
        struct stat st;

        ck_assert_str_eq(tempfile_path(t), path);
        ck_assert_int_eq(lstat(path, &st), 0);
        ck_assert_int_eq(fstat(tempfile_fd(t), &st), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(path));
}

/* ---- what it is ------------------------------------------------------------------------------- */

START_TEST(null_is_refused)
{
        struct tempfile_options owner = options;

        ck_assert_int_eq(tempfile_named(&options, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_directory(&options, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_FILE, NULL, NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_mktemp(&options, TEMPFILE_KIND_FILE, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_mkstemp(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_mkdtemp(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_fopen(&options, NULL, -1, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled(&options, 1, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_track(NULL, &options, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track(stage_dir, &options, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_find(NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_find(stage_dir, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_list(NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_token_new(0, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_gettempdir(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_socket_paths(NULL), -EINVAL);

        ck_assert_int_eq(tempfile_fd(NULL), -EINVAL);
        ck_assert_ptr_null(tempfile_path(NULL));
        ck_assert_int_eq(tempfile_close(NULL), 0);
        ck_assert_int_eq(tempfile_close_fd(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_is_guaranteed(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_stream(NULL, NULL, -1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_persist(NULL, stage_path("x"), 0), -EINVAL);
        ck_assert_int_eq(tempfile_unnamed_persist(0, NULL, 0), -EINVAL);
        ck_assert_int_eq(tempfile_keep(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_give(NULL, 0), -EINVAL);
        ck_assert_int_eq(tempfile_share(NULL, 0), -EINVAL);
        ck_assert_int_eq(tempfile_give_to(NULL, &owner), -EINVAL);
        ck_assert_int_eq(tempfile_share_with(NULL, &owner), -EINVAL);
        ck_assert_int_eq(tempfile_release(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_renew(NULL, 1), -EINVAL);
        ck_assert_int_eq(tempfile_retain(NULL, 1), -EINVAL);
        ck_assert_int_eq(tempfile_arena_named(NULL, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_arena_directory(NULL, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_fd(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_write(NULL, "", 1), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_check(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_rollover(NULL), -EINVAL);
        tempfile_spooled_close(NULL);

        t = make_file();
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, NULL, 0), -EINVAL);
        ck_assert_int_eq(tempfile_give_to(t, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_share_with(t, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(streams_want_an_open_file_without_one)
{
        have_directory();
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        t = make_file();
        ck_assert_int_eq(tempfile_stream(t, "q", -1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_fopen(&options, "q", -1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), 0);
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_close_fd(t), 0);
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(a_stream_that_can_not_be_written_is_told_of)
{
        char *path;

        t = make_file();
        path = strdup(tempfile_path(t));
        limit_size();
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), 0);
        ck_assert_int_eq(fseek(f, FILE_SIZE - 10, SEEK_SET), 0);
        ck_assert_int_gt(fprintf(f, "more than ten bytes\n"), 0);
        ck_assert_int_eq(tempfile_persist(t, stage_path("target"), 0), -EFBIG);
        ck_assert_int_eq(tempfile_persist(t, stage_path("target"), 0),
                         -EIO); /* some of it is lost */
        ck_assert_int_eq(tempfile_close_fd(t), -EIO);
        ck_assert_str_eq(tempfile_path(t), path);
        ck_assert_int_eq(tempfile_fd(t), -1);
        ck_assert_int_eq(tempfile_close(t), 0);

        t = make_file();
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), 0);
        ck_assert_int_eq(fseek(f, FILE_SIZE - 10, SEEK_SET), 0);
        ck_assert_int_gt(fprintf(f, "more than ten bytes\n"), 0);
        ck_assert_int_eq(tempfile_close_fd(t), -EFBIG);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
        free(path);
}
END_TEST

/* ---- closing ---------------------------------------------------------------------------------- */

START_TEST(what_can_not_be_deleted_is_told_and_stays)
{
        char *path;

        t = make_file();
        path = strdup(tempfile_path(t));
        become_ordinary();
        ck_assert_int_eq(chmod(stage_dir, 0500), 0);
        ck_assert_int_eq(tempfile_close(t), -EACCES);
        ck_assert_int_eq(chmod(stage_dir, 0700), 0);
        ck_assert_int_eq(unlink(path), 0);
        free(path);
}
END_TEST

START_TEST(deleting_a_tree_wants_a_descriptor)
{
        char *path;

        have_directory();
        path = strdup(tempfile_path(t));
        ck_assert_int_eq(mkdirat(tempfile_fd(t), "sub", 0700), 0);
        ck_assert_int_eq(tempfile_close_fd(t), 0);
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_close(t), -EMFILE);
        ck_assert(path_exists(path));
        free(path);
}
END_TEST

START_TEST(a_file_system_that_becomes_read_only_keeps_what_is_there)
{
        char *path;

        mount_at(stage_path("sub"), "nr_inodes=3", 0);
        options.dir = stage_path("sub");
        t = make_file();
        path = strdup(tempfile_path(t));
        ck_assert_int_eq(tempfile_close_fd(t), 0);
        ck_assert_int_eq(mount(NULL, stage_path("sub"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        ck_assert_int_eq(tempfile_persist(t, stage_path("sub/x"), 0), -EROFS);
        ck_assert_str_eq(tempfile_path(t), path);
        ck_assert_int_eq(tempfile_close(t), -EROFS);
        free(path);
}
END_TEST

START_TEST(a_full_file_system_is_told_of)
{
        static const char much[65536];
        struct tempfile_spooled *s;

        mount_at(stage_path("sub"), "size=16k", 0);
        options.dir = stage_path("sub");
        ck_assert_int_eq(tempfile_spooled(&options, 1, &s), 0);
        ck_assert_int_eq(tempfile_spooled_write(s, much, sizeof(much)), -ENOSPC);
        tempfile_spooled_close(s);
        t = make_file();
        while (write(tempfile_fd(t), much, 4096) > 0)
                ;
        ck_assert_int_eq(tempfile_stream(t, NULL, -1, &f), 0);
        ck_assert_int_ne(putc('x', f), EOF);
        ck_assert_int_eq(tempfile_close_fd(t), -ENOSPC);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_path("sub")), 0);
}
END_TEST

START_TEST(a_mount_in_a_directory_is_not_crossed)
{
        char path[PATH_MAX];

        have_directory();
        (void) snprintf(path, sizeof(path), "%.4000s/mounted", tempfile_path(t));
        mount_at(path, "", 0);
        ck_assert_int_eq(tempfile_close(t), -EBUSY);
        ck_assert(path_exists(path));
}
END_TEST

/* ---- persisting ------------------------------------------------------------------------------- */

START_TEST(targets_that_can_not_be_are_refused)
{
        char *path, inside[PATH_MAX + 2];

        t = make_file();
        path = strdup(tempfile_path(t));
        write_file(stage_path("file"), "");
        (void) have_at("directory", 0700);
        (void) have_at("directory/not empty", 0700);
        ck_assert_int_eq(tempfile_persist(t, stage_path("x"), 1U << 31), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, "", 0), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, "/", 0), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, stage_path(".."), 0), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, stage_path("no/x"), 0), -ENOENT);
        ck_assert_int_eq(tempfile_persist(t, stage_path("file/x"), 0), -ENOTDIR);
        ck_assert_int_eq(tempfile_persist(t, stage_path("x/"), 0), -ENOTDIR);
        ck_assert_int_eq(tempfile_persist(t, stage_path("directory"), 0), -EISDIR);
        ck_assert_int_eq(tempfile_persist(t, too_long(), 0), -ENAMETOOLONG);
        ck_assert_int_eq(tempfile_persist(t, stage_path("file"), TEMPFILE_NOREPLACE), -EEXIST);
        ck_assert_int_eq(tempfile_persist(t, "/dev/shm/tempfiled-test", 0), -EXDEV);
        (void) snprintf(inside, sizeof(inside), "%s/x", have_link("loop"));
        ck_assert_int_eq(tempfile_persist(t, inside, 0), -ELOOP);
        check_usable(path);
        free(path);

        have_directory();
        path = strdup(tempfile_path(t));
        (void) snprintf(inside, sizeof(inside), "%s/x", path);
        ck_assert_int_eq(tempfile_persist(t, stage_path("file"), 0), -ENOTDIR);
        ck_assert_int_eq(tempfile_persist(t, stage_path("directory"), 0), -ENOTEMPTY);
        ck_assert_int_eq(tempfile_persist(t, inside, 0), -EINVAL);
        check_usable(path);
        free(path);
}
END_TEST

START_TEST(a_target_that_may_not_be_written_to_is_refused)
{
        char *path;

        t = make_file();
        path = strdup(tempfile_path(t));
        (void) have_at("closed", 0555);
        become_ordinary();
        ck_assert_int_eq(tempfile_persist(t, stage_path("closed/x"), 0), -EACCES);
        check_usable(path);
        free(path);
}
END_TEST

START_TEST(what_is_not_there_any_more_can_not_be_persisted)
{
        have_kept();
        ck_assert_int_eq(tempfile_persist(t, stage_path("x"), 0), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        t = make_file();
        ck_assert_int_eq(unlink(tempfile_path(t)), 0);
        ck_assert_int_eq(tempfile_persist(t, stage_path("x"), 0), -ENOENT);
        ck_assert_int_eq(tempfile_close(t), 0);

        write_file(stage_path("mine"), "mine");
        ck_assert_int_eq(tempfile_track(stage_path("mine"), &options, &t), 0);
        ck_assert_int_eq(rename(stage_path("mine"), stage_path("moved")), 0);
        write_file(stage_path("mine"), "another's");
        ck_assert_int_eq(tempfile_persist(t, stage_path("x"), 0), -ESTALE);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(file_has(stage_path("mine"), "another's"));
        ck_assert(file_has(stage_path("moved"), "mine"));
}
END_TEST

START_TEST(persisting_wants_a_descriptor)
{
        char *path;

        t = make_file();
        path = strdup(tempfile_path(t));
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_persist(t, stage_path("x"), 0), -EMFILE);
        check_usable(path);
        free(path);
}
END_TEST

START_TEST(an_unnamed_file_can_not_be_named_anything)
{
        int ends[2], fd = tempfile_unnamed(&options);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        write_file(stage_path("file"), "old");
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("x"), 1U << 31), -EINVAL);
        ck_assert_int_eq(tempfile_unnamed_persist(ends[0], stage_path("x"), 0), -EINVAL);
        ck_assert_int_eq(tempfile_unnamed_persist(999, stage_path("x"), 0), -EBADF);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("no/x"), 0), -ENOENT);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("file/x"), 0), -ENOTDIR);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("x/"), 0), -ENOTDIR);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, too_long(), 0), -ENAMETOOLONG);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, "/dev/shm/tempfiled-test", 0), -EXDEV);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("file"), TEMPFILE_NOREPLACE),
                         -EEXIST);
        fake_stop();
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("file"), 0), -ECONNREFUSED);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        ck_assert(file_has(stage_path("file"), "old"));
        ck_assert_int_eq(tempfile_unnamed_persist(fd, stage_path("x"), 0), 0);
        (void) close(fd);
}
END_TEST

/* ---- owners ----------------------------------------------------------------------------------- */

START_TEST(what_is_not_ones_own_can_not_be_given)
{
        const int init = (int) syscall(SYS_pidfd_open, 1, 0);
        struct tempfile_options owner = TEMPFILE_OPTIONS_INIT;
        char *path;

        t = make_file();
        path = strdup(tempfile_path(t));
        owner.owner_kind = TEMPFILE_OWNER_BOOT;
        ck_assert_int_eq(tempfile_give(t, -1), -EINVAL);
        ck_assert_int_eq(tempfile_give(t, 999), -EBADF);
        ck_assert_int_eq(tempfile_share(t, -1), -EINVAL);
        ck_assert_int_eq(tempfile_share(t, 999), -EBADF);
        ck_assert_int_eq(tempfile_renew(t, 0), -EINVAL);
        owner.lease_sec = 1;
        ck_assert_int_eq(tempfile_give_to(t, &owner), -EINVAL);
        ck_assert_int_eq(tempfile_share_with(t, &owner), -EINVAL);
        check_usable(path);
        free(path);

        owner.lease_sec = 0;
        have_kept();
        ck_assert_int_eq(tempfile_keep(t), -EINVAL);
        ck_assert_int_eq(tempfile_give(t, init), -EINVAL);
        ck_assert_int_eq(tempfile_share(t, init), -EINVAL);
        ck_assert_int_eq(tempfile_give_to(t, &owner), -EINVAL);
        ck_assert_int_eq(tempfile_share_with(t, &owner), -EINVAL);
        ck_assert_int_eq(tempfile_retain(t, 1), -EINVAL);
        ck_assert_int_eq(tempfile_renew(t, 1), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        (void) close(init);
}
END_TEST

/* The number of the check that failed. */
static int change_what_is_inherited(void *userdata)
{
        const int init = (int) syscall(SYS_pidfd_open, 1, 0);
        struct tempfile_options owner = TEMPFILE_OPTIONS_INIT;

        owner.owner_kind = TEMPFILE_OWNER_BOOT;
        if (tempfile_persist(t, stage_path("x"), 0) != -EPERM)
                return 1;
        if (tempfile_keep(t) != -EPERM)
                return 2;
        if (tempfile_give(t, init) != -EPERM)
                return 3;
        if (tempfile_share(t, init) != -EPERM)
                return 4;
        if (tempfile_give_to(t, &owner) != -EPERM)
                return 5;
        if (tempfile_share_with(t, &owner) != -EPERM)
                return 6;
        if (tempfile_renew(t, 1) != -EPERM)
                return 7;
        if (tempfile_retain(t, 1) != -EPERM)
                return 8;
        if (tempfile_is_guaranteed(t) != -EPERM)
                return 9;
        return tempfile_close(t) == 0 ? 0 : 10;
}

START_TEST(a_child_changes_nothing_of_its_parents)
{
        char *path;

        t = make_file();
        path = strdup(tempfile_path(t));
        ck_assert_int_eq(run_child(change_what_is_inherited, NULL), 0);
        check_usable(path);
        free(path);
}
END_TEST

/* ---- finding, tracking, listing --------------------------------------------------------------- */

START_TEST(what_is_not_held_is_not_found)
{
        char inside[PATH_MAX + 2];

        t = make_file();
        write_file(stage_path("file"), "");
        ck_assert_int_eq(tempfile_find("", &t), -EINVAL);
        ck_assert_int_eq(tempfile_find(stage_path(".."), &t), -EINVAL);
        ck_assert_int_eq(tempfile_find(stage_path("file"), &t), -ENOENT);
        ck_assert_int_eq(tempfile_find(stage_path("no/x"), &t), -ENOENT);
        ck_assert_int_eq(tempfile_find(stage_path("file/x"), &t), -ENOTDIR);
        ck_assert_int_eq(tempfile_find(too_long(), &t), -ENAMETOOLONG);
        ck_assert_int_eq(tempfile_find(tempfile_path(t), &t), -ENOENT); /* its handle is in use */
        (void) snprintf(inside, sizeof(inside), "%s/x", have_link("loop"));
        ck_assert_int_eq(tempfile_find(inside, &t), -ELOOP);
        (void) have_at("closed", 0000);
        become_ordinary();
        ck_assert_int_eq(tempfile_find(stage_path("closed/sub/x"), &t), -EACCES);
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_find(tempfile_path(t), &t), -EMFILE);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(what_is_no_path_of_a_thing_is_not_tracked)
{
        char inside[PATH_MAX + 2];

        write_file(stage_path("file"), "");
        ck_assert_int_eq(tempfile_track("", &options, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track("/", &options, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track(stage_path("."), &options, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track(stage_path("missing"), &options, &t), -ENOENT);
        ck_assert_int_eq(tempfile_track(stage_path("file/x"), &options, &t), -ENOTDIR);
        ck_assert_int_eq(tempfile_track(stage_path("file/"), &options, &t), -ENOTDIR);
        ck_assert_int_eq(tempfile_track(too_long(), &options, &t), -ENAMETOOLONG);
        ck_assert_int_eq(tempfile_track("/proc", &options, &t), -EBUSY);
        (void) snprintf(inside, sizeof(inside), "%s/x", have_link("loop"));
        ck_assert_int_eq(tempfile_track(inside, &options, &t), -ELOOP);
        options.flags = 1U << 31;
        ck_assert_int_eq(tempfile_track(stage_path("file"), &options, &t), -EINVAL);
        options.flags = 0;
        (void) have_at("closed", 0000);
        become_ordinary();
        ck_assert_int_eq(tempfile_track(stage_path("closed/x"), &options, &t), -EACCES);
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_track(stage_path("file"), &options, &t), -EMFILE);
        ck_assert(path_exists(stage_path("file")));
}
END_TEST

static int say_no(const struct tempfile_item *item, void *userdata)
{
        return -ECANCELED;
}

START_TEST(a_list_ends_when_its_reader_says_so)
{
        ck_assert_int_eq(tempfile_list(say_no, NULL), 0);
        t = make_file();
        ck_assert_int_eq(tempfile_list(say_no, NULL), -ECANCELED);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* ---- by callback ------------------------------------------------------------------------------ */

static int find_it_taken(int dirfd, const char *name, const char *path, void *userdata)
{
        return -EEXIST;
}

static int make_a_file(int dirfd, const char *name, const char *path, void *userdata)
{
        write_file(path, "");
        return 0;
}

START_TEST(callbacks_make_what_they_were_asked_for)
{
        ck_assert_int_eq(tempfile_make(&options, 0, make_a_file, NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_OTHER, make_a_file, NULL, &t),
                         -EINVAL);
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_FILE, find_it_taken, NULL, &t),
                         -EEXIST);
        ck_assert_int_eq(tempfile_mktemp(&options, 4, &t), -EINVAL);
        options.pattern = "XXXXXXXXX";
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_FILE, make_a_file, NULL, &t),
                         -EINVAL);
        ck_assert_int_eq(tempfile_mktemp(&options, TEMPFILE_KIND_FILE, &t), -EINVAL);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

/* ---- arenas, spooled files, the default directory --------------------------------------------- */

START_TEST(arenas_are_open_directories)
{
        t = make_file();
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_arena_directory(t, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);

        have_directory();
        ck_assert_int_eq(tempfile_arena_named(t, &options, NULL), -EINVAL); /* it has a dir */
        ck_assert_int_eq(tempfile_arena_directory(t, &options, NULL), -EINVAL);
        ck_assert_int_eq(rmdir(tempfile_path(t)), 0);
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -ENOENT);
        ck_assert_int_eq(tempfile_arena_directory(t, NULL, NULL), -ENOENT);
        ck_assert_int_eq(tempfile_close(t), 0);

        have_directory();
        options.dir = NULL;
        options.prefix = "a/b";
        ck_assert_int_eq(tempfile_arena_named(t, &options, NULL), -EINVAL);
        options.prefix = strrchr(too_long(), '/') + 1;
        ck_assert_int_eq(tempfile_arena_named(t, &options, NULL), -ENAMETOOLONG);
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -EMFILE);
        ck_assert_int_eq(tempfile_arena_directory(t, NULL, NULL), -EMFILE);
        ck_assert_uint_eq(count_files(tempfile_path(t)), 0);
        ck_assert_int_eq(tempfile_close_fd(t), 0);
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(an_arena_is_a_directory_like_others)
{
        mount_at(stage_path("sub"), "nr_inodes=2", 0);
        options.dir = stage_path("sub");
        have_directory();
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -ENOSPC);
        ck_assert_int_eq(tempfile_arena_directory(t, NULL, NULL), -ENOSPC);
        ck_assert_int_eq(tempfile_close(t), 0);

        options.dir = stage_dir;
        have_directory();
        ck_assert_int_eq(chmod(tempfile_path(t), 0500), 0);
        ck_assert_int_eq(chmod(stage_path("sub"), 0700), 0);
        become_ordinary();
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -EACCES);
        ck_assert_int_eq(tempfile_arena_directory(t, NULL, NULL), -EACCES);
}
END_TEST

static int have_nowhere_to_write(void *userdata)
{
        char *dir;

        if (chdir(have_at("gone", 0700)) < 0 || rmdir(stage_path("gone")) < 0 ||
            chroot(stage_dir) < 0)
                return 1;
        if (tempfile_gettempdir(&dir) != -ENOENT)
                return 2;
        return tempfile_unnamed(NULL) != -ENOENT;
}

START_TEST(there_may_be_no_default_directory)
{
        ck_assert_int_eq(run_child(have_nowhere_to_write, NULL), 0);
}
END_TEST

START_TEST(a_token_without_room_for_its_descriptor_is_none)
{
        uint64_t id;

        /* The daemon that is played sends none, which looks the same. */
        ck_assert_int_eq(tempfile_token_new(0, &id), -EMFILE);
}
END_TEST

START_TEST(a_spooled_file_that_can_not_move_is_in_memory_still)
{
        struct tempfile_spooled *s;
        char buf[8] = "";

        ck_assert_int_eq(tempfile_spooled(&options, 4, &s), 0);
        ck_assert_int_eq(tempfile_spooled_write(s, NULL, 1), -EINVAL);
        ck_assert_int_eq(tempfile_spooled_write(s, "four", 4), 0);
        ck_assert_int_eq(rmdir(stage_dir), 0);
        ck_assert_int_eq(tempfile_spooled_write(s, "+", 1), -ENOENT);
        ck_assert_int_eq(tempfile_spooled_rollover(s), -ENOENT);
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_spooled_write(s, "+", 1), -EMFILE);
        ck_assert_int_eq(tempfile_spooled_rollover(s), -EMFILE);
        ck_assert_int_eq(pwrite(tempfile_spooled_fd(s), "+", 1, 4), 1);
        ck_assert_int_eq(tempfile_spooled_check(s), -EMFILE);
        ck_assert_int_eq(pread(tempfile_spooled_fd(s), buf, sizeof(buf), 0), 5);
        ck_assert_str_eq(buf, "four+");
        tempfile_spooled_close(s);
}
END_TEST

START_TEST(a_spooled_file_wants_descriptors_and_room)
{
        struct tempfile_spooled *s;

        ck_assert_int_eq(tempfile_spooled(&options, 1, &s), 0);
        limit_size();
        ck_assert_int_eq(lseek(tempfile_spooled_fd(s), FILE_SIZE - 10, SEEK_SET), FILE_SIZE - 10);
        ck_assert_int_eq(tempfile_spooled_write(s, "more than ten bytes", 19), -EFBIG);
        tempfile_spooled_close(s);
        leave_no_descriptor();
        ck_assert_int_eq(tempfile_spooled(&options, 4, &s), -EMFILE);
}
END_TEST

START_TEST(a_default_directory_has_a_name)
{
        char *dir = NULL;

        ck_assert_int_eq(tempfile_settempdir(""), -EINVAL);
        ck_assert_int_eq(setenv("TMPDIR", stage_path("missing"), 1), 0);
        ck_assert_int_eq(tempfile_gettempdir(&dir), 0);
        ck_assert_str_ne(dir, stage_path("missing"));
        free(dir);
        ck_assert_int_eq(chdir(have_at("gone", 0700)), 0);
        ck_assert_int_eq(rmdir(stage_path("gone")), 0);
        ck_assert_int_eq(tempfile_settempdir("relative"), -ENOENT); /* to nothing */
}
END_TEST

int main(void)
{
        TCase *c = tcase_create("use");

        tcase_add_unchecked_fixture(c, stage_make_top, stage_remove_top);
        tcase_add_checked_fixture(c, error_set_up, error_tear_down);
        tcase_add_test(c, null_is_refused);
        tcase_add_test(c, streams_want_an_open_file_without_one);
        tcase_add_test(c, a_stream_that_can_not_be_written_is_told_of);
        tcase_add_test(c, what_can_not_be_deleted_is_told_and_stays);
        tcase_add_test(c, deleting_a_tree_wants_a_descriptor);
        add_unless(c, unless_root(), a_file_system_that_becomes_read_only_keeps_what_is_there);
        add_unless(c, unless_root(), a_full_file_system_is_told_of);
        add_unless(c, unless_root(), a_mount_in_a_directory_is_not_crossed);
        tcase_add_test(c, targets_that_can_not_be_are_refused);
        tcase_add_test(c, a_target_that_may_not_be_written_to_is_refused);
        tcase_add_test(c, what_is_not_there_any_more_can_not_be_persisted);
        tcase_add_test(c, persisting_wants_a_descriptor);
        tcase_add_test(c, an_unnamed_file_can_not_be_named_anything);
        tcase_add_test(c, what_is_not_ones_own_can_not_be_given);
        tcase_add_test(c, a_child_changes_nothing_of_its_parents);
        tcase_add_test(c, what_is_not_held_is_not_found);
        tcase_add_test(c, what_is_no_path_of_a_thing_is_not_tracked);
        tcase_add_test(c, a_list_ends_when_its_reader_says_so);
        tcase_add_test(c, callbacks_make_what_they_were_asked_for);
        tcase_add_test(c, arenas_are_open_directories);
        add_unless(c, unless_root(), an_arena_is_a_directory_like_others);
        add_unless(c, unless_root(), there_may_be_no_default_directory);
        tcase_add_test(c, a_token_without_room_for_its_descriptor_is_none);
        tcase_add_test(c, a_spooled_file_that_can_not_move_is_in_memory_still);
        tcase_add_test(c, a_spooled_file_wants_descriptors_and_room);
        tcase_add_test(c, a_default_directory_has_a_name);
        return run_stage(suite_create("errors-use"), c);
}
