/* SPDX-License-Identifier: MIT */

/*
 * Damaged databases: set aside, with every row that can be read taken over, whatever happens in
 * the middle of it.
 */

#include "daemon/salvage.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/store-fixture.h"

#define DATABASE STORE_DATABASE
#define MANY 3000U

static off_t size_of(const char *name)
{
        struct stat st;

        return stat(unit_path(store_dir, name), &st) < 0 ? -1 : st.st_size;
}

static const char *const tables[] = { "cred", "owner", "directory", "tag", "entry", "claim" };

struct contents {
        int64_t rows[ARRAY_SIZE(tables)];
        int64_t pages;
};

static struct contents count_rows(void)
{
        struct contents c;
        char sql[64];

        for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
                (void) snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s NOT INDEXED", tables[i]);
                c.rows[i] = query_sql(DATABASE, sql);
        }
        c.pages = query_sql(DATABASE, "PRAGMA page_count");
        return c;
}

/* A store that was closed, with rows in every table. */
static struct contents make_full(void)
{
        uint64_t id;

        add_base();
        for (uint64_t seq = 1; seq <= MANY; seq++)
                ck_assert_int_eq(put_made(1, seq), 0);
        id = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        commit();
        store_close(store);
        store = NULL;
        return count_rows();
}

static void overwrite(off_t at, size_t len)
{
        _cleanup_(closep) int fd = open(unit_path(store_dir, DATABASE), O_WRONLY | O_CLOEXEC);
        char junk[4096];

        memset(junk, 0xa5, sizeof(junk));
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pwrite(fd, junk, len, at), (ssize_t) len);
}

/* Opens it, has it salvaged. Returns the name that it was set aside under. */
static const char *open_damaged(void)
{
        static char name[NAME_MAX + 1];
        char *salvaged = NULL;

        ck_assert_int_eq(store_open(store_dir, &store, &salvaged), 0);
        ck_assert_msg(salvaged, "The damage was not seen");
        (void) snprintf(name, sizeof(name), "%s", salvaged);
        free(salvaged);
        ck_assert_int_eq(strncmp(name, DATABASE ".damaged-20", sizeof(DATABASE ".damaged-20") - 1),
                         0);
        ck_assert(unit_exists(unit_path(store_dir, name)));
        return name;
}

START_TEST(file_that_is_no_database_is_set_aside)
{
        const char *name;

        (void) make_full();
        overwrite(0, 100);
        name = open_damaged();
        ck_assert_int_gt(size_of(name), 0);
        add_base(); /* and there is a store to work with */
        store_open_again();
}
END_TEST

START_TEST(empty_or_short_file_is_no_disaster)
{
        char *salvaged = NULL;

        (void) make_full();
        ck_assert_int_eq(truncate(unit_path(store_dir, DATABASE), _i), 0);
        ck_assert_int_eq(store_open(store_dir, &store, &salvaged), 0);
        free(salvaged);
        add_base();
        store_open_again();
}
END_TEST

START_TEST(marked_database_is_salvaged_whole)
{
        struct contents before, after;
        uint8_t key[16];

        memcpy(key, store_key(store), sizeof(key));
        before = make_full();
        unit_write(unit_path(store_dir, "damaged"), "");
        (void) open_damaged();
        ck_assert_mem_eq(key, store_key(store), sizeof(key));
        ck_assert_uint_eq(count_live(), MANY + 1);
        ck_assert(!unit_exists(unit_path(store_dir, "damaged")));
        store_open_again();
        store_close(store);
        store = NULL;
        after = count_rows();
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                ck_assert_int_eq(before.rows[i], after.rows[i]);
}
END_TEST

