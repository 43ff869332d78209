/* SPDX-License-Identifier: MIT */

/*
 * Clients that are wrong, hostile, or not who they seem: each ends its own conversation, and
 * nobody else's.
 */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "libclient/util.h"
#include "tests/server-fixture.h"

static struct client bystander; /* who must not suffer */

static void setup(void)
{
        server_setup();
        client_start(&bystander);
        client_settle(&bystander);
}

static void teardown(void)
{
        client_settle(&bystander);
        client_close(&bystander);
        server_teardown();
}

static struct wire_status question(uint32_t serial)
{
        return (struct wire_status) { { WIRE_VERSION, WIRE_STATUS, serial } };
}

/* ---- greeting ---- */

START_TEST(who_does_not_greet_is_cut)
{
        struct wire_status m = question(1);
        struct client c;

        client_dial(&c);
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
        ck_assert(client_is_cut(&c));
        client_close(&c);
}
END_TEST

START_TEST(wrong_nonce_is_cut)
{
        struct wire_hello m = { .header = { WIRE_VERSION, WIRE_HELLO, 0 } };
        struct client c;

        client_dial(&c);
        m.nonce = c.nonce + 1;
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
        ck_assert(client_is_cut(&c));
        client_close(&c);
}
END_TEST

START_TEST(nonces_differ)
{
        struct client a, b;

        client_dial(&a);
        client_dial(&b);
        ck_assert_uint_ne(a.nonce, b.nonce);
        client_close(&a);
        client_close(&b);
}
END_TEST

START_TEST(status_is_answered)
{
        struct wire_status_reply s;
        struct wire_status m = question(99);
        uint8_t buf[WIRE_PACKET_MAX];
        struct client c;

        client_start(&c);
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_gt(client_receive(&c, buf, sizeof(buf)), sizeof(s));
        memcpy(&s, buf, sizeof(s));
        ck_assert_uint_eq(s.header.serial, 99);
        ck_assert_int_eq(s.result, 0);
        ck_assert_uint_eq(s.pid, (uint32_t) getpid());
        ck_assert_uint_eq(s.connections, 2);
        ck_assert_uint_eq(s.live, 0);
        ck_assert_str_eq((char *) buf + sizeof(s), PACKAGE_VERSION);
        client_close(&c);
}
END_TEST

/* ---- bytes ---- */

START_TEST(packet_of_another_length_is_cut)
{
        static const size_t lengths[] = { 1, 7, 9, 16 };
        uint8_t buf[64] = { 0 };
        struct wire_status m = question(1);
        struct client c;

        client_start(&c);
        client_settle(&c);
        memcpy(buf, &m, sizeof(m));
        ck_assert_int_eq(client_say(&c, buf, lengths[_i], NULL, 0), 0);
        ck_assert(client_is_cut(&c));
        client_close(&c);
}
END_TEST

START_TEST(packet_too_large_is_cut)
{
        static uint8_t buf[WIRE_PACKET_MAX + 1];
        struct wire_status m = question(1);
        struct client c;

        client_start(&c);
        client_settle(&c);
        memcpy(buf, &m, sizeof(m));
        ck_assert_int_eq(client_say(&c, buf, sizeof(buf), NULL, 0), 0);
        ck_assert(client_is_cut(&c));
        client_close(&c);
}
END_TEST

START_TEST(empty_packet_ends_the_conversation)
{
        struct client c;

        client_start(&c);
        client_settle(&c);
        ck_assert_int_eq(client_say(&c, "", 0, NULL, 0), 0);
        ck_assert(client_is_cut(&c));
        client_close(&c);
}
END_TEST

START_TEST(what_is_not_known_is_answered)
{
        struct wire_status m = question(5);
        struct wire_result result;
        struct client c;

        client_start(&c);
        m.header.opcode = 999;
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_eq(client_receive(&c, &result, sizeof(result)), sizeof(result));
        ck_assert_int_eq(result.result, -EOPNOTSUPP);
        ck_assert_uint_eq(result.header.serial, 5);
        m = question(6);
        m.header.version = 999;
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_eq(client_receive(&c, &result, sizeof(result)), sizeof(result));
        ck_assert_int_eq(result.result, -EPROTONOSUPPORT);
        client_settle(&c);
        client_close(&c);
}
END_TEST

