/* SPDX-License-Identifier: MIT */

/*
 * What one user may have, with root's true daemon: over a limit there is a clear error, others go on
 * being served, and what is made is deleted all the same.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tests/attack-fixture.h"

#define MANY 12U

static char config[PATH_MAX];

/* Starts the daemon again with that. */
static void set_limit(const char *key, unsigned int value)
{
        char text[128];

        (void) snprintf(config, sizeof(config), "%s", at("limits.conf"));
        (void) snprintf(text, sizeof(text), "[Limits]\n%s=%u\n", key, value);
        write_file(config, text);
        world_kill_daemon(&world);
        world.daemon.config = config;
        world_start_daemon(&world);
}

static int make_in(const char *directory)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;

        o.dir = directory;
        return tempfile_named(&o, &t);
}

static unsigned int n_files(const char *directory)
{
        DIR *dir = opendir(at("%s", directory));
        unsigned int n = 0;

        ck_assert_ptr_nonnull(dir);
        for (struct dirent *e; (e = readdir(dir));)
                n += e->d_name[0] != '.';
        (void) closedir(dir);
        return n;
}

/* Alice does not notice anything. The error, if she does. */
static int live_normally(struct client *c, void *userdata)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int r = 0;

        o.dir = at("alice");
        for (unsigned int i = 0; r >= 0 && i < MANY; i++) {
                r = tempfile_named(&o, &t);
                if (r >= 0)
                        r = tempfile_close(t);
        }
        write_file(at("alice/tracked"), "");
        if (r >= 0)
                r = tempfile_track(at("alice/tracked"), &o, &t); /* has an answer */
        return -r;
}

static void alice_is_served(void)
{
        run_as(ALICE, live_normally, NULL);
}

/* ---- entries ---- */

static int make_many(struct client *c, void *userdata)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t = NULL;

        o.dir = at("mallory");
        for (unsigned int i = 0; i < MANY; i++)
                if (tempfile_named(&o, &t) < 0)
                        return 1;
        if (tempfile_keep(t) != -EDQUOT) /* the last is in no list */
                return 2;
        write_file(at("mallory/tracked"), "");
        return tempfile_track(at("mallory/tracked"), &o, &t) == -EDQUOT ? 0 : 3;
}

static bool has_five(const struct wire_status_reply *s)
{
        return s->live == 5;
}

START_TEST(what_is_in_no_list_is_deleted_all_the_same)
{
        struct wire_status_reply s;
        struct victim v;

        set_limit("MaxEntries", 5);
        start_as(&v, MALLORY, make_many, NULL);
        ck_assert_uint_eq(n_files("mallory"), MANY + 1);
        wait_daemon(has_five);
        s = daemon_status();
        ck_assert_uint_gt(s.refused, 0);
        ck_assert_uint_eq(s.limit, WIRE_LIMIT_ENTRIES);
        ck_assert_uint_eq(s.limit_uid, MALLORY);
        ck_assert_uint_eq(s.limit_used, 5);
        ck_assert_uint_eq(s.limit_max, 5);
        alice_is_served();
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_is_left);
        ck_assert_uint_eq(n_files("mallory"), 1); /* what could not be tracked */
}
END_TEST

static int track_one(struct client *c, void *userdata)
{
        int r = client_tag(c, MALLORYS_TAG, at("mallory"));

        if (r < 0)
                return r == -EDQUOT ? 0 : 1;
        return 2;
}

static int hold_five(struct client *c, void *userdata)
{
        for (unsigned int i = 0; i < 5; i++)
                if (make_in(at("mallory")) < 0)
                        return 1;
        client_settle(c);
        return 0;
}

START_TEST(entries_are_counted_over_a_restart)
{
        struct victim v;

        set_limit("MaxEntries", 5);
        start_as(&v, MALLORY, hold_five, NULL);
        wait_daemon(has_five);
        world_kill_daemon(&world);
        world_start_daemon(&world);
        run_as(MALLORY, track_one, NULL);
        alice_is_served();
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_is_left);
}
END_TEST

/* ---- owners, directories, descriptors ---- */