/* Everything that a start asks, and a change to each table. */
static int use_all(void)
{
        uint64_t due, cursor = 0;
        struct numbers n = { 0 };
        int r;

        r = store_next_due(store, &due);
        if (r >= 0)
                r = store_suspect_tags(store);
        if (r >= 0)
                r = store_wake_all(store);
        if (r >= 0)
                r = store_live_of_tag(store, 1, STORE_TAG_ID(1, MANY - 5), 9, take_entry, &n);
        if (r >= 0)
                r = store_list(store, &cursor, 9, take_row, &n);
        for (uint64_t seq = 1; r >= 0 && seq <= MANY; seq++)
                r = store_change_entry(store, STORE_TAG_ID(1, seq), WIRE_STATE_STUCK, -EIO, 1, seq,
                                       NULL);
        if (r >= 0)
                r = store_end_claims(store, 1);
        return MIN(store_commit(store), r);
}

START_TEST(damaged_page_costs_only_what_was_in_it)
{
        struct contents before = make_full();
        off_t page = before.pages * _i / 16;
        char *salvaged = NULL;
        struct store_counts c;
        int r;

        if (page == 0)
                return; /* the header: the test above */
        overwrite(page * 4096, 4096);
        ck_assert_int_eq(store_open(store_dir, &store, &salvaged), 0);
        r = use_all();
        if (!salvaged) { /* in a place that opening does not look at: seen in use, then */
                ck_assert(r == 0 || r == -EUCLEAN);
                store_close(store);
                store = NULL;
                ck_assert_int_eq(store_open(store_dir, &store, &salvaged), 0);
                ck_assert(r == 0 || salvaged);
                r = use_all();
        }
        free(salvaged);
        ck_assert_int_eq(r, 0);
        ck_assert_int_eq(store_get_counts(store, &c), 0);
        /* A leaf has about a hundred rows; the parent of all of them is one page of many. */
        if (page >= 14)
                ck_assert_uint_ge(c.live + c.stuck, MANY - 200);
}
END_TEST

START_TEST(damage_seen_while_running_is_marked_for_the_next_start)
{
        (void) make_full();
        store_open_again();
        /* Behind the back of the open store, whose cache another's change makes void. */
        for (off_t page = 16; page < 60; page++)
                overwrite(page * 4096, 4096);
        ck_assert_int_eq(run_sql(DATABASE, "UPDATE meta SET value = 1 WHERE name = 'seen'"), 0);
        ck_assert_int_eq(use_all(), -EUCLEAN);
        ck_assert(unit_exists(unit_path(store_dir, "damaged")));
        store_close(store);
        store = NULL;
        (void) open_damaged();
}
END_TEST

/* ---- stopped in the middle ---- */

#define FEW 40U

