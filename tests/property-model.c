/* SPDX-License-Identifier: MIT */

/* What must be, and what may be; see the header. */

#include "tests/property-model.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libclient/util.h"
#include "tests/property-client.h"

static void *grow(void *at, unsigned int n, unsigned int *room, size_t size)
{
        if (n < *room)
                return at;
        *room = 2 * *room + 16;
        at = reallocarray(at, *room, size);
        if (!at)
                abort();
        return at;
}

/* One more, empty. */
#define APPEND(list)                                                                               \
        ((list)->at = grow((list)->at, (list)->n, &(list)->room, sizeof(*(list)->at)),             \
         memset(&(list)->at[(list)->n], 0, sizeof(*(list)->at)), &(list)->at[(list)->n++])

void model_done(struct model *m)
{
        for (unsigned int i = 0; i < m->groups.n; i++)
                free(m->groups.at[i].holders);
        free(m->groups.at);
        free(m->things.at);
        free(m->files.at);
        free(m->processes.at);
}

/* ---- processes and descriptors ---- */

uint32_t model_add_process(struct model *m, pid_t pid, uid_t uid)
{
        *APPEND(&m->processes) = (struct model_process) { pid, uid, true };
        return m->processes.n;
}

struct model_process *model_process(struct model *m, uint32_t number)
{
        return &m->processes.at[number - 1];
}

void model_end_process(struct model *m, uint32_t number)
{
        model_process(m, number)->lives = false;
        for (unsigned int i = 0; i < m->groups.n; i++)
                model_group_remove(&m->groups.at[i], number);
        for (unsigned int i = 0; i < m->things.n; i++) {
                struct model_thing *t = &m->things.at[i];

                model_set_process(t, number, MODEL_NO);
                if (t->holder == number)
                        t->holder = 0;
                if (t->finder == number)
                        t->finder = 0;
        }
}

struct model_group *model_add_group(struct model *m, uint32_t id, uint32_t holder)
{
        struct model_group *g = APPEND(&m->groups);

        g->id = id;
        model_group_add(g, holder);
        return g;
}

struct model_group *model_group(struct model *m, uint32_t id)
{
        for (unsigned int i = 0; i < m->groups.n; i++)
                if (m->groups.at[i].id == id)
                        return &m->groups.at[i];
        return NULL;
}

bool model_group_has(const struct model_group *g, uint32_t process)
{
        for (unsigned int i = 0; i < g->n; i++)
                if (g->holders[i] == process)
                        return true;
        return false;
}

bool model_group_lives(const struct model_group *g)
{
        return g && g->n > 0;
}

void model_group_add(struct model_group *g, uint32_t process)
{
        g->holders = grow(g->holders, g->n, &g->room, sizeof(*g->holders));
        g->holders[g->n++] = process;
}

void model_group_remove(struct model_group *g, uint32_t process)
{
        for (unsigned int i = 0; i < g->n; i++)
                if (g->holders[i] == process)
                        g->holders[i--] = g->holders[--g->n];
}

/* ---- things ---- */

struct model_thing *model_add_thing(struct model *m, uint32_t id, const char *path)
{
        struct model_thing *t = APPEND(&m->things);

        t->id = id;
        (void) snprintf(t->path, sizeof(t->path), "%s", path);
        return t;
}

void model_remove_thing(struct model *m, struct model_thing *t)
{
        *t = m->things.at[--m->things.n];
}

void model_add_owner(struct model_thing *t, struct model_owner o)
{
        if (t->n_owners == MODEL_OWNERS_MAX)
                abort(); /* the caller asks for no more */
        t->owners[t->n_owners++] = o;
}

void model_set_process(struct model_thing *t, uint32_t process, enum model_sure sure)
{
        for (unsigned int i = 0; i < t->n_owners; i++) {
                if (t->owners[i].kind != MODEL_PROCESS || t->owners[i].id != process)
                        continue;
                t->owners[i].sure = sure;
                if (sure == MODEL_NO)
                        t->owners[i--] = t->owners[--t->n_owners];
        }
}

static bool owner_lives(struct model *m, const struct model_owner *o)
{
        switch (o->kind) {
        case MODEL_PROCESS:
                return model_process(m, o->id)->lives;
        case MODEL_GROUP:
                return model_group_lives(model_group(m, o->id));
        default:
                return true;
        }
}

/* Has it an owner? */
static enum model_sure is_owned(struct model *m, const struct model_thing *t)
{
        enum model_sure sure = MODEL_NO;

