/* SPDX-License-Identifier: MIT */

/*
 * Who has a thing, and for how long: giving, sharing, tokens, units, leases, boots, retaining, with
 * a true daemon that is killed and started again in the middle.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/testutil.h"

#define LONG_SEC 1000U

static struct world world;
static struct tempfile_options options, other;
static char path[PATH_MAX + NAME_MAX + 2];

static void set_up(void)
{
        world_init(&world);
        world_start_daemon(&world);
        options = other = world_options(&world);
}

static void tear_down(void)
{
        world_done(&world);
}

static void restart_daemon(void)
{
        world_kill_daemon(&world);
        world_start_daemon(&world);
}

static struct tempfile *make_file(void)
{
        struct tempfile *t = NULL;
        int r = tempfile_named(&options, &t);

        ck_assert_msg(r == 0, "tempfile_named: %s", strerror(-r));
        return t;
}

static int open_pidfd(pid_t pid)
{
        return (int) syscall(SYS_pidfd_open, pid, 0);
}

static int do_nothing(int to, void *userdata)
{
        victim_say(to, "");
        victim_wait();
}

static void start(struct victim *v, int (*body)(int, void *), void *userdata)
{
        victim_start(v, body, userdata);
        ck_assert_msg(victim_hear(v, path, sizeof(path)), "it ended with %d", victim_join(v));
}

static int note_row(const struct tempfile_entry *e, void *userdata)
{
        struct tempfile_entry *row = userdata;

        *row = *e;
        return 0;
}

/* The one entry that the daemon lists. */
static struct tempfile_entry get_row(void)
{
        struct tempfile_entry row = { 0 };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_list(a, NULL, note_row, &row), 1);
        tempfile_admin_close(a);
        return row;
}

static void reap_row(void)
{
        const uint64_t id = get_row().id;
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_reap(a, id, TEMPFILE_REAP_FORCE), 1);
        tempfile_admin_close(a);
}

static void expect_gone(void)
{
        ck_assert(wait_gone(path));
        ck_assert(wait_left(world.dir, 0));
        ck_assert(wait_list_empty());
}

/* ---- giving and sharing ----------------------------------------------------------------------- */

struct handing {
        pid_t to;
        int (*how)(struct tempfile *t, int pidfd);
        bool is_directory;
        const char *pattern;
};