static const char *const parts[] = { DATABASE, DATABASE "-wal", DATABASE "-shm" };

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
        _cleanup_(closep) int from = open(unit_path(from_dir, name), O_RDONLY | O_CLOEXEC);
        _cleanup_(closep) int to =
                open(unit_path(to_dir, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert(from >= 0 && to >= 0);
        while (sendfile(to, from, NULL, 1 << 20) > 0)
                ;
}

static int put_few_and_vanish(void *userdata)
{
        store_open_again();
        for (uint64_t seq = 1; seq <= FEW; seq++)
                ck_assert_int_eq(put_made(1, seq), 0);
        return store_commit(store) == 0 ? 0 : 1;
}

/* Rows in the file and rows in its log alone, as a daemon that was killed leaves them. */
static void make_killed(char template[UNIT_PATH_SIZE])
{
        add_base();
        store_close(store);
        store = NULL;
        ck_assert_int_eq(unit_in_child(put_few_and_vanish, NULL), 0);
        ck_assert_int_gt(size_of(DATABASE "-wal"), 0);
        unit_make_directory(template);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                copy_file(store_dir, template, parts[i]);
}

static void make_damaged_again(const char *template)
{
        unit_remove_directory(store_dir);
        ck_assert_int_eq(mkdir(store_dir, 0700), 0);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                copy_file(template, store_dir, parts[i]);
        unit_write(unit_path(store_dir, "damaged"), "");
}

static void open_traced(void)
{
        char *salvaged = NULL;

        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(2);
        (void) raise(SIGSTOP);
        _exit(store_open(store_dir, &store, &salvaged) < 0);
}

/* Kills a start before its @nth system call; false: it makes fewer. */
static bool kill_start(unsigned int nth)
{
        pid_t pid = fork();
        int status;

        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                open_traced();
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        for (unsigned int stops = 0; WIFSTOPPED(status) && stops < 2 * nth + 1; stops++) {
                ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        }
        if (WIFEXITED(status)) {
                ck_assert_int_eq(WEXITSTATUS(status), 0);
                return false;
        }
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return true;
}

static bool may_trace(void)
{
        pid_t pid = fork();
        int status;

        if (pid == 0)
                _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

START_TEST(start_killed_at_any_call_of_a_salvage_loses_no_row)
{
        char template[UNIT_PATH_SIZE];
        unsigned int nth = 0;
        uint8_t key[16];
        bool was_killed;

        if (!may_trace())
                SKIP("ptrace is not allowed here");
        memcpy(key, store_key(store), sizeof(key));
        make_killed(template);
        do {
                char *salvaged = NULL;

                make_damaged_again(template);
                was_killed = kill_start(nth++);
                ck_assert_int_eq(store_open(store_dir, &store, &salvaged), 0);
                free(salvaged);
                ck_assert_msg(count_live() == FEW, "killed before call %u: %" PRIu64 " rows", nth,
                              count_live());
                ck_assert_mem_eq(key, store_key(store), sizeof(key));
                ck_assert(!unit_exists(unit_path(store_dir, "damaged")));
                ck_assert(!unit_exists(unit_path(store_dir, SALVAGE_WORKING)));
                store_close(store);
                store = NULL;
        } while (was_killed);
        ck_assert_uint_gt(nth, 100);
        unit_remove_directory(template);
}
END_TEST

START_TEST(full_disk_ends_the_start_and_the_damaged_one_stays)
{
        struct rlimit before, limit;
        char *salvaged = NULL;
        int r;

        (void) make_full();
        unit_write(unit_path(store_dir, "damaged"), "");
        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = 16 * 4096;
        (void) signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        r = store_open(store_dir, &store, &salvaged);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
        ck_assert_int_eq(r, -ENOSPC);
        ck_assert(!unit_exists(unit_path(store_dir, SALVAGE_WORKING)));
        (void) open_damaged();
        ck_assert_uint_eq(count_live(), MANY + 1);
}
END_TEST

START_TEST(salvages_of_one_second_have_names_of_their_own)
{
        char first[NAME_MAX + 1];

        (void) make_full();
        for (unsigned int i = 0; i < 2; i++) {
                unit_write(unit_path(store_dir, "damaged"), "");
                if (i == 1)
                        ck_assert_str_ne(first, open_damaged());
                else
                        (void) snprintf(first, sizeof(first), "%s", open_damaged());
                store_close(store);
                store = NULL;
                ck_assert(unit_exists(unit_path(store_dir, first)));
        }
}
END_TEST

static Suite *salvage_suite(void)
{
        Suite *s = suite_create("salvage");
        TCase *t = tcase_create("damaged");

        tcase_add_checked_fixture(t, store_setup, store_teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, file_that_is_no_database_is_set_aside);
        tcase_add_loop_test(t, empty_or_short_file_is_no_disaster, 0, 2);
        tcase_add_test(t, marked_database_is_salvaged_whole);
        tcase_add_loop_test(t, damaged_page_costs_only_what_was_in_it, 0, 16);
        tcase_add_test(t, damage_seen_while_running_is_marked_for_the_next_start);
        tcase_add_test(t, start_killed_at_any_call_of_a_salvage_loses_no_row);
        tcase_add_test(t, full_disk_ends_the_start_and_the_damaged_one_stays);
        tcase_add_test(t, salvages_of_one_second_have_names_of_their_own);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(salvage_suite());
}
