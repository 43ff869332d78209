/* SPDX-License-Identifier: MIT */

/*
 * The power is cut: while clients make, keep, track, move and lose things, all that reaches the
 * disks is recorded, the daemon's and that of the temporaries alike. Then, for many moments, both
 * disks are put together as they may have been then, and a daemon is started in another boot. What
 * had been promised by that moment must hold: with --durability=power nothing temporary is left,
 * nor is back because its deletion was lost; what was kept stays in any case.
 *
 * TEMPFILED_TEST_SEED chooses the moments; those of a failure are printed.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/disk-fixture.h"
#include "tests/power-disk.h"
#include "tests/testutil.h"

#define OTHER_BOOT "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"
#define OPERATIONS 90
#define HELD_MAX 12U
#define BACKS 12U
#define EVENTS_MAX 4096
#define NAMES_MAX 4096

static struct world world;
static struct power_disks disks;
static struct tempfile_options options;
static uint64_t seed;

/* ---- what happened when ----------------------------------------------------------------------- */

enum event_kind {
        EVENT_KEPT,    /* before: temporary; after: not */
        EVENT_TRACKED, /* before: not; after: temporary */
        EVENT_LEFT,    /* after: perhaps the power cut undoes its move, and then it is left there */
        EVENT_FOREIGN, /* never temporary, whenever it is there */
        EVENT_SAFE,    /* the same, and it is there from the end of the call on */
        EVENT_BACK,    /* the same, there or where it was meanwhile */
};

struct event {
        enum event_kind kind;
        uint64_t begin, end; /* moments; 0: the call did not return */
        char name[NAME_MAX + 1];
};

/* Shared by all processes. */
static struct events {
        _Atomic unsigned int n;
        struct event event[EVENTS_MAX];
} * events;

static struct event *event_begin(enum event_kind kind, const char *name)
{
        struct event *e = &events->event[atomic_fetch_add(&events->n, 1)];

        (void) snprintf(e->name, sizeof(e->name), "%s", name);
        e->kind = kind;
        e->begin = power_disks_now(&disks);
        return e;
}

static void event_end(struct event *e)
{
        e->end = power_disks_now(&disks);
}

static const char *last_part(const char *path)
{
        return strrchr(path, '/') + 1;
}

/* ---- the clients ------------------------------------------------------------------------------ */

static uint64_t random_state;

static unsigned int choose(unsigned int n)
{
        random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned int) (random_state >> 33) % n;
}

static const char *const patterns[] = { NULL, NULL, "p.XXXX", "q.XXXXXXXXXXXX" };

static struct tempfile *make_something(const char *pattern)
{
        struct tempfile *t = NULL;
        int r, fd;

        options.pattern = pattern;
        if (choose(3) > 0) {
                r = tempfile_named(&options, &t);
                if (r == 0 && choose(2) && write(tempfile_fd(t), "contents", 8) != 8)
                        _exit(10);
        } else {
                r = tempfile_directory(&options, &t);
                fd = r == 0 ? openat(tempfile_fd(t), "inside", O_CREAT | O_WRONLY, 0600) : -1;
                close_fd(fd);
        }
        if (r != 0)
                _exit(11);
        return t;
}

static struct tempfile *make_any(void)
{
        return make_something(patterns[choose(ARRAY_SIZE(patterns))]);
}

static struct tempfile *track(const char *name)
{
        struct event *e = event_begin(EVENT_TRACKED, name);
        struct tempfile *t;

        if (tempfile_track(world_path(&world, name), NULL, &t) != 0)
                _exit(12);
        event_end(e);
        return t;
}

static struct tempfile *track_something(unsigned int number)
{
        char name[32];

        (void) snprintf(name, sizeof(name), "tracked-%d-%u", getpid(), number);
        write_file(world_path(&world, name), "");
        return track(name);
}

static bool is_tracked(const struct tempfile *t)
{
        return strncmp(last_part(tempfile_path(t)), "tracked", 7) == 0;
}

/* What a power cut finds of it under its old name, if that undoes the move. Of what carries a tag, and of
 * what was on disk before that was said: nothing. */
