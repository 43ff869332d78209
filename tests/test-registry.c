/* SPDX-License-Identifier: MIT */

/*
 * The rules: who may register what, and what an owner's end causes. A registry with its server and
 * a store, all in this process; owners are children, which are killed.
 */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "tests/registry-fixture.h"

/* ---- tags ---- */

START_TEST(tag_is_answered_when_it_is_stored)
{
        struct wire_status_reply s;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        s = server_status();
        ck_assert_uint_eq(s.tags, 1);
        ck_assert_uint_eq(s.owners, 1);
        ck_assert_uint_eq(s.directories, 1);
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0); /* said again */
        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), 0);
        s = server_status();
        ck_assert_uint_eq(s.tags, 2);
        ck_assert_uint_eq(s.owners, 1);
        ck_assert_uint_eq(s.directories, 1);
}
END_TEST

static void take_tag(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        worker_pause();
}

START_TEST(tag_of_another_process_is_refused)
{
        struct worker w;
        uint64_t id;

        worker_start(&w, geteuid(), take_tag);
        worker_wait(&w);
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), -EEXIST);
        here.tag = TAG; /* and nothing can be done under it */
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "a-name", WIRE_KIND_FILE, 0, &id),
                         -ENOENT);
        client_report(&here, WIRE_MADE, TAG, 1, WIRE_KIND_FILE, client_name(&here, 1, ""));
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 0);
        worker_kill(&w);
}
END_TEST

START_TEST(what_is_no_directory_of_the_clients_is_refused)
{
        unit_write(file_path("file"), "");
        ck_assert_int_eq(client_tag(&here, 1, file_path("file")), -ENOTDIR);
        if (geteuid() != 0) {
                ck_assert_int_eq(chmod(file_path(""), 0500), 0);
                ck_assert_int_eq(client_tag(&here, 2, file_path("")), -EACCES);
        }
        ck_assert_uint_eq(server_status().tags, 0);
}
END_TEST

/* ---- made and gone ---- */

START_TEST(made_is_listed_until_it_is_gone)
{
        const char *name;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        name = client_name(&here, 1, "");
        client_report(&here, WIRE_MADE, TAG, 1, WIRE_KIND_FILE, name);
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 1);
        client_report(&here, WIRE_GONE, TAG, 1, 0, "");
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 0);
}
END_TEST

START_TEST(what_comes_and_goes_in_one_turn_never_reaches_the_store)
{
        uint64_t before;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        client_settle(&here);
        before = store_committed(served);
        for (unsigned int seq = 1; seq <= 20; seq++) {
                client_report(&here, WIRE_MADE, TAG, seq, WIRE_KIND_FILE,
                              client_name(&here, seq, ""));
                client_report(&here, WIRE_GONE, TAG, seq, 0, "");
        }
        client_settle(&here);
        client_settle(&here);
        ck_assert_uint_eq(store_committed(served), before);
        ck_assert_uint_eq(server_status().live, 0);
}
END_TEST

static void run_idle(void)
{
        while (sd_event_run(event, 0) > 0)
                ;
}

/* In turns of their own, which commit nothing. A machine that is slow takes too long now and then. */
START_TEST(what_comes_and_soon_goes_never_reaches_the_store)
{
        bool is_spared = false;
        uint64_t before;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        client_settle(&here);
        for (unsigned int seq = 1; seq <= 100 && !is_spared; seq++) {
                before = store_committed(served);
                client_report(&here, WIRE_MADE, TAG, seq, WIRE_KIND_FILE,
                              client_name(&here, seq, ""));
                run_idle();
                client_report(&here, WIRE_GONE, TAG, seq, 0, "");
                client_settle(&here);
                is_spared = store_committed(served) == before;
        }
        ck_assert(is_spared);
        ck_assert_uint_eq(server_status().live, 0);
}
END_TEST

START_TEST(a_report_is_written_though_nobody_asks)
{
        uint64_t before;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        client_settle(&here);
        before = store_committed(served);
        client_report(&here, WIRE_MADE, TAG, 1, WIRE_KIND_FILE, client_name(&here, 1, ""));
        while (store_committed(served) == before)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        server_restart();
        ck_assert_uint_eq(server_status().live, 1);
}
END_TEST

START_TEST(name_that_does_not_pass_is_not_taken)
{
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        client_report(&here, WIRE_MADE, TAG, 1, WIRE_KIND_FILE, "precious");
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 0);
}
END_TEST

