/* SPDX-License-Identifier: MIT */

/*
 * The client library against a daemon that does as it is told: slow, hung, mad, gone and back. What
 * a true daemon makes of it all is test-library's business.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/fake-daemon.h"
#include "tests/testutil.h"

#define SHORT_MSEC 100U
#define THREADS 8U
#define FILES_PER_THREAD 200U
#define MANY_DIRECTORIES 40U
#define MANY_FILES 1000U
#define CHILDREN 20

#ifdef __SANITIZE_ADDRESS__
#define UNLESS_FORKS_WORK                                                                          \
        "the address sanitizer's allocator can't be used after a fork amid threads"
#else
#define UNLESS_FORKS_WORK NULL
#endif

static char top[] = "/tmp/test-client-XXXXXX"; /* one socket path for all: the library remembers */
static char socket_file[PATH_MAX];
static char dir[PATH_MAX];
static struct tempfile_options options;
static struct fake_packet packet;

/* ---- the world -------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void remove_tree(const char *path)
{
        (void) nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_top(void)
{
        ck_assert_ptr_nonnull(mkdtemp(top));
        (void) snprintf(socket_file, sizeof(socket_file), "%s/socket", top);
        ck_assert_int_eq(setenv("TEMPFILED_SOCKET", socket_file, 1), 0);
}

static void remove_top(void)
{
        remove_tree(top);
}

static void set_up(void)
{
        (void) snprintf(dir, sizeof(dir), "%s/dir-XXXXXX", top);
        ck_assert_ptr_nonnull(mkdtemp(dir));
        options = (struct tempfile_options) TEMPFILE_OPTIONS_INIT;
        options.dir = dir;
        fake_start(socket_file);
}

static void tear_down(void)
{
        fake_stop();
        (void) chmod(dir, 0700);
        remove_tree(dir);
}

static struct tempfile *make_file(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_named(&options, &t);

        ck_assert_msg(r == 0, "tempfile_named: %s", strerror(-r));
        return t;
}

/* The TAG packet that tells of the test's directory, the @n-th of those. */
static struct wire_tag get_tag(unsigned int n)
{
        struct wire_tag tag = { 0 };

        for (unsigned int i = 1; n > 0; i++) {
                ck_assert(fake_wait(WIRE_TAG, i, &packet));
                if (streq((const char *) packet.bytes + sizeof(tag), dir))
                        n--;
        }
        memcpy(&tag, packet.bytes, sizeof(tag));
        return tag;
}

/* ---- asking and being answered ---------------------------------------------------------------- */

START_TEST(without_a_daemon_nothing_is_made)
{
        struct tempfile *t = NULL;

        fake_stop();
        ck_assert_int_eq(tempfile_named(&options, &t), -ECONNREFUSED);
        ck_assert_int_eq(tempfile_directory(&options, &t), -ECONNREFUSED);
        ck_assert_ptr_null(t);
        ck_assert_uint_eq(count_files(dir), 0);
}
END_TEST

START_TEST(the_directory_is_known_before_a_file_is_made)
{
        struct tempfile *t = NULL;

        options.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_TAG, FAKE_IGNORE, 0, 0);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(dir), 0);
        (void) get_tag(1);
        ck_assert_uint_eq(fake_count_records(WIRE_MADE, 0), 0);
}
END_TEST

START_TEST(a_refused_directory_is_the_callers_error)
{
        struct tempfile *t = NULL;

        fake_set(WIRE_TAG, FAKE_ANSWER, -EDQUOT, 1);
        ck_assert_int_eq(tempfile_named(&options, &t), -EDQUOT);
        ck_assert_uint_eq(count_files(dir), 0);
}
END_TEST

START_TEST(a_tag_that_is_taken_is_drawn_again)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -EEXIST, 1);
        (void) tempfile_close(make_file());
        ck_assert_uint_ne(get_tag(1).tag, get_tag(2).tag);
}
END_TEST

START_TEST(a_daemon_that_never_greets_costs_no_more_than_the_timeout)
{
        struct tempfile *t = NULL;

        options.timeout_msec = SHORT_MSEC;
        fake_stay_silent(true);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(dir), 0);
}
END_TEST

START_TEST(nonsense_ends_the_connection_and_the_next_call_makes_another)
{
        struct tempfile *t = NULL;

        fake_set(WIRE_TAG, FAKE_GARBAGE, 0, 1);
        ck_assert_int_eq(tempfile_named(&options, &t), -EBADMSG);
        ck_assert_uint_eq(count_files(dir), 0);

        (void) tempfile_close(make_file());
        ck_assert_uint_ge(fake_count(WIRE_HELLO), 2);
}
END_TEST

START_TEST(a_lost_request_is_asked_again_and_says_so)
{
        struct wire_register m;
        struct tempfile *t;

        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_HANG_UP, 0, 1);
        t = make_file();

        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_eq(m.flags, 0);
        ck_assert(fake_wait(WIRE_RESERVE, 2, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_eq(m.flags, WIRE_REGISTER_RESUME);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(dir), 0);
}
END_TEST

