/* SPDX-License-Identifier: MIT */

/*
 * Making files and directories, in one of three ways: under the process's own tag, without waiting
 * (nearly always); reserved first, when the name has random bits enough but no tag (another owner,
 * a directory that can't be read, a long pattern); and under a tag first, then moved to the name
 * that was asked for, when that can be guessed. In each the daemon knows the path before it exists.
 *
 * The subtle thing: permission bits. Nothing is ever more open than asked for, and in the end
 * exactly as open, whatever the umask: made with the owner's bits alone, then changed if need be.
 */

#include "libclient/handle.h"

#include <fcntl.h>
#include <stdio.h>

#include "libclient/create.h"
#include "libclient/name.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define ATTEMPTS 100U        /* at names; more than a few are only needed for patterns with few X */
#define STRONG_RANDOM 10U    /* characters of 62 kinds: 59 bits, what a reserved name must have */
#define RANDOM_PER_DRAW 10U  /* characters from 64 bits */
#define MOVED_PREFIX ".tmp-" /* of a name that is there only until it is moved */

/* It was not made after all. What could not be taken back stays registered, and goes with its owner:
 * a name that is said to be gone nobody would look for. */
static void take_back(struct tempfile *t, struct place *p)
{
        if (!t->is_left)
                entry_gone(p, &t->entry);
}

/* ---- names ------------------------------------------------------------------------------------ */

static int fill_random(struct session *s, char *buf, size_t len)
{
        uint64_t random;
        size_t n;
        int r;

        for (size_t at = 0; at < len; at += n) {
                n = MIN(len - at, (size_t) RANDOM_PER_DRAW);
                session_lock(s);
                r = session_random(s, &random);
                session_unlock(s);
                if (r < 0)
                        return r;
                name_encode(random, buf + at, n);
        }
        return 0;
}

/* A name without a tag: the pattern's, or one as long as a tagged one. */
static int draw_name(const struct recipe *r, struct session *s, char name[NAME_LEN_MAX + 1])
{
        const size_t random_len = r->random_len != 0 ? r->random_len : NAME_MARK_CHARS;

        memcpy(name, r->prefix, r->prefix_len);
        memcpy(name + r->prefix_len + random_len, r->suffix, r->suffix_len + 1);
        return fill_random(s, name + r->prefix_len, random_len);
}

/* ---- three ways ------------------------------------------------------------------------------- */

/* A directory that can't be swept must not lose the message: there the name is reserved as well. */
static int back_up(struct tempfile *t, struct place *p, const struct recipe *r, uint64_t *ret_id)
{
        struct recipe own = *r;
        int q;

        if (!p->is_unreadable)
                return 0;
        own.owner = (struct wire_owner) { .kind = WIRE_OWNER_PROCESS };
        own.pidfd = -1;
        q = handle_register(t, p, WIRE_RESERVE, t->entry.name, &own);
        *ret_id = t->entry.id;
        t->entry.id = 0;
        return q;
}

static int make_tagged(struct tempfile *t, struct place *p, int dirfd, const struct recipe *r,
                       const char *prefix, const char *suffix, uint64_t *ret_backup)
{
        int q;

        for (unsigned int i = 0; i < ATTEMPTS; i++) {
                q = entry_make(p, &t->entry, prefix, suffix, r->deadline_usec);
                if (q < 0)
                        break;
                q = ret_backup ? back_up(t, p, r, ret_backup) : 0;
                if (q == 0)
                        q = create_by_recipe(t, dirfd, t->entry.name, r);
                if (q == 0) {
                        handle_set_name(t, t->entry.name);
                        return 0;
                }
                if (q != -EEXIST)
                        break;
        }
        take_back(t, p);
        return q;
}

static int make_reserved(struct tempfile *t, struct place *p, int dirfd, const struct recipe *r)
{
        char name[NAME_LEN_MAX + 1];
        int q;

        for (unsigned int i = 0; i < ATTEMPTS; i++) {
                q = draw_name(r, p->session, name);
                if (q < 0)
                        return q;
                q = handle_register(t, p, WIRE_RESERVE, name, r);
                if (q < 0)
                        return q;
                q = create_by_recipe(t, dirfd, name, r);
                if (q == 0) {
                        handle_set_name(t, name);
                        if (r->is_own)
                                entry_hold(p, &t->entry, name);
                        else
                                entry_settled(p, &t->entry);
                        return 0;
                }
                take_back(t, p);
                if (q != -EEXIST)
                        break;
        }
        return q;
}

