/* SPDX-License-Identifier: MIT */

/*
 * Reads tmpfiles.d.
 *
 * A line's path is a glob, and all types but removal (r, R) count: what is made on purpose is no
 * leftover, and "x" and "X" say so expressly. A file hides those of its name in later directories.
 * The subtle thing: specifiers (%b and so on) become "*", which matches more, and so excludes more
 * than systemd would: in doubt something stays.
 */

#include "tools/exclusion.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>

#include "libclient/util.h"

static const char *const directories[] = {
        "/etc/tmpfiles.d",
        "/run/tmpfiles.d",
        "/usr/local/lib/tmpfiles.d",
        "/usr/lib/tmpfiles.d",
};

struct line {
        char *glob;
        char *origin; /* for people */
};

struct exclusions {
        struct line *lines;
        size_t n;
};

void exclusions_free(struct exclusions *x)
{
        if (!x)
                return;
        for (size_t i = 0; i < x->n; i++) {
                free(x->lines[i].glob);
                free(x->lines[i].origin);
        }
        free(x->lines);
        free(x);
}

static int add(struct exclusions *x, const char *file, const char *glob)
{
        struct line line = { .glob = strdup(glob) }, *lines;

        if (asprintf(&line.origin, "%s: %s", file, glob) < 0)
                line.origin = NULL;
        lines = reallocarray(x->lines, x->n + 1, sizeof(*lines));
        if (lines)
                x->lines = lines;
        if (!lines || !line.glob || !line.origin) {
                free(line.glob);
                free(line.origin);
                return -ENOMEM;
        }
        x->lines[x->n++] = line;
        return 0;
}

/* Takes one word off *@s, without quotes; in place. */
static char *next_word(char **s)
{
        char *p = *s + strspn(*s, " \t\n"), *out = p, *word = p, quote = 0;

        for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
                if (quote ? *p == quote : (*p == '"' || *p == '\'')) {
                        quote = quote ? 0 : *p;
                        continue;
                }
                *out++ = *p;
        }
        *s = *p ? p + 1 : p;
        *out = '\0';
        return word;
}

static void replace_specifiers(char *glob)
{
        char *out = glob;

        for (; *glob; glob++) {
                if (*glob == '%' && glob[1]) {
                        glob++;
                        *out++ = *glob == '%' ? '%' : '*';
                } else {
                        *out++ = *glob;
                }
        }
        *out = '\0';
}

static int add_line(struct exclusions *x, const char *file, char *line)
{
        char *type = next_word(&line), *glob = next_word(&line);
        size_t len = strlen(glob);

        if (*type == '\0' || *type == '#' || strchr("rR", *type) || *glob != '/')
                return 0;
        while (len > 1 && glob[len - 1] == '/')
                glob[--len] = '\0';
        replace_specifiers(glob);
        return add(x, file, glob);
}

static int read_file(struct exclusions *x, const char *dir, const char *name)
{
        char path[512], *line = NULL;
        size_t size = 0;
        FILE *f;
        int r = 0;

        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (r >= 0 && getline(&line, &size, f) > 0)
                r = add_line(x, path, line);
        free(line);
        (void) fclose(f);
        return r;
}

static bool is_hidden(size_t directory, const char *name)
{
        char path[512];

        for (size_t i = 0; i < directory; i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", directories[i], name);
                if (access(path, F_OK) == 0)
                        return true;
        }
        return false;
}

static int read_directory(struct exclusions *x, size_t i)
{
        const struct dirent *e;
        DIR *d = opendir(directories[i]);
        int r = 0;

        while (d && r >= 0 && (e = readdir(d))) {
                size_t len = strlen(e->d_name);

                if (len > 5 && streq(e->d_name + len - 5, ".conf") && !is_hidden(i, e->d_name))
                        r = read_file(x, directories[i], e->d_name);
        }
        if (d)
                (void) closedir(d);
        return r;
}

int exclusions_read(struct exclusions **ret)
{
        _cleanup_(exclusions_freep) struct exclusions *x = calloc(1, sizeof(*x));
        int r = x ? 0 : -ENOMEM;

        for (size_t i = 0; i < ARRAY_SIZE(directories) && r >= 0; i++)
                r = read_directory(x, i);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(x);
        return 0;
}

static size_t count_slashes(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += *s == '/';
        return n;
}

/* The glob, cut off behind as many components as @path has. */
static bool matches(const char *glob, const char *path)
{
        size_t n = count_slashes(path), slashes = 0;
        char start[4096];
        const char *p;

        if (count_slashes(glob) < n)
                return false; /* of a directory above: says nothing about this one */
        for (p = glob; *p; p++)
                if (*p == '/' && slashes++ == n)
                        break;
        if ((size_t) (p - glob) >= sizeof(start))
                return false;
        (void) snprintf(start, sizeof(start), "%.*s", (int) (p - glob), glob);
        return fnmatch(start, path, FNM_PATHNAME) == 0;
}

const char *exclusions_find(const struct exclusions *x, const char *path)
{
        for (size_t i = 0; i < x->n; i++)
                if (matches(x->lines[i].glob, path))
                        return x->lines[i].origin;
        return NULL;
}
