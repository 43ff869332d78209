/* SPDX-License-Identifier: MIT */

/*
 * The promise on each kind of file system: what is made there goes, also when the file system was
 * away and comes back under another device number; and nothing else goes with it, also where inode
 * numbers are used again. The same tests run on each kind; the few differences are in them.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/disk-fixture.h"
#include "tests/testutil.h"

static enum disk_kind kind;
static struct disk disk;
static struct world world;
static struct tempfile_options options;

static void set_up(void)
{
        disk_own_mounts();
        world_init(&world);
        disk_make(&disk, kind, world.top, world.dir);
        disk_mount(&disk);
        world_start_daemon(&world);
        options = world_options(&world);
}

static void tear_down(void)
{
        world_kill_daemon(&world);
        disk_done(&disk);
        world_done(&world);
}

/* mkfs leaves lost+found. */
static unsigned int count_left(const char *dir)
{
        return count_files(dir) - path_exists(world_path(&world, "lost+found"));
}

/* ---- what victims do -------------------------------------------------------------------------- */

/* A file, a tree, a name from a pattern, something tracked: in that order, said one by one. */
static int make_all(int to, void *userdata)
{
        struct tempfile *t[4];
        char inside[PATH_MAX + 8];

        write_file(world_path(&world, "tracked"), "mine");
        if (tempfile_named(&options, &t[0]) != 0 || tempfile_directory(&options, &t[1]) != 0 ||
            tempfile_track(world_path(&world, "tracked"), NULL, &t[3]) != 0)
                return 1;
        (void) snprintf(inside, sizeof(inside), "%s/a", tempfile_path(t[1]));
        if (mkdir(inside, 0700) < 0)
                return 2;
        (void) snprintf(inside, sizeof(inside), "%s/a/b", tempfile_path(t[1]));
        write_file(inside, "");
        options.pattern = "p.XXXX";
        if (tempfile_named(&options, &t[2]) != 0)
                return 3;
        options.pattern = NULL;
        for (unsigned int i = 0; i < ARRAY_SIZE(t); i++)
                victim_say(to, tempfile_path(t[i]));
        victim_wait();
}

/* Only what was tracked. */
static int track_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_track(world_path(&world, "tracked"), NULL, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

static int make_file_and_wait(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        victim_wait();
}

/* Made while the daemon is away, under a tag that it knows. */
static int make_unheard(int to, void *userdata)
{
        struct tempfile *t, *u;
        char byte;

        if (tempfile_named(&options, &t) != 0)
                return 1;
        victim_say(to, tempfile_path(t));
        if (read(*(int *) userdata, &byte, 1) != 1)
                return 2;
        if (tempfile_named(&options, &t) != 0 || tempfile_directory(&options, &u) != 0)
                return 3;
        victim_say(to, tempfile_path(u));
        victim_wait();
}

static int keep_and_persist(int to, void *userdata)
{
        struct tempfile *t;

        if (tempfile_named(&options, &t) != 0 || tempfile_keep(t) != 0)
                return 1;
        if (tempfile_named(&options, &t) != 0 ||
            tempfile_persist(t, world_path(&world, "persisted"), 0) != 0)
                return 2;
        if (tempfile_named(&options, &t) != 0 ||
            tempfile_persist(t, world_path(&world, "refused"), TEMPFILE_NOREPLACE) != -EEXIST ||
            tempfile_close(t) != 0)
                return 3;
        victim_say(to, "done");
        victim_wait();
}

/* ---- asking the daemon ----------------------------------------------------------------------- */

static struct tempfile_status ask_status(void)
{
        struct tempfile_status s = { .size = sizeof(s) };
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_eq(tempfile_admin_status(a, &s), 0);
        tempfile_admin_close(a);
        return s;
}

#define ANY_NUMBER UINT_MAX

static char said[4][PATH_MAX + NAME_MAX + 2];

/* Starts it, hears @n lines, and waits until the daemon has heard of @n_listed entries and, before
 * the next question, has committed them: what is not is a sweep's business, and on no list. */
static void start(struct victim *v, int (*body)(int, void *), void *userdata, unsigned int n,
                  unsigned int n_listed)
{
        victim_start(v, body, userdata);
        for (unsigned int i = 0; i < n; i++)
                ck_assert_msg(victim_hear(v, said[i], sizeof(said[i])), "it ended with %d",
                              victim_join(v));
        ck_assert(n_listed == ANY_NUMBER || wait_list_length(n_listed));
        (void) ask_status();
}

/* What is tracked and what has a target is told by its file handle. Where a server numbers the
 * files, a daemon that was started since can't recognise them by that: they are stuck, and stay. */
static unsigned int count_unrecognised(void)
{
        return kind == DISK_FUSE ? 2 : 0;
}

static void expect_left(unsigned int n)
{
        ck_assert(wait_list_length(n));
        ck_assert_uint_eq(count_left(world.dir), n);
}

/* ---- waiting for the daemon ------------------------------------------------------------------ */

static void reap_all(void)
{
        struct tempfile_admin *a;

        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &a), 0);
        ck_assert_int_ge(tempfile_admin_reap(a, 0, 0), 0);
        tempfile_admin_close(a);
}

