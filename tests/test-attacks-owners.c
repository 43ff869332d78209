/* SPDX-License-Identifier: MIT */

/*
 * Attacks on who is who: other users' owners and entries, connections that were inherited or whose
 * process has become another, reused pids, and names that carry somebody else's tag.
 */

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "libclient/libtempfile.h"
#include "libclient/name.h"
#include "libclient/util.h"
#include "tests/attack-fixture.h"

/* What Alice has: a file of the name given, reserved and made, and one under her tag. */
static int be_alice(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, ALICES_TAG, at("alice")), 0);
        (void) reserve(c, "precious", WIRE_KIND_FILE);
        client_report(c, WIRE_MADE, ALICES_TAG, 1, WIRE_KIND_FILE, client_name(c, 1, ""));
        client_settle(c);
        return 0;
}

static const char *alices_name(unsigned int seq, const char *suffix)
{
        return client_name(&(struct client) { .tag = ALICES_TAG }, seq, suffix);
}

static void start_alice(struct victim *v)
{
        put_file(at("alice/precious"), ALICE);
        put_file(at("alice/%s", alices_name(1, "")), ALICE);
        start_as(v, ALICE, be_alice, NULL);
        ck_assert_uint_eq(daemon_status().live, 2);
}

static void expect_alices(void)
{
        ck_assert_uint_eq(daemon_status().live, 2);
        ck_assert(is_precious(at("alice/precious")));
        ck_assert(is_precious(at("alice/%s", alices_name(1, ""))));
}

/* That none of it has changed shows at her end, too. */
static void end_alice(struct victim *v)
{
        expect_alices();
        victim_kill(v, SIGKILL);
        wait_daemon(nothing_is_left);
        ck_assert_uint_eq(count_files(at("alice")), 0);
}

/* ---- another user's process as owner ---- */

static int ask_with_pidfd(struct client *c, void *packet, size_t len, uint16_t opcode, pid_t pid)
{
        _cleanup_(closep) int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

        ck_assert_int_ge(pidfd, 0);
        return client_ask(c, packet, len, opcode, pidfd, NULL);
}

static int name_another_owner(struct client *c, void *userdata)
{
        pid_t pid = *(pid_t *) userdata;
        struct {
                struct wire_register m;
                char name[9];
        } __attribute__((packed)) reg = {
                { .owner.kind = WIRE_OWNER_PROCESS, .kind = WIRE_KIND_FILE, .name_len = 8 },
                "precious",
        };
        struct wire_claim claim = { .owner.kind = WIRE_OWNER_PROCESS };
        uint64_t id;

        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory")), 0);
        id = reserve(c, "own", WIRE_KIND_FILE);
        reg.m.tag = MALLORYS_TAG;
        ck_assert_int_eq(ask_with_pidfd(c, &reg, sizeof(reg), WIRE_RESERVE, pid), -EPERM);
        ck_assert_int_eq(ask_with_pidfd(c, &reg, sizeof(reg), WIRE_TRACK, pid), -EPERM);
        reg.m.owner.kind = WIRE_OWNER_UNIT;
        ck_assert_int_eq(ask_with_pidfd(c, &reg, sizeof(reg), WIRE_RESERVE, pid), -EPERM);
        claim.ref.tag_or_id = id;
        ck_assert_int_eq(ask_with_pidfd(c, &claim, sizeof(claim), WIRE_CLAIM, pid), -EPERM);
        claim.flags = WIRE_CLAIM_GIVE;
        ck_assert_int_eq(ask_with_pidfd(c, &claim, sizeof(claim), WIRE_CLAIM, pid), -EPERM);
        claim.owner.kind = WIRE_OWNER_UNIT;
        ck_assert_int_eq(ask_with_pidfd(c, &claim, sizeof(claim), WIRE_CLAIM, pid), -EPERM);
        return 0;
}

