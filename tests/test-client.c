/* SPDX-License-Identifier: MIT */

/*
 * The client library's conversation, with a daemon that does as it is told: slow, hung, mad, gone
 * and back. What a true daemon makes of it all is test-library's business.
 */

#include "libclient/libtempfile.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "libclient/deadline.h"
#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/stage.h"
#include "tests/testutil.h"

#define SHORT_MSEC 400U /* for those that wait in vain, but on a busy machine */
#define MANY_FILES 1000U
#define GIVEN_TAG UINT64_C(0x123456789abcdef)

/* ---- asking and being answered ---------------------------------------------------------------- */

START_TEST(without_a_daemon_nothing_is_made)
{
        struct tempfile *t = NULL;

        fake_stop();
        ck_assert_int_eq(tempfile_named(&options, &t), -ECONNREFUSED);
        ck_assert_int_eq(tempfile_directory(&options, &t), -ECONNREFUSED);
        ck_assert_ptr_null(t);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(the_directory_is_known_before_a_file_is_made)
{
        struct tempfile *t = NULL;

        options.dir = stage_top;
        (void) tempfile_close(make_file()); /* so that there is a connection */
        options.dir = stage_dir;
        options.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_TAG, FAKE_IGNORE, 0, 0);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 0);
        ck_assert_uint_eq(fake_count_records(WIRE_MADE, get_tag(1).tag), 0);
}
END_TEST

