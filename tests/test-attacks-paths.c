/* SPDX-License-Identifier: MIT */

/*
 * Attacks on the way to what is deleted: links, swaps and mounts in place of something that was
 * registered. Mallory may do what she likes in her own directory; what she has put in the way leads
 * to what is Alice's, which stays.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/attack-fixture.h"

#define ROUNDS 100U
#define ENTRIES 200U

/* Registers a name in Mallory's directory. @userdata: the directory's path. */
static int reserve_precious(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, userdata), 0);
        (void) reserve(c, "precious", WIRE_KIND_FILE);
        return 0;
}

static int track_precious(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, userdata), 0);
        (void) track(c, "precious");
        return 0;
}

/* Alice's file in a directory that Mallory may write to: the kernel would not help. */
static void lay_out(void)
{
        put_directory(at("alice/d"), ALICE, 0777);
        put_file(at("alice/d/precious"), ALICE);
        put_directory(at("mallory/d"), MALLORY, 0700);
        put_file(at("mallory/d/precious"), MALLORY);
}

static void expect_precious(void)
{
        ck_assert(is_precious(at("alice/d/precious")));
}

/* ---- links ---- */

START_TEST(a_link_in_place_of_an_entry_is_not_followed)
{
        attack_fn body = _i < 2 ? reserve_precious : track_precious;
        struct victim v;

        lay_out();
        start_as(&v, MALLORY, body, (void *) at("mallory/d"));
        ck_assert_int_eq(unlink(at("mallory/d/precious")), 0);
        ck_assert_int_eq(
                symlink(at(_i % 2 ? "alice/d" : "alice/d/precious"), at("mallory/d/precious")), 0);
        ck_assert_int_eq(lchown(at("mallory/d/precious"), MALLORY, MALLORY), 0);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        expect_precious();
        ck_assert(path_exists(at("mallory/d/precious"))); /* a link is not what was registered */
        ck_assert_uint_eq(count_files(at("alice/d")), 1);
}
END_TEST

static unsigned int turn; /* no tag twice */

static int track_directory(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG + turn, at("mallory")), 0);
        (void) track(c, userdata);
        return 0;
}

START_TEST(a_link_in_place_of_a_directory_is_not_followed)
{
        struct victim v;

        lay_out();
        start_as(&v, MALLORY, track_directory, (void *) "d");
        ck_assert_int_eq(rename(at("mallory/d"), at("mallory/away")), 0);
        ck_assert_int_eq(symlink(at("alice/d"), at("mallory/d")), 0);
        ck_assert_int_eq(lchown(at("mallory/d"), MALLORY, MALLORY), 0);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        expect_precious();
        ck_assert(is_precious(at("mallory/away/precious"))); /* nobody asked for that any more */
}
END_TEST

/* Her directory is away, and a link lies in its place: which must not be taken for it. The file is
 * deleted through the descriptor that is kept of it, if the daemon still has that. */
static void link_instead_of(const char *component, bool restarts)
{
        char away[PATH_MAX], path[PATH_MAX];
        struct victim v;

        (void) snprintf(path, sizeof(path), "%s", at("%s", component));
        (void) snprintf(away, sizeof(away), "%s", at("mallory/away"));
        start_as(&v, MALLORY, reserve_precious, (void *) at("mallory/c/d"));
        if (restarts)
                world_kill_daemon(&world);
        ck_assert_int_eq(rename(path, away), 0);
        ck_assert_int_eq(symlink(at("%s", strstr(component, "/c/d") ? "alice/d" : "alice"), path),
                         0);
        ck_assert_int_eq(lchown(path, MALLORY, MALLORY), 0);
        if (restarts)
                world_start_daemon(&world);
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_happens);
        expect_precious();
        ck_assert_uint_eq(daemon_status().waiting, restarts);

        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rename(away, path), 0);
        if (restarts) { /* now it is there again */
                world_kill_daemon(&world);
                world_start_daemon(&world);
        }
        wait_daemon(nothing_is_left);
        ck_assert(!path_exists(at("mallory/c/d/precious")));
        expect_precious();
}

