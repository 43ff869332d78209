/* SPDX-License-Identifier: MIT */

/*
 * What is deleted, and what is left alone: each trap is built first. The jobs are run here, in
 * this thread; that they run in others is the pool's business.
 */

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/reaper.h"
#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/disk-fixture.h"
#include "tests/unit.h"

#define SWAPS 300

static const uint8_t key[NAME_KEY_SIZE] = "0123456789abcde";
static const uint8_t tag_key[NAME_KEY_SIZE] = "a key of a tag.";

static char top[UNIT_PATH_SIZE], dir[UNIT_PATH_SIZE + 8];
static struct identity dir_identity;
static struct cred own, nobody = { .uid = UNIT_NOBODY, .gid = UNIT_NOBODY };

static void setup(void)
{
        _cleanup_(closep) int fd = -1;

        own = (struct cred) { .uid = geteuid(), .gid = getegid() };
        ck_assert_int_eq(cred_read_caps(getpid(), &own.caps), 0);
        (void) cred_is_own(0);
        unit_make_directory(top);
        (void) snprintf(dir, sizeof(dir), "%s/d", top);
        ck_assert_int_eq(mkdir(dir, 0777), 0);
        ck_assert_int_eq(chmod(dir, 0777), 0);
        fd = open(dir, O_PATH | O_CLOEXEC);
        ck_assert_int_eq(identity_of_fd(fd, &dir_identity), 0);
}

static void teardown(void)
{
        ck_assert_int_eq(cred_enter(NULL), 0);
        unit_remove_directory(top);
}

static const char *at(const char *name)
{
        return unit_path(dir, name);
}

static void make_tree(const char *name)
{
        char below[256];

        ck_assert_int_eq(mkdir(at(name), 0700), 0);
        for (int i = 0; i < 3; i++) {
                (void) snprintf(below, sizeof(below), "%s/%d", name, i);
                ck_assert_int_eq(mkdir(at(below), 0700), 0);
                (void) snprintf(below, sizeof(below), "%s/%d/file", name, i);
                unit_write(at(below), "");
        }
}

static struct identity *identity_of(const char *name)
{
        _cleanup_(closep) int fd = open(dir, O_PATH | O_CLOEXEC);
        struct identity *i = malloc(sizeof(*i));

        ck_assert_int_eq(identity_at(fd, name, i), 0);
        return i;
}

/* ---- one entry ---- */

struct attempt {
        enum reap_outcome outcome;
        int error;
        char failed[PATH_MAX];
        int opened_fd;
};

/* The identity is taken. */
static struct attempt delete_with(const struct reap_place *place, unsigned int kind,
                                  const char *name, const char *target, struct identity *identity)
{
        struct reap_item item = {
                .id = 7,
                .kind = kind,
                .name = name ? strdup(name) : NULL,
                .target = target ? strdup(target) : NULL,
                .identity = identity,
        };
        struct delete_job j = { .place = *place, .key = key, .items = &item, .n_items = 1 };
        struct attempt a = { 0 };

        ck_assert_int_eq(reaper_delete(&j.job), 0);
        a.outcome = item.outcome;
        a.error = item.error;
        (void) snprintf(a.failed, sizeof(a.failed), "%s", item.failed ? item.failed : "");
        a.opened_fd = j.place.opened_fd;
        reap_item_done(&item);
        ck_assert_int_eq(cred_enter(NULL), 0);
        return a;
}

static struct reap_place place_of(const struct cred *c)
{
        return (struct reap_place) {
                .cred = c, .path = dir, .identity = &dir_identity, .fd = -1, .opened_fd = -1
        };
}

static enum reap_outcome delete_one(unsigned int kind, const char *name, const char *target,
                                    struct identity *identity)
{
        struct reap_place place = place_of(&own);
        struct attempt a = delete_with(&place, kind, name, target, identity);

        close_fd(a.opened_fd);
        return a.outcome;
}

START_TEST(made_file_is_deleted)
{
        unit_write(at("made"), "");
        unit_write(at("made.bak"), "");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made", NULL, NULL), REAP_GONE);
        ck_assert(!unit_exists(at("made")));
        ck_assert(unit_exists(at("made.bak")));
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made", NULL, NULL), REAP_ABSENT);
}
END_TEST

START_TEST(made_directory_is_deleted_with_all_in_it)
{
        make_tree("made");
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "made", NULL, NULL), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "made", NULL, NULL), REAP_ABSENT);
}
END_TEST