/* ---- what a damaged database shows ---- */

static struct wire_rows list(struct client *c, uint64_t cursor)
{
        struct wire_list m = { { WIRE_VERSION, WIRE_LIST, 1 }, cursor, 0, 0, 0, 0 };
        uint8_t buf[WIRE_PACKET_MAX];
        struct wire_rows rows;

        ck_assert_int_eq(client_say(c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_ge(client_receive(c, buf, sizeof(buf)), sizeof(rows));
        memcpy(&rows, buf, sizeof(rows));
        return rows;
}

START_TEST(rows_that_make_no_sense_are_listed_and_spoil_no_others)
{
        static char long_text[2 * WIRE_PACKET_MAX];
        struct store_owner o = { .id = 1000, .kind = 99, .command = long_text };
        struct store_directory d = { 1000, "/d", { "identity", 8 }, true };
        struct store_entry bad = { .kind = 77, .state = 55, .name = "bad", .owner = 1000 };
        struct store_entry good = { .kind = WIRE_KIND_FILE, .name = "good", .owner = 1000 };

        memset(long_text, 'x', sizeof(long_text) - 1);
        bad.directory = good.directory = 1000;
        good.state = WIRE_STATE_LIVE;
        ck_assert_int_eq(store_add_owner(served, &o), 0);
        ck_assert_int_eq(store_add_directory(served, &d), 0);
        ck_assert_int_eq(store_put_entry(served, &bad), 0);
        ck_assert_int_eq(store_put_entry(served, &good), 0);
        ck_assert_int_eq(store_change_entry(served, bad.id, 55, 12345, 1, 0, long_text), 0);
        ck_assert_int_eq(store_commit(served), 0);
        ck_assert_uint_eq(list(&bystander, 0).count, 2);
        ck_assert_uint_eq(list(&bystander, 0).cursor, 0);
}
END_TEST

/* ---- descriptors ---- */

static unsigned int count_descriptors(void)
{
        return unit_count_names("/proc/self/fd");
}

static bool has_descriptors(void *wanted)
{
        return count_descriptors() <= *(unsigned int *) wanted;
}

START_TEST(descriptors_not_wanted_are_cut_and_closed)
{
        static const unsigned int counts[] = { 1, 2, 3, 4, 9 };
        struct wire_status m = question(1);
        int fds[9], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        unsigned int before;
        struct client c;

        client_start(&c);
        client_settle(&c);
        before = count_descriptors();
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = null;
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), fds, counts[_i]), 0);
        ck_assert(client_is_cut(&c));
        ck_assert(unit_run_until(event, has_descriptors, &before)); /* closed by workers */
        client_close(&c);
        close_fd(null);
}
END_TEST

START_TEST(missing_descriptor_is_cut)
{
        struct wire_tag m = { .header = { WIRE_VERSION, WIRE_TAG, 1 }, .tag = 1, .path_len = 1 };
        uint8_t buf[sizeof(m) + 2] = { 0 };
        struct client c;

        client_start(&c);
        client_settle(&c);
        memcpy(buf, &m, sizeof(m));
        buf[sizeof(m)] = '/';
        ck_assert_int_eq(client_say(&c, buf, sizeof(buf), NULL, 0), 0);
        ck_assert(client_is_cut(&c));
        client_close(&c);
}
END_TEST

/* ---- who speaks ---- */

struct stranger {
        struct client *client;
        size_t len;
        unsigned int n_fds;
};

static int speak(void *userdata)
{
        static uint8_t buf[WIRE_PACKET_MAX + 1];
        struct stranger *s = userdata;
        struct wire_status m = question(77);
        int fds[9] = { 0 };

        memcpy(buf, &m, sizeof(m));
        return client_say(s->client, buf, s->len, fds, s->n_fds) < 0 ? 1 : 0;
}

