/* SPDX-License-Identifier: MIT */

/*
 * The store's rows and transactions: all that is written is there again after the store was
 * closed and opened, and what failed has not happened. Disks that are full, damaged or slow:
 * test-store-disk.c.
 */

#include <check.h>
#include <stdio.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/store-fixture.h"

/* ---- opening ---- */

static int count_owner(const struct store_owner *o, void *n)
{
        (*(unsigned int *) n)++;
        return 0;
}

static int count_directory(const struct store_directory *d, void *n)
{
        (*(unsigned int *) n)++;
        return 0;
}

static int count_tag(const struct store_tag *t, void *n)
{
        (*(unsigned int *) n)++;
        return 0;
}

static int count_cred(const struct cred *c, void *n)
{
        (*(unsigned int *) n)++;
        return 0;
}

static unsigned int count_objects(void)
{
        unsigned int n = 0;

        ck_assert_int_eq(store_each_owner(store, count_owner, &n), 0);
        ck_assert_int_eq(store_each_directory(store, count_directory, &n), 0);
        ck_assert_int_eq(store_each_tag(store, count_tag, &n), 0);
        ck_assert_int_eq(store_each_cred(store, count_cred, &n), 0);
        return n;
}

START_TEST(fresh_store_is_empty)
{
        struct store_counts c;
        uint64_t due = 1, cursor = 0;
        struct numbers rows = { 0 };

        ck_assert_uint_eq(count_objects(), 0);
        ck_assert_int_eq(store_get_counts(store, &c), 0);
        ck_assert_uint_eq(c.live + c.retained + c.stuck + c.waiting + c.kept, 0);
        ck_assert_uint_gt(c.bytes, 0);
        ck_assert_int_eq(store_next_due(store, &due), 0);
        ck_assert_uint_eq(due, 0);
        ck_assert_int_eq(store_list(store, &cursor, 10, take_row, &rows), 0);
        ck_assert_uint_eq(cursor, 0);
        ck_assert_uint_eq(rows.n, 0);
        ck_assert_int_eq(store_commit(store), 0); /* of nothing */
        ck_assert(store_may_write(store));
}
END_TEST

START_TEST(key_is_random_and_stays)
{
        uint8_t key[NAME_KEY_SIZE], none[NAME_KEY_SIZE] = { 0 };

        memcpy(key, store_key(store), sizeof(key));
        ck_assert_mem_ne(key, none, sizeof(key));
        store_open_again();
        ck_assert_mem_eq(key, store_key(store), sizeof(key));
        store_teardown();
        store_setup();
        ck_assert_mem_ne(key, store_key(store), sizeof(key));
}
END_TEST

START_TEST(second_opener_is_refused)
{
        struct store *other = NULL;
        char *salvaged = NULL;

        ck_assert_int_eq(store_open(store_dir, &other, &salvaged), -EBUSY);
        ck_assert_ptr_null(other);
        store_open_again(); /* and the first has lost nothing by it */
}
END_TEST

START_TEST(missing_directory_is_told)
{
        struct store *other = NULL;
        char *salvaged = NULL;

        ck_assert_int_eq(store_open(unit_path(store_dir, "no"), &other, &salvaged), -ENOENT);
        unit_write(unit_path(store_dir, "file"), "");
        ck_assert_int_eq(store_open(unit_path(store_dir, "file"), &other, &salvaged), -ENOTDIR);
}
END_TEST

START_TEST(newer_version_is_refused_and_left_alone)
{
        struct store *other = NULL;
        char *salvaged = NULL;

        store_close(store);
        store = NULL;
        ck_assert_int_eq(run_sql("tempfiled.db", "PRAGMA user_version=1000"), 0);
        ck_assert_int_eq(store_open(store_dir, &other, &salvaged), -EPROTONOSUPPORT);
        ck_assert_ptr_null(salvaged);
        ck_assert_int_eq(query_sql("tempfiled.db", "PRAGMA user_version"), 1000);
        ck_assert_int_gt(query_sql("tempfiled.db", "SELECT count(*) FROM meta"), 0);
}
END_TEST

/* ---- rows ---- */

