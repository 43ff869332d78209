/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/attack-fixture.h"

#include <glob.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "libclient/util.h"

struct world world;

static int says = -1; /* in a child */

/* ---- the stage ---- */

void attack_set_up(void)
{
        world_init(&world);
        (void) snprintf(client_socket, sizeof(client_socket), "%.100s", world.daemon.socket);
        put_directory(at("alice"), ALICE, 0777);
        put_directory(at("mallory"), MALLORY, 0700);
        put_directory(at("shared"), 0, 01777);
        put_directory(at("root"), 0, 0755);
        world_start_daemon(&world);
}

void attack_tear_down(void)
{
        world_done(&world);
}

const char *at(const char *format, ...)
{
        static char paths[8][PATH_MAX];
        static unsigned int n;
        char *path = paths[n++ % ARRAY_SIZE(paths)];
        va_list args;
        int len;

        len = snprintf(path, sizeof(paths[0]), "%s/", world.top);
        va_start(args, format);
        (void) vsnprintf(path + len, sizeof(paths[0]) - (size_t) len, format, args);
        va_end(args);
        return path;
}

void put_file(const char *path, uid_t uid)
{
        write_file(path, "precious");
        ck_assert_int_eq(lchown(path, uid, uid), 0);
}

void put_directory(const char *path, uid_t uid, mode_t mode)
{
        ck_assert_msg(mkdir(path, mode) == 0, "%s: %s", path, strerror(errno));
        ck_assert_int_eq(lchown(path, uid, uid), 0);
        ck_assert_int_eq(chmod(path, mode), 0); /* whatever the umask */
}

bool is_precious(const char *path)
{
        return file_has(path, "precious");
}

const char *moved_aside(const char *directory)
{
        static char path[PATH_MAX];
        glob_t g;

        ck_assert_int_eq(glob(at("%s/.tempfiled-*", directory), 0, NULL, &g), 0);
        ck_assert_uint_eq(g.gl_pathc, 1);
        (void) snprintf(path, sizeof(path), "%s", g.gl_pathv[0]);
        globfree(&g);
        return path;
}

/* ---- the players ---- */

void become(uid_t uid)
{
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                _exit(126);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change has cleared it */
}

struct role {
        uid_t uid;
        attack_fn body;
        void *userdata;
        bool lives_on;
};

static int play(int to, void *userdata)
{
        const struct role *role = userdata;
        struct client c;
        int r;

        says = to;
        become(role->uid);
        client_start(&c);
        r = role->body(&c, role->userdata);
        if (r == 0 && role->lives_on) {
                victim_say(to, "done");
                victim_wait();
        }
        return r;
}

void run_as(uid_t uid, attack_fn body, void *userdata)
{
        struct role role = { uid, body, userdata, false };
        struct victim v;

        victim_start(&v, play, &role);
        ck_assert_int_eq(victim_join(&v), 0);
}

void start_as(struct victim *v, uid_t uid, attack_fn body, void *userdata)
{
        struct role role = { uid, body, userdata, true };
        char said[16] = "";

        victim_start(v, play, &role);
        ck_assert_msg(victim_hear(v, said, sizeof(said)), "it ended with %d", victim_join(v));
        ck_assert_str_eq(said, "done");
}

void attack_say(const char *text)
{
        victim_say(says, text);
}

/* ---- what they do ---- */

static uint64_t enter(struct client *c, uint16_t opcode, const char *name, unsigned int kind)
{
        uint64_t id = 0;
        int r = client_register(c, opcode, name, kind, 0, &id);

        ck_assert_msg(r == 0, "%s: %s", name, strerror(-r));
        ck_assert_uint_gt(id, 0);
        return id;
}

uint64_t track(struct client *c, const char *name)
{
        return enter(c, WIRE_TRACK, name, WIRE_KIND_FILE);
}

uint64_t reserve(struct client *c, const char *name, unsigned int kind)
{
        return enter(c, WIRE_RESERVE, name, kind);
}

/* ---- the daemon ---- */

static struct wire_status_reply ask_status(struct client *c)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, ++c->serial } };
        uint8_t buf[WIRE_PACKET_MAX];
        struct wire_status_reply s;

        ck_assert_int_eq(client_say(c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_gt(client_receive(c, buf, sizeof(buf)), sizeof(s));
        memcpy(&s, buf, sizeof(s));
        ck_assert_uint_eq(s.header.opcode, WIRE_STATUS_REPLY);
        ck_assert_int_eq(s.result, 0);
        return s;
}

struct wire_status_reply daemon_status(void)
{
        struct wire_status_reply s;
        struct client c;

        client_start(&c);
        s = ask_status(&c);
        client_close(&c);
        return s;
}

/* Each question takes its time at the daemon: this does not spin on its own. Check's limit bounds
 * it. */
void wait_daemon(bool (*is_right)(const struct wire_status_reply *s))
{
        struct wire_status_reply s;
        struct client c;

        client_start(&c);
        do {
                s = ask_status(&c);
                (void) usleep(1000);
        } while (!is_right(&s));
        client_close(&c);
}

bool nothing_is_left(const struct wire_status_reply *s)
{
        return s->live + s->reaping + s->retained + s->stuck + s->waiting == 0;
}

bool nothing_happens(const struct wire_status_reply *s)
{
        return s->live + s->reaping == 0;
}

/* ---- suites ---- */

TCase *attack_case(Suite *s, const char *name)
{
        TCase *c = tcase_create(name);

        tcase_set_timeout(c, 30);
        tcase_add_checked_fixture(c, attack_set_up, attack_tear_down);
        suite_add_tcase(s, c);
        return c;
}

int attack_main(Suite *s)
{
        SRunner *r = srunner_create(s);
        int failed = 0;

        if (geteuid() == 0) {
                srunner_run_all(r, CK_ENV);
                failed = srunner_ntests_failed(r);
        } else
                (void) puts(
                        "1..0 # SKIP needs root: attacks are tried by two users on root's daemon");
        srunner_free(r);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