START_TEST(a_refused_directory_is_the_callers_error)
{
        struct tempfile *t = NULL;

        fake_set(WIRE_TAG, FAKE_ANSWER, -EDQUOT, 1);
        ck_assert_int_eq(tempfile_named(&options, &t), -EDQUOT);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(a_tag_that_is_taken_is_drawn_again)
{
        fake_set(WIRE_TAG, FAKE_ANSWER, -EEXIST, 1);
        (void) tempfile_close(make_file());
        ck_assert_uint_ne(get_tag(1).tag, get_tag(2).tag);
}
END_TEST

/* Not what it has drawn itself. */
START_TEST(a_tag_that_the_daemon_gives_is_used)
{
        const uint8_t key[NAME_KEY_SIZE] = { 7 };
        struct tempfile *t;
        const char *name;

        fake_give_tag(GIVEN_TAG);
        t = make_file();
        ck_assert_uint_eq(get_tag(1).flags, WIRE_TAG_ANY);
        ck_assert_uint_ne(get_tag(1).tag, GIVEN_TAG);
        name = strrchr(tempfile_path(t), '/') + 1;
        ck_assert(name_check(GIVEN_TAG, key, name, strlen(name)));
        ck_assert(fake_wait_records(WIRE_MADE, GIVEN_TAG, 1));
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(fake_wait_records(WIRE_GONE, GIVEN_TAG, 1));
        ck_assert_uint_eq(fake_count_records(WIRE_MADE, 0), 1);
}
END_TEST

/* To the daemon that is there then it says the one that it has. */
START_TEST(a_tag_that_was_given_is_said_again)
{
        struct tempfile *t;

        fake_give_tag(GIVEN_TAG);
        t = make_file();
        fake_stop();
        fake_start(stage_socket);
        fake_give_tag(GIVEN_TAG + 1);
        options.pattern = "a.XXXXXXXXXX"; /* is answered: the daemon is looked for at once */
        ck_assert_int_eq(tempfile_close(make_file()), 0);
        ck_assert_uint_eq(get_tag(1).tag, GIVEN_TAG);
        ck_assert_uint_eq(get_tag(1).flags, WIRE_TAG_AGAIN);
        ck_assert_uint_eq(get_tag(1).key[0], 7);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* The answer was lost with the connection; and the next daemon may know nothing of this. */
START_TEST(a_tag_asked_for_again_is_its_own)
{
        struct tempfile *t;

        fake_give_tag(GIVEN_TAG);
        fake_set(WIRE_TAG, FAKE_HANG_UP, 0, 1);
        t = make_file();
        ck_assert_uint_eq(get_tag(1).flags, WIRE_TAG_ANY);
        ck_assert_uint_eq(get_tag(2).flags, 0);
        ck_assert_uint_eq(get_tag(2).tag, get_tag(1).tag);
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, 1));
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(an_older_daemon_is_not_asked_for_any)
{
        ck_assert_int_eq(tempfile_close(make_file()), 0);
        ck_assert_uint_eq(get_tag(1).flags, 0);
}
END_TEST

START_TEST(a_daemon_that_never_greets_costs_no_more_than_the_timeout)
{
        struct tempfile *t = NULL;

        options.timeout_msec = SHORT_MSEC;
        fake_stay_silent(true);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

static void be_interrupted(int sig)
{
}

/* Every 200 microseconds, without SA_RESTART. */
static void shower(int usec)
{
        const struct itimerval storm = { { 0, usec }, { 0, usec } };
        const struct sigaction action = { .sa_handler = be_interrupted };

        ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
        ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
}

/* A socket at which nobody is served and no more may wait. */
static int listen_and_be_full(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), queued;

        ck_assert_uint_lt(strlen(stage_socket), sizeof(address.sun_path));
        (void) strcpy(address.sun_path, stage_socket);
        ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        ck_assert_int_eq(listen(fd, 0), 0);
        do
                queued = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        while (connect(queued, (struct sockaddr *) &address, sizeof(address)) == 0);
        ck_assert_int_eq(errno, EAGAIN);
        return fd;
}

START_TEST(signals_do_not_end_the_wait_for_a_busy_daemon)
{
        struct tempfile *t = NULL;
        uint64_t begun;
        int r, fd;

        fake_stop();
        fd = listen_and_be_full();
        options.timeout_msec = SHORT_MSEC;
        begun = deadline_now();
        shower(200);
        r = tempfile_named(&options, &t);
        shower(0);
        ck_assert_int_eq(r, -ETIMEDOUT);
        ck_assert_uint_ge(deadline_now() - begun, SHORT_MSEC * USEC_PER_MSEC);
        (void) close(fd);
        ck_assert_int_eq(unlink(stage_socket), 0);
}
END_TEST

START_TEST(nonsense_ends_the_connection_and_the_next_call_makes_another)
{
        struct tempfile *t = NULL;

        fake_set(WIRE_TAG, FAKE_GARBAGE, 0, 1);
        ck_assert_int_eq(tempfile_named(&options, &t), -EBADMSG);
        ck_assert_uint_eq(count_files(stage_dir), 0);

        (void) tempfile_close(make_file());
        ck_assert_uint_ge(fake_count(WIRE_HELLO), 2);
}
END_TEST

START_TEST(a_lost_request_is_asked_again_and_says_so)
{
        struct wire_register m;
        struct tempfile *t;

        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_HANG_UP, 0, 1);
        t = make_file();

        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_eq(m.flags, 0);
        ck_assert(fake_wait(WIRE_RESERVE, 2, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_eq(m.flags, WIRE_REGISTER_RESUME);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

/* The first may have been stored, and its new owner have died of the same thing as the daemon. */
START_TEST(a_gift_refused_when_it_is_asked_again_is_left_to_the_daemon)
{
        struct tempfile *t = make_file();
        int pidfd = (int) syscall(SYS_pidfd_open, getppid(), 0);

        ck_assert_int_ge(pidfd, 0);
        fake_set(WIRE_CLAIM, FAKE_HANG_UP, -ESRCH, 1);
        ck_assert_int_eq(tempfile_give(t, pidfd), -ETIMEDOUT);
        ck_assert_int_eq(tempfile_close(t), 0); /* perhaps another's */
        ck_assert_uint_eq(count_files(stage_dir), 1);
        t = make_file();
        fake_set(WIRE_CLAIM, FAKE_ANSWER, -ESRCH, 1); /* at the first time it is sure */
        ck_assert_int_eq(tempfile_give(t, pidfd), -ESRCH);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        (void) close(pidfd);
}
END_TEST

START_TEST(a_late_answer_is_not_taken_for_the_next_one)
{
        struct tempfile *t = make_file();
        struct tempfile_options few = options;

        few.pattern = "a.XXXXXXXXXX";
        few.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_RESERVE, FAKE_LATE, 0, 1);
        ck_assert_int_eq(tempfile_named(&few, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet)); /* the rule for it has been used up */

        fake_set(WIRE_RESERVE, FAKE_ANSWER, -ENOSPC, 1);
        few.timeout_msec = 0;
        ck_assert_int_eq(tempfile_named(&few, &t), -ENOSPC);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_registration_that_comes_through_too_late_is_taken_back)
{
        struct tempfile_options few = options;
        struct tempfile *t = NULL;
        uint32_t serial;

        (void) tempfile_close(make_file());
        few.pattern = "a.XXXXXXXXXX";
        few.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_RESERVE, FAKE_LATE, 0, 1);
        ck_assert_int_eq(tempfile_named(&few, &t), -ETIMEDOUT);

        few.timeout_msec = 0;
        ck_assert_int_eq(tempfile_named(&few, &t), 0); /* reads the late answer on the way */
        (void) tempfile_close(make_file());
        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet));
        serial = wire_header_of(packet.bytes).serial;
        ck_assert(fake_wait_records(WIRE_GONE, FAKE_ID_OF(serial), 1));
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(a_hung_daemon_stops_creation_and_nothing_is_made_unsaid)
{
        struct tempfile *t = make_file();
        unsigned int made = 1;
        int r;

        options.timeout_msec = SHORT_MSEC;
        fake_stop_reading(true);
        while ((r = tempfile_named(&options, &t)) == 0)
                made++;
        ck_assert_int_eq(r, -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), made);

        fake_stop_reading(false);
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, made));
}
END_TEST

