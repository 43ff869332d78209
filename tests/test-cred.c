/* SPDX-License-Identifier: MIT */

/*
 * One thread acts for another user: it alone, with that user's rights and no others, or not at
 * all. What the kernel thinks of a thread is read from /proc.
 */

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/cred.h"
#include "libclient/util.h"
#include "tests/unit.h"

#define CAP_BIT(cap) (UINT64_C(1) << (cap))
#define CAP_SWITCH (CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID))

static char dir[UNIT_PATH_SIZE];

static void setup(void)
{
        unit_make_directory(dir);
        (void) cred_is_own(0); /* reads what this process is, as the daemon does at its start */
}

static void teardown(void)
{
        (void) cred_enter(NULL);
        unit_remove_directory(dir);
}

/* ---- what a thread is ---- */

struct seen {
        unsigned int uid, fsuid, fsgid;
        char groups[128];
        uint64_t effective;
};

static struct seen look_at(pid_t thread)
{
        char path[64], line[8192];
        struct seen s = { 0 };
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int) thread);
        f = fopen(path, "re");
        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof(line), f)) {
                (void) sscanf(line, "Uid: %u %*u %*u %u", &s.uid, &s.fsuid);
                (void) sscanf(line, "Gid: %*u %*u %*u %u", &s.fsgid);
                (void) sscanf(line, "Groups: %127[^\n]", s.groups);
                (void) sscanf(line, "CapEff: %" SCNx64, &s.effective);
        }
        (void) fclose(f);
        for (size_t n = strlen(s.groups); n > 0 && s.groups[n - 1] == ' '; n--)
                s.groups[n - 1] = 0;
        return s;
}

static bool same(const struct seen *a, const struct seen *b)
{
        return a->uid == b->uid && a->fsuid == b->fsuid && a->fsgid == b->fsgid &&
               a->effective == b->effective && streq(a->groups, b->groups);
}

static gid_t some_groups[] = { 65534, 70000, 70001 };

static const struct cred nobody = {
        .uid = 65534, .gid = 65534, .n_groups = 3, .groups = some_groups
};
static const struct cred somebody = { .uid = 70000, .gid = 70000 };

static void *enter(void *cred)
{
        static struct seen in_thread;

        ck_assert_int_eq(cred_enter(cred), 0);
        in_thread = look_at(gettid());
        return &in_thread;
}

START_TEST(only_the_calling_thread_changes)
{
        struct seen before = look_at(gettid()), after, *inside;
        pthread_t t;
        void *result;

        SKIP_UNLESS_ROOT("to act for another user");
        ck_assert_int_eq(pthread_create(&t, NULL, enter, (void *) &nobody), 0);
        ck_assert_int_eq(pthread_join(t, &result), 0);
        inside = result;
        after = look_at(gettid());
        ck_assert(same(&before, &after));
        ck_assert_uint_eq(inside->uid, 0); /* the real one: the client may not signal it */
        ck_assert_uint_eq(inside->fsuid, 65534);
        ck_assert_uint_eq(inside->fsgid, 65534);
        ck_assert_str_eq(inside->groups, "65534 70000 70001");
        ck_assert_uint_eq(inside->effective, CAP_SWITCH);
}
END_TEST

static int try_read(const char *name)
{
        int fd = open(unit_path(dir, name), O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        close_fd(fd);
        return 0;
}

START_TEST(rights_are_the_users)
{
        SKIP_UNLESS_ROOT("to act for another user");
        unit_write(unit_path(dir, "root"), "");
        unit_write(unit_path(dir, "nobody"), "");
        unit_write(unit_path(dir, "group"), "");
        ck_assert_int_eq(chown(unit_path(dir, "nobody"), 65534, 0), 0);
        ck_assert_int_eq(chown(unit_path(dir, "group"), 0, 70001), 0);
        ck_assert_int_eq(chmod(unit_path(dir, "group"), 0640), 0);
        ck_assert_int_eq(cred_enter(&nobody), 0);
        ck_assert_int_eq(try_read("root"), -EACCES);
        ck_assert_int_eq(try_read("nobody"), 0);
        ck_assert_int_eq(try_read("group"), 0);
        ck_assert_int_eq(cred_enter(NULL), 0);
        ck_assert_int_eq(try_read("root"), 0);
}
END_TEST

START_TEST(it_goes_to_and_fro)
{
        struct seen before = look_at(gettid()), after;

        SKIP_UNLESS_ROOT("to act for another user");
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(cred_enter(&nobody), 0);
                ck_assert_int_eq(cred_enter(&nobody), 0);
                after = look_at(gettid());
                ck_assert_uint_eq(after.fsuid, 65534);
                ck_assert_int_eq(cred_enter(&somebody), 0);
                after = look_at(gettid());
                ck_assert_uint_eq(after.fsuid, 70000);
                ck_assert_uint_eq(after.fsgid, 70000);
                ck_assert_str_eq(after.groups, "");
                ck_assert_int_eq(cred_enter(NULL), 0);
        }
        after = look_at(gettid());
        ck_assert(same(&before, &after));
}
END_TEST