static int make_one(struct client *c, void *userdata)
{
        return make_in(at("mallory")) == 0 ? 0 : 1;
}

static int make_none(struct client *c, void *userdata)
{
        return make_in(at("mallory")) == -EDQUOT ? 0 : 1;
}

START_TEST(owners_are_limited)
{
        struct victim v[3];

        set_limit("MaxOwners", ARRAY_SIZE(v));
        for (size_t i = 0; i < ARRAY_SIZE(v); i++)
                start_as(&v[i], MALLORY, make_one, NULL);
        run_as(MALLORY, make_none, NULL);
        ck_assert_uint_eq(n_files("mallory"), ARRAY_SIZE(v)); /* refused, and not made */
        alice_is_served();
        for (size_t i = 0; i < ARRAY_SIZE(v); i++)
                victim_kill(&v[i], SIGKILL);
        wait_daemon(nothing_is_left);
        run_as(MALLORY, make_one, NULL);
}
END_TEST

START_TEST(root_has_no_limits)
{
        set_limit("MaxOwners", 0);
        run_as(MALLORY, make_none, NULL);
        ck_assert_int_eq(make_in(at("root")), 0);
}
END_TEST

static int use_three_directories(struct client *c, void *expected)
{
        for (unsigned int i = 0; i < 3; i++) {
                put_directory(at("mallory/%u", i), MALLORY, 0700);
                if (make_in(at("mallory/%u", i)) != (i < 2 ? 0 : *(int *) expected))
                        return (int) i + 1;
        }
        return 0;
}

START_TEST(directories_are_limited)
{
        int expected = -EDQUOT;

        set_limit("MaxDirectories", 2);
        run_as(MALLORY, use_three_directories, &expected);
        alice_is_served();
}
END_TEST

START_TEST(directories_beyond_the_descriptors_are_found_by_their_paths)
{
        struct victim v;
        int expected = 0;

        set_limit("MaxDescriptors", 1);
        start_as(&v, MALLORY, use_three_directories, &expected);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_is_left);
        for (unsigned int i = 0; i < 3; i++)
                ck_assert_uint_eq(n_files(i == 0   ? "mallory/0"
                                          : i == 1 ? "mallory/1"
                                                   : "mallory/2"),
                                  0);
}
END_TEST

/* Two directories that only descriptors lead to. */
static int see_other_mounts(int to, void *userdata)
{
        struct client c;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return 1;
        for (unsigned int i = 0; i < 2; i++) {
                put_directory(at("shared/%u", i), MALLORY, 0700);
                if (mount("tmpfs", at("shared/%u", i), "tmpfs", 0, NULL) < 0 ||
                    chown(at("shared/%u", i), MALLORY, MALLORY) < 0)
                        return 2;
        }
        become(MALLORY);
        client_start(&c);
        if (make_in(at("shared/0")) != 0)
                return 3;
        return make_in(at("shared/1")) == -EDQUOT ? 0 : 4;
}

