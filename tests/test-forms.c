/* SPDX-License-Identifier: MIT */

/*
 * The other forms that temporaries come in, with a true daemon: by callback, as a name alone, by
 * mkstemp's template, as streams, without a name and with one after all, in arenas; and what closing
 * may be told.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

#define THREADS 8U
#define MANY 100U

static struct world world;
static struct tempfile_options options;
static char path[PATH_MAX + NAME_MAX + 2];

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

static int64_t count_rows(void)
{
        struct tempfile_status status = { .size = sizeof(status) };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &status), 0);
        tempfile_admin_close(a);
        return (int64_t) status.live;
}

/* What is gone rides along with the next packet: here is one. */
static bool list_is_empty(void)
{
        uint64_t id;

        (void) close(tempfile_token_new(0, &id));
        return wait_list_empty();
}

/* ---- by callback ------------------------------------------------------------------------------ */

static int make_fifo(int dirfd, const char *name, const char *full, void *userdata)
{
        return mkfifoat(dirfd, name, 0600) < 0 ? -errno : 0;
}

static int make_link(int dirfd, const char *name, const char *full, void *userdata)
{
        return symlinkat(userdata, dirfd, name) < 0 ? -errno : 0;
}

static int bind_socket(int dirfd, const char *name, const char *full, void *userdata)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(full) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        (void) strcpy(address.sun_path, full);
        return bind(*(int *) userdata, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno
                                                                                          : 0;
}

/* The first names are taken. */
static int make_at_the_third_time(int dirfd, const char *name, const char *full, void *userdata)
{
        int *count = userdata;

        if (++*count < 3)
                return *count == 1 ? -EEXIST : -EADDRINUSE;
        return mkdirat(dirfd, name, 0700) < 0 ? -errno : 0;
}

static int make_half(int dirfd, const char *name, const char *full, void *userdata)
{
        (void) close(openat(dirfd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        return -EIO;
}

static int make_and_wait(int to, void *userdata)
{
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct tempfile *t;

        if (tempfile_make(&options, TEMPFILE_KIND_OTHER, bind_socket, (void *) &fd, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(sockets_fifos_and_links_are_made_by_callback)
{
        struct tempfile *t = NULL;
        struct victim v;
        struct stat st;

        options.suffix = ".x";
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_OTHER, make_fifo, NULL, &t), 0);
        ck_assert_int_eq(lstat(tempfile_path(t), &st), 0);
        ck_assert(S_ISFIFO(st.st_mode));
        ck_assert_int_eq(tempfile_fd(t), -1);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_OTHER, make_link, (void *) "/", &t),
                         0);
        ck_assert_int_eq(tempfile_close(t), 0);
        options.pattern = "s.XXXXXXXXXX";
        options.suffix = NULL;
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_OTHER, make_fifo, NULL, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        options.pattern = NULL;
        ck_assert_uint_eq(count_files(world.dir), 0);

        victim_start(&v, make_and_wait, NULL);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        ck_assert_int_eq(lstat(path, &st), 0);
        ck_assert(S_ISSOCK(st.st_mode));
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(list_is_empty());
}
END_TEST

START_TEST(names_that_are_taken_are_drawn_again)
{
        struct tempfile *t = NULL;
        int count = 0;

        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_DIRECTORY, make_at_the_third_time,
                                       &count, &t),
                         0);
        ck_assert_int_eq(count, 3);
        ck_assert_int_eq(count_rows(), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_callback_that_fails_leaves_nothing)
{
        struct tempfile *t = NULL;
        int count = 2;

        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_FILE, make_half, NULL, &t), -EIO);
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_FILE, make_fifo, NULL, &t), -EINVAL);
        ck_assert_int_eq(
                tempfile_make(&options, TEMPFILE_KIND_FILE, make_at_the_third_time, &count, &t),
                -EINVAL);
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_FILE, NULL, NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_make(&options, 0, make_half, NULL, &t), -EINVAL);
        ck_assert_int_eq(tempfile_make(&options, 4, make_half, NULL, &t), -EINVAL);
        options.pattern = "a.XXX";
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_OTHER, make_fifo, NULL, &t),
                         -EINVAL);
        ck_assert_ptr_null(t);
        ck_assert_uint_eq(count_files(world.dir), 0);
        ck_assert(list_is_empty());
}
END_TEST

/* ---- mktemp and mkstemp ----------------------------------------------------------------------- */

