/* SPDX-License-Identifier: MIT */

/*
 * Temporaries on a user's own FUSE mount, which lets in nobody else, root's daemon included: a
 * process that has become the user deletes them.
 */

#include <signal.h>
#include <stdio.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tests/attack-fixture.h"
#include "tests/fuse-server.h"

static struct fuse_server fuse;

static void set_up(void)
{
        struct fuse_server_options o = { .uid = ALICE, .gid = ALICE, .record_fd = -1 };
        char mount_point[PATH_MAX], backing[PATH_MAX];

        attack_set_up();
        put_directory(at("backing"), ALICE, 0755);
        put_directory(at("mnt"), ALICE, 0755);
        (void) snprintf(backing, sizeof(backing), "%s", at("backing"));
        (void) snprintf(mount_point, sizeof(mount_point), "%s", at("mnt"));
        o.backing = backing;
        o.mount_point = mount_point;
        ck_assert_int_eq(fuse_server_start(&fuse, &o), 0);
        ck_assert(!path_exists(at("mnt/x")) && errno == EACCES); /* not even root */
}

static void tear_down(void)
{
        fuse_server_stop(&fuse);
        attack_tear_down();
}

static int make_all_kinds(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int fd;

        o.dir = at("mnt");
        if (tempfile_named(&o, &t) != 0 || tempfile_directory(&o, &t) != 0)
                return 1;
        fd = tempfile_fd(t);
        if (mkdirat(fd, "a", 0700) < 0 || mkdirat(fd, "a/b", 0700) < 0 ||
            symlinkat("/", fd, "a/link") < 0 || fchmodat(fd, "a/b", 0, 0) < 0)
                return 2;
        o.pattern = "a.XXX"; /* with an identity and a target */
        if (tempfile_named(&o, &t) != 0)
                return 3;
        o.pattern = "reserved-XXXXXXXXXX";
        return tempfile_named(&o, &t) == 0 ? 0 : 4;
}

static int make_and_wait(int to, void *userdata)
{
        int r;

        become(ALICE);
        r = make_all_kinds();
        if (r != 0)
                return r;
        victim_say(to, "made");
        victim_wait();
}

static void start(struct victim *v)
{
        char said[16];

        victim_start(v, make_and_wait, NULL);
        ck_assert_msg(victim_hear(v, said, sizeof(said)), "it ended with %d", victim_join(v));
        ck_assert_uint_eq(count_files(at("backing")), 4);
}

static void expect_gone(void)
{
        ck_assert(wait_left(at("backing"), 0));
        wait_daemon(nothing_is_left);
        ck_assert_uint_eq(daemon_status().failed, 0);
}

START_TEST(what_the_dead_left_on_a_users_own_mount_is_deleted)
{
        struct victim v;

        start(&v);
        victim_kill(&v, SIGKILL);
        expect_gone();
}
END_TEST

static int make_unheard(int to, void *userdata)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        char c;

        become(ALICE);
        o.dir = at("mnt");
        if (tempfile_named(&o, &t) != 0)
                return 1;
        victim_say(to, "made");
        if (read(*(int *) userdata, &c, 1) != 1) /* the daemon is away now */
                return 2;
        for (unsigned int i = 0; i < 20; i++)
                if (tempfile_named(&o, &t) != 0)
                        return 3;
        victim_say(to, "made");
        victim_wait();
}

START_TEST(what_nobody_heard_of_is_found_there)
{
        struct victim v;
        char said[16];
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        victim_start(&v, make_unheard, &ends[0]);
        ck_assert(victim_hear(&v, said, sizeof(said)));
        world_kill_daemon(&world);
        ck_assert_int_eq(write(ends[1], "", 1), 1);
        ck_assert_msg(victim_hear(&v, said, sizeof(said)), "it ended with %d", victim_join(&v));
        put_file(at("backing/precious"), ALICE);
        ck_assert_uint_eq(count_files(at("backing")), 22);
        world_start_daemon(&world);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(at("backing"), 1));
        wait_daemon(nothing_is_left);
        ck_assert(is_precious(at("backing/precious")));
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

START_TEST(a_mount_that_has_gone_is_waited_for)
{
        struct wire_status_reply s;
        struct victim v;

        start(&v);
        fuse_server_stop(&fuse);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        s = daemon_status();
        ck_assert_uint_eq(s.stuck + s.waiting, 4);
        ck_assert_uint_eq(count_files(at("backing")), 4);
}
END_TEST

static int refused_elsewhere(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mnt")), -EACCES);
        return 0;
}

START_TEST(another_user_is_not_let_in)
{
        put_file(at("backing/precious"), ALICE);
        run_as(MALLORY, refused_elsewhere, NULL);
        ck_assert(is_precious(at("backing/precious")));
        ck_assert_uint_eq(daemon_status().tags, 0);
}
END_TEST

static Suite *suite_of_delegate(void)
{
        Suite *s = suite_create("delegate");
        TCase *c = tcase_create("own mount");

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 30);
        tcase_add_checked_fixture(c, set_up, tear_down);
        add_unless(c, unless_fuse(), what_the_dead_left_on_a_users_own_mount_is_deleted);
        add_unless(c, unless_fuse(), what_nobody_heard_of_is_found_there);
        add_unless(c, unless_fuse(), a_mount_that_has_gone_is_waited_for);
        add_unless(c, unless_fuse(), another_user_is_not_let_in);
        return s;
}

int main(void)
{
        return attack_main(suite_of_delegate());
}
