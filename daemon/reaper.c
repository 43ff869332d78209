/* SPDX-License-Identifier: MIT */

/*
 * Owns deletion on behalf of a client. A made file is recognised by name, type and user and
 * unlinked. What was tracked, and every directory, is first moved aside within its directory to a
 * name that nobody can guess, compared there, where it holds still, and then removed or moved
 * back: a service that has just bound its new socket to the old path keeps it, and a path is gone
 * at once, however large the tree. The name aside follows from the entry's number, so what a
 * crash left there is found again by the next attempt.
 */

#include "daemon/reaper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/ending.h"
#include "libclient/remover.h"
#include "libclient/util.h"
#include "libclient/wire.h"

/* ---- the place ---- */

/* No other path is gone by, whatever is there. */
static int open_foreign(struct reap_place *p)
{
        if (p->seen_by > 0)
                p->opened_fd = identity_open_directory_of(p->seen_by, p->path, p->identity);
        if (p->opened_fd < 0)
                p->opened_fd = -1;
        return p->opened_fd >= 0 ? p->opened_fd : -ENOLINK;
}

int reaper_open_place(struct reap_place *p)
{
        int r;

        p->opened_fd = -1;
        r = cred_enter(p->cred);
        if (r < 0)
                return r;
        if (p->fd >= 0)
                return p->fd;
        if (p->is_over) {
                p->is_deleted = true;
                return -ENOENT;
        }
        if (p->is_foreign)
                return open_foreign(p);
        r = identity_open_directory(p->path, p->identity);
        if (r >= 0)
                p->opened_fd = r;
        else if (r == -ENOENT || r == -ESTALE)
                p->is_deleted = cred_enter(NULL) >= 0 && identity_is_deleted(p->path, p->identity);
        return r;
}

/* ---- one entry ---- */

struct task {
        int dirfd;
        const struct reap_place *place;
        struct reap_item *item;
        char aside[REAPER_ASIDE_SIZE];
};

void reaper_aside_name(const uint8_t key[NAME_KEY_SIZE], uint64_t id, char buf[REAPER_ASIDE_SIZE])
{
        static const char prefix[] = ".tempfiled-";
        uint64_t again = ~id;
        char *at = buf + sizeof(prefix) - 1;

        memcpy(buf, prefix, sizeof(prefix));
        name_encode(name_hash(key, &id, sizeof(id)), at, NAME_TAG_CHARS);
        name_encode(name_hash(key, &again, sizeof(again)), at + NAME_TAG_CHARS, NAME_TAG_CHARS);
        at[2 * NAME_TAG_CHARS] = 0;
}

static enum reap_outcome stuck(struct task *t, int error)
{
        t->item->error = error;
        return REAP_STUCK;
}

static bool kind_matches(unsigned int kind, mode_t mode)
{
        switch (kind) {
        case WIRE_KIND_FILE:
                return S_ISREG(mode);
        case WIRE_KIND_DIRECTORY:
                return S_ISDIR(mode);
        default:
                return !S_ISDIR(mode);
        }
}

/* A made entry: its name nobody else could have chosen, so type and user settle it. Root may have
 * given the file to another user: then it can't be told from another's. */