static struct event *begin_move(const struct tempfile *t, unsigned int flags)
{
        const char *name = last_part(tempfile_path(t));

        if (is_tracked(t))
                return event_begin(EVENT_KEPT, name);
        return name[1] == '.' && !flags ? event_begin(EVENT_LEFT, name) : NULL;
}

static void keep_something(struct tempfile *t)
{
        struct event *e = event_begin(EVENT_KEPT, last_part(tempfile_path(t)));

        if (tempfile_keep(t) != 0 || tempfile_close(t) != 0)
                _exit(13);
        event_end(e);
}

static void persist_something(struct tempfile *t, unsigned int number)
{
        const unsigned int flags = choose(2) ? TEMPFILE_FSYNC : 0;
        struct event *e, *move = begin_move(t, flags);
        char name[32];

        (void) snprintf(name, sizeof(name), "final-%d-%u", getpid(), number);
        e = event_begin(flags ? EVENT_SAFE : EVENT_FOREIGN, name);
        if (tempfile_persist(t, world_path(&world, name), flags) != 0 || tempfile_close(t) != 0)
                _exit(14);
        event_end(e);
        if (move)
                event_end(move);
}

static void make_foreign(unsigned int number)
{
        char name[32];

        (void) snprintf(name, sizeof(name), "foreign-%d-%u", getpid(), number);
        (void) event_begin(EVENT_FOREIGN, name);
        write_file(world_path(&world, name), "");
}

/* Others on the same disk do this all the time. */
static void write_through(void)
{
        _cleanup_(closep) int fd = open(world.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (syncfs(fd) < 0)
                _exit(15);
}

static void do_something(struct tempfile **held, unsigned int *n_held, unsigned int number)
{
        const unsigned int what = choose(10);
        struct tempfile *t;

        if (*n_held < HELD_MAX / 2 || (what < 4 && *n_held < HELD_MAX)) {
                held[(*n_held)++] = what == 0 ? track_something(number) : make_any();
                return;
        }
        t = held[choose(*n_held)];
        for (unsigned int i = 0; i < *n_held; i++)
                if (held[i] == t)
                        held[i] = held[--*n_held];
        if (what < 7) {
                if (tempfile_close(t) != 0)
                        _exit(16);
        } else if (what < 9)
                keep_something(t);
        else
                persist_something(t, number);
}

/* Goes on until it has done it all, then says so: and is killed when its last report has just been made. */
static int work(int to, void *userdata)
{
        struct tempfile *held[HELD_MAX];
        unsigned int n_held = 0;

        random_state = seed ^ (uint64_t) (uintptr_t) userdata;
        for (unsigned int i = 0; i < OPERATIONS; i++) {
                do_something(held, &n_held, i);
                if (choose(12) == 0)
                        write_through();
                if (choose(12) == 0)
                        make_foreign(i);
        }
        if (tempfile_close(make_something("q.XXXXXXXXXXXX")) != 0)
                _exit(16);
        victim_say(to, "done");
        victim_wait();
}

static const char *path_away(const char *name)
{
        char away[NAME_MAX + 8];

        (void) snprintf(away, sizeof(away), "%s.away", name);
        return world_path(&world, away);
}

/* Something that was tracked, and what is done with it until it is temporary no more, but there. */
typedef void (*back_fn)(const char *name, struct tempfile *t);

static void move_back(const char *name)
{
        if (rename(path_away(name), world_path(&world, name)) != 0)
                _exit(17);
}

static void persist_and_move_back(const char *name, struct tempfile *t)
{
        (void) event_begin(EVENT_FOREIGN, last_part(path_away(name)));
        if (tempfile_persist(t, path_away(name), 0) != 0 || tempfile_close(t) != 0)
                _exit(18);
        move_back(name);
}

static void close_and_make_another(const char *name, struct tempfile *t)
{
        if (tempfile_close(t) != 0)
                _exit(19);
        write_file(world_path(&world, name), "another");
        write_through();
}

/* The very object under the very name: its deletion was not its end. */
static void close_and_move_a_link_back(const char *name, struct tempfile *t)
{
        (void) event_begin(EVENT_FOREIGN, last_part(path_away(name)));
        if (link(tempfile_path(t), path_away(name)) != 0 || tempfile_close(t) != 0)
                _exit(20);
        move_back(name);
        write_through();
}

static void bring_back(unsigned int number, back_fn fn)
{
        struct tempfile *t;
        struct event *e;
        char name[32];

        (void) snprintf(name, sizeof(name), "tracked-back-%u", number);
        write_file(world_path(&world, name), "");
        write_through();
        t = track(name);
        e = event_begin(EVENT_BACK, name);
        fn(name, t);
        event_end(e);
}

static int work_back(int to, void *userdata)
{
        for (unsigned int i = 0; i < BACKS; i++)
                bring_back(i, *(const back_fn *) userdata);
        victim_say(to, "done");
        victim_wait();
}

static void kill_when_done(struct victim *v)
{
        char buf[16];

        ck_assert_msg(victim_hear(v, buf, sizeof(buf)), "a client ended with %d", victim_join(v));
        victim_kill(v, SIGKILL);
}

/* Two at once, one after the other killed with what they hold. */
static void run_clients(unsigned int round)
{
        struct victim v[2];

        for (unsigned int i = 0; i < 2; i++)
                victim_start(&v[i], work, (void *) (uintptr_t) (2 * round + i + 1));
        for (unsigned int i = 0; i < 2; i++)
                kill_when_done(&v[i]);
        ck_assert(wait_list_empty());
}

/* ---- recording -------------------------------------------------------------------------------- */

static bool is_full(void)
{
        return getenv("TEMPFILED_TEST_FULL") != NULL;
}

static struct tempfile_status ask_status(void)
{
        struct tempfile_status s = { .size = sizeof(s) };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &s), 0);
        tempfile_admin_close(a);
        return s;
}