static int hand_over(int to, void *userdata)
{
        const struct handing *h = userdata;
        struct tempfile *t, *inner;
        int r;

        options.pattern = h->pattern;
        r = h->is_directory ? tempfile_directory(&options, &t) : tempfile_named(&options, &t);
        if (r != 0)
                return 1;
        options.pattern = NULL;
        options.dir = tempfile_path(t);
        if (h->is_directory && tempfile_named(&options, &inner) != 0)
                return 2;
        if (h->how(t, open_pidfd(h->to)) != 0)
                return 3;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(what_was_given_lives_as_long_as_its_new_owner)
{
        static const char *const patterns[] = { NULL, "a.XXX", "b.XXXXXXXXXXXX" };
        struct victim owner, maker;

        for (unsigned int i = 0; i < ARRAY_SIZE(patterns); i++) {
                victim_start(&owner, do_nothing, NULL);
                start(&maker, hand_over,
                      &(struct handing) { owner.pid, tempfile_give, false, patterns[i] });
                victim_kill(&maker, SIGKILL);
                restart_daemon();
                ck_assert(path_exists(path));
                victim_kill(&owner, SIGKILL);
                expect_gone();
        }
}
END_TEST

START_TEST(what_was_given_goes_although_its_giver_lives)
{
        struct victim owner, maker;

        victim_start(&owner, do_nothing, NULL);
        start(&maker, hand_over, &(struct handing) { owner.pid, tempfile_give, false, NULL });
        victim_kill(&owner, SIGKILL);
        expect_gone();
        victim_kill(&maker, SIGKILL);
}
END_TEST

START_TEST(what_is_in_a_directory_goes_with_it)
{
        struct victim owner, maker;

        victim_start(&owner, do_nothing, NULL);
        start(&maker, hand_over, &(struct handing) { owner.pid, tempfile_give, true, NULL });
        victim_kill(&maker, SIGKILL);
        restart_daemon();
        ck_assert_uint_eq(count_files(path), 1);
        victim_kill(&owner, SIGKILL);
        expect_gone();
}
END_TEST

START_TEST(what_is_shared_goes_with_the_last_of_its_owners)
{
        struct victim owner, maker;

        for (unsigned int owner_first = 0; owner_first < 2; owner_first++) {
                victim_start(&owner, do_nothing, NULL);
                start(&maker, hand_over,
                      &(struct handing) { owner.pid, tempfile_share, false, NULL });
                victim_kill(owner_first ? &owner : &maker, SIGKILL);
                restart_daemon();
                ck_assert(path_exists(path));
                victim_kill(owner_first ? &maker : &owner, SIGKILL);
                expect_gone();
        }
}
END_TEST

START_TEST(nothing_has_more_owners_than_it_may)
{
        struct tempfile *t = make_file(), *second = make_file();

        other.owner_kind = TEMPFILE_OWNER_LEASE;
        for (unsigned int i = 1; i < 256; i++) {
                other.lease_sec = LONG_SEC + i;
                ck_assert_int_eq(tempfile_share_with(t, &other), 0);
        }
        ck_assert_int_eq(tempfile_share_with(t, &other), -EDQUOT);
        ck_assert_int_eq(tempfile_share_with(second, &other), 0);
        ck_assert_int_eq(tempfile_keep(t), 0); /* all of them let go of it */
        ck_assert_int_eq(unlink(tempfile_path(t)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_int_eq(tempfile_close(second), 0);
}
END_TEST

START_TEST(closing_what_is_shared_ends_the_share_alone)
{
        struct tempfile *t = make_file();
        struct victim owner;
        int pidfd;

        start(&owner, do_nothing, NULL);
        (void) strcpy(path, tempfile_path(t));
        pidfd = open_pidfd(owner.pid);
        ck_assert_int_eq(tempfile_share(t, pidfd), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(path));
        ck_assert_uint_eq(get_row().pid, (uint32_t) owner.pid);
        victim_kill(&owner, SIGKILL);
        expect_gone();
        (void) close(pidfd);
}
END_TEST

START_TEST(who_persists_or_keeps_what_is_shared_does_so_for_all)
{
        struct tempfile *kept = make_file(), *persisted = make_file();
        struct victim owner;
        int pidfd;

        start(&owner, do_nothing, NULL);
        pidfd = open_pidfd(owner.pid);
        ck_assert_int_eq(tempfile_share(kept, pidfd), 0);
        ck_assert_int_eq(tempfile_keep(kept), 0);
        ck_assert_int_eq(tempfile_share(persisted, pidfd), 0);
        ck_assert_int_eq(tempfile_persist(persisted, world_path(&world, "final"), 0), 0);
        victim_kill(&owner, SIGKILL);
        ck_assert(wait_list_empty());
        ck_assert(path_exists(tempfile_path(kept)));
        ck_assert(path_exists(tempfile_path(persisted)));
        ck_assert_int_eq(tempfile_close(kept), 0);
        ck_assert_int_eq(tempfile_close(persisted), 0);
        ck_assert_uint_eq(count_files(world.dir), 2);
        (void) close(pidfd);
}
END_TEST

START_TEST(what_can_not_be_given_is_refused_and_stays)
{
        struct tempfile *t = make_file();
        struct victim owner;
        int pidfd, null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        victim_start(&owner, do_nothing, NULL);
        pidfd = open_pidfd(owner.pid);
        ck_assert_int_eq(tempfile_give(NULL, pidfd), -EINVAL);
        ck_assert_int_eq(tempfile_give(t, -1), -EINVAL);
        ck_assert_int_eq(tempfile_give(t, 987), -EBADF);
        ck_assert_int_eq(tempfile_give(t, null_fd), -EBADF);
        ck_assert_int_eq(tempfile_give_to(t, NULL), -EINVAL);
        victim_kill(&owner, SIGKILL);
        ck_assert_int_eq(tempfile_share(t, pidfd), -ESRCH);
        ck_assert_int_eq(tempfile_give(t, pidfd), -ESRCH);
        ck_assert_int_eq(tempfile_give(t, open_pidfd(getpid())), 0); /* nothing to do */

        world_kill_daemon(&world);
        (void) close(pidfd);
        pidfd = open_pidfd(getppid());
        ck_assert_int_eq(tempfile_give(t, pidfd), -ECONNREFUSED);
        ck_assert(path_exists(tempfile_path(t)));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
        (void) close(pidfd);
        (void) close(null_fd);
}
END_TEST

START_TEST(what_was_given_is_nothing_to_its_giver_any_more)
{
        struct tempfile *t = make_file();
        struct victim owner;
        int pidfd;

        start(&owner, do_nothing, NULL);
        pidfd = open_pidfd(owner.pid);
        ck_assert_int_eq(tempfile_give(t, pidfd), 0);
        ck_assert_int_eq(tempfile_give(t, pidfd), -EINVAL);
        ck_assert_int_eq(tempfile_keep(t), -EINVAL);
        ck_assert_int_eq(tempfile_persist(t, world_path(&world, "final"), 0), -EINVAL);
        ck_assert_int_eq(write(tempfile_fd(t), "x", 1), 1);
        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(path_exists(path));
        victim_kill(&owner, SIGKILL);
        expect_gone();
        (void) close(pidfd);
}
END_TEST

/* ---- the handle alone ------------------------------------------------------------------------- */

static int release_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        if (tempfile_release(t) != 0)
                return 2;
        victim_say(to, "");
        victim_wait();
}

START_TEST(what_is_released_lives_as_long_as_the_process)
{
        char end[8];
        struct victim v;

        start(&v, release_and_wait, NULL);
        ck_assert(victim_hear(&v, end, sizeof(end)));
        restart_daemon();
        ck_assert(path_exists(path));
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

START_TEST(what_was_released_is_found_again_once)
{
        struct tempfile *t = make_file(), *found = NULL;

        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_find(path, &found), -ENOENT); /* its handle is in use */
        ck_assert_int_eq(tempfile_release(t), 0);
        ck_assert_int_eq(tempfile_find(path, &found), 0);
        ck_assert_str_eq(tempfile_path(found), path);
        ck_assert_int_eq(tempfile_fd(found), -1);
        ck_assert_int_eq(tempfile_find(path, &t), -ENOENT);
        ck_assert_int_eq(tempfile_close(found), 0);
        ck_assert(!path_exists(path));
        ck_assert_int_eq(tempfile_release(NULL), -EINVAL);

        options.pattern = "pat.XXX";
        t = make_file();
        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_release(t), 0);
        ck_assert_int_eq(tempfile_find(path, &found), 0);
        ck_assert_int_eq(tempfile_close(found), 0);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* ---- tokens ----------------------------------------------------------------------------------- */

static int make_for_options(int to, void *userdata)
{
        struct tempfile *t;
        int r;

        r = tempfile_named(&other, &t);
        if (r != 0)
                return -r;
        victim_say(to, tempfile_path(t));
        return tempfile_close(t) == 0 ? 0 : 2;
}

static void make_elsewhere(void)
{
        struct victim v;

        start(&v, make_for_options, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
}

static int hold_on(int to, void *userdata)
{
        return do_nothing(to, userdata); /* with what it has inherited */
}

START_TEST(a_token_lives_as_long_as_the_last_who_holds_it)
{
        char end[8];
        struct victim holder;
        int fd;

        for (unsigned int restarts = 0; restarts < 2; restarts++) {
                other.owner_kind = TEMPFILE_OWNER_TOKEN;
                fd = tempfile_token_new(0, &other.token);
                ck_assert_int_ge(fd, 0);
                ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
                make_elsewhere();
                victim_start(&holder, hold_on, NULL);
                ck_assert(victim_hear(&holder, end, sizeof(end)));
                (void) close(fd);
                if (restarts)
                        restart_daemon();
                ck_assert_uint_eq(get_row().owner_kind, TEMPFILE_OWNER_TOKEN);
                ck_assert(path_exists(path));
                victim_kill(&holder, SIGKILL);
                expect_gone();
        }
}
END_TEST

START_TEST(a_token_that_ended_while_the_daemon_was_away_is_found_so)
{
        int fd;

        other.owner_kind = TEMPFILE_OWNER_TOKEN;
        fd = tempfile_token_new(0, &other.token);
        ck_assert_int_ge(fd, 0);
        make_elsewhere();
        world_kill_daemon(&world);
        (void) close(fd);
        ck_assert(path_exists(path));
        world_start_daemon(&world);
        expect_gone();
        ck_assert_int_lt(tempfile_token_new(0, NULL), 0);
}
END_TEST

START_TEST(things_are_given_to_and_shared_with_a_token)
{
        struct tempfile *given = make_file(), *shared = make_file();
        int fd;

        other.owner_kind = TEMPFILE_OWNER_TOKEN;
        fd = tempfile_token_new(0, &other.token);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(tempfile_give_to(given, &other), 0);
        ck_assert_int_eq(tempfile_share_with(shared, &other), 0);
        ck_assert_int_eq(tempfile_retain(shared, LONG_SEC), 0);
        (void) close(fd);
        ck_assert(wait_gone(tempfile_path(given)));
        ck_assert(path_exists(tempfile_path(shared)));
        ck_assert_int_eq(tempfile_close(given), 0);
        (void) strcpy(path, tempfile_path(shared));
        ck_assert_int_eq(tempfile_close(shared), 0);
        expect_gone();
        ck_assert_int_eq(tempfile_named(&other, &given), -ESRCH); /* it has ended */
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* ---- leases, boots, units --------------------------------------------------------------------- */

START_TEST(a_lease_ends_unless_it_is_renewed)
{
        struct tempfile *t = NULL;
        uint64_t first;

        options.owner_kind = TEMPFILE_OWNER_LEASE;
        options.lease_sec = LONG_SEC;
        t = make_file();
        (void) strcpy(path, tempfile_path(t));
        first = get_row().expires_usec;
        ck_assert_uint_gt(first, 0);
        ck_assert_int_eq(tempfile_renew(t, 3 * LONG_SEC), 0);
        ck_assert_uint_gt(get_row().expires_usec, first + LONG_SEC * USEC_PER_SEC);
        restart_daemon();
        ck_assert_uint_gt(get_row().expires_usec, first + LONG_SEC * USEC_PER_SEC);
        ck_assert_int_eq(tempfile_renew(t, 0), -EINVAL);
        ck_assert_int_eq(tempfile_renew(t, 1), 0); /* a second, and it is over */
        expect_gone();
        ck_assert_int_lt(tempfile_renew(t, 1), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_lease_goes_on_without_its_maker_and_ends_without_the_daemon)
{
        other.owner_kind = TEMPFILE_OWNER_LEASE;
        other.lease_sec = 10; /* not before the daemon is away */
        make_elsewhere();
        world_kill_daemon(&world);
        ck_assert(path_exists(path));
        world_start_daemon(&world);
        expect_gone();
}
END_TEST

START_TEST(only_a_lease_can_be_renewed)
{
        struct tempfile *t = make_file();

        ck_assert_int_eq(tempfile_renew(t, 1), -EINVAL);
        other.owner_kind = TEMPFILE_OWNER_LEASE;
        other.lease_sec = LONG_SEC;
        ck_assert_int_eq(tempfile_give_to(t, &other), 0);
        ck_assert_int_eq(tempfile_renew(t, 1), 0);
        (void) strcpy(path, tempfile_path(t));
        expect_gone();
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* Shared with a lease, by a process that ends. */
static int share_with_lease(int to, void *userdata)
{
        struct tempfile *t;

        other.owner_kind = TEMPFILE_OWNER_LEASE;
        other.lease_sec = LONG_SEC;
        if (tempfile_named(&options, &t) != 0 || tempfile_share_with(t, &other) != 0)
                return 1;
        if (tempfile_renew(t, 2 * LONG_SEC) != 0)
                return 2;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static void renew_row(uint32_t sec)
{
        const uint64_t id = get_row().id;
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_renew(a, id, sec), 0);
        tempfile_admin_close(a);
}

START_TEST(a_lease_beside_another_owner_can_be_renewed)
{
        struct victim v;

        start(&v, share_with_lease, NULL);
        renew_row(3 * LONG_SEC);
        victim_kill(&v, SIGKILL);
        while (get_row().owner_kind != TEMPFILE_OWNER_LEASE)
                ; /* each question takes its time at the daemon */
        ck_assert_uint_gt(get_row().expires_usec,
                          (uint64_t) time(NULL) * USEC_PER_SEC + 2 * LONG_SEC * USEC_PER_SEC);
        ck_assert(path_exists(path));
        renew_row(1);
        expect_gone();
}
END_TEST

START_TEST(until_the_next_boot_means_longer_than_everybody)
{
        other.owner_kind = TEMPFILE_OWNER_BOOT;
        make_elsewhere();
        restart_daemon();
        ck_assert_uint_eq(get_row().owner_kind, TEMPFILE_OWNER_BOOT);
        ck_assert_uint_eq(get_row().state, TEMPFILE_STATE_LIVE);
        ck_assert(path_exists(path));
        reap_row();
        expect_gone();
}
END_TEST

/* Where there are no cgroups to be seen the library says so, and nothing is made. */
START_TEST(a_unit_is_an_owner_where_there_are_units)
{
        struct tempfile *t = NULL;
        int r;

        options.owner_kind = TEMPFILE_OWNER_UNIT;
        r = tempfile_named(&options, &t);
        if (r == 0) {
                ck_assert_uint_eq(get_row().owner_kind, TEMPFILE_OWNER_UNIT);
                (void) strcpy(path, tempfile_path(t));
                reap_row();
                ck_assert_int_eq(tempfile_close(t), 0);
        } else {
                ck_assert_int_eq(r, -EOPNOTSUPP);
        }
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(a_cgroup_that_the_process_is_not_in_is_no_owner)
{
        struct tempfile *t = NULL;
        int r;

        options.owner_kind = TEMPFILE_OWNER_UNIT;
        options.token = UINT64_MAX;
        r = tempfile_named(&options, &t);
        ck_assert(r == -ESRCH || r == -EOPNOTSUPP); /* or there are none to be seen */
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

START_TEST(owners_with_others_members_are_refused)
{
        struct tempfile *t = NULL;

        for (uint32_t kind = 0; kind <= 8; kind++) {
                options.owner_kind = kind;
                options.lease_sec = kind == TEMPFILE_OWNER_LEASE ? 0 : 1;
                ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
                options.lease_sec = kind == TEMPFILE_OWNER_LEASE;
                options.token = kind == TEMPFILE_OWNER_TOKEN ? 0 : 1;
                if (kind != TEMPFILE_OWNER_UNIT) /* of it that is a cgroup */
                        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
                options.token = 0;
        }
        options.owner_kind = TEMPFILE_OWNER_TOKEN;
        options.lease_sec = 0;
        options.token = 12345;
        ck_assert_int_eq(tempfile_named(&options, &t), -ESRCH);
        options.flags = TEMPFILE_OWNER_PIDFD;
        options.owner_pidfd = open_pidfd(getpid());
        ck_assert_int_eq(tempfile_named(&options, &t), -EINVAL);
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

/* ---- retaining -------------------------------------------------------------------------------- */

static int make_retained(int to, void *userdata)
{
        struct tempfile *t;

        options.retain_sec = userdata ? 0 : LONG_SEC;
        if (tempfile_named(&options, &t) != 0)
                return 1;
        if (userdata && tempfile_retain(t, LONG_SEC) != 0)
                return 2;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static void wait_retained(void)
{
        while (get_row().state != TEMPFILE_STATE_RETAINED)
                ;
}

START_TEST(what_is_retained_outlives_a_crash_for_a_while)
{
        struct victim v;

        for (unsigned int later = 0; later < 2; later++) {
                start(&v, make_retained, later ? &v : NULL);
                victim_kill(&v, SIGKILL);
                wait_retained();
                restart_daemon();
                ck_assert_uint_eq(get_row().state, TEMPFILE_STATE_RETAINED);
                ck_assert(path_exists(path));
                reap_row();
                expect_gone();
        }
}
END_TEST

/* Has the daemon asked again, and told again what is held, after its restart. */
static int make_retained_and_go_on(int to, void *userdata)
{
        struct tempfile *t, *next;
        char c;

        if (tempfile_named(&options, &t) != 0 || tempfile_retain(t, LONG_SEC) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        if (read(*(int *) userdata, &c, 1) != 1)
                return 2;
        if (tempfile_named(&options, &next) != 0 || tempfile_keep(next) != 0 ||
            unlink(tempfile_path(next)) < 0)
                return 3;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(what_is_to_be_retained_is_so_over_a_restart)
{
        struct victim v;
        int go_on[2];

        ck_assert_int_eq(pipe2(go_on, O_CLOEXEC), 0);
        start(&v, make_retained_and_go_on, &go_on[0]);
        restart_daemon();
        ck_assert_int_eq(write(go_on[1], "", 1), 1);
        ck_assert(victim_hear(&v, path, sizeof(path)));
        victim_kill(&v, SIGKILL);
        wait_retained();
        ck_assert(path_exists(path));
        reap_row();
        expect_gone();
        (void) close(go_on[0]);
        (void) close(go_on[1]);
}
END_TEST

START_TEST(the_while_ends)
{
        struct tempfile_admin *a;
        struct victim v;

        start(&v, make_retained, NULL);
        victim_kill(&v, SIGKILL);
        wait_retained();
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_renew(a, get_row().id, 1), 0);
        tempfile_admin_close(a);
        expect_gone();
}
END_TEST

START_TEST(closing_deletes_what_was_to_be_retained)
{
        struct tempfile *t;

        options.retain_sec = LONG_SEC;
        t = make_file();
        (void) strcpy(path, tempfile_path(t));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(!path_exists(path));
        expect_gone();
}
END_TEST

static Suite *suite_of_claims(void)
{
        Suite *s = suite_create("claims");
        TCase *c;

        c = tcase_create("giving");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, what_was_given_lives_as_long_as_its_new_owner);
        tcase_add_test(c, what_was_given_goes_although_its_giver_lives);
        tcase_add_test(c, what_is_in_a_directory_goes_with_it);
        tcase_add_test(c, what_is_shared_goes_with_the_last_of_its_owners);
        tcase_add_test(c, nothing_has_more_owners_than_it_may);
        tcase_add_test(c, closing_what_is_shared_ends_the_share_alone);
        tcase_add_test(c, who_persists_or_keeps_what_is_shared_does_so_for_all);
        tcase_add_test(c, what_can_not_be_given_is_refused_and_stays);
        tcase_add_test(c, what_was_given_is_nothing_to_its_giver_any_more);
        tcase_add_test(c, what_is_released_lives_as_long_as_the_process);
        tcase_add_test(c, what_was_released_is_found_again_once);
        suite_add_tcase(s, c);

        c = tcase_create("owners");
        tcase_set_timeout(c, 60);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, a_token_lives_as_long_as_the_last_who_holds_it);
        tcase_add_test(c, a_token_that_ended_while_the_daemon_was_away_is_found_so);
        tcase_add_test(c, things_are_given_to_and_shared_with_a_token);
        tcase_add_test(c, a_lease_ends_unless_it_is_renewed);
        tcase_add_test(c, a_lease_goes_on_without_its_maker_and_ends_without_the_daemon);
        tcase_add_test(c, only_a_lease_can_be_renewed);
        tcase_add_test(c, a_lease_beside_another_owner_can_be_renewed);
        tcase_add_test(c, until_the_next_boot_means_longer_than_everybody);
        tcase_add_test(c, a_unit_is_an_owner_where_there_are_units);
        tcase_add_test(c, a_cgroup_that_the_process_is_not_in_is_no_owner);
        tcase_add_test(c, owners_with_others_members_are_refused);
        suite_add_tcase(s, c);

        c = tcase_create("retaining");
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, what_is_retained_outlives_a_crash_for_a_while);
        tcase_add_test(c, what_is_to_be_retained_is_so_over_a_restart);
        tcase_add_test(c, the_while_ends);
        tcase_add_test(c, closing_deletes_what_was_to_be_retained);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_claims());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