/* Until nothing is live and nothing is being reaped: all was tried. */
static struct tempfile_status settle(void)
{
        struct tempfile_status s;

        do
                s = ask_status();
        while (s.live > 0 || s.reaping > 0);
        return s;
}

/* ---- deaths ----------------------------------------------------------------------------------- */

START_TEST(a_killed_process_leaves_nothing)
{
        struct victim v;

        start(&v, make_all, NULL, 4, 4);
        for (unsigned int i = 0; i < 4; i++)
                ck_assert_msg(path_exists(said[i]), "%s", said[i]);
        victim_kill(&v, SIGKILL);
        expect_left(0);
}
END_TEST

START_TEST(who_dies_while_the_daemon_is_away_leaves_nothing)
{
        struct victim v;

        start(&v, make_all, NULL, 4, 4);
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        ck_assert_uint_eq(count_left(world.dir), 4);
        world_start_daemon(&world);
        expect_left(count_unrecognised());
}
END_TEST

START_TEST(what_no_daemon_heard_of_is_found_by_a_sweep)
{
        struct victim v;
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        start(&v, make_unheard, &ends[0], 1, 1);
        world_kill_daemon(&world);
        ck_assert_int_eq(write(ends[1], "", 1), 1);
        ck_assert(victim_hear(&v, said[1], sizeof(said[1])));
        victim_kill(&v, SIGKILL);
        ck_assert_uint_eq(count_left(world.dir), 3);
        world_start_daemon(&world);
        ck_assert(wait_left(world.dir, path_exists(world_path(&world, "lost+found"))));
        expect_left(0);
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

START_TEST(what_is_kept_or_persisted_stays)
{
        struct victim v;

        write_file(world_path(&world, "refused"), "other");
        start(&v, keep_and_persist, NULL, 1, ANY_NUMBER);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        world_kill_daemon(&world);
        world_start_daemon(&world);
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_left(world.dir), 3);
        ck_assert(path_exists(world_path(&world, "persisted")));
        ck_assert(file_has(world_path(&world, "refused"), "other"));
}
END_TEST

/* ---- mounted elsewhere, later, not at all ----------------------------------------------------- */

static dev_t device_of(const char *path)
{
        struct stat st;

        ck_assert_int_eq(stat(path, &st), 0);
        return st.st_dev;
}

/* Everything is made, the daemon and the owner die, and the file system is unmounted. */
static void leave_all_behind(void)
{
        struct victim v;

        start(&v, make_all, NULL, 4, 4);
        write_file(world_path(&world, "other"), "");
        world_kill_daemon(&world);
        victim_kill(&v, SIGKILL);
        ck_assert_uint_eq(count_left(world.dir), 5);
        disk_unmount(&disk);
}

START_TEST(a_remount_under_another_device_number_changes_nothing)
{
        const dev_t before = device_of(world.dir);

        leave_all_behind();
        disk_mount(&disk);
        if (kind == DISK_EXT4 || kind == DISK_XFS)
                ck_assert_uint_ne(device_of(world.dir), before);
        world_start_daemon(&world);
        if (!disk_remembers(&disk)) {
                ck_assert_uint_eq(count_left(world.dir), 0);
                return;
        }
        ck_assert_uint_eq(settle().stuck, count_unrecognised());
        ck_assert_uint_eq(count_left(world.dir), 1 + count_unrecognised());
        ck_assert(path_exists(world_path(&world, "other")));
}
END_TEST

START_TEST(what_is_not_mounted_waits_and_goes_when_it_is)
{
        leave_all_behind();
        world_start_daemon(&world);
        ck_assert_uint_eq(settle().waiting, 4);
        ck_assert_uint_eq(count_left(world.dir), 0);
        disk_mount(&disk); /* which the daemon is told of */
        if (!disk_remembers(&disk))
                return;
        ck_assert(wait_list_length(count_unrecognised()));
        ck_assert_uint_eq(count_left(world.dir), 1 + count_unrecognised());
}
END_TEST