/* Until the daemon has written the disk through and forgotten the tags: a minute. */
static void wait_for_flush(void)
{
        while (ask_status().tags > 0)
                (void) poll(NULL, 0, 500);
}

static void record_all(void)
{
        run_clients(0);
        run_clients(1); /* with tags that were in reserve */
        world_kill_daemon(&world);
        world_start_daemon(&world);
        run_clients(2);
        if (is_full()) {
                wait_for_flush();
                run_clients(3);
        }
}

/* The owner ends, too: from then on only what is remembered wrongly is deleted. */
static void record_back(back_fn fn)
{
        struct victim v;

        victim_start(&v, work_back, &fn);
        kill_when_done(&v);
        ck_assert(wait_list_empty());
}

/* @fn: what is done in turns; NULL: everything. */
static void record(back_fn fn)
{
        power_disks_record(&disks, world.top);
        ck_assert_int_eq(chmod(world.dir, 01777), 0);
        world_start_daemon(&world);
        if (fn)
                record_back(fn);
        else
                record_all();
        world_kill_daemon(&world);
        power_disks_end_record(&disks);
}

/* ---- looking ---------------------------------------------------------------------------------- */

enum fate { FATE_GOES, FATE_STAYS, FATE_OPEN };

static enum fate fate_before(enum event_kind kind)
{
        return kind == EVENT_KEPT || kind == EVENT_LEFT ? FATE_GOES : FATE_STAYS;
}

static enum fate fate_after(enum event_kind kind)
{
        if (kind == EVENT_LEFT)
                return FATE_OPEN;
        return kind == EVENT_TRACKED ? FATE_GOES : FATE_STAYS;
}

/* By the last that had begun by then; else by the first. */
static enum fate fate_of(const char *name, uint64_t cut)
{
        enum fate fate = streq(name, "lost+found") ? FATE_STAYS : FATE_GOES;
        bool is_first = true;

        for (unsigned int i = 0; i < events->n; i++) {
                const struct event *e = &events->event[i];

                if (!streq(e->name, name))
                        continue;
                if (cut > e->begin)
                        fate = e->end == 0 || cut < e->end ? FATE_OPEN : fate_after(e->kind);
                else if (is_first)
                        fate = fate_before(e->kind);
                if (e->kind == EVENT_FOREIGN || e->kind == EVENT_SAFE)
                        return FATE_STAYS;
                is_first = false;
        }
        return fate;
}

