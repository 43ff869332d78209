/* SPDX-License-Identifier: MIT */

/*
 * Deletion beneath a directory descriptor, without recursion.
 *
 * A walk goes down a chain of levels, one for each directory that it is inside of. A level is read
 * in batches; names that are not directories are removed at once, directories are remembered and
 * entered one by one; at its end the directory itself is removed. Only the lowest WINDOW levels
 * keep a descriptor. One above is found again through ".." and must then be the very directory
 * that was left (device, inode, mount); else all below the next ancestor still open is given up.
 * So a walk stays within the tree even while others move parts of it away.
 *
 * In a large tree a helper thread makes a second walk of the same tree, from the other end of
 * every list, until the two meet. They share nothing but the file system: what the other one has
 * removed is missing, and missing is success. The main walk alone decides when the tree is done
 * and what has failed; the helper only makes it shorter, and may give up at any point.
 *
 * The subtle thing: what was read is only a hint. Whether a directory is empty is known when it
 * can be removed; a name that has changed its type, was added or was passed over is found in
 * another round.
 */

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/beneath.h"
#include "libclient/name.h"
#include "libclient/remover.h"
#include "libclient/util.h"

#define READ_SIZE 65536U
#define READ_SIZE_SHORT 4096U /* once the levels above hold a full batch of names */
#define BATCH_NAMES 32768U    /* held at once, in one level */
#define SORT_NAMES 1000U      /* in fewer, the order of inodes gains nothing */
#define HELPER_NAMES 1000U    /* seen before a helper pays */
#define HELPER_STACK 262144U
#define MISSING_NAMES 64U      /* in a row: the other walk has been here */
#define WINDOW 16U             /* descriptors of one walk */
#define ROUNDS_MAX 8U          /* of one directory */
#define ROUNDS_MAX_TOTAL 1024U /* further ones, of all directories together */

struct name {
        uint64_t inode;
        char *text;
};

struct list {
        struct name *names;
        size_t n_allocated;
        size_t begin;
        size_t end;
};

struct level {
        struct level *parent; /* NULL: the caller's directory, which is not ours to change */
        char *name;
        int fd;         /* -1: shut, found again through ".." */
        off_t position; /* of a shut one: where to read on */
        struct beneath_id id;
        struct list dirs;
        size_t n_left; /* names that can't be removed, in this round */
        unsigned int n_rounds;
        bool is_read; /* to its end, in this round */
};

struct walk {
        struct removal *removal;
        struct level base; /* the caller's directory */
        struct level *top; /* where it is */
        struct list files; /* of top */
        char *buffer;
        size_t n_open;
        size_t n_pending; /* directories that its levels remember */
        size_t n_seen;
        size_t n_missing; /* names in a row */
        unsigned int n_rounds;
        int64_t n_removed;
        bool is_changed; /* what was to be removed is no directory any more */
        atomic_bool is_over;
};

struct removal {
        const char *name;
        unsigned int flags;
        const struct remover_options *options;
        struct remover_failure *failure; /* of the main walk */
        struct beneath_id origin;
        struct walk main;
        struct walk helper;
        pthread_t thread;
        bool has_thread;
        bool is_alone; /* no helper, or none any more */
};

static bool walk_is_main(const struct walk *w)
{
        return w == &w->removal->main;
}

/* Lists of names */

static int list_add(struct list *list, const char *text, uint64_t inode)
{
        struct name name = { .inode = inode };

        if (list->end == list->n_allocated) {
                size_t n = MAX(2 * list->n_allocated, (size_t) 8);
                struct name *names = reallocarray(list->names, n, sizeof(*names));

                if (!names)
                        return -ENOMEM;
                list->names = names;
                list->n_allocated = n;
        }
        name.text = strdup(text);
        if (!name.text)
                return -ENOMEM;
        list->names[list->end++] = name;
        return 0;
}

static size_t list_length(const struct list *list)
{
        return list->end - list->begin;
}

static void list_clear(struct list *list)
{
        while (list->begin < list->end)
                free(list->names[list->begin++].text);
        free(list->names);
        *list = (struct list) { 0 };
}

/* The main walk takes names at one end, the helper at the other. The caller frees them. */
static char *list_take(struct list *list, const struct walk *w)
{
        char *name;

        if (list_length(list) == 0)
                return NULL;
        name = list->names[walk_is_main(w) ? list->begin++ : --list->end].text;
        if (list_length(list) == 0)
                list_clear(list);
        return name;
}