START_TEST(who_inherited_the_descriptor_is_not_heard)
{
        static const struct {
                size_t len;
                unsigned int n_fds;
        } packets[] = { { 8, 0 }, { 3, 0 }, { 8, 1 }, { 8, 9 }, { WIRE_PACKET_MAX + 1, 0 } };
        struct client c;

        client_start(&c);
        client_settle(&c);
        for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
                struct stranger s = { &c, packets[i].len, packets[i].n_fds };

                ck_assert_int_eq(unit_in_child(speak, &s), 0);
                client_settle(&c); /* the answer is to this, and it is the first that comes */
        }
        client_close(&c);
}
END_TEST

/* ---- too much ---- */

static bool is_over(void *userdata)
{
        struct wire_status_reply s = server_status();

        return s.connections == 1;
}

START_TEST(who_asks_and_does_not_read_is_cut)
{
        struct wire_status m = question(1);
        struct client c;
        int r = 0;

        client_start(&c);
        for (unsigned int i = 0; i < 100000 && (r == 0 || r == -EAGAIN); i++) {
                r = client_say(&c, &m, sizeof(m), NULL, 0);
                if (r == -EAGAIN)
                        ck_assert_int_ge(sd_event_run(event, 0), 0);
                if (i % 1000 == 0)
                        client_settle(&bystander);
        }
        ck_assert(r == -EPIPE || r == -ECONNRESET);
        ck_assert(unit_run_until(event, is_over, NULL));
        client_close(&c);
}
END_TEST

START_TEST(answers_that_wait_come_when_they_are_read)
{
        struct wire_status m = question(0);
        uint8_t buf[WIRE_PACKET_MAX];
        unsigned int sent = 0;
        struct client c;

        client_start(&c);
        while (sent < 200) { /* more than the socket takes at once, fewer than it is cut for */
                m.header.serial = sent;
                ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
                sent++;
                if (sent % 50 == 0)
                        client_settle(&bystander);
        }
        for (unsigned int i = 0; i < sent; i++) {
                ck_assert_uint_gt(client_receive(&c, buf, sizeof(buf)), 0);
                ck_assert_uint_eq(wire_header_of(buf).serial, i);
        }
        client_close(&c);
}
END_TEST

START_TEST(many_come_and_go)
{
        struct client c[50];

        for (size_t i = 0; i < ARRAY_SIZE(c); i++)
                client_dial(&c[i]);
        ck_assert_uint_eq(server_status().connections, 51);
        for (size_t i = 0; i < ARRAY_SIZE(c); i++)
                client_close(&c[i]);
        ck_assert(unit_run_until(event, is_over, NULL));
}
END_TEST

static Suite *conn_suite(void)
{
        Suite *s = suite_create("conn");
        TCase *t = tcase_create("conn");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, who_does_not_greet_is_cut);
        tcase_add_test(t, wrong_nonce_is_cut);
        tcase_add_test(t, nonces_differ);
        tcase_add_test(t, status_is_answered);
        tcase_add_loop_test(t, packet_of_another_length_is_cut, 0, 4);
        tcase_add_test(t, packet_too_large_is_cut);
        tcase_add_test(t, empty_packet_ends_the_conversation);
        tcase_add_test(t, what_is_not_known_is_answered);
        tcase_add_test(t, rows_that_make_no_sense_are_listed_and_spoil_no_others);
        tcase_add_loop_test(t, descriptors_not_wanted_are_cut_and_closed, 0, 5);
        tcase_add_test(t, missing_descriptor_is_cut);
        tcase_add_test(t, who_inherited_the_descriptor_is_not_heard);
        tcase_add_test(t, who_asks_and_does_not_read_is_cut);
        tcase_add_test(t, answers_that_wait_come_when_they_are_read);
        tcase_add_test(t, many_come_and_go);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(conn_suite());
}
