/* SPDX-License-Identifier: MIT */

/*
 * Those who are told what happens: what they are told, that they are not waited for, and that the
 * daemon and its other clients do not notice them.
 */

#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG 4711
#define ORDINARY 65534

static struct client maker, watcher;

static void setup(void)
{
        server_setup();
        client_start(&maker);
        ck_assert_int_eq(client_tag(&maker, TAG, file_path("")), 0);
        client_start(&watcher);
}

static void teardown(void)
{
        client_close(&watcher);
        client_close(&maker);
        server_teardown();
}

static int monitor(struct client *c)
{
        struct wire_monitor m = { 0 };

        return client_ask(c, &m, sizeof(m), WIRE_MONITOR, -1, NULL);
}

/* ---- what it is told ---- */

struct packet {
        size_t len, at;
        uint8_t data[WIRE_PACKET_MAX];
};

static struct wire_events receive_events(struct client *c, struct packet *p)
{
        struct wire_events head;

        p->at = 0;
        p->len = client_receive(c, p->data, sizeof(p->data));
        ck_assert_uint_ge(p->len, sizeof(head));
        memcpy(&head, p->data, sizeof(head));
        ck_assert_uint_eq(head.header.opcode, WIRE_EVENTS);
        ck_assert_uint_gt(head.time_usec, 0);
        return head;
}

/* The next event, which is to be this. */
static void expect(struct packet *p, uint32_t event, const char *name, struct wire_row *ret)
{
        const char *strings[4];

        if (p->at == p->len)
                ck_assert_int_eq(receive_events(&watcher, p).result, 0);
        ck_assert(wire_next_row(p->data, p->len, &p->at, ret, strings));
        ck_assert_uint_eq(ret->event, event);
        ck_assert_str_eq(strings[0], file_path(name));
        ck_assert_uint_eq(ret->uid, geteuid());
}

START_TEST(what_is_made_and_gone_is_told)
{
        static struct packet p;
        struct wire_row row;
        uint64_t id;

        ck_assert_int_eq(monitor(&watcher), 0);
        client_make(&maker, 1);
        expect(&p, WIRE_EVENT_REGISTERED, client_name(&maker, 1, ""), &row);
        ck_assert_uint_eq(row.pid, (uint32_t) getpid());
        ck_assert_uint_eq(row.state, WIRE_STATE_LIVE);
        ck_assert_uint_gt(row.created_usec, 0);
        id = row.id;
        client_report(&maker, WIRE_GONE, TAG, 1, 0, "");
        expect(&p, WIRE_EVENT_GONE, client_name(&maker, 1, ""), &row);
        ck_assert_uint_eq(row.id, id);
        ck_assert_int_eq(unlink(file_path(client_name(&maker, 1, ""))), 0);
}
END_TEST

/* Both in one packet: the store never hears of it. */
START_TEST(what_comes_and_goes_at_once_is_told)
{
        uint8_t buf[512];
        static struct packet p;
        struct wire_row row;
        size_t len = 0;

        ck_assert_int_eq(monitor(&watcher), 0);
        ck_assert_int_eq(wire_add_record(buf, sizeof(buf), &len,
                                         &(struct wire_record) { .what = WIRE_MADE,
                                                                 .kind = WIRE_KIND_FILE,
                                                                 .seq = 7,
                                                                 .tag_or_id = TAG },
                                         client_name(&maker, 7, "")),
                         0);
        ck_assert_int_eq(wire_add_record(buf, sizeof(buf), &len,
                                         &(struct wire_record) {
                                                 .what = WIRE_GONE, .seq = 7, .tag_or_id = TAG },
                                         NULL),
                         0);
        ck_assert_int_eq(client_say(&maker, buf, len, NULL, 0), 0);
        expect(&p, WIRE_EVENT_REGISTERED, client_name(&maker, 7, ""), &row);
        expect(&p, WIRE_EVENT_GONE, client_name(&maker, 7, ""), &row);
}
END_TEST

