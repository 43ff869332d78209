/* SPDX-License-Identifier: MIT */

/*
 * What does not go well: what can't be deleted now, daemons that are started anew, a full disk.
 */

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "libclient/util.h"
#include "tests/registry-fixture.h"

/* ---- stuck ---- */

static void make_in_own_directory(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("own")) != 0)
                _exit(1);
        client_report(&c, WIRE_MADE, TAG, 1, WIRE_KIND_FILE, client_name(&c, 1, ""));
        unit_write(unit_path(file_path("own"), client_name(&c, 1, "")), "");
        client_settle(&c);
        worker_pause();
}

static bool has_stuck(const struct wire_status_reply *s)
{
        return s->stuck == 1;
}

static void get_stuck(struct worker *w)
{
        uid_t uid = geteuid() == 0 ? UNIT_NOBODY : geteuid();

        ck_assert_int_eq(mkdir(file_path("own"), 0700), 0);
        if (geteuid() == 0)
                ck_assert_int_eq(chown(file_path("own"), uid, uid), 0);
        worker_start(w, uid, make_in_own_directory);
        worker_wait(w);
        ck_assert_int_eq(chmod(file_path("own"), 0500), 0);
        worker_kill(w);
        wait_status(has_stuck);
        ck_assert_int_eq(chmod(file_path("own"), 0700), 0);
}

START_TEST(stuck_one_is_tried_again_when_it_is_due)
{
        struct worker w;

        get_stuck(&w);
        wait_path_gone(
                unit_path(file_path("own"), client_name(&(struct client) { .tag = TAG }, 1, "")));
        wait_status(has_no_entries);
}
END_TEST

START_TEST(stuck_one_is_tried_when_asked_for)
{
        struct worker w;

        get_stuck(&w);
        ck_assert_int_eq(client_reap(&here, 0, 0), 1);
        ck_assert_int_eq(client_reap(&here, 0, 0), 0);
        wait_status(has_no_entries);
}
END_TEST

static bool has_waiting(const struct wire_status_reply *s)
{
        return s->waiting == 6;
}

START_TEST(one_whose_directory_is_away_waits_and_is_not_dropped)
{
        struct worker w;

        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        server_stop(); /* with the descriptor that it has kept */
        ck_assert_int_eq(rename(file_path(""), unit_path(server_dir, "away")), 0);
        worker_kill(&w);
        server_restart();
        wait_status(has_waiting);
        ck_assert_int_eq(rename(unit_path(server_dir, "away"), file_path("")), 0);
        for (unsigned int seq = 1; seq <= 6; seq++)
                wait_path_gone(path_under_tag(seq));
        wait_status(has_no_entries);
}
END_TEST

/* ---- restart ---- */

START_TEST(owner_found_alive_again_is_watched)
{
        struct worker w;

        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        server_restart();
        ck_assert_uint_eq(server_status().live, 6);
        client_close(&here);
        client_start(&here);
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 6);
        unit_write(path_under_tag(7), ""); /* made while nobody listened */
        worker_kill(&w);
        for (unsigned int seq = 1; seq <= 7; seq++)
                wait_path_gone(path_under_tag(seq));
        wait_status(has_no_entries);
}
END_TEST

START_TEST(who_died_meanwhile_is_reaped_at_the_start)
{
        struct worker w;

        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        server_stop();
        unit_write(path_under_tag(7), "");
        worker_kill(&w);
        server_restart();
        for (unsigned int seq = 1; seq <= 7; seq++)
                wait_path_gone(path_under_tag(seq));
        wait_status(has_no_entries);
}
END_TEST

static bool has_one_dead_tag(const struct wire_status_reply *s)
{
        return has_no_entries(s) && s->tags == 1;
}

START_TEST(tombstone_stays_until_the_disk_has_it)
{
        struct worker w;
        struct statfs fs;

        ck_assert_int_eq(statfs(server_dir, &fs), 0);
        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        worker_kill(&w);
        wait_path_gone(path_under_tag(6));
        if ((uint32_t) fs.f_type == TMPFS_MAGIC) {
                wait_status(is_empty);
                SKIP("the file system is one in memory");
        }
        wait_status(has_one_dead_tag);
        server_restart();
        wait_status(has_one_dead_tag);
        ck_assert_uint_eq(server_status().owners, 1);
}
END_TEST

