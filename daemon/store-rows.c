/* SPDX-License-Identifier: MIT */

/*
 * Owns the shape of the rows: what of an owner, a directory, a tag, an entry is written, and the
 * questions that are asked of them. store.c runs them.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store-internal.h"
#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define RESERVE_NUMBERS 1024U /* at a time */

#define SEQ_BITS 32

static struct store_bytes bytes_of_id(const sd_id128_t *id)
{
        return (struct store_bytes) { id->bytes, sizeof(id->bytes) };
}

int store_add_owner(struct store *s, const struct store_owner *o)
{
        return store_change(s, STMT_ADD_OWNER, "iiibiiiiittttIsI", (int64_t) o->id,
                            (int64_t) o->kind, (int64_t) o->is_dead, bytes_of_id(&o->boot),
                            (int64_t) o->pid_ns, (int64_t) o->init_start, (int64_t) o->pid,
                            (int64_t) o->start, (int64_t) o->uid, o->command, o->executable,
                            o->arguments, o->unit, (int64_t) o->cgroup, o->place,
                            (int64_t) o->deadline_usec);
}

int store_end_owner(struct store *s, uint64_t id)
{
        return store_change(s, STMT_END_OWNER, "i", (int64_t) id);
}

int store_move_owner(struct store *s, const struct store_owner *o)
{
        return store_change(s, STMT_MOVE_OWNER, "ibiiii", (int64_t) o->id, bytes_of_id(&o->boot),
                            (int64_t) o->pid_ns, (int64_t) o->init_start, (int64_t) o->pid,
                            (int64_t) o->start);
}

int store_remove_owner(struct store *s, uint64_t id)
{
        return store_change(s, STMT_REMOVE_OWNER, "i", (int64_t) id);
}

int store_add_directory(struct store *s, const struct store_directory *d)
{
        return store_change(s, STMT_ADD_DIRECTORY, "isbi", (int64_t) d->id, d->path, d->identity,
                            (int64_t) d->is_foreign);
}

int store_remove_directory(struct store *s, uint64_t id)
{
        return store_change(s, STMT_REMOVE_DIRECTORY, "i", (int64_t) id);
}

int store_add_cred(struct store *s, const struct cred *c)
{
        struct store_bytes groups = { c->groups, c->n_groups * sizeof(gid_t) };

        return store_change(s, STMT_ADD_CRED, "iiiib", (int64_t) c->id, (int64_t) c->uid,
                            (int64_t) c->gid, (int64_t) c->caps, groups);
}

int store_add_tag(struct store *s, const struct store_tag *t)
{
        struct store_bytes key = { t->key, NAME_KEY_SIZE };

        return store_change(s, STMT_ADD_TAG, "iibiiiiiib", (int64_t) t->id, (int64_t) t->tag, key,
                            (int64_t) t->owner, (int64_t) t->directory, (int64_t) t->cred,
                            (int64_t) t->needs_sweep, (int64_t) t->is_dead,
                            (int64_t) t->is_unreadable, bytes_of_id(&t->boot));
}

int store_change_tag(struct store *s, uint64_t id, bool needs_sweep, bool is_dead, sd_id128_t boot)
{
        return store_change(s, STMT_CHANGE_TAG, "iiib", (int64_t) id, (int64_t) needs_sweep,
                            (int64_t) is_dead, bytes_of_id(&boot));
}

int store_give_tag(struct store *s, uint64_t id, uint64_t owner)
{
        return store_change(s, STMT_GIVE_TAG, "ii", (int64_t) id, (int64_t) owner);
}

int store_suspect_tags(struct store *s)
{
        return store_change(s, STMT_SUSPECT_TAGS, "");
}

static int change_entries(struct store *s, enum statement which, uint64_t id)
{
        int r;

        r = store_change(s, which, "i", (int64_t) id);
        if (r < 0)
                return r;
        store_tally(s)->n_entries -= store_changed(s);
        return 0;
}