START_TEST(a_link_in_place_of_the_parent_or_any_component_leads_nowhere)
{
        lay_out();
        put_directory(at("mallory/c"), MALLORY, 0700);
        ck_assert_int_eq(rename(at("mallory/d"), at("mallory/c/d")), 0);
        link_instead_of(_i % 2 ? "mallory/c" : "mallory/c/d", _i >= 2);
}
END_TEST

START_TEST(the_other_name_of_another_users_file_stays)
{
        struct victim v;

        lay_out();
        ck_assert_int_eq(unlink(at("mallory/d/precious")), 0);
        ck_assert_int_eq(link(at("alice/d/precious"), at("mallory/d/precious")), 0);
        start_as(&v, MALLORY, track_precious, (void *) at("mallory/d"));
        victim_kill(&v, SIGKILL);
        wait_daemon(nothing_is_left);
        ck_assert(!path_exists(at("mallory/d/precious"))); /* in her directory: hers to delete */
        expect_precious();
        ck_assert_uint_eq(daemon_status().reaped, 1);
}
END_TEST

static int refused_as_not_hers(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("shared")), 0);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "link", WIRE_KIND_FILE, 0, NULL), -EPERM);
        return 0;
}

START_TEST(in_a_sticky_directory_a_hard_link_to_anothers_file_is_refused)
{
        lay_out();
        ck_assert_int_eq(link(at("alice/d/precious"), at("shared/link")), 0);
        run_as(MALLORY, refused_as_not_hers, NULL);
        ck_assert(is_precious(at("shared/link")));
}
END_TEST

/* ---- swapped while it is reaped ---- */

static int exchange_for_ever(int to, void *userdata)
{
        const char *a = at("mallory/%s", (const char *) userdata), *b = at("mallory/link");

        become(MALLORY);
        victim_say(to, "");
        for (unsigned int n = 0; n < UINT_MAX; n++) /* until it is killed */
                (void) renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
        return 0;
}

/* A directory of hers and a link to Alice's change places all the time. */
static void start_swapping(struct victim *v, const char *name)
{
        char said[4];

        ck_assert_int_eq(symlink(at("alice/d"), at("mallory/link")), 0);
        ck_assert_int_eq(lchown(at("mallory/link"), MALLORY, MALLORY), 0);
        victim_start(v, exchange_for_ever, (void *) name);
        ck_assert(victim_hear(v, said, sizeof(said)));
}

static int reserve_many(struct client *c, void *userdata)
{
        char name[32];

        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory/d")), 0);
        for (unsigned int i = 0; i < ENTRIES; i++) {
                (void) snprintf(name, sizeof(name), "precious-%u", i);
                (void) reserve(c, name, WIRE_KIND_FILE);
        }
        return 0;
}

/* The daemon, started again and again, looks for the directory by its path. */
START_TEST(a_parent_swapped_in_a_tight_loop_leads_nowhere)
{
        struct victim v, swapper;

        lay_out();
        for (unsigned int i = 0; i < ENTRIES; i++) {
                put_file(at("alice/d/precious-%u", i), MALLORY); /* even hers: not registered */
                put_file(at("mallory/d/precious-%u", i), MALLORY);
        }
        start_as(&v, MALLORY, reserve_many, NULL);
        world_kill_daemon(&world); /* and with it its descriptor of the directory */
        start_swapping(&swapper, "d");
        victim_kill(&v, SIGKILL);
        for (unsigned int i = 0; i < 5; i++) {
                world_start_daemon(&world);
                wait_daemon(nothing_happens);
                world_kill_daemon(&world);
        }
        victim_kill(&swapper, SIGKILL);
        expect_precious();
        ck_assert_uint_eq(count_files(at("alice/d")), ENTRIES + 1);
}
END_TEST

