/* SPDX-License-Identifier: MIT */

/*
 * Traps for the remover: links, mounts, and directories that somebody swaps or moves while they
 * are being removed. Each test builds the trap first and shows that what it was set for stays.
 */

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/util.h"
#include "tests/remover-fixture.h"

#define MANY 1500U /* enough for a helper */

/* What nothing here may touch. */
static void make_victim(void)
{
        make_directory("victim");
        make_directory("victim/dir");
        make_file("victim/file");
        make_file("victim/dir/file");
        make_file("victim/f");
}

static bool victim_is_whole(void)
{
        return is_there("victim/dir/file") && is_there("victim/file") && is_there("victim/f") &&
               mode_of("victim") == 0700;
}

/* ---- links ------------------------------------------------------------------------------------ */

START_TEST(links_are_removed_and_not_followed)
{
        make_victim();
        make_link(yard_path("victim"), "link");
        ck_assert_int_eq(remove_in_yard("link", TREE), 1);
        ck_assert(!is_there("link"));

        make_directory("t");
        make_directory("t/sub");
        make_link(yard_path("victim"), "t/absolute");
        make_link("../../victim", "t/sub/relative");
        make_link("../../victim/file", "t/sub/file");
        make_link(".", "t/self");
        make_link("..", "t/sub/up");
        make_link("/", "t/root");
        ck_assert_int_eq(remove_in_yard("t", TREE), 8);
        ck_assert(victim_is_whole());
}
END_TEST

START_TEST(the_contents_of_a_link_are_not_removed)
{
        make_victim();
        make_link("victim", "link");
        expect_failure(remove_in_yard("link", TREE | REMOVER_CONTENTS), -ENOTDIR, "link");
        ck_assert(is_there("link"));
        ck_assert(victim_is_whole());
}
END_TEST

START_TEST(the_other_name_of_a_file_stays)
{
        make_victim();
        make_directory("t");
        ck_assert_int_eq(linkat(yard, "victim/file", yard, "t/file", 0), 0);
        ck_assert_int_eq(remove_in_yard("t", TREE), 2);
        ck_assert(victim_is_whole());
}
END_TEST

/* A directory whose owner bits are missing is opened up; what a link leads to is not. */
static void open_up_link(void)
{
        make_directory("precious");
        set_mode("precious", 0);
        make_directory("t");
        make_link("../precious", "t/link");
        make_directory("t/closed");
        set_mode("t/closed", 0);
        ck_assert_int_eq(remove_in_yard("t", TREE), 3);
        ck_assert_uint_eq(mode_of("precious"), 0);
}

START_TEST(permissions_are_not_restored_through_a_link)
{
        as_ordinary(open_up_link);
}
END_TEST

/* ---- swaps ------------------------------------------------------------------------------------ */

static atomic_bool is_enough;
static atomic_uint n_swaps; /* on one busy processor the first may be long in coming */

struct swap {
        const char *a;
        const char *b;
        const char *removed;
        const char *target; /* relative: it is what leads out even where mounts are watched */
};

static void *swap_names(void *userdata)
{
        const struct swap *swap = userdata;

        while (!is_enough)
                if (renameat2(yard, swap->a, yard, swap->b, RENAME_EXCHANGE) == 0)
                        n_swaps++;
        return NULL;
}

static void clear_name(const char *path)
{
        if (unlinkat(yard, path, 0) < 0)
                (void) unlinkat(yard, path, AT_REMOVEDIR);
}

static void make_neighbours(unsigned int first)
{
        char path[64];

        for (unsigned int i = first; i < first + 10; i++) {
                (void) snprintf(path, sizeof(path), "t/dir%u", i);
                (void) mkdirat(yard, path, 0700);
        }
}

/* Whatever the order is that they are listed in, some of the others come before. */
static void build_swapped(const struct swap *swap)
{
        clear_name(swap->a);
        clear_name(swap->b);
        (void) mkdirat(yard, "t", 0700);
        make_neighbours(0);
        (void) mkdirat(yard, swap->a, 0700);
        (void) symlinkat(swap->target, yard, swap->b);
        make_neighbours(10);
}