int store_remove_tag(struct store *s, uint64_t id)
{
        int r;

        r = change_entries(s, STMT_REMOVE_KEPT_OF_TAG, id);
        if (r >= 0)
                r = store_change(s, STMT_FORGET_ENDED_OF_TAG, "i", (int64_t) id);
        if (r < 0)
                return r;
        return store_change(s, STMT_REMOVE_TAG, "i", (int64_t) id);
}

int store_forget_live(struct store *s, uint64_t tag_id)
{
        return change_entries(s, STMT_FORGET_LIVE, tag_id);
}

static int write_entry(struct store *s, enum statement which, const struct store_entry *e)
{
        return store_change(s, which, "iiisiIIIsBI", (int64_t) e->id, (int64_t) e->kind,
                            (int64_t) e->state, e->name, (int64_t) e->created_usec,
                            (int64_t) e->owner, (int64_t) e->directory, (int64_t) e->cred,
                            e->target, e->identity, (int64_t) e->retain_sec);
}

/* What is asked once more after a restart, about a number, must not meet another entry. */
static int take_number(struct store *s, uint64_t *ret)
{
        struct store_tally *t = store_tally(s);
        int r;

        if (t->last_plain_entry >= t->last_reserved) {
                t->last_reserved = t->last_plain_entry + RESERVE_NUMBERS;
                r = store_change(s, STMT_SET_LAST_PLAIN, "i", (int64_t) t->last_reserved);
                if (r < 0)
                        return r;
        }
        *ret = ++t->last_plain_entry;
        return 0;
}

int store_put_entry(struct store *s, struct store_entry *e)
{
        int r = 0;

        if (e->id == 0)
                r = take_number(s, &e->id);
        if (r < 0)
                return r;
        r = write_entry(s, STMT_ADD_ENTRY, e);
        if (r < 0)
                return r;
        if (store_changed(s) == 0)
                return write_entry(s, STMT_REPLACE_ENTRY, e);
        store_tally(s)->n_entries++;
        return 0;
}

int store_remove_entry(struct store *s, uint64_t id)
{
        int r;

        r = change_entries(s, STMT_REMOVE_ENTRY, id);
        if (r < 0 || store_tally(s)->n_claims == 0)
                return r;
        return store_change(s, STMT_REMOVE_CLAIMS_OF_ENTRY, "i", (int64_t) id);
}

int store_defer_entry(struct store *s, uint64_t id)
{
        return store_change(s, STMT_DEFER_ENTRY, "i", (int64_t) id);
}

int store_add_claim(struct store *s, uint64_t entry, uint64_t owner)
{
        store_tally(s)->n_claims++; /* never counted down: only asked whether there are any */
        return store_change(s, STMT_ADD_CLAIM, "iii", (int64_t) entry, (int64_t) owner, INT64_C(0));
}

int store_add_maker(struct store *s, uint64_t entry, uint64_t owner)
{
        store_tally(s)->n_claims++;
        return store_change(s, STMT_ADD_CLAIM, "iii", (int64_t) entry, (int64_t) owner, INT64_C(1));
}

int store_end_claims(struct store *s, uint64_t owner)
{
        int r;

        r = store_change(s, STMT_REMOVE_CLAIMS_OF_OWNER, "i", (int64_t) owner);
        if (r < 0)
                return r;
        r = store_change(s, STMT_INHERIT_OF_OWNER, "i", (int64_t) owner);
        if (r < 0 || store_changed(s) == 0)
                return r;
        return store_change(s, STMT_REMOVE_INHERITED, "i", INT64_C(0));
}

int store_change_entry(struct store *s, uint64_t id, unsigned int state, int error,
                       unsigned int attempts, uint64_t next_try_usec, const char *failed)
{
        return store_change(s, STMT_CHANGE_ENTRY, "iiIIIs", (int64_t) id, (int64_t) state,
                            (int64_t) error, (int64_t) attempts, (int64_t) next_try_usec, failed);
}

int store_wake_waiting(struct store *s)
{
        return store_change(s, STMT_WAKE_WAITING, "");
}

int store_wake_all(struct store *s)
{
        return store_change(s, STMT_WAKE_ALL, "");
}

/* ---- questions ---- */