static int compare_inodes(const void *a, const void *b)
{
        const struct name *x = a, *y = b;

        return (x->inode > y->inode) - (x->inode < y->inode);
}

static void list_sort(struct list *list)
{
        if (list_length(list) > SORT_NAMES)
                qsort(list->names + list->begin, list_length(list), sizeof(*list->names),
                      compare_inodes);
}

/* Failures */

static size_t path_prepend(char *path, size_t at, const char *part)
{
        size_t len = strlen(part);

        memcpy(path + at - len, part, len);
        return at - len;
}

static void path_format(char *path, size_t size, const struct level *level, const char *name)
{
        size_t at = size - 1;

        path[at] = '\0';
        at = path_prepend(path, at, name);
        for (; level->parent; level = level->parent) {
                if (at < strlen(level->name) + strlen("/.../")) {
                        at = path_prepend(path, at, ".../");
                        break;
                }
                at = path_prepend(path, at, "/");
                at = path_prepend(path, at, level->name);
        }
        memmove(path, path + at, size - at);
}

static void walk_report(struct walk *w, const struct level *level, const char *name, int error)
{
        struct remover_failure *failure = w->removal->failure;

        if (!walk_is_main(w) || failure->error < 0)
                return;
        failure->error = error;
        path_format(failure->path, sizeof(failure->path), level, name);
}

static void walk_fail(struct walk *w, struct level *level, const char *name, int error)
{
        walk_report(w, level, name, error);
        level->n_left++;
}

/* Levels */

/* Gives the owner the right to change it. The caller's directory is not ours to change. */
static void level_permit(const struct level *level)
{
        if (level->parent)
                (void) beneath_permit(level->fd); /* the retry tells */
}

/* Removes one name. Returns 0 also when it is missing. */
static int remove_name(struct walk *w, const struct level *level, const char *name, int flags)
{
        int r;

        r = unlinkat(level->fd, name, flags) < 0 ? -errno : 0;
        if (r == -EACCES) {
                level_permit(level);
                r = unlinkat(level->fd, name, flags) < 0 ? -errno : 0;
        }
        w->n_removed += r == 0;
        w->n_missing = r == -ENOENT ? w->n_missing + 1 : 0;
        if (r == -ENOENT)
                return 0;
        return r == -EEXIST ? -ENOTEMPTY : r;
}

static bool level_is_kept(const struct walk *w, const struct level *parent)
{
        return !parent->parent && (w->removal->flags & REMOVER_CONTENTS);
}

/* Saves a descriptor: shuts the level furthest up that is still open. */
static bool walk_spare(struct walk *w)
{
        struct level *level, *oldest = NULL;

        for (level = w->top; level != &w->base && level->fd >= 0; level = level->parent)
                if (level != w->top)
                        oldest = level;
        if (!oldest)
                return false;
        oldest->position = lseek(oldest->fd, 0, SEEK_CUR);
        oldest->fd = close_fd(oldest->fd);
        w->n_open--;
        return true;
}

/* Returns whether there was one. */
static bool helper_stop(struct removal *removal)
{
        removal->is_alone = true;
        if (!removal->has_thread)
                return false;
        removal->helper.is_over = true;
        (void) pthread_join(removal->thread, NULL);
        removal->has_thread = false;
        return true;
}

/* Out of descriptors: shuts a level; else the main walk does without the helper. */
static bool walk_economize(struct walk *w)
{
        if (walk_spare(w))
                return true;
        if (!walk_is_main(w))
                w->is_over = true;
        return walk_is_main(w) && helper_stop(w->removal);
}

/* Opens a directory to be read, whatever it takes. Only what ".." leads to is never changed: it may
 * lie outside by now. */
static int walk_open(struct walk *w, const struct level *level, const char *name,
                     struct beneath_id *ret)
{
        const struct beneath_id *origin = &w->removal->origin;
        bool is_permitted = false;
        int r;

        for (;;) {
                r = beneath_open(level->fd, name, O_RDONLY | O_NONBLOCK, origin, ret);
                if (r == -EACCES && !is_permitted) {
                        level_permit(level);
                        r = streq(name, "..") ? 0 : beneath_permit_at(level->fd, name, origin);
                        is_permitted = r >= 0;
                        if (is_permitted)
                                continue;
                }
                if ((r != -EMFILE && r != -ENFILE) || !walk_economize(w))
                        return r;
        }
}