START_TEST(an_unmounted_directory_in_use_is_reached_all_the_same)
{
        struct victim v;

        start(&v, make_all, NULL, 4, 4);
        ck_assert_int_eq(umount2(world.dir, MNT_DETACH), 0);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        world_kill_daemon(&world);
        if (!disk_remembers(&disk) || kind == DISK_FUSE)
                return; /* gone with its last user */
        disk_mount(&disk);
        ck_assert_uint_eq(count_left(world.dir), 0);
}
END_TEST

/* ---- directories ------------------------------------------------------------------------------ */

static char below[PATH_MAX + 8];
static char moved[PATH_MAX + 8];

static void use_a_directory_below(void)
{
        (void) snprintf(below, sizeof(below), "%s/below", world.dir);
        (void) snprintf(moved, sizeof(moved), "%s/moved", world.dir);
        ck_assert_int_eq(mkdir(below, 0700), 0);
        options.dir = below;
}

START_TEST(a_renamed_directory_is_followed)
{
        struct victim v;

        use_a_directory_below();
        start(&v, make_file_and_wait, NULL, 1, 1);
        ck_assert_int_eq(rename(below, moved), 0);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(moved), 0);
}
END_TEST

START_TEST(a_directory_renamed_while_the_daemon_is_away_waits_for_its_name)
{
        struct victim v;

        use_a_directory_below();
        start(&v, make_file_and_wait, NULL, 1, 1);
        world_kill_daemon(&world);
        ck_assert_int_eq(rename(below, moved), 0);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        ck_assert_uint_eq(settle().waiting, 1);
        ck_assert_uint_eq(count_files(moved), 1);
        ck_assert_int_eq(rename(moved, below), 0);
        reap_all(); /* earlier than it would be tried again on its own */
        ck_assert(wait_list_empty());
        ck_assert_uint_eq(count_files(below), 0);
}
END_TEST

START_TEST(another_directory_under_the_same_path_is_left_alone)
{
        struct victim v;

        use_a_directory_below();
        start(&v, make_file_and_wait, NULL, 1, 1);
        world_kill_daemon(&world);
        ck_assert_int_eq(rename(below, moved), 0);
        ck_assert_int_eq(mkdir(below, 0700), 0);
        write_file(said[0], "other"); /* the same path */
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        ck_assert_uint_eq(settle().waiting, 1);
        ck_assert(file_has(said[0], "other"));
        ck_assert_uint_eq(count_files(moved), 1);
}
END_TEST

/* ---- one object, or another ------------------------------------------------------------------- */

START_TEST(a_temporary_replaced_by_rename_is_still_one)
{
        struct victim v;

        start(&v, make_file_and_wait, NULL, 1, 1);
        write_file(world_path(&world, "edited"), "edited");
        ck_assert_int_eq(rename(world_path(&world, "edited"), said[0]), 0);
        victim_kill(&v, SIGKILL);
        expect_left(0);
}
END_TEST

START_TEST(other_links_to_it_stay)
{
        struct victim v;

        start(&v, make_file_and_wait, NULL, 1, 1);
        ck_assert_int_eq(link(said[0], world_path(&world, "linked")), 0);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        ck_assert(path_exists(world_path(&world, "linked")));
        ck_assert_uint_eq(count_left(world.dir), 1);

        ck_assert_int_eq(rename(world_path(&world, "linked"), world_path(&world, "tracked")), 0);
        ck_assert_int_eq(link(world_path(&world, "tracked"), world_path(&world, "linked")), 0);
        start(&v, track_and_wait, NULL, 1, 1);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_list_empty());
        ck_assert(path_exists(world_path(&world, "linked")));
        ck_assert_uint_eq(count_left(world.dir), 1);
}
END_TEST

START_TEST(what_was_tracked_is_told_from_its_replacement)
{
        const char *tracked = world_path(&world, "tracked");
        struct victim v;

        write_file(tracked, "mine");
        start(&v, track_and_wait, NULL, 1, 1);
        write_file(world_path(&world, "next"), "other");
        ck_assert_int_eq(rename(world_path(&world, "next"), tracked), 0);
        victim_kill(&v, SIGKILL);
        ck_assert_uint_eq(settle().stuck, kind == DISK_FUSE);
        ck_assert(file_has(tracked, "other"));
}
END_TEST

