/* SPDX-License-Identifier: MIT */

/*
 * Floods: Mallory does what anybody may do, from several processes, as fast as they can. Alice, who
 * comes meanwhile, is to be served nearly as if nothing were: what she waits for is compared with
 * what she waits for when nobody else is there, and with a time that nobody minds.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "libclient/util.h"
#include "tests/attack-fixture.h"

#define FLOODERS 3U
#define VISITS 15U
#define HARMLESS_USEC 2000000U /* nobody minds */
#define TIMES 100U             /* as long as alone, else */

/* ---- Alice ---- */

static uint64_t now_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* A program's whole life: it comes, registers its directory and a name, and goes. */
static void visit(unsigned int i)
{
        struct client c;
        char name[32];

        (void) snprintf(name, sizeof(name), "visit-%d-%u", (int) getpid(), i);
        client_start(&c);
        ck_assert_int_eq(client_tag(&c, ALICES_TAG + (uint64_t) getpid() * VISITS + i, at("alice")),
                         0);
        (void) reserve(&c, name, WIRE_KIND_FILE);
        client_close(&c);
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static int come_often(int to, void *userdata)
{
        uint64_t took[VISITS], began;
        char text[64];

        become(ALICE);
        for (unsigned int i = 0; i < VISITS; i++) {
                began = now_usec();
                visit(i);
                took[i] = now_usec() - began;
        }
        qsort(took, VISITS, sizeof(*took), compare);
        (void) snprintf(text, sizeof(text), "%" PRIu64, took[VISITS / 2]);
        victim_say(to, text);
        return 0;
}

/* What half of her visits take at most. */
static uint64_t let_alice_come(void)
{
        struct victim v;
        char text[64];
        uint64_t usual;

        victim_start(&v, come_often, NULL);
        ck_assert_msg(victim_hear(&v, text, sizeof(text)), "it ended with %d", victim_join(&v));
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert_int_eq(sscanf(text, "%" SCNu64, &usual), 1);
        return usual;
}

/* ---- Mallory ---- */

/* Sometimes there is no place in the queue, or she has had too much of it: both end at once. */
static int dial(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", client_socket);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                return close_fd(fd);
        return fd;
}

static void connect_and_close(void)
{
        close_fd(dial());
}

static void connect_and_hear(void)
{
        uint8_t buf[WIRE_PACKET_MAX];
        int fd = dial();

        (void) !recv(fd, buf, sizeof(buf), 0);
        close_fd(fd);
}

static void connect_many_and_close(void)
{
        int fds[500];

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = dial();
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close_fd(fds[i]);
}

/* Up to the last byte of the greeting, which is wrong. */
static void greet_wrongly(void)
{
        struct wire_hello m = { .header = { WIRE_VERSION, WIRE_HELLO, 0 } };
        struct client c;

        client_dial(&c);
        m.nonce = ~c.nonce;
        (void) client_say(&c, &m, sizeof(m), NULL, 0);
        client_close(&c);
}

static struct client mallory; /* hers for the whole flood; greeted when it is used first */
static unsigned int counter = 1;

static void be_connected(void)
{
        if (mallory.nonce == 0) {
                client_start(&mallory);
                ck_assert_int_eq(
                        client_tag(&mallory, MALLORYS_TAG + (uint64_t) getpid(), at("mallory")), 0);
        }
}

/* Good ones, and as many at a time as one may have. What they name does not exist. */
static void register_many(void)
{
        uint8_t buf[WIRE_PACKET_MAX];
        struct wire_register m = { .header = { WIRE_VERSION, WIRE_RESERVE, 0 },
                                   .owner.kind = WIRE_OWNER_PROCESS,
                                   .kind = WIRE_KIND_FILE };

        be_connected();
        m.tag = mallory.tag;
        for (unsigned int i = 0; i < 100; i++) {
                m.name_len = (uint16_t) snprintf((char *) buf + sizeof(m), 64, "m-%d-%u",
                                                 (int) getpid(), counter++);
                m.header.serial = counter;
                memcpy(buf, &m, sizeof(m));
                ck_assert_int_eq(client_say(&mallory, buf, sizeof(m) + m.name_len + 1U, NULL, 0),
                                 0);
        }
        for (unsigned int i = 0; i < 100; i++)
                ck_assert_uint_gt(client_receive(&mallory, buf, sizeof(buf)), 0);
}

static void report_many(void)
{
        be_connected();
        for (unsigned int i = 0; i < 100; i++, counter++) {
                client_report(&mallory, WIRE_MADE, mallory.tag, counter, WIRE_KIND_FILE,
                              client_name(&mallory, counter, ""));
                client_report(&mallory, WIRE_GONE, mallory.tag, counter, 0, "");
        }
}

/* Until she is cut off for it; then again. */
static void ask_and_never_read(void)
{
        struct wire_list m = { .header = { WIRE_VERSION, WIRE_LIST, 1 } };
        struct client c;

        client_start(&c);
        while (client_say(&c, &m, sizeof(m), NULL, 0) == 0)
                ;
        client_close(&c);
}

static const struct flood {
        const char *name;
        void (*once)(void);
} floods[] = {
        { "connections that are closed at once", connect_and_close },
        { "connections that are closed when they are welcome", connect_and_hear },
        { "connections by the hundred", connect_many_and_close },
        { "half conversations", greet_wrongly },
        { "registrations", register_many },
        { "reports", report_many },
        { "questions whose answers are not read", ask_and_never_read },
};

static int flood(int to, void *userdata)
{
        const struct flood *f = userdata;

        become(MALLORY);
        f->once();
        victim_say(to, "");
        while (getppid() > 1)
                f->once();
        return 0;
}

/* ---- both ---- */

START_TEST(flood_of_one_user_leaves_others_served)
{
        const struct flood *f = &floods[_i];
        struct victim v[FLOODERS];
        uint64_t alone, beside;
        char said[4];

        world_kill_daemon(&world);
        world.daemon.durability = "crash"; /* others keep the disk busy, too */
        world_start_daemon(&world);
        alone = let_alice_come();
        for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
                victim_start(&v[i], flood, (void *) f);
                ck_assert(victim_hear(&v[i], said, sizeof(said)));
        }
        beside = let_alice_come();
        for (size_t i = 0; i < ARRAY_SIZE(v); i++)
                victim_kill(&v[i], SIGKILL);

        ck_assert_msg(beside <= MAX(TIMES * alone, (uint64_t) HARMLESS_USEC),
                      "%s: she waited for %" PRIu64 " us, alone for %" PRIu64, f->name, beside,
                      alone);
        wait_daemon(nothing_is_left);
        (void) let_alice_come();
}
END_TEST

static Suite *floods_suite(void)
{
        Suite *s = suite_create("floods");
        TCase *t = attack_case(s, "floods");

        tcase_set_timeout(t, 60);
        tcase_add_loop_test(t, flood_of_one_user_leaves_others_served, 0, ARRAY_SIZE(floods));
        return s;
}

int main(void)
{
        return attack_main(floods_suite());
}