START_TEST(another_users_process_is_no_owner_of_hers)
{
        struct victim v;
        pid_t root = getpid();

        start_alice(&v);
        put_file(at("mallory/precious"), MALLORY);
        run_as(MALLORY, name_another_owner, _i == 0 ? &v.pid : &root);
        ck_assert(is_precious(at("mallory/precious"))); /* nobody's, and not deleted */
        ck_assert_uint_eq(daemon_status().stuck + daemon_status().waiting, 0);
        end_alice(&v);
}
END_TEST

/* ---- another user's entries ---- */

static unsigned int count_listed(struct client *c, uint32_t flags, uint32_t uid)
{
        struct wire_list m = { .header = { WIRE_VERSION, WIRE_LIST, ++c->serial },
                               .flags = flags,
                               .uid = uid };
        uint8_t buf[WIRE_PACKET_MAX];
        struct wire_rows rows;

        ck_assert_int_eq(client_say(c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_ge(client_receive(c, buf, sizeof(buf)), sizeof(rows));
        memcpy(&rows, buf, sizeof(rows));
        ck_assert_int_eq(rows.result, 0);
        return rows.count;
}

static int change(struct client *c, uint16_t opcode, uint64_t tag_or_id, uint32_t seq)
{
        struct wire_change m = { .ref = { tag_or_id, seq, 0 }, .argument = opcode != WIRE_KEEP };

        return client_ask(c, &m, sizeof(m), opcode, -1, NULL);
}

static int claim_for_herself(struct client *c, uint64_t tag_or_id, uint32_t seq, uint32_t flags)
{
        struct wire_claim m = { .ref = { tag_or_id, seq, 0 },
                                .owner.kind = WIRE_OWNER_PROCESS,
                                .flags = flags };

        return client_ask(c, &m, sizeof(m), WIRE_CLAIM, -1, NULL);
}

/* Root sees their numbers. */
static uint64_t find_alices(void)
{
        struct wire_list m = { .header = { WIRE_VERSION, WIRE_LIST, 1 },
                               .flags = WIRE_LIST_UID,
                               .uid = ALICE };
        uint8_t buf[WIRE_PACKET_MAX];
        const char *strings[4];
        struct wire_row row = { 0 };
        struct client c;
        size_t offset = 0, len;

        client_start(&c);
        ck_assert_int_eq(client_say(&c, &m, sizeof(m), NULL, 0), 0);
        len = client_receive(&c, buf, sizeof(buf));
        ck_assert(wire_next_row(buf, len, &offset, &row, strings));
        client_close(&c);
        return row.id;
}

static void meddle_with(struct client *c, uint64_t tag_or_id, uint32_t seq)
{
        ck_assert_int_eq(change(c, WIRE_KEEP, tag_or_id, seq), -EPERM);
        ck_assert_int_eq(change(c, WIRE_RETAIN, tag_or_id, seq), -EPERM);
        ck_assert_int_eq(change(c, WIRE_RENEW, tag_or_id, seq), -EPERM);
        ck_assert_int_eq(claim_for_herself(c, tag_or_id, seq, 0), -EPERM);
        ck_assert_int_eq(claim_for_herself(c, tag_or_id, seq, WIRE_CLAIM_GIVE), -EPERM);
}

static int meddle(struct client *c, void *userdata)
{
        uint64_t id = *(uint64_t *) userdata;

        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("alice")), 0); /* to be an owner */
        ck_assert_uint_eq(count_listed(c, 0, 0), 0);
        ck_assert_uint_eq(count_listed(c, WIRE_LIST_UID, ALICE), 0);
        meddle_with(c, id, 0);
        meddle_with(c, ALICES_TAG, 1); /* its tag shows in the name */
        ck_assert_int_eq(client_reap(c, id, 0), -EPERM);
        ck_assert_int_eq(client_reap(c, id, WIRE_REAP_FORCE), -EPERM);
        ck_assert_int_eq(client_reap(c, 0, 0), -EPERM);
        return 0;
}