START_TEST(death_deletes_what_was_made_and_nothing_else)
{
        struct worker w;

        unit_write(file_path("precious"), "");
        worker_start(&w, geteuid(), make_some);
        worker_wait(&w);
        ck_assert_uint_eq(server_status().live, 6);
        ck_assert_int_eq(link(path_under_tag(1), file_path("copy")), 0);
        worker_kill(&w);
        for (unsigned int seq = 1; seq <= 6; seq++)
                wait_path_gone(path_under_tag(seq));
        wait_status(has_no_entries);
        ck_assert(unit_exists(file_path("precious")));
        ck_assert(unit_exists(file_path("copy")));
        ck_assert_uint_eq(server_status().reaped, 6);
}
END_TEST

START_TEST(users_files_are_deleted_as_that_user)
{
        struct worker w;

        SKIP_UNLESS_ROOT("to be another user");
        worker_start(&w, UNIT_NOBODY, make_some);
        worker_wait(&w);
        /* Root's by now: the user may not delete it, and so it stays, and is listed. */
        ck_assert_int_eq(chown(path_under_tag(1), 0, 0), 0);
        worker_kill(&w);
        for (unsigned int seq = 2; seq <= 6; seq++)
                wait_path_gone(path_under_tag(seq));
        ck_assert(unit_exists(path_under_tag(1)));
}
END_TEST

/* An answer lies unread, and after it a report was sent, when it is killed. */
static void leave_an_answer_unread(void)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, 1 } };
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        if (client_say(&c, &m, sizeof(m), NULL, 0) < 0)
                _exit(2);
        worker_pause();
        client_make(&c, 1);
        worker_pause();
}

static void read_byte(struct worker *w)
{
        char byte;

        ck_assert_int_eq(read(w->from, &byte, 1), 1); /* without the loop running */
}

START_TEST(last_report_of_the_dead_is_heard)
{
        struct worker w;

        worker_start(&w, geteuid(), leave_an_answer_unread);
        worker_wait(&w);
        client_settle(&here); /* the answer is sent by now */
        worker_go_on(&w);
        read_byte(&w);
        ck_assert(unit_exists(path_under_tag(1)));
        worker_kill(&w);
        wait_path_gone(path_under_tag(1));
}
END_TEST

/* Asks, reports, and is gone before the answer can be sent. */
static void ask_and_report(void)
{
        struct wire_status q = { { WIRE_VERSION, WIRE_STATUS, 1 } };
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        worker_pause();
        if (client_say(&c, &q, sizeof(q), NULL, 0) < 0)
                _exit(2);
        client_make(&c, 1);
        worker_pause();
}

START_TEST(report_behind_a_question_of_the_dead_is_heard)
{
        struct worker w;

        worker_start(&w, geteuid(), ask_and_report);
        worker_wait(&w);
        worker_go_on(&w);
        read_byte(&w);
        worker_kill(&w); /* now the answer can't be sent, and the report is not read yet */
        wait_path_gone(path_under_tag(1));
}
END_TEST

static void misbehave(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        if (client_say(&c, "bad", 3, NULL, 0) < 0)
                _exit(2);
        worker_pause();
        unit_write(path_under_tag(1), ""); /* nobody is told of it */
        unit_write(file_path("unrelated"), "");
        worker_pause();
}

START_TEST(who_was_cut_off_is_swept_for)
{
        struct worker w;

        worker_start(&w, geteuid(), misbehave);
        worker_wait(&w);
        client_settle(&here);
        worker_go_on(&w);
        worker_wait(&w);
        worker_kill(&w);
        wait_path_gone(path_under_tag(1));
        ck_assert(unit_exists(file_path("unrelated")));
}
END_TEST

static void misbehave_and_die(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        worker_pause();
        if (client_say(&c, "bad", 3, NULL, 0) < 0)
                _exit(2);
        unit_write(path_under_tag(1), ""); /* nobody is told of it */
        worker_pause();
}

/* Its last words are read when it is dead already. */
START_TEST(who_was_cut_off_after_its_end_is_swept_for)
{
        struct worker w;

        worker_start(&w, geteuid(), misbehave_and_die);
        worker_wait(&w);
        worker_go_on(&w);
        read_byte(&w);
        worker_kill(&w);
        wait_path_gone(path_under_tag(1));
}
END_TEST

/* ---- names of the caller's ---- */

static void register_some(void)
{
        struct client c;
        uint64_t id;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        if (client_register(&c, WIRE_RESERVE, "reserved-0123456789ab", WIRE_KIND_FILE, 0, &id) != 0)
                _exit(2);
        unit_write(file_path("reserved-0123456789ab"), "");
        unit_write(file_path("tracked"), "");
        if (client_register(&c, WIRE_TRACK, "tracked", WIRE_KIND_FILE, 0, &id) != 0)
                _exit(3);
        client_make(&c, 1);
        if (client_register(&c, WIRE_TARGET, "target", WIRE_KIND_FILE, 1, &id) != 0)
                _exit(4);
        if (rename(path_under_tag(1), file_path("target")) < 0)
                _exit(5);
        unit_write(file_path("replaced"), "");
        if (client_register(&c, WIRE_TRACK, "replaced", WIRE_KIND_FILE, 0, &id) != 0)
                _exit(6);
        worker_pause();
}

