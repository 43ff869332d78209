/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl mktemp: a temporary file or directory that goes when the calling script ends.
 *
 * Template and options mean what they mean to mktemp(1). The owner is not this process, which ends
 * at once, but the program that asked: ancestor.c finds it. When the name can't be printed,
 * nobody will ever use it, so what was made is deleted again.
 */

#include <stdio.h>
#include <stdio_ext.h>
#include <sys/stat.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/newowner.h"
#include "tools/select.h"

#define DEFAULT_TEMPLATE "tmp.XXXXXXXXXX"
#define LEAST_XS 3

/* What the command line comes to. */
struct place {
        char *dir;
        char *pattern;
};

static void place_done(struct place *p)
{
        free(p->dir);
        free(p->pattern);
}

/* ---- the place ---- */

/* The last run of X in @name: its length, and where it ends. */
static size_t last_run(const char *name, size_t *ret_end)
{
        const char *last = strrchr(name, 'X'), *first = last;

        if (!last)
                return 0;
        while (first > name && first[-1] == 'X')
                first--;
        *ret_end = (size_t) (last - name) + 1;
        return (size_t) (last - first) + 1;
}

/* The suffix's own X are to stay: the library would take them for the random part. */
static int check_suffix(const struct ctl *c)
{
        if (strchr(c->suffix, '/'))
                return ctl_usage_error(c->command, "suffix '%s' contains a slash", c->suffix);
        if (c->suffix[0] == 'X' || strstr(c->suffix, "XXX"))
                return ctl_usage_error(c->command, "suffix '%s' looks like a part of the template",
                                       c->suffix);
        return CTL_OK;
}

static int check_name(const struct ctl *c, const char *template, const char *name)
{
        size_t end, n;

        n = last_run(name, &end);
        if (n < LEAST_XS)
                return ctl_usage_error(c->command, "too few X's in template '%s': at least %d",
                                       template, LEAST_XS);
        if (!c->suffix)
                return CTL_OK;
        if (name[end] != '\0')
                return ctl_usage_error(c->command, "with --suffix, template '%s' must end in X",
                                       template);
        return check_suffix(c);
}

static int check_template(const struct ctl *c, const char *template)
{
        const char *slash = strrchr(template, '/');

        if (c->is_in_tmpdir && slash)
                return ctl_usage_error(c->command, "with -t, template '%s' may not have a slash",
                                       template);
        if (c->is_in_dir && template[0] == '/')
                return ctl_usage_error(c->command, "with -p, template '%s' may not be absolute",
                                       template);
        return check_name(c, template, slash ? slash + 1 : template);
}

/* The directory that a template counts from; "." without -p, --tmpdir and -t. */
static const char *base_directory(const struct ctl *c, bool is_default)
{
        const char *tmpdir = getenv("TMPDIR");

        if (!c->is_in_dir && !is_default)
                return ".";
        if (tmpdir && *tmpdir == '\0')
                tmpdir = NULL;
        if (c->dir && !(c->is_in_tmpdir && tmpdir))
                return c->dir;
        return tmpdir ? tmpdir : "/tmp";
}

static int place_init(struct place *p, const struct ctl *c)
{
        bool is_default = c->n_args == 0;
        const char *template = is_default ? DEFAULT_TEMPLATE : c->args[0];
        const char *slash = strrchr(template, '/');
        const char *name = slash ? slash + 1 : template;
        const char *base = base_directory(c, is_default);
        int r;

        r = check_template(c, template);
        if (r != CTL_OK)
                return r;
        *p = (struct place) { 0 };
        if (asprintf(&p->pattern, "%s%s", name, c->suffix ? c->suffix : "") < 0)
                p->pattern = NULL;
        if (!slash)
                p->dir = strdup(base);
        else if (template[0] == '/')
                p->dir = strndup(template, MAX((size_t) (slash - template), (size_t) 1));
        else if (asprintf(&p->dir, "%s/%.*s", base, (int) (slash - template), template) < 0)
                p->dir = NULL;
        if (!p->pattern || !p->dir)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        return CTL_OK;
}

/* ---- making and printing ---- */

static int tell_failure(const struct ctl *c, const struct place *p, pid_t owner, int error)
{
        if (c->is_quiet)
                return CTL_FAILED;
        switch (error) {
        case -ECONNREFUSED:
                return ctl_error_no_daemon();
        case -EPERM:
                return ctl_error("process %d cannot be the owner: it is not yours", (int) owner);
        case -ESRCH:
                return ctl_error("process %d cannot be the owner: it has ended", (int) owner);
        default:
                return ctl_error("cannot make a %s '%s' in '%s': %s",
                                 c->is_directory ? "directory" : "file", p->pattern, p->dir,
                                 ctl_strerror(error));
        }
}

/* Deletes what nobody knows the name of, and has the daemon forget it. Failing, it goes later. */
static void unmake(const struct ctl *c, char *path, pid_t owner)
{
        _cleanup_(selection_freep) struct selection *wanted = NULL;
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct tempfile_filter filter = {
                .size = sizeof(filter),
                .flags = TEMPFILE_LIST_PID,
                .pid = (uint32_t) owner,
        };
        char *const paths[] = { path };

        (void) (c->is_directory ? rmdir(path) : unlink(path));
        if (tempfile_admin_open(NULL, 0, &a) < 0 || selection_new(paths, 1, &wanted) < 0)
                return;
        if (selection_find(wanted, a, &filter) < 0)
                return;
        for (size_t i = 0; i < wanted->items[0].n_ids; i++)
                (void) tempfile_admin_reap(a, wanted->items[0].ids[i], TEMPFILE_REAP_FORCE);
}

static int print_path(const struct ctl *c, struct tempfile *t, pid_t owner)
{
        _cleanup_(freep) char *path = strdup(tempfile_path(t));

        if (path && printf("%s\n", path) >= 0 && fflush(stdout) == 0)
                return CTL_OK;
        (void) ctl_error("cannot print the name: %s", strerror(errno));
        __fpurge(stdout); /* told: ctl_finish_output() need not try again */
        clearerr(stdout);
        if (path)
                unmake(c, path, owner);
        return CTL_FAILED;
}

static int make(const struct ctl *c, const struct place *p, int pidfd, struct tempfile **ret)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.flags = TEMPFILE_OWNER_PIDFD;
        o.owner_pidfd = pidfd;
        o.dir = p->dir;
        o.pattern = p->pattern;
        return c->is_directory ? tempfile_directory(&o, ret) : tempfile_named(&o, ret);
}

int ctl_mktemp(struct ctl *c)
{
        _cleanup_(place_done) struct place p = { 0 };
        _cleanup_(closep) int pidfd = -1;
        struct tempfile *t;
        pid_t owner;
        int r;

        r = place_init(&p, c);
        if (r != CTL_OK)
                return r;
        r = newowner_open_process(c->owner_pid, &owner, &pidfd);
        if (r != CTL_OK)
                return r;
        r = make(c, &p, pidfd, &t);
        if (r < 0)
                return tell_failure(c, &p, owner, r);
        r = print_path(c, t, owner);
        (void) tempfile_close(t); /* it has another owner: this frees the handle only */
        return r;
}