/* What is swapped is within the tree that is removed, half of the time. */
START_TEST(a_component_of_a_tree_swapped_in_a_tight_loop_leads_nowhere)
{
        struct victim v, swapper;

        lay_out();
        for (unsigned int i = 0; i < ENTRIES; i++)
                put_file(at("alice/d/%u", i), MALLORY);
        for (unsigned int i = 0; i < 20; i++)
                put_directory(at("mallory/d/%u", i), MALLORY, 0700);
        put_directory(at("mallory/d/swapped"), MALLORY, 0700);
        start_swapping(&swapper, "d/swapped");
        for (turn = 0; turn < 20; turn++) {
                start_as(&v, MALLORY, track_directory, (void *) "d");
                victim_kill(&v, SIGKILL);
                wait_daemon(nothing_happens);
                ck_assert(!path_exists(at("mallory/d")));
                put_directory(at("mallory/d"), MALLORY, 0700);
                for (unsigned int i = 0; i < 20; i++)
                        put_directory(at("mallory/d/%u", i), MALLORY, 0700);
                put_directory(at("mallory/d/swapped"), MALLORY, 0700);
                (void) unlink(at("mallory/link")); /* in its place there may be a directory now */
                (void) symlink(at("alice/d"), at("mallory/link"));
        }
        victim_kill(&swapper, SIGKILL);
        expect_precious();
        ck_assert_uint_eq(count_files(at("alice/d")), ENTRIES + 1);
}
END_TEST

/* ---- mounts ---- */

static void bind_mount(const char *from, const char *to)
{
        ck_assert_msg(mount(from, to, NULL, MS_BIND, NULL) == 0, "%s: %s", to, strerror(errno));
}

static int refused_as_busy(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory")), 0);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "d", WIRE_KIND_DIRECTORY, 0, NULL), -EBUSY);
        return 0;
}

static int reserve_directory(struct client *c, void *userdata)
{
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG, at("mallory")), 0);
        (void) reserve(c, "d", WIRE_KIND_DIRECTORY);
        return 0;
}

static bool is_stuck(const struct wire_status_reply *s)
{
        return s->stuck == 1 && s->live + s->reaping == 0;
}

START_TEST(a_mount_point_is_refused_and_stays)
{
        struct victim v;

        lay_out();
        ck_assert_int_eq(unlink(at("mallory/d/precious")), 0);
        if (_i == 1)
                start_as(&v, MALLORY, reserve_directory, NULL);
        bind_mount(at("alice/d"), at("mallory/d"));
        if (_i == 0)
                run_as(MALLORY, refused_as_busy, NULL);
        else { /* mounted after it was registered */
                victim_kill(&v, SIGKILL);
                wait_daemon(is_stuck);
        }
        expect_precious();
        ck_assert_int_eq(umount(at("mallory/d")), 0);
        expect_precious();
        if (_i == 1)
                ck_assert(wait_gone(at("mallory/d")));
}
END_TEST

static bool has_failed_in_mount(const struct tempfile_entry *e)
{
        return e->state == TEMPFILE_STATE_STUCK && e->error == -EXDEV && e->attempts > 0 &&
               strstr(e->failed, "/a/mnt");
}

static int look_at_entry(const struct tempfile_entry *e, void *userdata)
{
        ck_assert_msg(has_failed_in_mount(e), "%s: state %u, %s at '%s'", e->path, e->state,
                      strerror(-e->error), e->failed);
        return 0;
}

START_TEST(a_bind_mount_inside_a_tree_stays_and_the_rest_goes)
{
        struct tempfile_admin *admin;
        struct victim v;
        char mnt[PATH_MAX + 8];

        lay_out();
        put_directory(at("mallory/d/a"), MALLORY, 0700);
        put_directory(at("mallory/d/a/mnt"), MALLORY, 0700);
        put_directory(at("mallory/d/b"), MALLORY, 0700);
        put_file(at("mallory/d/b/f"), MALLORY);
        start_as(&v, MALLORY, track_directory, (void *) "d");
        bind_mount(at("alice/d"), at("mallory/d/a/mnt"));
        victim_kill(&v, SIGKILL);
        wait_daemon(is_stuck);
        expect_precious();
        (void) snprintf(mnt, sizeof(mnt), "%s/a/mnt", moved_aside("mallory"));
        ck_assert_uint_eq(count_files(moved_aside("mallory")), 1);
        ck_assert_int_eq(tempfile_admin_open(NULL, 0, &admin), 0);
        ck_assert_int_eq(tempfile_admin_list(admin, NULL, look_at_entry, NULL), 1);

        ck_assert_int_eq(umount(mnt), 0);
        (void) tempfile_admin_reap(admin, 0, 0); /* or the change of mounts has had it tried */
        tempfile_admin_close(admin);
        wait_daemon(nothing_is_left);
        ck_assert_uint_eq(count_files(at("mallory")), 0);
        expect_precious();
}
END_TEST

