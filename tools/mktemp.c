/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl mktemp: a temporary file or directory that goes when the calling script ends.
 *
 * What the command line means is mktemp(1)'s (template.c); under that name, as which the program
 * may be called, so are help, messages and exit status. The owner is not this process, which ends
 * at once, but the program that asked: ancestor.c finds it. When the name can't be printed,
 * nobody will ever use it, so what was made is deleted again.
 *
 * The subtle thing: a mere name (-u) is registered where nobody could guess it, so that what the
 * script makes there goes, too. One that could be guessed may become something else's.
 */

#include <stdio.h>
#include <stdio_ext.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/newowner.h"
#include "tools/select.h"
#include "tools/template.h"

#define STRONG_XS 10U /* as many as the library wants for a mere name */
#define ATTEMPTS 100U

/* ---- options ---- */

/* What the library is to be told. */
struct request {
        struct tempfile_options options;
        char *dir;
        char *pattern;
        mode_t mode; /* exactly; 0 is none that options can say */
};

static void request_done(struct request *q)
{
        free(q->dir);
        free(q->pattern);
}

static mode_t current_umask(void)
{
        mode_t mask = umask(0);

        (void) umask(mask);
        return mask;
}

static int request_init(struct request *q, const struct ctl *c, const struct name_template *t,
                        const struct newowner *owner)
{
        *q = (struct request) {
                .options = TEMPFILE_OPTIONS_INIT,
                .dir = template_directory(t),
                .pattern = template_pattern(t),
                .mode = (c->is_directory ? 0700 : 0600) & ~current_umask(),
        };
        if (!q->dir || !q->pattern)
                return -ENOMEM;
        q->options.dir = q->dir;
        q->options.pattern = q->pattern;
        q->options.suffix = template_suffix(t);
        q->options.mode = q->mode;
        q->options.owner_kind = owner->owner.kind;
        q->options.owner_pidfd = owner->owner.pidfd;
        q->options.token = owner->owner.token;
        if (owner->owner.pidfd >= 0)
                q->options.flags |= TEMPFILE_OWNER_PIDFD;
        return 0;
}

/* ---- making ---- */

static int make_name(const struct ctl *c, const struct request *q, struct tempfile **ret)
{
        return tempfile_mktemp(
                &q->options, c->is_directory ? TEMPFILE_KIND_DIRECTORY : TEMPFILE_KIND_OTHER, ret);
}

static int make_thing(const struct ctl *c, const struct request *q, struct tempfile **ret)
{
        int r;

        r = c->is_directory ? tempfile_directory(&q->options, ret)
                            : tempfile_named(&q->options, ret);
        if (r == 0 && q->mode == 0) /* a strange umask, which is to be obeyed all the same */
                (void) chmod(tempfile_path(*ret), 0);
        return r;
}

/* ---- mere names that are not registered ---- */

static int draw(char *out, size_t len)
{
        static const char letters[] =
                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        const unsigned int n = sizeof(letters) - 1;
        unsigned char byte;

        for (size_t i = 0; i < len;) {
                if (getrandom(&byte, 1, 0) != 1)
                        return -errno;
                if (byte < 256 / n * n) /* else the first letters would be more likely */
                        out[i++] = letters[byte % n];
        }
        return 0;
}

/* Failing, the path has its X again. */
static int draw_free_path(struct name_template *t)
{
        struct stat st;
        int r = -EEXIST;

        for (unsigned int i = 0; r == -EEXIST && i < ATTEMPTS; i++) {
                r = draw(t->path + t->random_at, t->random_len);
                if (r == 0)
                        r = lstat(t->path, &st) < 0 ? -errno : -EEXIST;
        }
        if (r == -ENOENT)
                return 0;
        memset(t->path + t->random_at, 'X', t->random_len);
        return r;
}

/* ---- telling ---- */