/* What was there when the machine came up again. */
static char found[NAMES_MAX][NAME_MAX + 1];
static unsigned int n_found;

static void look_around(void)
{
        DIR *dir = opendir(world.dir);
        struct dirent *e;

        ck_assert_ptr_nonnull(dir);
        n_found = 0;
        while ((e = readdir(dir)))
                if (!streq(e->d_name, ".") && !streq(e->d_name, "..")) {
                        ck_assert_uint_lt(n_found, NAMES_MAX);
                        memcpy(found[n_found++], e->d_name, strlen(e->d_name) + 1);
                }
        (void) closedir(dir);
}

/* A number from the daemon's database, which it goes on using. */
static int64_t ask_database(const char *question)
{
        char path[PATH_MAX + 32];
        sqlite3_stmt *s = NULL;
        sqlite3 *db = NULL;
        int64_t n = -1;

        (void) snprintf(path, sizeof(path), "%s/tempfiled.db", world.daemon.state_dir);
        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
            sqlite3_busy_timeout(db, 5000) == SQLITE_OK &&
            sqlite3_prepare_v2(db, question, -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
                n = sqlite3_column_int64(s, 0);
        (void) sqlite3_finalize(s);
        (void) sqlite3_close(db);
        return n;
}

/* All was swept, what may have come back was looked for once, and nothing is being deleted any more. */
static bool is_settled(void)
{
        return ask_database("SELECT (SELECT count(*) FROM entry WHERE state IN (1, 2)"
                            " OR (state = 5 AND coalesce(attempts, 0) = 0))"
                            " + (SELECT count(*) FROM tag WHERE NOT is_unreadable"
                            " AND (needs_sweep OR boot <> x'" OTHER_BOOT "'))") == 0;
}

static void wait_settled(void)
{
        const time_t end = time(NULL) + 60;

        while (!is_settled()) {
                if (time(NULL) >= end)
                        return; /* what is there then shows why */
                (void) poll(NULL, 0, 5);
        }
}

/* What was made under a tag, moved to its target and kept: the move may be undone, and then the
 * promise is that it stays where it was made. */
static bool is_kept_before_its_move(const char *name)
{
        char question[512];

        (void) snprintf(question, sizeof(question),
                        "SELECT count(*) FROM entry WHERE state = 6 AND target IS NOT NULL"
                        " AND CAST(name AS TEXT) = '%s'",
                        name);
        return ask_database(question) > 0;
}

/* All that is wrong is told before the test fails. */
static unsigned int n_wrong;

static void tell(const char *name, const char *what, uint64_t cut)
{
        (void) printf("# cut at %lu, seed %lu: %s %s\n", (unsigned long) cut, (unsigned long) seed,
                      name, what);
        n_wrong++;
}

static void check_names(uint64_t cut, bool is_power)
{
        for (unsigned int i = 0; i < n_found; i++) {
                const enum fate fate = fate_of(found[i], cut);
                const bool is_there = path_exists(world_path(&world, found[i]));

                if (fate == FATE_STAYS && !is_there)
                        tell(found[i], "was deleted", cut);
                if (fate == FATE_GOES && is_there && is_power && !is_kept_before_its_move(found[i]))
                        tell(found[i], "was left", cut);
        }
}

/* What was moved to its place, and written through before that was said; and what was tracked and is
 * so no more, wherever it is. */
static void check_safe(uint64_t cut)
{
        for (unsigned int i = 0; i < events->n; i++) {
                const struct event *e = &events->event[i];

                if (e->end == 0 || e->end > cut || path_exists(world_path(&world, e->name)))
                        continue;
                if (e->kind == EVENT_SAFE)
                        tell(e->name, "is not there", cut);
                if (e->kind == EVENT_BACK && !path_exists(path_away(e->name)))
                        tell(e->name, "is nowhere", cut);
        }
}

static void look_after_cut(uint64_t cut, unsigned int number, bool is_power)
{
        power_disks_cut(&disks, cut, seed + number);
        look_around();
        world_start_daemon(&world);
        wait_settled();
        check_names(cut, is_power);
        check_safe(cut);
        world_kill_daemon(&world);
        power_disks_unmount(&disks);
}

/* ---- the tests -------------------------------------------------------------------------------- */

static int compare_cuts(const void *a, const void *b)
{
        const uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

/* Every other one at random, and between these the very moments at which calls had returned. */
static void choose_cuts(uint64_t *cuts, unsigned int n)
{
        random_state = seed;
        for (unsigned int i = 0; i < n; i++) {
                cuts[i] = events->event[choose(events->n)].end;
                if (i % 2 == 0 || cuts[i] == 0 || cuts[i] > disks.n_records)
                        cuts[i] = 1 + choose((unsigned int) disks.n_records);
        }
        qsort(cuts, n, sizeof(*cuts), compare_cuts);
}

static void cut_often(unsigned int n, bool is_power, back_fn fn)
{
        uint64_t *cuts = calloc(n, sizeof(*cuts));

        ck_assert_ptr_nonnull(cuts);
        world.daemon.durability = is_power ? "power" : "crash";
        record(fn);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        choose_cuts(cuts, n);
        for (unsigned int i = 0; i < n; i++)
                look_after_cut(cuts[i], i, is_power);
        (void) printf(
                "# durability %s: %u cuts in %lu writes and flushes (%lu flushes), seed %lu\n",
                world.daemon.durability, n, (unsigned long) disks.n_records,
                (unsigned long) disks.n_flushes, (unsigned long) seed);
        (void) fflush(stdout);
        ck_assert_uint_eq(n_wrong, 0);
        free(cuts);
}

START_TEST(what_was_promised_holds_after_a_power_cut)
{
        cut_often(is_full() ? 400 : 24, true, NULL);
}
END_TEST

START_TEST(what_is_kept_stays_even_with_durability_crash)
{
        cut_often(is_full() ? 150 : 8, false, NULL);
}
END_TEST

/* The next three with both. */
START_TEST(tracked_persisted_and_renamed_back_it_stays)
{
        cut_often(is_full() ? 60 : 5, _i == 0, persist_and_move_back);
}
END_TEST

START_TEST(another_of_the_name_of_a_deleted_one_stays)
{
        cut_often(is_full() ? 60 : 3, _i == 0, close_and_make_another);
}
END_TEST

START_TEST(a_link_of_a_deleted_one_renamed_to_its_name_stays)
{
        cut_often(is_full() ? 60 : 3, _i == 0, close_and_move_a_link_back);
}
END_TEST

static void set_up(void)
{
        const char *given = getenv("TEMPFILED_TEST_SEED");

        seed = given ? strtoul(given, NULL, 0) : (uint64_t) time(NULL);
        disk_own_mounts();
        world_init(&world);
        (void) snprintf(world.dir, sizeof(world.dir), "%s/temp", world.top);
        (void) snprintf(world.daemon.state_dir, sizeof(world.daemon.state_dir), "%s/state/db",
                        world.top);
        options = world_options(&world);
        events = mmap(NULL, sizeof(*events), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        ck_assert_ptr_ne(events, MAP_FAILED);
}

static void tear_down(void)
{
        world_kill_daemon(&world);
        power_disks_done(&disks);
        world_done(&world);
}

static void add_twice_unless(TCase *c, const char *reason, const TTest *test)
{
        if (reason)
                add_unless(c, reason, test);
        else
                tcase_add_loop_test(c, test, 0, 2);
}

static const char *unless_recorded(void)
{
        return unless_disk(DISK_EXT4) ?: unless_fuse();
}

static Suite *suite_of_power(void)
{
        const char *reason = unless_recorded();
        Suite *s = suite_create("power");
        TCase *c = tcase_create("power");

        tcase_set_timeout(c, is_full() ? 600 : 60);
        if (!reason)
                tcase_add_checked_fixture(c, set_up, tear_down);
        add_unless(c, reason, what_was_promised_holds_after_a_power_cut);
        add_unless(c, reason, what_is_kept_stays_even_with_durability_crash);
        add_twice_unless(c, reason, tracked_persisted_and_renamed_back_it_stays);
        add_twice_unless(c, reason, another_of_the_name_of_a_deleted_one_stays);
        add_twice_unless(c, reason, a_link_of_a_deleted_one_renamed_to_its_name_stays);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_power());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
