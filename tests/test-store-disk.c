/* SPDX-License-Identifier: MIT */

/*
 * The store and its disk: full, slow; databases of older versions. fsync() and fdatasync() of this program are its
 * own, so that it can be told which thread has waited for the disk.
 */

#include <check.h>
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/store-fixture.h"

#define DATABASE "tempfiled.db"
#define MANY 3000U

/* ---- who waits for the disk ---- */

static _Atomic unsigned int syncs_here, syncs_elsewhere;
static _Atomic int sync_error;

static int count_sync(long number, int fd)
{
        if (gettid() == getpid())
                syncs_here++;
        else
                syncs_elsewhere++;
        if (sync_error) {
                errno = sync_error;
                return -1;
        }
        return (int) syscall(number, fd);
}

int fsync(int fd)
{
        return count_sync(SYS_fsync, fd);
}

int fdatasync(int fd)
{
        return count_sync(SYS_fdatasync, fd);
}

static struct {
        uint64_t synced;
        int error;
        unsigned int writable;
} seen;

static void on_synced(uint64_t number, int error, void *userdata)
{
        ck_assert_int_eq(gettid(), getpid());
        seen.synced = number;
        seen.error = error;
}

static void on_writable(void *userdata)
{
        ck_assert(store_may_write(store));
        seen.writable++;
}

static sd_event *event;

static void start_sync(void)
{
        struct store_callbacks c = { on_synced, on_writable, NULL };

        ck_assert_int_ge(sd_event_new(&event), 0);
        seen.synced = 0;
        seen.error = 0;
        seen.writable = 0;
        ck_assert_int_eq(store_start_sync(store, event, &c), 0);
        syncs_here = syncs_elsewhere = 0;
}

static void stop_sync(void)
{
        store_close(store);
        store = NULL;
        event = sd_event_unref(event);
}

static bool is_synced(void *userdata)
{
        return seen.synced >= *(uint64_t *) userdata;
}

START_TEST(commit_is_reported_when_it_is_on_disk)
{
        uint64_t wanted;

        start_sync();
        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        commit();
        wanted = store_committed(store);
        store_sync(store);
        ck_assert_uint_eq(seen.synced, 0); /* in the loop, not before */
        ck_assert(unit_run_until(event, is_synced, &wanted));
        ck_assert_uint_eq(seen.synced, wanted);
        ck_assert_int_eq(seen.error, 0);
        ck_assert_uint_ge(syncs_elsewhere, 1);
        ck_assert_uint_eq(syncs_here, 0);
        stop_sync();
}
END_TEST

START_TEST(failed_sync_is_reported_for_good)
{
        uint64_t wanted;

        start_sync();
        add_base();
        wanted = store_committed(store);
        sync_error = EIO;
        store_sync(store);
        ck_assert(unit_run_until(event, is_synced, &wanted));
        ck_assert_int_eq(seen.error, -EIO);
        sync_error = 0; /* the kernel says an error once: later success proves nothing */
        ck_assert_int_eq(put_made(1, 1), 0);
        commit();
        wanted = store_committed(store);
        store_sync(store);
        ck_assert(unit_run_until(event, is_synced, &wanted));
        ck_assert_int_eq(seen.error, -EIO);
        stop_sync();
}
END_TEST

static off_t size_of(const char *name)
{
        struct stat st;

        return stat(unit_path(store_dir, name), &st) < 0 ? -1 : st.st_size;
}

/* A number that is one more each time that its log is started over: the first salt, from byte 16 on
 * (https://sqlite.org/walformat.html). */
static uint32_t count_restarts(void)
{
        int fd = open(unit_path(store_dir, DATABASE "-wal"), O_RDONLY | O_CLOEXEC);
        uint32_t salt;

        ck_assert_int_eq(pread(fd, &salt, sizeof(salt), 16), sizeof(salt));
        (void) close(fd);
        return be32toh(salt);
}

static bool is_writable_again(void *userdata)
{
        return seen.writable > 0;
}