static int tell_failure(const struct ctl *c, const struct name_template *t, pid_t owner, int error)
{
        _cleanup_(freep) char *quoted = template_quote(t->path);

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
                return ctl_error("failed to create %s via template %s: %s",
                                 c->is_directory ? "directory" : "file", quoted ? quoted : t->path,
                                 ctl_strerror(error));
        }
}

/* Deletes what nobody knows the name of, and has the daemon forget it. Failing, it goes later. */
static void unmake(const struct ctl *c, const char *path, pid_t owner)
{
        _cleanup_(selection_freep) struct selection *wanted = NULL;
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct tempfile_filter filter = {
                .size = sizeof(filter),
                .flags = owner > 0 ? TEMPFILE_LIST_PID : 0,
                .pid = (uint32_t) owner,
        };
        char *const paths[] = { (char *) path };

        (void) (c->is_directory ? rmdir(path) : unlink(path));
        if (tempfile_admin_open(NULL, 0, &a) < 0 || selection_new(paths, 1, &wanted) < 0)
                return;
        if (selection_find(wanted, a, &filter) < 0)
                return;
        for (size_t i = 0; i < wanted->items[0].n_ids; i++)
                (void) tempfile_admin_reap(a, wanted->items[0].ids[i], TEMPFILE_REAP_FORCE);
}

/* The name is the thing's, the directory is written as it was given. */
static int print_path(const struct ctl *c, struct name_template *t, const char *made)
{
        if (made)
                memcpy(t->path + t->name_at, strrchr(made, '/') + 1, strlen(t->path + t->name_at));
        if (puts(t->path) >= 0 && fflush(stdout) == 0)
                return CTL_OK;
        if (!c->is_quiet)
                (void) ctl_error("write error: %s", strerror(errno));
        __fpurge(stdout); /* told: ctl_finish_output() need not try again */
        clearerr(stdout);
        return CTL_FAILED;
}

/* ---- together ---- */

static int make_and_print(const struct ctl *c, struct name_template *t, const struct request *q,
                          pid_t owner)
{
        struct tempfile *made;
        int r;

        r = c->is_dry_run ? make_name(c, q, &made) : make_thing(c, q, &made);
        if (r < 0)
                return tell_failure(c, t, owner, r);
        r = print_path(c, t, tempfile_path(made));
        if (r != CTL_OK)
                unmake(c, tempfile_path(made), owner);
        (void) tempfile_close(made); /* it has another owner: this frees the handle only */
        return r;
}

/* Without a directory there is nothing to register; mktemp(1) does not mind. */
static bool has_directory(const struct name_template *t)
{
        _cleanup_(freep) char *dir = template_directory(t);
        struct stat st;

        return !dir || stat(dir, &st) == 0 || errno != ENOENT;
}

/* -u: a name without anything behind it, and without anybody who knows of it. */
static int print_name_only(const struct ctl *c, struct name_template *t)
{
        int r;

        r = draw_free_path(t);
        return r < 0 ? tell_failure(c, t, 0, r) : print_path(c, t, NULL);
}

static int make_owned(const struct ctl *c, struct name_template *t)
{
        _cleanup_(newowner_done) struct newowner owner = { .owner.pidfd = -1 };
        _cleanup_(request_done) struct request q = { 0 };
        int r;

        r = newowner_open(c, &owner);
        if (r != CTL_OK)
                return r;
        r = request_init(&q, c, t, &owner);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        return make_and_print(c, t, &q, owner.pid);
}

int ctl_mktemp(struct ctl *c)
{
        _cleanup_(template_done) struct name_template t = { 0 };
        int r;

        if (c->n_args > 1)
                return ctl_usage_error(c->command, "too many templates");
        r = newowner_check(c);
        if (r == CTL_OK)
                r = template_init(&t, c);
        if (r != CTL_OK)
                return r;
        if (c->is_dry_run && (t.random_len < STRONG_XS || !has_directory(&t)))
                return print_name_only(c, &t);
        return make_owned(c, &t);
}