static int check_owner(const struct store_owner *o, void *userdata)
{
        unsigned int *n = userdata;

        (*n)++;
        ck_assert_uint_eq(o->id, *n);
        ck_assert_uint_eq(o->kind, WIRE_OWNER_PROCESS);
        ck_assert_int_eq(o->is_dead, o->id == 2);
        ck_assert_int_eq(o->boot.bytes[15], 0x16);
        ck_assert_uint_eq(o->pid_ns, 4026531836);
        ck_assert_uint_eq(o->init_start, 5);
        ck_assert_int_eq(o->pid, (pid_t) (1000 + o->id));
        ck_assert_uint_eq(o->start, UINT64_C(1) << 60 | o->id);
        ck_assert_uint_eq(o->uid, UINT32_MAX - 1);
        ck_assert_str_eq(o->command, "sort");
        ck_assert_str_eq(o->arguments, "sort \xff\n");
        ck_assert_str_eq(o->executable, "");
        ck_assert_str_eq(o->unit, "");
        return 0;
}

START_TEST(owners_come_back_as_they_were)
{
        unsigned int n = 0;

        for (uint64_t id = 1; id <= 4; id++)
                add_owner(id);
        ck_assert_int_eq(store_end_owner(store, 2), 0);
        ck_assert_int_eq(store_remove_owner(store, 4), 0);
        commit();
        store_open_again();
        ck_assert_int_eq(store_each_owner(store, check_owner, &n), 0);
        ck_assert_uint_eq(n, 3);
}
END_TEST

static int check_directory(const struct store_directory *d, void *userdata)
{
        (*(unsigned int *) userdata)++;
        ck_assert_uint_eq(d->id, 1);
        ck_assert_str_eq(d->path, "/d\xff\n");
        ck_assert_uint_eq(d->identity.len, 9);
        ck_assert_mem_eq(d->identity.data, "iden\0tity", 9);
        ck_assert(d->is_foreign);
        return 0;
}

START_TEST(directories_come_back_as_they_were)
{
        unsigned int n = 0;

        add_directory(1);
        add_directory(2);
        ck_assert_int_eq(store_remove_directory(store, 2), 0);
        commit();
        store_open_again();
        ck_assert_int_eq(store_each_directory(store, check_directory, &n), 0);
        ck_assert_uint_eq(n, 1);
}
END_TEST

static int check_cred(const struct cred *c, void *userdata)
{
        (*(unsigned int *) userdata)++;
        ck_assert_uint_eq(c->uid, c->id == 1 ? UINT32_MAX - 1 : 0);
        ck_assert_uint_eq(c->caps, c->id == 1 ? UINT64_MAX >> 1 : 0);
        ck_assert_uint_eq(c->n_groups, c->id == 1 ? 2 : 0);
        if (c->id == 1) {
                ck_assert_uint_eq(c->groups[0], 7);
                ck_assert_uint_eq(c->groups[1], UINT32_MAX - 1);
        }
        return 0;
}

START_TEST(credentials_come_back_as_they_were)
{
        struct cred none = { .id = 2 };
        unsigned int n = 0;

        add_cred(1);
        ck_assert_int_eq(store_add_cred(store, &none), 0);
        commit();
        store_open_again();
        ck_assert_int_eq(store_each_cred(store, check_cred, &n), 0);
        ck_assert_uint_eq(n, 2);
}
END_TEST

static int copy_tag(const struct store_tag *t, void *userdata)
{
        struct store_tag *tags = userdata;

        ck_assert_uint_le(t->id, 2);
        ck_assert_uint_eq(t->tag, UINT64_MAX - t->id);
        ck_assert_uint_eq(t->key[3], 255);
        ck_assert_uint_eq(t->owner, 1);
        tags[t->id] = *t;
        return 0;
}

START_TEST(tags_come_back_as_they_were)
{
        struct store_tag t[3] = { 0 };
        sd_id128_t boot = { .bytes = { 1 } };

        for (uint64_t id = 1; id <= 3; id++)
                add_tag(id);
        ck_assert_int_eq(store_remove_tag(store, 3), 0);
        ck_assert_int_eq(store_change_tag(store, 2, false, true, boot), 0);
        ck_assert_int_eq(store_suspect_tags(store), 0);
        commit();
        store_open_again();
        ck_assert_int_eq(store_each_tag(store, copy_tag, t), 0);
        ck_assert(t[1].needs_sweep && !t[1].is_dead);
        ck_assert(!t[2].needs_sweep && t[2].is_dead); /* a tombstone: nothing to suspect */
        ck_assert(sd_id128_equal(t[2].boot, boot));
}
END_TEST

/* ---- entries ---- */