static int owner_row(struct row *row, const void *fn, void *userdata)
{
        struct store_owner o = {
                .id = row_number(row, 0),
                .kind = (unsigned int) row_number(row, 1),
                .is_dead = row_number(row, 2) != 0,
                .boot = row_id(row, 3),
                .pid_ns = row_number(row, 4),
                .init_start = row_number(row, 5),
                .pid = (pid_t) row_number(row, 6),
                .start = row_number(row, 7),
                .uid = (uid_t) row_number(row, 8),
                .command = row_string_or_empty(row, 9),
                .executable = row_string_or_empty(row, 10),
                .arguments = row_string_or_empty(row, 11),
                .unit = row_string_or_empty(row, 12),
                .cgroup = row_number(row, 13),
                .place = row_string(row, 14),
                .deadline_usec = row_number(row, 15),
        };

        return (*(const store_owner_fn *) fn)(&o, userdata);
}

int store_each_owner(struct store *s, store_owner_fn fn, void *userdata)
{
        return store_ask(s, STMT_EACH_OWNER, owner_row, &fn, userdata, "");
}

static int directory_row(struct row *row, const void *fn, void *userdata)
{
        struct store_directory d = {
                .id = row_number(row, 0),
                .path = row_string_or_empty(row, 1),
                .identity = row_bytes(row, 2),
                .is_foreign = row_number(row, 3) != 0,
        };

        return (*(const store_directory_fn *) fn)(&d, userdata);
}

int store_each_directory(struct store *s, store_directory_fn fn, void *userdata)
{
        return store_ask(s, STMT_EACH_DIRECTORY, directory_row, &fn, userdata, "");
}

static int tag_row(struct row *row, const void *fn, void *userdata)
{
        struct store_bytes key = row_bytes(row, 2);
        struct store_tag t = {
                .id = row_number(row, 0),
                .tag = row_number(row, 1),
                .key = key.data,
                .owner = row_number(row, 3),
                .directory = row_number(row, 4),
                .cred = row_number(row, 5),
                .needs_sweep = row_number(row, 6) != 0,
                .is_dead = row_number(row, 7) != 0,
                .is_unreadable = row_number(row, 8) != 0,
                .boot = row_id(row, 9),
        };

        if (key.len != NAME_KEY_SIZE)
                return 0; /* not written by us: its names can't be told, its entries still can */
        return (*(const store_tag_fn *) fn)(&t, userdata);
}

int store_each_tag(struct store *s, store_tag_fn fn, void *userdata)
{
        return store_ask(s, STMT_EACH_TAG, tag_row, &fn, userdata, "");
}

static int cred_row(struct row *row, const void *fn, void *userdata)
{
        struct store_bytes groups = row_bytes(row, 4);
        struct cred c = {
                .id = row_number(row, 0),
                .uid = (uid_t) row_number(row, 1),
                .gid = (gid_t) row_number(row, 2),
                .caps = row_number(row, 3),
                .n_groups = (uint32_t) (groups.len / sizeof(gid_t)),
        };
        int r;

        if (c.n_groups > 0) {
                c.groups = malloc(groups.len);
                if (!c.groups)
                        return -ENOMEM;
                memcpy(c.groups, groups.data, c.n_groups * sizeof(gid_t));
        }
        r = (*(const store_cred_fn *) fn)(&c, userdata);
        cred_done(&c);
        return r;
}

int store_each_cred(struct store *s, store_cred_fn fn, void *userdata)
{
        return store_ask(s, STMT_EACH_CRED, cred_row, &fn, userdata, "");
}

static void read_entry(struct row *row, struct store_entry *e)
{
        *e = (struct store_entry) {
                .id = row_number(row, 0),
                .kind = (unsigned int) row_number(row, 1),
                .state = (unsigned int) row_number(row, 2),
                .name = row_string(row, 3),
                .created_usec = row_number(row, 4),
                .owner = row_number(row, 5),
                .directory = row_number(row, 6),
                .cred = row_number(row, 7),
                .target = row_string(row, 8),
                .identity = row_bytes(row, 9),
                .error = (int) row_number(row, 10),
                .attempts = (unsigned int) row_number(row, 11),
                .next_try_usec = row_number(row, 12),
                .failed = row_string(row, 13),
                .retain_sec = row_number(row, 14),
        };
}

