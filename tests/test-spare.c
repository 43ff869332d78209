/* SPDX-License-Identifier: MIT */

/*
 * Tags in reserve: who gets one need not wait for the disk, and has all that a tag promises. Whatever
 * is lost of who got it, with the power, its names are found; and without a power cut nothing is that
 * was not made by the dead.
 */

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"
#include "tests/server-fixture.h"

#define TAG UINT64_C(0xfedcba9876543210)
#define OTHER_BOOT "0123456789abcdef0123456789abcdef"
#define THIRD_BOOT "fedcba9876543210fedcba9876543210"
#define EACH 4 /* of a directory, once it is asked for again */
#define ALL 64 /* of all directories */
#define AGE_SEC 600

static struct client here;

static void set_up(void)
{
        (void) unsetenv("TEMPFILED_BOOT_ID");
        server_setup();
        client_start(&here);
}

static void tear_down(void)
{
        client_close(&here);
        server_teardown();
        (void) unsetenv("TEMPFILED_BOOT_ID");
}

static bool is_lasting(const char *path)
{
        struct identity i;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(identity_of_fd(fd, &i), 0);
        (void) close(fd);
        return identity_outlives_power(&i);
}

#define NEEDS_DISK()                                                                               \
        do {                                                                                       \
                if (!is_lasting(file_path("")))                                                    \
                        SKIP("needs a temporary directory that outlives power");                   \
        } while (0)

/* The answer, with the tag that it gives: the one that was asked for, too. */
static struct wire_tagged ask(struct client *c, uint64_t tag, uint32_t flags, const char *dir)
{
        const size_t path_len = strlen(dir);
        uint8_t buf[sizeof(struct wire_tag) + PATH_MAX], reply[WIRE_PACKET_MAX];
        struct wire_tag m = {
                .header = { WIRE_VERSION, WIRE_TAG, ++c->serial },
                .tag = tag,
                .key = { 1 },
                .path_len = (uint16_t) path_len,
                .flags = flags,
        };
        struct wire_tagged t = { 0 };
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        size_t len;

        ck_assert_int_ge(fd, 0);
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), dir, path_len + 1);
        ck_assert_int_eq(client_say(c, buf, sizeof(m) + path_len + 1, &fd, 1), 0);
        (void) close(fd);
        len = client_receive(c, reply, sizeof(reply));
        ck_assert_int_eq(wire_check_reply(reply, len), 0);
        ck_assert_uint_eq(wire_header_of(reply).serial, m.header.serial);
        memcpy(&t, reply, MIN(len, sizeof(t)));
        if (t.header.opcode == WIRE_RESULT) {
                t.tag = tag;
                memcpy(t.key, m.key, sizeof(t.key));
        }
        c->tag = t.tag;
        return t;
}

static bool is_spare(const struct wire_tagged *t)
{
        return t->header.opcode == WIRE_TAGGED && t->result == 0;
}

static struct wire_tagged ask_any(struct client *c, uint64_t tag)
{
        return ask(c, tag, WIRE_TAG_ANY, file_path(""));
}

static int count_tag(const struct store_tag *t, void *userdata)
{
        ++*(unsigned int *) userdata;
        return 0;
}

/* In the store. */
static unsigned int count_tags(void)
{
        unsigned int n = 0;

        ck_assert_int_ge(store_each_tag(served, count_tag, &n), 0);
        return n;
}

/* ---- who gets one ---- */

START_TEST(second_of_a_directory_gets_one)
{
        struct wire_tagged first, second, third;

        NEEDS_DISK();
        first = ask_any(&here, TAG);
        ck_assert_uint_eq(first.header.opcode, WIRE_RESULT);
        ck_assert_int_eq(first.result, 0);
        second = ask_any(&here, TAG + 1);
        ck_assert(is_spare(&second));
        ck_assert_uint_ne(second.tag, TAG + 1);
        ck_assert_uint_ne(second.id, first.id);
        do /* until one is on disk again */
                third = ask_any(&here, TAG + 2 + here.serial);
        while (!is_spare(&third));
        ck_assert_uint_ne(third.tag, second.tag);
        ck_assert_mem_ne(third.key, second.key, sizeof(third.key));
}
END_TEST