static int check_tracked(const struct store_entry *e, void *userdata)
{
        ck_assert_uint_eq(e->kind, WIRE_KIND_OTHER);
        ck_assert_uint_eq(e->state, WIRE_STATE_LIVE);
        ck_assert_str_eq(e->name, "na\xfe\nme");
        ck_assert_str_eq(e->target, "target");
        ck_assert_uint_eq(e->identity.len, 3);
        ck_assert_mem_eq(e->identity.data, "a\0b", 3);
        ck_assert_uint_eq(e->created_usec, 77);
        ck_assert_uint_eq(e->owner, 2);
        ck_assert_uint_eq(e->directory, 1);
        ck_assert_uint_eq(e->cred, 1);
        ck_assert_int_eq(e->error, 0);
        ck_assert_uint_eq(e->attempts, 0);
        ck_assert_uint_eq(e->next_try_usec, 0);
        ck_assert_ptr_null(e->failed);
        return 0;
}

START_TEST(tracked_entry_comes_back_as_it_was)
{
        struct store_entry e = {
                .kind = WIRE_KIND_OTHER,
                .state = WIRE_STATE_LIVE,
                .name = "na\xfe\nme",
                .target = "target",
                .identity = { "a\0b", 3 },
                .created_usec = 77,
                .owner = 2,
                .directory = 1,
                .cred = 1,
        };

        add_base();
        ck_assert_int_eq(store_put_entry(store, &e), 0);
        ck_assert_uint_eq(e.id, 1);
        commit();
        store_open_again();
        ck_assert_int_eq(store_get_entry(store, 1, check_tracked, NULL), 0);
        ck_assert_int_eq(store_get_entry(store, 2, check_tracked, NULL), -ENOENT);
}
END_TEST

static int check_made(const struct store_entry *e, void *userdata)
{
        ck_assert_str_eq(e->name, "made-7");
        ck_assert_uint_eq(e->owner, 1);
        ck_assert_uint_eq(e->directory, 1);
        ck_assert_uint_eq(e->cred, 1);
        ck_assert_uint_eq(e->identity.len, 0);
        ck_assert_ptr_null(e->target);
        return 0;
}

START_TEST(made_entry_has_what_its_tag_has)
{
        add_base();
        ck_assert_int_eq(put_made(1, 7), 0);
        ck_assert_int_eq(store_get_entry(store, STORE_TAG_ID(1, 7), check_made, NULL), 0);
}
END_TEST

START_TEST(entry_put_again_is_replaced)
{
        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_uint_eq(count_live(), 1);
        commit();
        ck_assert_int_eq(put_made(1, 1), 0);
        commit();
        ck_assert_uint_eq(count_live(), 1);
        ck_assert_int_eq(store_remove_entry(store, STORE_TAG_ID(1, 1)), 0);
        ck_assert_int_eq(store_remove_entry(store, STORE_TAG_ID(1, 1)), 0); /* missing: fine */
        ck_assert_uint_eq(count_live(), 0);
}
END_TEST

START_TEST(plain_numbers_are_not_used_twice)
{
        uint64_t first, second;

        add_base();
        first = put_plain(1);
        second = put_plain(1);
        ck_assert_uint_ne(first, second);
        commit();
        store_open_again();
        ck_assert_uint_gt(put_plain(1), second);
}
END_TEST