START_TEST(made_file_that_was_replaced_is_still_the_temporary)
{
        unit_write(at("made"), "");
        unit_write(at("new"), "");
        ck_assert_int_eq(rename(at("new"), at("made")), 0); /* as sed -i does */
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made", NULL, NULL), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);
}
END_TEST

START_TEST(another_type_is_left)
{
        make_tree("dir");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "dir", NULL, NULL), REAP_OTHER);
        ck_assert_int_eq(delete_one(WIRE_KIND_OTHER, "dir", NULL, NULL), REAP_OTHER);
        unit_write(at("file"), "");
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "file", NULL, NULL), REAP_OTHER);
        ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "fifo", NULL, NULL), REAP_OTHER);
        ck_assert_uint_eq(unit_count_names(dir), 3);
        ck_assert_int_eq(delete_one(WIRE_KIND_OTHER, "fifo", NULL, NULL), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 2);
}
END_TEST

START_TEST(symbolic_link_in_its_place_is_left_and_not_followed)
{
        make_tree("precious");
        unit_write(at("file"), "");
        ck_assert_int_eq(symlink("precious", at("made-dir")), 0);
        ck_assert_int_eq(symlink("file", at("made-file")), 0);
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "made-dir", NULL, NULL), REAP_OTHER);
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made-file", NULL, NULL), REAP_OTHER);
        ck_assert_uint_eq(unit_count_names(dir), 4);
        ck_assert_uint_eq(unit_count_names(at("precious")), 3);
        /* A made link is deleted, and what it leads to is not. */
        ck_assert_int_eq(delete_one(WIRE_KIND_OTHER, "made-dir", NULL, NULL), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(at("precious")), 3);
}
END_TEST

START_TEST(another_users_is_left)
{
        struct reap_place place = place_of(&nobody);
        struct attempt a;

        SKIP_UNLESS_ROOT("to have files of several users");
        unit_write(at("roots"), "");
        make_tree("tree");
        a = delete_with(&place, WIRE_KIND_FILE, "roots", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_OTHER);
        close_fd(a.opened_fd);
        a = delete_with(&place, WIRE_KIND_DIRECTORY, "tree", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_OTHER);
        close_fd(a.opened_fd);
        ck_assert_uint_eq(unit_count_names(dir), 2);
        /* Root may have given it away: then it can't be told. */
        ck_assert_int_eq(chown(at("roots"), UNIT_NOBODY, UNIT_NOBODY), 0);
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "roots", NULL, NULL), REAP_STUCK);
        ck_assert(unit_exists(at("roots")));
}
END_TEST

START_TEST(tracked_one_is_told_by_its_identity)
{
        struct identity *first, *second;

        unit_write(at("t"), "");
        first = identity_of("t");
        if (first->handle_len == 0)
                SKIP("this file system has no file handles");
        second = identity_of("t");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "t", NULL, first), REAP_GONE);
        unit_write(at("t"), "another's");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "t", NULL, second), REAP_OTHER);
        ck_assert(unit_exists(at("t")));
        ck_assert_uint_eq(unit_count_names(dir), 1);

        first = identity_of("t");
        first->handle_len = 0; /* of a file system without */
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "t", NULL, first), REAP_STUCK);
        ck_assert(unit_exists(at("t")));
}
END_TEST

START_TEST(tracked_directory_is_deleted_or_left_whole)
{
        struct identity *first, *second;

        make_tree("t");
        first = identity_of("t"), second = identity_of("t");
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "t", NULL, first), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);
        make_tree("t");
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "t", NULL, second), REAP_OTHER);
        ck_assert_uint_eq(unit_count_names(at("t")), 3);
}
END_TEST

START_TEST(renamed_one_is_found_at_either_name)
{
        unit_write(at("made"), "");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made", "target", identity_of("made")),
                         REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);

        unit_write(at("target"), "");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made", "target", identity_of("target")),
                         REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);

        unit_write(at("target"), "another's");
        unit_write(at("made"), "");
        {
                struct identity *i = identity_of("made");

                ck_assert_int_eq(unlink(at("made")), 0);
                ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "made", "target", i), REAP_OTHER);
        }
        ck_assert(unit_exists(at("target")));
}
END_TEST

/* ---- aside ---- */

static const char *aside(void)
{
        static char name[REAPER_ASIDE_SIZE];

        reaper_aside_name(key, 7, name);
        return name;
}

