/* SPDX-License-Identifier: MIT */

/*
 * Attacks by what never answers: file systems in user space whose server has stopped. They hold up
 * their own user's work on them, and nothing else; and they lose nothing.
 */

#include <dirent.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/attack-fixture.h"
#include "tests/fuse-server.h"

static struct fuse_server fuse;

/* Mallory's own; she may open it to others, which lets the daemon's threads in, too. */
static void mount_mallorys(bool allows_others)
{
        struct fuse_server_options o = {
                .uid = MALLORY, .gid = MALLORY, .allows_others = allows_others, .record_fd = -1
        };
        char mount_point[PATH_MAX], backing[PATH_MAX];

        put_directory(at("backing"), MALLORY, 0755);
        put_directory(at("mnt"), MALLORY, 0755);
        (void) snprintf(backing, sizeof(backing), "%s", at("backing"));
        (void) snprintf(mount_point, sizeof(mount_point), "%s", at("mnt"));
        o.backing = backing;
        o.mount_point = mount_point;
        ck_assert_int_eq(fuse_server_start(&fuse, &o), 0);
}

static void tear_down(void)
{
        fuse_server_stop(&fuse); /* first: the daemon may hang in it */
        attack_tear_down();
}

/* One there, and one elsewhere. */
static int reserve_two(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mnt")), 0);
        (void) reserve(c, "slow", WIRE_KIND_FILE);
        write_file(at("mnt/slow"), "");
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG + 1, at("mallory")), 0);
        (void) reserve(c, "quick", WIRE_KIND_FILE);
        write_file(at("mallory/quick"), "");
        return 0;
}

static int reserve_alices(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, ALICES_TAG + *(unsigned int *) userdata, at("alice")), 0);
        (void) reserve(c, "quick", WIRE_KIND_FILE);
        write_file(at("alice/quick"), "");
        return 0;
}

/* Everything works for her: nobody who waits for something is in her way. */
static void expect_alice_is_served(void)
{
        static unsigned int turn;
        struct victim v;

        turn++;
        start_as(&v, ALICE, reserve_alices, &turn);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_gone(at("alice/quick")));
}

static bool one_is_left(const struct wire_status_reply *s)
{
        return s->live + s->reaping == 1;
}

START_TEST(a_mount_that_hangs_holds_up_what_is_on_it_alone)
{
        struct victim v;

        mount_mallorys(_i == 0);
        start_as(&v, MALLORY, reserve_two, NULL);
        fuse_server_hang(&fuse);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_gone(at("mallory/quick"))); /* her own, elsewhere */
        expect_alice_is_served();
        wait_daemon(one_is_left);

        ck_assert_int_eq(daemon_fixture_stop(&world.daemon), 0);
        world_start_daemon(&world); /* finds it hanging */
        expect_alice_is_served();
        ck_assert(path_exists(at("backing/slow")));
        fuse_server_resume(&fuse);
        ck_assert(wait_gone(at("backing/slow")));
        wait_daemon(nothing_is_left);
}
END_TEST

START_TEST(a_kill_of_the_daemon_amid_a_hang_loses_nothing)
{
        struct victim v;

        mount_mallorys(_i == 0);
        start_as(&v, MALLORY, reserve_two, NULL);
        fuse_server_hang(&fuse);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_gone(at("mallory/quick")));
        world_kill_daemon(&world);
        fuse_server_resume(&fuse);
        world_start_daemon(&world);
        ck_assert(wait_gone(at("backing/slow")));
        wait_daemon(nothing_is_left);
}
END_TEST

static pid_t parent_of(const char *pid)
{
        char path[300], line[512] = "";
        const char *at;
        int parent = 0;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%s/stat", pid);
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (fgets(line, sizeof(line), f)) {
                at = strrchr(line, ')'); /* the command may hold anything */
                if (at)
                        (void) sscanf(at, ") %*c %d", &parent);
        }
        (void) fclose(f);
        return parent;
}

/* How many of the daemon's children Mallory could send that. */
static int signal_delegates(int to, void *userdata)
{
        DIR *dir = opendir("/proc");
        int n = 0;

        become(MALLORY);
        for (struct dirent *e; dir && (e = readdir(dir));)
                if (parent_of(e->d_name) == world.daemon.pid)
                        n += kill(atoi(e->d_name), *(int *) userdata) == 0;
        return n;
}

static int send_delegates(int sig)
{
        struct victim v;

        victim_start(&v, signal_delegates, &sig);
        return victim_join(&v);
}

/* What acts for her is hers, to stop and to kill. */
START_TEST(a_delegate_that_is_stopped_or_killed_loses_nothing)
{
        struct victim v;

        mount_mallorys(false);
        start_as(&v, MALLORY, reserve_two, NULL);
        fuse_server_hang(&fuse);
        victim_kill(&v, SIGKILL);
        ck_assert(wait_gone(at("mallory/quick")));
        if (_i == 1) {
                while (send_delegates(SIGSTOP) == 0)
                        ;
                fuse_server_resume(&fuse);
                expect_alice_is_served();
                ck_assert(path_exists(at("backing/slow")));
        }
        while (daemon_status().failed == 0)
                (void) send_delegates(SIGKILL);
        if (_i == 0) {
                ck_assert(path_exists(at("backing/slow")));
                fuse_server_resume(&fuse);
        }
        ck_assert(wait_gone(at("backing/slow")));
        wait_daemon(nothing_is_left);
}
END_TEST

/* The deletion was begun, and what it waits for will never come; meanwhile the kernel lets nobody
 * else into that directory. */
