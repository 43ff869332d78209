/* SPDX-License-Identifier: MIT */

/*
 * The public face of making, closing and keeping. Checks what the caller hands over; the work is
 * done further down. Promises that a child never deletes what its parent made: every call compares
 * the process with the one that made the handle before it touches anything that both share.
 *
 * The subtle thing: what could not be deleted stays held after its handle is freed. A daemon
 * that was started anew takes what is not said again for gone.
 */

#include "libclient/libtempfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/deadline.h"
#include "libclient/dial.h"
#include "libclient/ending.h"
#include "libclient/handle.h"
#include "libclient/process.h"
#include "libclient/remover.h"
#include "libclient/target.h"
#include "libclient/util.h"
#include "libclient/wire.h"

static int make(const struct tempfile_options *options, uint8_t kind, struct tempfile **ret)
{
        struct recipe recipe;
        int r;

        if (!ret)
                return -EINVAL;
        r = recipe_read(options, kind, &recipe);
        if (r < 0)
                return r;
        return recipe_make(&recipe, ret);
}

static int make_otherwise(const struct tempfile_options *options, uint32_t kind,
                          tempfile_make_fn fn, void *userdata, struct tempfile **ret)
{
        struct recipe recipe;
        int r;

        if (!ret || kind < TEMPFILE_KIND_FILE || kind > TEMPFILE_KIND_OTHER)
                return -EINVAL;
        r = recipe_read(options, (uint8_t) kind, &recipe);
        if (r < 0)
                return r;
        recipe.make = fn;
        recipe.userdata = userdata;
        recipe.is_name_only = !fn;
        return recipe_make(&recipe, ret);
}

_public_ int tempfile_named(const struct tempfile_options *options, struct tempfile **ret)
{
        return make(options, WIRE_KIND_FILE, ret);
}

_public_ int tempfile_directory(const struct tempfile_options *options, struct tempfile **ret)
{
        return make(options, WIRE_KIND_DIRECTORY, ret);
}

_public_ int tempfile_make(const struct tempfile_options *options, uint32_t kind,
                           tempfile_make_fn fn, void *userdata, struct tempfile **ret)
{
        return fn ? make_otherwise(options, kind, fn, userdata, ret) : -EINVAL;
}

_public_ int tempfile_mktemp(const struct tempfile_options *options, uint32_t kind,
                             struct tempfile **ret)
{
        return make_otherwise(options, kind, NULL, NULL, ret);
}

/* ---- what it is ------------------------------------------------------------------------------- */

_public_ int tempfile_fd(const struct tempfile *t)
{
        return t ? t->fd : -EINVAL;
}

_public_ const char *tempfile_path(const struct tempfile *t)
{
        return t ? t->path : NULL;
}

_public_ int tempfile_is_guaranteed(struct tempfile *t)
{
        struct place *p;
        int r;

        if (!t)
                return -EINVAL;
        if (t->pid != process_id())
                return -EPERM;
        p = entry_place(&t->entry);
        if (!p)
                return t->entry.id != 0;
        r = place_is_known(p, deadline_in(t->timeout_usec));
        if (t->entry.seq == 0)
                r = entry_is_said(p, &t->entry);
        place_put(p);
        return r;
}

/* ---- closing ---------------------------------------------------------------------------------- */