START_TEST(live_ones_are_read_in_batches)
{
        struct numbers n = { 0 };

        add_base();
        add_tag(2);
        for (uint64_t seq = 1; seq <= 5; seq++)
                ck_assert_int_eq(put_made(1, seq), 0);
        ck_assert_int_eq(put_made(2, 1), 0);
        ck_assert_int_eq(
                store_change_entry(store, STORE_TAG_ID(1, 2), WIRE_STATE_STUCK, -EPERM, 1, 5, NULL),
                0);
        ck_assert_int_eq(store_live_of_tag(store, 1, 0, 2, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 2);
        ck_assert_int_eq(store_live_of_tag(store, 1, n.number[1], 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 4);
        ck_assert_uint_eq(n.number[1], STORE_TAG_ID(1, 3));
        ck_assert_uint_eq(n.number[3], STORE_TAG_ID(1, 5));

        n.n = 0;
        (void) put_plain(2);
        (void) put_plain(2);
        (void) put_plain(3);
        ck_assert_int_eq(store_live_of_owner(store, 2, 0, 1, take_entry, &n), 0);
        ck_assert_int_eq(store_live_of_owner(store, 2, n.number[0], 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 2);
        n.n = 0;
        ck_assert_int_eq(store_live_of_owner(store, 1, 0, 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 0); /* those under its tag are the tag's */
}
END_TEST

static int check_stuck(const struct store_entry *e, void *userdata)
{
        ck_assert_uint_eq(e->state, WIRE_STATE_STUCK);
        ck_assert_int_eq(e->error, -EPERM);
        ck_assert_uint_eq(e->attempts, 3);
        ck_assert_uint_eq(e->next_try_usec, 500);
        ck_assert_str_eq(e->failed, "/d/below");
        return 0;
}

START_TEST(stuck_and_waiting_ones_come_due_in_order)
{
        uint64_t due, a, b, c;
        struct numbers n = { 0 };

        add_base();
        a = put_plain(1), b = put_plain(1), c = put_plain(1);
        (void) put_plain(1);
        ck_assert_int_eq(store_change_entry(store, a, WIRE_STATE_STUCK, -EPERM, 3, 500, "/d/below"),
                         0);
        ck_assert_int_eq(store_change_entry(store, b, WIRE_STATE_WAITING, -ENOENT, 1, 400, NULL),
                         0);
        ck_assert_int_eq(store_change_entry(store, c, WIRE_STATE_STUCK, -EIO, 1, 900, NULL), 0);
        ck_assert_int_eq(store_get_entry(store, a, check_stuck, NULL), 0);

        ck_assert_int_eq(store_next_due(store, &due), 0);
        ck_assert_uint_eq(due, 400);
        ck_assert_int_eq(store_due(store, 399, 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 0);
        ck_assert_int_eq(store_due(store, 500, 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 2);
        ck_assert_uint_eq(n.number[0], b);
        ck_assert_uint_eq(n.number[1], a);

        ck_assert_int_eq(store_defer_entry(store, b), 0); /* being tried: not due meanwhile */
        ck_assert_int_eq(store_next_due(store, &due), 0);
        ck_assert_uint_eq(due, 500);
        ck_assert_int_eq(store_wake_waiting(store), 0);
        ck_assert_int_eq(store_next_due(store, &due), 0);
        ck_assert_uint_eq(due, 1);
        ck_assert_int_eq(store_wake_all(store), 0);
        n.n = 0;
        ck_assert_int_eq(store_due(store, 1, 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 3);
}
END_TEST

START_TEST(counts_are_by_state)
{
        struct store_counts c;

        add_base();
        for (uint64_t seq = 1; seq <= 7; seq++)
                ck_assert_int_eq(put_made(1, seq), 0);
        (void) store_change_entry(store, STORE_TAG_ID(1, 1), WIRE_STATE_STUCK, -EPERM, 1, 1, NULL);
        (void) store_change_entry(store, STORE_TAG_ID(1, 2), WIRE_STATE_WAITING, 0, 1, 1, NULL);
        (void) store_change_entry(store, STORE_TAG_ID(1, 3), WIRE_STATE_KEPT, 0, 0, 0, NULL);
        (void) store_change_entry(store, STORE_TAG_ID(1, 4), WIRE_STATE_RETAINED, 0, 0, 0, NULL);
        commit();
        store_open_again();
        ck_assert_int_eq(store_get_counts(store, &c), 0);
        ck_assert_uint_eq(c.live, 3);
        ck_assert_uint_eq(c.stuck, 1);
        ck_assert_uint_eq(c.waiting, 1);
        ck_assert_uint_eq(c.kept, 1);
        ck_assert_uint_eq(c.retained, 1);
}
END_TEST

START_TEST(kept_ones_do_not_hold_their_tag_and_go_with_it)
{
        bool has = true;

        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(store_tag_has_entries(store, 1, &has), 0);
        ck_assert(has);
        ck_assert_int_eq(
                store_change_entry(store, STORE_TAG_ID(1, 1), WIRE_STATE_KEPT, 0, 0, 0, NULL), 0);
        ck_assert_int_eq(store_tag_has_entries(store, 1, &has), 0);
        ck_assert(!has);
        ck_assert_int_eq(store_remove_tag(store, 1), 0);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 1)), 0);
        ck_assert_uint_eq(count_live(), 0);
        commit();
}
END_TEST

START_TEST(owner_has_entries_of_its_own_or_not)
{
        uint64_t id;
        bool has = true;

        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(store_owner_has_entries(store, 1, &has), 0);
        ck_assert(!has);
        id = put_plain(1);
        ck_assert_int_eq(store_owner_has_entries(store, 1, &has), 0);
        ck_assert(has);
        ck_assert_int_eq(store_change_entry(store, id, WIRE_STATE_KEPT, 0, 0, 0, NULL), 0);
        ck_assert_int_eq(store_owner_has_entries(store, 1, &has), 0);
        ck_assert(!has);
}
END_TEST

START_TEST(only_what_is_said_again_is_forgotten)
{
        struct store_entry tracked = {
                .id = STORE_TAG_ID(1, 2),
                .kind = WIRE_KIND_FILE,
                .state = WIRE_STATE_LIVE,
                .name = "n",
                .identity = { "i", 1 },
                .owner = 1,
        };

        add_base();
        add_tag(2);
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(store_put_entry(store, &tracked), 0);
        ck_assert_int_eq(put_made(1, 3), 0);
        ck_assert_int_eq(put_made(2, 1), 0);
        (void) store_change_entry(store, STORE_TAG_ID(1, 3), WIRE_STATE_KEPT, 0, 0, 0, NULL);
        ck_assert_int_eq(store_forget_live(store, 1), 0);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 1)), 0);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 2)), WIRE_STATE_LIVE);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 3)), WIRE_STATE_KEPT);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(2, 1)), WIRE_STATE_LIVE);
        ck_assert_uint_eq(count_live(), 2);
}
END_TEST