/* Until a checkpoint has begun to hold the writes. */
static bool is_held(void *userdata)
{
        return !store_may_write(store);
}

START_TEST(log_is_started_over_while_the_loop_goes_on)
{
        unsigned int seq = 0;
        uint32_t restarts;
        off_t before;

        start_sync();
        add_base();
        restarts = count_restarts();
        while (size_of(DATABASE "-wal") < 2200 * 4096) {
                for (unsigned int i = 0; i < 64; i++)
                        ck_assert_int_eq(put_made(1, ++seq), 0);
                commit();
        }
        before = size_of(DATABASE "-wal");
        while (store_may_write(store)) { /* beside the first step */
                ck_assert_int_eq(put_made(1, ++seq), 0);
                commit();
                ck_assert_int_ge(sd_event_run(event, 0), 0);
        }
        ck_assert_uint_eq(count_live(), seq); /* reading does not wait */
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 1)), WIRE_STATE_LIVE);
        ck_assert(unit_run_until(event, is_writable_again, NULL));
        ck_assert_uint_eq(count_restarts(), restarts + 1);
        ck_assert_uint_eq(syncs_here, 0);
        ck_assert_uint_ge(syncs_elsewhere, 4); /* log, database, the log's header, what follows */
        before = size_of(DATABASE "-wal");
        for (unsigned int i = 0; i < 10; i++) {
                ck_assert_int_eq(put_made(1, ++seq), 0);
                commit();
        }
        ck_assert_int_eq(size_of(DATABASE "-wal"), before);
        ck_assert_uint_eq(count_restarts(), restarts + 1);
        stop_sync();
        store_open_again();
        ck_assert_uint_eq(count_live(), seq);
}
END_TEST

START_TEST(store_closes_in_the_middle_of_a_checkpoint)
{
        unsigned int seq = 0;

        start_sync();
        add_base();
        while (size_of(DATABASE "-wal") < 2100 * 4096) {
                for (unsigned int i = 0; i < 64; i++)
                        ck_assert_int_eq(put_made(1, ++seq), 0);
                commit();
        }
        if (_i > 0)
                ck_assert(unit_run_until(event, is_held, NULL));
        stop_sync();
        store_open_again();
        ck_assert_uint_eq(count_live(), seq);
}
END_TEST

START_TEST(closing_leaves_all_on_disk)
{
        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        commit();
        syncs_here = 0;
        store_close(store); /* copies the log into the database: in the right order only so */
        store = NULL;
        ck_assert_uint_ge(syncs_here, 2);
}
END_TEST

/* ---- full ---- */

/* Puts entries and commits until that fails; returns with what. *ret_live: how many there are. */
static int fill(unsigned int *ret_live)
{
        unsigned int seq = 0;
        int r = 0;

        for (unsigned int turn = 0; r == 0 && turn < 2000; turn++) {
                for (unsigned int i = 0; i < 64; i++)
                        (void) put_made(1, ++seq);
                r = store_commit(store);
                if (r == 0)
                        *ret_live = seq;
        }
        return r;
}

static void limit_file_size(rlim_t size)
{
        struct rlimit l;

        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &l), 0);
        l.rlim_cur = MIN(size, l.rlim_max);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

START_TEST(full_disk_is_said_and_the_turn_has_not_happened)
{
        unsigned int live = 0;
        int r;

        (void) signal(SIGXFSZ, SIG_IGN);
        add_base();
        limit_file_size(256 * 1024);
        r = fill(&live);
        ck_assert_int_eq(r, -ENOSPC);
        ck_assert_uint_gt(live, 0);
        ck_assert_uint_eq(count_live(), live);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, live)), WIRE_STATE_LIVE);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, live + 1)), 0);
        ck_assert_int_ne(fill(&live), 0); /* still */
        limit_file_size(RLIM_INFINITY);
        ck_assert_int_eq(put_made(1, 100000), 0);
        commit();
        ck_assert_uint_eq(count_live(), live + 1);
        store_open_again();
        ck_assert_uint_eq(count_live(), live + 1);
        ck_assert_int_eq(query_sql(DATABASE, "PRAGMA quick_check(1)"), 0); /* "ok" is no number */
}
END_TEST