/* ---- away and back ---------------------------------------------------------------------------- */

START_TEST(creation_goes_on_while_the_daemon_is_away_and_is_said_when_it_is_back)
{
        struct tempfile *held[3];
        struct wire_tag tag;

        held[0] = make_file();
        tag = get_tag(1);
        fake_stop();
        held[1] = make_file();
        (void) tempfile_close(make_file());
        ck_assert_uint_eq(count_files(stage_dir), 2);

        fake_start(stage_socket);
        options.pattern = "a.XXXXXXXXXX"; /* is answered: the daemon is looked for at once */
        held[2] = make_file();
        ck_assert_uint_eq(get_tag(1).tag, tag.tag);
        ck_assert_mem_eq(get_tag(1).key, tag.key, sizeof(tag.key));
        ck_assert(fake_wait_records(WIRE_MADE, tag.tag, 2));
        ck_assert_uint_eq(fake_count_records(WIRE_MADE, tag.tag), 2);

        for (unsigned int i = 0; i < ARRAY_SIZE(held); i++)
                ck_assert_int_eq(tempfile_close(held[i]), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(what_could_not_be_deleted_is_still_said_to_the_next_daemon)
{
        struct tempfile *t = make_file();

        ck_assert_int_eq(unlink(tempfile_path(t)), 0);
        ck_assert_int_eq(mkdir(tempfile_path(t), 0700), 0);
        ck_assert_int_eq(tempfile_close(t), -EISDIR);

        fake_stop();
        fake_start(stage_socket);
        options.pattern = "a.XXXXXXXXXX";
        (void) tempfile_close(make_file());
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, 1));
}
END_TEST

START_TEST(a_tag_that_a_new_daemon_refuses_is_not_used_again)
{
        struct tempfile *t = make_file();
        uint64_t tag = get_tag(1).tag;

        fake_stop();
        fake_start(stage_socket);
        fake_set(WIRE_TAG, FAKE_ANSWER, -EEXIST, 1);
        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_ANSWER, -ENOENT, 1);
        (void) tempfile_close(make_file());
        ck_assert_uint_eq(get_tag(1).tag, tag);
        ck_assert_uint_ne(get_tag(2).tag, tag);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(gone_rides_along_with_the_next_thing_made)
{
        uint64_t tag;

        for (unsigned int i = 0; i < MANY_FILES; i++)
                (void) tempfile_close(make_file());
        tag = get_tag(1).tag;
        ck_assert(fake_wait_records(WIRE_MADE, tag, MANY_FILES));
        ck_assert_uint_gt(fake_count_records(WIRE_GONE, tag), MANY_FILES - 64);
        ck_assert_uint_lt(fake_count(WIRE_REPORT), MANY_FILES + MANY_FILES / 2);
}
END_TEST