START_TEST(aside_names_differ)
{
        char a[REAPER_ASIDE_SIZE], b[REAPER_ASIDE_SIZE];

        reaper_aside_name(key, 7, a);
        reaper_aside_name(key, 8, b);
        ck_assert_str_ne(a, b);
        reaper_aside_name(tag_key, 7, b);
        ck_assert_str_ne(a, b);
        ck_assert(name_is_component(a, strlen(a)));
        ck_assert_int_eq(a[0], '.');
}
END_TEST

START_TEST(what_a_crash_left_aside_is_deleted)
{
        struct identity *i;

        make_tree("t");
        i = identity_of("t");
        ck_assert_int_eq(rename(at("t"), at(aside())), 0);
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "t", NULL, i), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);

        make_tree(aside()); /* a made one, half deleted */
        ck_assert_int_eq(delete_one(WIRE_KIND_DIRECTORY, "made", NULL, NULL), REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);
}
END_TEST

START_TEST(what_was_moved_by_mistake_is_moved_back)
{
        struct identity *i;

        unit_write(at("t"), "");
        i = identity_of("t");
        ck_assert_int_eq(unlink(at("t")), 0);
        unit_write(at(aside()), "another's, moved just before a crash");
        ck_assert_int_eq(delete_one(WIRE_KIND_FILE, "t", NULL, i), REAP_OTHER);
        ck_assert(unit_exists(at("t")));
        ck_assert_uint_eq(unit_count_names(dir), 1);
}
END_TEST

START_TEST(what_cannot_be_moved_back_is_not_forgotten)
{
        struct reap_place place = place_of(&own);
        struct identity *i;
        struct attempt a;

        unit_write(at("t"), "");
        i = identity_of("t");
        ck_assert_int_eq(unlink(at("t")), 0);
        unit_write(at(aside()), "another's");
        unit_write(at("t"), "a third one's");
        a = delete_with(&place, WIRE_KIND_FILE, "t", NULL, i);
        ck_assert_int_eq(a.outcome, REAP_STUCK);
        ck_assert_int_eq(a.error, -EEXIST);
        ck_assert_uint_eq(unit_count_names(dir), 2);
        close_fd(a.opened_fd);
}
END_TEST

static _Atomic bool swaps;

static void *swap(void *userdata)
{
        int fd = *(int *) userdata;

        while (swaps)
                (void) renameat2(fd, "t", fd, "precious", RENAME_EXCHANGE);
        return NULL;
}

/* Ours and another's change places all the time: only ours ever goes. */
START_TEST(swapped_one_is_never_deleted)
{
        _cleanup_(closep) int fd = open(dir, O_PATH | O_CLOEXEC);
        pthread_t thread;

        for (int i = 0; i < SWAPS; i++) {
                struct identity *ours, theirs, found;
                struct stat st;

                unit_write(at("t"), "ours");
                unit_write(at("precious"), "theirs");
                ours = identity_of("t");
                ck_assert_int_eq(identity_at(fd, "precious", &theirs), 0);
                swaps = true;
                ck_assert_int_eq(pthread_create(&thread, NULL, swap, &fd), 0);
                (void) delete_one(WIRE_KIND_FILE, "t", NULL, ours);
                swaps = false;
                ck_assert_int_eq(pthread_join(thread, NULL), 0);
                if (stat(at(aside()), &st) == 0) /* it was in the way of itself: once more */
                        ck_assert_int_eq(rename(at(aside()), at("again")), 0);
                if (identity_at(fd, "t", &found) < 0 ||
                    identity_compare_object(&theirs, &found) != IDENTITY_SAME)
                        if (identity_at(fd, "precious", &found) < 0 ||
                            identity_compare_object(&theirs, &found) != IDENTITY_SAME)
                                ck_assert_int_eq(identity_at(fd, "again", &found), 0);
                ck_assert_int_eq(identity_compare_object(&theirs, &found), IDENTITY_SAME);
                (void) unlink(at("t"));
                (void) unlink(at("precious"));
                (void) unlink(at("again"));
        }
}
END_TEST

/* ---- places ---- */

START_TEST(missing_directory_is_waited_for)
{
        struct reap_place place = place_of(&own);
        struct attempt a;

        unit_write(at("made"), "");
        ck_assert_int_eq(rename(dir, unit_path(top, "elsewhere")), 0);
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_WAITING);
        ck_assert_int_eq(a.error, -ENOENT);
        ck_assert_int_eq(a.opened_fd, -1);
        ck_assert_int_eq(mkdir(dir, 0700), 0);
        unit_write(at("made"), ""); /* the same name, but not the same directory */
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_WAITING);
        ck_assert_int_eq(a.error, -ESTALE);
        ck_assert(unit_exists(at("made")));
        ck_assert(unit_exists(unit_path(top, "elsewhere/made")));
}
END_TEST

