/* SPDX-License-Identifier: MIT */

/*
 * The public library with a true daemon: what each call does, and what it refuses. What becomes of
 * it all when somebody dies is test-deaths' business.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/testutil.h"

static struct world world;
static struct tempfile_options options;

static void set_up(void)
{
        world_init(&world);
        world_start_daemon(&world);
        options = world_options(&world);
}

static void tear_down(void)
{
        world_done(&world);
}

static struct tempfile *make_file(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_named(&options, &t);

        ck_assert_msg(r == 0, "tempfile_named: %s", strerror(-r));
        return t;
}

static struct tempfile *make_directory(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_directory(&options, &t);

        ck_assert_msg(r == 0, "tempfile_directory: %s", strerror(-r));
        return t;
}

static const char *name_of(const struct tempfile *t)
{
        return strrchr(tempfile_path(t), '/') + 1;
}

static mode_t mode_of(const char *path)
{
        struct stat st;

        ck_assert_int_eq(lstat(path, &st), 0);
        return st.st_mode & 07777;
}

/* ---- making ----------------------------------------------------------------------------------- */

START_TEST(a_file_is_open_private_and_deleted_by_close)
{
        struct tempfile *t = make_file();
        char *path = strdup(tempfile_path(t));

        ck_assert_int_eq(write(tempfile_fd(t), "x", 1), 1);
        ck_assert_int_eq(fcntl(tempfile_fd(t), F_GETFD), FD_CLOEXEC);
        ck_assert_uint_eq(mode_of(path), 0600);
        ck_assert_int_eq(strncmp(name_of(t), "tmp", 3), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(path));
        free(path);
}
END_TEST