START_TEST(a_late_answer_is_not_taken_for_the_next_one)
{
        struct tempfile *t = make_file();
        struct tempfile_options few = options;

        few.pattern = "a.XXXXXXXXXX";
        few.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_RESERVE, FAKE_LATE, 0, 1);
        ck_assert_int_eq(tempfile_named(&few, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(dir), 1);

        fake_set(WIRE_RESERVE, FAKE_ANSWER, -ENOSPC, 1);
        few.timeout_msec = 0;
        ck_assert_int_eq(tempfile_named(&few, &t), -ENOSPC);
        ck_assert_uint_eq(count_files(dir), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_registration_that_comes_through_too_late_is_taken_back)
{
        struct tempfile_options few = options;
        struct tempfile *t = NULL;
        uint32_t serial;

        (void) tempfile_close(make_file());
        few.pattern = "a.XXXXXXXXXX";
        few.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_RESERVE, FAKE_LATE, 0, 1);
        ck_assert_int_eq(tempfile_named(&few, &t), -ETIMEDOUT);

        few.timeout_msec = 0;
        ck_assert_int_eq(tempfile_named(&few, &t), 0); /* reads the late answer on the way */
        (void) tempfile_close(make_file());
        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet));
        serial = wire_header_of(packet.bytes).serial;
        ck_assert(fake_wait_records(WIRE_GONE, FAKE_ID_OF(serial), 1));
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_hung_daemon_stops_creation_and_nothing_is_made_unsaid)
{
        struct tempfile *t = make_file();
        unsigned int made = 1;
        int r;

        options.timeout_msec = SHORT_MSEC;
        fake_stop_reading(true);
        while ((r = tempfile_named(&options, &t)) == 0)
                made++;
        ck_assert_int_eq(r, -ETIMEDOUT);
        ck_assert_uint_eq(count_files(dir), made);

        fake_stop_reading(false);
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, made));
}
END_TEST

/* ---- away and back ---------------------------------------------------------------------------- */

START_TEST(creation_goes_on_while_the_daemon_is_away_and_is_said_when_it_is_back)
{
        struct tempfile *held[3];
        struct wire_tag tag;

        held[0] = make_file();
        tag = get_tag(1);
        fake_stop();
        held[1] = make_file();
        (void) tempfile_close(make_file());
        ck_assert_uint_eq(count_files(dir), 2);

        fake_start(socket_file);
        options.pattern = "a.XXXXXXXXXX"; /* is answered: the daemon is looked for at once */
        held[2] = make_file();
        ck_assert_uint_eq(get_tag(1).tag, tag.tag);
        ck_assert_mem_eq(get_tag(1).key, tag.key, sizeof(tag.key));
        ck_assert(fake_wait_records(WIRE_MADE, tag.tag, 2));
        ck_assert_uint_eq(fake_count_records(WIRE_MADE, tag.tag), 2);

        for (unsigned int i = 0; i < ARRAY_SIZE(held); i++)
                ck_assert_int_eq(tempfile_close(held[i]), 0);
        ck_assert_uint_eq(count_files(dir), 0);
}
END_TEST

START_TEST(what_could_not_be_deleted_is_still_said_to_the_next_daemon)
{
        struct tempfile *t = make_file();

        ck_assert_int_eq(unlink(tempfile_path(t)), 0);
        ck_assert_int_eq(mkdir(tempfile_path(t), 0700), 0);
        ck_assert_int_eq(tempfile_close(t), -EISDIR);

        fake_stop();
        fake_start(socket_file);
        options.pattern = "a.XXXXXXXXXX";
        (void) tempfile_close(make_file());
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, 1));
}
END_TEST

START_TEST(a_tag_that_a_new_daemon_refuses_is_not_used_again)
{
        struct tempfile *t = make_file();
        uint64_t tag = get_tag(1).tag;

        fake_stop();
        fake_start(socket_file);
        fake_set(WIRE_TAG, FAKE_ANSWER, -EEXIST, 1);
        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_ANSWER, -ENOENT, 1);
        (void) tempfile_close(make_file());
        ck_assert_uint_eq(get_tag(1).tag, tag);
        ck_assert_uint_ne(get_tag(2).tag, tag);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(gone_rides_along_with_the_next_thing_made)
{
        uint64_t tag;

        for (unsigned int i = 0; i < MANY_FILES; i++)
                (void) tempfile_close(make_file());
        tag = get_tag(1).tag;
        ck_assert(fake_wait_records(WIRE_MADE, tag, MANY_FILES));
        ck_assert_uint_gt(fake_count_records(WIRE_GONE, tag), MANY_FILES - 64);
        ck_assert_uint_lt(fake_count(WIRE_REPORT), MANY_FILES + MANY_FILES / 2);
}
END_TEST

START_TEST(the_first_that_is_gone_is_said_at_once)
{
        struct tempfile *t = make_file();
        uint64_t tag = get_tag(1).tag;

        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(fake_wait_records(WIRE_GONE, tag, 1));
}
END_TEST

/* ---- in somebody else's program --------------------------------------------------------------- */

