/* SPDX-License-Identifier: MIT */

/*
 * The promise on each kind of file system: mounts of the test's own, in a mount namespace of its
 * own, so that all of it is gone with the test.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/fuse-server.h"
#include "tests/testutil.h"

static struct world world;
static struct tempfile_options options;
static struct fuse_server fuse;
static char path[PATH_MAX + NAME_MAX + 2];

/* ---- mounts ----------------------------------------------------------------------------------- */

static void own_mounts(void)
{
        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static void mount_fuse(void)
{
        struct fuse_server_options o = { .mount_point = world.dir, .record_fd = -1 };
        char backing[PATH_MAX];
        int r;

        (void) snprintf(backing, sizeof(backing), "%s/backing", world.top);
        ck_assert_int_eq(mkdir(backing, 01777), 0);
        o.backing = backing;
        r = fuse_server_start(&fuse, &o);
        ck_assert_msg(r == 0, "FUSE: %s", strerror(-r));
}

static void set_up(void)
{
        own_mounts();
        world_init(&world);
        mount_fuse();
        world_start_daemon(&world);
        options = (struct tempfile_options) TEMPFILE_OPTIONS_INIT;
        options.dir = world.dir;
}

static void tear_down(void)
{
        world_kill_daemon(&world);
        fuse_server_stop(&fuse);
        world_done(&world);
}

/* ---- what victims do -------------------------------------------------------------------------- */

static int make_one_of_each(int to, void *userdata)
{
        struct tempfile *t, *d;
        char inside[PATH_MAX + 8];

        if (tempfile_named(&options, &t) != 0 || tempfile_directory(&options, &d) != 0)
                return 1;
        (void) snprintf(inside, sizeof(inside), "%s/a", tempfile_path(d));
        if (mkdir(inside, 0500) < 0)
                return 2;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

START_TEST(a_killed_process_leaves_nothing)
{
        struct victim v;

        victim_start(&v, make_one_of_each, NULL);
        ck_assert_msg(victim_hear(&v, path, sizeof(path)), "it ended with %d", victim_join(&v));
        ck_assert(path_exists(path));
        ck_assert_uint_eq(count_files(world.dir), 2);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(world.dir), 0);
}
END_TEST

static Suite *suite_of_disks(void)
{
        Suite *s = suite_create("disks");
        TCase *c = tcase_create("fuse");

        tcase_set_timeout(c, 20);
        tcase_add_checked_fixture(c, unless_fuse() ? NULL : set_up,
                                  unless_fuse() ? NULL : tear_down);
        add_unless(c, unless_fuse(), a_killed_process_leaves_nothing);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(suite_of_disks());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