START_TEST(death_deletes_what_was_registered_by_name)
{
        struct worker w;

        worker_start(&w, geteuid(), register_some);
        worker_wait(&w);
        ck_assert_uint_eq(server_status().live, 4);
        unit_write(file_path("new"), "another's");
        ck_assert_int_eq(rename(file_path("new"), file_path("replaced")), 0);
        worker_kill(&w);
        wait_path_gone(file_path("reserved-0123456789ab"));
        wait_path_gone(file_path("tracked"));
        wait_path_gone(file_path("target"));
        wait_status(has_no_entries);
        ck_assert(unit_exists(file_path("replaced")));
}
END_TEST

START_TEST(what_is_not_there_can_not_be_tracked)
{
        uint64_t id;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_TRACK, "none", WIRE_KIND_FILE, 0, &id),
                         -ENOENT);
        ck_assert_int_eq(client_register(&here, WIRE_TARGET, "none", WIRE_KIND_FILE, 9, &id),
                         -ENOENT);
        ck_assert_uint_eq(server_status().live, 0);
}
END_TEST

START_TEST(plain_entry_is_gone_when_its_owner_says_so)
{
        uint64_t id;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, &id),
                         0);
        ck_assert_uint_eq(server_status().live, 1);
        client_report(&here, WIRE_GONE, id, 0, 0, "");
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 0);
}
END_TEST

/* ---- keep ---- */

static void keep_one(void)
{
        struct client c;
        uint64_t id;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        client_make(&c, 1);
        client_make(&c, 2);
        if (client_keep(&c, TAG, 1) != 0)
                _exit(2);
        unit_write(file_path("tracked"), "");
        if (client_register(&c, WIRE_TRACK, "tracked", WIRE_KIND_FILE, 0, &id) != 0 ||
            client_keep(&c, id, 0) != 0)
                _exit(3);
        if (client_keep(&c, TAG, 77) != -ENOENT)
                _exit(4);
        if (client_say(&c, "bad", 3, NULL, 0) < 0) /* so that it will be swept for */
                _exit(5);
        worker_pause();
}

START_TEST(kept_one_stays_though_its_tag_is_swept_for)
{
        struct worker w;

        worker_start(&w, geteuid(), keep_one);
        worker_wait(&w);
        client_settle(&here);
        worker_kill(&w);
        wait_path_gone(path_under_tag(2));
        wait_status(has_no_entries);
        ck_assert(unit_exists(path_under_tag(1)));
        ck_assert(unit_exists(file_path("tracked")));
        server_restart(); /* and again at a start, while its tag is remembered */
        wait_status(has_no_entries);
        ck_assert(unit_exists(path_under_tag(1)));
}
END_TEST

static uint64_t anothers; /* entry */

static void meddle(void)
{
        struct client c;

        client_start(&c);
        if (client_keep(&c, anothers, 0) != -EPERM ||
            client_reap(&c, anothers, WIRE_REAP_FORCE) != -EPERM || client_reap(&c, 0, 0) != -EPERM)
                _exit(1);
        client_report(&c, WIRE_GONE, anothers, 0, 0, "");
        client_settle(&c);
        worker_pause();
}

START_TEST(keeping_is_answered_again_when_the_answer_was_lost)
{
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        client_make(&here, 1);
        ck_assert_int_eq(client_keep(&here, TAG, 1), 0);
        ck_assert_int_eq(client_keep(&here, TAG, 1), 0);
        ck_assert_int_eq(client_keep(&here, UINT64_C(1) << 32 | 1, 0), -ENOENT); /* not to others */
        ck_assert_int_eq(client_keep(&here, TAG, 2), -ENOENT);
}
END_TEST

static pid_t sharer;

static void make_and_share(void)
{
        struct wire_claim m = {
                .ref = { .tag_or_id = TAG, .seq = 1 },
                .owner = { .kind = WIRE_OWNER_PROCESS },
        };
        int pidfd = (int) syscall(SYS_pidfd_open, sharer, 0);
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0)
                _exit(1);
        client_make(&c, 1);
        if (client_ask(&c, &m, sizeof(m), WIRE_CLAIM, pidfd, NULL) != 0)
                _exit(2);
        worker_pause();
}

static void do_nothing(void)
{
        worker_pause();
}