START_TEST(names_and_last_number_of_a_tag)
{
        struct numbers n = { 0 };
        uint64_t last = 0;

        add_base();
        ck_assert_int_eq(store_last_of_tag(store, 1, &last), 0);
        ck_assert_uint_eq(last, STORE_TAG_ID(1, 0));
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(put_made(1, UINT32_MAX), 0);
        ck_assert_int_eq(put_made(2, 1), 0); /* the next tag's */
        (void) store_change_entry(store, STORE_TAG_ID(1, 1), WIRE_STATE_KEPT, 0, 0, 0, NULL);
        ck_assert_int_eq(store_names_of_tag(store, 1, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 2);
        ck_assert_int_eq(store_last_of_tag(store, 1, &last), 0);
        ck_assert_uint_eq(last, STORE_TAG_ID(1, UINT32_MAX));
}
END_TEST

static int take_count(uint64_t directory, uint64_t count, void *userdata)
{
        ck_assert_uint_eq(directory, 1);
        *(uint64_t *) userdata = count;
        return 0;
}

START_TEST(directories_count_what_has_no_tag)
{
        uint64_t count = 0;

        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        (void) put_plain(1);
        (void) put_plain(2);
        ck_assert_int_eq(store_count_by_directory(store, take_count, &count), 0);
        ck_assert_uint_eq(count, 2);
}
END_TEST

/* ---- claims ---- */

START_TEST(further_owner_inherits)
{
        struct numbers n = { 0 };
        uint64_t id;

        add_base();
        id = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 3), 0);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0); /* said twice */
        ck_assert_int_eq(store_end_claims(store, 1), 0);
        ck_assert_uint_eq(owner_of(id), 2);
        ck_assert_int_eq(store_end_claims(store, 2), 0);
        ck_assert_uint_eq(owner_of(id), 3);
        ck_assert_int_eq(store_end_claims(store, 3), 0); /* the last: it is to be deleted */
        ck_assert_uint_eq(owner_of(id), 3);
        ck_assert_int_eq(store_live_of_owner(store, 3, 0, 9, take_entry, &n), 0);
        ck_assert_uint_eq(n.n, 1);
}
END_TEST

START_TEST(claim_that_ended_is_not_inherited)
{
        uint64_t id;

        add_base();
        id = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        ck_assert_int_eq(store_end_claims(store, 2), 0);
        ck_assert_int_eq(store_end_claims(store, 1), 0);
        ck_assert_uint_eq(owner_of(id), 1);
}
END_TEST

/* A request that was heard, and is asked again of the next daemon, names the number. */
START_TEST(number_is_not_given_again)
{
        uint64_t first, second;

        add_base();
        first = put_plain(1);
        commit();
        ck_assert_int_eq(store_remove_entry(store, first), 0);
        commit();
        store_open_again();
        second = put_plain(1);
        ck_assert_uint_gt(second, first);
        commit();
}
END_TEST

START_TEST(owners_of_what_is_not_there_do_not_inherit_it)
{
        uint64_t id;
        bool is_passed;

        add_base();
        id = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        ck_assert_int_eq(store_pass_on(store, id, &is_passed), 0);
        ck_assert(!is_passed);
}
END_TEST

START_TEST(maker_inherits_what_was_not_there)
{
        uint64_t id, other;
        bool is_passed;

        add_base();
        id = put_plain(1), other = put_plain(1);
        ck_assert_int_eq(store_add_maker(store, id, 2), 0);
        ck_assert_int_eq(store_end_claims(store, 1), 0);
        ck_assert_uint_eq(owner_of(id), 1); /* to be deleted, if it is there */
        ck_assert_int_eq(store_pass_on(store, id, &is_passed), 0);
        ck_assert(is_passed);
        ck_assert_uint_eq(owner_of(id), 2);
        ck_assert_int_eq(store_pass_on(store, other, &is_passed), 0);
        ck_assert(!is_passed);
        ck_assert_int_eq(store_pass_on(store, 99, &is_passed), 0);
        ck_assert(!is_passed);
        commit();
}
END_TEST

