/* SPDX-License-Identifier: MIT */

/*
 * A client of release 0.1.0, whose language is version 1, at today's daemon: its packets as they
 * were, byte by byte. Uses nothing of wire.h or name.h, and is never adapted to them: when this
 * fails, programs that run while the daemon is upgraded are no longer understood. What the machine
 * decides on is filled in: the nonce, the path of the directory, numbers that the daemon gives.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/testutil.h"

#define DIRECTORY_LEN 30 /* "/tmp/tempfiled-test-XXXXXX/dir" */

#define TAG "\xef\xcd\xab\x89\x67\x45\x23\x01"
#define KEY "key of version 1"
#define NAME_1 "v1-063UfDVRKBz0000100Ghwf"
#define NAME_2 "v1-063UfDVRKBz000020QnMut"
#define NAME_3 "v1-063UfDVRKBz0000322PJOa"

/* version, opcode, serial; nonce; features, reserved */
#define WELCOME "\x01\x00\x01\x00\x00\x00\x00\x00"
#define HELLO "\x01\x00\x02\x00\x00\x00\x00\x00" NONCE ZERO_8
#define NONCE ZERO_8 /* filled in */
#define ZERO_8 "\x00\x00\x00\x00\x00\x00\x00\x00"

/* ...; tag; key; length of path, reserved, flags; path */
#define TAG_FIRST "\x01\x00\x04\x00\x01\x00\x00\x00" TAG KEY "\x1e\x00\x00\x00\x00\x00\x00\x00"
#define TAG_AGAIN "\x01\x00\x04\x00\x05\x00\x00\x00" TAG KEY "\x1e\x00\x00\x00\x02\x00\x00\x00"

/* ...; count, reserved, reserved; of each: what, kind, length of name, number; tag; name */
#define MADE_1 "\x01\x01\x19\x00\x01\x00\x00\x00" TAG NAME_1 "\x00"
#define MADE_2 "\x01\x01\x19\x00\x02\x00\x00\x00" TAG NAME_2 "\x00"
#define MADE_3 "\x01\x01\x19\x00\x03\x00\x00\x00" TAG NAME_3 "\x00"
#define GONE_2 "\x02\x00\x00\x00\x02\x00\x00\x00" TAG "\x00"
#define REPORT_FIRST                                                                               \
        "\x01\x00\x05\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00" MADE_1 MADE_2 MADE_3    \
                GONE_2
#define REPORT_AGAIN "\x01\x00\x05\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00" MADE_1

/* ...; what, kind, length of name, number; the entry's id, filled in; no name */
#define SETTLED                                                                                    \
        "\x01\x00\x05\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"                         \
        "\x03\x00\x00\x00\x00\x00\x00\x00" ZERO_8 "\x00"

/* ...; tag, number; reserved, argument, reserved */
#define KEEP_3 "\x01\x00\x0a\x00\x02\x00\x00\x00" TAG "\x03\x00\x00\x00\x00\x00\x00\x00" ZERO_8

/* ...; tag; number, retention; owner: kind, lease, token; kind, reserved, length, flags; name */
#define MINE "reserved-for-itself-0123456789"
#define RESERVE_MINE                                                                               \
        "\x01\x00\x06\x00\x03\x00\x00\x00" TAG ZERO_8 "\x01\x00\x00\x00\x00\x00\x00\x00" ZERO_8    \
        "\x01\x00\x1e\x00\x00\x00\x00\x00" MINE "\x00"
#define RESERVE_AGAIN                                                                              \
        "\x01\x00\x06\x00\x06\x00\x00\x00" TAG ZERO_8 "\x01\x00\x00\x00\x00\x00\x00\x00" ZERO_8    \
        "\x01\x00\x1e\x00\x01\x00\x00\x00" MINE "\x00"
#define LEASED "reserved-for-a-lease-0123456789"
#define RESERVE_LEASED                                                                             \
        "\x01\x00\x06\x00\x04\x00\x00\x00" TAG ZERO_8 "\x05\x00\x00\x00\x10\x0e\x00\x00" ZERO_8    \
        "\x01\x00\x1f\x00\x00\x00\x00\x00" LEASED "\x00"

