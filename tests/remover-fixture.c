/* SPDX-License-Identifier: MIT */

/*
 * The yard of the remover's tests; see the header. Deep trees are built by going down, because no
 * path can name what is in them.
 */

#include "tests/remover-fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "libclient/util.h"

#define TMPFS_TYPE 0x01021994

int yard = -1;
bool yard_is_fast;
struct remover_failure failure;

static char yard_top[PATH_MAX];
static struct rlimit saved_limit;

/* ---- the yard --------------------------------------------------------------------------------- */

static void set_up_in(const char *base)
{
        (void) umask(022);
        (void) snprintf(yard_top, sizeof(yard_top), "%s/tempfiled-yard-XXXXXX", base);
        ck_assert_ptr_nonnull(mkdtemp(yard_top));
        yard = open(yard_top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(yard, 0);
}

void yard_set_up(void)
{
        const char *base = getenv("TMPDIR");

        yard_is_fast = false;
        set_up_in(base && *base ? base : "/tmp");
}

void yard_set_up_fast(void)
{
        struct statfs fs;

        if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_TYPE ||
            access("/dev/shm", W_OK) < 0) {
                yard_set_up();
                return;
        }
        yard_is_fast = true;
        set_up_in("/dev/shm");
}

void yard_tear_down(void)
{
        char *name = strrchr(yard_top, '/');
        int above;

        yard = close_fd(yard);
        *name = '\0';
        above = open(yard_top, O_PATH | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(remover_remove(above, name + 1, TREE, NULL, NULL), 1);
        (void) close(above);
}

const char *yard_path(const char *name)
{
        static char path[2 * PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/%s", yard_top, name);
        return path;
}

/* ---- trees ------------------------------------------------------------------------------------ */

void make_directory(const char *path)
{
        ck_assert_msg(mkdirat(yard, path, 0700) == 0, "mkdir %s: %m", path);
}

static void make_file_in(int dirfd, const char *path)
{
        int fd = openat(dirfd, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

        ck_assert_msg(fd >= 0, "create %s: %m", path);
        ck_assert_int_eq(close(fd), 0);
}

void make_file(const char *path)
{
        make_file_in(yard, path);
}

void make_link(const char *target, const char *path)
{
        ck_assert_msg(symlinkat(target, yard, path) == 0, "symlink %s: %m", path);
}

static int open_in(int dirfd, const char *path)
{
        int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_msg(fd >= 0, "open %s: %m", path);
        return fd;
}

void make_files(const char *dir, unsigned int n)
{
        _cleanup_(closep) int fd = open_in(yard, dir);
        char name[32];

        for (unsigned int i = 0; i < n; i++) {
                (void) snprintf(name, sizeof(name), "file-%u", i);
                make_file_in(fd, name);
        }
}

void make_chain(const char *path, unsigned int depth)
{
        int fd = open_in(yard, path);

        for (unsigned int i = 0; i < depth; i++) {
                int below;

                make_file_in(fd, "f");
                ck_assert_int_eq(mkdirat(fd, "d", 0700), 0);
                below = open_in(fd, "d");
                (void) close(fd);
                fd = below;
        }
        (void) close(fd);
}

void grow_chain(const char *path, unsigned int depth)
{
        int fd = openat(yard, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (unsigned int i = 0; i < depth && fd >= 0; i++) {
                int below;

                (void) close_fd(openat(fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
                (void) mkdirat(fd, "d", 0700);
                below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                (void) close(fd);
                fd = below;
        }
        (void) close_fd(fd);
}

bool is_there(const char *path)
{
        struct stat st;

        return fstatat(yard, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned int mode_of(const char *path)
{
        struct stat st;

        ck_assert_int_eq(fstatat(yard, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st.st_mode & 07777;
}

void set_mode(const char *path, mode_t mode)
{
        ck_assert_msg(fchmodat(yard, path, mode, 0) == 0, "chmod %s: %m", path);
}

int set_immutable(const char *path, bool on)
{
        _cleanup_(closep) int fd = openat(yard, path, O_RDONLY | O_CLOEXEC);
        int flags = 0;

        if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
                return -errno;
        flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        return ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
}

/* ---- removing --------------------------------------------------------------------------------- */

int64_t remove_in_yard(const char *name, unsigned int flags)
{
        int64_t r;

        memset(&failure, 0xff, sizeof(failure));
        r = remover_remove(yard, name, flags, NULL, &failure);
        ck_assert_int_eq(failure.error, MIN(r, 0));
        if (r >= 0)
                ck_assert_str_eq(failure.path, "");
        return r;
}

void expect_failure(int64_t result, int error, const char *path)
{
        ck_assert_msg(result == error, "%s at '%s', not %s", strerror(-failure.error), failure.path,
                      strerror(-error));
        ck_assert_str_eq(failure.path, path);
}

/* ---- processes -------------------------------------------------------------------------------- */

static void run_as(uid_t uid, void (*body)(void))
{
        int status = -1;
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                if (uid != 0 && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                                 setresuid(uid, uid, uid) < 0))
                        _exit(126);
                body();
                _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %#x",
                      (unsigned int) status);
}

void in_child(void (*body)(void))
{
        run_as(0, body);
}

void as_ordinary(void (*body)(void))
{
        if (geteuid() != 0) {
                body();
                return;
        }
        ck_assert_int_eq(fchown(yard, NOBODY, NOBODY), 0);
        run_as(NOBODY, body);
}

void limit_descriptors(unsigned int n)
{
        struct rlimit limit;
        int next = dup(yard);

        (void) close(next);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved_limit), 0);
        limit = saved_limit;
        limit.rlim_cur = (rlim_t) next + n;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void unlimit_descriptors(void)
{
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved_limit), 0);
}

/* ---- suites ----------------------------------------------------------------------------------- */

static void pass_over(int i)
{
}

/* TAP's way to say it is a remark in the name. It lives as long as the suite: to the end. */
static const TTest *skip(const TTest *test, const char *reason)
{
        TTest *skipped = malloc(sizeof(*skipped));
        char *name;

        if (!skipped || asprintf(&name, "%s # SKIP %s", test->name, reason) < 0)
                abort();
        *skipped = *test;
        skipped->name = name;
        skipped->fn = pass_over;
        return skipped;
}

void add_test_unless(TCase *c, const TTest *test, const char *reason)
{
        tcase_add_test(c, reason ? skip(test, reason) : test);
}

void add_loop_test_unless(TCase *c, const TTest *test, int n, const char *reason)
{
        if (reason)
                tcase_add_test(c, skip(test, reason));
        else
                tcase_add_loop_test(c, test, 0, n);
}

const char *reason_not_root(void)
{
        return geteuid() != 0 ? "needs root" : NULL;
}

/* Asked before any test runs: nothing of Check's may be used. */
const char *reason_no_immutable(void)
{
        const char *base = getenv("TMPDIR");
        char path[PATH_MAX];
        int fd, r;

        if (geteuid() != 0)
                return reason_not_root();
        (void) snprintf(path, sizeof(path), "%s/tempfiled-probe-XXXXXX",
                        base && *base ? base : "/tmp");
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return "no file can be made";
        r = set_immutable(path, true);
        (void) set_immutable(path, false);
        (void) unlink(path);
        (void) close(fd);
        return r < 0 ? "this file system has no immutable files" : NULL;
}

bool is_full_run(void)
{
        const char *full = getenv("TEMPFILED_TEST_FULL");

        return full && *full;
}

int run_suite(Suite *s)
{
        SRunner *r = srunner_create(s);
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