START_TEST(what_is_asked_for_is_told)
{
        static struct packet p;
        struct wire_row row;
        uint64_t id;

        ck_assert_int_eq(monitor(&watcher), 0);
        ck_assert_int_eq(
                client_register(&maker, WIRE_RESERVE, "abcdefghijklmnop", WIRE_KIND_FILE, 0, &id),
                0);
        expect(&p, WIRE_EVENT_REGISTERED, "abcdefghijklmnop", &row);
        ck_assert_uint_eq(row.id, id);
        ck_assert_int_eq(client_reap(&maker, id, WIRE_REAP_FORCE), 1);
        expect(&p, WIRE_EVENT_REAPED, "abcdefghijklmnop", &row);
        client_make(&maker, 1);
        expect(&p, WIRE_EVENT_REGISTERED, client_name(&maker, 1, ""), &row);
        ck_assert_int_eq(client_keep(&maker, TAG, 1), 0);
        expect(&p, WIRE_EVENT_KEPT, client_name(&maker, 1, ""), &row);
}
END_TEST

/* What can't be deleted, and what is something else by then. */
START_TEST(what_reaping_comes_to_is_told)
{
        static struct packet p;
        struct wire_row row;
        char path[UNIT_PATH_SIZE];

        ck_assert_int_eq(monitor(&watcher), 0);
        client_make(&maker, 1);
        expect(&p, WIRE_EVENT_REGISTERED, client_name(&maker, 1, ""), &row);
        (void) snprintf(path, sizeof(path), "%s", file_path(client_name(&maker, 1, "")));
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        ck_assert_int_eq(client_reap(&maker, row.id, WIRE_REAP_FORCE), -ESTALE);
        expect(&p, WIRE_EVENT_REPLACED, client_name(&maker, 1, ""), &row);
        ck_assert_int_eq(rmdir(path), 0);
        if (geteuid() == 0)
                return; /* nothing is in its way */

        client_make(&maker, 2);
        expect(&p, WIRE_EVENT_REGISTERED, client_name(&maker, 2, ""), &row);
        ck_assert_int_eq(chmod(file_path(""), 0500), 0);
        ck_assert_int_eq(client_reap(&maker, row.id, WIRE_REAP_FORCE), -EACCES);
        expect(&p, WIRE_EVENT_STUCK, client_name(&maker, 2, ""), &row);
        ck_assert_int_eq(row.error, -EACCES);
        ck_assert_uint_eq(row.attempts, 1);
        ck_assert_uint_eq(row.state, WIRE_STATE_STUCK);
        ck_assert_int_eq(client_reap(&maker, row.id, 0), -EACCES);
        expect(&p, WIRE_EVENT_RETRIED, client_name(&maker, 2, ""), &row);
        ck_assert_uint_eq(row.attempts, 2);
        ck_assert_int_eq(chmod(file_path(""), 0700), 0);
}
END_TEST

static void make_one(void)
{
        static struct client c;

        client_start(&c);
        if (client_tag(&c, TAG + 1, file_path("")) != 0)
                _exit(1);
        client_report(&c, WIRE_MADE, TAG + 1, 1, WIRE_KIND_FILE, client_name(&c, 1, ""));
        client_settle(&c);
}

static void watch_others(void)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, 1 } };
        uint8_t buf[WIRE_PACKET_MAX];
        struct client c;

        client_start(&c);
        if (monitor(&c) != 0)
                _exit(1);
        worker_pause(); /* meanwhile something happens that is not its business */
        (void) client_say(&c, &m, sizeof(m), NULL, 0);
        if (client_receive(&c, buf, sizeof(buf)) == 0 ||
            wire_header_of(buf).opcode != WIRE_STATUS_REPLY)
                _exit(1);
}

