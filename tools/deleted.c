/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl scan --deleted: files without a name that are still open: room that `du` can't find.
 *
 * Each file is listed once a process, however many descriptors it has, and counted once in all.
 * Leaves out what never had a name on a file system (memfd, System V memory).
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tools/entry.h"
#include "tools/filter.h"
#include "tools/pager.h"
#include "tools/progress.h"
#include "tools/scan.h"
#include "tools/table.h"

#define DELETED " (deleted)"

/* clang-format off */
static const struct table_column columns[] = {
        { "PID", 0, 80, 1, true },
        { "COMMAND", 7, 70, 1, false },
        { "USER", 4, 60, 1, false },
        { "FD", 0, 40, 1, true },
        { "SIZE", 0, 90, 1, true },
        { "PATH", 10, 100, 4, false },
};
/* clang-format on */

struct deleted {
        pid_t pid;
        int fd; /* -1: mapped */
        uid_t uid;
        dev_t dev;
        ino_t ino;
        uint64_t bytes;
        char command[32];
        char *path;
};

struct search {
        const struct ctl *ctl;
        char **dirs; /* real; NULL at the end */
        struct deleted *items;
        size_t n;
        size_t n_unseen;
        bool is_unseen;
        int error;
};

static bool is_of_memory(const char *path)
{
        static const char *const starts[] = { "/memfd:", "/SYSV", "/dev/zero", "/anon_hugepage",
                                              "/[aio]" };

        for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
                if (strncmp(path, starts[i], strlen(starts[i])) == 0)
                        return true;
        return false;
}

static bool is_wanted(const struct search *s, const char *path)
{
        if (*path != '/' || is_of_memory(path))
                return false;
        for (size_t i = 0; s->dirs[i]; i++)
                if (filter_is_under(path, s->dirs[i]))
                        return true;
        return !s->dirs[0];
}

static bool has(const struct search *s, pid_t pid, dev_t dev, ino_t ino)
{
        for (size_t i = s->n; i-- > 0 && s->items[i].pid == pid;)
                if (s->items[i].dev == dev && s->items[i].ino == ino)
                        return true;
        return false;
}