START_TEST(who_shares_with_the_dead_can_still_be_heard)
{
        struct worker maker, other;

        worker_start(&other, geteuid(), do_nothing);
        worker_wait(&other);
        sharer = other.pid;
        worker_start(&maker, geteuid(), make_and_share);
        worker_wait(&maker);
        worker_kill(&maker); /* seen and heard of in one turn of the loop */
        ck_assert_int_eq(client_keep(&here, TAG, 1), 0);
        worker_kill(&other);
        wait_status(has_no_entries);
        ck_assert(unit_exists(path_under_tag(1)));
}
END_TEST

START_TEST(other_users_may_not_keep_or_reap)
{
        struct worker w;

        SKIP_UNLESS_ROOT("to be another user");
        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        ck_assert_int_eq(
                client_register(&here, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, &anothers), 0);
        worker_start(&w, UNIT_NOBODY, meddle);
        worker_wait(&w);
        ck_assert_uint_eq(server_status().live, 1);
        worker_kill(&w);
}
END_TEST

START_TEST(live_one_is_reaped_by_force_only)
{
        uint64_t id;

        ck_assert_int_eq(client_tag(&here, TAG, file_path("")), 0);
        ck_assert_int_eq(client_register(&here, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, &id),
                         0);
        unit_write(file_path("reserved"), "");
        ck_assert_int_eq(client_reap(&here, id, 0), -EBUSY);
        ck_assert(unit_exists(file_path("reserved")));
        ck_assert_int_eq(client_reap(&here, 999, 0), -ENOENT);
        ck_assert_int_eq(client_reap(&here, id, WIRE_REAP_FORCE), 1);
        ck_assert(!unit_exists(file_path("reserved")));
}
END_TEST

static void reserve_one(void)
{
        struct client c;

        client_start(&c);
        if (client_tag(&c, TAG, file_path("")) != 0 ||
            client_register(&c, WIRE_RESERVE, "reserved", WIRE_KIND_FILE, 0, NULL) != 0)
                _exit(1);
        unit_write(file_path("reserved"), "");
        worker_pause();
}

/* Twice it would be counted twice, and its directory be let go of for another. */
START_TEST(one_is_deleted_once_though_it_is_asked_for_and_its_owner_ends)
{
        struct wire_reap m = { .header = { WIRE_VERSION, WIRE_REAP, 77 },
                               .flags = WIRE_REAP_FORCE,
                               .id = 1 /* the first without a tag */ };
        struct worker w;

        worker_start(&w, geteuid(), reserve_one);
        worker_wait(&w);
        ck_assert_int_eq(client_tag(&here, TAG + 1, file_path("")), 0);
        ck_assert_int_eq(client_say(&here, &m, sizeof(m), NULL, 0), 0);
        worker_kill(&w); /* both are heard in the next turn */
        wait_path_gone(file_path("reserved"));
        wait_status(has_no_entries);
        ck_assert_uint_eq(server_status().reaped, 1);
        ck_assert_uint_eq(server_status().directories, 1);
}
END_TEST

static Suite *registry_suite(void)
{
        Suite *s = suite_create("registry");
        TCase *t = tcase_create("registry");

        tcase_add_checked_fixture(t, registry_setup, registry_teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, tag_is_answered_when_it_is_stored);
        tcase_add_test(t, tag_of_another_process_is_refused);
        tcase_add_test(t, what_is_no_directory_of_the_clients_is_refused);
        tcase_add_test(t, made_is_listed_until_it_is_gone);
        tcase_add_test(t, what_comes_and_goes_in_one_turn_never_reaches_the_store);
        tcase_add_test(t, what_comes_and_soon_goes_never_reaches_the_store);
        tcase_add_test(t, a_report_is_written_though_nobody_asks);
        tcase_add_test(t, name_that_does_not_pass_is_not_taken);
        tcase_add_test(t, death_deletes_what_was_made_and_nothing_else);
        tcase_add_test(t, users_files_are_deleted_as_that_user);
        tcase_add_test(t, last_report_of_the_dead_is_heard);
        tcase_add_test(t, report_behind_a_question_of_the_dead_is_heard);
        tcase_add_test(t, who_was_cut_off_is_swept_for);
        tcase_add_test(t, who_was_cut_off_after_its_end_is_swept_for);
        tcase_add_test(t, death_deletes_what_was_registered_by_name);
        tcase_add_test(t, what_is_not_there_can_not_be_tracked);
        tcase_add_test(t, plain_entry_is_gone_when_its_owner_says_so);
        tcase_add_test(t, kept_one_stays_though_its_tag_is_swept_for);
        tcase_add_test(t, keeping_is_answered_again_when_the_answer_was_lost);
        tcase_add_test(t, who_shares_with_the_dead_can_still_be_heard);
        tcase_add_test(t, other_users_may_not_keep_or_reap);
        tcase_add_test(t, live_one_is_reaped_by_force_only);
        tcase_add_test(t, one_is_deleted_once_though_it_is_asked_for_and_its_owner_ends);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(registry_suite());
}