/* Of an array or a literal, without the NUL that C adds. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static struct world world;

static void set_up(void)
{
        world_init(&world);
        ck_assert_uint_eq(strlen(world.dir), DIRECTORY_LEN);
        world_start_daemon(&world);
}

static void tear_down(void)
{
        world_done(&world);
}

/* ---- packets ---- */

static int doorbell = -1;

/* With descriptor @fd, unless that is -1; rings. */
static void say(int to, const void *bytes, size_t len, int fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { 0 };
        struct iovec iov = { (void *) bytes, len };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                m.msg_control = &u;
                m.msg_controllen = sizeof(u);
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
        }
        ck_assert_int_eq(sendmsg(to, &m, MSG_NOSIGNAL), len);
        ck_assert_int_eq(write(doorbell, &(uint64_t) { 1 }, 8), 8);
}

/* Takes a RESULT that begins with these 16 bytes: header, result, reserved. Returns the id. */
static uint64_t expect(int from, const char *literal)
{
        unsigned char m[64];
        uint64_t id;

        ck_assert_int_eq(recv(from, m, sizeof(m), 0), 24);
        ck_assert_mem_eq(m, literal, 16);
        memcpy(&id, m + 16, sizeof(id));
        return id;
}

/* Once the daemon is there: up to the WELCOME, whose nonce goes into @nonce. */
static int dial(char nonce[8])
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u;
        unsigned char welcome[64];
        struct iovec iov = { welcome, sizeof(welcome) };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
        };
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", getenv("TEMPFILED_SOCKET"));
        while (connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0) {
                ck_assert(errno == ENOENT || errno == ECONNREFUSED);
                (void) nanosleep(&(struct timespec) { .tv_nsec = 10000000 }, NULL);
        }
        ck_assert_int_eq(recvmsg(fd, &m, MSG_CMSG_CLOEXEC), 24);
        ck_assert_mem_eq(welcome, WELCOME, 8);
        ck_assert_mem_eq(welcome + 20, ZERO_8, 4);
        ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&m));
        ck_assert_int_eq(CMSG_FIRSTHDR(&m)->cmsg_type, SCM_RIGHTS);
        memcpy(&doorbell, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
        memcpy(nonce, welcome + 8, 8);
        return fd;
}

static int greet(void)
{
        char hello[] = HELLO;
        int fd = dial(hello + 8);

        say(fd, BYTES(hello), -1);
        return fd;
}