START_TEST(another_users_entries_are_not_hers_to_see_or_change)
{
        struct victim v;
        uint64_t id;

        start_alice(&v);
        id = find_alices();
        run_as(MALLORY, meddle, &id);
        end_alice(&v);
}
END_TEST

static int speak_for_alice(struct client *c, void *userdata)
{
        struct client as_alice;

        ck_assert_int_eq(client_tag(c, ALICES_TAG, at("alice")), -EEXIST);
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory")), 0);
        as_alice = *c;
        as_alice.tag = ALICES_TAG;
        ck_assert_int_eq(client_register(&as_alice, WIRE_RESERVE, "more", WIRE_KIND_FILE, 0, NULL),
                         -ENOENT);
        ck_assert_int_eq(
                client_register(&as_alice, WIRE_TRACK, "precious", WIRE_KIND_FILE, 0, NULL),
                -ENOENT);
        as_alice.serial += 2;
        client_report(&as_alice, WIRE_GONE, ALICES_TAG, 1, 0, "");
        client_report(&as_alice, WIRE_GONE, *(uint64_t *) userdata, 0, 0, "");
        client_report(&as_alice, WIRE_SETTLED, *(uint64_t *) userdata, 0, 0, "");
        client_report(&as_alice, WIRE_MADE, ALICES_TAG, 2, WIRE_KIND_FILE,
                      client_name(&as_alice, 2, ""));
        client_settle(&as_alice);
        return 0;
}

START_TEST(who_knows_another_users_tag_and_key_is_not_her)
{
        struct victim v;
        uint64_t id;

        start_alice(&v);
        put_file(at("alice/%s", alices_name(2, "")), MALLORY);
        id = find_alices();
        run_as(MALLORY, speak_for_alice, &id);
        expect_alices();
        ck_assert_int_eq(unlink(at("alice/%s", alices_name(2, ""))), 0);
        end_alice(&v);
}
END_TEST

/* ---- names ---- */

/* Alice's last reports are lost, so that the directory is looked through for her names; there are
 * some that she has not made. */
START_TEST(names_with_anothers_tag_are_told_by_check_and_user)
{
        char wrong[NAME_MAX + 1];
        struct victim v;

        ck_assert_int_eq(chmod(at("alice"), 01777), 0);
        start_alice(&v);
        world_kill_daemon(&world);
        (void) snprintf(wrong, sizeof(wrong), "%s", alices_name(3, ""));
        wrong[strlen(wrong) - 1] ^= 1;
        put_file(at("alice/%s", wrong), ALICE);                           /* a wrong check */
        put_file(at("alice/%s.bak", alices_name(1, "")), ALICE);          /* a copy */
        put_file(at("alice/x%s", alices_name(1, "")), ALICE);             /* another prefix */
        put_file(at("alice/%s", alices_name(2, ".txt")), MALLORY);        /* right, and not hers */
        put_directory(at("alice/%s", alices_name(4, "")), MALLORY, 0777); /* the same */
        put_file(at("alice/%s/precious", alices_name(4, "")), ALICE);
        ck_assert_int_eq(symlink(at("root"), at("alice/%s", alices_name(5, ""))), 0);
        put_file(at("alice/%s", alices_name(6, "")), ALICE); /* hers, said to nobody */
        put_file(at("root/precious"), ALICE);
        victim_kill(&v, SIGKILL);
        world_start_daemon(&world);
        wait_daemon(nothing_happens);

        ck_assert(!path_exists(at("alice/%s", alices_name(6, ""))));
        ck_assert(!path_exists(at("alice/precious")));
        ck_assert(is_precious(at("alice/%s", wrong)));
        ck_assert(is_precious(at("alice/%s.bak", alices_name(1, ""))));
        ck_assert(is_precious(at("alice/x%s", alices_name(1, ""))));
        ck_assert(is_precious(at("alice/%s", alices_name(2, ".txt"))));
        ck_assert(is_precious(at("alice/%s/precious", alices_name(4, ""))));
        ck_assert(path_exists(at("alice/%s", alices_name(5, "")))); /* root's link */
        ck_assert(is_precious(at("root/precious")));
        ck_assert_uint_eq(count_files(at("alice")), 6);
}
END_TEST

