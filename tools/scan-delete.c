/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl scan --delete: deletes what nobody has.
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

#include "libclient/remover.h"
#include "libclient/util.h"
#include "tools/confirm.h"
#include "tools/quantity.h"
#include "tools/scan.h"

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

static int refuse(const struct scan *s)
{
        if (scan_is_incomplete(s))
                return ctl_error("nothing was deleted: not every process could be seen");
        if (!s->has_daemon)
                return ctl_error("nothing was deleted: no tempfiled says what it looks after");
        for (size_t i = 0; i < s->n_directories; i++)
                if (!is_local(s->directories[i].fd))
                        return ctl_error("nothing was deleted: '%s' is on a network, FUSE or "
                                         "unknown file system",
                                         s->directories[i].path);
        return CTL_OK;
}

static int ask(const struct scan *s)
{
        if (s->ctl->is_yes)
                return CTL_OK;
        if (!confirm_is_possible())
                return ctl_error("nothing was deleted: no terminal to ask at; --yes deletes "
                                 "without asking");
        return confirm_ask("delete %s %zu", s->n_found == 1 ? "this" : "these", s->n_found);
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

int scan_delete(struct scan *s)
{
        char size[QUANTITY_SIZE_SIZE];
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
                r = delete_one(s, &s->found[i]);
                status = r == CTL_OK ? status : r;
                bytes += r == CTL_OK ? s->found[i].usage.bytes : 0;
                n += r == CTL_OK;
        }
        quantity_format_bytes(bytes, size);
        if (!s->ctl->is_quiet)
                printf("%zu deleted, %s freed.\n", n, size);
        return status;
}