/* Where numbers are not used again, these are a few more replacements. */
START_TEST(an_inode_number_used_again_does_not_deceive)
{
        const char *tracked = world_path(&world, "tracked");
        struct stat before, after = { 0 };
        struct victim v;

        write_file(tracked, "mine");
        ck_assert_int_eq(stat(tracked, &before), 0);
        start(&v, track_and_wait, NULL, 1, 1);
        for (unsigned int i = 0; i < 50 && after.st_ino != before.st_ino; i++) {
                ck_assert_int_eq(unlink(tracked), 0);
                write_file(tracked, "other");
                ck_assert_int_eq(stat(tracked, &after), 0);
        }
        if (kind == DISK_EXT4)
                ck_assert_uint_eq(after.st_ino, before.st_ino);
        victim_kill(&v, SIGKILL);
        ck_assert_uint_eq(settle().stuck, kind == DISK_FUSE);
        ck_assert(file_has(tracked, "other"));
}
END_TEST

/* ---- descriptors ------------------------------------------------------------------------------ */

/* Either it is guaranteed, or it is refused and nothing was made. */
START_TEST(what_a_descriptor_owns_goes_with_it_or_is_not_made)
{
        char *path = NULL;
        int fd;

        fd = tempfile_pseudo_file(&options, &path);
        ck_assert_msg(fd >= 0, "%s", strerror(-fd));
        (void) close(fd);
        ck_assert(wait_gone(path));
        free(path);
        path = NULL;

        fd = tempfile_pseudo_directory(&options, &path);
        if (fd >= 0) {
                ck_assert_int_eq(mkdirat(fd, "inside", 0700), 0);
                (void) close(fd);
                ck_assert(wait_gone(path));
        } else
                ck_assert_int_eq(fd, -EOPNOTSUPP);
        free(path);
        expect_left(0);
}
END_TEST

/* ---- the suite -------------------------------------------------------------------------------- */

/* These run before a case's tests, in the process that the tests are forked from. */
static void on_ext4(void)
{
        kind = DISK_EXT4;
}

static void on_xfs(void)
{
        kind = DISK_XFS;
}

static void on_btrfs(void)
{
        kind = DISK_BTRFS;
}

static void on_tmpfs(void)
{
        kind = DISK_TMPFS;
}

static void on_overlay(void)
{
        kind = DISK_OVERLAY;
}

static void on_fuse(void)
{
        kind = DISK_FUSE;
}

static const struct {
        const char *name;
        void (*choose)(void);
} cases[] = {
        [DISK_EXT4] = { "ext4", on_ext4 },          [DISK_XFS] = { "xfs", on_xfs },
        [DISK_BTRFS] = { "btrfs", on_btrfs },       [DISK_TMPFS] = { "tmpfs", on_tmpfs },
        [DISK_OVERLAY] = { "overlay", on_overlay }, [DISK_FUSE] = { "fuse", on_fuse },
};

static TCase *case_of(enum disk_kind k)
{
        TCase *c = tcase_create(cases[k].name);
        const char *reason = unless_disk(k);

        tcase_set_timeout(c, 20);
        if (!reason) {
                tcase_add_unchecked_fixture(c, cases[k].choose, NULL);
                tcase_add_checked_fixture(c, set_up, tear_down);
        }
        add_unless(c, reason, a_killed_process_leaves_nothing);
        add_unless(c, reason, who_dies_while_the_daemon_is_away_leaves_nothing);
        add_unless(c, reason, what_no_daemon_heard_of_is_found_by_a_sweep);
        add_unless(c, reason, what_is_kept_or_persisted_stays);
        add_unless(c, reason, a_remount_under_another_device_number_changes_nothing);
        add_unless(c, reason, what_is_not_mounted_waits_and_goes_when_it_is);
        add_unless(c, reason, an_unmounted_directory_in_use_is_reached_all_the_same);
        add_unless(c, reason, a_renamed_directory_is_followed);
        add_unless(c, reason, a_directory_renamed_while_the_daemon_is_away_waits_for_its_name);
        add_unless(c, reason, another_directory_under_the_same_path_is_left_alone);
        add_unless(c, reason, a_temporary_replaced_by_rename_is_still_one);
        add_unless(c, reason, other_links_to_it_stay);
        add_unless(c, reason, what_was_tracked_is_told_from_its_replacement);
        add_unless(c, reason, an_inode_number_used_again_does_not_deceive);
        add_unless(c, reason, what_a_descriptor_owns_goes_with_it_or_is_not_made);
        return c;
}

static Suite *suite_of_disks(void)
{
        Suite *s = suite_create("disks");

        for (unsigned int k = 0; k < ARRAY_SIZE(cases); k++)
                suite_add_tcase(s, case_of(k));
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