START_TEST(renamed_directory_is_reached_by_its_descriptor)
{
        _cleanup_(closep) int fd = open(dir, O_PATH | O_CLOEXEC);
        struct reap_place place = place_of(&own);
        struct attempt a;

        place.fd = fd;
        unit_write(at("made"), "");
        ck_assert_int_eq(rename(dir, unit_path(top, "elsewhere")), 0);
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_GONE);
        ck_assert(!unit_exists(unit_path(top, "elsewhere/made")));
}
END_TEST

START_TEST(foreign_path_is_never_opened)
{
        struct reap_place place = place_of(&own);
        struct attempt a;

        place.is_foreign = true;
        unit_write(at("made"), "");
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_WAITING);
        ck_assert(unit_exists(at("made")));
}
END_TEST

START_TEST(user_that_can_not_be_acted_for_leaves_no_descriptor)
{
        struct cred impossible = { .uid = geteuid() + 1, .n_groups = 100000 };
        struct reap_place place = place_of(&impossible);
        struct attempt a;

        impossible.groups = calloc(impossible.n_groups, sizeof(gid_t));
        place.opened_fd = 0;
        unit_write(at("made"), "");
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_WAITING);
        ck_assert_int_eq(a.opened_fd, -1); /* or standard input would be closed for it */
        ck_assert(unit_exists(at("made")));
        free(impossible.groups);
}
END_TEST

START_TEST(what_may_not_be_deleted_is_stuck)
{
        const struct cred *c = geteuid() == 0 ? &nobody : &own;
        struct reap_place place = place_of(c);
        struct attempt a;

        unit_write(at("made"), "");
        if (geteuid() == 0)
                ck_assert_int_eq(chown(at("made"), UNIT_NOBODY, UNIT_NOBODY), 0);
        ck_assert_int_eq(chmod(dir, 0555), 0);
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_STUCK);
        ck_assert_int_eq(a.error, -EACCES);
        ck_assert_int_eq(chmod(dir, 0777), 0);
        close_fd(a.opened_fd);
        a = delete_with(&place, WIRE_KIND_FILE, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_GONE);
        ck_assert_int_eq(a.error, 0);
        close_fd(a.opened_fd);
}
END_TEST

START_TEST(stuck_tree_says_where_and_is_finished_later)
{
        struct reap_place place = place_of(&nobody);
        struct attempt a;

        SKIP_UNLESS_ROOT("to put a file of another user into the tree");
        make_tree("made");
        for (int i = 0; i < 3; i++) {
                char below[16];

                (void) snprintf(below, sizeof(below), "made/%d", i);
                if (i != 1)
                        ck_assert_int_eq(chown(at(below), UNIT_NOBODY, UNIT_NOBODY), 0);
        }
        ck_assert_int_eq(chown(at("made"), UNIT_NOBODY, UNIT_NOBODY), 0);
        a = delete_with(&place, WIRE_KIND_DIRECTORY, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_STUCK);
        ck_assert_int_eq(a.error, -EACCES);
        ck_assert_int_eq(strncmp(a.failed, dir, strlen(dir)), 0);
        ck_assert_ptr_nonnull(strstr(a.failed, "/1"));
        ck_assert(!unit_exists(at("made"))); /* the path is free at once */
        close_fd(a.opened_fd);
        ck_assert_int_eq(chown(unit_path(at(aside()), "1"), UNIT_NOBODY, UNIT_NOBODY), 0);
        a = delete_with(&place, WIRE_KIND_DIRECTORY, "made", NULL, NULL);
        ck_assert_int_eq(a.outcome, REAP_GONE);
        ck_assert_uint_eq(unit_count_names(dir), 0);
        close_fd(a.opened_fd);
}
END_TEST

/* ---- sweeping ---- */

#define TAG UINT64_C(0x123456789abcdef)

static struct sweep_job sweep_with(const struct cred *c, struct swept_tag *tags, size_t n)
{
        struct sweep_job s = { .place = place_of(c), .tags = tags, .n_tags = n };

        ck_assert_int_eq(reaper_sweep(&s.job), 0);
        ck_assert_int_eq(cred_enter(NULL), 0);
        close_fd(s.place.opened_fd);
        return s;
}