START_TEST(the_first_that_is_gone_is_said_at_once)
{
        struct tempfile *t = make_file();
        uint64_t tag = get_tag(1).tag;

        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert(fake_wait_records(WIRE_GONE, tag, 1));
}
END_TEST

/* We have ended a connection, and the daemon knows of nothing amiss. */
static void make_one_and_end_the_connection(void)
{
        struct tempfile *t = make_file();

        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_GARBAGE, 0, 1);
        ck_assert_int_eq(tempfile_named(&options, &t), -EBADMSG);
        options.pattern = NULL;
        ck_assert_uint_eq(count_files(stage_dir), 1);
}

START_TEST(hung_up_on_before_the_welcome_it_makes_nothing_unsaid)
{
        struct tempfile *t;

        make_one_and_end_the_connection();
        options.timeout_msec = SHORT_MSEC;
        fake_refuse(UINT_MAX);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 1);
}
END_TEST

START_TEST(a_daemon_that_hangs_up_before_the_welcome_is_asked_again)
{
        make_one_and_end_the_connection();
        fake_refuse(3);
        (void) make_file();
        ck_assert(fake_wait_records(WIRE_MADE, get_tag(1).tag, 3)); /* the first twice */
        ck_assert_uint_eq(fake_count(WIRE_HELLO), 2);
}
END_TEST