START_TEST(many_groups_are_taken_on_each_time)
{
        struct cred many = { .uid = 70000, .gid = 70000, .n_groups = 500 };
        struct seen s;

        SKIP_UNLESS_ROOT("to act for another user");
        many.groups = calloc(many.n_groups, sizeof(gid_t));
        for (unsigned int i = 0; i < many.n_groups; i++)
                many.groups[i] = 80000 + i;
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(cred_enter(&many), 0);
                s = look_at(gettid());
                ck_assert_uint_eq(s.fsuid, 70000);
                ck_assert_int_eq(strncmp(s.groups, "80000 80001 ", 12), 0);
        }
        ck_assert_int_eq(cred_enter(&somebody), 0);
        ck_assert_str_eq(look_at(gettid()).groups, "");
        free(many.groups);
}
END_TEST

START_TEST(root_has_the_capabilities_that_it_had)
{
        struct cred root = { 0 };

        SKIP_UNLESS_ROOT("to act for root");
        unit_write(unit_path(dir, "nobody"), "");
        ck_assert_int_eq(chown(unit_path(dir, "nobody"), 65534, 0), 0);
        ck_assert_int_eq(cred_enter(&root), 0);
        ck_assert_uint_eq(look_at(gettid()).effective, CAP_SWITCH);
        ck_assert_int_eq(try_read("nobody"), -EACCES);
        root.caps = CAP_BIT(CAP_DAC_OVERRIDE);
        ck_assert_int_eq(cred_enter(&root), 0);
        ck_assert_uint_eq(look_at(gettid()).effective, CAP_SWITCH | CAP_BIT(CAP_DAC_OVERRIDE));
        ck_assert_int_eq(try_read("nobody"), 0);
}
END_TEST

START_TEST(failed_switch_leaves_no_rights)
{
        struct cred bad = { .uid = 70000, .gid = 70000, .n_groups = 100000 };
        struct seen after;

        SKIP_UNLESS_ROOT("to act for another user");
        bad.groups = calloc(bad.n_groups, sizeof(gid_t));
        unit_write(unit_path(dir, "root"), "");
        for (int i = 0; i < 2; i++) {
                if (i > 0) /* from a user as from root */
                        ck_assert_int_eq(cred_enter(&nobody), 0);
                ck_assert_int_eq(cred_enter(&bad), -EINVAL);
                after = look_at(gettid());
                ck_assert_uint_ne(after.fsuid, 0);
                ck_assert_uint_eq(after.effective & ~CAP_SWITCH, 0);
                ck_assert_int_eq(try_read("root"), -EACCES);
                ck_assert_int_eq(cred_enter(NULL), 0); /* and it can be put right */
                ck_assert_int_eq(try_read("root"), 0);
        }
        free(bad.groups);
}
END_TEST

/* ---- who may not switch ---- */