static const char *name_with(uint64_t tag, uint64_t random, const char *prefix, const char *suffix)
{
        static char names[4][NAME_LEN_MAX + 1];
        static unsigned int n;
        char *name = names[n++ % 4];

        ck_assert_int_gt(name_make(tag, tag_key, random, prefix, suffix, name), 0);
        return name;
}

static unsigned int kind_found(const struct sweep_job *s, const char *name)
{
        for (size_t i = 0; i < s->n_names; i++)
                if (streq(s->names[i].name, name)) {
                        ck_assert_uint_eq(s->tags[s->names[i].tag].tag, TAG);
                        return s->names[i].kind;
                }
        return 0;
}

static void put(const char *prefix, const char *name, const char *suffix)
{
        char whole[512];

        (void) snprintf(whole, sizeof(whole), "%s%s%s", prefix, name, suffix);
        unit_write(at(whole), "");
}

START_TEST(sweep_finds_the_right_names_and_no_others)
{
        struct swept_tag tags[] = { { TAG, tag_key, 3 }, { 1, tag_key, 1 }, { 2, tag_key, 2 } };
        char plain[NAME_LEN_MAX + 1], wrong[NAME_LEN_MAX + 1];
        const char *name;
        struct sweep_job s;

        (void) snprintf(plain, sizeof(plain), "%s", name_with(TAG, 1, "pre", ".c"));
        unit_write(at(plain), "");
        put("", plain, ".bak");
        put("a", plain, "");
        put("", plain, "~");
        (void) snprintf(wrong, sizeof(wrong), "%s", name_with(TAG, 2, "", ""));
        wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == 'x' ? 'y' : 'x';
        put("", wrong, "");
        put("", name_with(77, 1, "", ""), ""); /* a living process's */
        put("", "unrelated", "");
        put("", "0123456789012345678901234567890", "");
        ck_assert_int_eq(mkdir(at(name_with(TAG, 3, "dir", "")), 0700), 0);
        ck_assert_int_eq(symlink("unrelated", at(name_with(TAG, 4, "", ""))), 0);
        put("", name_with(TAG, 5, "\xff\n", "\xfe"), "");

        s = sweep_with(&own, tags, ARRAY_SIZE(tags));
        ck_assert_int_eq(s.error, 0);
        ck_assert(!s.is_waiting);
        ck_assert_uint_eq(s.n_names, 4);
        ck_assert_uint_eq(kind_found(&s, plain), WIRE_KIND_FILE);
        name = name_with(TAG, 3, "dir", "");
        ck_assert_uint_eq(kind_found(&s, name), WIRE_KIND_DIRECTORY);
        ck_assert_uint_eq(kind_found(&s, name_with(TAG, 4, "", "")), WIRE_KIND_OTHER);
        ck_assert_uint_eq(kind_found(&s, name_with(TAG, 5, "\xff\n", "\xfe")), WIRE_KIND_FILE);
        ck_assert_uint_eq(unit_count_names(dir), 11); /* it only looks */
        swept_names_free(s.names, s.n_names);
}
END_TEST

START_TEST(sweep_of_many_finds_all)
{
        struct swept_tag tag = { TAG, tag_key, 1 };
        struct sweep_job s;

        for (uint64_t i = 0; i < 1500; i++)
                put("", name_with(TAG, i, "", ""), "");
        s = sweep_with(&own, &tag, 1);
        ck_assert_uint_eq(s.n_names, 1500);
        swept_names_free(s.names, s.n_names);
}
END_TEST

START_TEST(sweep_passes_over_another_users_copy)
{
        struct swept_tag tag = { TAG, tag_key, 1 };
        struct sweep_job s;

        SKIP_UNLESS_ROOT("to have files of several users");
        put("", name_with(TAG, 1, "", ""), "");
        s = sweep_with(&nobody, &tag, 1);
        ck_assert_int_eq(s.error, 0);
        ck_assert_uint_eq(s.n_names, 0);
        swept_names_free(s.names, s.n_names);
}
END_TEST

START_TEST(sweep_waits_for_its_directory)
{
        struct swept_tag tag = { TAG, tag_key, 1 };
        struct sweep_job s;

        ck_assert_int_eq(rename(dir, unit_path(top, "elsewhere")), 0);
        s = sweep_with(&own, &tag, 1);
        ck_assert_int_eq(s.error, -ENOENT);
        ck_assert(s.is_waiting);
        ck_assert_uint_eq(s.n_names, 0);
}
END_TEST