/* ---- a service that is quick ---- */

static int listen_at(const char *path)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        (void) unlink(path); /* as services do */
        if (bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 1) < 0)
                _exit(1);
        return fd;
}

/* Whether it is the socket of this very listener that is there. */
static bool leads_to(const char *path, int listener)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_(closep) int accepted = -1;

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0 ||
            connect(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                return false;
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        return accepted >= 0;
}

static int listen_and_track(struct client *c, void *userdata)
{
        (void) listen_at(at("mallory/socket"));
        ck_assert_int_eq(client_tag(c, MALLORYS_TAG + turn, at("mallory")), 0);
        ck_assert_int_eq(client_register(c, WIRE_TRACK, "socket", WIRE_KIND_OTHER, 0, NULL), 0);
        return 0;
}

static uint64_t now_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* How long it takes from the end of a service to that of its socket, where nothing is in the way. */
static uint64_t measure_span(void)
{
        struct victim v;
        uint64_t killed, least = UINT64_MAX;

        for (turn = 0; turn < 5; turn++) {
                start_as(&v, 0, listen_and_track, NULL);
                killed = now_usec();
                victim_kill(&v, SIGKILL);
                while (access(at("mallory/socket"), F_OK) == 0)
                        ;
                least = MIN(least, now_usec() - killed);
        }
        return least;
}

/* The old one has just been killed, its socket is being deleted, and the new one binds its own to
 * the very path, a little later each time. It may be away for an instant meanwhile: the daemon has
 * then moved it, seen that it is another's, and moves it back. */
START_TEST(a_service_started_again_keeps_its_new_socket)
{
        uint64_t span, killed;
        struct victim v;

        span = measure_span();
        for (unsigned int i = 0; i < ROUNDS; i++, turn++) {
                _cleanup_(closep) int listener = -1;

                start_as(&v, 0, listen_and_track, NULL);
                killed = now_usec();
                (void) kill(v.pid, SIGKILL);
                while (now_usec() - killed < span * i / ROUNDS)
                        ;
                listener = listen_at(at("mallory/socket"));
                (void) victim_join(&v);
                wait_daemon(nothing_is_left);
                ck_assert_msg(leads_to(at("mallory/socket"), listener), "round %u", i);
                ck_assert_uint_eq(count_files(at("mallory")), 1);
        }
}
END_TEST

static Suite *suite_of_paths(void)
{
        Suite *s = suite_create("attacks on paths");
        TCase *c;

        c = attack_case(s, "links");
        tcase_add_loop_test(c, a_link_in_place_of_an_entry_is_not_followed, 0, 4);
        tcase_add_test(c, a_link_in_place_of_a_directory_is_not_followed);
        tcase_add_loop_test(c, a_link_in_place_of_the_parent_or_any_component_leads_nowhere, 0, 4);
        tcase_add_test(c, the_other_name_of_another_users_file_stays);
        tcase_add_test(c, in_a_sticky_directory_a_hard_link_to_anothers_file_is_refused);

        c = attack_case(s, "swaps");
        tcase_add_test(c, a_parent_swapped_in_a_tight_loop_leads_nowhere);
        tcase_add_test(c, a_component_of_a_tree_swapped_in_a_tight_loop_leads_nowhere);
        tcase_add_test(c, a_service_started_again_keeps_its_new_socket);

        c = attack_case(s, "mounts");
        tcase_add_loop_test(c, a_mount_point_is_refused_and_stays, 0, 2);
        tcase_add_test(c, a_bind_mount_inside_a_tree_stays_and_the_rest_goes);
        return s;
}

int main(void)
{
        return attack_main(suite_of_paths());
}