static uint64_t count_waits(void)
{
        struct registry_status s;
        uint64_t n = 0;

        ck_assert_int_ge(registry_get_status(server_registry(server), &s), 0);
        for (size_t i = 0; i < ARRAY_SIZE(s.sync.counts); i++)
                n += s.sync.counts[i];
        return n;
}

START_TEST(who_gets_one_does_not_wait_for_the_disk)
{
        struct wire_tagged t;

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        ck_assert_uint_eq(count_waits(), 1);
        t = ask_any(&here, TAG + 1);
        ck_assert(is_spare(&t));
        ck_assert_uint_eq(count_waits(), 1);
}
END_TEST

START_TEST(none_is_given_before_it_is_on_disk)
{
        struct registry *g = server_registry(server);
        struct tag *t, *got;

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        t = registry_tag_by_tag(g, TAG);
        ck_assert_int_eq(spare_take(g, t, &got), 1);
        spare_make(g, t, true);
        ck_assert_int_eq(spare_take(g, t, &got), 0);
        ck_assert_int_eq(store_commit(served), 0);
        ck_assert(spare_settle(g, true));
        ck_assert_int_eq(spare_take(g, t, &got), 0);
        spare_synced(g, store_committed(served) - 1);
        ck_assert_int_eq(spare_take(g, t, &got), 0);
        spare_synced(g, store_committed(served));
        ck_assert_int_eq(spare_take(g, t, &got), 1);
}
END_TEST

START_TEST(who_insists_gets_none)
{
        static const uint32_t flags[] = { 0, WIRE_TAG_AGAIN | WIRE_TAG_ANY,
                                          WIRE_TAG_UNREADABLE | WIRE_TAG_ANY };
        struct wire_tagged t;

        (void) ask_any(&here, TAG);
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
                t = ask(&here, TAG + 1 + i, flags[i], file_path(""));
                ck_assert_uint_eq(t.header.opcode, WIRE_RESULT);
                ck_assert_int_eq(t.result, 0);
        }
}
END_TEST

START_TEST(one_is_of_its_directory)
{
        struct wire_tagged t;

        ck_assert_int_eq(mkdir(file_path("other"), 0700), 0);
        (void) ask_any(&here, TAG);
        t = ask(&here, TAG + 1, WIRE_TAG_ANY, file_path("other"));
        ck_assert(!is_spare(&t));
}
END_TEST

static void ask_as_another(void)
{
        struct wire_tagged t;
        struct client c;

        client_start(&c);
        t = ask_any(&c, TAG + 1);
        if (is_spare(&t) || t.result != 0)
                _exit(1);
}

START_TEST(one_is_of_its_user)
{
        struct worker w;

        if (geteuid() != 0)
                SKIP("needs root, to be another user");
        (void) ask_any(&here, TAG);
        worker_start(&w, 65534, ask_as_another);
        worker_wait(&w);
        worker_kill(&w);
}
END_TEST

