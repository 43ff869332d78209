/* SPDX-License-Identifier: MIT */

/*
 * Attacks by capabilities that count in a user namespace only. Mallory is root in one of her own,
 * to which a further user of hers is mapped: in there she may do anything with what is that user's.
 * The daemon acts for the user that she is outside: what she makes goes, and what only her
 * capabilities reach stays.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tests/attack-fixture.h"

#define SUBORDINATE 61003 /* user 1 of her namespace */

static void set_up(void)
{
        attack_set_up();
        put_directory(at("sub"), SUBORDINATE, 0700);
        put_file(at("sub/precious"), SUBORDINATE);
        put_file(at("shared/precious"), SUBORDINATE);
        put_directory(at("mallory/tree"), MALLORY, 0755);
        put_directory(at("mallory/tree/sub"), SUBORDINATE, 0700);
        put_file(at("mallory/tree/sub/precious"), SUBORDINATE);
}

/* ---- a namespace ---- */

struct apart {
        int (*body)(struct client *c);
        int gate[2];
};

static int be_root_there(int to, void *userdata)
{
        const struct apart *a = userdata;
        struct client c;
        char byte;
        int r;

        if (unshare(CLONE_NEWUSER) < 0)
                return 100;
        victim_say(to, "apart");
        if (read(a->gate[0], &byte, 1) != 1)
                return 101;
        if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return 102;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        client_start(&c);
        r = a->body(&c);
        if (r != 0)
                return r;
        victim_say(to, "done");
        victim_wait();
}

static void write_map(pid_t pid, const char *name)
{
        char path[64], map[64];
        int fd, n = snprintf(map, sizeof(map), "0 %d 1\n1 %d 1\n", MALLORY, SUBORDINATE);

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, map, (size_t) n), n);
        close_fd(fd);
}

static void start_there(struct victim *v, int (*body)(struct client *c))
{
        struct apart a = { .body = body };
        char said[16] = "";

        ck_assert_int_eq(pipe2(a.gate, O_CLOEXEC), 0);
        victim_start(v, be_root_there, &a);
        ck_assert_msg(victim_hear(v, said, sizeof(said)), "it ended with %d", victim_join(v));
        write_map(v->pid, "uid_map");
        write_map(v->pid, "gid_map");
        ck_assert_int_eq(write(a.gate[1], "", 1), 1);
        ck_assert_msg(victim_hear(v, said, sizeof(said)), "it ended with %d", victim_join(v));
        ck_assert_str_eq(said, "done");
        close_fd(a.gate[0]);
        close_fd(a.gate[1]);
}

static void end(struct victim *v)
{
        victim_kill(v, SIGKILL);
        wait_daemon(nothing_happens);
}

/* ---- what she tries ---- */

static int reserve_own(struct client *c)
{
        ck_assert_int_eq(geteuid(), 0);
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory")), 0);
        (void) reserve(c, "file", WIRE_KIND_FILE);
        write_file(at("mallory/file"), "");
        (void) reserve(c, "directory", WIRE_KIND_DIRECTORY);
        ck_assert_int_eq(mkdir(at("mallory/directory"), 0700), 0);
        write_file(at("mallory/directory/file"), "");
        return 0;
}

START_TEST(what_she_makes_there_is_deleted)
{
        struct victim v;

        start_there(&v, reserve_own);
        ck_assert_uint_eq(daemon_status().live, 2);
        end(&v);
        wait_daemon(nothing_is_left);
        ck_assert(!path_exists(at("mallory/file")));
        ck_assert(!path_exists(at("mallory/directory")));
}
END_TEST

/* She sees that nobody she knows is at the other end; the namespace has no number for root. */
static int use_the_library(struct client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;

        o.dir = at("mallory");
        return tempfile_named(&o, &t) == -EACCES ? 0 : 1;
}