START_TEST(owner_comes_before_the_maker)
{
        uint64_t id;

        add_base();
        id = put_plain(1);
        ck_assert_int_eq(store_add_maker(store, id, 2), 0);
        ck_assert_int_eq(store_add_claim(store, id, 3), 0);
        ck_assert_int_eq(store_end_claims(store, 1), 0);
        ck_assert_uint_eq(owner_of(id), 3);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0); /* shared with its maker, at last */
        ck_assert_int_eq(store_end_claims(store, 3), 0);
        ck_assert_uint_eq(owner_of(id), 2);
}
END_TEST

START_TEST(entry_is_released_by_one_owner)
{
        uint64_t id, other, owner = 0;
        bool holds;

        add_base();
        id = put_plain(1), other = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        ck_assert_int_eq(store_add_claim(store, id, 3), 0);
        ck_assert_int_eq(store_add_claim(store, other, 3), 0);
        ck_assert_int_eq(store_holds(store, id, 3, &holds), 0);
        ck_assert(holds);
        ck_assert_int_eq(store_release(store, id, 3, &owner), 0); /* beside the row */
        ck_assert_uint_eq(owner, 0);
        ck_assert_uint_eq(owner_of(id), 1);
        ck_assert_int_eq(store_holds(store, id, 3, &holds), 0);
        ck_assert(!holds);
        ck_assert_int_eq(store_release(store, id, 1, &owner), 0); /* in it */
        ck_assert_uint_eq(owner, 2);
        ck_assert_uint_eq(owner_of(other), 1);
        ck_assert_int_eq(store_release(store, id, 2, &owner), 0); /* nobody else */
        ck_assert_uint_eq(owner, 2);
        ck_assert_int_eq(store_release(store, 99, 1, &owner), -ENOENT);
        commit();
}
END_TEST

START_TEST(claims_of_a_failed_turn_are_not_counted)
{
        struct store_owner again = { .id = 1 };
        uint64_t id;

        add_base();
        id = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        commit();
        ck_assert_int_eq(store_end_claims(store, 2), 0);
        ck_assert_int_eq(store_add_owner(store, &again), -EEXIST);
        ck_assert_int_eq(store_commit(store), -EEXIST);
        ck_assert_int_eq(store_end_claims(store, 1), 0); /* 2 has it still */
        ck_assert_uint_eq(owner_of(id), 2);
        commit();
}
END_TEST

START_TEST(claims_end_with_their_entry)
{
        uint64_t id;

        add_base();
        id = put_plain(1);
        ck_assert_int_eq(store_add_claim(store, id, 2), 0);
        ck_assert_int_eq(store_remove_entry(store, id), 0);
        commit();
        store_close(store);
        store = NULL;
        ck_assert_int_eq(query_sql("tempfiled.db", "SELECT count(*) FROM claim"), 0);
}
END_TEST

/* ---- leases ---- */

START_TEST(leases_expire_by_their_deadline)
{
        struct numbers n = { 0 };
        sd_id128_t boot = { .bytes = { 9 } };
        uint64_t deadline = 1;

        add_base();
        ck_assert_int_eq(store_next_deadline(store, &deadline), 0);
        ck_assert_uint_eq(deadline, 0);
        for (uint64_t id = 1; id <= 3; id++)
                ck_assert_int_eq(store_set_deadline(store, id, 100 * id, boot), 0);
        ck_assert_int_eq(store_end_owner(store, 1), 0); /* has ended: its deadline is nothing */
        ck_assert_int_eq(store_next_deadline(store, &deadline), 0);
        ck_assert_uint_eq(deadline, 200);
        ck_assert_int_eq(store_expired(store, 199, take_id, &n), 0);
        ck_assert_uint_eq(n.n, 0);
        ck_assert_int_eq(store_expired(store, 300, take_id, &n), 0);
        ck_assert_uint_eq(n.n, 2);
}
END_TEST

START_TEST(time_seen_last_comes_back)
{
        uint64_t seen = 1;

        ck_assert_int_eq(store_get_seen(store, &seen), 0);
        ck_assert_uint_eq(seen, 0);
        ck_assert_int_eq(store_set_seen(store, 12345678901), 0);
        commit();
        store_open_again();
        ck_assert_int_eq(store_get_seen(store, &seen), 0);
        ck_assert_uint_eq(seen, 12345678901);
}
END_TEST

/* ---- lists ---- */

struct page {
        struct numbers numbers;
        unsigned int room;
};

