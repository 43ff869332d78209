/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/store-fixture.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"

char store_dir[UNIT_PATH_SIZE];
struct store *store;

void store_open_again(void)
{
        char *salvaged = NULL;

        store_close(store);
        store = NULL;
        ck_assert_int_eq(store_open(store_dir, &store, &salvaged), 0);
        ck_assert_ptr_null(salvaged);
}

void store_setup(void)
{
        unit_make_directory(store_dir);
        store = NULL;
        store_open_again();
}

void store_teardown(void)
{
        store_close(store);
        store = NULL;
        unit_remove_directory(store_dir);
}

void commit(void)
{
        ck_assert_int_eq(store_commit(store), 0);
}

void add_owner(uint64_t id)
{
        struct store_owner o = {
                .id = id,
                .kind = WIRE_OWNER_PROCESS,
                .boot = SD_ID128_MAKE(01, 02, 03, 04, 05, 06, 07, 08, 09, 10, 11, 12, 13, 14, 15,
                                      16),
                .pid_ns = 4026531836,
                .init_start = 5,
                .pid = (pid_t) (1000 + id),
                .start = UINT64_C(1) << 60 | id,
                .uid = UINT32_MAX - 1,
                .command = "sort",
                .arguments = "sort \xff\n",
        };

        ck_assert_int_eq(store_add_owner(store, &o), 0);
}

void add_directory(uint64_t id)
{
        struct store_directory d = { id, "/d\xff\n", { "iden\0tity", 9 }, true };

        ck_assert_int_eq(store_add_directory(store, &d), 0);
}

void add_cred(uint64_t id)
{
        gid_t groups[] = { 7, UINT32_MAX - 1 };
        struct cred c = {
                .id = id,
                .uid = UINT32_MAX - 1,
                .gid = 8,
                .n_groups = 2,
                .groups = groups,
                .caps = UINT64_MAX >> 1,
        };

        ck_assert_int_eq(store_add_cred(store, &c), 0);
}

void add_tag(uint64_t id)
{
        static const uint8_t key[NAME_KEY_SIZE] = { 0, 1, 2, 255 };
        struct store_tag t = {
                .id = id,
                .tag = UINT64_MAX - id,
                .key = key,
                .owner = 1,
                .directory = 1,
                .cred = 1,
        };

        ck_assert_int_eq(store_add_tag(store, &t), 0);
}

void add_base(void)
{
        for (uint64_t id = 1; id <= 3; id++)
                add_owner(id);
        add_directory(1);
        add_cred(1);
        add_tag(1);
        commit();
}

int put_made(uint64_t tag, uint64_t seq)
{
        char name[32];
        struct store_entry e = {
                .id = STORE_TAG_ID(tag, seq),
                .kind = WIRE_KIND_FILE,
                .state = WIRE_STATE_LIVE,
                .name = name,
                .created_usec = seq,
        };

        (void) snprintf(name, sizeof(name), "made-%u", (unsigned int) seq);
        return store_put_entry(store, &e);
}

uint64_t put_plain(uint64_t owner)
{
        struct store_entry e = {
                .kind = WIRE_KIND_DIRECTORY,
                .state = WIRE_STATE_LIVE,
                .name = "plain",
                .identity = { "id", 2 },
                .owner = owner,
                .directory = 1,
                .cred = 1,
        };

        ck_assert_int_eq(store_put_entry(store, &e), 0);
        return e.id;
}

static int take_state(const struct store_entry *e, void *userdata)
{
        *(unsigned int *) userdata = e->state;
        return 0;
}

unsigned int state_of(uint64_t id)
{
        unsigned int state = 0;
        int r = store_get_entry(store, id, take_state, &state);

        ck_assert(r == 0 || r == -ENOENT);
        return state;
}

static int take_owner(const struct store_entry *e, void *userdata)
{
        *(uint64_t *) userdata = e->owner;
        return 0;
}

uint64_t owner_of(uint64_t id)
{
        uint64_t owner = 0;

        ck_assert_int_eq(store_get_entry(store, id, take_owner, &owner), 0);
        return owner;
}

uint64_t count_live(void)
{
        struct store_counts c;

        ck_assert_int_eq(store_get_counts(store, &c), 0);
        return c.live;
}

static int take(struct numbers *n, uint64_t number)
{
        ck_assert_uint_lt(n->n, ARRAY_SIZE(n->number));
        n->number[n->n++] = number;
        return 0;
}

int take_entry(const struct store_entry *e, void *numbers)
{
        return take(numbers, e->id);
}

int take_id(uint64_t id, void *numbers)
{
        return take(numbers, id);
}

int take_row(const struct store_row *r, void *numbers)
{
        return take(numbers, r->entry.id);
}

static int take_value(void *userdata, int columns, char **values, char **names)
{
        *(int64_t *) userdata = values[0] ? strtoll(values[0], NULL, 10) : -1;
        return 0;
}

static int run_and_take(const char *file, const char *sql, int64_t *ret)
{
        sqlite3 *db = NULL;
        int rc;

        rc = sqlite3_open_v2(unit_path(store_dir, file), &db, SQLITE_OPEN_READWRITE, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(db, sql, take_value, ret, NULL);
        sqlite3_close(db);
        return rc;
}

int run_sql(const char *file, const char *sql)
{
        int64_t value;

        return run_and_take(file, sql, &value);
}

int64_t query_sql(const char *file, const char *sql)
{
        int64_t value = -1;

        ck_assert_int_eq(run_and_take(file, sql, &value), SQLITE_OK);
        return value;
}