static int entry_row(struct row *row, const void *fn, void *userdata)
{
        struct store_entry e;

        read_entry(row, &e);
        return (*(const store_entry_fn *) fn)(&e, userdata);
}

int store_live_of_tag(struct store *s, uint64_t tag_id, uint64_t after, unsigned int limit,
                      store_entry_fn fn, void *userdata)
{
        return store_ask(s, STMT_LIVE_OF_TAG, entry_row, &fn, userdata, "iii", (int64_t) tag_id,
                         (int64_t) after, (int64_t) limit);
}

int store_live_of_owner(struct store *s, uint64_t owner, uint64_t after, unsigned int limit,
                        store_entry_fn fn, void *userdata)
{
        return store_ask(s, STMT_LIVE_OF_OWNER, entry_row, &fn, userdata, "iii", (int64_t) owner,
                         (int64_t) after, (int64_t) limit);
}

int store_claimed_by(struct store *s, uint64_t owner, store_entry_fn fn, void *userdata)
{
        return store_ask(s, STMT_CLAIMED_BY, entry_row, &fn, userdata, "i", (int64_t) owner);
}

int store_due(struct store *s, uint64_t now_usec, unsigned int limit, store_entry_fn fn,
              void *userdata)
{
        return store_ask(s, STMT_DUE, entry_row, &fn, userdata, "ii", (int64_t) now_usec,
                         (int64_t) limit);
}

int store_names_of_tag(struct store *s, uint64_t tag_id, store_entry_fn fn, void *userdata)
{
        return store_ask(s, STMT_NAMES_OF_TAG, entry_row, &fn, userdata, "i", (int64_t) tag_id);
}

struct one_entry {
        store_entry_fn fn;
        void *userdata;
        bool is_found;
};

static int one_entry_row(struct row *row, const void *fn, void *userdata)
{
        struct one_entry *o = userdata;

        o->is_found = true;
        return entry_row(row, &o->fn, o->userdata);
}

int store_get_entry(struct store *s, uint64_t id, store_entry_fn fn, void *userdata)
{
        struct one_entry o = { .fn = fn, .userdata = userdata };
        int r;

        r = store_ask(s, STMT_GET_ENTRY, one_entry_row, NULL, &o, "i", (int64_t) id);
        if (r < 0)
                return r;
        if (o.is_found)
                return 0;
        r = store_failed(s); /* it may be what went with that */
        return r < 0 ? r : -ENOENT;
}

int store_next_due(struct store *s, uint64_t *ret_usec)
{
        *ret_usec = 0;
        return store_ask_number(s, STMT_NEXT_DUE, ret_usec);
}

static int owner_of_entry(const struct store_entry *e, void *userdata)
{
        *(uint64_t *) userdata = e->owner;
        return 0;
}

int store_release(struct store *s, uint64_t entry, uint64_t owner, uint64_t *ret_owner)
{
        int r;

        r = store_change(s, STMT_REMOVE_CLAIM, "ii", (int64_t) entry, (int64_t) owner);
        if (r < 0)
                return r;
        if (store_changed(s) > 0) {
                *ret_owner = 0;
                return 0;
        }
        r = store_get_entry(s, entry, owner_of_entry, ret_owner);
        if (r < 0 || *ret_owner != owner)
                return r;
        r = store_change(s, STMT_INHERIT_ENTRY, "i", (int64_t) entry);
        if (r < 0)
                return r;
        r = store_change(s, STMT_REMOVE_INHERITED, "i", (int64_t) entry);
        if (r < 0)
                return r;
        return store_get_entry(s, entry, owner_of_entry, ret_owner);
}

int store_pass_on(struct store *s, uint64_t entry, bool *ret)
{
        int r;

        *ret = false;
        if (store_tally(s)->n_claims == 0)
                return 0;
        r = store_change(s, STMT_PASS_TO_MAKER, "i", (int64_t) entry);
        if (r < 0 || store_changed(s) == 0)
                return r;
        *ret = true;
        r = store_change(s, STMT_REMOVE_INHERITED, "i", (int64_t) entry);
        return r < 0 ? r : store_change_entry(s, entry, WIRE_STATE_LIVE, 0, 0, 0, NULL);
}

