/* SPDX-License-Identifier: MIT */

/*
 * Deletion beneath a directory descriptor, without recursion.
 *
 * A walk goes down a chain of levels, one for each directory that it is inside of. A level is read
 * in batches; the names that are not directories are removed at once, the directories remembered
 * and entered one by one; at its end the directory itself is removed. Only the lowest WINDOW levels
 * keep a descriptor. A level above is found again through ".." and must then be the very directory
 * that was left (device, inode, mount), or everything below the next ancestor still open is given
 * up: so the walk stays within the tree even while others move parts of it away.
 *
 * In a large tree a helper takes from the other end of the main walk's lists: whole directories
 * from the level nearest to the top, else some names of the current batch. A level whose names are
 * lent out is not left before they are back, so the helper may look at it and at all above it. When
 * the main walk has nothing else to do, the helper hands a directory back unfinished and goes on
 * taking parts of it.
 *
 * The subtle thing: what is read is only a hint. Whether a directory is empty is known when it can
 * be removed; a name that has changed its type, was added or overlooked is found in another round.
 */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "libclient/name.h"
#include "libclient/remover.h"
#include "libclient/util.h"

#define READ_SIZE ((size_t) 64 * 1024)
#define READ_SIZE_SHORT ((size_t) 4 * 1024) /* once the levels above hold a full batch of names */
#define BATCH_NAMES 32768U                  /* held at once, in one level */
#define SORT_NAMES 1000U                    /* in fewer, the order of inodes gains nothing */
#define HELPER_NAMES 1000U                  /* seen before a helper pays */
#define HELPER_STEPS 500U                   /* a helper does at least that much before it hands back */
#define HELPER_STACK ((size_t) 256 * 1024)
#define CHUNK_NAMES 32U                     /* removed between two looks at the lock */
#define WINDOW 16U                          /* descriptors of one walk */
#define ROUNDS_MAX 8U                       /* of one directory */
#define ROUNDS_MAX_TOTAL 1024U              /* further ones, of all directories together */
#define LEFT_UNKNOWN (SIZE_MAX / 2)

struct identity {
        uint64_t device;
        uint64_t inode;
        uint64_t mount; /* 0: this kernel does not say */
};

struct item {
        uint64_t inode;
        size_t at; /* in the list's text */
};

/* Names. Those from next to end are to be removed; the main walk takes at next, the helper at end. */
struct list {
        struct item *items;
        size_t n_items;
        size_t n_allocated;
        char *text;
        size_t text_size;
        size_t text_allocated;
        size_t next;
        size_t end;
};

struct level {
        struct level *parent; /* NULL: the caller's directory, which is not ours to change */
        int fd;               /* -1: shut, found again through ".." */
        off_t position;       /* of a shut one: where to read on */
        bool is_unwanted;     /* to be shut when the helper is done with it */
        bool is_read;         /* to its end, in this round */
        unsigned int n_rounds;
        size_t n_left; /* names that can't be removed, in this round */
        struct identity identity;
        struct list dirs;
        char name[];
};

struct walk {
        struct removal *removal;
        struct level *base; /* where it started: not its own */
        struct level *top;  /* where it is */
        struct list files;  /* of top */
        char *buffer;
        size_t n_open;
        size_t n_pending; /* directories that its levels remember */
        size_t n_seen;
        size_t n_steps;
        int64_t n_removed;
        bool is_starved; /* a helper that found no descriptor */
};

/* What the two walks share. The lock guards it, and of the main walk what the helper looks at: top,
 * and of each list next and end, and of each level fd and is_unwanted. */
struct removal {
        pthread_mutex_t lock;
        pthread_cond_t work;
        pthread_cond_t done;
        unsigned int flags;
        const struct remover_options *options;
        struct remover_failure *failure;
        struct identity origin;
        atomic_uint n_rounds;
        struct walk main;
        struct walk helper;
        pthread_t thread;
        bool has_thread;
        bool is_alone; /* no helper, or no more */
        bool is_idle;
        struct level *lent; /* where the helper is at work */
        bool lent_files;    /* on main.files, not on a directory */
        atomic_bool is_wanted;
        atomic_bool is_over;
};

enum task_kind { TASK_FILES, TASK_DIRECTORY, TASK_READ, TASK_LEAVE };