/* It may have ended before it was known who that is. */
START_TEST(hung_up_on_before_the_first_answer_it_makes_nothing_unsaid)
{
        struct tempfile *t;

        make_one_and_end_the_connection();
        options.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_TAG, FAKE_HANG_UP, 0, 0);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        fake_set(WIRE_TAG, FAKE_IGNORE, 0, 0);
        ck_assert_int_eq(tempfile_named(&options, &t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        fake_set(WIRE_TAG, FAKE_ANSWER, 0, 0);
        options.timeout_msec = 0;
        (void) make_file();
}
END_TEST

/* ---- made without a daemon --------------------------------------------------------------------- */

/* By a pattern, of which no daemon has heard; then one comes. */
static struct tempfile *make_early(uint32_t timeout_msec)
{
        struct tempfile *t;

        fake_stop();
        options.flags = TEMPFILE_BEST_EFFORT;
        options.timeout_msec = timeout_msec;
        options.pattern = "a.XXX";
        t = make_file();
        options.pattern = NULL;
        fake_start(stage_socket);
        return t;
}

/* By the next call of the library, of whatever kind. */
static void have_it_tracked(void)
{
        struct tempfile *other = make_file();

        while (tempfile_is_guaranteed(other) != 1)
                ;
        ck_assert(fake_wait(WIRE_TRACK, 1, &packet));
        ck_assert_int_eq(tempfile_close(other), 0);
}

static struct tempfile *make_early_and_have_it_tracked(uint32_t timeout_msec)
{
        struct tempfile *t = make_early(timeout_msec);

        fake_set(WIRE_TRACK, FAKE_IGNORE, 0, 1);
        have_it_tracked();
        ck_assert_int_eq(tempfile_is_guaranteed(t), 0);
        return t;
}

/* Its timeout is for waiting in vain. */
static void keep_at_last(struct tempfile *t)
{
        int r;

        while ((r = tempfile_keep(t)) == -ETIMEDOUT)
                ;
        ck_assert_int_eq(r, 0);
}

static void check_kept(void)
{
        uint32_t serial;
        struct wire_change m;

        ck_assert(fake_wait(WIRE_TRACK, 1, &packet));
        serial = wire_header_of(packet.bytes).serial;
        ck_assert(fake_wait(WIRE_KEEP, 1, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_eq(m.ref.tag_or_id, FAKE_ID_OF(serial));
        ck_assert_uint_eq(m.ref.seq, 0);
        ck_assert_uint_eq(count_files(stage_dir), 1);
}

/* Its registration is under way: neither may it be called kept, nor may its name become free. */
START_TEST(what_is_being_registered_is_not_let_go_of)
{
        struct tempfile *t = make_early_and_have_it_tracked(SHORT_MSEC);
        char target[PATH_MAX + 8];

        (void) snprintf(target, sizeof(target), "%s/target", stage_dir);
        ck_assert_int_eq(tempfile_keep(t), -ETIMEDOUT);
        ck_assert_int_eq(tempfile_persist(t, target, 0), -ETIMEDOUT);
        ck_assert_uint_eq(fake_count(WIRE_KEEP), 0);
        ck_assert_int_eq(tempfile_close(t), -ETIMEDOUT);
        ck_assert_uint_eq(count_files(stage_dir), 1);
        ck_assert(!path_exists(target));
}
END_TEST

/* That daemon may have it stored: the next one would delete what had only been said to be kept. */
START_TEST(what_a_daemon_may_have_registered_is_kept_when_one_is_there)
{
        struct tempfile *t = make_early_and_have_it_tracked(0);

        fake_stop();
        ck_assert_int_eq(tempfile_keep(t), -ECONNREFUSED);
        fake_start(stage_socket);
        ck_assert_int_eq(tempfile_keep(t), 0);
        check_kept();
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

START_TEST(what_a_daemon_may_have_registered_is_deleted_without_one)
{
        struct tempfile *t = make_early_and_have_it_tracked(0);

        fake_stop();
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 0);
}
END_TEST

START_TEST(what_was_registered_unnoticed_is_kept_by_its_number)
{
        struct tempfile *t = make_early(0);

        have_it_tracked();
        ck_assert_int_eq(tempfile_keep(t), 0);
        check_kept();
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* It asks for it first, which the daemon refuses: so it is nobody else's. */
START_TEST(what_a_daemon_will_not_register_is_kept_without_it)
{
        struct tempfile *t = make_early(0);

        fake_set(WIRE_TRACK, FAKE_ANSWER, -EPERM, 0);
        have_it_tracked();
        ck_assert_int_eq(tempfile_retain(t, 1), -EPERM);
        ck_assert_int_eq(tempfile_keep(t), 0);
        ck_assert_uint_eq(fake_count(WIRE_KEEP), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 1);
}
END_TEST

/* The answer to the registration came too late for the call that asked. */
START_TEST(what_was_made_while_a_daemon_was_slow_is_not_kept_behind_its_back)
{
        struct tempfile *t;

        (void) tempfile_close(make_file());
        options.flags = TEMPFILE_BEST_EFFORT;
        options.timeout_msec = SHORT_MSEC;
        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_IGNORE, 0, 1);
        t = make_file();
        fake_stop();
        ck_assert_int_eq(tempfile_keep(t), -ECONNREFUSED);
        fake_start(stage_socket);
        keep_at_last(t);
        check_kept();
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* The late answer takes nothing back then. */
START_TEST(what_was_made_while_a_daemon_was_slow_can_be_registered_after_all)
{
        struct tempfile *t;
        struct wire_change m;
        uint32_t serial;
        int r;

        (void) tempfile_close(make_file());
        options.flags = TEMPFILE_BEST_EFFORT;
        options.timeout_msec = SHORT_MSEC;
        options.pattern = "a.XXXXXXXXXX";
        fake_set(WIRE_RESERVE, FAKE_LATE, 0, 1);
        t = make_file();
        ck_assert(fake_wait(WIRE_RESERVE, 1, &packet));
        serial = wire_header_of(packet.bytes).serial;
        while ((r = tempfile_retain(t, 9)) == -ETIMEDOUT)
                ;
        ck_assert_int_eq(r, 0);
        ck_assert(fake_wait(WIRE_RETAIN, 1, &packet));
        memcpy(&m, packet.bytes, sizeof(m));
        ck_assert_uint_gt(m.ref.tag_or_id, FAKE_ID_OF(serial)); /* of a TRACK */
        ck_assert_uint_eq(fake_count(WIRE_RESERVE), 1);
        ck_assert_int_eq(tempfile_is_guaranteed(t), 1);
        ck_assert_uint_eq(fake_count_records(WIRE_GONE, FAKE_ID_OF(serial)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
}
END_TEST

/* It may have stored the tag, by which the next one would look for names. */
START_TEST(nor_is_what_was_made_under_a_tag_that_it_has_heard)
{
        struct tempfile *t;

        options.dir = stage_top;
        (void) tempfile_close(make_file()); /* so that there is a connection */
        options.dir = stage_dir;
        options.flags = TEMPFILE_BEST_EFFORT;
        options.timeout_msec = SHORT_MSEC;
        fake_set(WIRE_TAG, FAKE_IGNORE, 0, 1);
        t = make_file();
        fake_stop();
        ck_assert_int_eq(tempfile_keep(t), -ECONNREFUSED);
        fake_start(stage_socket);
        keep_at_last(t);
        ck_assert_uint_ge(fake_count(WIRE_KEEP), 1);
        ck_assert_int_eq(tempfile_close(t), 0);
        ck_assert_uint_eq(count_files(stage_dir), 1);
}
END_TEST

int main(void)
{
        TCase *c = tcase_create("conversation");

        tcase_add_unchecked_fixture(c, stage_make_top, stage_remove_top);
        tcase_add_checked_fixture(c, stage_set_up, stage_tear_down);
        tcase_add_test(c, without_a_daemon_nothing_is_made);
        tcase_add_test(c, the_directory_is_known_before_a_file_is_made);
        tcase_add_test(c, a_refused_directory_is_the_callers_error);
        tcase_add_test(c, a_tag_that_is_taken_is_drawn_again);
        tcase_add_test(c, a_tag_that_the_daemon_gives_is_used);
        tcase_add_test(c, a_tag_that_was_given_is_said_again);
        tcase_add_test(c, a_tag_asked_for_again_is_its_own);
        tcase_add_test(c, an_older_daemon_is_not_asked_for_any);
        tcase_add_test(c, a_daemon_that_never_greets_costs_no_more_than_the_timeout);
        tcase_add_test(c, signals_do_not_end_the_wait_for_a_busy_daemon);
        tcase_add_test(c, nonsense_ends_the_connection_and_the_next_call_makes_another);
        tcase_add_test(c, a_lost_request_is_asked_again_and_says_so);
        tcase_add_test(c, a_gift_refused_when_it_is_asked_again_is_left_to_the_daemon);
        tcase_add_test(c, a_late_answer_is_not_taken_for_the_next_one);
        tcase_add_test(c, a_registration_that_comes_through_too_late_is_taken_back);
        tcase_add_test(c, a_hung_daemon_stops_creation_and_nothing_is_made_unsaid);
        tcase_add_test(c, creation_goes_on_while_the_daemon_is_away_and_is_said_when_it_is_back);
        tcase_add_test(c, what_could_not_be_deleted_is_still_said_to_the_next_daemon);
        tcase_add_test(c, a_tag_that_a_new_daemon_refuses_is_not_used_again);
        tcase_add_test(c, gone_rides_along_with_the_next_thing_made);
        tcase_add_test(c, the_first_that_is_gone_is_said_at_once);
        tcase_add_test(c, hung_up_on_before_the_welcome_it_makes_nothing_unsaid);
        tcase_add_test(c, a_daemon_that_hangs_up_before_the_welcome_is_asked_again);
        tcase_add_test(c, hung_up_on_before_the_first_answer_it_makes_nothing_unsaid);
        tcase_add_test(c, what_is_being_registered_is_not_let_go_of);
        tcase_add_test(c, what_a_daemon_may_have_registered_is_kept_when_one_is_there);
        tcase_add_test(c, what_a_daemon_may_have_registered_is_deleted_without_one);
        tcase_add_test(c, what_was_registered_unnoticed_is_kept_by_its_number);
        tcase_add_test(c, what_a_daemon_will_not_register_is_kept_without_it);
        tcase_add_test(c, what_was_made_while_a_daemon_was_slow_is_not_kept_behind_its_back);
        tcase_add_test(c, what_was_made_while_a_daemon_was_slow_can_be_registered_after_all);
        tcase_add_test(c, nor_is_what_was_made_under_a_tag_that_it_has_heard);
        return run_stage(suite_create("client"), c);
}