static int take_while_room(const struct store_row *r, void *userdata)
{
        struct page *p = userdata;

        ck_assert_str_eq(r->path, "/d\xff\n");
        ck_assert_str_eq(r->command, "sort");
        ck_assert_str_eq(r->unit, "");
        ck_assert_uint_eq(r->owner_kind, WIRE_OWNER_PROCESS);
        ck_assert_int_eq(r->pid, 1001);
        ck_assert_uint_eq(r->uid, UINT32_MAX - 1);
        if (p->room-- == 0)
                return -ENOBUFS;
        return take_row(r, &p->numbers);
}

START_TEST(list_goes_on_at_its_cursor)
{
        unsigned int room = (unsigned int) _i, turns = 0;
        struct page p = { 0 };
        uint64_t cursor = 0;

        add_base();
        for (uint64_t seq = 1; seq <= 9; seq++)
                ck_assert_int_eq(put_made(1, seq), 0);
        (void) put_plain(1);
        do {
                p.room = room;
                ck_assert_int_eq(store_list(store, &cursor, 4, take_while_room, &p), 0);
                turns++;
        } while (cursor != 0 && turns < 30);
        ck_assert_uint_eq(cursor, 0);
        ck_assert_uint_eq(p.numbers.n, 10);
        for (unsigned int i = 1; i < 10; i++)
                ck_assert_uint_lt(p.numbers.number[i - 1], p.numbers.number[i]);
}
END_TEST

/* However many are live, one look at four rows is enough for the three that are not. */
START_TEST(list_of_what_is_left_looks_at_no_live_ones)
{
        static const unsigned int states[] = { WIRE_STATE_RETAINED, WIRE_STATE_STUCK,
                                               WIRE_STATE_WAITING };
        struct page p = { .room = 4 };
        uint64_t cursor = 0;

        add_base();
        for (uint64_t seq = 1; seq <= 40; seq++)
                ck_assert_int_eq(put_made(1, seq), 0);
        for (uint64_t i = 0; i < ARRAY_SIZE(states); i++)
                ck_assert_int_eq(store_change_entry(store, STORE_TAG_ID(1, 5 + 10 * i), states[i],
                                                    -EPERM, 1, 0, NULL),
                                 0);
        ck_assert_int_eq(store_list_left(store, &cursor, 4, take_while_room, &p), 0);
        ck_assert_uint_eq(cursor, 0);
        ck_assert_uint_eq(p.numbers.n, 3);
        for (unsigned int i = 0; i < 3; i++)
                ck_assert_uint_eq(p.numbers.number[i], STORE_TAG_ID(1, 5 + 10 * i));
}
END_TEST

START_TEST(list_of_what_is_left_goes_on_at_its_cursor)
{
        struct page p = { .room = 10 };
        uint64_t cursor = 0;

        add_base();
        for (uint64_t seq = 1; seq <= 9; seq++) {
                ck_assert_int_eq(put_made(1, seq), 0);
                ck_assert_int_eq(store_change_entry(store, STORE_TAG_ID(1, seq), WIRE_STATE_STUCK,
                                                    -EPERM, 1, 100 - seq, NULL),
                                 0);
        }
        do
                ck_assert_int_eq(store_list_left(store, &cursor, 2, take_while_room, &p), 0);
        while (cursor != 0);
        ck_assert_uint_eq(p.numbers.n, 9);
        for (unsigned int i = 1; i < 9; i++)
                ck_assert_uint_lt(p.numbers.number[i - 1], p.numbers.number[i]);
}
END_TEST

static int refuse(const struct store_row *r, void *userdata)
{
        return -EPERM;
}

START_TEST(list_gives_back_what_its_reader_returns)
{
        uint64_t cursor = 0;

        add_base();
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_int_eq(store_list(store, &cursor, 4, refuse, NULL), -EPERM);
        commit(); /* a reader's refusal has spoilt nothing */
        ck_assert_uint_eq(count_live(), 1);
}
END_TEST

START_TEST(row_of_nobody_is_listed)
{
        struct store_entry e = { .kind = WIRE_KIND_FILE,
                                 .state = WIRE_STATE_LIVE,
                                 .name = "n",
                                 .owner = 8,
                                 .directory = 8,
                                 .cred = 8 };
        struct numbers n = { 0 };
        uint64_t cursor = 0;

        ck_assert_int_eq(store_put_entry(store, &e), 0);
        ck_assert_int_eq(store_list(store, &cursor, 4, take_row, &n), 0);
        ck_assert_uint_eq(n.n, 1);
}
END_TEST

/* ---- transactions ---- */