START_TEST(a_directory_is_deleted_with_its_contents)
{
        struct tempfile *t = make_directory();
        struct stat st;

        ck_assert_uint_eq(mode_of(tempfile_path(t)), 0700);
        ck_assert_int_eq(fstat(tempfile_fd(t), &st), 0);
        ck_assert(S_ISDIR(st.st_mode));
        ck_assert_int_eq(mkdirat(tempfile_fd(t), "sub", 0700), 0);
        ck_assert_int_ge(close(openat(tempfile_fd(t), "sub/file", O_CREAT | O_WRONLY, 0600)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(permission_bits_are_exact_whatever_the_umask)
{
        static const uint32_t modes[] = { 0600, 0644, 0400, 0200, 07777, 0001, 0666 };
        struct tempfile *t;

        (void) umask(0177);
        for (unsigned int i = 0; i < ARRAY_SIZE(modes); i++) {
                options.mode = modes[i];
                t = make_file();
                ck_assert_uint_eq(mode_of(tempfile_path(t)), modes[i]);
                ck_assert_int_eq(tempfile_close(t), 0);
                t = make_directory();
                ck_assert_uint_eq(mode_of(tempfile_path(t)), modes[i]);
                ck_assert_int_eq(tempfile_close(t), 0);
        }
        (void) umask(022);
}
END_TEST

START_TEST(names_may_be_any_bytes_and_255_long)
{
        char longest[234], prefix[] = "new\nline \xff\xfe *";
        struct tempfile *t = NULL;

        options.prefix = prefix;
        options.suffix = "\t.x";
        t = make_file();
        ck_assert_int_eq(strncmp(name_of(t), prefix, strlen(prefix)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);

        memset(longest, 'p', sizeof(longest));
        longest[233] = '\0';
        options.prefix = longest;
        options.suffix = NULL;
        t = make_file();
        ck_assert_uint_eq(strlen(name_of(t)), 255);
        ck_assert_int_eq(tempfile_close(t), 0);

        options.suffix = "x";
        ck_assert_int_eq(tempfile_named(&options, &t), -ENAMETOOLONG);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
        struct {
                struct tempfile_options o;
                uint64_t newer;
        } big = { .o = TEMPFILE_OPTIONS_INIT };
        struct tempfile *t = NULL;

        ck_assert_int_eq(tempfile_named(&options, NULL), -EINVAL);
        options.prefix = "a/b";
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        options.prefix = NULL;
        options.mode = 010000;
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        options.mode = 0;
        options.flags = 1U << 31;
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        options.flags = TEMPFILE_OWNER_PIDFD; /* and no pidfd */
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        options.flags = 0;
        options.reserved[3] = 1;
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        options.reserved[3] = 0;
        options.size = 8;
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);

        big.o.dir = world.dir;
        big.o.size = sizeof(big);
        ck_assert_int_eq(tempfile_named(&big.o, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        big.newer = 1;
        ck_assert_int_eq(tempfile_named(&big.o, &t), -E2BIG);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error_as_of_open)
{
        struct tempfile *t = NULL;

        options.dir = world_path(&world, "missing");
        ck_assert_int_eq(tempfile_named(&options, &t), -ENOENT);
        write_file(options.dir, "");
        ck_assert_int_eq(tempfile_named(&options, &t), -ENOTDIR);
}
END_TEST

START_TEST(patterns_are_filled_in_short_and_long)
{
        static const char *const patterns[] = { "XXX", "a.XXXXXX", "XXXaXXXX.txt",
                                                "b-XXXXXXXXXXXX" };
        struct tempfile *t;
        const char *name;

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                options.pattern = patterns[i];
                for (unsigned int kind = 0; kind < 2; kind++) {
                        t = kind == 0 ? make_file() : make_directory();
                        name = name_of(t);
                        ck_assert_uint_eq(strlen(name), strlen(patterns[i]));
                        ck_assert(path_exists(tempfile_path(t)));
                        ck_assert_uint_eq(count_files(world.dir), 1);
                        ck_assert_int_eq(tempfile_close(t), 0);
                        ck_assert_uint_eq(count_files(world.dir), 0);
                }
        }
        ck_assert_int_eq(strncmp(patterns[2], "XXXa", 4), 0); /* only the last run is replaced */

        options.pattern = "XX";
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        options.pattern = "a/XXXXXX";
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
}
END_TEST

START_TEST(a_pattern_may_have_a_suffix_beside_it)
{
        char suffix[NAME_LEN_MAX] = "";
        struct tempfile *t;

        options.pattern = "aXXX";
        options.suffix = "XXX.c"; /* not of the pattern's run */
        t = make_file();
        ck_assert_str_eq(name_of(t) + 4, "XXX.c");
        ck_assert_int_eq(tempfile_close(t), 0);

        memset(suffix, 'b', NAME_LEN_MAX - 3);
        options.suffix = suffix;
        ck_assert_int_eq(tempfile_named(&options, &t), -ENAMETOOLONG);
        options.suffix = suffix + 1;
        t = make_file();
        ck_assert_uint_eq(strlen(name_of(t)), NAME_LEN_MAX);
        ck_assert_int_eq(tempfile_close(t), 0);

        options.pattern = "aXXXb";
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
}
END_TEST

START_TEST(a_symbolic_link_to_the_directory_is_resolved)
{
        char *canonical = realpath(world.dir, NULL);
        struct tempfile *t;
        char *link = NULL;

        ck_assert_int_gt(asprintf(&link, "%s/link", world.top), 0);
        ck_assert_int_eq(symlink(world.dir, link), 0);
        options.dir = link;
        t = make_file();
        ck_assert_int_eq(strncmp(tempfile_path(t), canonical, strlen(canonical)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        free(canonical);
        free(link);
}
END_TEST

/* Down to a canonical path of just @len bytes; leaves the current directory there. */
static void descend(size_t len)
{
        char name[NAME_MAX + 1], *cwd = realpath(world.dir, NULL);
        size_t left, n;

        ck_assert_int_eq(chdir(world.dir), 0);
        for (left = len - strlen(cwd); left > 0; left -= n + 1) {
                n = MIN(left - 1, (size_t) 200);
                if (left - 1 - n == 1)
                        n--; /* a rest of one would be a slash alone */
                memset(name, 'd', n);
                name[n] = '\0';
                ck_assert_int_eq(mkdir(name, 0700), 0);
                ck_assert_int_eq(chdir(name), 0);
        }
        free(cwd);
}

START_TEST(directories_may_lie_as_deep_as_the_wire_carries)
{
        struct tempfile *t = NULL;
        int r;

        descend(4095);
        options.dir = ".";
        r = tempfile_named(&options, &t);
        ck_assert_int_eq(r, 0);
        ck_assert_uint_gt(strlen(tempfile_path(t)), 4095);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(mkdir("deeper", 0700), 0);
        options.dir = "deeper";
        ck_assert_int_eq(tempfile_named(&options, &t), -ENAMETOOLONG);
        ck_assert_int_eq(rmdir("deeper"), 0);
        ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(an_unnamed_file_needs_no_daemon)
{
        struct stat st;
        int fd;

        world_kill_daemon(&world);
        options.mode = 0640;
        fd = tempfile_unnamed(&options);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0640);
        ck_assert_uint_eq(count_files(world.dir), 0);
        ck_assert_int_eq(write(fd, "x", 1), 1);
        (void) close(fd);
}
END_TEST

/* ---- ending otherwise ------------------------------------------------------------------------- */

START_TEST(persist_replaces_and_the_path_follows)
{
        struct tempfile *t = make_file();
        const char *target = world_path(&world, "final");

        write_file(target, "old");
        ck_assert_int_eq(write(tempfile_fd(t), "new", 3), 3);
        ck_assert_int_eq(tempfile_persist(t, target, TEMPFILE_FSYNC), 0);
        ck_assert(file_has(target, "new"));
        ck_assert_str_eq(name_of(t), "final");
        ck_assert_int_eq(tempfile_persist(t, target, 0), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(file_has(target, "new"));
        ck_assert_uint_eq(count_files(world.dir), 1);
}
END_TEST

START_TEST(persist_can_refuse_to_replace)
{
        struct tempfile *t = make_file();
        const char *target = world_path(&world, "final");

        write_file(target, "old");
        ck_assert_int_eq(tempfile_persist(t, target, TEMPFILE_NOREPLACE), -EEXIST);
        ck_assert(file_has(target, "old"));
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_persist(t, world_path(&world, "other"), TEMPFILE_NOREPLACE), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 2);
}
END_TEST

START_TEST(persist_does_not_cross_file_systems)
{
        struct tempfile *t = make_file();
        struct stat here, there;

        if (stat(world.dir, &here) == 0 && stat("/proc", &there) == 0 &&
            here.st_dev != there.st_dev)
                ck_assert_int_eq(tempfile_persist(t, "/proc/final", 0), -EXDEV);
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_persist(t, "", 0), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, "/", 0), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, world_path(&world, "x/"), 0), -ENOTDIR);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(persisting_onto_a_second_link_leaves_one)
{
        struct tempfile *t = make_file();
        const char *target = world_path(&world, "final");

        ck_assert_int_eq(link(tempfile_path(t), target), 0);
        ck_assert_int_eq(tempfile_persist(t, target, 0), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 1);
}
END_TEST

/* Renaming has done nothing then, and the name would be nobody's. */
START_TEST(a_second_link_that_must_stay_is_an_error)
{
        struct tempfile *t = make_file();
        const char *target = world_path(&world, "final");

        ck_assert_int_eq(link(tempfile_path(t), target), 0);
        ck_assert_int_eq(chmod(world.dir, 0500), 0);
        ck_assert_int_eq(tempfile_persist(t, target, 0), -EACCES);
        ck_assert_int_eq(chmod(world.dir, 0700), 0);
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 1);
        ck_assert(path_exists(target));
}
END_TEST

START_TEST(a_directory_persists_with_what_was_made_in_it)
{
        struct tempfile *d = make_directory(), *t;
        const char *target = world_path(&world, "final");
        char *inside = NULL;

        options.dir = tempfile_path(d);
        t = make_file();
        ck_assert_int_gt(asprintf(&inside, "%s/%s", target, name_of(t)), 0);
        ck_assert_int_eq(tempfile_persist(d, target, 0), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_close(d), 0);
        ck_assert(path_exists(inside));
        free(inside);
}
END_TEST

START_TEST(keep_lets_it_stay)
{
        struct tempfile *t = make_file();
        char *path = strdup(tempfile_path(t));

        ck_assert_int_eq(tempfile_keep(t), 0);
        ck_assert_int_eq(tempfile_keep(t), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(path));
        free(path);
}
END_TEST

START_TEST(keep_without_a_daemon_changes_nothing)
{
        struct tempfile *t = make_file();

        world_kill_daemon(&world);
        ck_assert_int_eq(tempfile_keep(t), -ECONNREFUSED);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(a_file_that_was_deleted_already_is_no_error)
{
        struct tempfile *t = make_file(), *d = make_directory();

        ck_assert_int_eq(unlink(tempfile_path(t)), 0);
        ck_assert_int_eq(rmdir(tempfile_path(d)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_close(d), 0);
        ck_assert_int_eq(tempfile_close(NULL), 0);
}
END_TEST

/* ---- tracking --------------------------------------------------------------------------------- */

/* It has been moved: to fail would be wrong, and the daemon hears it later. */
START_TEST(what_was_tracked_persists_without_a_daemon)
{
        const char *path = world_path(&world, "mine"), *target = world_path(&world, "final");
        struct tempfile *t;

        write_file(path, "");
        ck_assert_int_eq(tempfile_track(path, NULL, &t), 0);
        world_kill_daemon(&world);
        ck_assert_int_eq(tempfile_persist(t, target, 0), 0);
        ck_assert_str_eq(name_of(t), "final");
        ck_assert_int_eq(tempfile_close(t), 0);
        world_start_daemon(&world);
        ck_assert_int_eq(rename(target, path), 0);
        for (unsigned int i = 0; i < 2; i++) { /* finds the daemon; says what there is to say */
                t = make_file();
                ck_assert_int_eq(tempfile_keep(t), 0);
                ck_assert_int_eq(tempfile_close(t), 0);
        }
        ck_assert(wait_list_empty());
        ck_assert(path_exists(path));
}
END_TEST

/* Under another name it is still there, and may come back under its own. */
START_TEST(what_was_tracked_and_has_another_link_is_left_for_good)
{
        const char *path = world_path(&world, "mine"), *other = world_path(&world, "other");
        struct tempfile *t;

        write_file(path, "");
        ck_assert_int_eq(link(path, other), 0);
        ck_assert_int_eq(tempfile_track(path, NULL, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        world_kill_daemon(&world); /* it has heard of that */
        ck_assert_int_eq(rename(other, path), 0);
        world_start_daemon(&world);
        ck_assert(wait_list_empty());
        ck_assert(path_exists(path));
}
END_TEST

START_TEST(what_is_tracked_is_deleted_by_close)
{
        const char *path = world_path(&world, "mine");
        struct tempfile *t;

        write_file(path, "");
        ck_assert_int_eq(tempfile_track(path, NULL, &t), 0);
        ck_assert_int_eq(tempfile_fd(t), -1);
        ck_assert_str_eq(name_of(t), "mine");
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(path));

        ck_assert_int_eq(mkdir(path, 0700), 0);
        write_file(world_path(&world, "mine/file"), "");
        ck_assert_int_eq(chdir(world.dir), 0);
        ck_assert_int_eq(tempfile_track("mine/", NULL, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(chdir("/"), 0);
        ck_assert(!path_exists(path));
}
END_TEST

START_TEST(a_replacement_of_what_was_tracked_stays)
{
        const char *path = world_path(&world, "mine");
        struct tempfile *t;

        write_file(path, "old");
        ck_assert_int_eq(tempfile_track(path, NULL, &t), 0);
        write_file(world_path(&world, "next"), "new");
        ck_assert_int_eq(rename(world_path(&world, "next"), path), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(file_has(path, "new"));
}
END_TEST

START_TEST(a_tracked_link_is_not_followed)
{
        const char *path = world_path(&world, "link"), *other = world_path(&world, "other");
        struct tempfile *t;

        write_file(other, "");
        ck_assert_int_eq(symlink(other, path), 0);
        ck_assert_int_eq(tempfile_track(path, NULL, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(path));
        ck_assert(path_exists(other));
}
END_TEST

START_TEST(a_tracked_directory_is_locked)
{
        const char *path = world_path(&world, "mine");
        struct tempfile *t;
        int fd;

        ck_assert_int_eq(mkdir(path, 0700), 0);
        ck_assert_int_eq(tempfile_track(path, NULL, &t), 0);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
        ck_assert_int_eq(errno, EWOULDBLOCK);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
        (void) close(fd);
}
END_TEST

START_TEST(what_can_not_be_tracked_is_refused)
{
        struct tempfile *t = NULL;

        ck_assert_int_eq(tempfile_track(NULL, NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track("", NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track("/", NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track(".", NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track("/tmp/..", NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_track("/proc", NULL, &t), -EBUSY);
        ck_assert_int_eq(tempfile_track(world_path(&world, "missing"), NULL, &t), -ENOENT);
        write_file(world_path(&world, "file"), "");
        ck_assert_int_eq(tempfile_track(world_path(&world, "file/"), NULL, &t), -ENOTDIR);
        ck_assert_int_eq(tempfile_track(world_path(&world, "file/x"), NULL, &t), -ENOTDIR);
        ck_assert(path_exists(world_path(&world, "file")));
}
END_TEST

/* ---- directories ------------------------------------------------------------------------------ */

/* In a child, where nothing is remembered yet. */
static int find_default(int to, void *userdata)
{
        char *dir;

        if (setenv("TMPDIR", world_path(&world, "missing"), 1) < 0 || setenv("TEMP", "", 1) < 0)
                return 1;
        if (setenv("TMP", world.dir, 1) < 0)
                return 2;
        if (tempfile_gettempdir(&dir) != 0 || !streq(dir, world.dir))
                return 3;
        free(dir);
        if (setenv("TMPDIR", "/", 1) < 0 || tempfile_gettempdir(&dir) != 0)
                return 4;
        return streq(dir, world.dir) ? 0 : 5; /* remembered */
}

START_TEST(the_default_directory_is_the_first_that_can_be_written_to)
{
        struct victim v;
        char *dir = NULL;

        victim_start(&v, find_default, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert_int_eq(tempfile_gettempdir(NULL), -EINVAL);
        ck_assert_int_eq(tempfile_gettempdir(&dir), 0);
        ck_assert_int_eq(*dir, '/');
        free(dir);
        ck_assert_str_eq(tempfile_gettempprefix(), "tmp");
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(the_sockets_that_are_tried_can_be_named)
{
        char *paths = NULL;

        ck_assert_int_eq(tempfile_socket_paths(&paths), 0);
        ck_assert_str_eq(paths, world.daemon.socket);
        free(paths);

        ck_assert_int_eq(unsetenv("TEMPFILED_SOCKET"), 0);
        ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
        ck_assert_int_eq(tempfile_socket_paths(&paths), 0);
        ck_assert_str_eq(paths, "/run/tempfiled/socket, /run/user/7/tempfiled/socket");
        free(paths);
        ck_assert_int_eq(setenv("TEMPFILED_SOCKET", world.daemon.socket, 1), 0);
}
END_TEST

/* ---- administration --------------------------------------------------------------------------- */

static int find_path(const struct tempfile_entry *e, void *userdata)
{
        return streq(e->path, userdata) && e->pid == (uint32_t) getpid() &&
                               e->state == TEMPFILE_STATE_LIVE && e->is_made
                       ? -EEXIST
                       : 0;
}

START_TEST(the_list_shows_what_is_held)
{
        struct tempfile_status status = { .size = sizeof(status) };
        struct tempfile *t = make_file();
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_list(a, NULL, find_path, (void *) tempfile_path(t)),
                         -EEXIST);
        ck_assert_int_eq(tempfile_admin_status(a, &status), 0);
        ck_assert_uint_eq(status.pid, (uint32_t) world.daemon.pid);
        ck_assert_uint_ge(status.live, 1);
        ck_assert_str_eq(status.socket, world.daemon.socket);
        ck_assert_int_eq(tempfile_admin_reap(a, 1, 0x80), -EINVAL);
        ck_assert_int_eq(tempfile_admin_keep(a, 999999), -ENOENT);

        world_kill_daemon(&world);
        ck_assert_int_lt(tempfile_admin_status(a, &status), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &status), -ECONNRESET);
        tempfile_admin_close(a);
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), -ECONNREFUSED);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

static Suite *suite_of_library(void)
{
        Suite *s = suite_create("library");
        TCase *c;

        c = tcase_create("making");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, a_file_is_open_private_and_deleted_by_close);
        tcase_add_test(c, a_directory_is_deleted_with_its_contents);
        tcase_add_test(c, permission_bits_are_exact_whatever_the_umask);
        tcase_add_test(c, names_may_be_any_bytes_and_255_long);
        tcase_add_test(c, wrong_options_are_refused);
        tcase_add_test(c, a_directory_that_is_not_there_is_an_error_as_of_open);
        tcase_add_test(c, patterns_are_filled_in_short_and_long);
        tcase_add_test(c, a_pattern_may_have_a_suffix_beside_it);
        tcase_add_test(c, a_symbolic_link_to_the_directory_is_resolved);
        tcase_add_test(c, directories_may_lie_as_deep_as_the_wire_carries);
        tcase_add_test(c, an_unnamed_file_needs_no_daemon);
        suite_add_tcase(s, c);

        c = tcase_create("ending");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, persist_replaces_and_the_path_follows);
        tcase_add_test(c, persist_can_refuse_to_replace);
        tcase_add_test(c, persist_does_not_cross_file_systems);
        tcase_add_test(c, persisting_onto_a_second_link_leaves_one);
        add_unless(c, unless_ordinary(), a_second_link_that_must_stay_is_an_error);
        tcase_add_test(c, a_directory_persists_with_what_was_made_in_it);
        tcase_add_test(c, keep_lets_it_stay);
        tcase_add_test(c, keep_without_a_daemon_changes_nothing);
        tcase_add_test(c, a_file_that_was_deleted_already_is_no_error);
        suite_add_tcase(s, c);

        c = tcase_create("tracking");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, what_is_tracked_is_deleted_by_close);
        tcase_add_test(c, what_was_tracked_persists_without_a_daemon);
        tcase_add_test(c, what_was_tracked_and_has_another_link_is_left_for_good);
        tcase_add_test(c, a_replacement_of_what_was_tracked_stays);
        tcase_add_test(c, a_tracked_link_is_not_followed);
        tcase_add_test(c, a_tracked_directory_is_locked);
        tcase_add_test(c, what_can_not_be_tracked_is_refused);
        suite_add_tcase(s, c);

        c = tcase_create("finding");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, the_default_directory_is_the_first_that_can_be_written_to);
        tcase_add_test(c, the_sockets_that_are_tried_can_be_named);
        tcase_add_test(c, the_list_shows_what_is_held);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_library());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
