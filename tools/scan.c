/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl scan: what programs left behind that never heard of tempfiled.
 *
 * Looks at the processes first and at the directories afterwards: what is opened meanwhile was
 * used a moment ago, so its age speaks for it. Nothing is printed as left over that was not looked
 * into completely; what could not be seen is told. Memory grows with what is found, not with what
 * is there.
 */

#include "tools/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <time.h>

#include "libclient/util.h"
#include "tools/entry.h"
#include "tools/filter.h"
#include "tools/instances.h"
#include "tools/pager.h"
#include "tools/progress.h"
#include "tools/table.h"

/* Title, least width, priority, weight, number. At 20 columns SIZE and PATH are left. */
/* clang-format off */
static const struct table_column columns[] = {
        { "VERDICT", 0, 60, 1, false },
        { "KIND", 4, 30, 1, false },
        { "USER", 4, 70, 1, false },
        { "SIZE", 0, 90, 1, true },
        { "UNUSED", 0, 50, 1, true },
        { "REASON", 12, 40, 1, false },
        { "PATH", 10, 100, 4, false },
};
/* clang-format on */

/* ---- where ---- */

static bool is_there_already(const struct scan *s, const char *path)
{
        for (size_t i = 0; i < s->n_directories; i++)
                if (streq(s->directories[i].path, path))
                        return true;
        return false;
}