        for (unsigned int i = 0; i < t->n_owners; i++)
                if (owner_lives(m, &t->owners[i]))
                        sure = MAX(sure, t->owners[i].sure);
        return sure;
}

/* Is it there? */
static enum model_sure is_there(struct model *m, const struct model_thing *t)
{
        if (t->is_absent)
                return MODEL_NO;
        return MAX(MAX(is_owned(m, t), t->is_retained), t->kept);
}

void model_settle(struct model *m)
{
        for (unsigned int i = 0; i < m->things.n; i++) {
                struct model_thing *t = &m->things.at[i];

                if (is_owned(m, t) != MODEL_NO)
                        continue;
                t->is_retained = MAX(t->is_retained, t->retain);
                if (t->is_absent || (t->is_retained == MODEL_NO && t->kept == MODEL_NO)) {
                        model_remove_thing(m, t);
                        i--;
                }
        }
}

void model_reboot(struct model *m)
{
        for (unsigned int i = 0; i < m->processes.n; i++)
                if (m->processes.at[i].lives)
                        model_end_process(m, i + 1);
        for (unsigned int i = 0; i < m->things.n; i++) {
                struct model_thing *t = &m->things.at[i];

                for (unsigned int o = 0; o < t->n_owners; o++)
                        if (t->owners[o].kind == MODEL_BOOT)
                                t->owners[o--] = t->owners[--t->n_owners];
        }
        model_settle(m);
}

/* ---- files ---- */

void model_add_file(struct model *m, const char *path, uint32_t text, enum model_sure there)
{
        struct model_file *f = APPEND(&m->files);

        (void) snprintf(f->path, sizeof(f->path), "%s", path);
        f->text = text;
        f->is_there = there;
}

struct model_file *model_file(struct model *m, const char *path)
{
        for (unsigned int i = 0; i < m->files.n; i++)
                if (streq(m->files.at[i].path, path))
                        return &m->files.at[i];
        return NULL;
}

void model_remove_file(struct model *m, struct model_file *f)
{
        *f = m->files.at[--m->files.n];
}

/* ---- comparing ---- */

struct comparison {
        struct model *model;
        char *what;
        size_t size;
};

static int tell(struct comparison *c, int verdict, const char *path, const char *what)
{
        (void) snprintf(c->what, c->size, "%s: %s", path, what);
        return verdict;
}

static int compare_file(struct comparison *c, const struct model_file *f)
{
        uint32_t text = property_read(f->path);

        if (text == f->text || (f->other != 0 && text == f->other))
                return 0;
        if (text == 0 && f->is_there != MODEL_YES)
                return 0;
        return tell(c, -1, f->path, text == 0 ? "is gone, and nobody's" : "is another file now");
}

static int compare_thing(struct comparison *c, const struct model_thing *t)
{
        enum model_sure there = is_there(c->model, t);
        uint32_t text = property_read(t->path);

        if (text == t->text)
                return there == MODEL_NO && !t->is_absent ? 1 : 0;
        if (there != MODEL_YES)
                return 0;
        return tell(c, -1, t->path, text == 0 ? "is gone, and owned" : "is another file now");
}

static bool is_known(struct model *m, const char *path)
{
        for (unsigned int i = 0; i < m->things.n; i++)
                if (streq(m->things.at[i].path, path) && is_there(m, &m->things.at[i]) != MODEL_NO)
                        return true;
        return model_file(m, path) != NULL;
}

static int compare_directory(struct comparison *c, const char *path)
{
        DIR *dir = opendir(path);
        struct dirent *e;
        int r = 0;

        if (!dir)
                return tell(c, -1, path, strerror(errno));
        while (r == 0 && (e = readdir(dir))) {
                char full[2 * MODEL_PATH_MAX];

                (void) snprintf(full, sizeof(full), "%s/%s", path, e->d_name);
                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && !is_known(c->model, full))
                        r = tell(c, 1, full, "has no owner, and is still there");
        }
        (void) closedir(dir);
        return r;
}

int model_compare(struct model *m, const char *const *dirs, unsigned int n_dirs, char *ret_what,
                  size_t size)
{
        struct comparison c = { m, ret_what, size };
        int r = 0;

        for (unsigned int i = 0; r >= 0 && i < m->files.n; i++)
                r = compare_file(&c, &m->files.at[i]);
        for (unsigned int i = 0; r >= 0 && i < m->things.n; i++)
                r = MIN(compare_thing(&c, &m->things.at[i]), 0);
        for (unsigned int i = 0; r == 0 && i < n_dirs; i++)
                r = compare_directory(&c, dirs[i]);
        return r;
}
