/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl scan --delete and --adopt: deletes what nobody has, or has the daemon do so in a
 * while, so that who misses it can keep it.
 *
 * Refuses where its verdicts rest on too little: when a process or the daemon could not be asked,
 * and on file systems where other machines' processes may have what is there. Between showing and
 * deleting somebody may have thought for long, so the processes and each name are looked at again,
 * and what is not the same thing any more, or no leftover, stays.
 */

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "libclient/libtempfile.h"
#include "libclient/remover.h"
#include "libclient/util.h"
#include "tools/confirm.h"
#include "tools/quantity.h"
#include "tools/scan.h"
#include "tools/select.h"
#include "tools/table.h"

#define LEASE_SEC (7 * 86400U)
#define XFS_MAGIC 0x58465342
#define ZFS_MAGIC 0x2fc12fc1
#define BCACHEFS_MAGIC 0xca451a4e
#define RAMFS_TYPE 0x858458f6

/* Known to be of this machine alone; what is not listed may be a network's, or FUSE. */
static bool is_local(int fd)
{
        static const unsigned long types[] = {
                EXT4_SUPER_MAGIC, XFS_MAGIC,         BTRFS_SUPER_MAGIC,     TMPFS_MAGIC,
                F2FS_SUPER_MAGIC, RAMFS_TYPE,        OVERLAYFS_SUPER_MAGIC, ZFS_MAGIC,
                BCACHEFS_MAGIC,   MSDOS_SUPER_MAGIC, REISERFS_SUPER_MAGIC,
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if ((unsigned long) fs.f_type == types[i])
                        return true;
        return false;
}

static const char *done_word(const struct scan *s)
{
        return s->ctl->is_adopt ? "adopted" : "deleted";
}

static int refuse(const struct scan *s)
{
        const char *done = done_word(s);

        if (scan_is_incomplete(s))
                return ctl_error("nothing was %s: not every process could be seen", done);
        if (!s->has_daemon)
                return ctl_error("nothing was %s: no tempfiled says what it looks after", done);
        for (size_t i = 0; i < s->n_directories; i++)
                if (!is_local(s->directories[i].fd))
                        return ctl_error("nothing was %s: '%s' is on a network, FUSE or "
                                         "unknown file system",
                                         done, s->directories[i].path);
        return CTL_OK;
}

static int ask(const struct scan *s)
{
        if (s->ctl->is_yes)
                return CTL_OK;
        if (!confirm_is_possible())
                return ctl_error("nothing was %s: no terminal to ask at; --yes asks nothing",
                                 done_word(s));
        return confirm_ask("%s %s %zu", s->ctl->is_adopt ? "adopt" : "delete",
                           s->n_found == 1 ? "this" : "these", s->n_found);
}

static const struct scan_directory *directory_of(const struct scan *s, const char *path)
{
        size_t len = (size_t) (strrchr(path, '/') - path);

        for (size_t i = 0; i < s->n_directories; i++) {
                const char *dir = s->directories[i].path;

                if (streq(dir, "/") ? len == 0 : strlen(dir) == len && strncmp(dir, path, len) == 0)
                        return &s->directories[i];
        }
        return NULL;
}

/* Still the same thing, and still nobody's? */
static bool is_still_leftover(const struct scan *s, const struct scan_directory *d,
                              const struct leftover *old)
{
        _cleanup_(leftover_done) struct leftover now = { 0 };

        if (leftover_judge(&s->judge, d->fd, d->path, strrchr(old->path, '/') + 1, &now) < 0)
                return false;
        return now.verdict == VERDICT_LEFTOVER && now.st.st_dev == old->st.st_dev &&
               now.st.st_ino == old->st.st_ino;
}

static int delete_one(const struct scan *s, const struct leftover *l)
{
        const struct scan_directory *d = directory_of(s, l->path);
        struct remover_failure failure;
        int64_t n;

        if (!d || !is_still_leftover(s, d, l))
                return ctl_error("'%s' has changed and was left alone", l->path);
        n = remover_remove(d->fd, strrchr(l->path, '/') + 1, REMOVER_RECURSIVE, NULL, &failure);
        if (n < 0)
                return ctl_error("cannot delete '%s': %s: %s", l->path, failure.path,
                                 strerror((int) -n));
        return CTL_OK;
}

/* ---- adopting ---- */

/* Something else was there by then: it is not to be deleted after all. */
static void let_go(const char *path)
{
        _cleanup_(selection_freep) struct selection *wanted = NULL;
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        char *const paths[] = { (char *) path };

        if (tempfile_admin_open(NULL, 0, &a) < 0 || selection_new(paths, 1, &wanted) < 0 ||
            selection_find(wanted, a, NULL) < 0)
                return;
        for (size_t i = 0; i < wanted->items[0].n_ids; i++)
                (void) tempfile_admin_keep(a, wanted->items[0].ids[i]);
}

/* Judged after it is registered: what is meant by then is what is there. */
static int adopt_one(const struct scan *s, const struct leftover *l)
{
        const struct scan_directory *d = directory_of(s, l->path);
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int r;

        o.owner_kind = TEMPFILE_OWNER_LEASE;
        o.lease_sec = s->ctl->lease_sec != 0 ? s->ctl->lease_sec : LEASE_SEC;
        r = tempfile_track(l->path, &o, &t);
        if (r < 0)
                return ctl_error("cannot adopt '%s': %s", l->path, ctl_strerror(r));
        if (!d || !is_still_leftover(s, d, l)) {
                let_go(tempfile_path(t));
                r = ctl_error("'%s' has changed and was left alone", l->path);
        }
        (void) tempfile_close(t); /* it has another owner: this frees the handle only */
        return r;
}

/* ---- together ---- */

static void print_done(const struct scan *s, size_t n, uint64_t bytes)
{
        char size[QUANTITY_SIZE_SIZE];

        if (s->ctl->is_quiet)
                return;
        quantity_format_bytes(bytes, size);
        ctl_say(table_style_for(stdout, false).width, "%zu %s, %s%s.", n, done_word(s), size,
                s->ctl->is_adopt ? " in all" : " freed");
}

int scan_clean(struct scan *s)
{
        int r, status = CTL_OK;
        uint64_t bytes = 0;
        size_t n = 0;

        if (s->n_found == 0)
                return CTL_OK;
        r = refuse(s);
        if (r != CTL_OK || s->ctl->is_dry_run)
                return r;
        r = ask(s);
        if (r == CTL_OK)
                r = scan_look_at_processes(s);
        if (r == CTL_OK)
                r = refuse(s);
        if (r != CTL_OK)
                return r;
        for (size_t i = 0; i < s->n_found; i++) {
                r = s->ctl->is_adopt ? adopt_one(s, &s->found[i]) : delete_one(s, &s->found[i]);
                status = r == CTL_OK ? status : r;
                bytes += r == CTL_OK ? s->found[i].usage.bytes : 0;
                n += r == CTL_OK;
        }
        print_done(s, n, bytes);
        return status;
}