START_TEST(only_root_is_told_of_others)
{
        static struct packet p;
        struct wire_row row;
        struct worker w;

        if (geteuid() != 0)
                return;
        ck_assert_int_eq(chmod(file_path(""), 0777), 0);
        worker_start(&w, ORDINARY, watch_others);
        worker_wait(&w);
        client_make(&maker, 1);
        client_settle(&maker);
        worker_go_on(&w);
        worker_wait(&w);
        worker_kill(&w);

        ck_assert_int_eq(monitor(&watcher), 0);
        worker_start(&w, ORDINARY, make_one);
        worker_wait(&w);
        ck_assert_int_eq(receive_events(&watcher, &p).result, 0);
        ck_assert(wire_next_row(p.data, p.len, &p.at, &row, (const char *[4]) { 0 }));
        ck_assert_uint_eq(row.uid, ORDINARY);
        worker_kill(&w);
}
END_TEST

/* ---- who does not read ---- */

static void make_and_forget(unsigned int n)
{
        for (unsigned int i = 1; i <= n; i++) {
                client_report(&maker, WIRE_MADE, TAG, i, WIRE_KIND_FILE,
                              client_name(&maker, i, ""));
                client_report(&maker, WIRE_GONE, TAG, i, 0, "");
                if (i % 64 == 0)
                        client_settle(&maker);
        }
        client_settle(&maker);
}

START_TEST(who_does_not_read_is_cut_off)
{
        static struct packet p;
        struct wire_events head;
        uint64_t n = 0;

        ck_assert_int_eq(monitor(&watcher), 0);
        make_and_forget(20000); /* 40,000 events: more than the socket and the queue take */
        do {
                head = receive_events(&watcher, &p);
                n += head.count;
        } while (head.result == 0);
        ck_assert_int_eq(head.result, -EOVERFLOW);
        ck_assert_uint_gt(n, 1000);
        ck_assert_uint_lt(n, 40000);

        make_and_forget(10); /* nobody is told of it any more */
        client_settle(&watcher);
        ck_assert_int_eq(monitor(&watcher), 0);
        make_and_forget(1);
        ck_assert_uint_eq(receive_events(&watcher, &p).result, 0);
}
END_TEST

START_TEST(who_reads_misses_nothing)
{
        static struct packet p;
        uint64_t n = 0;

        ck_assert_int_eq(monitor(&watcher), 0);
        for (unsigned int i = 0; i < 40; i++) {
                make_and_forget(100);
                for (n = 0; n < 200;)
                        n += receive_events(&watcher, &p).count;
                ck_assert_uint_eq(n, 200);
        }
}
END_TEST

START_TEST(one_user_has_so_many)
{
        struct client c[8];

        for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
                client_start(&c[i]);
                ck_assert_int_eq(monitor(&c[i]), 0);
                ck_assert_int_eq(monitor(&c[i]), 0); /* once more is no more */
        }
        ck_assert_int_eq(monitor(&watcher), -EUSERS);
        client_close(&c[0]);
        client_settle(&maker); /* by then that is noticed */
        client_settle(&maker);
        ck_assert_int_eq(monitor(&watcher), 0);
        make_and_forget(1);
        for (size_t i = 1; i < ARRAY_SIZE(c); i++)
                client_close(&c[i]);
}
END_TEST

static Suite *events_suite(void)
{
        Suite *s = suite_create("events");
        TCase *t = tcase_create("events");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, what_is_made_and_gone_is_told);
        tcase_add_test(t, what_comes_and_goes_at_once_is_told);
        tcase_add_test(t, what_is_asked_for_is_told);
        tcase_add_test(t, what_reaping_comes_to_is_told);
        tcase_add_test(t, only_root_is_told_of_others);
        tcase_add_test(t, who_does_not_read_is_cut_off);
        tcase_add_test(t, who_reads_misses_nothing);
        tcase_add_test(t, one_user_has_so_many);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(events_suite());
}