START_TEST(directories_that_only_descriptors_lead_to_are_limited)
{
        struct victim v;

        set_limit("MaxDescriptors", 1);
        victim_start(&v, see_other_mounts, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        wait_daemon(nothing_is_left);
}
END_TEST

/* ---- connections and messages ---- */

/* Not greeted: the worst that one can do. */
static int dial(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", client_socket);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                return close_fd(fd);
        return fd;
}

static int make_none_without_a_connection(int to, void *userdata)
{
        become(MALLORY);
        return make_none(NULL, userdata);
}

struct crowd {
        unsigned int wanted, welcome; /* connections */
};

static int crowd_in(struct client *c, void *userdata)
{
        const struct crowd *crowd = userdata;
        struct rlimit limit = { crowd->wanted + 100, crowd->wanted + 100 };
        unsigned int n_welcome = 0, n_refused = 0;
        struct wire_result m;

        (void) setrlimit(RLIMIT_NOFILE, &limit); /* what there is room for is enough else */
        for (unsigned int i = 0; i < crowd->wanted; i++) {
                int fd = dial();

                if (fd < 0 || recv(fd, &m, sizeof(m), 0) != sizeof(m))
                        return 1;
                n_welcome += m.header.opcode == WIRE_WELCOME;
                n_refused += m.header.opcode == WIRE_RESULT && m.result == -EDQUOT;
        }
        return n_welcome >= crowd->welcome && n_welcome + n_refused == crowd->wanted ? 0 : 2;
}

START_TEST(connections_are_limited_and_the_error_is_clear)
{
        struct crowd crowd = { 30, 19 }; /* of 20; one is the victim's own */
        struct victim v, another;
        struct wire_status_reply s;

        set_limit("MaxConnections", 20);
        start_as(&v, MALLORY, crowd_in, &crowd);
        s = daemon_status();
        ck_assert_uint_eq(s.limit, WIRE_LIMIT_CONNECTIONS);
        ck_assert_uint_eq(s.limit_used, 20);
        /* What the library says to another process of hers. */
        victim_start(&another, make_none_without_a_connection, NULL);
        ck_assert_int_eq(victim_join(&another), 0);
        alice_is_served();
        victim_kill(&v, SIGKILL);
}
END_TEST

START_TEST(crowd_of_one_user_leaves_others_served)
{
        struct crowd crowd = { 10000, 10000 };
        struct rlimit limit;
        struct victim v;

        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        if (limit.rlim_max / 8 <= crowd.wanted) /* the daemon keeps some for others */
                crowd.welcome = (unsigned int) limit.rlim_max / 10;
        if (limit.rlim_max <= crowd.wanted + 100) /* nor has she more herself */
                crowd.wanted = crowd.welcome;
        start_as(&v, MALLORY, crowd_in, &crowd);
        ck_assert_uint_ge(daemon_status().connections, crowd.welcome);
        alice_is_served();
        victim_kill(&v, SIGKILL);
        alice_is_served();
}
END_TEST

/* Says something without end. What comes back is thrown away. */
static int flood(struct client *c, void *userdata)
{
        struct wire_hello m = { .header = { WIRE_VERSION, WIRE_HELLO, 0 }, .nonce = c->nonce };

        attack_say("done");
        for (;;)
                if (send(c->fd, &m, sizeof(m), MSG_NOSIGNAL) < 0 && errno == EPIPE)
                        return 1; /* it had no right to end that */
}

START_TEST(who_says_something_without_end_does_not_hold_up_others)
{
        struct victim v[3];

        for (size_t i = 0; i < ARRAY_SIZE(v); i++)
                start_as(&v[i], MALLORY, flood, NULL);
        alice_is_served();
        for (size_t i = 0; i < ARRAY_SIZE(v); i++)
                victim_kill(&v[i], SIGKILL);
}
END_TEST

static uint64_t now_msec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static int ask_often(struct client *c, void *userdata)
{
        uint64_t began = now_msec();

        for (unsigned int i = 0; i < 110; i++) /* ten of them at once, the others 100 a second */
                client_settle(c);
        return now_msec() - began >= 900 ? 0 : 1;
}

START_TEST(messages_are_read_no_faster_than_the_rate)
{
        set_limit("MaxMessagesPerSec", 100);
        run_as(MALLORY, ask_often, NULL);
}
END_TEST

static Suite *limits_suite(void)
{
        Suite *s = suite_create("limits");
        TCase *t = attack_case(s, "limits");

        tcase_add_test(t, what_is_in_no_list_is_deleted_all_the_same);
        tcase_add_test(t, entries_are_counted_over_a_restart);
        tcase_add_test(t, owners_are_limited);
        tcase_add_test(t, root_has_no_limits);
        tcase_add_test(t, directories_are_limited);
        tcase_add_test(t, directories_beyond_the_descriptors_are_found_by_their_paths);
        tcase_add_test(t, directories_that_only_descriptors_lead_to_are_limited);
        tcase_add_test(t, connections_are_limited_and_the_error_is_clear);
        tcase_add_test(t, crowd_of_one_user_leaves_others_served);
        tcase_add_test(t, who_says_something_without_end_does_not_hold_up_others);
        tcase_add_test(t, messages_are_read_no_faster_than_the_rate);
        return s;
}

int main(void)
{
        return attack_main(limits_suite());
}