static int reserve_and_make(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_mktemp(&options, TEMPFILE_KIND_DIRECTORY, &t) != 0)
                return 1;
        if (mkdir(tempfile_path(t), 0700) < 0)
                return 2;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(a_name_is_reserved_and_what_is_made_there_goes)
{
        struct tempfile *t = NULL;
        struct victim v;

        ck_assert_int_eq(tempfile_mktemp(&options, TEMPFILE_KIND_FILE, &t), 0);
        ck_assert(!path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_close(t), 0); /* it was never made */
        victim_start(&v, reserve_and_make, NULL);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(list_is_empty());
}
END_TEST

static int make_by_template(int to, void *userdata)
{
        char file[PATH_MAX + 64];
        int fd;

        (void) snprintf(file, sizeof(file), "%s/a-XXXXXX.c", world.dir);
        fd = tempfile_mkstemp(file);
        if (fd < 0 || write(fd, "x", 1) != 1)
                return 1;
        victim_say(to, file);
        victim_wait();
}

START_TEST(mkstemps_template_is_filled_in_and_the_file_goes_with_the_process)
{
        struct victim v;

        victim_start(&v, make_by_template, NULL);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        ck_assert(file_has(path, "x"));
        ck_assert_ptr_null(strstr(path, "XXXXXX"));
        ck_assert_str_eq(path + strlen(path) - 2, ".c");
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 0));
        ck_assert(list_is_empty());
}
END_TEST

START_TEST(what_mkstemp_made_can_be_kept)
{
        char file[PATH_MAX + 64], dir[PATH_MAX + 64], wrong[] = "abc";
        struct tempfile *t = NULL;
        int fd;

        (void) snprintf(file, sizeof(file), "%s/XXXXXXXXXXXX", world.dir);
        (void) snprintf(dir, sizeof(dir), "%s/d.XXXXXX", world.dir);
        fd = tempfile_mkstemp(file);
        ck_assert_int_ge(fd, 0);
        (void) close(fd);
        ck_assert_int_eq(tempfile_mkdtemp(dir), 0);
        ck_assert_int_eq(tempfile_find(file, &t), 0);
        ck_assert_int_eq(tempfile_keep(t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(file));
        ck_assert_int_eq(tempfile_find(dir, &t), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(dir));
        ck_assert_int_eq(tempfile_mkstemp(wrong), -EINVAL);
        ck_assert_str_eq(wrong, "abc");
        ck_assert_int_eq(tempfile_mkstemp(NULL), -EINVAL);
        ck_assert_uint_eq(count_files(world.dir), 1);
}
END_TEST

/* ---- streams ---------------------------------------------------------------------------------- */

START_TEST(a_stream_is_written_out_before_it_persists)
{
        struct tempfile *t = make_file();
        FILE *f = NULL;

        ck_assert_int_eq(tempfile_stream(t, "w", -1, &f), 0);
        ck_assert_int_eq(tempfile_stream(t, "w", -1, &f), -EINVAL); /* it has one */
        ck_assert_int_gt(fprintf(f, "text"), 0);
        ck_assert_int_eq(tempfile_persist(t, world_path(&world, "final"), 0), 0);
        ck_assert(file_has(world_path(&world, "final"), "text"));
        ck_assert_int_eq(tempfile_close(t), 0);

        t = make_file();
        ck_assert_int_eq(tempfile_stream(t, NULL, 1, &f), 0);
        ck_assert_int_gt(fprintf(f, "line\n"), 0);
        ck_assert(file_has(tempfile_path(t), "line\n"));
        ck_assert_int_eq(tempfile_close_fd(t), 0);
        ck_assert_int_eq(tempfile_fd(t), -1);
        ck_assert(file_has(tempfile_path(t), "line\n"));
        ck_assert_int_eq(tempfile_close_fd(t), 0);
        ck_assert_int_eq(tempfile_stream(t, NULL, 1, &f), -EINVAL);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 1);
}
END_TEST