/* Goes down. The name is the level's from then on. */
static int walk_push(struct walk *w, struct level *parent, char *name)
{
        _cleanup_(closep) int fd = -1;
        struct beneath_id id;
        struct level *level;

        fd = walk_open(w, parent, name, &id);
        if (fd < 0)
                return fd;
        level = malloc(sizeof(*level));
        if (!level)
                return -ENOMEM;
        *level = (struct level) { .parent = parent, .name = name, .fd = TAKE_FD(fd), .id = id };
        w->top = level;
        if (++w->n_open > WINDOW)
                (void) walk_spare(w);
        return 0;
}

static void walk_pop(struct walk *w)
{
        struct level *level = w->top;

        w->top = level->parent;
        w->n_open -= level->fd >= 0;
        w->n_pending -= list_length(&level->dirs);
        (void) close_fd(level->fd);
        list_clear(&level->dirs);
        free(level->name);
        free(level);
}

/* A name was of another type than before. The next round sees it, and at the top the caller. */
static void walk_notice_change(struct walk *w, const struct level *parent)
{
        if (!parent->parent)
                w->is_changed = true;
}

static void walk_enter(struct walk *w, struct level *parent, char *taken)
{
        _cleanup_(freep) char *name = taken;
        int r;

        r = walk_push(w, parent, name);
        w->n_missing = r == -ENOENT ? w->n_missing + 1 : 0;
        if (r == 0)
                TAKE_PTR(name);
        else if (r == -ENOTDIR)
                walk_notice_change(w, parent);
        else if (r == -ENOENT || w->is_over) /* the latter: a helper without descriptors */
                return;
        /* An empty directory of somebody else may be removed unseen. */
        else if (r == -EXDEV || level_is_kept(w, parent) ||
                 remove_name(w, parent, name, AT_REMOVEDIR) < 0)
                walk_fail(w, parent, name, r);
}

static void walk_remove_file(struct walk *w, struct level *level, char *taken)
{
        _cleanup_(freep) char *name = taken;
        int r;

        r = remove_name(w, level, name, 0);
        if (r == -EISDIR)
                walk_notice_change(w, level);
        else if (r < 0)
                walk_fail(w, level, name, r);
}

