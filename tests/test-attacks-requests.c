/* SPDX-License-Identifier: MIT */

/*
 * Attacks by what is asked for: names that lead out of a directory, and what is not the asker's to
 * have deleted.
 */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>

#include "libclient/util.h"
#include "tests/attack-fixture.h"

/* ---- names ---- */

static const char *const bad_names[] = { "",    ".",           "..",
                                         "/",   "/etc/passwd", "../alice/precious",
                                         "a/b", "precious/",   "./precious" };

/* RESERVE, TRACK and TARGET, as they come. */
static size_t spell_register(uint8_t *buf, const struct client *c, uint16_t opcode,
                             const char *name)
{
        struct wire_register m = {
                .header = { WIRE_VERSION, opcode, 1 },
                .tag = c->tag,
                .seq = opcode == WIRE_TARGET,
                .owner.kind = WIRE_OWNER_PROCESS,
                .kind = WIRE_KIND_FILE,
                .name_len = (uint16_t) strlen(name),
        };

        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), name, strlen(name) + 1);
        return sizeof(m) + strlen(name) + 1;
}

static size_t spell_report(uint8_t *buf, const struct client *c, const char *name)
{
        struct wire_report m = { .header = { WIRE_VERSION, WIRE_REPORT, 0 }, .count = 1 };
        struct wire_record record = {
                .what = WIRE_MADE,
                .kind = WIRE_KIND_FILE,
                .name_len = (uint16_t) strlen(name),
                .seq = 1,
                .tag_or_id = c->tag,
        };

        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), &record, sizeof(record));
        memcpy(buf + sizeof(m) + sizeof(record), name, strlen(name) + 1);
        return sizeof(m) + sizeof(record) + strlen(name) + 1;
}

static int name_badly(struct client *c, void *userdata)
{
        static const uint16_t opcodes[] = { WIRE_RESERVE, WIRE_TRACK, WIRE_TARGET, WIRE_REPORT };
        unsigned int i = *(unsigned int *) userdata;
        const char *name = bad_names[i / ARRAY_SIZE(opcodes)];
        uint16_t opcode = opcodes[i % ARRAY_SIZE(opcodes)];
        uint8_t buf[512];
        size_t len;

        ck_assert_int_eq(client_tag(c, MALLORYS_TAG + i, at("mallory")), 0);
        len = opcode == WIRE_REPORT ? spell_report(buf, c, name)
                                    : spell_register(buf, c, opcode, name);
        ck_assert_int_eq(client_say(c, buf, len, NULL, 0), 0);
        ck_assert_msg(client_is_cut(c), "'%s' as %u", name, opcode);
        return 0;
}

START_TEST(names_that_lead_elsewhere_end_the_conversation)
{
        put_file(at("alice/precious"), ALICE);
        put_file(at("mallory/precious"), MALLORY);
        for (unsigned int i = 0; i < 4 * ARRAY_SIZE(bad_names); i++)
                run_as(MALLORY, name_badly, &i);
        wait_daemon(nothing_is_left);
        ck_assert(is_precious(at("alice/precious")));
        ck_assert(is_precious(at("mallory/precious")));
        ck_assert_uint_eq(daemon_status().reaped, 0);
}
END_TEST

static int spell_paths(struct client *c, void *userdata)
{
        static const char *const paths[] = { "", "mallory", "../mallory", "." };
        unsigned int i = *(unsigned int *) userdata;
        struct wire_tag m = {
                .header = { WIRE_VERSION, WIRE_TAG, 1 },
                .tag = MALLORYS_TAG,
                .path_len = (uint16_t) strlen(paths[i]),
        };
        uint8_t buf[sizeof(m) + 32];
        int fd = open(at("mallory"), O_PATH | O_CLOEXEC);

        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), paths[i], m.path_len + 1U);
        ck_assert_int_eq(client_say(c, buf, sizeof(m) + m.path_len + 1U, &fd, 1), 0);
        ck_assert(client_is_cut(c));
        return 0;
}

START_TEST(a_directory_whose_path_is_not_absolute_ends_the_conversation)
{
        for (unsigned int i = 0; i < 4; i++)
                run_as(MALLORY, spell_paths, &i);
        ck_assert_uint_eq(daemon_status().tags, 0);
}
END_TEST

/* ---- directories ---- */

struct directory {
        const char *path;
        int fd; /* -1: she opens the path herself */
        int expected;
        int or_else; /* another good answer */
};