START_TEST(memory_needs_none)
{
        struct wire_tagged t;
        char dir[] = "/dev/shm/test-spare-XXXXXX";

        if (!mkdtemp(dir) || is_lasting(dir))
                SKIP("needs a directory in memory");
        for (unsigned int i = 0; i < 3; i++) {
                t = ask(&here, TAG + i, WIRE_TAG_ANY, dir);
                ck_assert(!is_spare(&t));
        }
        ck_assert_uint_eq(count_tags(), 3);
        ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

/* ---- what they cost ---- */

START_TEST(they_count_as_nobodys)
{
        struct wire_status_reply s;

        (void) ask_any(&here, TAG);
        s = server_status();
        ck_assert_uint_eq(s.tags, 1);
        ck_assert_uint_eq(s.owners, 1);
        ck_assert_uint_eq(s.directories, 1);
}
END_TEST

START_TEST(they_are_few)
{
        struct wire_tagged t;
        char name[32];

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        ck_assert_uint_eq(count_tags(), 1 + 1);
        (void) ask_any(&here, TAG + 1);
        ck_assert_uint_eq(count_tags(), 2 + EACH);
        for (unsigned int i = 0; i < ALL; i++) {
                (void) snprintf(name, sizeof(name), "dir-%u", i);
                ck_assert_int_eq(mkdir(file_path(name), 0700), 0);
                t = ask(&here, TAG + 2 + i, WIRE_TAG_ANY, file_path(name));
                ck_assert(!is_spare(&t));
        }
        ck_assert_uint_eq(count_tags(), 2 + ALL + ALL);
        t = ask_any(&here, TAG + 1000); /* the first made room for others */
        ck_assert(!is_spare(&t));
}
END_TEST

START_TEST(they_go_after_a_while)
{
        struct registry *g = server_registry(server);
        const uint64_t now = now_boottime_usec();
        struct wire_tagged t;

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        spare_expire(g, now + (AGE_SEC - 60) * USEC_PER_SEC);
        ck_assert_uint_eq(count_tags(), 2);
        spare_expire(g, now + (AGE_SEC + 60) * USEC_PER_SEC);
        client_settle(&here);
        ck_assert_uint_eq(count_tags(), 1);
        t = ask_any(&here, TAG + 1);
        ck_assert(!is_spare(&t));
}
END_TEST

static bool has_open(const char *path)
{
        char link[PATH_MAX], name[PATH_MAX];
        const struct dirent *e;
        bool found = false;
        DIR *d = opendir("/proc/self/fd");
        ssize_t n;

        ck_assert_ptr_nonnull(d);
        while (!found && (e = readdir(d))) {
                (void) snprintf(name, sizeof(name), "/proc/self/fd/%s", e->d_name);
                n = readlink(name, link, sizeof(link) - 1);
                link[MAX(n, 0)] = 0;
                found = streq(link, path);
        }
        (void) closedir(d);
        return found;
}

static bool is_let_go(void *userdata)
{
        return !has_open(userdata);
}

static int count_living(const struct store_tag *t, void *userdata)
{
        *(unsigned int *) userdata += !t->is_dead;
        return 0;
}

/* All owners have ended, and what was theirs was looked for. */
static bool is_over(void *userdata)
{
        unsigned int n = 0;

        ck_assert_int_ge(store_each_tag(served, count_living, &n), 0);
        return n == spare_count(server_registry(server));
}

static void ask_in_subdirectory(void)
{
        struct client c;

        client_start(&c);
        (void) ask(&c, TAG, WIRE_TAG_ANY, file_path("sub"));
}

/* Else it could not be unmounted. */
START_TEST(they_keep_no_directory_open)
{
        static char path[PATH_MAX];
        struct registry *g = server_registry(server);
        struct wire_tagged t;
        struct worker w;

        NEEDS_DISK();
        (void) snprintf(path, sizeof(path), "%s", file_path("sub"));
        ck_assert_int_eq(mkdir(path, 0777), 0);
        worker_start(&w, geteuid(), ask_in_subdirectory);
        worker_wait(&w);
        ck_assert(has_open(path));
        worker_kill(&w);
        ck_assert(unit_run_until(event, is_over, NULL));
        g->flush_is_due = true; /* as after a minute: the tombstones go */
        client_settle(&here);
        ck_assert(unit_run_until(event, is_let_go, path));
        t = ask(&here, TAG + 1, WIRE_TAG_ANY, path);
        ck_assert(is_spare(&t));
        ck_assert(has_open(path));
}
END_TEST

/* ---- what they promise ---- */

static struct wire_tagged given;

/* A name that carries it, as the library makes them. */
static const char *given_name(const struct wire_tagged *t)
{
        static char name[NAME_LEN_MAX + 1];

        ck_assert_int_gt(name_make(t->tag, t->key, 4711, "tmp-", "", name), 0);
        return name;
}

static void get_and_make(void)
{
        struct client c;
        int fd;

        client_start(&c);
        given = ask_any(&c, TAG + 1);
        if (!is_spare(&given))
                _exit(1);
        fd = open(file_path("given"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, &given, sizeof(given)) != sizeof(given))
                _exit(1);
        unit_write(file_path(given_name(&given)), "");
}

/* A process has got one, and has made a file without a word about it. */
static void start_with_spare(struct worker *w)
{
        int fd;

        worker_start(w, geteuid(), get_and_make);
        worker_wait(w);
        fd = open(file_path("given"), O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(read(fd, &given, sizeof(given)), sizeof(given));
        (void) close(fd);
        ck_assert(unit_exists(file_path(given_name(&given))));
}

static void report_made(const struct wire_tagged *t)
{
        const struct wire_record made = {
                .what = WIRE_MADE,
                .kind = WIRE_KIND_FILE,
                .seq = 1,
                .tag_or_id = t->tag,
        };
        uint8_t buf[512];
        size_t len = 0;

        ck_assert_int_eq(wire_add_record(buf, sizeof(buf), &len, &made, given_name(t)), 0);
        ck_assert_int_eq(client_say(&here, buf, len, NULL, 0), 0);
        client_settle(&here);
}

START_TEST(reports_under_one_are_heard)
{
        struct wire_tagged t;

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        t = ask_any(&here, TAG + 1);
        report_made(&t);
        ck_assert_uint_eq(server_status().live, 1);
}
END_TEST

/* Nothing was reported, so only its tag tells. */
START_TEST(made_under_one_goes_with_its_owner)
{
        struct worker w;

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        start_with_spare(&w);
        server_restart();
        ck_assert(unit_exists(file_path(given_name(&given))));
        worker_kill(&w);
        wait_path_gone(file_path(given_name(&given)));
}
END_TEST

static void copy(const char *from, const char *to)
{
        char command[2 * PATH_MAX + 64];

        (void) snprintf(command, sizeof(command), "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
        ck_assert_int_eq(system(command), 0);
}

/* The disk has heard of the spares, and not of who got one. */
static void lose_the_power(struct worker *w)
{
        char state[PATH_MAX], saved[PATH_MAX];

        (void) snprintf(state, sizeof(state), "%s", unit_path(server_dir, "state"));
        (void) snprintf(saved, sizeof(saved), "%s", unit_path(server_dir, "saved"));
        (void) ask_any(&here, TAG);
        copy(state, saved);
        start_with_spare(w);
        server_stop();
        worker_kill(w);
        copy(saved, state);
}

START_TEST(made_under_one_goes_after_a_power_cut)
{
        struct worker w;

        NEEDS_DISK();
        lose_the_power(&w);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        server_restart();
        wait_path_gone(file_path(given_name(&given)));
}
END_TEST

/* The same without: nobody has one that the store does not know of, so that nothing is looked for. */
START_TEST(none_is_looked_for_without_one)
{
        struct worker w;

        NEEDS_DISK();
        lose_the_power(&w);
        server_restart();
        client_close(&here);
        client_start(&here);
        client_settle(&here);
        ck_assert_uint_eq(server_status().tags,
                          1); /* of this process, which has not said it again */
        ck_assert_uint_eq(count_tags(), 1);
        ck_assert(unit_exists(file_path(given_name(&given))));
}
END_TEST

/* What was deleted then may be back after the next: its tag is remembered, also by the daemon that
 * comes after the one that has deleted it. */
START_TEST(made_under_one_goes_after_two_power_cuts)
{
        struct worker w;

        NEEDS_DISK();
        lose_the_power(&w);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        server_restart();
        wait_path_gone(file_path(given_name(&given)));
        ck_assert(unit_run_until(event, is_over, NULL));
        server_restart();
        unit_write(file_path(given_name(&given)), ""); /* as if that had never reached the disk */
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", THIRD_BOOT, 1), 0);
        server_restart();
        wait_path_gone(file_path(given_name(&given)));
}
END_TEST

/* Else their directories would be looked for at the next start, for ever if they are not there. */
START_TEST(none_is_left_by_a_daemon_that_ends_in_order)
{
        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        ck_assert_uint_eq(count_tags(), 2);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        server_restart();
        ck_assert_uint_eq(count_tags(), 1);
}
END_TEST

/* Who had got one has it still, and what it kept. */
START_TEST(kept_under_one_stays)
{
        struct wire_tagged t;
        const char *path;

        NEEDS_DISK();
        (void) ask_any(&here, TAG);
        t = ask_any(&here, TAG + 1);
        ck_assert(is_spare(&t));
        report_made(&t);
        path = file_path(given_name(&t));
        unit_write(path, "");
        ck_assert_int_eq(client_keep(&here, t.tag, 1), 0);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        server_restart();
        client_close(&here);
        client_start(&here);
        ck_assert(unit_run_until(event, is_over, NULL));
        ck_assert(unit_exists(path));
}
END_TEST

/* ---- a full disk ---- */

/* It is not given twice, and those that were to come are not given at all. */
START_TEST(full_disk_is_said)
{
        struct wire_tagged t;

        NEEDS_DISK();
        (void) signal(SIGXFSZ, SIG_IGN);
        (void) ask_any(&here, TAG);
        server_fill_disk();
        t = ask_any(&here, TAG + 1);
        ck_assert_uint_eq(t.header.opcode, WIRE_RESULT);
        ck_assert_int_eq(t.result, -ENOSPC);
        t = ask_any(&here, TAG + 2);
        ck_assert_int_eq(t.result, -ENOSPC);
        server_limit_files(RLIM_INFINITY);
        t = ask_any(&here, TAG + 3);
        ck_assert_int_eq(t.result, 0);
        ck_assert(!is_spare(&t));
        ck_assert_uint_eq(server_status().tags, 2);
        t = ask_any(&here, TAG + 4);
        ck_assert(is_spare(&t));
        report_made(&t);
        server_restart();
        client_close(&here);
        client_start(&here);
        client_settle(&here);
        ck_assert_uint_eq(server_status().live, 1);
        ck_assert_uint_eq(server_status().tags, 3); /* the last two have their rows */
}
END_TEST

/* Their owner is written with the first of them: not that time, and then with the next. */
START_TEST(full_disk_at_the_first_of_all_is_made_good)
{
        struct worker w;

        NEEDS_DISK();
        (void) signal(SIGXFSZ, SIG_IGN);
        server_fill_disk();
        ck_assert_int_eq(ask_any(&here, TAG).result, -ENOSPC);
        server_limit_files(RLIM_INFINITY);
        lose_the_power(&w);
        ck_assert_int_eq(setenv("TEMPFILED_BOOT_ID", OTHER_BOOT, 1), 0);
        server_restart();
        wait_path_gone(file_path(given_name(&given)));
}
END_TEST

static Suite *spare_suite(void)
{
        Suite *s = suite_create("spare");
        TCase *c = tcase_create("spare");

        suite_add_tcase(s, c);
        tcase_set_timeout(c, 60);
        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, second_of_a_directory_gets_one);
        tcase_add_test(c, who_gets_one_does_not_wait_for_the_disk);
        tcase_add_test(c, none_is_given_before_it_is_on_disk);
        tcase_add_test(c, who_insists_gets_none);
        tcase_add_test(c, one_is_of_its_directory);
        tcase_add_test(c, one_is_of_its_user);
        tcase_add_test(c, memory_needs_none);
        tcase_add_test(c, they_count_as_nobodys);
        tcase_add_test(c, they_are_few);
        tcase_add_test(c, they_go_after_a_while);
        tcase_add_test(c, they_keep_no_directory_open);
        tcase_add_test(c, reports_under_one_are_heard);
        tcase_add_test(c, made_under_one_goes_with_its_owner);
        tcase_add_test(c, made_under_one_goes_after_a_power_cut);
        tcase_add_test(c, made_under_one_goes_after_two_power_cuts);
        tcase_add_test(c, none_is_looked_for_without_one);
        tcase_add_test(c, none_is_left_by_a_daemon_that_ends_in_order);
        tcase_add_test(c, kept_under_one_stays);
        tcase_add_test(c, full_disk_is_said);
        tcase_add_test(c, full_disk_at_the_first_of_all_is_made_good);
        return s;
}

int main(void)
{
        return unit_main(spare_suite());
}