struct task {
        enum task_kind kind;
        struct level *level;
        struct list *list;
        size_t first;
        size_t n;
};

/* Lists */

static bool list_is_empty(const struct list *list)
{
        return list->next >= list->end;
}

static void list_clear(struct list *list)
{
        list->n_items = 0;
        list->text_size = 0;
        list->next = 0;
        list->end = 0;
}

static void list_done(struct list *list)
{
        free(list->items);
        free(list->text);
        *list = (struct list) { 0 };
}

static int list_reserve(void **array, size_t *n_allocated, size_t n, size_t size)
{
        size_t wanted = MAX(*n_allocated, (size_t) 16);
        void *p;

        if (n <= *n_allocated)
                return 0;
        while (wanted < n)
                wanted *= 2;
        p = realloc(*array, wanted * size);
        if (!p)
                return -ENOMEM;
        *array = p;
        *n_allocated = wanted;
        return 0;
}

static int list_add(struct list *list, const char *name, uint64_t inode)
{
        size_t size = strlen(name) + 1;

        if (list_reserve((void **) &list->items, &list->n_allocated, list->n_items + 1,
                         sizeof(*list->items)) < 0 ||
            list_reserve((void **) &list->text, &list->text_allocated, list->text_size + size, 1) < 0)
                return -ENOMEM;
        memcpy(list->text + list->text_size, name, size);
        list->items[list->n_items++] = (struct item) { .inode = inode, .at = list->text_size };
        list->text_size += size;
        return 0;
}

static int compare_items(const void *a, const void *b)
{
        const struct item *x = a, *y = b;

        return (x->inode > y->inode) - (x->inode < y->inode);
}

static void list_sort(struct list *list)
{
        if (list->n_items > SORT_NAMES)
                qsort(list->items, list->n_items, sizeof(*list->items), compare_items);
}