START_TEST(library_there_trusts_nobody)
{
        struct victim v;

        start_there(&v, use_the_library);
        ck_assert_uint_eq(count_files(at("mallory")), 1); /* the tree */
        end(&v);
}
END_TEST

/* She is let in by the kernel, and has a descriptor to show for it. */
static int tag_sub(struct client *c)
{
        int fd = open(at("sub"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert(path_exists(at("sub/precious")));
        ck_assert_int_eq(client_tag_with(c, MALLORYS_TAG, at("sub"), fd), -EACCES);
        return 0;
}

START_TEST(directory_that_only_her_capabilities_reach_is_refused)
{
        struct victim v;

        start_there(&v, tag_sub);
        end(&v);
        ck_assert(is_precious(at("sub/precious")));
        ck_assert_uint_eq(daemon_status().reaped, 0);
}
END_TEST

static int track_shared(struct client *c)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("shared")), 0);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "precious", WIRE_KIND_FILE, 0, NULL),
                         -EPERM);
        (void) reserve(c, "later", WIRE_KIND_FILE); /* what is not there yet can't be looked at */
        write_file(at("shared/later"), "precious");
        ck_assert_int_eq(chown(at("shared/later"), 1, 1), 0);
        return 0;
}

START_TEST(file_that_only_her_capabilities_reach_stays)
{
        struct victim v;

        start_there(&v, track_shared);
        end(&v);
        ck_assert(is_precious(at("shared/precious")));
        ck_assert(is_precious(at("shared/later")));
}
END_TEST

static int track_tree(struct client *c)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory")), 0);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "tree", WIRE_KIND_DIRECTORY, 0, NULL), 0);
        return 0;
}

START_TEST(part_of_a_tree_that_only_her_capabilities_reach_stays)
{
        char path[PATH_MAX + 32];
        struct victim v;

        start_there(&v, track_tree);
        if (_i == 1) { /* and the daemon that deletes knows her from its list */
                world_kill_daemon(&world);
                world_start_daemon(&world);
        }
        end(&v);
        ck_assert_uint_eq(daemon_status().stuck, 1);
        (void) snprintf(path, sizeof(path), "%s/sub/precious", moved_aside("mallory"));
        ck_assert(is_precious(path));
}
END_TEST

/* ---- root without capabilities ---- */

static int drop_capabilities(void)
{
        struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct none[2] = { 0 };

        return (int) syscall(SYS_capset, &h, none);
}

static int tag_alices(int to, void *userdata)
{
        struct client c;
        int fd;

        fd = open(at("mallory"), O_PATH | O_CLOEXEC);
        if (drop_capabilities() < 0 || unshare(CLONE_NEWUSER) < 0)
                return 100; /* all of them again, as /proc shows it */
        client_start(&c);
        return client_tag_with(&c, MALLORYS_TAG, at("mallory"), fd) == -EACCES ? 0 : 1;
}

/* A service that runs as root and has no capabilities gets none by a namespace of its own. */
START_TEST(capabilities_that_root_has_there_alone_count_for_nothing)
{
        struct victim v;

        victim_start(&v, tag_alices, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert_uint_eq(daemon_status().tags, 0);
}
END_TEST

static Suite *suite_of_namespaces(void)
{
        Suite *s = suite_create("attacks by namespaces");
        TCase *c = tcase_create("user namespaces");

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 30);
        tcase_add_checked_fixture(c, set_up, attack_tear_down);
        tcase_add_test(c, what_she_makes_there_is_deleted);
        tcase_add_test(c, library_there_trusts_nobody);
        tcase_add_test(c, directory_that_only_her_capabilities_reach_is_refused);
        tcase_add_test(c, file_that_only_her_capabilities_reach_stays);
        tcase_add_loop_test(c, part_of_a_tree_that_only_her_capabilities_reach_stays, 0, 2);
        tcase_add_test(c, capabilities_that_root_has_there_alone_count_for_nothing);
        return s;
}

int main(void)
{
        return attack_main(suite_of_namespaces());
}
