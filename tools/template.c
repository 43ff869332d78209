/* SPDX-License-Identifier: MIT */

/*
 * Templates as mktemp(1) reads them, with its messages word for word: scripts compare them. The
 * subtle thing: the X that count are the last run in all of the template, and a suffix that was
 * given apart may hold X of its own.
 */

#include <langinfo.h>
#include <limits.h>
#include <stdio.h>
#include <wchar.h>
#include <wctype.h>

#include "libclient/util.h"
#include "tools/template.h"

#define DEFAULT_TEMPLATE "tmp.XXXXXXXXXX"
#define LEAST_XS 3

/* ---- quotation ---- */

static bool is_utf8(void)
{
        return streq(nl_langinfo(CODESET), "UTF-8");
}

static void put_byte(FILE *f, unsigned char c)
{
        static const char letters[] = "abtnvfr"; /* of 7 to 13 */

        if (c >= 7 && c <= 13)
                (void) fprintf(f, "\\%c", letters[c - 7]);
        else
                (void) fprintf(f, "\\%03o", c);
}

/* How many bytes at @s are one printable character; 0: the first is none. */
static size_t printable_length(const char *s)
{
        mbstate_t state = { 0 };
        wchar_t wide;
        size_t n;

        n = mbrtowc(&wide, s, strlen(s), &state);
        return n == 0 || n > MB_LEN_MAX || !iswprint((wint_t) wide) ? 0 : n;
}

static void put_quoted(FILE *f, const char *s, const char *end_mark)
{
        size_t n;

        for (; *s; s += MAX(n, (size_t) 1)) {
                n = printable_length(s);
                if (n == 0) {
                        put_byte(f, (unsigned char) *s);
                        continue;
                }
                if (*s == '\\' || strncmp(s, end_mark, strlen(end_mark)) == 0)
                        (void) fputc('\\', f);
                (void) fwrite(s, 1, n, f);
        }
}

char *template_quote(const char *s)
{
        const char *begin = is_utf8() ? "\u2018" : "'", *end = is_utf8() ? "\u2019" : "'";
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        (void) fputs(begin, f);
        put_quoted(f, s, end);
        (void) fputs(end, f);
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

/* ---- checks ---- */

/* @format: with one %s, for @name. Called as mktemp there is no hint, and the status is 1. */
static int __attribute__((format(printf, 2, 0)))
refuse(const struct ctl *c, const char *format, const char *name)
{
        _cleanup_(freep) char *quoted = template_quote(name);

        if (!quoted)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        return ctl_is_gnu(c->command) ? ctl_error(format, quoted)
                                      : ctl_usage_error(c->command, format, quoted);
}

/* The last run of X before @end. */
static size_t count_xs(const char *s, size_t end)
{
        size_t n = 0;

        while (n < end && s[end - n - 1] == 'X')
                n++;
        return n;
}

/* @name: the template with its suffix, which begins at @suffix_at. */
static int find_xs(const struct ctl *c, const char *name, size_t suffix_at, size_t *ret_n)
{
        if (strchr(name + suffix_at, '/'))
                return refuse(c, "invalid suffix %s, contains directory separator",
                              name + suffix_at);
        *ret_n = count_xs(name, suffix_at);
        if (*ret_n < LEAST_XS)
                return refuse(c, "too few X's in template %s", name);
        return CTL_OK;
}

static size_t end_of_xs(const char *template)
{
        const char *last = strrchr(template, 'X');

        return last ? (size_t) (last - template) + 1 : strlen(template);
}

/* ---- the directory ---- */

static const char *unless_empty(const char *s)
{
        return s && *s ? s : NULL;
}

static const char *base_directory(const struct ctl *c)
{
        const char *tmpdir = unless_empty(getenv("TMPDIR"));

        if (c->dir && !(c->is_in_tmpdir && tmpdir))
                return c->dir;
        return tmpdir ? tmpdir : "/tmp";
}

static int check_in_directory(const struct ctl *c, const char *name)
{
        if (c->is_in_tmpdir && strchr(name, '/'))
                return refuse(c, "invalid template, %s, contains directory separator", name);
        if (name[0] == '/')
                return refuse(c, "invalid template, %s; with --tmpdir, it may not be absolute",
                              name);
        return CTL_OK;
}

/* One slash between the two, however many the directory ends in. */
static char *join(const char *dir, const char *name)
{
        size_t len = strlen(dir);
        char *path;

        while (len > 1 && dir[len - 1] == '/')
                len--;
        if (asprintf(&path, "%.*s%s%s", (int) len, dir, dir[len - 1] == '/' ? "" : "/", name) < 0)
                return NULL;
        return path;
}

/* ---- together ---- */

static int place(struct name_template *t, const struct ctl *c, const char *name, size_t suffix_at)
{
        const bool is_in_dir = c->is_in_dir || c->n_args == 0;
        const char *slash;
        int r;

        r = find_xs(c, name, suffix_at, &t->random_len);
        if (r == CTL_OK && is_in_dir)
                r = check_in_directory(c, name);
        if (r != CTL_OK)
                return r;
        t->path = is_in_dir ? join(base_directory(c), name) : strdup(name);
        if (!t->path)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        slash = strrchr(t->path, '/');
        t->name_at = slash ? (size_t) (slash - t->path) + 1 : 0;
        t->random_at = strlen(t->path) - strlen(name) + suffix_at - t->random_len;
        return CTL_OK;
}

int template_init(struct name_template *ret, const struct ctl *c)
{
        const char *template = c->n_args == 0 ? DEFAULT_TEMPLATE : c->args[0];
        const size_t end = end_of_xs(template);
        _cleanup_(freep) char *name = NULL;

        *ret = (struct name_template) { 0 };
        if (c->suffix && (template[0] == '\0' || template[end] != '\0' || template[end - 1] != 'X'))
                return refuse(c, "with --suffix, template %s must end in X", template);
        if (asprintf(&name, "%s%s", template, c->suffix ? c->suffix : "") < 0) {
                name = NULL;
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        }
        return place(ret, c, name, end);
}

char *template_directory(const struct name_template *t)
{
        if (t->name_at == 0)
                return strdup(".");
        return strndup(t->path, MAX(t->name_at - 1, (size_t) 1));
}

char *template_pattern(const struct name_template *t)
{
        return strndup(t->path + t->name_at, t->random_at + t->random_len - t->name_at);
}

const char *template_suffix(const struct name_template *t)
{
        return t->path + t->random_at + t->random_len;
}