static int drop_capabilities(void)
{
        struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct d[2];

        if (syscall(SYS_capget, &h, d) < 0)
                return -errno;
        d[0].effective &= ~(uint32_t) CAP_SWITCH;
        d[0].permitted &= ~(uint32_t) CAP_SWITCH;
        return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

/* In a program of its own: what a process may is read once. */
static int try_without_rights(bool drops)
{
        struct cred own = { .uid = geteuid(), .gid = getegid() };
        struct cred other = { .uid = own.uid + 1, .gid = own.gid };

        if (drops && drop_capabilities() < 0)
                return 1;
        if (cred_enter(&other) != -EPERM || cred_can_serve(other.uid))
                return 2;
        if (cred_enter(&own) != 0 || cred_enter(NULL) != 0 || !cred_can_serve(own.uid))
                return 3;
        return cred_is_own(own.uid) && !cred_is_own(other.uid) ? 0 : 4;
}

START_TEST(without_the_right_to_switch_it_serves_its_own_user_only)
{
        char how[2] = { geteuid() == 0 ? 'd' : 'u', 0 };
        int status;
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        if (pid == 0) {
                (void) setenv("TEST_CRED", how, 1);
                (void) execl("/proc/self/exe", "test-cred", NULL);
                _exit(127);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- a process for good ---- */

static int become_and_look(void *userdata)
{
        const struct cred *c = userdata;
        struct seen s;

        if (cred_become(c) != 0)
                return 1;
        s = look_at(gettid());
        if (s.uid != c->uid || s.fsuid != c->uid || s.fsgid != c->gid || s.effective != 0)
                return 2;
        if (setresuid(0, 0, 0) == 0 || setgroups(0, NULL) == 0)
                return 3;
        return streq(s.groups, c->n_groups > 0 ? "65534 70000 70001" : "") ? 0 : 4;
}

static int fail_to_become(void *userdata)
{
        return cred_become(userdata) < 0 ? 0 : 1;
}

START_TEST(process_becomes_a_user_for_good_or_not_at_all)
{
        struct cred root = { 0 }, no_user = { .uid = (uid_t) -1 }, no_group = nobody;
        struct cred too_many = { .uid = 70000, .gid = 70000, .n_groups = 100000 };

        SKIP_UNLESS_ROOT("to become another user");
        no_group.gid = (gid_t) -1; /* which would leave root's */
        too_many.groups = calloc(too_many.n_groups, sizeof(gid_t));
        ck_assert_int_eq(unit_in_child(become_and_look, (void *) &nobody), 0);
        ck_assert_int_eq(unit_in_child(become_and_look, (void *) &somebody), 0);
        ck_assert_int_eq(unit_in_child(fail_to_become, &root), 0);
        ck_assert_int_eq(unit_in_child(fail_to_become, &no_user), 0);
        ck_assert_int_eq(unit_in_child(fail_to_become, &no_group), 0);
        ck_assert_int_eq(unit_in_child(fail_to_become, &too_many), 0);
        free(too_many.groups);
}
END_TEST

/* ---- values ---- */

START_TEST(copies_are_equal_and_differences_count)
{
        struct cred copy, none = { 0 };
        gid_t groups[] = { 65534, 70000, 70002 };

        ck_assert_int_eq(cred_copy(&nobody, &copy), 0);
        ck_assert(cred_equal(&nobody, &copy));
        ck_assert_ptr_ne(copy.groups, nobody.groups);
        copy.gid++;
        ck_assert(!cred_equal(&nobody, &copy));
        copy.gid--;
        copy.caps++;
        ck_assert(!cred_equal(&nobody, &copy));
        copy.caps--;
        copy.n_groups--;
        ck_assert(!cred_equal(&nobody, &copy));
        copy.n_groups++;
        memcpy(copy.groups, groups, sizeof(groups));
        ck_assert(!cred_equal(&nobody, &copy));
        cred_done(&copy);
        ck_assert(cred_equal(&none, &copy));
}
END_TEST

START_TEST(peer_is_who_it_is)
{
        gid_t groups[256];
        struct cred c = { 0 };
        int ends[2], n;
        pid_t pid = 0;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        ck_assert_int_eq(cred_of_peer(ends[0], &c, &pid), 0);
        ck_assert_int_eq(pid, getpid());
        ck_assert_uint_eq(c.uid, geteuid());
        ck_assert_uint_eq(c.gid, getegid());
        ck_assert_uint_eq(c.caps, 0);
        n = getgroups(ARRAY_SIZE(groups), groups);
        ck_assert_uint_eq(c.n_groups, (unsigned int) n);
        if (n > 0)
                ck_assert_mem_eq(c.groups, groups, (size_t) n * sizeof(gid_t));
        cred_done(&c);
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

static void __attribute__((noreturn)) wait_in_namespace(int ready)
{
        char byte = 0;

        if (unshare(CLONE_NEWUSER) < 0)
                byte = 1;
        (void) !write(ready, &byte, 1);
        for (;;)
                (void) pause();
}

START_TEST(capabilities_in_another_user_namespace_count_for_nothing)
{
        struct seen own = look_at(gettid());
        uint64_t caps;
        int ends[2];
        char byte;
        pid_t pid;

        ck_assert_int_eq(cred_read_caps(getpid(), &caps), 0);
        ck_assert_uint_eq(caps, own.effective);
        ck_assert_int_eq(pipe(ends), 0);
        pid = fork();
        if (pid == 0)
                wait_in_namespace(ends[1]);
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        if (byte == 0) {
                ck_assert_int_eq(cred_read_caps(pid, &caps), 0);
                ck_assert_uint_eq(caps, 0);
        }
        (void) kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        ck_assert_int_eq(cred_read_caps(pid, &caps), -ESRCH);
        (void) close(ends[0]);
        (void) close(ends[1]);
        if (byte != 0)
                SKIP("may not make a user namespace");
}
END_TEST

enum { FINE, WRONG, NO_WAY }; /* a child's exit status */

/* They stand before the capabilities, on a line of 300 KiB. */
static int read_behind_many_groups(void *userdata)
{
        static gid_t groups[30000];
        struct seen own = look_at(gettid());
        uint64_t caps;

        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                groups[i] = (gid_t) (1000000000 + i);
        if (setgroups(ARRAY_SIZE(groups), groups) < 0)
                return NO_WAY;
        return cred_read_caps(getpid(), &caps) == 0 && caps == own.effective ? FINE : WRONG;
}

START_TEST(capabilities_are_found_behind_many_groups)
{
        int status = unit_in_child(read_behind_many_groups, NULL);

        if (status == NO_WAY)
                SKIP("needs root, to have many groups");
        ck_assert_int_eq(status, FINE);
}
END_TEST

static int read_without(void *file)
{
        uint64_t caps;

        if (!unit_spoil(file))
                return NO_WAY;
        return cred_read_caps(getpid(), &caps) == -EIO ? FINE : WRONG;
}

/* Without them what is root's could not be deleted in another user's directory, for good. */
START_TEST(capabilities_that_cannot_be_read_are_not_none)
{
        static char files[][32] = { "/proc/self/uid_map", "/proc/self/status" };
        int status;

        for (unsigned int i = 0; i < ARRAY_SIZE(files); i++) {
                status = unit_in_child(read_without, files[i]);
                if (status == NO_WAY)
                        SKIP("needs root, to make a file of /proc unreadable");
                ck_assert_int_eq(status, FINE);
        }
}
END_TEST

static Suite *cred_suite(void)
{
        Suite *s = suite_create("cred");
        TCase *t = tcase_create("cred");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, only_the_calling_thread_changes);
        tcase_add_test(t, rights_are_the_users);
        tcase_add_test(t, it_goes_to_and_fro);
        tcase_add_test(t, many_groups_are_taken_on_each_time);
        tcase_add_test(t, root_has_the_capabilities_that_it_had);
        tcase_add_test(t, failed_switch_leaves_no_rights);
        tcase_add_test(t, without_the_right_to_switch_it_serves_its_own_user_only);
        tcase_add_test(t, process_becomes_a_user_for_good_or_not_at_all);
        tcase_add_test(t, copies_are_equal_and_differences_count);
        tcase_add_test(t, peer_is_who_it_is);
        tcase_add_test(t, capabilities_in_another_user_namespace_count_for_nothing);
        tcase_add_test(t, capabilities_are_found_behind_many_groups);
        tcase_add_test(t, capabilities_that_cannot_be_read_are_not_none);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        const char *how = getenv("TEST_CRED");

        if (how)
                return try_without_rights(*how == 'd');
        return unit_main(cred_suite());
}