static int run_child(int (*body)(void *), void *userdata)
{
        pid_t pid;
        int status;

        fake_before_fork();
        pid = fork();
        fake_after_fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                _exit(body(userdata));
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a child: Check needs its own descriptors. Exit status: the number of the check that failed. */
static int lose_all_descriptors(void *userdata)
{
        struct tempfile *t;
        char path[PATH_MAX + 8];
        struct stat st;
        int fds[64];

        fake_start(socket_file);
        if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                return 1;
        fake_stop(); /* its descriptors are this process's too */
        (void) snprintf(path, sizeof(path), "%s/mine", top);
        closefrom(3);
        for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        fake_start(socket_file);
        if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                return 2;
        options.pattern = "a.XXXXXXXXXX";
        if (tempfile_named(&options, &t) != 0 || tempfile_close(t) != 0)
                return 3;
        for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
                if (fstat(fds[i], &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != 0)
                        return 4;
        return count_files(dir) == 0 ? 0 : 5;
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

        if (chmod(dir, 0777) < 0 || chmod(top, 0711) < 0 || chmod(socket_file, 0777) < 0)
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
        if (chmod(dir, 0777) < 0 || chmod(top, 0777) < 0 || setgid(65534) < 0 || seteuid(65534) < 0)
                return 1;
        fake_start(socket_file);
        if (seteuid(0) < 0 || setresuid(12345, 12345, 12345) < 0)
                return 2;
        return tempfile_named(&options, &t) == -EACCES ? 0 : 3;
}

START_TEST(a_daemon_of_another_ordinary_user_is_not_trusted)
{
        fake_stop();
        ck_assert_int_eq(run_child(meet_a_stranger, NULL), 0);
        (void) unlink(socket_file);
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
                (void) snprintf(sub[i], sizeof(sub[i]), "%.200s/%u", dir, i);
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
        ck_assert_uint_eq(count_files(dir), 0);
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
        ck_assert_uint_eq(count_files(dir), 0);
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
        ck_assert_uint_eq(count_files(dir), 0);
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
        ck_assert_uint_eq(count_files(dir), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(dir), 0);
}
END_TEST

START_TEST(what_may_not_be_targeted_is_gone_again)
{
        struct tempfile *t = NULL;

        options.pattern = "a.XXX";
        fake_set(WIRE_TARGET, FAKE_ANSWER, -ENOSPC, 1);
        ck_assert_int_eq(tempfile_directory(&options, &t), -ENOSPC);
        ck_assert_uint_eq(count_files(dir), 0);
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

        ck_assert_int_eq(chmod(dir, 0300), 0);
        t = make_file();
        ck_assert_uint_eq(get_tag(1).flags, WIRE_TAG_UNREADABLE);
        ck_assert_uint_eq(fake_count(WIRE_RESERVE), 1);
        options.pattern = "a.XXX";
        u = make_file();
        ck_assert_uint_eq(fake_count(WIRE_RESERVE), 2);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_close(u), 0);
        ck_assert_int_eq(chmod(dir, 0700), 0);
        ck_assert_uint_eq(count_files(dir), 0);
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
        ck_assert_int_gt(asprintf(&target, "%s/final", dir), 0);
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

static Suite *suite_of_client(void)
{
        Suite *s = suite_create("client");
        TCase *c;

        c = tcase_create("asking");
        tcase_add_unchecked_fixture(c, make_top, remove_top);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, without_a_daemon_nothing_is_made);
        tcase_add_test(c, the_directory_is_known_before_a_file_is_made);
        tcase_add_test(c, a_refused_directory_is_the_callers_error);
        tcase_add_test(c, a_tag_that_is_taken_is_drawn_again);
        tcase_add_test(c, a_daemon_that_never_greets_costs_no_more_than_the_timeout);
        tcase_add_test(c, nonsense_ends_the_connection_and_the_next_call_makes_another);
        tcase_add_test(c, a_lost_request_is_asked_again_and_says_so);
        tcase_add_test(c, a_late_answer_is_not_taken_for_the_next_one);
        tcase_add_test(c, a_registration_that_comes_through_too_late_is_taken_back);
        tcase_add_test(c, a_hung_daemon_stops_creation_and_nothing_is_made_unsaid);
        tcase_add_test(c, creation_goes_on_while_the_daemon_is_away_and_is_said_when_it_is_back);
        tcase_add_test(c, what_could_not_be_deleted_is_still_said_to_the_next_daemon);
        tcase_add_test(c, a_tag_that_a_new_daemon_refuses_is_not_used_again);
        tcase_add_test(c, gone_rides_along_with_the_next_thing_made);
        tcase_add_test(c, the_first_that_is_gone_is_said_at_once);
        tcase_add_test(c, descriptors_that_the_program_closed_and_reused_are_left_alone);
        tcase_add_test(c, a_child_deletes_nothing_of_its_parents_and_has_tags_of_its_own);
        tcase_add_test(c, nothing_of_the_librarys_becomes_a_standard_descriptor);
        add_unless(c, unless_root(), each_effective_user_has_a_connection_and_tags_of_its_own);
        add_unless(c, unless_root(), a_daemon_of_another_ordinary_user_is_not_trusted);
        tcase_add_test(c, few_descriptors_are_kept_however_many_directories_there_are);
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
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_client());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