static void say_tag(int to, const char *literal)
{
        char packet[40 + DIRECTORY_LEN + 1];
        int directory = open(world.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_int_ge(directory, 0);
        memcpy(packet, literal, 40);
        memcpy(packet + 40, world.dir, DIRECTORY_LEN + 1);
        say(to, packet, sizeof(packet), directory);
        (void) close(directory);
}

/* ---- a program that lives through an upgrade ---- */

static void talk(int fd)
{
        char settled[] = SETTLED;
        uint64_t id;

        say_tag(fd, TAG_FIRST);
        (void) expect(fd, "\x01\x00\x03\x00\x01\x00\x00\x00" ZERO_8);
        write_file(world_path(&world, NAME_1), "");
        write_file(world_path(&world, NAME_3), "");
        say(fd, BYTES(REPORT_FIRST), -1);
        say(fd, BYTES(KEEP_3), -1);
        (void) expect(fd, "\x01\x00\x03\x00\x02\x00\x00\x00" ZERO_8);

        say(fd, BYTES(RESERVE_MINE), -1);
        ck_assert_uint_ne(expect(fd, "\x01\x00\x03\x00\x03\x00\x00\x00" ZERO_8), 0);
        write_file(world_path(&world, MINE), "");
        say(fd, BYTES(RESERVE_LEASED), -1);
        id = expect(fd, "\x01\x00\x03\x00\x04\x00\x00\x00" ZERO_8);
        write_file(world_path(&world, LEASED), "");
        memcpy(settled + 24, &id, sizeof(id));
        say(fd, BYTES(settled), -1);
}

static void talk_again(int fd)
{
        say_tag(fd, TAG_AGAIN);
        (void) expect(fd, "\x01\x00\x03\x00\x05\x00\x00\x00" ZERO_8);
        say(fd, BYTES(REPORT_AGAIN), -1);
        say(fd, BYTES(RESERVE_AGAIN), -1);
        (void) expect(fd, "\x01\x00\x03\x00\x06\x00\x00\x00" ZERO_8);
}

static int live(int to, void *userdata)
{
        char byte;
        int fd = greet();

        talk(fd);
        victim_say(to, "talked");
        ck_assert_int_le(recv(fd, &byte, 1, 0), 0); /* that daemon has ended */
        (void) close(fd);
        talk_again(greet());
        victim_say(to, "talked again");
        victim_wait();
}

static void expect_files(bool lives)
{
        ck_assert_int_eq(path_exists(world_path(&world, NAME_1)), lives);
        ck_assert_int_eq(path_exists(world_path(&world, MINE)), lives);
        ck_assert(path_exists(world_path(&world, NAME_3))); /* kept */
        ck_assert(path_exists(world_path(&world, LEASED)));
}

START_TEST(version_1_is_understood_across_an_upgrade)
{
        struct victim v;
        char said[64];

        victim_start(&v, live, NULL);
        ck_assert(victim_hear(&v, said, sizeof(said)));
        ck_assert(wait_list_length(3)); /* not the one that is gone, nor the kept one */
        expect_files(true);

        ck_assert_int_eq(daemon_fixture_stop(&world.daemon), 0);
        world_start_daemon(&world);
        ck_assert(victim_hear(&v, said, sizeof(said)));
        ck_assert_str_eq(said, "talked again");
        ck_assert(wait_list_length(3));
        expect_files(true);

        victim_kill(&v, SIGKILL);
        ck_assert(wait_left(world.dir, 2));
        ck_assert(wait_list_length(1)); /* the lease's */
        expect_files(false);
}
END_TEST

/* ---- a program that is newer than the daemon ---- */

#define STATUS_1 "\x01\x00\x22\x00\x08\x00\x00\x00"
#define STATUS_2 "\x02\x00\x22\x00\x07\x00\x00\x00"
#define REFUSED "\xa3\xff\xff\xff\x00\x00\x00\x00" /* -EPROTONOSUPPORT, reserved */

/* It is told so, and may go on in version 1. */
START_TEST(higher_versions_are_refused_and_the_connection_lives)
{
        char hello[] = HELLO;
        unsigned char reply[1024];
        int fd = dial(hello + 8);

        hello[0] = 2;
        say(fd, BYTES(hello), -1);
        (void) expect(fd, "\x01\x00\x03\x00\x00\x00\x00\x00" REFUSED);
        hello[0] = 1;
        say(fd, BYTES(hello), -1);
        say(fd, BYTES(STATUS_2), -1);
        (void) expect(fd, "\x01\x00\x03\x00\x07\x00\x00\x00" REFUSED);
        say(fd, BYTES(STATUS_1), -1);
        ck_assert_int_ge(recv(fd, reply, sizeof(reply), 0), 472);
        ck_assert_mem_eq(reply, "\x01\x00\x23\x00\x08\x00\x00\x00", 8);
        (void) close(fd);
}
END_TEST

static Suite *version_1_suite(void)
{
        Suite *s = suite_create("wire-v1");
        TCase *c = tcase_create("wire-v1");
        const char *reason = *(const uint8_t *) &(uint16_t) { 1 } == 1
                                     ? NULL
                                     : "recorded on a little-endian machine";

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 60);
        add_unless(c, reason, version_1_is_understood_across_an_upgrade);
        add_unless(c, reason, higher_versions_are_refused_and_the_connection_lives);
        suite_add_tcase(s, c);
        return s;
}

int main(void)
{
        SRunner *r = srunner_create(version_1_suite());
        int failed;

        srunner_run_all(r, CK_ENV);
        failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