/* 0: as it should be; else which step failed. */
static int use_small_disk(void *userdata)
{
        unsigned int live = 0;

        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0)
                return 77;
        store_close(store);
        if (mount("none", store_dir, "tmpfs", 0, "size=512k") < 0)
                return 77;
        store = NULL;
        store_open_again();
        add_base();
        if (fill(&live) != -ENOSPC)
                return 1;
        if (count_live() != live)
                return 2;
        /* What frees a row needs room for its page too; and some must stay possible. */
        if (state_of(STORE_TAG_ID(1, live)) != WIRE_STATE_LIVE)
                return 3;
        if (mount("none", store_dir, "tmpfs", MS_REMOUNT, "size=8m") < 0)
                return 77;
        if (put_made(1, 100000) < 0 || store_commit(store) < 0)
                return 4;
        store_open_again();
        if (count_live() != live + 1)
                return 5;
        store_close(store);
        return 0;
}

START_TEST(full_file_system_is_said_and_nothing_is_lost)
{
        int r;

        SKIP_UNLESS_ROOT("to mount a small file system");
        r = unit_in_child(use_small_disk, NULL);
        if (r == 77)
                SKIP("may not mount a file system here");
        ck_assert_int_eq(r, 0);
}
END_TEST

/* Databases as each version wrote them, never edited once the version is released: empty, and
 * with one row a table where it has them. */
static const struct {
        int version;
        const char *sql;
} older[] = {
        { 0, "" },
};

START_TEST(older_version_is_migrated)
{
        int64_t current;

        store_close(store);
        store = NULL;
        current = query_sql(DATABASE, "PRAGMA user_version");
        for (size_t i = 0; i < 3; i++) {
                static const char *const parts[] = { DATABASE, DATABASE "-wal", DATABASE "-shm" };

                (void) unlink(unit_path(store_dir, parts[i]));
        }
        unit_write(unit_path(store_dir, DATABASE), "");
        ck_assert_int_eq(run_sql(DATABASE, older[_i].sql), 0);
        store_open_again();
        store_close(store);
        store = NULL;
        ck_assert_int_eq(query_sql(DATABASE, "PRAGMA user_version"), current);
        /* As it would be, had it been made by this version: the same columns and indices. */
        ck_assert_int_eq(query_sql(DATABASE, "SELECT count(*) FROM sqlite_schema"
                                             " WHERE name IN ('meta', 'cred', 'owner', 'directory',"
                                             " 'tag', 'entry', 'claim', 'ended')"),
                         8);
        store_open_again();
        add_base();
}
END_TEST

START_TEST(every_older_version_has_its_database_here)
{
        store_close(store);
        store = NULL;
        ck_assert_int_eq(query_sql(DATABASE, "PRAGMA user_version"), ARRAY_SIZE(older));
}
END_TEST

static Suite *store_disk_suite(void)
{
        Suite *s = suite_create("store-disk");
        TCase *t = tcase_create("disk");

        tcase_add_checked_fixture(t, store_setup, store_teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, commit_is_reported_when_it_is_on_disk);
        tcase_add_test(t, failed_sync_is_reported_for_good);
        tcase_add_test(t, log_is_started_over_while_the_loop_goes_on);
        tcase_add_loop_test(t, store_closes_in_the_middle_of_a_checkpoint, 0, 2);
        tcase_add_test(t, closing_leaves_all_on_disk);
        tcase_add_test(t, full_disk_is_said_and_the_turn_has_not_happened);
        tcase_add_test(t, full_file_system_is_said_and_nothing_is_lost);
        tcase_add_loop_test(t, older_version_is_migrated, 0, (int) ARRAY_SIZE(older));
        tcase_add_test(t, every_older_version_has_its_database_here);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(store_disk_suite());
}