/* ---- a full disk ---- */

START_TEST(full_disk_is_said_and_all_goes_on_after_it)
{
        struct worker w;
        uint64_t id;

        (void) signal(SIGXFSZ, SIG_IGN);
        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        server_fill_disk();
        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), -ENOSPC);
        client_report(&here, WIRE_MADE, TAG + 1, 1, WIRE_KIND_FILE, "x");
        client_settle(&here);
        worker_kill(&w); /* deletion goes on */
        for (unsigned int seq = 1; seq <= 6; seq++)
                wait_path_gone(path_under_tag(seq));
        server_limit_files(RLIM_INFINITY);
        wait_status(has_no_entries);
        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, &id),
                         0);
        server_restart();
        ck_assert_uint_eq(server_status().live, 1); /* with owner, directory and tag */
        ck_assert_uint_ge(server_status().tags, 1);
}
END_TEST

/* It is known by then, and all that refers to it would be lost with the daemon. */
START_TEST(owner_that_could_not_be_stored_is_stored_with_the_next_tag)
{
        uint64_t id;

        (void) signal(SIGXFSZ, SIG_IGN);
        server_fill_disk();
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), -ENOSPC);
        server_limit_files(RLIM_INFINITY);
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, &id),
                         0);
        server_restart();
        ck_assert_uint_eq(server_status().owners, 1);
        ck_assert_uint_eq(server_status().tags, 1);
        ck_assert_uint_eq(server_status().live, 1);
}
END_TEST

START_TEST(gone_is_not_lost_on_a_full_disk)
{
        uint64_t id;

        (void) signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "reserved-0123456789ab",
                                         WIRE_KIND_FILE, 0, &id),
                         0);
        ck_assert_uint_eq(server_status().live, 1);
        server_fill_disk();
        client_report(&here, WIRE_GONE, id, 0, 0, "");
        ck_assert_int_eq(client_tag(&here, TAG + 2, file_path("")), -ENOSPC); /* and that too */
        server_limit_files(RLIM_INFINITY);
        wait_status(has_no_entries);
}
END_TEST

static void leave_no_room(void)
{
        server_limit_files(4096); /* too little for a page of the log, which is started over */
}

/* What the start has to write down must be: deadlines by this boot's clock, whom to suspect. */
START_TEST(full_disk_at_the_start_ends_it_and_nothing_is_lost)
{
        struct worker w;
        uint64_t id;

        (void) signal(SIGXFSZ, SIG_IGN);
        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        server_before_load = leave_no_room;
        ck_assert_int_eq(server_restart_fails(), -ENOSPC);
        server_before_load = NULL;
        server_limit_files(RLIM_INFINITY);
        server_restart();
        client_close(&here);
        client_start(&here);
        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, &id),
                         0);
        worker_kill(&w);
        for (unsigned int seq = 1; seq <= 6; seq++)
                wait_path_gone(path_under_tag(seq));
}
END_TEST

static Suite *registry_faults_suite(void)
{
        Suite *s = suite_create("registry-faults");
        TCase *t = tcase_create("faults");

        tcase_add_checked_fixture(t, registry_setup, registry_teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, stuck_one_is_tried_again_when_it_is_due);
        tcase_add_test(t, stuck_one_is_tried_when_asked_for);
        tcase_add_test(t, one_whose_directory_is_away_waits_and_is_not_dropped);
        tcase_add_test(t, owner_found_alive_again_is_watched);
        tcase_add_test(t, who_died_meanwhile_is_reaped_at_the_start);
        tcase_add_test(t, tombstone_stays_until_the_disk_has_it);
        tcase_add_test(t, full_disk_is_said_and_all_goes_on_after_it);
        tcase_add_test(t, owner_that_could_not_be_stored_is_stored_with_the_next_tag);
        tcase_add_test(t, gone_is_not_lost_on_a_full_disk);
        tcase_add_test(t, full_disk_at_the_start_ends_it_and_nothing_is_lost);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(registry_faults_suite());
}