/* The directory and a link to the victim change places all the time, while one or the other is
 * removed, or what they are in. */
START_TEST(a_link_in_place_of_a_directory_leads_nowhere)
{
        static const struct swap swaps[] = {
                { "a", "b", "a", "victim" },
                { "t/a", "b", "t", "../victim" },
                { "t/a", "t/b", "t", "../victim" },
        };
        const unsigned int n_rounds = is_full_run() ? 20000 : yard_is_fast ? 2000 : 30;
        pthread_t thread;

        make_victim();
        is_enough = false;
        n_swaps = 0;
        ck_assert_int_eq(pthread_create(&thread, NULL, swap_names, (void *) &swaps[_i]), 0);
        for (unsigned int i = 0; i < n_rounds || n_swaps == 0; i++) {
                build_swapped(&swaps[_i]);
                (void) remove_in_yard(swaps[_i].removed, TREE);
                ck_assert(victim_is_whole());
        }
        is_enough = true;
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_uint_gt(n_swaps, 0);
}
END_TEST

static void *move_away_and_back(void *userdata)
{
        while (!is_enough) {
                if (renameat(yard, "t/d/d/d", yard, "victim/dir/moved") == 0)
                        n_swaps++;
                (void) renameat(yard, "victim/dir/moved", yard, "t/d/d/d");
        }
        return NULL;
}

START_TEST(a_directory_that_comes_and_goes_does_not_lead_out)
{
        const unsigned int n_rounds = is_full_run() ? 2000 : yard_is_fast ? 200 : 20;
        pthread_t thread;

        make_victim();
        is_enough = false;
        n_swaps = 0;
        ck_assert_int_eq(pthread_create(&thread, NULL, move_away_and_back, NULL), 0);
        for (unsigned int i = 0; i < n_rounds || n_swaps == 0; i++) {
                (void) mkdirat(yard, "t", 0700);
                grow_chain("t", 40);
                (void) remover_remove(yard, "t", TREE, NULL, NULL);
                ck_assert(victim_is_whole());
        }
        is_enough = true;
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_uint_gt(n_swaps, 0);
}
END_TEST

/* Lies in wait for what is done to a directory, and exchanges or moves names before the kernel goes
 * on with the one that is meant. */
struct ambush {
        int fan;
        unsigned int n_passed; /* events to let pass first */
        const char *from;
        const char *to;
        unsigned int flags; /* of renameat2() */
};

static bool ambush_pass(struct ambush *a, bool is_last)
{
        struct fanotify_response answer = { .response = FAN_ALLOW };
        struct fanotify_event_metadata event;
        ssize_t n;

        if (read(a->fan, &event, sizeof(event)) != sizeof(event))
                return false;
        if (is_last) {
                n_swaps += renameat2(yard, a->from, yard, a->to, a->flags) == 0;
                (void) fanotify_mark(a->fan, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
        }
        answer.fd = event.fd;
        n = write(a->fan, &answer, sizeof(answer));
        (void) close(event.fd);
        return n == sizeof(answer);
}

static void *ambush_wait(void *userdata)
{
        struct ambush *a = userdata;
        unsigned int n = 0;

        while (ambush_pass(a, n == a->n_passed) && n < a->n_passed)
                n++;
        return NULL;
}

static pthread_t ambush_lay(struct ambush *a, const char *dir, uint64_t mask)
{
        pthread_t thread;

        n_swaps = 0;
        a->fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(a->fan, 0);
        ck_assert_int_eq(fanotify_mark(a->fan, FAN_MARK_ADD, mask | FAN_ONDIR, yard, dir), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, ambush_wait, a), 0);
        return thread;
}

static void ambush_end(struct ambush *a, pthread_t thread)
{
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        (void) close(a->fan);
        ck_assert_uint_eq(n_swaps, 1);
}