static const char *list_name(const struct list *list, size_t i)
{
        return list->text + list->items[i].at;
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
        size_t at = path_prepend(path, size - 1, name);

        path[size - 1] = '\0';
        for (; level->parent; level = level->parent) {
                if (at < strlen(level->name) + 1 + strlen("...")) {
                        at = path_prepend(path, at, "...");
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

        pthread_mutex_lock(&w->removal->lock);
        if (failure->error == 0) {
                failure->error = error;
                path_format(failure->path, sizeof(failure->path), level, name);
        }
        pthread_mutex_unlock(&w->removal->lock);
}

/* One more name stays in this directory. The helper says so of a level of the main walk, too. */
static void walk_leave_behind(struct walk *w, struct level *level)
{
        pthread_mutex_lock(&w->removal->lock);
        level->n_left++;
        pthread_mutex_unlock(&w->removal->lock);
}

static void walk_fail(struct walk *w, struct level *level, const char *name, int error)
{
        walk_report(w, level, name, error);
        walk_leave_behind(w, level);
}

/* Directories */

/* Opens a directory that is beneath @dirfd or ".." of it and on the same mount. A kernel or a
 * sandbox without openat2() lets a mount point through: the identity tells then. */
static int open_beneath(int dirfd, const char *name, int flags)
{
        struct open_how how = {
                .flags = (uint64_t) (flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
        };
        int fd;

        fd = (int) syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
                fd = openat(dirfd, name, (int) how.flags);
        return fd < 0 ? -errno : fd;
}

static int identify(int fd, struct identity *ret)
{
        struct statx sx;

        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_MNT_ID, &sx) < 0)
                return -errno;
        *ret = (struct identity) {
                .device = (uint64_t) sx.stx_dev_major << 32 | sx.stx_dev_minor,
                .inode = sx.stx_ino,
                .mount = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : 0,
        };
        return 0;
}

static bool is_same_mount(const struct identity *a, const struct identity *b)
{
        return a->mount == b->mount && (a->mount != 0 || a->device == b->device);
}

static bool is_same_directory(const struct identity *a, const struct identity *b)
{
        return is_same_mount(a, b) && a->device == b->device && a->inode == b->inode;
}

/* Gives the owner of an opened directory the right to change it. */
static void permit_opened(const struct level *level)
{
        struct stat st;

        if (level->parent && fstat(level->fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
                (void) fchmod(level->fd, (st.st_mode & 07777) | S_IRWXU); /* the retry tells */
}

/* The same for one that can't be opened. Only /proc lets a descriptor that can't read change the
 * mode, before Linux 6.6; it names the very directory that was looked at. */
static int permit_named(struct walk *w, int dirfd, const char *name)
{
        _cleanup_(closep) int fd = -1;
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct identity identity;
        struct stat st;
        int r;

        fd = open_beneath(dirfd, name, O_PATH);
        if (fd < 0)
                return fd;
        r = identify(fd, &identity);
        if (r < 0)
                return r;
        if (!is_same_mount(&identity, &w->removal->origin))
                return -EXDEV;
        if (fstat(fd, &st) < 0)
                return -errno;
        if ((st.st_mode & S_IRWXU) == S_IRWXU)
                return -EACCES;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return chmod(path, (st.st_mode & 07777) | S_IRWXU) < 0 ? -EACCES : 0;
}

/* Removes one name. Returns 0 also when it is missing. */
static int remove_name(struct walk *w, struct level *level, const char *name, int flags)
{
        int r;

        w->n_steps++;
        r = unlinkat(level->fd, name, flags) < 0 ? -errno : 0;
        if (r == -EACCES) {
                permit_opened(level);
                r = unlinkat(level->fd, name, flags) < 0 ? -errno : 0;
        }
        if (r == -ENOENT)
                return 0;
        if (r == 0)
                w->n_removed++;
        return r == -EEXIST ? -ENOTEMPTY : r;
}

static void remove_files(struct walk *w, const struct task *task)
{
        for (size_t i = task->first; i < task->first + task->n; i++) {
                const char *name = list_name(task->list, i);
                int r = remove_name(w, task->level, name, 0);

                if (r < 0 && r != -EISDIR) /* a directory by now: the next round sees it */
                        walk_fail(w, task->level, name, r);
        }
}

/* Levels */

static bool level_is_kept(const struct walk *w, const struct level *parent)
{
        return !parent->parent && (w->removal->flags & REMOVER_CONTENTS);
}

static void level_shut(struct level *level)
{
        level->position = lseek(level->fd, 0, SEEK_CUR);
        level->fd = close_fd(level->fd);
        level->is_unwanted = false;
}

/* Saves a descriptor: shuts the level furthest up that is still open. */
static bool walk_spare(struct walk *w)
{
        struct removal *removal = w->removal;
        struct level *oldest = NULL, *level;

        pthread_mutex_lock(&removal->lock);
        for (level = w->top; level != w->base; level = level->parent) {
                if (level->fd < 0 || level->is_unwanted)
                        break;
                if (level != w->top)
                        oldest = level;
        }
        if (oldest) {
                w->n_open--;
                if (oldest == removal->lent)
                        oldest->is_unwanted = true;
                else
                        level_shut(oldest);
        }
        pthread_mutex_unlock(&removal->lock);
        return oldest;
}

static void walk_push(struct walk *w, struct level *level)
{
        pthread_mutex_lock(&w->removal->lock);
        w->top = level;
        pthread_mutex_unlock(&w->removal->lock);
        if (++w->n_open > WINDOW)
                (void) walk_spare(w);
}

static void walk_pop(struct walk *w)
{
        struct level *level = w->top;

        pthread_mutex_lock(&w->removal->lock);
        w->top = level->parent;
        pthread_mutex_unlock(&w->removal->lock);
        if (level->fd >= 0)
                w->n_open--;
        w->n_pending -= level->dirs.n_items;
        (void) close_fd(level->fd);
        list_done(&level->dirs);
        free(level);
}

/* Leaves levels without having finished them. The files at hand are those of the lowest. */
static void walk_unwind(struct walk *w, const struct level *target)
{
        list_clear(&w->files);
        while (w->top != target)
                walk_pop(w);
}

static void helper_stop(struct removal *removal)
{
        if (!removal->has_thread)
                return;
        pthread_mutex_lock(&removal->lock);
        removal->is_over = true;
        removal->is_alone = true;
        pthread_cond_signal(&removal->work);
        pthread_mutex_unlock(&removal->lock);
        pthread_join(removal->thread, NULL);
        removal->has_thread = false;
}

/* Out of descriptors: shuts a level, else does without the helper, else is it. */
static bool walk_economize(struct walk *w)
{
        if (walk_spare(w))
                return true;
        if (w == &w->removal->helper) {
                w->is_starved = true;
                return false;
        }
        if (!w->removal->has_thread)
                return false;
        helper_stop(w->removal);
        return true;
}

static int walk_open(struct walk *w, const struct level *parent, const char *name)
{
        bool is_permitted = false;
        int r;

        for (;;) {
                r = open_beneath(parent->fd, name, O_RDONLY | O_NONBLOCK);
                if (r == -EACCES && !is_permitted) {
                        r = permit_named(w, parent->fd, name);
                        is_permitted = r >= 0;
                        if (is_permitted)
                                continue;
                }
                if ((r == -EMFILE || r == -ENFILE) && walk_economize(w))
                        continue;
                return r;
        }
}

static int level_new(struct walk *w, struct level *parent, const char *name, struct level **ret)
{
        _cleanup_(closep) int fd = -1;
        size_t size = strlen(name) + 1;
        struct identity identity;
        struct level *level;
        int r;

        fd = walk_open(w, parent, name);
        if (fd < 0)
                return fd;
        r = identify(fd, &identity);
        if (r < 0)
                return r;
        if (!is_same_mount(&identity, &w->removal->origin))
                return -EXDEV;
        level = malloc(sizeof(*level) + size);
        if (!level)
                return -ENOMEM;
        *level = (struct level) { .parent = parent, .fd = TAKE_FD(fd), .identity = identity };
        memcpy(level->name, name, size);
        *ret = level;
        return 0;
}

/* Goes into a directory. Returns -ENOTDIR when it is none any more. */
static int walk_enter(struct walk *w, struct level *parent, const char *name)
{
        struct level *level;
        int r;

        w->n_steps++;
        r = level_new(w, parent, name, &level);
        if (r >= 0) {
                walk_push(w, level);
                return 0;
        }
        if (r == -ENOENT || w->is_starved)
                return 0;
        if (r == -ENOTDIR || r == -ELOOP)
                return -ENOTDIR;
        /* An empty directory of somebody else may be removed unseen. */
        if (r == -EXDEV || level_is_kept(w, parent) ||
            remove_name(w, parent, name, AT_REMOVEDIR) < 0)
                walk_fail(w, parent, name, r);
        return 0;
}

static bool is_dot_or_dotdot(const char *name)
{
        return streq(name, ".") || streq(name, "..");
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
        ssize_t n;

        n = getdents64(level->fd, w->buffer, size);
        if (n < 0)
                return -errno;
        for (ssize_t at = 0; at < n;) {
                const struct dirent64 *entry = (const void *) (w->buffer + at);
                struct list *list;

                at += entry->d_reclen;
                if (is_dot_or_dotdot(entry->d_name))
                        continue;
                list = is_directory(level->fd, entry) ? &level->dirs : &w->files;
                if (list_add(list, entry->d_name, entry->d_ino) < 0)
                        return -ENOMEM;
        }
        return (int) n;
}

static void helper_offer(struct walk *w, const struct level *level);

static void level_read(struct walk *w, struct level *level)
{
        size_t size = w->n_pending > BATCH_NAMES ? READ_SIZE_SHORT : READ_SIZE;
        int r;

        w->n_pending -= level->dirs.n_items;
        list_clear(&level->dirs);
        list_clear(&w->files);
        do
                r = level_read_some(w, level, size);
        while (r > 0 && size == READ_SIZE && level->dirs.n_items + w->files.n_items < BATCH_NAMES);

        level->is_read = r <= 0;
        if (r < 0 && r != -ENOENT) { /* ENOENT: others have removed it */
                level->n_left = LEFT_UNKNOWN;
                walk_report(w, level->parent, level->name, r);
        }
        list_sort(&level->dirs);
        list_sort(&w->files);
        w->n_pending += level->dirs.n_items;
        w->n_seen += level->dirs.n_items + w->files.n_items;
        pthread_mutex_lock(&w->removal->lock);
        level->dirs.end = level->dirs.n_items;
        w->files.end = w->files.n_items;
        helper_offer(w, level);
        pthread_mutex_unlock(&w->removal->lock);
}

/* Are there more than @n names in it? */
static bool level_has_more(struct walk *w, struct level *level, size_t n)
{
        size_t found = 0;
        ssize_t size;

        if (lseek(level->fd, 0, SEEK_SET) < 0)
                return false;
        while (found <= n && (size = getdents64(level->fd, w->buffer, READ_SIZE)) > 0)
                for (ssize_t at = 0; at < size;) {
                        const struct dirent64 *entry = (const void *) (w->buffer + at);

                        at += entry->d_reclen;
                        found += !is_dot_or_dotdot(entry->d_name);
                }
        return found > n;
}

/* Is a directory that is not empty worth another round? Only when it holds more than what could
 * not be removed, so that whatever is stuck in there is not tried again and again. */
static bool level_rewind(struct walk *w, struct level *level)
{
        if (!level_has_more(w, level, level->n_left))
                return false;
        if (++level->n_rounds >= ROUNDS_MAX ||
            atomic_fetch_add(&w->removal->n_rounds, 1) >= ROUNDS_MAX_TOTAL)
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
        _cleanup_(closep) int fd = -1;
        struct level *parent = level->parent;
        struct identity identity;
        int r = 0;

        pthread_mutex_lock(&w->removal->lock);
        if (parent->is_unwanted)
                w->n_open++;
        parent->is_unwanted = false;
        r = parent->fd != -1;
        pthread_mutex_unlock(&w->removal->lock);
        if (r)
                return 0;

        fd = walk_open(w, level, "..");
        if (fd < 0)
                return fd;
        r = identify(fd, &identity);
        if (r < 0)
                return r;
        if (!is_same_directory(&identity, &parent->identity))
                return -ESTALE;
        if (lseek(fd, parent->position, SEEK_SET) < 0)
                return -errno;
        pthread_mutex_lock(&w->removal->lock);
        parent->fd = TAKE_FD(fd);
        pthread_mutex_unlock(&w->removal->lock);
        w->n_open++;
        return 0;
}

/* The way back up is not there: goes on at the next ancestor that needs no way. */
static void walk_lose(struct walk *w, int error)
{
        struct removal *removal = w->removal;
        struct level *level = w->top->parent;

        walk_report(w, level, w->top->name, error);
        pthread_mutex_lock(&removal->lock);
        if (w == &removal->main)
                while (removal->lent) {
                        removal->is_wanted = true;
                        pthread_cond_wait(&removal->done, &removal->lock);
                }
        pthread_mutex_unlock(&removal->lock);
        while (level->fd == -1)
                level = level->parent;
        walk_unwind(w, level);
        walk_leave_behind(w, level);
}

static void level_leave(struct walk *w, struct level *level)
{
        struct level *parent = level->parent;
        int r;

        r = level_reach_parent(w, level);
        if (r < 0) {
                walk_lose(w, r);
                return;
        }
        if (level_is_kept(w, parent))
                r = level_has_more(w, level, 0) ? -ENOTEMPTY : 0;
        else
                r = remove_name(w, parent, level->name, AT_REMOVEDIR);
        if (r == -ENOTEMPTY && level_rewind(w, level))
                return;
        if (r == -ENOTEMPTY && level->n_left > 0)
                walk_leave_behind(w, parent); /* not a failure of its own */
        else if (r < 0)
                walk_fail(w, parent, level->name, r);
        walk_pop(w);
}

/* Walks */

static bool task_take(struct task *task, enum task_kind kind, struct list *list, size_t n)
{
        if (list_is_empty(list))
                return false;
        task->kind = kind;
        task->list = list;
        task->first = list->next;
        task->n = MIN(n, list->end - list->next);
        list->next += task->n;
        return true;
}

/* What to do next. Nothing of a level is read over or left while the helper is at work on it. */
static struct task walk_next(struct walk *w)
{
        struct removal *removal = w->removal;
        struct level *level = w->top;
        struct task task = { .level = level };

        pthread_mutex_lock(&removal->lock);
        for (;;) {
                bool is_lent = removal->lent == level;

                if (task_take(&task, TASK_FILES, &w->files, CHUNK_NAMES))
                        break;
                if (!(is_lent && removal->lent_files) &&
                    task_take(&task, TASK_DIRECTORY, &level->dirs, 1))
                        break;
                if (!is_lent) {
                        task.kind = level->is_read ? TASK_LEAVE : TASK_READ;
                        break;
                }
                removal->is_wanted = true;
                pthread_cond_wait(&removal->done, &removal->lock);
        }
        pthread_mutex_unlock(&removal->lock);
        return task;
}

static void walk_step(struct walk *w)
{
        struct task task = walk_next(w);

        switch (task.kind) {
        case TASK_FILES:
                remove_files(w, &task);
                break;
        case TASK_DIRECTORY:
                (void) walk_enter(w, task.level, list_name(task.list, task.first));
                break; /* not a directory any more: the next round sees it */
        case TASK_READ:
                level_read(w, task.level);
                break;
        case TASK_LEAVE:
                level_leave(w, task.level);
                break;
        }
}

static bool walk_is_cancelled(const struct walk *w)
{
        const struct removal *removal = w->removal;

        if (w == &removal->main)
                return false;
        return w->is_starved || removal->is_over ||
               (removal->is_wanted && w->n_steps >= HELPER_STEPS);
}

/* Removes the directory @name in @base. Returns -ECANCELED when a helper is to hand it back. */
static int walk_run(struct walk *w, struct level *base, const char *name)
{
        int r;

        w->base = base;
        w->top = base;
        w->n_steps = 0;
        r = walk_enter(w, base, name);
        while (w->top != base && !walk_is_cancelled(w))
                walk_step(w);
        if (w->top == base && !w->is_starved)
                return r;
        walk_unwind(w, base);
        return -ECANCELED;
}

static int walk_init(struct walk *w, struct removal *removal)
{
        *w = (struct walk) { .removal = removal };
        w->buffer = malloc(READ_SIZE);
        return w->buffer ? 0 : -ENOMEM;
}

static void walk_done(struct walk *w)
{
        list_done(&w->files);
        free(w->buffer);
        w->buffer = NULL;
}

/* The helper */

/* Takes from the end of a list, so that handing back is to put the end where it was. */
static bool helper_take(struct removal *removal, struct task *ret)
{
        struct walk *w = &removal->main;
        struct level *level, *found = NULL;
        struct list *list = &w->files;
        size_t n = 1;

        for (level = w->top; level != w->base && level->fd != -1; level = level->parent)
                if (!list_is_empty(&level->dirs))
                        found = level;
        if (found)
                list = &found->dirs;
        else if (list_is_empty(list))
                return false;
        else
                n = MIN(CHUNK_NAMES, list->end - list->next);

        list->end -= n;
        *ret = (struct task) {
                .kind = found ? TASK_DIRECTORY : TASK_FILES,
                .level = found ? found : w->top,
                .list = list,
                .first = list->end,
                .n = n,
        };
        removal->lent = ret->level;
        removal->lent_files = !found;
        return true;
}

static void helper_settle(struct removal *removal, const struct task *task, int r)
{
        if (r == -ECANCELED)
                task->list->end += task->n;
        if (task->level->is_unwanted)
                level_shut(task->level);
        removal->lent = NULL;
        removal->is_wanted = false;
        pthread_cond_signal(&removal->done);
}

static int helper_work(struct removal *removal, const struct task *task)
{
        if (task->kind == TASK_DIRECTORY)
                return walk_run(&removal->helper, task->level, list_name(task->list, task->first));
        remove_files(&removal->helper, task);
        return 0;
}

static void helper_loop(struct removal *removal)
{
        struct task task;
        int r;

        pthread_mutex_lock(&removal->lock);
        while (!removal->is_over && !removal->helper.is_starved) {
                if (!helper_take(removal, &task)) {
                        removal->is_idle = true;
                        pthread_cond_wait(&removal->work, &removal->lock);
                        removal->is_idle = false;
                        continue;
                }
                pthread_mutex_unlock(&removal->lock);
                r = helper_work(removal, &task);
                pthread_mutex_lock(&removal->lock);
                helper_settle(removal, &task, r);
        }
        pthread_mutex_unlock(&removal->lock);
}

static void *helper_main(void *userdata)
{
        struct removal *removal = userdata;
        const struct remover_options *options = removal->options;

        if (options && options->thread_start && options->thread_start(options->userdata) < 0)
                return NULL;
        if (walk_init(&removal->helper, removal) >= 0)
                helper_loop(removal);
        walk_done(&removal->helper);
        return NULL;
}

/* The program's signals are none of the helper's business. */
static int helper_start(struct removal *removal)
{
        sigset_t all, saved;
        pthread_attr_t attr;
        int r;

        r = pthread_attr_init(&attr);
        if (r > 0)
                return -r;
        (void) pthread_attr_setstacksize(&attr, HELPER_STACK);
        (void) sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &saved);
        if (r == 0) {
                r = pthread_create(&removal->thread, &attr, helper_main, removal);
                (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);
        }
        (void) pthread_attr_destroy(&attr);
        return -r;
}

/* There is something new to take. */
static void helper_offer(struct walk *w, const struct level *level)
{
        struct removal *removal = w->removal;

        if (w != &removal->main || removal->is_alone)
                return;
        if (removal->has_thread) {
                if (removal->is_idle && (level->dirs.end > 1 || w->files.end > CHUNK_NAMES))
                        pthread_cond_signal(&removal->work);
        } else if (w->n_seen > HELPER_NAMES) {
                removal->has_thread = helper_start(removal) >= 0;
                removal->is_alone = !removal->has_thread;
        }
}

/* The whole */

static bool is_parallel(unsigned int flags)
{
        cpu_set_t set;

        if (flags & REMOVER_SERIAL)
                return false;
        return sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) > 1;
}

static int64_t remove_tree(int dirfd, const char *name, unsigned int flags,
                           const struct remover_options *options, struct remover_failure *failure)
{
        struct level base = { .fd = dirfd };
        struct removal removal = {
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .work = PTHREAD_COND_INITIALIZER,
                .done = PTHREAD_COND_INITIALIZER,
                .flags = flags,
                .options = options,
                .failure = failure,
                .is_alone = !is_parallel(flags),
        };
        int r;

        r = identify(dirfd, &removal.origin);
        if (r >= 0)
                r = walk_init(&removal.main, &removal);
        if (r < 0)
                return r;
        r = walk_run(&removal.main, &base, name);
        helper_stop(&removal);
        walk_done(&removal.main);
        if (r < 0)
                return r;
        return failure->error < 0 ? failure->error
                                  : removal.main.n_removed + removal.helper.n_removed;
}

/* Removes a name that is no directory, or an empty one. -EISDIR: it takes more than that. */
static int64_t remove_single(int dirfd, const char *name, unsigned int flags)
{
        if (flags & REMOVER_CONTENTS)
                return -EISDIR;
        if (unlinkat(dirfd, name, 0) == 0)
                return 1;
        if (errno == ENOENT)
                return 0;
        if (errno != EISDIR || (flags & REMOVER_RECURSIVE))
                return -errno;
        if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
                return 1;
        return errno == ENOENT ? 0 : errno == EEXIST ? -ENOTEMPTY : -errno;
}

/* A name can change between file and directory while we look: tried again, but not for ever. */
static int64_t remove_any(int dirfd, const char *name, unsigned int flags,
                          const struct remover_options *options, struct remover_failure *failure)
{
        int64_t r = 0;

        for (unsigned int i = 0; i < ROUNDS_MAX; i++) {
                r = remove_single(dirfd, name, flags);
                if (r == -EISDIR)
                        r = remove_tree(dirfd, name, flags, options, failure);
                if (r != -ENOTDIR || (flags & REMOVER_CONTENTS))
                        return r;
        }
        return -EBUSY;
}

int64_t remover_remove(int dirfd, const char *name, unsigned int flags,
                       const struct remover_options *options, struct remover_failure *ret_failure)
{
        struct remover_failure failure = { 0 };
        int64_t r;

        if (!name || !name_is_component(name, strlen(name)))
                r = -EINVAL;
        else if (flags & ~(REMOVER_RECURSIVE | REMOVER_CONTENTS | REMOVER_SERIAL) ||
                 (flags & REMOVER_CONTENTS && !(flags & REMOVER_RECURSIVE)))
                r = -EINVAL;
        else
                r = remove_any(dirfd, name, flags, options, &failure);
        if (r < 0 && failure.error == 0) {
                failure.error = (int) r;
                (void) snprintf(failure.path, sizeof(failure.path), "%s", name ? name : "");
        }
        if (ret_failure)
                *ret_failure = failure;
        return r;
}