int store_set_owner(struct store *s, const struct store_entry *e)
{
        return store_change(s, STMT_SET_OWNER, "iiiii", (int64_t) e->id, (int64_t) e->owner,
                            (int64_t) e->directory, (int64_t) e->cred, (int64_t) e->state);
}

int store_set_retain(struct store *s, uint64_t entry, uint64_t retain_sec)
{
        return store_change(s, STMT_SET_RETAIN, "iI", (int64_t) entry, (int64_t) retain_sec);
}

int store_set_deadline(struct store *s, uint64_t owner, uint64_t deadline_usec, sd_id128_t boot)
{
        return store_change(s, STMT_SET_DEADLINE, "iib", (int64_t) owner, (int64_t) deadline_usec,
                            bytes_of_id(&boot));
}

int store_next_deadline(struct store *s, uint64_t *ret_usec)
{
        *ret_usec = 0;
        return store_ask_number(s, STMT_NEXT_DEADLINE, ret_usec);
}

static int id_row(struct row *row, const void *fn, void *userdata)
{
        return (*(const store_id_fn *) fn)(row_number(row, 0), userdata);
}

int store_each_claim(struct store *s, uint64_t entry, store_id_fn fn, void *userdata)
{
        return store_ask(s, STMT_CLAIMS_OF_ENTRY, id_row, &fn, userdata, "i", (int64_t) entry);
}

int store_expired(struct store *s, uint64_t now_usec, store_id_fn fn, void *userdata)
{
        return store_ask(s, STMT_EXPIRED, id_row, &fn, userdata, "i", (int64_t) now_usec);
}

int store_set_seen(struct store *s, uint64_t boottime_usec)
{
        return store_change(s, STMT_SET_SEEN, "i", (int64_t) boottime_usec);
}

int store_get_seen(struct store *s, uint64_t *ret_usec)
{
        *ret_usec = 0;
        return store_ask_number(s, STMT_GET_SEEN, ret_usec);
}

static int boot_row(struct row *row, const void *fn, void *userdata)
{
        *(sd_id128_t *) userdata = row_id(row, 0);
        return 0;
}

int store_set_boot(struct store *s, sd_id128_t boot, sd_id128_t *ret_last)
{
        int r;

        *ret_last = SD_ID128_NULL;
        r = store_ask(s, STMT_GET_BOOT, boot_row, NULL, ret_last, "");
        if (r < 0 || sd_id128_equal(*ret_last, boot))
                return r;
        return store_change(s, STMT_SET_BOOT, "b", bytes_of_id(&boot));
}

static int number_row(struct row *row, const void *fn, void *userdata)
{
        *(uint64_t *) userdata = row_number(row, 0);
        return 0;
}

int store_last_of_tag(struct store *s, uint64_t tag_id, uint64_t *ret_id)
{
        uint64_t last = 0;
        int r;

        r = store_ask(s, STMT_LAST_OF_TAG, number_row, NULL, &last, "i", (int64_t) tag_id);
        if (r < 0)
                return r;
        *ret_id = MAX(last, tag_id << SEQ_BITS);
        return 0;
}

static int any_row(struct row *row, const void *fn, void *userdata)
{
        *(bool *) userdata = true;
        return 0;
}

int store_holds(struct store *s, uint64_t entry, uint64_t owner, bool *ret)
{
        uint64_t inline_owner = 0;
        int r;

        *ret = false;
        r = store_get_entry(s, entry, owner_of_entry, &inline_owner);
        if (r < 0)
                return r;
        *ret = inline_owner == owner;
        if (*ret)
                return 0;
        return store_ask(s, STMT_HAS_CLAIM, any_row, NULL, ret, "ii", (int64_t) entry,
                         (int64_t) owner);
}

int store_owner_has_entries(struct store *s, uint64_t owner, bool *ret)
{
        *ret = false;
        return store_ask(s, STMT_OWNER_HAS, any_row, NULL, ret, "i", (int64_t) owner);
}