START_TEST(turn_is_committed_as_a_whole)
{
        uint64_t before = store_committed(store);

        add_base();
        ck_assert_uint_eq(store_committed(store), before + 1);
        ck_assert_int_eq(put_made(1, 1), 0);
        store_open_again(); /* without a commit */
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 1)), 0);
        ck_assert_uint_eq(count_live(), 0);
}
END_TEST

static int ignore(const struct store_entry *e, void *userdata)
{
        return 0;
}

START_TEST(failed_change_takes_the_turn_with_it)
{
        struct store_owner again = { .id = 1 };
        uint64_t committed, plain;

        add_base();
        plain = put_plain(1);
        commit();
        committed = store_committed(store);
        ck_assert_int_eq(put_made(1, 1), 0);
        ck_assert_uint_eq(put_plain(1), plain + 1);
        ck_assert_int_eq(store_add_owner(store, &again), -EEXIST);
        ck_assert_int_eq(put_made(1, 2), -EEXIST); /* nothing more is taken */
        ck_assert_int_eq(store_get_entry(store, STORE_TAG_ID(1, 2), ignore, NULL), -EEXIST);
        ck_assert_int_eq(store_commit(store), -EEXIST);
        ck_assert_uint_eq(store_committed(store), committed);
        ck_assert_uint_eq(state_of(STORE_TAG_ID(1, 1)), 0);
        ck_assert_uint_eq(count_live(), 1);
        ck_assert_uint_eq(put_plain(1), plain + 1); /* the tallies are those of before, too */
        commit();                                   /* and the next turn is a new one */
        ck_assert_int_eq(store_get_entry(store, STORE_TAG_ID(1, 2), ignore, NULL), -ENOENT);
        ck_assert_uint_eq(count_live(), 2);
}
END_TEST

static Suite *store_suite(void)
{
        Suite *s = suite_create("store");
        TCase *t = tcase_create("store");

        tcase_add_checked_fixture(t, store_setup, store_teardown);
        tcase_add_test(t, fresh_store_is_empty);
        tcase_add_test(t, key_is_random_and_stays);
        tcase_add_test(t, second_opener_is_refused);
        tcase_add_test(t, missing_directory_is_told);
        tcase_add_test(t, newer_version_is_refused_and_left_alone);
        tcase_add_test(t, owners_come_back_as_they_were);
        tcase_add_test(t, directories_come_back_as_they_were);
        tcase_add_test(t, credentials_come_back_as_they_were);
        tcase_add_test(t, tags_come_back_as_they_were);
        tcase_add_test(t, tracked_entry_comes_back_as_it_was);
        tcase_add_test(t, made_entry_has_what_its_tag_has);
        tcase_add_test(t, entry_put_again_is_replaced);
        tcase_add_test(t, plain_numbers_are_not_used_twice);
        tcase_add_test(t, live_ones_are_read_in_batches);
        tcase_add_test(t, stuck_and_waiting_ones_come_due_in_order);
        tcase_add_test(t, counts_are_by_state);
        tcase_add_test(t, kept_ones_do_not_hold_their_tag_and_go_with_it);
        tcase_add_test(t, owner_has_entries_of_its_own_or_not);
        tcase_add_test(t, only_what_is_said_again_is_forgotten);
        tcase_add_test(t, names_and_last_number_of_a_tag);
        tcase_add_test(t, directories_count_what_has_no_tag);
        tcase_add_test(t, further_owner_inherits);
        tcase_add_test(t, claim_that_ended_is_not_inherited);
        tcase_add_test(t, number_is_not_given_again);
        tcase_add_test(t, owners_of_what_is_not_there_do_not_inherit_it);
        tcase_add_test(t, maker_inherits_what_was_not_there);
        tcase_add_test(t, owner_comes_before_the_maker);
        tcase_add_test(t, entry_is_released_by_one_owner);
        tcase_add_test(t, claims_of_a_failed_turn_are_not_counted);
        tcase_add_test(t, claims_end_with_their_entry);
        tcase_add_test(t, leases_expire_by_their_deadline);
        tcase_add_test(t, time_seen_last_comes_back);
        tcase_add_loop_test(t, list_goes_on_at_its_cursor, 1, 6);
        tcase_add_test(t, list_of_what_is_left_looks_at_no_live_ones);
        tcase_add_test(t, list_of_what_is_left_goes_on_at_its_cursor);
        tcase_add_test(t, list_gives_back_what_its_reader_returns);
        tcase_add_test(t, row_of_nobody_is_listed);
        tcase_add_test(t, turn_is_committed_as_a_whole);
        tcase_add_test(t, failed_change_takes_the_turn_with_it);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_main(store_suite());
}