/* ---- connections ---- */

/* Clients, as before Linux 6.5. */
static void identify_as_before(void)
{
        world_kill_daemon(&world);
        ck_assert_int_eq(setenv("TEMPFILED_NO_PEERPIDFD", "1", 1), 0);
        world_start_daemon(&world);
}

/* Mallory got hold of a connection of root's, by inheriting it. */
static int speak_on_inherited(struct client *c)
{
        struct {
                struct wire_register m;
                char name[9];
        } __attribute__((packed)) reg = {
                {
                        .header = { WIRE_VERSION, WIRE_TRACK, 99 },
                        .tag = MALLORYS_TAG,
                        .owner.kind = WIRE_OWNER_PROCESS,
                        .kind = WIRE_KIND_FILE,
                        .name_len = 8,
                },
                "precious",
        };
        struct wire_reap reap = { .header = { WIRE_VERSION, WIRE_REAP, 100 } };

        become(MALLORY);
        if (client_say(c, &reg, sizeof(reg), NULL, 0) < 0 ||
            client_say(c, &reap, sizeof(reap), NULL, 0) < 0)
                return 1;
        return 0;
}

static int be_root_with_a_child(struct client *c, void *userdata)
{
        int status;
        pid_t pid;

        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("root")), 0);
        pid = fork();
        if (pid == 0)
                _exit(speak_on_inherited(c));
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        client_settle(c); /* the first answer that comes is to this */
        return 0;
}

START_TEST(a_message_on_an_inherited_connection_is_not_heard)
{
        if (_i == 1)
                identify_as_before();
        put_file(at("root/precious"), 0);
        run_as(0, be_root_with_a_child, NULL);
        wait_daemon(nothing_is_left);
        ck_assert(is_precious(at("root/precious")));
        ck_assert_uint_eq(daemon_status().reaped, 0);
}
END_TEST

/* The rights are those at the time of connecting, whatever the process becomes. */
static int connect_before_becoming_root(int to, void *userdata)
{
        struct client c;

        if (setresgid(MALLORY, MALLORY, 0) < 0 || setresuid(MALLORY, MALLORY, 0) < 0)
                return 1;
        client_start(&c);
        if (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0)
                return 2;
        ck_assert_int_eq(client_tag(&c, MALLORYS_TAG, at("root")), -EACCES);
        ck_assert_int_eq(client_reap(&c, 0, 0), -EPERM);
        ck_assert_uint_eq(count_listed(&c, 0, 0), 0);
        return 0;
}

START_TEST(who_becomes_root_after_connecting_has_no_more_rights)
{
        struct victim v, alice;

        put_file(at("root/precious"), 0);
        start_alice(&alice);
        victim_start(&v, connect_before_becoming_root, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        ck_assert(is_precious(at("root/precious")));
        end_alice(&alice);
}
END_TEST

/* The library's connection is root's; then the process gives up its rights. */
static int track_after_setuid(int to, void *userdata)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *mine, *t = NULL;

        o.dir = at("root");
        ck_assert_int_eq(tempfile_named(&o, &mine), 0);
        become(MALLORY);
        ck_assert_int_lt(tempfile_track(at("root/precious"), NULL, &t), 0);
        ck_assert_int_lt(tempfile_track(at("alice/precious"), NULL, &t), 0);
        ck_assert_ptr_null(t);
        return 0;
}