START_TEST(an_unnamed_stream_is_read_back)
{
        static const int bufferings[] = { -1, 0, 1, 5000 };
        char buf[16];
        FILE *f = NULL;

        for (unsigned int i = 0; i < ARRAY_SIZE(bufferings); i++) {
                ck_assert_int_eq(tempfile_fopen(&options, "w+", bufferings[i], &f), 0);
                ck_assert_int_ge(fputs("text\n", f), 0);
                rewind(f);
                ck_assert_ptr_nonnull(fgets(buf, sizeof(buf), f));
                ck_assert_str_eq(buf, "text\n");
                ck_assert_int_eq(fclose(f), 0);
        }
        ck_assert_int_eq(tempfile_fopen(&options, "no mode", -1, &f), -EINVAL);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* ---- unnamed, and named after all ------------------------------------------------------------- */

START_TEST(an_unnamed_file_is_given_a_name)
{
        const char *final = world_path(&world, "final");
        int fd = tempfile_unnamed(&options);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, "new", 3), 3);
        write_file(final, "old");
        ck_assert_int_eq(tempfile_unnamed_persist(fd, final, TEMPFILE_NOREPLACE), -EEXIST);
        ck_assert(file_has(final, "old"));
        ck_assert_int_eq(tempfile_unnamed_persist(fd, final, TEMPFILE_FSYNC), 0);
        ck_assert(file_has(final, "new"));
        ck_assert_int_eq(tempfile_unnamed_persist(fd, world_path(&world, "two"), 0), 0);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, NULL, 0), -EINVAL);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, final, 8), -EINVAL);
        ck_assert_int_eq(tempfile_unnamed_persist(-1, final, 0), -EBADF);
        ck_assert_int_eq(tempfile_unnamed_persist(fd, "/nowhere/at/all", 0), -ENOENT);
        (void) close(fd);
        ck_assert_uint_eq(count_files(world.dir), 2);
        ck_assert(list_is_empty());
}
END_TEST

/* ---- arenas ----------------------------------------------------------------------------------- */

static void *fill_arena(void *arena)
{
        char name[TEMPFILE_NAME_SIZE];

        for (unsigned int i = 0; i < MANY; i++) {
                int fd = tempfile_arena_named(arena, NULL, name);

                if (fd < 0 || close(fd) < 0 || (i % 2 && unlinkat(tempfile_fd(arena), name, 0) < 0))
                        return arena;
        }
        return NULL;
}