/* It is read until the end is: at the second read what the first has found is exchanged. */
START_TEST(a_link_that_was_listed_as_a_directory_leads_nowhere)
{
        struct ambush a = { .n_passed = 1, .from = "t/a", .to = "b", .flags = RENAME_EXCHANGE };
        pthread_t thread;

        make_victim();
        make_directory("t");
        make_directory("t/a");
        make_file("t/a/file");
        make_link("../victim", "b");
        thread = ambush_lay(&a, "t", FAN_ACCESS_PERM);
        ck_assert_int_eq(remove_in_yard("t", TREE), 2);
        ambush_end(&a, thread);
        ck_assert(victim_is_whole());
        ck_assert(!is_there("t"));
        ck_assert(is_there("b/file"));
}
END_TEST

START_TEST(a_directory_that_was_listed_as_a_link_goes_as_well)
{
        struct ambush a = { .n_passed = 1, .from = "t/a", .to = "b", .flags = RENAME_EXCHANGE };
        pthread_t thread;

        make_victim();
        make_directory("t");
        make_link("../victim", "t/a");
        make_directory("b");
        make_file("b/file");
        thread = ambush_lay(&a, "t", FAN_ACCESS_PERM);
        ck_assert_int_eq(remove_in_yard("t", TREE), 3);
        ambush_end(&a, thread);
        ck_assert(victim_is_whole());
        ck_assert(!is_there("t"));
}
END_TEST

/* The walk is 30 levels below the directory when it is moved, more than it keeps open: the way
 * back up leads into the victim. */
START_TEST(a_directory_that_is_moved_away_does_not_lead_out)
{
        struct ambush a = { .from = "t/d/d/d", .to = "victim/dir/moved" };
        char path[128] = "t";
        pthread_t thread;

        make_victim();
        make_directory("t");
        make_file("t/sibling");
        make_chain("t", 40);
        for (unsigned int i = 0; i < 34; i++)
                (void) strcat(path, "/d");
        thread = ambush_lay(&a, path, FAN_OPEN_PERM);
        expect_failure(remove_in_yard("t", TREE), -ESTALE, "t/d/d/d");
        ambush_end(&a, thread);
        ck_assert(victim_is_whole());
        ck_assert(is_there("victim/dir/moved"));
        ck_assert(!is_there("victim/dir/moved/f"));
        ck_assert(!is_there("t/sibling"));
        ck_assert_int_eq(remove_in_yard("t", TREE), 3);
}
END_TEST

/* ---- mounts ----------------------------------------------------------------------------------- */

/* As in a sandbox whose filter is older than the call. */
static void forbid_openat2(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

        ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
        ck_assert_int_eq(syscall(SYS_openat2, -1, "", NULL, 0), -1);
        ck_assert_int_eq(errno, ENOSYS);
}