static void read_command(int procfd, char *ret, size_t size)
{
        int fd = openat(procfd, "comm", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : 0;

        ret[MAX(n, (ssize_t) 0)] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        close_fd(fd);
}

static void add(struct search *s, int procfd, pid_t pid, int fd, const struct stat *st, char *path)
{
        struct deleted d = {
                .pid = pid,
                .fd = fd,
                .uid = st->st_uid,
                .dev = st->st_dev,
                .ino = st->st_ino,
                .bytes = (uint64_t) st->st_blocks * 512,
        };
        struct deleted *items;
        size_t len = strlen(path);

        if (s->ctl->is_larger && d.bytes <= s->ctl->bytes)
                return;
        if (len > sizeof(DELETED) && streq(path + len - (sizeof(DELETED) - 1), DELETED))
                path[len - (sizeof(DELETED) - 1)] = '\0';
        read_command(procfd, d.command, sizeof(d.command));
        items = reallocarray(s->items, s->n + 1, sizeof(*items));
        d.path = items ? strdup(path) : NULL;
        s->items = items ? items : s->items;
        if (d.path)
                s->items[s->n++] = d;
        else
                s->error = -ENOMEM;
}

/* A link of /proc to a file. */
static void look_at(struct search *s, int procfd, int dirfd, const char *name, pid_t pid, int fd)
{
        char path[4096 + sizeof(DELETED)];
        struct stat st;
        ssize_t n;

        n = readlinkat(dirfd, name, path, sizeof(path) - 1);
        if (n <= 0)
                return;
        path[n] = '\0';
        if ((size_t) n < sizeof(DELETED) || !strstr(path, DELETED) || !is_wanted(s, path))
                return; /* before stat(), which may wait for a server */
        if (fstatat(dirfd, name, &st, 0) < 0 || !S_ISREG(st.st_mode) || st.st_nlink > 0)
                return;
        if (!has(s, pid, st.st_dev, st.st_ino))
                add(s, procfd, pid, fd, &st, path);
}

static void look_into(struct search *s, int procfd, const char *name, pid_t pid, bool is_fd)
{
        int fd = openat(procfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const struct dirent *e;
        uint64_t number;
        DIR *d;

        if (fd < 0) {
                s->is_unseen = s->is_unseen || (errno != ENOENT && errno != ESRCH);
                return;
        }
        d = fdopendir(fd);
        if (!d) {
                close_fd(fd);
                return;
        }
        while ((e = readdir(d))) {
                if (*e->d_name == '.')
                        continue;
                if (!is_fd)
                        look_at(s, procfd, dirfd(d), e->d_name, pid, -1);
                else if (quantity_parse_number(e->d_name, INT32_MAX, &number) >= 0)
                        look_at(s, procfd, dirfd(d), e->d_name, pid, (int) number);
        }
        (void) closedir(d);
}

static void look_at_process(struct search *s, int proc, const char *name, pid_t pid)
{
        _cleanup_(closep) int fd = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return;
        s->is_unseen = false;
        look_into(s, fd, "fd", pid, true);
        look_into(s, fd, "map_files", pid, false);
        s->n_unseen += s->is_unseen;
}

static int look_at_all(struct search *s)
{
        const struct dirent *e;
        uint64_t pid;
        size_t n = 0;
        DIR *d;

        d = opendir("/proc");
        if (!d)
                return -errno;
        while (s->error >= 0 && (e = readdir(d))) {
                if (quantity_parse_number(e->d_name, INT32_MAX, &pid) < 0)
                        continue;
                progress_show("Looking at processes:", n++);
                look_at_process(s, dirfd(d), e->d_name, (pid_t) pid);
        }
        progress_clear();
        (void) closedir(d);
        return s->error;
}

/* ---- printing ---- */

static int compare(const void *a, const void *b)
{
        const struct deleted *x = a, *y = b;

        if (x->bytes != y->bytes)
                return (x->bytes < y->bytes) - (x->bytes > y->bytes);
        if (x->ino != y->ino)
                return (x->ino > y->ino) - (x->ino < y->ino);
        if (x->dev != y->dev)
                return (x->dev > y->dev) - (x->dev < y->dev);
        return (x->pid > y->pid) - (x->pid < y->pid);
}

static int print_row(struct table *t, const struct deleted *d)
{
        char pid[16], fd[16] = "map", size[QUANTITY_SIZE_SIZE];
        const char *cells[ARRAY_SIZE(columns)] = {
                pid, d->command, entry_user_name(d->uid), fd, size, d->path,
        };

        (void) snprintf(pid, sizeof(pid), "%d", (int) d->pid);
        if (d->fd >= 0)
                (void) snprintf(fd, sizeof(fd), "%d", d->fd);
        quantity_format_bytes(d->bytes, size);
        return table_add(t, cells, TABLE_PLAIN);
}

/* Those of one file lie side by side. */
static void print_sum(const struct search *s, size_t width)
{
        char size[QUANTITY_SIZE_SIZE];
        uint64_t bytes = 0;
        size_t n = 0;

        for (size_t i = 0; i < s->n; i++) {
                const struct deleted *d = &s->items[i], *last = i > 0 ? d - 1 : NULL;

                if (last && last->ino == d->ino && last->dev == d->dev)
                        continue;
                bytes += d->bytes;
                n++;
        }
        quantity_format_bytes(bytes, size);
        ctl_say(width, "%s%zu deleted file%s still open, %s in all.", s->n > 0 ? "\n" : "", n,
                n == 1 ? "" : "s", size);
}

static int print_table(const struct search *s)
{
        struct table_style style = table_style_for(stdout, s->ctl->has_legend);
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        pager_open(s->ctl);
        r = table_new(stdout, columns, ARRAY_SIZE(columns), &style, &t);
        for (size_t i = 0; i < s->n && r >= 0; i++)
                r = print_row(t, &s->items[i]);
        if (r >= 0)
                r = table_flush(t);
        if (r >= 0 && s->ctl->has_legend)
                print_sum(s, style.width);
        return r;
}

static void print_json(const struct search *s)
{
        struct json j;

        json_init(&j, stdout, s->ctl->json_style);
        json_begin(&j, NULL, '{');
        json_unsigned(&j, "unseen_processes", s->n_unseen);
        json_begin(&j, "deleted", '[');
        for (size_t i = 0; i < s->n; i++) {
                const struct deleted *d = &s->items[i];

                json_begin(&j, NULL, '{');
                json_string(&j, "path", d->path);
                json_unsigned(&j, "pid", (uint64_t) d->pid);
                json_string(&j, "command", d->command);
                json_unsigned(&j, "uid", d->uid);
                json_string(&j, "user", entry_user_name(d->uid));
                if (d->fd >= 0)
                        json_unsigned(&j, "fd", (uint64_t) d->fd);
                else
                        json_null(&j, "fd");
                json_unsigned(&j, "size", d->bytes);
                json_unsigned(&j, "device", d->dev);
                json_unsigned(&j, "inode", d->ino);
                json_end(&j, '}');
        }
        json_end(&j, ']');
        json_end(&j, '}');
        json_done(&j);
}

static int print(const struct search *s)
{
        int r = 0;

        if (s->n > 0)
                qsort(s->items, s->n, sizeof(*s->items), compare);
        if (s->ctl->is_json)
                print_json(s);
        else
                r = print_table(s);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        if (s->n_unseen > 0 && !s->ctl->is_quiet && !s->ctl->is_json)
                (void) ctl_error("%zu process%s could not be looked into%s", s->n_unseen,
                                 s->n_unseen == 1 ? "" : "es", geteuid() == 0 ? "" : "; root can");
        return CTL_OK;
}

int scan_deleted(struct ctl *c)
{
        struct search s = { .ctl = c };
        int r, status = CTL_OK;

        s.dirs = calloc((size_t) c->n_args + 1, sizeof(*s.dirs));
        for (int i = 0; s.dirs && i < c->n_args && status == CTL_OK; i++) {
                s.dirs[i] = realpath(c->args[i], NULL);
                if (!s.dirs[i])
                        status =
                                ctl_error("cannot look into '%s': %s", c->args[i], strerror(errno));
        }
        r = s.dirs && status == CTL_OK ? look_at_all(&s) : s.dirs ? 0 : -ENOMEM;
        if (r < 0)
                status = ctl_error("cannot look at the processes: %s", strerror(-r));
        if (status == CTL_OK)
                status = print(&s);
        for (size_t i = 0; i < s.n; i++)
                free(s.items[i].path);
        for (size_t i = 0; s.dirs && s.dirs[i]; i++)
                free(s.dirs[i]);
        free(s.items);
        free(s.dirs);
        return status;
}