START_TEST(an_arena_takes_many_and_tells_nobody)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        char name[TEMPFILE_NAME_SIZE];
        pthread_t threads[THREADS];
        struct tempfile *arena = NULL;
        struct stat st;
        void *result;
        int fd;

        ck_assert_int_eq(tempfile_directory(&options, &arena), 0);
        for (unsigned int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, fill_arena, arena), 0);
        for (unsigned int i = 0; i < THREADS; i++) {
                ck_assert_int_eq(pthread_join(threads[i], &result), 0);
                ck_assert_ptr_null(result);
        }
        ck_assert_uint_eq(count_files(tempfile_path(arena)), THREADS * MANY / 2);

        o.prefix = "pre-";
        o.suffix = ".d";
        o.mode = 0750;
        fd = tempfile_arena_directory(arena, &o, name);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0750);
        ck_assert_int_eq(strncmp(name, "pre-", 4), 0);
        (void) close(fd);
        ck_assert_int_eq(count_rows(), 1);
        ck_assert_int_eq(tempfile_close(arena), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(what_is_no_arena_or_asks_for_more_is_refused)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t = make_file(), *arena = NULL;

        ck_assert_int_eq(tempfile_arena_named(NULL, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_arena_named(t, NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_directory(&options, &arena), 0);
        ck_assert_int_eq(tempfile_arena_named(arena, &options, NULL), -EINVAL); /* a directory */
        o.pattern = "XXXXXX";
        ck_assert_int_eq(tempfile_arena_named(arena, &o, NULL), -EINVAL);
        o.pattern = NULL;
        o.retain_sec = 1;
        ck_assert_int_eq(tempfile_arena_named(arena, &o, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_close(arena), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* ---- what closing may be told, and what is held ----------------------------------------------- */

START_TEST(closing_keeps_what_is_not_to_be_deleted)
{
        struct tempfile *t;

        options.flags = TEMPFILE_NO_DELETE;
        t = make_file();
        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(path));
        ck_assert(list_is_empty());

        t = make_file();
        world_kill_daemon(&world);
        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_close(t), -ECONNREFUSED); /* it goes with the process */
        ck_assert(path_exists(path));
}
END_TEST

START_TEST(closing_can_be_silent_about_what_could_not_be_deleted)
{
        struct tempfile *loud = NULL, *silent = NULL;

        ck_assert_int_eq(tempfile_directory(&options, &loud), 0);
        options.flags = TEMPFILE_IGNORE_CLEANUP_ERRORS;
        ck_assert_int_eq(tempfile_directory(&options, &silent), 0);
        ck_assert_int_eq(chmod(world.dir, 0500), 0);
        ck_assert_int_eq(tempfile_close(loud), -EACCES);
        ck_assert_int_eq(tempfile_close(silent), 0);
        ck_assert_int_eq(chmod(world.dir, 0700), 0);
}
END_TEST

static int note_item(const struct tempfile_item *item, void *userdata)
{
        unsigned int *flags = userdata;

        ck_assert(path_exists(item->path));
        ck_assert(item->flags & TEMPFILE_ITEM_GUARANTEED);
        *flags |= 1U << item->kind;
        if (item->flags & TEMPFILE_ITEM_RELEASED)
                *flags |= 1U << 16;
        return 0;
}

static int stop(const struct tempfile_item *item, void *userdata)
{
        return -ECANCELED;
}

START_TEST(a_process_lists_what_it_holds)
{
        struct tempfile *t[3] = { NULL };
        unsigned int flags = 0;

        ck_assert_int_eq(tempfile_list(note_item, &flags), 0);
        t[0] = make_file();
        options.pattern = "p.XXX";
        ck_assert_int_eq(tempfile_directory(&options, &t[1]), 0);
        options.pattern = NULL;
        ck_assert_int_eq(tempfile_make(&options, TEMPFILE_KIND_OTHER, make_fifo, NULL, &t[2]), 0);
        ck_assert_int_eq(tempfile_release(t[0]), 0);
        ck_assert_int_eq(tempfile_list(note_item, &flags), 3);
        ck_assert_uint_eq(flags, 0x1000e);
        ck_assert_int_eq(tempfile_list(stop, NULL), -ECANCELED);
        ck_assert_int_eq(tempfile_list(NULL, NULL), -EINVAL);
        ck_assert_int_eq(tempfile_close(t[1]), 0);
        ck_assert_int_eq(tempfile_keep(t[2]), 0);
        ck_assert_int_eq(tempfile_list(note_item, &flags), 1);
        ck_assert_int_eq(tempfile_close(t[2]), 0);
}
END_TEST

START_TEST(the_default_directory_can_be_set)
{
        char *dir = NULL;

        ck_assert_int_eq(tempfile_settempdir(world.dir), 0);
        ck_assert_int_eq(tempfile_gettempdir(&dir), 0);
        ck_assert_str_eq(dir, world.dir);
        free(dir);
        options.dir = NULL;
        {
                TEMPFILE_AUTO_CLOSE struct tempfile *t = make_file();

                ck_assert_int_eq(strncmp(tempfile_path(t), world.dir, strlen(world.dir)), 0);
                ck_assert_uint_eq(count_files(world.dir), 1);
        }
        ck_assert_uint_eq(count_files(world.dir), 0);
        (void) setenv("TMPDIR", world.top, 1);
        ck_assert_int_eq(tempfile_settempdir(""), -EINVAL);
        ck_assert_int_eq(tempfile_settempdir(NULL), 0);
        ck_assert_int_eq(tempfile_gettempdir(&dir), 0);
        ck_assert_str_eq(dir, world.top);
        free(dir);
}
END_TEST

static Suite *suite_of_forms(void)
{
        Suite *s = suite_create("forms");
        TCase *c;

        c = tcase_create("made");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, sockets_fifos_and_links_are_made_by_callback);
        tcase_add_test(c, names_that_are_taken_are_drawn_again);
        tcase_add_test(c, a_callback_that_fails_leaves_nothing);
        tcase_add_test(c, a_name_is_reserved_and_what_is_made_there_goes);
        tcase_add_test(c, mkstemps_template_is_filled_in_and_the_file_goes_with_the_process);
        tcase_add_test(c, what_mkstemp_made_can_be_kept);
        tcase_add_test(c, a_stream_is_written_out_before_it_persists);
        tcase_add_test(c, an_unnamed_stream_is_read_back);
        tcase_add_test(c, an_unnamed_file_is_given_a_name);
        suite_add_tcase(s, c);

        c = tcase_create("held");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, an_arena_takes_many_and_tells_nobody);
        tcase_add_test(c, what_is_no_arena_or_asks_for_more_is_refused);
        tcase_add_test(c, closing_keeps_what_is_not_to_be_deleted);
        add_unless(c, unless_ordinary(), closing_can_be_silent_about_what_could_not_be_deleted);
        tcase_add_test(c, a_process_lists_what_it_holds);
        tcase_add_test(c, the_default_directory_can_be_set);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_forms());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