static void enter_mount_namespace(void)
{
        ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
        ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        (void) close(yard);
        yard = open(yard_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(yard, 0);
}

static void bind(const char *what, const char *where)
{
        char from[4096], to[4096];

        (void) snprintf(from, sizeof(from), "%s", yard_path(what));
        (void) snprintf(to, sizeof(to), "%s", yard_path(where));
        ck_assert_msg(mount(from, to, NULL, MS_BIND, NULL) == 0, "bind %s: %m", where);
}

static void mount_tmpfs(const char *where)
{
        ck_assert_msg(mount("none", yard_path(where), "tmpfs", 0, NULL) == 0, "tmpfs: %m");
}

static void unmount(const char *where)
{
        ck_assert_msg(umount2(yard_path(where), UMOUNT_NOFOLLOW) == 0, "umount %s: %m", where);
}

static bool without_openat2;

static void begin_mounts(void)
{
        enter_mount_namespace();
        make_victim();
        if (without_openat2)
                forbid_openat2();
}

static void remove_mounted(void)
{
        begin_mounts();
        make_directory("m");
        bind("victim", "m");
        expect_failure(remove_in_yard("m", TREE), -EXDEV, "m");
        expect_failure(remove_in_yard("m", TREE | REMOVER_CONTENTS), -EXDEV, "m");
        expect_failure(remove_in_yard("m", 0), -EBUSY, "m");
        ck_assert(victim_is_whole());
        unmount("m");
        mount_tmpfs("m");
        make_file("m/precious");
        expect_failure(remove_in_yard("m", TREE), -EXDEV, "m");
        ck_assert(is_there("m/precious"));
        unmount("m");
        make_file("f");
        bind("victim/file", "f");
        expect_failure(remove_in_yard("f", TREE), -EBUSY, "f");
        unmount("f");
        ck_assert(victim_is_whole());
        ck_assert_int_eq(remove_in_yard("m", TREE), 1);
        ck_assert_int_eq(remove_in_yard("f", TREE), 1);
}

START_TEST(a_mount_point_is_not_removed)
{
        without_openat2 = _i;
        in_child(remove_mounted);
}
END_TEST

static void build_around_mounts(unsigned int n)
{
        make_directory("t");
        make_files("t", n);
        make_directory("t/a");
        make_directory("t/a/mount");
        make_directory("t/b");
        make_file("t/b/mount");
        make_directory("t/c");
        make_file("t/c/f");
        bind(n % 2 ? "victim" : "t/c", "t/a/mount");
        bind("victim/file", "t/b/mount");
}

static void remove_around_mounts(void)
{
        int64_t r;

        begin_mounts();
        for (unsigned int n = 10; n <= MANY; n += MANY - 11) {
                build_around_mounts(n);
                r = remove_in_yard("t", TREE);
                if (r == -EXDEV)
                        ck_assert_str_eq(failure.path, "t/a/mount");
                else
                        expect_failure(r, -EBUSY, "t/b/mount");
                ck_assert(victim_is_whole());
                ck_assert(!is_there("t/c"));
                ck_assert(!is_there("t/file-0"));
                unmount("t/a/mount");
                unmount("t/b/mount");
                ck_assert_int_eq(remove_in_yard("t", TREE), 5);
        }
}

START_TEST(what_is_mounted_within_stays_and_the_rest_goes)
{
        without_openat2 = _i;
        in_child(remove_around_mounts);
}
END_TEST

/* ---- suite ------------------------------------------------------------------------------------ */

static TCase *add_case(Suite *s, const char *name, SFun set_up)
{
        TCase *c = tcase_create(name);

        tcase_add_checked_fixture(c, set_up, yard_tear_down);
        tcase_set_timeout(c, is_full_run() ? 600 : 60);
        suite_add_tcase(s, c);
        return c;
}

static Suite *suite_of_traps(void)
{
        Suite *s = suite_create("remover's traps");
        TCase *c;

        c = add_case(s, "links", yard_set_up);
        tcase_add_test(c, links_are_removed_and_not_followed);
        tcase_add_test(c, the_contents_of_a_link_are_not_removed);
        tcase_add_test(c, the_other_name_of_a_file_stays);
        tcase_add_test(c, permissions_are_not_restored_through_a_link);

        c = add_case(s, "swaps", yard_set_up);
        tcase_add_loop_test(c, a_link_in_place_of_a_directory_leads_nowhere, 0, 3);
        tcase_add_test(c, a_directory_that_comes_and_goes_does_not_lead_out);
        add_test_unless(c, a_link_that_was_listed_as_a_directory_leads_nowhere, reason_not_root());
        add_test_unless(c, a_directory_that_was_listed_as_a_link_goes_as_well, reason_not_root());
        add_test_unless(c, a_directory_that_is_moved_away_does_not_lead_out, reason_not_root());

        c = add_case(s, "swaps on a tmpfs", yard_set_up_fast);
        tcase_add_loop_test(c, a_link_in_place_of_a_directory_leads_nowhere, 0, 3);
        tcase_add_test(c, a_directory_that_comes_and_goes_does_not_lead_out);

        c = add_case(s, "mounts", yard_set_up);
        add_loop_test_unless(c, a_mount_point_is_not_removed, 2, reason_not_root());
        add_loop_test_unless(c, what_is_mounted_within_stays_and_the_rest_goes, 2,
                             reason_not_root());
        return s;
}

int main(void)
{
        return run_suite(suite_of_traps());
}
