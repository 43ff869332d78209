/* SPDX-License-Identifier: MIT */

/*
 * Keeps entries and sorts them.
 *
 * Owns the strings, one piece of memory for the four of an entry. Promises the same order for the
 * same entries: what a key does not tell apart goes by number.
 */

#include "libclient/util.h"
#include "tools/collection.h"

void collection_done(struct collection *c)
{
        for (size_t i = 0; i < c->n; i++)
                free((char *) c->items[i].entry.path); /* the first of the four */
        free(c->items);
        *c = (struct collection) { 0 };
}

static int make_room(struct collection *c)
{
        size_t n = MAX(2 * c->n_allocated, (size_t) 64);
        struct listed *items;

        if (c->n < c->n_allocated)
                return 0;
        items = reallocarray(c->items, n, sizeof(*items));
        if (!items)
                return -ENOMEM;
        c->items = items;
        c->n_allocated = n;
        return 0;
}

static int copy_strings(struct tempfile_entry *e)
{
        const char **strings[] = { &e->path, &e->command, &e->unit, &e->failed };
        size_t size = 0;
        char *p;

        for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
                size += strlen(*strings[i]) + 1;
        p = malloc(size);
        if (!p)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
                const char *from = *strings[i];

                *strings[i] = p;
                p = stpcpy(p, from) + 1;
        }
        return 0;
}

int collection_add(struct collection *c, const struct tempfile_entry *e, const struct usage *usage)
{
        struct listed item = { .entry = *e };
        int r;

        r = make_room(c);
        if (r >= 0)
                r = copy_strings(&item.entry);
        if (r < 0)
                return r;
        if (usage)
                item.usage = *usage;
        c->items[c->n++] = item;
        return 0;
}

void collection_drop_last(struct collection *c)
{
        free((char *) c->items[--c->n].entry.path);
}

/* ---- order ---- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int by_id(const struct listed *a, const struct listed *b)
{
        return COMPARE(a->entry.id, b->entry.id);
}

static int by_path(const struct listed *a, const struct listed *b)
{
        return strcmp(a->entry.path, b->entry.path);
}

/* The youngest first. */
static int by_age(const struct listed *a, const struct listed *b)
{
        return COMPARE(b->entry.created_usec, a->entry.created_usec);
}

static int by_size(const struct listed *a, const struct listed *b)
{
        return COMPARE(a->usage.bytes, b->usage.bytes);
}

static int by_user(const struct listed *a, const struct listed *b)
{
        return COMPARE(a->entry.uid, b->entry.uid);
}

static int by_pid(const struct listed *a, const struct listed *b)
{
        return COMPARE(a->entry.pid, b->entry.pid);
}

static int by_state(const struct listed *a, const struct listed *b)
{
        return COMPARE(a->entry.state, b->entry.state);
}

static int by_owner(const struct listed *a, const struct listed *b)
{
        int r = COMPARE(a->entry.owner_kind, b->entry.owner_kind);

        if (r == 0)
                r = strcmp(a->entry.unit, b->entry.unit);
        return r != 0 ? r : strcmp(a->entry.command, b->entry.command);
}

typedef int (*listed_compare_fn)(const struct listed *a, const struct listed *b);

static const struct key {
        const char *name;
        listed_compare_fn compare;
} keys[] = {
        { "id", by_id },     { "path", by_path }, { "age", by_age },     { "size", by_size },
        { "user", by_user }, { "pid", by_pid },   { "state", by_state }, { "owner", by_owner },
};

static const struct key *find_key(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (streq(keys[i].name, name))
                        return &keys[i];
        return NULL;
}

bool collection_is_key(const char *key)
{
        return !key || find_key(key);
}

struct order {
        listed_compare_fn compare;
        int sign;
};

static int compare_items(const void *a, const void *b, void *userdata)
{
        const struct order *o = userdata;
        int r = o->compare(a, b);

        return r != 0 ? r * o->sign : by_id(a, b);
}

void collection_sort(struct collection *c, const char *key, bool is_reverse)
{
        struct order o = { key ? find_key(key)->compare : by_id, is_reverse ? -1 : 1 };

        if (c->n > 0)
                qsort_r(c->items, c->n, sizeof(*c->items), compare_items, &o);
}
