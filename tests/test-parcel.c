/* SPDX-License-Identifier: MIT */

/*
 * What goes in comes out, in that order; and what was cut short or made up gives nothing.
 */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "daemon/identity.h"
#include "daemon/parcel.h"
#include "libclient/util.h"
#include "tests/unit.h"

static int ends[2];

static void setup(void)
{
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void teardown(void)
{
        (void) close(ends[0]);
        ends[1] = close_fd(ends[1]);
}

static const struct identity some = { .ino = 7, .mode = S_IFDIR, .handle_len = 3, .handle = "abc" };

static void fill(struct parcel *p)
{
        parcel_put_number(p, UINT64_MAX);
        parcel_put_text(p, "text");
        parcel_put_text(p, NULL);
        parcel_put_text(p, "");
        parcel_put_identity(p, &some);
        parcel_put(p, "bytes", 5);
}

static bool is_as_filled(struct parcel *p)
{
        _cleanup_(freep) char *text = NULL, *none = NULL, *empty = NULL;
        struct identity i;
        char bytes[6] = "";
        uint64_t n;

        n = parcel_get_number(p);
        text = parcel_get_text(p);
        none = parcel_get_text(p);
        empty = parcel_get_text(p);
        parcel_get_identity(p, &i);
        parcel_get(p, bytes, 5);
        return !p->is_bad && n == UINT64_MAX && text && streq(text, "text") && !none && empty &&
               streq(empty, "") && identity_compare_object(&some, &i) == IDENTITY_SAME &&
               streq(bytes, "bytes");
}

START_TEST(what_went_in_comes_out)
{
        struct parcel p = PARCEL_INIT, q = PARCEL_INIT;
        struct stat a, b;

        fill(&p);
        p.fd = open("/", O_PATH | O_CLOEXEC);
        ck_assert_int_eq(parcel_send(ends[0], &p), 0);
        ck_assert_int_eq(parcel_receive(ends[1], &q), 0);
        ck_assert(is_as_filled(&q));
        ck_assert_uint_eq(q.at, q.len);
        ck_assert_int_eq(fstat(p.fd, &a), 0);
        ck_assert_int_eq(fstat(q.fd, &b), 0);
        ck_assert_uint_eq(a.st_ino, b.st_ino);
        ck_assert_int_ne(fcntl(q.fd, F_GETFD) & FD_CLOEXEC, 0);
        (void) parcel_get_number(&q); /* there is no more */
        ck_assert(q.is_bad);
        parcel_done(&p);
        parcel_done(&q);
}
END_TEST

START_TEST(what_is_cut_short_is_bad_and_stays_inside)
{
        struct parcel p = PARCEL_INIT, q = PARCEL_INIT;

        fill(&p);
        for (size_t len = 0; len < p.len; len++) {
                q = (struct parcel) PARCEL_INIT;
                parcel_put(&q, p.data, len);
                ck_assert(!is_as_filled(&q));
                ck_assert(q.is_bad);
                parcel_done(&q);
        }
        parcel_done(&p);
}
END_TEST

START_TEST(lengths_that_lie_are_bad)
{
        const uint64_t lies[] = { UINT64_MAX, UINT64_MAX - 7, 1 << 20, 6 };
        struct parcel p = PARCEL_INIT;
        char *text;

        parcel_put_number(&p, lies[_i]);
        parcel_put(&p, "abcdef", 6); /* no NUL */
        text = parcel_get_text(&p);
        ck_assert_ptr_null(text);
        ck_assert(p.is_bad);
        parcel_done(&p);
}
END_TEST

START_TEST(who_ends_halfway_has_sent_nothing)
{
        struct parcel p = PARCEL_INIT;
        const uint64_t len = 100, huge = UINT64_MAX;

        if (_i > 0)
                ck_assert_int_eq(send(ends[0], _i < 3 ? &len : &huge, _i == 1 ? 3 : 8, 0),
                                 _i == 1 ? 3 : 8);
        ck_assert_int_eq(shutdown(ends[0], SHUT_WR), 0);
        ck_assert_int_eq(parcel_receive(ends[1], &p), _i < 3 ? -ECONNRESET : -EBADMSG);
        ck_assert_ptr_null(p.data);
        ck_assert_int_eq(p.fd, -1);
        ends[1] = close_fd(ends[1]);
        ck_assert_int_eq(parcel_send(ends[0], &p), -ECONNRESET);
}
END_TEST

static Suite *suite_of_parcel(void)
{
        Suite *s = suite_create("parcel");
        TCase *t = tcase_create("parcel");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, what_went_in_comes_out);
        tcase_add_test(t, what_is_cut_short_is_bad_and_stays_inside);
        tcase_add_loop_test(t, lengths_that_lie_are_bad, 0, 4);
        tcase_add_loop_test(t, who_ends_halfway_has_sent_nothing, 0, 4);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(suite_of_parcel());
}