static int try_directory(struct client *c, void *userdata)
{
        const struct directory *d = userdata;
        int fd = d->fd >= 0 ? d->fd : open(d->path, O_PATH | O_CLOEXEC), r;

        ck_assert_msg(fd >= 0, "%s: %s", d->path, strerror(errno));
        r = client_tag_with(c, MALLORYS_TAG, d->path, fd);
        ck_assert_msg(r == d->expected || (d->or_else < 0 && r == d->or_else), "%s: %s", d->path,
                      strerror(-r));
        return 0;
}

/* The names in there could be anything then: so all is refused that lies in such a directory. */
static void expect_refused(uid_t uid, const char *path, int expected, int or_else)
{
        struct directory d = { path, -1, expected, or_else };

        run_as(uid, try_directory, &d);
        ck_assert_uint_eq(daemon_status().tags, 0);
}

START_TEST(what_lies_in_the_systems_directories_is_refused)
{
        char before[4096] = "", after[4096] = "";
        _cleanup_(closep) int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

        ck_assert_int_gt(pread(fd, before, sizeof(before) - 1, 0), 0);
        expect_refused(MALLORY, "/etc", -EACCES, 0);
        expect_refused(MALLORY, "/", -EACCES, 0);
        expect_refused(MALLORY, "/usr/bin", -EACCES, 0);
        ck_assert(path_exists("/etc/passwd"));
        ck_assert_int_gt(pread(fd, after, sizeof(after) - 1, 0), 0);
        ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(what_lies_in_proc_and_sys_is_refused_to_root_as_well)
{
        static const char *const paths[] = { "/proc", "/proc/self", "/proc/sys/kernel", "/sys",
                                             "/sys/kernel" };

        for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++) {
                expect_refused(MALLORY, paths[i], -EPERM, -EACCES);
                expect_refused(0, paths[i], -EPERM, -EROFS);
        }
}
END_TEST

START_TEST(a_descriptor_of_a_directory_that_she_cannot_write_is_refused)
{
        struct directory d = { at("root"), -1, -EACCES, 0 };

        put_file(at("root/precious"), 0);
        d.fd = open(d.path, _i % 2 ? O_RDONLY : O_PATH); /* opened by root, as good as it gets */
        ck_assert_int_ge(d.fd, 0);
        run_as(MALLORY, try_directory, &d);
        d.path = at("mallory"); /* and under a path of her own */
        run_as(MALLORY, try_directory, &d);
        ck_assert_uint_eq(daemon_status().tags, 0);
        ck_assert(is_precious(at("root/precious")));
        (void) close(d.fd);
}
END_TEST

/* Somebody else's path, her own descriptor: what is registered is where the descriptor leads. */
static int reserve_elsewhere(struct client *c, void *userdata)
{
        int fd = open(at("mallory"), O_PATH | O_CLOEXEC);

        ck_assert_int_eq(client_tag_with(c, MALLORYS_TAG, at("alice"), fd), 0);
        (void) reserve(c, "precious", WIRE_KIND_FILE);
        return 0;
}

START_TEST(a_path_that_is_not_the_descriptors_is_never_gone_by)
{
        struct victim v;

        put_file(at("alice/precious"), MALLORY); /* even hers */
        put_file(at("mallory/precious"), MALLORY);
        start_as(&v, MALLORY, reserve_elsewhere, NULL);
        if (_i == 1) { /* the descriptor is gone; there is the path alone */
                world_kill_daemon(&world);
                world_start_daemon(&world);
        }
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        ck_assert(is_precious(at("alice/precious")));
        ck_assert_int_eq(path_exists(at("mallory/precious")), _i == 1);
        ck_assert_uint_eq(daemon_status().waiting, _i == 1);
}
END_TEST

static int refused_in_shared(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("shared")), 0);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "precious", WIRE_KIND_FILE, 0, NULL),
                         -EPERM);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "directory", WIRE_KIND_DIRECTORY, 0, NULL),
                         -EPERM);
        return 0;
}

START_TEST(another_users_file_or_directory_is_refused)
{
        put_file(at("shared/precious"), ALICE);
        put_directory(at("shared/directory"), ALICE, 0777);
        put_file(at("shared/directory/precious"), ALICE);
        put_directory(at("root/alices"), ALICE, 0755);
        expect_refused(MALLORY, at("root/alices"), -EACCES, 0);
        run_as(MALLORY, refused_in_shared, NULL);
        ck_assert(is_precious(at("shared/precious")));
        ck_assert(is_precious(at("shared/directory/precious")));
}
END_TEST

/* Reserved before it was there, to get around that. */
static int reserve_in_shared(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("shared")), 0);
        (void) reserve(c, "precious", WIRE_KIND_FILE);
        (void) reserve(c, "directory", WIRE_KIND_DIRECTORY);
        return 0;
}