/* Is what was tracked still what its name leads to? Not being able to tell is not a no. */
static int is_same(const struct tempfile *t, int dirfd)
{
        struct stat st;

        if (fstatat(dirfd, handle_name(t), &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return st.st_dev == t->dev && st.st_ino == t->ino;
}

static int delete_name(const struct tempfile *t, int dirfd)
{
        int64_t n;

        if (t->entry.kind == WIRE_KIND_DIRECTORY) {
                /* Most are empty by then. */
                if (unlinkat(dirfd, handle_name(t), AT_REMOVEDIR) == 0)
                        return 0;
                n = remover_remove(dirfd, handle_name(t), REMOVER_RECURSIVE | REMOVER_SERIAL, NULL,
                                   NULL);
                return n < 0 ? (int) n : 0;
        }
        if (unlinkat(dirfd, handle_name(t), 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

/* What the daemon knows by an id it may know by what it is: how that has ended is said, too. What has a
 * tag in its name needs none of that: a sweep finds it, should it come back. */
static int delete (const struct tempfile *t, int dirfd, enum ending *ret_ending,
                   char object[ENDING_TEXT_SIZE])
{
        _cleanup_(closep) int fd = -1;
        int r;

        *ret_ending = ENDING_UNKNOWN;
        r = t->is_tracked ? is_same(t, dirfd) : 1;
        if (r <= 0)
                return r;
        if (t->entry.id != 0)
                fd = ending_watch(dirfd, handle_name(t));
        r = delete_name(t, dirfd);
        if (r == 0)
                *ret_ending = ending_tell(fd, object);
        return r;
}

static void end_deleted(struct tempfile *t, struct place *p, enum ending ending, const char *object)
{
        if (ending == ENDING_COME && *object)
                entry_unlinked(p, &t->entry, object);
        else if (ending == ENDING_ELSEWHERE)
                entry_gone_elsewhere(p, &t->entry, deadline_in(t->timeout_usec));
        else
                entry_gone(p, &t->entry);
}

/* Has the directory been removed, or moved away? Whoever did it is the one who knows. */
static bool is_lost(int r)
{
        return r == -ENOENT || r == -ENOTDIR || r == -ESTALE;
}

/* What was in a lost directory counts as gone here; the daemon, which may know it still, will look. */
static int delete_from(struct tempfile *t, struct place *p, bool *ret_is_held)
{
        char object[ENDING_TEXT_SIZE];
        enum ending ending;
        int r, dirfd;

        r = entry_await(p, &t->entry, deadline_in(t->timeout_usec));
        *ret_is_held = r < 0;
        if (r < 0)
                return r;
        dirfd = place_dirfd(p);
        r = dirfd < 0 ? dirfd : delete (t, dirfd, &ending, object);
        *ret_is_held = r < 0;
        if (r == 0)
                end_deleted(t, p, ending, object);
        if (r == 0 && t->entry.kind == WIRE_KIND_DIRECTORY)
                entry_gone_below(p, t->path);
        return dirfd < 0 && is_lost(r) ? 0 : r;
}

static int end_held(struct tempfile *t, struct place *p, bool *ret_is_held)
{
        int r;

        if (t->entry.is_unsure) {
                *ret_is_held = true; /* perhaps another's: left to the daemon */
                return 0;
        }
        if (t->entry.is_shared) {
                entry_settled(p, &t->entry);
                return 0;
        }
        if (t->flags & TEMPFILE_NO_DELETE) {
                r = tempfile_keep(t);
                *ret_is_held = r < 0;
                return r;
        }
        r = delete_from(t, p, ret_is_held);
        return t->flags & TEMPFILE_IGNORE_CLEANUP_ERRORS ? 0 : r;
}

/* *ret_is_held: it is still there, and its entry must stay. */
static int end(struct tempfile *t, bool *ret_is_held)
{
        struct place *p;
        int r;

        *ret_is_held = false;
        p = entry_place(&t->entry);
        if (!p)
                return 0;
        r = end_held(t, p, ret_is_held);
        place_put(p);
        return r;
}

/* A child leaves its parent's lists as they were, and so what they lead to. */
static int leave_inherited(struct tempfile *t)
{
        handle_leave(t);
        return 0;
}

_public_ int tempfile_close(struct tempfile *t)
{
        bool is_held;
        int r;

        if (!t)
                return 0;
        if (t->pid != process_id())
                return leave_inherited(t);
        handle_close_fd(t);
        ownfd_close(&t->lock);
        r = end(t, &is_held);
        if (is_held)
                handle_leave(t);
        else
                handle_free(t);
        return r;
}

_public_ void tempfile_closep(struct tempfile **t)
{
        const int saved = errno;

        (void) tempfile_close(*t); /* what stays is the daemon's to delete */
        *t = NULL;
        errno = saved;
}

_public_ int tempfile_close_fd(struct tempfile *t)
{
        int r = 0;

        if (!t)
                return -EINVAL;
        if (t->pid == process_id())
                r = handle_flush(t);
        handle_close_fd(t);
        return r;
}

/* ---- letting go of the handle ----------------------------------------------------------------- */

static void free_loose(struct entry *e)
{
        handle_free((struct tempfile *) e); /* its first member */
}

_public_ int tempfile_release(struct tempfile *t)
{
        struct place *p;

        if (!t)
                return -EINVAL;
        if (t->pid != process_id())
                return leave_inherited(t);
        handle_close_fd(t);
        p = entry_place(&t->entry);
        if (!p) {
                handle_free(t);
                return 0;
        }
        if (t->entry.is_shared) {
                entry_settled(p, &t->entry);
                handle_free(t);
        } else {
                entry_loosen(p, &t->entry, free_loose);
        }
        place_put(p);
        return 0;
}

_public_ int tempfile_find(const char *path, struct tempfile **ret)
{
        _cleanup_(target_done) struct target g = { .dir = OWNFD_NONE };
        struct session *s;
        struct entry *e;
        int r;

        if (!path || !ret)
                return -EINVAL;
        r = target_read(path, &g);
        if (r == 0)
                r = place_session(&s);
        if (r < 0)
                return r;
        e = entry_find_loose(s, g.dir_path, g.name);
        if (!e)
                return -ENOENT;
        *ret = (struct tempfile *) e; /* its first member */
        return 0;
}

/* ---- keeping ---------------------------------------------------------------------------------- */

_public_ int tempfile_keep(struct tempfile *t)
{
        struct place *p;
        uint64_t deadline_usec;
        int r = 0;

        if (!t)
                return -EINVAL;
        if (t->pid != process_id())
                return -EPERM;
        p = entry_place(&t->entry);
        if (!p)
                return -EINVAL;

        deadline_usec = deadline_in(t->timeout_usec);
        if (t->entry.kind == WIRE_KIND_DIRECTORY)
                r = entry_keep_below(p, t->path, deadline_usec);
        if (r == 0)
                r = entry_keep(p, &t->entry, deadline_usec);
        if (r == 0)
                ownfd_close(&t->lock);
        place_put(p);
        return r;
}

/* ---- where the daemon is ---------------------------------------------------------------------- */

_public_ int tempfile_socket_paths(char **ret)
{
        _cleanup_(freep) char *text = NULL;
        char *buf = NULL;
        size_t size;
        FILE *f;
        int len;

        if (!ret)
                return -EINVAL;
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        for (unsigned int i = 0; (len = dial_candidate(NULL, i, NULL, 0)) >= 0; i++) {
                buf = malloc((size_t) len + 1);
                if (!buf)
                        break;
                (void) dial_candidate(NULL, i, buf, (size_t) len + 1);
                (void) fprintf(f, "%s%s", i > 0 ? ", " : "", buf);
                free(buf);
        }
        if (fclose(f) != 0 || len >= 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}