/* Where the file system can't refuse to replace, a second link can; directories have none. */
static int move(struct tempfile *t, int dirfd, const char *from, const char *to)
{
        int r;

        if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS)
                return -errno;
        if (t->entry.kind == WIRE_KIND_DIRECTORY)
                return -EOPNOTSUPP;
        if (linkat(dirfd, from, dirfd, to, 0) < 0)
                return -errno;
        if (unlinkat(dirfd, from, 0) < 0) {
                r = -errno;
                t->is_left = !create_undo(dirfd, to, WIRE_KIND_FILE);
                return r;
        }
        return 0;
}

static int move_to_target(struct tempfile *t, struct place *p, int dirfd, const struct recipe *r)
{
        char name[NAME_LEN_MAX + 1];
        int q;

        for (unsigned int i = 0; i < ATTEMPTS; i++) {
                q = draw_name(r, p->session, name);
                if (q < 0)
                        return q;
                q = handle_register(t, p, WIRE_TARGET, name, r);
                if (q == -ENOENT)
                        return -ESTALE; /* the daemon was not told of it: its directory is not there */
                if (q < 0)
                        return q;
                q = move(t, dirfd, t->entry.name, name);
                if (q == 0) {
                        handle_set_name(t, name);
                        entry_rename(p, &t->entry, name);
                }
                if (q != -EEXIST)
                        break;
        }
        return q;
}

static int make_targeted(struct tempfile *t, struct place *p, int dirfd, const struct recipe *r)
{
        struct entry backup = { .session = p->session };
        int q;

        q = make_tagged(t, p, dirfd, r, MOVED_PREFIX, "", &backup.id);
        if (q == 0) {
                q = move_to_target(t, p, dirfd, r);
                if (q < 0) {
                        t->is_left |= !create_undo(dirfd, t->entry.name, t->entry.kind);
                        take_back(t, p);
                } else if (!r->is_own) {
                        entry_settled(p, &t->entry);
                }
        }
        if (backup.id != 0 && !t->is_left)
                entry_gone(p, &backup);
        return q;
}

/* ---- together --------------------------------------------------------------------------------- */

/* Without a daemon nobody would follow the move: then it is made where it is to be, at once. */
static int make_weak(struct tempfile *t, struct place *p, int dirfd, const struct recipe *r)
{
        int q = -ECONNREFUSED;

        if (!p->is_unknown)
                q = make_targeted(t, p, dirfd, r);
        if (r->is_best_effort && r->is_own && session_is_away(q) && !t->is_left) {
                t->entry.seq = 0;
                q = make_reserved(t, p, dirfd, r);
        }
        return q;
}

static int make(struct tempfile *t, struct place *p, int dirfd, const struct recipe *r)
{
        if (r->random_len != 0 && r->random_len < STRONG_RANDOM)
                return make_weak(t, p, dirfd, r);
        if (r->random_len != 0 || !r->is_own || r->retain_sec != 0 || p->is_unreadable)
                return make_reserved(t, p, dirfd, r);
        return make_tagged(t, p, dirfd, r, r->prefix, r->suffix, NULL);
}

static int make_in(const char *dir, const struct recipe *r, struct tempfile **ret)
{
        _cleanup_(handle_freep) struct tempfile *t = NULL;
        struct place *p;
        int q, dirfd;

        dirfd = place_get(dir, r->is_best_effort, r->deadline_usec, &p);
        if (dirfd < 0)
                return dirfd;
        q = handle_new(p, r, &t);
        if (q == 0)
                q = make(t, p, dirfd, r);
        place_put(p);
        if (q == 0)
                *ret = TAKE_PTR(t);
        else if (t && t->is_left)
                handle_leave(TAKE_PTR(t));
        return q;
}

int recipe_make(const struct recipe *r, struct tempfile **ret)
{
        _cleanup_(freep) char *found = NULL;
        const char *dir = r->dir;
        int q;

        if ((r->make || r->is_name_only) && r->random_len != 0 && r->random_len < STRONG_RANDOM)
                return -EINVAL; /* it would have to be moved to such a name */
        if (!dir) {
                q = tempfile_gettempdir(&found);
                if (q < 0)
                        return q;
                dir = found;
        }
        q = make_in(dir, r, ret);
        if (q == -EAGAIN) /* the tag is used up, or not known any more: another is drawn */
                q = make_in(dir, r, ret);
        return q == -EAGAIN ? -ESTALE : q;
}