static int compare_made(const struct task *t, const char *name)
{
        struct stat st;

        if (fstatat(t->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!kind_matches(t->item->kind, st.st_mode))
                return IDENTITY_OTHER;
        if (st.st_uid == t->place->cred->uid)
                return IDENTITY_SAME;
        return t->place->cred->uid == 0 ? IDENTITY_UNKNOWN : IDENTITY_OTHER;
}

static int compare_tracked(const struct task *t, const char *name)
{
        struct identity found;
        int r;

        r = identity_at(t->dirfd, name, &found);
        if (r < 0)
                return r;
        return (int) identity_compare_object(t->item->identity, &found);
}

static bool is_mount_point(const struct task *t, const char *name)
{
        struct statx s;

        return statx(t->dirfd, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &s) >= 0 &&
               (s.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* enum identity_match, or -ENOENT, or another negative errno. What is mounted over it may be
 * something else; what it hides is found when that is unmounted. */
static int compare(const struct task *t, const char *name)
{
        int r = t->item->identity ? compare_tracked(t, name) : compare_made(t, name);

        return r == IDENTITY_OTHER && is_mount_point(t, name) ? -EBUSY : r;
}

static void note_failed(struct task *t, const char *below)
{
        if (asprintf(&t->item->failed, "%s/%s", t->place->path, below) < 0)
                t->item->failed = NULL; /* then its own path is shown */
}

static int enter_in_helper(void *userdata)
{
        return cred_enter(userdata);
}

static enum reap_outcome remove_object(struct task *t, const char *name)
{
        struct remover_options options = { enter_in_helper, (void *) t->place->cred };
        struct remover_failure failure;
        int64_t n;

        if (t->item->kind != WIRE_KIND_DIRECTORY) {
                if (unlinkat(t->dirfd, name, 0) < 0 && errno != ENOENT)
                        return stuck(t, -errno);
                return REAP_GONE;
        }
        n = remover_remove(t->dirfd, name, REMOVER_RECURSIVE, &options, &failure);
        if (n < 0) {
                note_failed(t, failure.path);
                return stuck(t, (int) n);
        }
        return REAP_GONE;
}

/* What it was is read before it goes, and counts if it has ended by that. */
static enum reap_outcome remove_name(struct task *t, const char *name)
{
        _cleanup_(closep) int object = t->item->may_come_back ? ending_watch(t->dirfd, name) : -1;
        struct identity *ended = object >= 0 ? calloc(1, sizeof(*ended)) : NULL;
        enum reap_outcome outcome;

        if (ended && identity_of_fd(object, ended) < 0)
                ended->handle_len = 0;
        if (ended && ended->fs_id == 0) /* of XFS, which only a directory can be asked for */
                ended->fs_id = t->place->identity->fs_id;
        outcome = remove_object(t, name);
        if (ended && (outcome != REAP_GONE || ended->handle_len == 0 || !ending_has_come(object))) {
                free(ended);
                ended = NULL;
        }
        free(t->item->ended);
        t->item->ended = ended;
        return outcome;
}

/* Swapped between the two looks: it was not ours to move. */
static enum reap_outcome move_back(struct task *t, const char *name)
{
        if (renameat2(t->dirfd, t->aside, t->dirfd, name, RENAME_NOREPLACE) < 0)
                return stuck(t, -errno);
        return REAP_OTHER;
}

/* An attempt that was stopped may have left it or not. */
static enum reap_outcome remove_aside(struct task *t, const char *name)
{
        int r = compare(t, t->aside);
        enum reap_outcome outcome;

        if (r == IDENTITY_SAME)
                return remove_name(t, t->aside);
        if (r == -ENOENT)
                return REAP_ABSENT;
        outcome = move_back(t, name);
        if (outcome != REAP_OTHER || r == IDENTITY_OTHER)
                return outcome;
        return stuck(t, r < 0 ? r : -ENOTUNIQ);
}

static enum reap_outcome move_and_remove(struct task *t, const char *name)
{
        if (renameat2(t->dirfd, name, t->dirfd, t->aside, RENAME_NOREPLACE) >= 0)
                return remove_aside(t, name);
        switch (errno) {
        case ENOENT:
                return REAP_GONE;
        case EINVAL: /* this file system can't: no more to be had */
        case ENOSYS:
                return remove_name(t, name);
        default:
                return stuck(t, -errno);
        }
}

/* Compared, moved aside, compared again, removed. */
static enum reap_outcome delete_aside(struct task *t, const char *name)
{
        enum reap_outcome before;
        int r;

        before = remove_aside(t, name); /* what an earlier attempt left there */
        if (before != REAP_GONE && before != REAP_ABSENT)
                return before;
        r = compare(t, name);
        if (r == -ENOENT)
                return before;
        if (r < 0)
                return stuck(t, r);
        if (r == IDENTITY_UNKNOWN)
                return stuck(t, -ENOTUNIQ);
        if (r == IDENTITY_OTHER)
                return REAP_OTHER;
        return move_and_remove(t, name);
}

static enum reap_outcome delete_made(struct task *t, const char *name)
{
        int r;

        if (t->item->kind == WIRE_KIND_DIRECTORY)
                return delete_aside(t, name);
        r = compare(t, name);
        if (r == -ENOENT)
                return REAP_ABSENT;
        if (r < 0)
                return stuck(t, r);
        if (r == IDENTITY_UNKNOWN)
                return stuck(t, -ENOTUNIQ);
        if (r == IDENTITY_OTHER)
                return REAP_OTHER;
        return remove_name(t, name);
}

/* Made under a tag, then perhaps renamed to its target: it is at one of the two. */
static enum reap_outcome delete_retargeted(struct task *t)
{
        struct identity *identity = TAKE_PTR(t->item->identity);
        enum reap_outcome first = delete_made(t, t->item->name), second;

        t->item->identity = identity;
        if (first != REAP_GONE && first != REAP_ABSENT)
                return first;
        second = delete_aside(t, t->item->target);
        return second == REAP_ABSENT ? first : second;
}

static enum reap_outcome delete_item(struct task *t)
{
        struct reap_item *i = t->item;

        if (i->name && i->target)
                return delete_retargeted(t);
        if (i->identity)
                return delete_aside(t, i->target ? i->target : i->name);
        return delete_made(t, i->name);
}

int reaper_delete(struct job *j)
{
        struct delete_job *d = (struct delete_job *) j;
        int dirfd = reaper_open_place(&d->place);

        for (size_t n = 0; n < d->n_items; n++) {
                struct task t = { .dirfd = dirfd, .place = &d->place, .item = &d->items[n] };

                if (dirfd < 0) {
                        t.item->error = dirfd;
                        t.item->outcome = d->place.is_deleted ? REAP_GONE : REAP_WAITING;
                        continue;
                }
                reaper_aside_name(d->key, t.item->id, t.aside);
                t.item->error = 0;
                t.item->outcome = delete_item(&t);
        }
        return 0;
}

void reap_item_done(struct reap_item *i)
{
        free(i->identity);
        free(i->name);
        free(i->target);
        free(i->failed);
        free(i->ended);
}

/* ---- sweeping ---- */

static int compare_tags(const void *a, const void *b)
{
        const struct swept_tag *x = a, *y = b;

        return (x->tag > y->tag) - (x->tag < y->tag);
}

static unsigned int kind_of(mode_t mode)
{
        if (S_ISREG(mode))
                return WIRE_KIND_FILE;
        return S_ISDIR(mode) ? WIRE_KIND_DIRECTORY : WIRE_KIND_OTHER;
}

static int add_name(struct sweep_job *s, size_t tag, unsigned int kind, const char *name)
{
        struct swept_name *more;

        if ((s->n_names & (s->n_names + 1)) == 0) { /* room for 1, 3, 7, ... is used up */
                more = reallocarray(s->names, 2 * s->n_names + 1, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                s->names = more;
        }
        s->names[s->n_names] = (struct swept_name) { tag, kind, strdup(name) };
        if (!s->names[s->n_names].name)
                return -ENOMEM;
        s->n_names++;
        return 0;
}

/* Wherever eleven characters spell a tag that is looked for, the whole name is checked. */
static const struct swept_tag *find_tag(const struct sweep_job *s, const char *name, size_t len)
{
        struct swept_tag wanted, *t;

        for (size_t at = 0; at + NAME_MARK_CHARS <= len; at++) {
                if (!name_decode(name + at, NAME_TAG_CHARS, &wanted.tag))
                        continue;
                t = bsearch(&wanted, s->tags, s->n_tags, sizeof(*t), compare_tags);
                if (t && name_check(t->tag, t->key, name, len))
                        return t;
        }
        return NULL;
}

static int sweep_name(struct sweep_job *s, int dirfd, const char *name)
{
        const struct swept_tag *t;
        struct stat st;

        t = find_tag(s, name, strlen(name));
        if (!t)
                return 0;
        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (st.st_uid != s->place.cred->uid)
                return 0; /* its name copied by another user */
        return add_name(s, (size_t) (t - s->tags), kind_of(st.st_mode), name);
}

static int sweep_directory(struct sweep_job *s, int dirfd)
{
        struct dirent *e;
        DIR *dir;
        int fd, r = 0;

        fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                r = -errno;
                close_fd(fd);
                return r;
        }
        while (r >= 0 && (errno = 0, e = readdir(dir)))
                r = sweep_name(s, dirfd, e->d_name);
        if (r >= 0 && errno != 0)
                r = -errno;
        closedir(dir);
        return r;
}

void reaper_sort_tags(struct sweep_job *s)
{
        qsort(s->tags, s->n_tags, sizeof(*s->tags), compare_tags);
}

int reaper_sweep(struct job *j)
{
        struct sweep_job *s = (struct sweep_job *) j;
        int dirfd = reaper_open_place(&s->place);

        if (dirfd < 0) {
                s->error = s->place.is_deleted ? 0 : dirfd;
                s->is_waiting = s->error < 0;
                return 0;
        }
        reaper_sort_tags(s);
        s->error = sweep_directory(s, dirfd);
        return 0;
}

void swept_names_free(struct swept_name *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(names[i].name);
        free(names);
}

int reaper_flush(struct job *j)
{
        struct flush_job *f = (struct flush_job *) j;
        _cleanup_(closep) int fd = -1;
        int dirfd = reaper_open_place(&f->place);

        if (dirfd >= 0)
                fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        else if (f->place.is_deleted) /* which a power cut could undo, too */
                fd = identity_open_above(f->place.path, f->place.identity);
        else {
                f->error = dirfd;
                return 0;
        }
        f->error = fd < 0 || syncfs(fd) < 0 ? -errno : 0;
        return 0;
}