int store_tag_has_entries(struct store *s, uint64_t tag_id, bool *ret)
{
        *ret = false;
        return store_ask(s, STMT_TAG_HAS, any_row, NULL, ret, "i", (int64_t) tag_id);
}

static int count_row(struct row *row, const void *fn, void *userdata)
{
        return (*(const store_count_fn *) fn)(row_number(row, 0), row_number(row, 1), userdata);
}

int store_count_by_directory(struct store *s, store_count_fn fn, void *userdata)
{
        return store_ask(s, STMT_COUNT_BY_DIRECTORY, count_row, &fn, userdata, "");
}

int store_count_by_cred(struct store *s, store_count_fn fn, void *userdata)
{
        return store_ask(s, STMT_COUNT_BY_CRED, count_row, &fn, userdata, "");
}

int store_count_of_tag(struct store *s, uint64_t tag_id, uint64_t *ret)
{
        *ret = 0;
        return store_ask(s, STMT_COUNT_OF_TAG, number_row, NULL, ret, "i", (int64_t) tag_id);
}

static int state_row(struct row *row, const void *fn, void *userdata)
{
        struct store_counts *c = userdata;
        uint64_t count = row_number(row, 1);

        switch (row_number(row, 0)) {
        case WIRE_STATE_RETAINED:
                c->retained = count;
                break;
        case WIRE_STATE_STUCK:
                c->stuck = count;
                break;
        case WIRE_STATE_WAITING:
                c->waiting = count;
                break;
        case WIRE_STATE_KEPT:
                c->kept = count;
                break;
        }
        return 0;
}

int store_get_counts(struct store *s, struct store_counts *ret)
{
        struct store_counts c = { 0 };
        int r;

        r = store_ask(s, STMT_COUNT_STATES, state_row, NULL, &c, "");
        if (r < 0)
                return r;
        r = store_ask_number(s, STMT_COUNT_PAGES, &c.bytes);
        if (r < 0)
                return r;
        c.live = store_tally(s)->n_entries - c.retained - c.stuck - c.waiting - c.kept;
        *ret = c;
        return 0;
}

struct list_rows {
        store_row_fn fn;
        void *userdata;
        uint64_t last;
        unsigned int count;
};

static int list_row(struct row *row, const void *fn, void *userdata)
{
        struct list_rows *l = userdata;
        const int at = ENTRY_COLUMN_COUNT;
        struct store_row shown;
        int r;

        read_entry(row, &shown.entry);
        shown.path = row_string_or_empty(row, at);
        shown.command = row_string_or_empty(row, at + 1);
        shown.unit = row_string_or_empty(row, at + 2);
        shown.owner_kind = (unsigned int) row_number(row, at + 3);
        shown.owner_is_dead = row_number(row, at + 4) != 0;
        shown.pid = (pid_t) row_number(row, at + 5);
        shown.uid = (uid_t) row_number(row, at + 6);
        shown.deadline_usec = row_number(row, at + 7);
        r = l->fn(&shown, l->userdata);
        if (r < 0)
                return r;
        l->last = shown.entry.id;
        l->count++;
        return 0;
}

static int list(struct store *s, enum statement which, uint64_t *cursor, unsigned int scan,
                store_row_fn fn, void *userdata)
{
        struct list_rows l = { .fn = fn, .userdata = userdata, .last = *cursor };
        int r;

        r = store_ask(s, which, list_row, NULL, &l, "ii", (int64_t) *cursor, (int64_t) scan);
        if (r == -ENOBUFS) { /* the reader is full: go on here */
                *cursor = l.last;
                return 0;
        }
        if (r < 0)
                return r;
        *cursor = l.count < scan ? 0 : l.last;
        return 0;
}

int store_list(struct store *s, uint64_t *cursor, unsigned int scan, store_row_fn fn,
               void *userdata)
{
        return list(s, STMT_LIST, cursor, scan, fn, userdata);
}

int store_list_left(struct store *s, uint64_t *cursor, unsigned int scan, store_row_fn fn,
                    void *userdata)
{
        return list(s, STMT_LIST_LEFT, cursor, scan, fn, userdata);
}