static bool is_directory(int dirfd, const struct dirent64 *entry)
{
        struct stat st;

        if (entry->d_type != DT_UNKNOWN)
                return entry->d_type == DT_DIR;
        return fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Returns the number of bytes read, 0 at the end. */
static int level_read_some(struct walk *w, struct level *level, size_t size)
{
        ssize_t n, at;

        n = getdents64(level->fd, w->buffer, size);
        if (n < 0)
                return -errno;
        for (at = 0; at < n;) {
                const struct dirent64 *entry = (const void *) (w->buffer + at);
                struct list *list;

                at += entry->d_reclen;
                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                list = is_directory(level->fd, entry) ? &level->dirs : &w->files;
                if (list_add(list, entry->d_name, entry->d_ino) < 0)
                        return -ENOMEM;
        }
        return (int) n;
}

static void helper_start(struct removal *removal);

static void level_read(struct walk *w, struct level *level)
{
        size_t size = w->n_pending < BATCH_NAMES ? READ_SIZE : READ_SIZE_SHORT;
        size_t n;
        int r;

        do {
                r = level_read_some(w, level, size);
                n = list_length(&level->dirs) + list_length(&w->files);
        } while (r > 0 && size == READ_SIZE && n < BATCH_NAMES);

        level->is_read = r <= 0;
        if (r < 0 && r != -ENOENT) {          /* ENOENT: it has been removed */
                level->n_left = SIZE_MAX / 2; /* nobody knows: no further round */
                walk_report(w, level->parent, level->name, r);
        }
        list_sort(&level->dirs);
        list_sort(&w->files);
        w->n_pending += list_length(&level->dirs);
        w->n_seen += n;
        if (w->n_seen > HELPER_NAMES && !w->removal->is_alone && walk_is_main(w))
                helper_start(w->removal);
}

/* Are there more than @n names in it? */
static bool level_has_more(struct walk *w, struct level *level, size_t n)
{
        size_t found = 0;
        int r;

        if (lseek(level->fd, 0, SEEK_SET) < 0)
                return false;
        do {
                r = level_read_some(w, level, READ_SIZE);
                found += list_length(&level->dirs) + list_length(&w->files);
                list_clear(&level->dirs);
                list_clear(&w->files);
        } while (r > 0 && found <= n);
        return found > n;
}

/* Is a directory that is not empty worth another round? Only when it holds more than what could
 * not be removed, so that whatever is stuck in there is not tried again and again. */
static bool level_rewind(struct walk *w, struct level *level)
{
        if (level->n_left > 0 && !level_has_more(w, level, level->n_left))
                return false;
        if (++level->n_rounds >= ROUNDS_MAX || ++w->n_rounds >= ROUNDS_MAX_TOTAL)
                return false;
        if (lseek(level->fd, 0, SEEK_SET) < 0)
                return false;
        level->is_read = false;
        level->n_left = 0;
        return true;
}

/* Opens the parent again if it was shut. */
static int level_reach_parent(struct walk *w, const struct level *level)
{
        struct level *parent = level->parent;
        _cleanup_(closep) int fd = -1;
        struct beneath_id id;

        if (parent->fd != -1)
                return 0;
        fd = walk_open(w, level, "..", &id);
        if (fd < 0)
                return fd;
        if (!beneath_is_same(&id, &parent->id))
                return -ESTALE;
        if (lseek(fd, parent->position, SEEK_SET) < 0) /* removed; else a round finds the rest */
                parent->is_read = true;
        parent->fd = TAKE_FD(fd);
        w->n_open++;
        return 0;
}

/* The way back up is not there: goes on at the next ancestor that needs no way. */
static void walk_lose(struct walk *w, int error)
{
        walk_report(w, w->top->parent, w->top->name, error);
        do
                walk_pop(w);
        while (w->top->fd == -1);
        w->top->n_left++;
}

static void level_leave(struct walk *w, struct level *level)
{
        int r;

        r = level_reach_parent(w, level);
        if (r < 0) {
                walk_lose(w, r);
                return;
        }
        if (level_is_kept(w, level->parent))
                r = level_has_more(w, level, 0) ? -ENOTEMPTY : 0;
        else
                r = remove_name(w, level->parent, level->name, AT_REMOVEDIR);
        if (r == -ENOTEMPTY && level_rewind(w, level))
                return;
        if (r == -ENOTEMPTY && level->n_left > 0)
                level->parent->n_left++; /* not a failure of its own */
        else if (r == -ENOTDIR)
                walk_notice_change(w, level->parent);
        else if (r < 0)
                walk_fail(w, level->parent, level->name, r);
        walk_pop(w);
}

/* Walks */

static int walk_init(struct walk *w, struct removal *removal, int dirfd)
{
        w->removal = removal;
        w->base.fd = dirfd;
        w->top = &w->base;
        w->is_over = false;
        w->buffer = malloc(READ_SIZE);
        return w->buffer ? 0 : -ENOMEM;
}

static void walk_done(struct walk *w)
{
        while (w->top != &w->base)
                walk_pop(w);
        list_clear(&w->files);
        free(w->buffer);
        w->is_over = true;
}

/* Where the two walks have met, the rest of the lists is gone too, or soon will be. */
static void walk_skip_missing(struct walk *w)
{
        if (w->n_missing < MISSING_NAMES || w->removal->helper.is_over)
                return;
        w->n_missing = 0;
        w->n_pending -= list_length(&w->top->dirs);
        list_clear(&w->top->dirs);
        list_clear(&w->files);
}

static void walk_step(struct walk *w)
{
        struct level *level = w->top;
        char *name;

        walk_skip_missing(w);
        if ((name = list_take(&w->files, w)))
                walk_remove_file(w, level, name);
        else if ((name = list_take(&level->dirs, w))) {
                w->n_pending--;
                walk_enter(w, level, name);
        } else if (!level->is_read)
                level_read(w, level);
        else
                level_leave(w, level);
}

static int walk_run(struct walk *w)
{
        int r;

        r = list_add(&w->base.dirs, w->removal->name, 0);
        if (r < 0)
                return r;
        walk_enter(w, &w->base, list_take(&w->base.dirs, w));
        while (w->top != &w->base && !w->is_over)
                walk_step(w);
        return w->is_changed ? -ENOTDIR : 0;
}

static void *helper_main(void *userdata)
{
        struct removal *removal = userdata;
        const struct remover_options *options = removal->options;
        int r = 0;

        if (options && options->thread_start)
                r = options->thread_start(options->userdata);
        if (r >= 0)
                (void) walk_run(&removal->helper);
        walk_done(&removal->helper);
        return NULL;
}

/* One attempt. The program's signals are none of the helper's business. */
static void helper_start(struct removal *removal)
{
        sigset_t all, saved;
        pthread_attr_t attr;
        int r;

        removal->is_alone = true;
        r = walk_init(&removal->helper, removal, removal->main.base.fd);
        if (r >= 0) {
                (void) pthread_attr_init(&attr); /* neither fails with the C library of GNU */
                (void) pthread_attr_setstacksize(&attr, HELPER_STACK);
                (void) sigfillset(&all);
                (void) pthread_sigmask(SIG_SETMASK, &all, &saved);
                r = -pthread_create(&removal->thread, &attr, helper_main, removal);
                (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);
                (void) pthread_attr_destroy(&attr);
        }
        removal->has_thread = r >= 0;
        if (r < 0)
                walk_done(&removal->helper);
}

static bool is_single_processor(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1;
}

/* Removes a directory with its contents. -ENOTDIR: it is none any more. */
static int64_t remove_tree(int dirfd, const char *name, unsigned int flags,
                           const struct remover_options *options, struct remover_failure *failure)
{
        struct removal removal = {
                .name = name,
                .flags = flags,
                .options = options,
                .failure = failure,
                .is_alone = flags & REMOVER_SERIAL || is_single_processor(),
                .helper.is_over = true, /* it has not begun */
        };
        int r;

        r = beneath_identify(dirfd, &removal.origin);
        if (r < 0)
                return r;
        r = walk_init(&removal.main, &removal, dirfd);
        if (r >= 0)
                r = walk_run(&removal.main);
        (void) helper_stop(&removal);
        walk_done(&removal.main);
        if (failure->error < 0)
                return failure->error;
        return r < 0 ? r : removal.main.n_removed + removal.helper.n_removed;
}

static int64_t remove_single(int dirfd, const char *name, int flags)
{
        int r = unlinkat(dirfd, name, flags) < 0 ? -errno : 1;

        return r == -ENOENT ? 0 : r == -EEXIST ? -ENOTEMPTY : r;
}

/* A name can change between file and directory while we look: tried again, but not for ever. A
 * directory that may not be removed itself is emptied nevertheless. */
static int64_t remove_any(int dirfd, const char *name, unsigned int flags,
                          const struct remover_options *options, struct remover_failure *failure)
{
        int64_t as_file = -EISDIR, r;

        for (unsigned int i = 0; i < ROUNDS_MAX; i++) {
                if (!(flags & REMOVER_CONTENTS))
                        as_file = remove_single(dirfd, name, 0);
                if (as_file != -EISDIR && as_file != -EACCES && as_file != -EPERM)
                        return as_file;
                if (flags & REMOVER_RECURSIVE)
                        r = remove_tree(dirfd, name, flags, options, failure);
                else
                        r = remove_single(dirfd, name, AT_REMOVEDIR);
                if (r != -ENOTDIR || (flags & REMOVER_CONTENTS))
                        return r;
                if (as_file != -EISDIR)
                        return as_file;
        }
        return -EBUSY;
}

int64_t remover_remove(int dirfd, const char *name, unsigned int flags,
                       const struct remover_options *options, struct remover_failure *ret_failure)
{
        const unsigned int known = REMOVER_RECURSIVE | REMOVER_CONTENTS | REMOVER_SERIAL;
        struct remover_failure failure = { 0 };
        int64_t r = -EINVAL;

        if (name && name_is_component(name, strlen(name)) && !(flags & ~known) &&
            (!(flags & REMOVER_CONTENTS) || (flags & REMOVER_RECURSIVE)))
                r = remove_any(dirfd, name, flags, options, &failure);
        if (r < 0 && failure.error == 0) {
                failure.error = (int) r;
                (void) snprintf(failure.path, sizeof(failure.path), "%s", name ? name : "");
        }
        if (ret_failure)
                *ret_failure = failure;
        return r;
}