/* 0, or negative errno. */
static int add_directory(struct scan *s, const char *path)
{
        _cleanup_(freep) char *real = realpath(path, NULL);
        struct scan_directory *d;
        int fd;

        if (!real)
                return -errno;
        if (is_there_already(s, real))
                return 0;
        d = reallocarray(s->directories, s->n_directories + 1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        s->directories = d;
        fd = open(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d[s->n_directories++] = (struct scan_directory) { TAKE_PTR(real), fd };
        return 0;
}

static int add_directories(struct scan *s)
{
        static const char *const usual[] = { "/tmp", "/var/tmp", "/dev/shm" };
        int r;

        for (int i = 0; i < s->ctl->n_args; i++) {
                r = add_directory(s, s->ctl->args[i]);
                if (r < 0)
                        return ctl_error("cannot look into '%s': %s", s->ctl->args[i],
                                         strerror(-r));
        }
        for (size_t i = 0; i < ARRAY_SIZE(usual) && s->ctl->n_args == 0; i++) {
                r = add_directory(s, usual[i]);
                if (r < 0 && r != -ENOENT)
                        return ctl_error("cannot look into '%s': %s", usual[i], strerror(-r));
        }
        return CTL_OK;
}

/* ---- what the daemon looks after ---- */

static int compare_paths(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* The name right in @dir that @path is, or is below. */
static int add_tracked(struct scan *s, const char *dir, const char *path)
{
        size_t len = streq(dir, "/") ? 1 : strlen(dir) + 1;
        char *name, **found;

        if (!filter_is_under(path, dir) || strlen(path) <= len)
                return 0;
        name = strndup(path, len + strcspn(path + len, "/"));
        found = name ? tsearch(name, &s->tracked, compare_paths) : NULL;
        if (!found || *found != name)
                free(name);
        return found ? 0 : -ENOMEM;
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct scan *s = userdata;
        int r = 0;

        for (size_t i = 0; i < s->n_directories && r >= 0; i++)
                r = add_tracked(s, s->directories[i].path, e->path);
        return r;
}

static bool is_tracked(const char *path, void *userdata)
{
        struct scan *s = userdata;

        return tfind(path, &s->tracked, compare_paths) != NULL;
}

static int ask_instance(const struct instance *i, void *userdata)
{
        int64_t n = tempfile_admin_list(i->admin, NULL, on_entry, userdata);

        return n < 0 ? (int) n : 0;
}

/* Root would delete what users' daemons look after, too, and so asks them. */
static void ask_daemon(struct scan *s)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;

        s->has_daemon = tempfile_admin_open(NULL, 0, &a) >= 0 &&
                        tempfile_admin_list(a, NULL, on_entry, s) >= 0;
        instances_each_user(ask_instance, s);
}

/* ---- looking ---- */

static void show_processes(size_t n)
{
        progress_show("Looking at processes:", n);
}

int scan_look_at_processes(struct scan *s)
{
        struct inuse *inuse;
        int r;

        r = inuse_collect(show_processes, &inuse);
        progress_clear();
        if (r < 0)
                return ctl_error("cannot look at the processes: %s",
                                 r == -ENOENT ? "no usable /proc" : strerror(-r));
        inuse_free(s->inuse);
        s->inuse = inuse;
        s->judge.inuse = inuse;
        return CTL_OK;
}

bool scan_is_incomplete(const struct scan *s)
{
        return inuse_unseen(s->inuse) > 0 || inuse_is_confined(s->inuse);
}

static bool is_wanted(const struct scan *s, const struct leftover *l)
{
        const struct ctl *c = s->ctl;

        if (c->is_larger && l->usage.bytes <= c->bytes)
                return false;
        if (c->is_all)
                return true;
        return l->verdict == VERDICT_LEFTOVER && (geteuid() == 0 || l->st.st_uid == geteuid());
}

static int keep(struct scan *s, struct leftover *l)
{
        size_t n = MAX(2 * s->n_allocated, (size_t) 64);
        struct leftover *found;

        if (s->n_found == s->n_allocated) {
                found = reallocarray(s->found, n, sizeof(*found));
                if (!found)
                        return -ENOMEM;
                s->found = found;
                s->n_allocated = n;
        }
        s->found[s->n_found++] = *l;
        *l = (struct leftover) { 0 };
        return 0;
}

static int look_at(struct scan *s, const struct scan_directory *d, const char *name)
{
        _cleanup_(leftover_done) struct leftover l = { 0 };
        int r;

        if (streq(name, ".") || streq(name, "..") || streq(name, "lost+found"))
                return 0;
        progress_show("Looking at names:", s->n_seen++);
        r = leftover_judge(&s->judge, d->fd, d->path, name, &l);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        return is_wanted(s, &l) ? keep(s, &l) : 0;
}

static int look_into(struct scan *s, const struct scan_directory *d)
{
        const struct dirent *e;
        int fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 3), r = 0;
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (!dir) {
                close_fd(fd);
                return -errno;
        }
        for (errno = 0; r >= 0 && (e = readdir(dir)); errno = 0)
                r = look_at(s, d, e->d_name);
        if (r >= 0)
                r = -errno;
        (void) closedir(dir);
        return r;
}

/* The largest first. */
static int compare_found(const void *a, const void *b)
{
        const struct leftover *x = a, *y = b;
        uint64_t m = x->usage.bytes, n = y->usage.bytes;

        return m != n ? (m < n) - (m > n) : strcmp(x->path, y->path);
}

static int look_everywhere(struct scan *s)
{
        int r;

        for (size_t i = 0; i < s->n_directories; i++) {
                r = look_into(s, &s->directories[i]);
                progress_clear();
                if (r < 0)
                        return ctl_error("cannot look into '%s': %s", s->directories[i].path,
                                         strerror(-r));
        }
        if (s->n_found > 0)
                qsort(s->found, s->n_found, sizeof(*s->found), compare_found);
        return CTL_OK;
}

/* ---- printing ---- */

static const char *kind_name(mode_t mode)
{
        if (S_ISDIR(mode))
                return "directory";
        return S_ISREG(mode)    ? "file"
               : S_ISSOCK(mode) ? "socket"
               : S_ISLNK(mode)  ? "symlink"
               : S_ISFIFO(mode) ? "fifo"
                                : "device";
}

static void print_json_one(struct json *j, const struct leftover *l)
{
        json_begin(j, NULL, '{');
        json_string(j, "path", l->path);
        json_string(j, "verdict", leftover_verdict_name(l->verdict));
        json_string(j, "reason", l->reason);
        json_string(j, "kind", kind_name(l->st.st_mode));
        json_unsigned(j, "uid", l->st.st_uid);
        json_string(j, "user", entry_user_name(l->st.st_uid));
        entry_print_json_usage(j, &l->usage);
        json_unsigned(j, "used_usec", l->usage.used_usec);
        json_end(j, '}');
}

static void print_json(const struct scan *s)
{
        struct json j;

        json_init(&j, stdout, s->ctl->json_style);
        json_begin(&j, NULL, '{');
        json_bool(&j, "complete", !scan_is_incomplete(s));
        json_unsigned(&j, "unseen_processes", inuse_unseen(s->inuse));
        json_bool(&j, "daemon", s->has_daemon);
        json_begin(&j, "found", '[');
        for (size_t i = 0; i < s->n_found; i++)
                print_json_one(&j, &s->found[i]);
        json_end(&j, ']');
        json_end(&j, '}');
        json_done(&j);
}

static int print_row(struct table *t, const struct leftover *l)
{
        static const enum table_color colors[] = {
                [VERDICT_LEFTOVER] = TABLE_RED,  [VERDICT_USED] = TABLE_PLAIN,
                [VERDICT_YOUNG] = TABLE_PLAIN,   [VERDICT_TRACKED] = TABLE_GREY,
                [VERDICT_EXCLUDED] = TABLE_GREY, [VERDICT_UNKNOWN] = TABLE_YELLOW,
        };
        char size[QUANTITY_SIZE_SIZE], age[ENTRY_AGE_SIZE];
        const char *kind = S_ISDIR(l->st.st_mode) ? "dir" : kind_name(l->st.st_mode);
        const char *cells[ARRAY_SIZE(columns)] = {
                leftover_verdict_name(l->verdict),
                kind,
                entry_user_name(l->st.st_uid),
                size,
                age,
                l->reason,
                l->path,
        };

        entry_format_usage(&l->usage, size);
        entry_format_since(l->usage.used_usec, age);
        return table_add(t, cells, colors[l->verdict]);
}

static void print_sum(const struct scan *s, size_t width)
{
        char size[QUANTITY_SIZE_SIZE];
        uint64_t bytes = 0;
        size_t n = 0;

        for (size_t i = 0; i < s->n_found; i++) {
                if (s->found[i].verdict != VERDICT_LEFTOVER)
                        continue;
                bytes += s->found[i].usage.bytes;
                n++;
        }
        quantity_format_bytes(bytes, size);
        ctl_say(width, "%s%zu leftover%s, %s in all.", s->n_found > 0 ? "\n" : "", n,
                n == 1 ? "" : "s", size);
}

static int print_table(const struct scan *s)
{
        struct table_style style = table_style_for(stdout, s->ctl->has_legend);
        struct table_column shown[ARRAY_SIZE(columns)];
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        if (!s->ctl->is_delete && !s->ctl->is_adopt)
                pager_open(s->ctl);
        memcpy(shown, columns, sizeof(shown));
        if (s->ctl->is_all) /* else all have the same */
                shown[0].priority = 95;
        r = table_new(stdout, shown, ARRAY_SIZE(shown), &style, &t);
        for (size_t i = 0; i < s->n_found && r >= 0; i++)
                r = print_row(t, &s->found[i]);
        if (r >= 0)
                r = table_flush(t);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        if (s->ctl->has_legend)
                print_sum(s, style.width);
        return CTL_OK;
}

/* What the verdicts do not rest on. */
static void tell_limits(const struct scan *s)
{
        size_t n = inuse_unseen(s->inuse);

        if (n > 0)
                (void) ctl_error("%zu process%s could not be looked into%s: what they use may be "
                                 "among these",
                                 n, n == 1 ? "" : "es", geteuid() == 0 ? "" : "; root can");
        if (inuse_is_confined(s->inuse))
                (void) ctl_error("processes outside this container, or hidden ones, were not seen");
        if (!s->has_daemon)
                (void) ctl_error("no tempfiled answers: what it looks after may be among these");
}

/* ---- the command ---- */

static int scan(struct scan *s)
{
        int r;

        if (exclusions_read(&s->exclusions) < 0)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        s->judge.exclusions = s->exclusions;
        ask_daemon(s);
        r = scan_look_at_processes(s);
        if (r == CTL_OK)
                r = look_everywhere(s);
        if (r != CTL_OK)
                return r;
        if (s->ctl->is_json)
                print_json(s);
        else
                r = print_table(s);
        if (!s->ctl->is_quiet && !s->ctl->is_json)
                tell_limits(s);
        return r == CTL_OK && (s->ctl->is_delete || s->ctl->is_adopt) ? scan_clean(s) : r;
}

static void scan_done(struct scan *s)
{
        for (size_t i = 0; i < s->n_found; i++)
                leftover_done(&s->found[i]);
        for (size_t i = 0; i < s->n_directories; i++) {
                free(s->directories[i].path);
                close_fd(s->directories[i].fd);
        }
        free(s->found);
        free(s->directories);
        inuse_free(s->inuse);
        exclusions_free(s->exclusions);
        tdestroy(s->tracked, free);
}

static int check_arguments(const struct ctl *c)
{
        const bool cleans = c->is_delete || c->is_adopt;

        if (c->is_delete && c->is_adopt)
                return ctl_usage_error(c->command, "--delete and --adopt exclude each other");
        if (cleans && (c->is_deleted || c->is_json || c->is_all))
                return ctl_usage_error(c->command, "%s excludes --deleted, --json and --all",
                                       c->is_delete ? "--delete" : "--adopt");
        if (c->lease_sec != 0 && !c->is_adopt)
                return ctl_usage_error(c->command, "--lease needs --adopt");
        if (c->is_deleted && (c->is_older || c->is_all))
                return ctl_usage_error(c->command, "--deleted excludes --older and --all");
        if ((c->is_yes || c->is_dry_run) && !cleans)
                return ctl_usage_error(c->command, "--yes and --dry-run need --delete or --adopt");
        return CTL_OK;
}

int ctl_scan(struct ctl *c)
{
        struct scan s = { .ctl = c };
        struct timespec now;
        int r;

        r = check_arguments(c);
        if (r != CTL_OK)
                return r;
        if (c->is_deleted)
                return scan_deleted(c);
        (void) clock_gettime(CLOCK_REALTIME, &now); /* can't fail with a valid clock */
        s.judge = (struct judge) {
                .is_tracked = is_tracked,
                .userdata = &s,
                .now_usec = (uint64_t) now.tv_sec * USEC_PER_SEC,
                .age_usec = c->is_older ? c->age_usec : SCAN_AGE_USEC,
        };
        r = add_directories(&s);
        if (r == CTL_OK)
                r = scan(&s);
        scan_done(&s);
        return r;
}
