/* SPDX-License-Identifier: MIT */

/*
 * The scenarios of the crash-point harness in which a process makes something, closes it, keeps it or
 * moves it into place; and the list of all. Each is a few library calls as a program would make
 * them, with a note in the report before and after whatever decides about the outcome. Copies of
 * the temporaries' names are made beside them, to be left alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-client.h"

static void run_named(struct crash_client *c)
{
        if (!client_succeeded(c, "tempfile_named", client_make_file(c)))
                return;
        client_copy_last(c, "%s.bak");
        client_copy_last(c, "x%s");
        client_close_last(c);
}

static void run_hold(struct crash_client *c)
{
        if (client_succeeded(c, "tempfile_named", client_make_file(c)))
                client_copy_last(c, "%s.bak");
}

static void run_directory(struct crash_client *c)
{
        if (!client_succeeded(c, "tempfile_directory", client_make_directory(c)))
                return;
        client_copy_last(c, "%s.bak");
        client_close_last(c);
}

static void run_hold_directory(struct crash_client *c)
{
        if (client_succeeded(c, "tempfile_directory", client_make_directory(c)))
                client_copy_last(c, "%s.bak");
}

/* What is at the target counts from the start. */
static int prepare_persist(struct crash_client *c)
{
        (void) snprintf(c->report->subject, PATH_MAX, "%s/final", c->target_dir);
        return 0;
}

