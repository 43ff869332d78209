/* SPDX-License-Identifier: MIT */

/*
 * Reports through memory that a client shares with the daemon: heard as those on the socket are, in
 * order with them, and after the client's death; and read for few at a time.
 */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "libclient/ring.h"
#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG 4711
#define ALL 64 /* that are read */
#define OF_USER 16

static struct client c;
static struct ring *ring;

static void start(void)
{
        client_start(&c);
        ck_assert_int_eq(client_tag(&c, TAG, file_path("")), 0);
        ring = client_ring(&c);
        client_settle(&c);
}

static void set_up(void)
{
        server_setup();
        start();
}

static void tear_down(void)
{
        ring_free(ring);
        client_close(&c);
        server_teardown();
}

/* @n_more: packets that it claims to have sent before, and has not. */
static void put(unsigned int what, unsigned int seq, unsigned int n_more)
{
        const struct wire_record record = {
                .what = (uint8_t) what,
                .kind = what == WIRE_MADE ? WIRE_KIND_FILE : 0,
                .seq = seq,
                .tag_or_id = TAG,
        };
        const char *name = what == WIRE_MADE ? client_name(&c, seq, "") : NULL;
        uint8_t buf[512];
        size_t len = 0;

        ck_assert_int_eq(wire_add_record(buf, sizeof(buf), &len, &record, name), 0);
        ck_assert(ring_put(ring, buf, len, c.n_sent + n_more));
}

static void make(unsigned int seq)
{
        put(WIRE_MADE, seq, 0);
        unit_write(file_path(client_name(&c, seq, "")), "");
}

static void expect_live(uint64_t n)
{
        client_settle(&c);
        ck_assert_uint_eq(server_status().live, n);
}

/* ---- hearing ---- */

START_TEST(what_is_reported_there_is_heard)
{
        put(WIRE_MADE, 1, 0);
        put(WIRE_MADE, 2, 0);
        expect_live(2);
        put(WIRE_GONE, 1, 0);
        expect_live(1);
        put(WIRE_GONE, 2, 0);
        expect_live(0);
}
END_TEST

START_TEST(order_holds_between_the_two)
{
        for (unsigned int seq = 1; seq < 20; seq += 2) {
                client_report(&c, WIRE_MADE, TAG, seq, WIRE_KIND_FILE, client_name(&c, seq, ""));
                put(WIRE_GONE, seq, 0);
                put(WIRE_MADE, seq + 1, 0);
                client_report(&c, WIRE_GONE, TAG, seq + 1, 0, "");
        }
        expect_live(0);
}
END_TEST

START_TEST(what_is_asked_is_about_what_was_reported_there)
{
        put(WIRE_MADE, 1, 0);
        ck_assert_int_eq(client_keep(&c, TAG, 1), 0);
        expect_live(0);
}
END_TEST

static bool is_read(void *userdata)
{
        return ring_state(ring) == RING_READ;
}

static bool is_asleep(void *userdata)
{
        return ring_state(ring) == RING_ASLEEP;
}

static bool has_two(const struct wire_status_reply *s)
{
        return s->live == 2;
}

START_TEST(it_is_read_while_reports_come_and_not_after)
{
        ck_assert(is_asleep(NULL));
        client_report(&c, WIRE_MADE, TAG, 1, WIRE_KIND_FILE, client_name(&c, 1, ""));
        ck_assert(unit_run_until(event, is_read, NULL));
        put(WIRE_MADE, 2, 0);
        wait_status(has_two);
        ck_assert(unit_run_until(event, is_asleep, NULL));
}
END_TEST

/* ---- the end ---- */

static void make_there(void)
{
        start();
        make(1);
        make(2);
}

START_TEST(what_the_dead_have_reported_there_is_deleted)
{
        struct worker w;

        worker_start(&w, geteuid(), make_there);
        c.tag = TAG;
        worker_wait(&w);
        ck_assert(unit_exists(file_path(client_name(&c, 1, ""))));
        worker_kill(&w);
        wait_path_gone(file_path(client_name(&c, 1, "")));
        wait_path_gone(file_path(client_name(&c, 2, "")));
}
END_TEST

/* It says that it was after something that never came. */
static void claim_too_much(void)
{
        start();
        put(WIRE_MADE, 1, 1);
        unit_write(file_path(client_name(&c, 1, "")), "");
}

/* It may be seen at once. */
static void write_and_be_cut(const void *packet, size_t len)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, 1 } };

        start();
        unit_write(file_path(client_name(&c, 1, "")), "");
        ck_assert(ring_put(ring, packet, len, c.n_sent));
        (void) client_say(&c, &m, sizeof(m), NULL, 0);
        if (!client_is_cut(&c) || ring_state(ring) != RING_OVER)
                _exit(1);
}

static void write_noise(void)
{
        write_and_be_cut("not a packet", 12);
}

static void write_a_question(void)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, 1 } };

        write_and_be_cut(&m, sizeof(m));
}