START_TEST(who_gives_up_rights_after_connecting_has_them_no_more)
{
        struct victim v;

        ck_assert_int_eq(chmod(at("alice"), 01777), 0);
        put_file(at("root/precious"), 0);
        put_file(at("alice/precious"), ALICE);
        victim_start(&v, track_after_setuid, NULL);
        ck_assert_int_eq(victim_join(&v), 0);
        wait_daemon(nothing_is_left);
        ck_assert(is_precious(at("root/precious")));
        ck_assert(is_precious(at("alice/precious")));
        ck_assert_uint_eq(count_files(at("root")), 1); /* what it had made as root is gone */
}
END_TEST

/* ---- a pid that is used again ---- */

/* Connects, says all that it can without having been answered, and is no more. */
static int leave_messages(int to, void *userdata)
{
        struct wire_hello hello = { .header = { WIRE_VERSION, WIRE_HELLO, 0 } };
        const char *path = at("mallory");
        struct wire_tag m = {
                .header = { WIRE_VERSION, WIRE_TAG, 1 },
                .tag = MALLORYS_TAG,
                .path_len = (uint16_t) strlen(path),
        };
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        struct client c = { .doorbell = -1 };
        uint8_t buf[sizeof(m) + 512];
        int fd = open(path, O_PATH | O_CLOEXEC);

        become(MALLORY);
        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", client_socket);
        c.fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        if (connect(c.fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                return 1;
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), path, m.path_len + 1U);
        ck_assert_int_eq(client_say(&c, &hello, sizeof(hello), NULL, 0), 0);
        ck_assert_int_eq(client_say(&c, buf, sizeof(m) + m.path_len + 1U, &fd, 1), 0);
        return 0;
}

static pid_t fork_as(pid_t pid)
{
        struct clone_args args = { .exit_signal = SIGCHLD,
                                   .set_tid = (uint64_t) (uintptr_t) &pid,
                                   .set_tid_size = 1 };

        return (pid_t) syscall(SYS_clone3, &args, sizeof(args));
}

START_TEST(a_reused_pid_is_not_taken_for_who_connected)
{
        struct victim v;
        pid_t pid, alice;

        if (_i == 1)
                identify_as_before();
        ck_assert_int_eq(kill(world.daemon.pid, SIGSTOP), 0); /* it does not accept for a while */
        victim_start(&v, leave_messages, NULL);
        pid = v.pid;
        ck_assert_int_eq(victim_join(&v), 0);
        alice = fork_as(pid);
        ck_assert_msg(alice >= 0, "%s", strerror(errno));
        if (alice == 0) {
                become(ALICE);
                victim_wait();
        }
        ck_assert_int_eq(alice, pid);
        ck_assert_int_eq(kill(world.daemon.pid, SIGCONT), 0);
        ck_assert_uint_eq(daemon_status().tags, 0);
        ck_assert_uint_eq(daemon_status().owners, 0);
        ck_assert_int_eq(kill(alice, SIGKILL), 0);
        ck_assert_int_eq(waitpid(alice, NULL, 0), alice);
}
END_TEST

static Suite *suite_of_owners(void)
{
        Suite *s = suite_create("attacks on who is who");
        TCase *c;

        c = attack_case(s, "others");
        tcase_add_loop_test(c, another_users_process_is_no_owner_of_hers, 0, 2);
        tcase_add_test(c, another_users_entries_are_not_hers_to_see_or_change);
        tcase_add_test(c, who_knows_another_users_tag_and_key_is_not_her);
        tcase_add_test(c, names_with_anothers_tag_are_told_by_check_and_user);

        c = attack_case(s, "connections");
        tcase_add_loop_test(c, a_message_on_an_inherited_connection_is_not_heard, 0, 2);
        tcase_add_test(c, who_becomes_root_after_connecting_has_no_more_rights);
        tcase_add_test(c, who_gives_up_rights_after_connecting_has_them_no_more);
        tcase_add_loop_test(c, a_reused_pid_is_not_taken_for_who_connected, 0, 2);
        return s;
}

int main(void)
{
        return attack_main(suite_of_owners());
}