START_TEST(a_deletion_that_never_ends_is_not_forgotten)
{
        struct wire_status_reply s;
        struct victim v;

        mount_mallorys(false);
        start_as(&v, MALLORY, reserve_two, NULL);
        fuse_server_mute(&fuse, FUSE_UNLINK);
        victim_kill(&v, SIGKILL);
        while (fuse_server_count_muted(&fuse) == 0)
                (void) usleep(1000);
        expect_alice_is_served();
        world_kill_daemon(&world); /* of which nothing hangs but the one that acts for her */
        world_start_daemon(&world);
        expect_alice_is_served();
        s = daemon_status();
        ck_assert(!nothing_is_left(&s));
        fuse_server_stop(&fuse);
        wait_daemon(nothing_happens);
        s = daemon_status();
        ck_assert_uint_eq(s.stuck + s.waiting, 1);
}
END_TEST

#define PASSED 40U

/* More than she has threads, and nobody waits for an answer to them. */
static int pass_many_unwanted(struct client *c, void *userdata)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, 1 } };
        int fds[PASSED];
        struct client more;

        for (unsigned int i = 0; i < PASSED; i++) {
                fds[i] = open(at("mnt/file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                ck_assert_int_ge(fds[i], 0);
        }
        fuse_server_mute(&fuse, FUSE_FLUSH);
        for (unsigned int i = 0; i < PASSED; i += 4) {
                client_start(&more);
                ck_assert_int_eq(client_say(&more, &m, sizeof(m), fds + i, 4), 0);
                ck_assert(client_is_cut(&more));
        }
        return 0;
}

START_TEST(a_passed_descriptor_whose_closing_hangs_hangs_nobody_else)
{
        struct daemon_fixture old;
        struct victim v;
        int r;

        mount_mallorys(_i == 0);
        start_as(&v, MALLORY, pass_many_unwanted, NULL);
        while (fuse_server_count_muted(&fuse) == 0)
                (void) usleep(1000);
        expect_alice_is_served();

        /* It can't end before its threads do; but its place is free. */
        ck_assert_int_eq(kill(world.daemon.pid, SIGTERM), 0);
        old = world.daemon;
        ck_assert_int_eq(daemon_fixture_init(&world.daemon, world.top), 0);
        while ((r = daemon_fixture_start(&world.daemon)) == -ECHILD)
                (void) usleep(10000);
        ck_assert_int_eq(r, 0);
        expect_alice_is_served();
        fuse_server_stop(&fuse);
        daemon_fixture_kill(&old);
        victim_kill(&v, SIGKILL);
}
END_TEST

static bool has_said(const char *log, const char *text)
{
        char buf[8192] = "";
        FILE *f = fopen(log, "re");
        size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

        if (f)
                (void) fclose(f);
        buf[n] = 0;
        return strstr(buf, text);
}

/* SIGKILL has had its effect on all threads that can end. */
static void wait_zombie(pid_t pid)
{
        char path[64], state = 0;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        while (state != 'Z') {
                f = fopen(path, "re");
                ck_assert_ptr_nonnull(f);
                ck_assert_int_eq(fscanf(f, "%*d (tempfiled) %c", &state), 1);
                (void) fclose(f);
                (void) usleep(1000);
        }
}

/* Its threads can't be killed while they close what hangs, and until then all that it had is its. */
START_TEST(a_killed_daemon_that_cannot_end_is_waited_for)
{
        struct daemon_fixture old;
        struct victim v;

        mount_mallorys(_i == 0);
        start_as(&v, MALLORY, pass_many_unwanted, NULL);
        while (fuse_server_count_muted(&fuse) == 0)
                (void) usleep(1000);
        ck_assert_int_eq(kill(world.daemon.pid, SIGKILL), 0);
        wait_zombie(world.daemon.pid);
        old = world.daemon;
        ck_assert_int_eq(daemon_fixture_init(&world.daemon, world.top), 0);
        ck_assert_int_eq(daemon_fixture_spawn(&world.daemon, -1), 0);
        while (!has_said(world.daemon.log, "was killed and can't end"))
                (void) usleep(10000);
        ck_assert(!daemon_fixture_is_ready(&world.daemon));

        if (_i == 0) { /* to be stopped meanwhile is no failure */
                ck_assert_int_eq(daemon_fixture_stop(&world.daemon), 0);
                ck_assert_int_eq(daemon_fixture_spawn(&world.daemon, -1), 0);
        }
        fuse_server_stop(&fuse);
        daemon_fixture_kill(&old);
        ck_assert_int_eq(daemon_fixture_wait_ready(&world.daemon), 0);
        expect_alice_is_served();
        victim_kill(&v, SIGKILL);
}
END_TEST

static Suite *suite_of_hanging(void)
{
        Suite *s = suite_create("attacks by hanging");
        TCase *c = tcase_create("hanging");

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 30);
        tcase_add_checked_fixture(c, attack_set_up, tear_down);
        if (unless_fuse()) {
                add_unless(c, unless_fuse(), a_mount_that_hangs_holds_up_what_is_on_it_alone);
                return s;
        }
        tcase_add_loop_test(c, a_mount_that_hangs_holds_up_what_is_on_it_alone, 0, 2);
        tcase_add_loop_test(c, a_kill_of_the_daemon_amid_a_hang_loses_nothing, 0, 2);
        tcase_add_loop_test(c, a_delegate_that_is_stopped_or_killed_loses_nothing, 0, 2);
        tcase_add_test(c, a_deletion_that_never_ends_is_not_forgotten);
        tcase_add_loop_test(c, a_passed_descriptor_whose_closing_hangs_hangs_nobody_else, 0, 2);
        tcase_add_loop_test(c, a_killed_daemon_that_cannot_end_is_waited_for, 0, 2);
        return s;
}

int main(void)
{
        return attack_main(suite_of_hanging());
}