START_TEST(sweep_of_an_unreadable_directory_fails)
{
        const struct cred *c = geteuid() == 0 ? &nobody : &own;
        struct swept_tag tag = { TAG, tag_key, 1 };
        struct sweep_job s;

        ck_assert_int_eq(chmod(dir, 0311), 0);
        s = sweep_with(c, &tag, 1);
        ck_assert_int_eq(s.error, -EACCES);
        ck_assert(!s.is_waiting);
}
END_TEST

START_TEST(file_system_is_written_through)
{
        struct flush_job f = { .place = place_of(&own) };

        ck_assert_int_eq(reaper_flush(&f.job), 0);
        ck_assert_int_eq(f.error, 0);
        close_fd(f.place.opened_fd);
        ck_assert_int_eq(rename(dir, unit_path(top, "elsewhere")), 0);
        ck_assert_int_eq(reaper_flush(&f.job), 0);
        ck_assert_int_eq(f.error, -ENOENT);
}
END_TEST

/* What is remembered of it must be what is found if a power cut brings it back. */
START_TEST(what_ends_on_xfs_is_remembered_as_it_was)
{
        struct reap_item item = { .id = 7, .kind = WIRE_KIND_FILE, .may_come_back = true };
        struct delete_job j = { .place = place_of(&own), .key = key, .items = &item, .n_items = 1 };
        const char *why = unless_disk(DISK_XFS);
        struct identity before;
        struct disk disk;

        if (why)
                SKIP(why);
        disk_own_mounts();
        disk_make(&disk, DISK_XFS, top, dir);
        disk_mount(&disk);
        j.place.fd = open(dir, O_PATH | O_CLOEXEC);
        ck_assert_int_eq(identity_of_fd(j.place.fd, &dir_identity), 0);
        unit_write(at("t"), "");
        item.name = strdup("t");
        item.identity = identity_of("t");
        before = *item.identity;
        ck_assert_int_eq(reaper_delete(&j.job), 0);
        ck_assert_int_eq(item.outcome, REAP_GONE);
        ck_assert_ptr_nonnull(item.ended);
        ck_assert_int_eq(identity_compare_object(&before, item.ended), IDENTITY_SAME);
        reap_item_done(&item);
        (void) close(j.place.fd);
        ck_assert_int_eq(cred_enter(NULL), 0);
        disk_done(&disk);
}
END_TEST

static Suite *reaper_suite(void)
{
        Suite *s = suite_create("reaper");
        TCase *t = tcase_create("reaper");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_set_timeout(t, 60);
        tcase_add_test(t, made_file_is_deleted);
        tcase_add_test(t, made_directory_is_deleted_with_all_in_it);
        tcase_add_test(t, made_file_that_was_replaced_is_still_the_temporary);
        tcase_add_test(t, another_type_is_left);
        tcase_add_test(t, symbolic_link_in_its_place_is_left_and_not_followed);
        tcase_add_test(t, another_users_is_left);
        tcase_add_test(t, tracked_one_is_told_by_its_identity);
        tcase_add_test(t, tracked_directory_is_deleted_or_left_whole);
        tcase_add_test(t, renamed_one_is_found_at_either_name);
        tcase_add_test(t, aside_names_differ);
        tcase_add_test(t, what_a_crash_left_aside_is_deleted);
        tcase_add_test(t, what_was_moved_by_mistake_is_moved_back);
        tcase_add_test(t, what_cannot_be_moved_back_is_not_forgotten);
        tcase_add_test(t, swapped_one_is_never_deleted);
        tcase_add_test(t, missing_directory_is_waited_for);
        tcase_add_test(t, renamed_directory_is_reached_by_its_descriptor);
        tcase_add_test(t, foreign_path_is_never_opened);
        tcase_add_test(t, user_that_can_not_be_acted_for_leaves_no_descriptor);
        tcase_add_test(t, what_may_not_be_deleted_is_stuck);
        tcase_add_test(t, stuck_tree_says_where_and_is_finished_later);
        tcase_add_test(t, sweep_finds_the_right_names_and_no_others);
        tcase_add_test(t, sweep_of_many_finds_all);
        tcase_add_test(t, sweep_passes_over_another_users_copy);
        tcase_add_test(t, sweep_waits_for_its_directory);
        tcase_add_test(t, sweep_of_an_unreadable_directory_fails);
        tcase_add_test(t, file_system_is_written_through);
        tcase_add_test(t, what_ends_on_xfs_is_remembered_as_it_was);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(reaper_suite());
}
