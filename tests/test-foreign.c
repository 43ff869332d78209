/* SPDX-License-Identifier: MIT */

/*
 * Directories of another view of the file system, which only a descriptor leads to: reached
 * through it after their owner's end, and what becomes of the rest once it is lost.
 */

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/disk-fixture.h"
#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)

static bool is_in_memory;
static struct client here;

static void setup(void)
{
        server_setup();
        ck_assert_int_eq(mkdir(unit_path(server_dir, "other"), 0777), 0);
        client_start(&here);
}

static void teardown(void)
{
        client_close(&here);
        server_teardown();
        (void) unsetenv("TEMPFILED_BOOT_ID");
}

/* Sees files/ as something else: a file system in memory, or another directory. */
static void make_in_another_view(void)
{
        const char *other = unit_path(server_dir, "other"), *files = file_path("");
        struct client c;

        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                _exit(1);
        if (is_in_memory ? mount("tmpfs", files, "tmpfs", 0, NULL) < 0
                         : mount(other, files, NULL, MS_BIND, NULL) < 0)
                _exit(2);
        client_start(&c);
        if (client_tag(&c, TAG, files) != 0)
                _exit(3);
        client_make(&c, 1);
        client_make(&c, 2);
        client_settle(&c);
        worker_pause();
}

static bool has_none(const struct wire_status_reply *s)
{
        return s->live + s->reaping + s->stuck + s->waiting == 0;
}

static bool has_two_waiting(const struct wire_status_reply *s)
{
        return s->waiting == 2 && s->live + s->reaping + s->stuck == 0;
}

/* Its owner's connection has the entries, and no more; this process's own is made again. */
static void restart(void)
{
        client_close(&here);
        server_restart();
        client_start(&here);
        client_settle(&here);
}

START_TEST(what_only_a_descriptor_leads_to_is_deleted_through_it)
{
        struct worker w;

        SKIP_UNLESS_ROOT("to mount");
        worker_start(&w, 0, make_in_another_view);
        worker_wait(&w);
        ck_assert_uint_eq(unit_count_names(unit_path(server_dir, "other")), 2);
        worker_kill(&w);
        wait_status(has_none);
        ck_assert_uint_eq(unit_count_names(unit_path(server_dir, "other")), 0);
}
END_TEST

/* The numbers of its entries, for somebody who knows them from the list. */
static uint64_t number(unsigned int seq)
{
        return UINT64_C(1) << 32 | seq;
}

/* It may just be tried again. */
static int keep(uint32_t seq)
{
        int r;

        do
                r = client_keep(&here, number(seq), 0);
        while (r == -ESTALE);
        return r;
}

START_TEST(what_nothing_leads_to_any_more_waits_until_it_is_kept)
{
        struct worker w;
        int r;

        SKIP_UNLESS_ROOT("to mount");
        worker_start(&w, 0, make_in_another_view);
        worker_wait(&w);
        server_stop(); /* no service manager here: the descriptor is lost */
        worker_kill(&w);
        restart();
        wait_status(has_two_waiting);
        do
                r = client_reap(&here, number(1), 0);
        while (r == -EALREADY);
        ck_assert_int_eq(r, -ENOLINK);
        ck_assert_uint_eq(unit_count_names(unit_path(server_dir, "other")), 2);
        ck_assert_int_eq(keep(1), 0);
        ck_assert_int_eq(keep(2), 0);
        wait_status(has_none);
        restart();
        wait_status(has_none);
        ck_assert_uint_eq(server_status().tags, 0);
        ck_assert_uint_eq(unit_count_names(unit_path(server_dir, "other")), 2);
}
END_TEST

START_TEST(what_was_in_memory_went_with_its_boot)
{
        struct worker w;

        SKIP_UNLESS_ROOT("to mount");
        is_in_memory = true;
        worker_start(&w, 0, make_in_another_view);
        worker_wait(&w);
        server_stop();
        worker_kill(&w);
        restart();
        wait_status(has_two_waiting); /* it is lost, but who knows */
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", "0123456789abcdef0123456789abcdef", 1), 0);
        restart();
        wait_status(has_none);
        restart();
        ck_assert_uint_eq(server_status().tags, 0);
        ck_assert_uint_eq(server_status().directories, 0);
}
END_TEST

/* ---- what the daemon can't look at for the moment ---- */

/* Before there is a worker: they have the mounts of whoever starts them. */
static void set_up_own_mounts(void)
{
        if (geteuid() == 0)
                disk_own_mounts();
        setup();
}

/* The same files, by a mount with another number. */
static void make_when_it_can_be_looked_at(void)
{
        struct client c;

        if (unshare(CLONE_NEWNS) < 0)
                _exit(1);
        worker_pause();
        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != -EIO)
                _exit(2);
        worker_pause();
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(3);
        client_make(&c, 1);
        client_make(&c, 2);
        client_settle(&c);
        worker_pause();
}

START_TEST(what_can_not_be_looked_at_now_is_no_other_view)
{
        struct worker w;
        char mounts[64];

        SKIP_UNLESS_ROOT("to mount");
        worker_start(&w, 0, make_when_it_can_be_looked_at);
        worker_wait(&w);
        (void) snprintf(mounts, sizeof(mounts), "/proc/%d/mountinfo", (int) w.pid);
        ck_assert_int_eq(mount("/proc/self/mem", mounts, NULL, MS_BIND, NULL), 0); /* EIO */
        worker_go_on(&w);
        worker_wait(&w);
        ck_assert_int_eq(umount2(mounts, MNT_DETACH), 0);
        worker_go_on(&w);
        worker_wait(&w);
        ck_assert_uint_eq(unit_count_names(file_path("")), 2);
        server_stop();
        worker_kill(&w);
        restart();
        wait_status(has_none); /* found again by its path */
        ck_assert_uint_eq(unit_count_names(file_path("")), 0);
}
END_TEST

static Suite *foreign_suite(void)
{
        Suite *s = suite_create("foreign");
        TCase *t = tcase_create("foreign"), *blind = tcase_create("blind");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, what_only_a_descriptor_leads_to_is_deleted_through_it);
        tcase_add_test(t, what_nothing_leads_to_any_more_waits_until_it_is_kept);
        tcase_add_test(t, what_was_in_memory_went_with_its_boot);
        suite_add_tcase(s, t);
        tcase_add_checked_fixture(blind, set_up_own_mounts, teardown);
        tcase_set_timeout(blind, 60);
        tcase_add_test(blind, what_can_not_be_looked_at_now_is_no_other_view);
        suite_add_tcase(s, blind);
        return s;
}

int main(void)
{
        return unit_main(foreign_suite());
}