static void persist_last(struct crash_client *c)
{
        struct tempfile *t;

        t = client_unhold(c);
        client_begin(c);
        client_end(c, "tempfile_persist", tempfile_persist(t, c->report->subject, TEMPFILE_FSYNC));
        (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
}

static void run_persist(struct crash_client *c)
{
        if (client_succeeded(c, "tempfile_named", client_make_file(c)))
                persist_last(c);
}

static void run_persist_directory(struct crash_client *c)
{
        if (client_succeeded(c, "tempfile_directory", client_make_directory(c)))
                persist_last(c);
}

static void run_persist_tree(struct crash_client *c)
{
        if (client_make_tree(c))
                persist_last(c);
}

static enum crash_fate fate_persist(const struct crash_report *r)
{
        switch (r->change.progress) {
        case CRASH_NOT_YET:
                return CRASH_GONE;
        case CRASH_DONE:
                return CRASH_STAYS;
        default:
                return CRASH_EITHER;
        }
}

static void keep_last(struct crash_client *c)
{
        struct tempfile *t;

        t = client_unhold(c);
        client_set_subject(c, tempfile_path(t));
        client_begin(c);
        client_end(c, "tempfile_keep", tempfile_keep(t));
        if (c->report->change.progress == CRASH_DONE)
                (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
        else
                client_hold(c, t); /* temporary or kept: while this process lives it is there */
}

static void run_keep(struct crash_client *c)
{
        if (client_succeeded(c, "tempfile_named", client_make_file(c)))
                keep_last(c);
}

static void run_keep_tree(struct crash_client *c)
{
        if (client_make_tree(c))
                keep_last(c);
}

static void run_keep_directory(struct crash_client *c)
{
        if (client_succeeded(c, "tempfile_directory", client_make_directory(c)))
                keep_last(c);
}

/* A daemon that is not there has changed nothing, nor has one that lacks something; the other errors
 * leave it open. */
static enum crash_fate fate_keep(const struct crash_report *r)
{
        switch (r->change.progress) {
        case CRASH_NOT_YET:
                return CRASH_GONE;
        case CRASH_DONE:
                return CRASH_STAYS;
        case CRASH_FAILED:
                return r->change.result == -ECONNREFUSED || r->change.result == -ENOSPC ||
                                       r->change.result == -ENOMEM || r->change.result == -EMFILE
                               ? CRASH_GONE
                               : CRASH_EITHER;
        default:
                return CRASH_EITHER;
        }
}

static int prepare_held(struct crash_client *c, unsigned int n)
{
        int r;

        for (unsigned int i = 0; i < n; i++) {
                r = client_make_file(c);
                if (r < 0)
                        return r;
        }
        client_copy_last(c, "%s.bak");
        client_copy_last(c, "x%s");
        return 0;
}

static int prepare_99(struct crash_client *c)
{
        return prepare_held(c, 99);
}

/* The tag is known: this must work whether the daemon is there or not. */
static void run_under_tag(struct crash_client *c)
{
        if (client_must_succeed(c, "tempfile_named, under a known tag,", client_make_file(c)))
                client_close_last(c);
}

/* Reported through memory, which who has just made 99 was given. */
static void run_busy(struct crash_client *c)
{
        for (unsigned int i = 0; i < 5; i++)
                run_under_tag(c);
        (void) client_must_succeed(c, "tempfile_named, under a known tag,", client_make_file(c));
}

static void run_pattern(struct crash_client *c)
{
        struct tempfile_options o = client_options();

        o.pattern = "report-XXXXXX.txt";
        if (!client_succeeded(c, "tempfile_named", client_make_with(c, &o)))
                return;
        client_copy_last(c, "%s.bak");
        client_close_last(c);
}

static int prepare_track(struct crash_client *c)
{
        (void) snprintf(c->report->subject, PATH_MAX, "%s/chosen-name", c->tmp_dir);
        return client_write_path(c->report->subject, CRASH_NEW);
}

static void run_track(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;
        int r;

        client_begin(c);
        r = tempfile_track(c->report->subject, &o, &t);
        client_end(c, "tempfile_track", r);
        if (r >= 0)
                client_hold(c, t);
}

/* Until it is tracked it is a file like any other, and stays. */
static enum crash_fate fate_track(const struct crash_report *r)
{
        switch (r->change.progress) {
        case CRASH_NOT_YET:
                return CRASH_STAYS;
        case CRASH_DONE:
                return CRASH_GONE;
        default:
                return CRASH_EITHER;
        }
}

static int prepare_track_directory(struct crash_client *c)
{
        (void) snprintf(c->report->subject, PATH_MAX, "%s/chosen-name", c->tmp_dir);
        if (mkdir(c->report->subject, 0700) < 0)
                return -errno;
        return client_fill_directory(c->report->subject);
}

/*
 * A service that is started again on its well-known name: what it has put there now is another
 * thing, which nobody has tracked, whatever number the file system gives it.
 */
static void run_track_replaced(struct crash_client *c)
{
        const char *path = c->report->subject;
        char unnamed[64];
        int fd;

        run_track(c);
        if (c->report->change.progress != CRASH_DONE)
                return;
        (void) client_unhold(c);
        c->report->second.progress = CRASH_BEGUN;
        if (unlink(path) < 0)
                return;
        fd = open(c->tmp_dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, CRASH_NEW, strlen(CRASH_NEW)) < 0)
                return;
        (void) snprintf(unnamed, sizeof(unnamed), "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, unnamed, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
                c->report->second.progress = CRASH_DONE;
        (void) close(fd);
}

static enum crash_fate fate_track_replaced(const struct crash_report *r)
{
        switch (r->second.progress) {
        case CRASH_NOT_YET:
                return fate_track(r);
        case CRASH_DONE:
                return CRASH_STAYS;
        default:
                return CRASH_EITHER;
        }
}

/* Whoever tracks a thing may also close it. */
static void run_track_close(struct crash_client *c)
{
        run_track(c);
        client_close_last(c);
}

/* ---- other ways to make something ---- */

/* Another mode than the umask leaves: it is changed after it was made. */
static void run_mode(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;
        int r;

        o.mode = 0666;
        if (!client_succeeded(c, "tempfile_named", client_make_with(c, &o)))
                return;
        o.mode = 0777;
        r = tempfile_directory(&o, &t);
        if (client_succeeded(c, "tempfile_directory", r))
                client_hold(c, t);
        client_close_last(c);
}

static int link_somewhere(int dirfd, const char *name, const char *path, void *userdata)
{
        return symlinkat("/nowhere", dirfd, name) < 0 ? -errno : 0;
}

static void run_callback(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;
        int r;

        o.dir = c->tmp_dir;
        r = tempfile_make(&o, TEMPFILE_KIND_OTHER, link_somewhere, NULL, &t);
        if (!client_succeeded(c, "tempfile_make", r))
                return;
        client_hold(c, t);
        client_copy_last(c, "%s.bak");
        client_close_last(c);
}

static void run_mktemp(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;
        int r;

        o.dir = c->tmp_dir;
        r = tempfile_mktemp(&o, TEMPFILE_KIND_FILE, &t);
        if (!client_succeeded(c, "tempfile_mktemp", r))
                return;
        if (client_write_path(tempfile_path(t), CRASH_NEW) == 0)
                client_hold(c, t);
        client_close_last(c);
}

/* With few random characters: made under another name, and then renamed. */
static void run_mkstemp(struct crash_client *c)
{
        char path[PATH_MAX];
        struct tempfile *t;
        int r, fd;

        (void) snprintf(path, sizeof(path), "%s/report-XXXXXX.txt", c->tmp_dir);
        fd = tempfile_mkstemp(path);
        if (client_succeeded(c, "tempfile_mkstemp", fd)) {
                r = tempfile_find(path, &t);
                if (client_succeeded(c, "tempfile_find", r))
                        client_hold(c, t);
                (void) close(fd);
        }
        (void) snprintf(path, sizeof(path), "%s/report-XXXXXX", c->tmp_dir);
        r = tempfile_mkdtemp(path);
        if (client_succeeded(c, "tempfile_mkdtemp", r))
                (void) client_fill_directory(path);
        client_close_last(c);
}

static void run_release(struct crash_client *c)
{
        struct tempfile *t;
        char path[PATH_MAX];
        int r;

        if (!client_succeeded(c, "tempfile_named", client_make_file(c)))
                return;
        t = client_unhold(c);
        (void) snprintf(path, sizeof(path), "%s", tempfile_path(t));
        if (!client_succeeded(c, "tempfile_release", tempfile_release(t)))
                return;
        r = tempfile_find(path, &t);
        if (client_succeeded(c, "tempfile_find", r))
                (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
        if (client_succeeded(c, "tempfile_named", client_make_file(c)))
                (void) client_succeeded(c, "tempfile_release", tempfile_release(client_unhold(c)));
}

/* Python's delete=False. */
static void run_no_delete(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;

        o.flags = TEMPFILE_NO_DELETE;
        if (!client_succeeded(c, "tempfile_named", client_make_with(c, &o)))
                return;
        t = client_unhold(c);
        client_set_subject(c, tempfile_path(t));
        client_begin(c);
        client_end(c, "tempfile_close", tempfile_close(t));
}

static void run_unnamed(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        int fd, r = 0;

        o.dir = c->target_dir;
        fd = tempfile_unnamed(&o);
        if (!client_succeeded(c, "tempfile_unnamed", fd))
                return;
        if (write(fd, CRASH_NEW, strlen(CRASH_NEW)) == (ssize_t) strlen(CRASH_NEW)) {
                client_begin(c);
                r = tempfile_unnamed_persist(fd, c->report->subject, 0);
                client_end(c, "tempfile_unnamed_persist", r);
        }
        (void) close(fd);
}

static void run_arena(struct crash_client *c)
{
        char name[TEMPFILE_NAME_SIZE];
        int fd;

        if (!client_succeeded(c, "tempfile_directory", client_make_directory(c)))
                return;
        for (unsigned int i = 0; i < 2; i++) {
                fd = tempfile_arena_named(client_last(c), NULL, name);
                if (client_succeeded(c, "tempfile_arena_named", fd))
                        (void) close(fd);
        }
        client_close_last(c);
}

/* What is closed has been there for long. */
static int prepare_close(struct crash_client *c)
{
        int r;

        r = client_make_directory(c);
        if (r < 0)
                return r;
        client_copy_last(c, "%s.bak");
        return client_make_file(c);
}

static void run_close(struct crash_client *c)
{
        client_close_last(c);
        client_close_last(c);
}

/* ---- the self-test ---- */

/* A program as there are many: nobody knows whose file this is once it is dead. */
static void run_leak(struct crash_client *c)
{
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/leaked", c->tmp_dir);
        (void) client_write_path(path, CRASH_NEW);
}

static void run_meddle(struct crash_client *c)
{
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/unrelated.txt", c->tmp_dir);
        (void) unlink(path);
}

const struct crash_scenario crash_makers[] = {
        { "named", "first file of a process: make, write, close", 0, NULL, run_named, NULL, NULL },
        { "hold", "a file that is never closed", 0, NULL, run_hold, NULL, NULL },
        { "directory", "make, files inside, close", 0, NULL, run_directory, NULL, NULL },
        { "hold-directory", "a directory that is never closed", 0, NULL, run_hold_directory, NULL,
          NULL },
        { "persist", "make, write, move into place", 0, prepare_persist, run_persist, fate_persist,
          NULL },
        { "persist-over", "the same over a file that is there", CRASH_FLAG_OVER, prepare_persist,
          run_persist, fate_persist, NULL },
        { "persist-directory", "the same with a directory", CRASH_FLAG_DIRECTORY, prepare_persist,
          run_persist_directory, fate_persist, NULL },
        { "persist-tree", "the same with a temporary in it", CRASH_FLAG_DIRECTORY, prepare_persist,
          run_persist_tree, fate_persist, NULL },
        { "keep", "make, write, keep", 0, NULL, run_keep, fate_keep, NULL },
        { "keep-directory", "the same with a directory", CRASH_FLAG_DIRECTORY, NULL,
          run_keep_directory, fate_keep, NULL },
        { "keep-tree", "the same with a temporary in it", CRASH_FLAG_DIRECTORY, NULL, run_keep_tree,
          fate_keep, NULL },
        { "hundredth", "make, write, close with 99 files held", 0, prepare_99, run_under_tag, NULL,
          NULL },
        { "busy", "the same five times at once, and one more", 0, prepare_99, run_busy, NULL,
          NULL },
        { "pattern", "a name of the caller's choosing: make, write, close", 0, NULL, run_pattern,
          NULL, NULL },
        { "track", "a file that exists already", 0, prepare_track, run_track, fate_track, NULL },
        { "track-directory", "the same with a directory", CRASH_FLAG_DIRECTORY,
          prepare_track_directory, run_track, fate_track, NULL },
        { "track-close", "a file that exists already, closed", 0, prepare_track, run_track_close,
          fate_track, NULL },
        { "track-replaced", "a well-known name, and another thing there later", 0, prepare_track,
          run_track_replaced, fate_track_replaced, NULL },
        { "mode", "a file and a directory with another mode", 0, NULL, run_mode, NULL, NULL },
        { "callback", "make by callback, close", 0, NULL, run_callback, NULL, NULL },
        { "mktemp", "a name alone, made by the caller, closed", 0, NULL, run_mktemp, NULL, NULL },
        { "mkstemp", "as mkstemp(3) and mkdtemp(3), found again, closed", 0, NULL, run_mkstemp,
          NULL, NULL },
        { "release", "release, find, close; release", 0, NULL, run_release, NULL, NULL },
        { "no-delete", "make, write, close and let stay", 0, NULL, run_no_delete, fate_keep, NULL },
        { "unnamed-over", "an unnamed file moved over one that is there", CRASH_FLAG_OVER,
          prepare_persist, run_unnamed, fate_persist, NULL },
        { "arena", "files in an arena, close", 0, NULL, run_arena, NULL, NULL },
        { "close", "a file and a directory that were there for long", 0, prepare_close, run_close,
          NULL, NULL },
        { "leak", "self-test: a client that leaks", CRASH_FLAG_FAULTY, NULL, run_leak, NULL, NULL },
        { "meddle", "self-test: a foreign file vanishes", CRASH_FLAG_FAULTY, NULL, run_meddle, NULL,
          NULL },
        { NULL, NULL, 0, NULL, NULL, NULL, NULL },
};

static const struct crash_scenario *const tables[] = { crash_makers, crash_owners, crash_starts };

const struct crash_scenario *crash_scenario_next(const struct crash_scenario *s)
{
        if (!s)
                return tables[0];
        if ((++s)->name)
                return s;
        for (size_t i = 0; i + 1 < ARRAY_SIZE(tables); i++) {
                const struct crash_scenario *at = tables[i];

                while (at->name)
                        at++;
                if (at == s)
                        return tables[i + 1];
        }
        return NULL;
}

const struct crash_scenario *crash_scenario_find(const char *name)
{
        const struct crash_scenario *s = NULL;

        while ((s = crash_scenario_next(s)))
                if (streq(s->name, name))
                        return s;
        return NULL;
}

enum crash_fate crash_scenario_fate(const struct crash_scenario *s, const struct crash_report *r)
{
        return s->fate ? s->fate(r) : CRASH_GONE;
}