START_TEST(what_another_user_makes_under_a_reserved_name_stays)
{
        struct victim v;

        start_as(&v, MALLORY, reserve_in_shared, NULL);
        put_file(at("shared/precious"), ALICE);
        put_directory(at("shared/directory"), ALICE, 0777);
        put_file(at("shared/directory/precious"), ALICE);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        ck_assert(is_precious(at("shared/precious")));
        ck_assert(is_precious(at("shared/directory/precious")));
        ck_assert_uint_eq(count_files(at("shared")), 2);
}
END_TEST

/* In a directory where anybody may do all (not sticky) she has what she has anyway: no more. */
static int track_alices_tree(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("alice")), 0);
        (void) track(c, "tree");
        return 0;
}

START_TEST(what_she_could_not_delete_herself_stays_in_a_tree)
{
        char path[PATH_MAX + 16];
        struct victim v;

        put_directory(at("alice/tree"), ALICE, 0755);
        put_file(at("alice/tree/precious"), ALICE);
        start_as(&v, MALLORY, track_alices_tree, NULL);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        ck_assert_uint_eq(daemon_status().stuck, 1);
        (void) snprintf(path, sizeof(path), "%s/precious", moved_aside("alice"));
        ck_assert(is_precious(path)); /* as far as she could have got herself */
}
END_TEST

/* ---- another view ---- */

static void unshare_mounts(void)
{
        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

static int pass_read_only(int to, void *userdata)
{
        struct directory d = { at("mallory"), -1, -EROFS, 0 };
        struct client c;

        unshare_mounts();
        ck_assert_int_eq(mount(d.path, d.path, NULL, MS_BIND, NULL), 0);
        ck_assert_int_eq(mount(NULL, d.path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
        become(MALLORY);
        client_start(&c);
        return try_directory(&c, &d);
}

START_TEST(a_descriptor_of_a_read_only_mount_elsewhere_is_refused)
{
        struct victim v;

        put_file(at("mallory/precious"), MALLORY);
        victim_start(&v, pass_read_only, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert_uint_eq(daemon_status().tags, 0);
        ck_assert(is_precious(at("mallory/precious")));
}
END_TEST

/* In her view Mallory's directory is where Alice's is in everybody else's. */
static int reserve_in_other_view(int to, void *userdata)
{
        struct client c;

        unshare_mounts();
        ck_assert_int_eq(mount(at("mallory"), at("alice"), NULL, MS_BIND, NULL), 0);
        become(MALLORY);
        client_start(&c);
        ck_assert_int_eq(client_tag(&c, MALLORYS_TAG, at("alice")), 0);
        (void) reserve(&c, "precious", WIRE_KIND_FILE);
        victim_say(to, "");
        victim_wait();
}

START_TEST(a_path_in_another_mount_namespace_is_never_gone_by)
{
        struct victim v;
        char said[4];

        put_file(at("alice/precious"), MALLORY);
        put_file(at("mallory/precious"), MALLORY);
        victim_start(&v, reserve_in_other_view, NULL);
        ck_assert(victim_hear(&v, said, sizeof(said)));
        if (_i == 1) {
                world_kill_daemon(&world);
                world_start_daemon(&world);
        }
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        ck_assert(is_precious(at("alice/precious")));
        ck_assert_int_eq(path_exists(at("mallory/precious")), _i == 1);
}
END_TEST

static Suite *suite_of_requests(void)
{
        Suite *s = suite_create("attacks by requests");
        TCase *c;

        c = attack_case(s, "names");
        tcase_add_test(c, names_that_lead_elsewhere_end_the_conversation);
        tcase_add_test(c, a_directory_whose_path_is_not_absolute_ends_the_conversation);

        c = attack_case(s, "directories");
        tcase_add_test(c, what_lies_in_the_systems_directories_is_refused);
        tcase_add_test(c, what_lies_in_proc_and_sys_is_refused_to_root_as_well);
        tcase_add_loop_test(c, a_descriptor_of_a_directory_that_she_cannot_write_is_refused, 0, 2);
        tcase_add_loop_test(c, a_path_that_is_not_the_descriptors_is_never_gone_by, 0, 2);
        tcase_add_test(c, another_users_file_or_directory_is_refused);
        tcase_add_test(c, what_another_user_makes_under_a_reserved_name_stays);
        tcase_add_test(c, what_she_could_not_delete_herself_stays_in_a_tree);

        c = attack_case(s, "views");
        tcase_add_test(c, a_descriptor_of_a_read_only_mount_elsewhere_is_refused);
        tcase_add_loop_test(c, a_path_in_another_mount_namespace_is_never_gone_by, 0, 2);
        return s;
}

int main(void)
{
        return attack_main(suite_of_requests());
}