static void (*const wrong[])(void) = { claim_too_much, write_noise, write_a_question };

START_TEST(what_makes_no_sense_ends_that_client_and_its_files_are_found)
{
        struct client bystander;
        struct worker w;

        client_start(&bystander);
        worker_start(&w, geteuid(), wrong[_i]);
        c.tag = TAG;
        worker_wait(&w);
        ck_assert(unit_exists(file_path(client_name(&c, 1, ""))));
        client_settle(&bystander);
        client_close(&bystander);
        worker_kill(&w);
        wait_path_gone(file_path(client_name(&c, 1, "")));
}
END_TEST

/* ---- whose are read ---- */

START_TEST(the_newest_is_read)
{
        struct ring *first = ring;

        put(WIRE_MADE, 1, 0);
        ring = client_ring(&c);
        put(WIRE_MADE, 2, 0);
        expect_live(2);
        ck_assert_int_eq(ring_state(first), RING_OVER);
        ck_assert_int_eq(ring_state(ring), RING_ASLEEP);
        ring_free(first);
}
END_TEST

/* Another user than root has a share, which is no other's. */
START_TEST(who_does_not_use_it_makes_room_for_another)
{
        const unsigned int n = geteuid() == 0 ? ALL : OF_USER;
        struct client others[ALL];
        struct ring *rings[ALL];

        for (unsigned int i = 0; i < n; i++) {
                ck_assert_int_eq(ring_state(ring), RING_ASLEEP);
                client_start(&others[i]);
                rings[i] = client_ring(&others[i]);
                client_settle(&others[i]);
        }
        ck_assert_int_eq(ring_state(ring), RING_OVER);
        ck_assert_int_eq(ring_state(rings[0]), RING_ASLEEP);
        ring_free(ring);
        ring = client_ring(&c);
        put(WIRE_MADE, 1, 0);
        expect_live(1);
        ck_assert_int_eq(ring_state(rings[0]), RING_OVER);
        for (unsigned int i = 0; i < n; i++) {
                ring_free(rings[i]);
                client_close(&others[i]);
        }
}
END_TEST

static bool has_one_connection(void *userdata)
{
        return server_status().connections == 1;
}

START_TEST(who_has_gone_makes_room)
{
        struct client other;
        struct ring *its;

        for (unsigned int i = 0; i < ALL; i++) {
                client_start(&other);
                its = client_ring(&other);
                client_settle(&other);
                client_close(&other);
                ck_assert(unit_run_until(event, has_one_connection, NULL));
                ck_assert_int_eq(ring_state(its), RING_OVER);
                ring_free(its);
        }
        ck_assert_int_eq(ring_state(ring), RING_ASLEEP);
}
END_TEST

static int open_file(void)
{
        return open(file_path("file"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}

static int open_unsealed(void)
{
        int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_eq(ftruncate(fd, 20480), 0);
        return fd;
}

static int open_small(void)
{
        int fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
        return fd;
}

static int (*const others[])(void) = { open_file, open_unsealed, open_small };

START_TEST(what_is_no_ring_ends_that_client)
{
        struct wire_ring m = { { WIRE_VERSION, WIRE_RING, 1 } };
        struct client other;
        int fd = others[_i]();

        ck_assert_int_ge(fd, 0);
        client_start(&other);
        ck_assert_int_eq(client_say(&other, &m, sizeof(m), &fd, 1), 0);
        ck_assert(client_is_cut(&other));
        client_close(&other);
        close_fd(fd);
        put(WIRE_MADE, 1, 0);
        expect_live(1);
}
END_TEST

START_TEST(with_its_end_the_daemon_says_so)
{
        server_stop();
        ck_assert_int_eq(ring_state(ring), RING_OVER);
        server_restart();
}
END_TEST

static Suite *make_suite(void)
{
        Suite *s = suite_create("rings");
        TCase *t = tcase_create("rings");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, what_is_reported_there_is_heard);
        tcase_add_test(t, order_holds_between_the_two);
        tcase_add_test(t, what_is_asked_is_about_what_was_reported_there);
        tcase_add_test(t, it_is_read_while_reports_come_and_not_after);
        tcase_add_test(t, the_newest_is_read);
        tcase_add_test(t, who_does_not_use_it_makes_room_for_another);
        tcase_add_test(t, who_has_gone_makes_room);
        tcase_add_loop_test(t, what_is_no_ring_ends_that_client, 0, ARRAY_SIZE(others));
        tcase_add_test(t, with_its_end_the_daemon_says_so);
        suite_add_tcase(s, t);

        t = tcase_create("ends");
        tcase_add_checked_fixture(t, server_setup, server_teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, what_the_dead_have_reported_there_is_deleted);
        tcase_add_loop_test(t, what_makes_no_sense_ends_that_client_and_its_files_are_found, 0,
                            ARRAY_SIZE(wrong));
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(make_suite());
}
