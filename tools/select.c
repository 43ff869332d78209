/* SPDX-License-Identifier: MIT */

/*
 * From arguments to entries.
 *
 * The subtle thing is the path: the daemon knows the real path of the directory, so the directory
 * of what was given is resolved, but never the last component, which may itself be a symbolic
 * link; where the directory is gone (a waiting entry), the path is compared as it was written.
 */

#include <stdio.h>

#include "libclient/util.h"
#include "tools/entry.h"
#include "tools/select.h"

/* Joins @dir and @name with one slash. */
static char *join(const char *dir, const char *name)
{
        size_t len = strlen(dir);
        char *path;

        if (asprintf(&path, "%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name) < 0)
                return NULL;
        return path;
}

int select_make_absolute(const char *argument, char **ret)
{
        _cleanup_(freep) char *cwd = NULL;
        char *path;
        size_t len;

        if (argument[0] == '/') {
                path = strdup(argument);
        } else {
                cwd = getcwd(NULL, 0);
                if (!cwd)
                        return -errno;
                path = join(cwd, argument);
        }
        if (!path)
                return -ENOMEM;
        for (len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
                path[len - 1] = '\0';
        *ret = path;
        return 0;
}

/* The real path of the directory and the name in it; or, where it has none, @path itself. */
static int resolve(char *path, char **ret)
{
        _cleanup_(freep) char *dir = NULL, *real = NULL;
        const char *slash = strrchr(path, '/');

        dir = strndup(path, MAX((size_t) (slash - path), (size_t) 1));
        if (!dir)
                return -ENOMEM;
        real = realpath(dir, NULL);
        *ret = real ? join(real, slash + 1) : strdup(path);
        return *ret ? 0 : -ENOMEM;
}

static int add_id(struct selector *s, uint64_t id)
{
        uint64_t *ids;

        ids = reallocarray(s->ids, s->n_ids + 1, sizeof(*ids));
        if (!ids)
                return -ENOMEM;
        ids[s->n_ids++] = id;
        s->ids = ids;
        return 0;
}

static int selector_init(struct selector *s, const char *argument)
{
        _cleanup_(freep) char *path = NULL;
        uint64_t id;
        int r;

        *s = (struct selector) { .argument = argument };
        if (entry_parse_id(argument, &id) >= 0)
                return add_id(s, id);
        r = select_make_absolute(argument, &path);
        if (r < 0)
                return r;
        return resolve(path, &s->path);
}

int selection_new(char *const arguments[], size_t n, struct selection **ret)
{
        _cleanup_(selection_freep) struct selection *wanted = NULL;
        int r;

        wanted = calloc(1, sizeof(*wanted) + n * sizeof(wanted->items[0]));
        if (!wanted)
                return -ENOMEM;
        for (; wanted->n < n; wanted->n++) {
                r = selector_init(&wanted->items[wanted->n], arguments[wanted->n]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(wanted);
        return 0;
}

void selection_free(struct selection *wanted)
{
        if (!wanted)
                return;
        for (size_t i = 0; i < wanted->n; i++) {
                free(wanted->items[i].path);
                free(wanted->items[i].ids);
        }
        free(wanted);
}

bool selector_matches(const struct selector *s, const struct tempfile_entry *e)
{
        if (s->path)
                return streq(s->path, e->path);
        for (size_t i = 0; i < s->n_ids; i++)
                if (s->ids[i] == e->id)
                        return true;
        return false;
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct selection *wanted = userdata;
        int r;

        for (size_t i = 0; i < wanted->n; i++) {
                if (!wanted->items[i].path || !selector_matches(&wanted->items[i], e))
                        continue;
                r = add_id(&wanted->items[i], e->id);
                if (r < 0)
                        return r;
        }
        return 0;
}

int selection_find(struct selection *wanted, struct tempfile_admin *a,
                   const struct tempfile_filter *filter)
{
        int64_t r;

        for (size_t i = 0; i < wanted->n; i++) {
                if (!wanted->items[i].path)
                        continue;
                r = tempfile_admin_list(a, filter, on_entry, wanted); /* once for all of them */
                return r < 0 ? (int) r : 0;
        }
        return 0;
}
