/* SPDX-License-Identifier: MIT */

/*
 * The scenarios of the crash-point harness; see the header. Each is a few library calls as a
 * program would make them, with a note in the report before and after whatever decides about the
 * outcome. Copies of the temporaries' names are made beside them, to be left alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tests/crash-scenarios.h"
#include "tests/crash-trace.h"

/* How a call may fail while the daemon is being killed and started again. */
static bool is_allowed(const struct crash_client *c, int r)
{
        return c->report->is_daemon_mortal &&
               (r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT);
}

static void note_wrong(struct crash_client *c, const char *call, int r)
{
        struct crash_report *report = c->report;

        if (report->wrong_result < 0)
                return;
        (void) snprintf(report->wrong_call, sizeof(report->wrong_call), "%s", call);
        report->wrong_result = r;
}

/* Did the call succeed? If not, and it had to, the report says so. */
static bool succeeded(struct crash_client *c, const char *call, int r)
{
        if (r >= 0)
                return true;
        if (!is_allowed(c, r))
                note_wrong(c, call, r);
        return false;
}

/* The call that decides about the subject is about to be made. */
static void begin(struct crash_client *c)
{
        c->report->change.progress = CRASH_BEGUN;
}

static void end(struct crash_client *c, const char *call, int r)
{
        c->report->change.result = r;
        c->report->change.progress = r < 0 ? CRASH_FAILED : CRASH_DONE;
        (void) succeeded(c, call, r);
}

static int write_all(int fd, const char *data)
{
        ssize_t n = write(fd, data, strlen(data));

        return n == (ssize_t) strlen(data) ? 0 : -EIO;
}

static int write_path(const char *path, const char *data)
{
        _cleanup_(closep) int fd = -1;

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        return write_all(fd, data);
}

/* Somebody's copy of a temporary, under a name that looks like its own. */
static void make_copy(struct crash_client *c, const struct tempfile *t, const char *format)
{
        struct crash_report *report = c->report;
        char *path = report->copies[report->n_copies].path;
        const char *name = strrchr(tempfile_path(t), '/') + 1;
        int n;

        n = snprintf(path, PATH_MAX, "%s/", c->tmp_dir);
        (void) snprintf(path + n, PATH_MAX - (size_t) n, format, name);
        report->copies[report->n_copies].progress = CRASH_BEGUN;
        report->n_copies++;
        if (write_path(path, CRASH_COPY) == 0)
                report->copies[report->n_copies - 1].progress = CRASH_DONE;
}

/* From here on until unhold() the path must be there. */
static void hold(struct crash_client *c, struct tempfile *t)
{
        struct crash_report *report = c->report;

        c->held[c->n_held++] = t;
        (void) snprintf(report->held[report->n_held], PATH_MAX, "%s", tempfile_path(t));
        report->n_held++;
}

/* The thing that was held last is about to be closed, kept or moved. */
static struct tempfile *unhold(struct crash_client *c)
{
        if (c->n_held == 0)
                return NULL;
        c->report->n_held--;
        c->n_held--;
        return TAKE_PTR(c->held[c->n_held]);
}

static void close_last(struct crash_client *c)
{
        struct tempfile *t = unhold(c);

        if (t)
                (void) succeeded(c, "tempfile_close", tempfile_close(t));
}

static int make_with(struct crash_client *c, struct tempfile_options *o)
{
        struct tempfile *t;
        int r;

        o->dir = c->tmp_dir;
        r = tempfile_named(o, &t);
        if (r < 0)
                return r;
        hold(c, t);
        return write_all(tempfile_fd(t), CRASH_NEW);
}

static int make_file(struct crash_client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.suffix = ".txt";
        return make_with(c, &o);
}

static int make_directory(struct crash_client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        char path[PATH_MAX + 16];
        struct tempfile *t;
        int r;

        o.dir = c->tmp_dir;
        r = tempfile_directory(&o, &t);
        if (r < 0)
                return r;
        hold(c, t);

        (void) snprintf(path, sizeof(path), "%s/inside", tempfile_path(t));
        r = write_path(path, CRASH_NEW);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "%s/deeper", tempfile_path(t));
        if (mkdir(path, 0700) < 0)
                return -errno;
        (void) snprintf(path, sizeof(path), "%s/deeper/file", tempfile_path(t));
        return write_path(path, CRASH_NEW);
}

static void run_named(struct crash_client *c)
{
        if (!succeeded(c, "tempfile_named", make_file(c)))
                return;
        make_copy(c, c->held[c->n_held - 1], "%s.bak");
        make_copy(c, c->held[c->n_held - 1], "x%s");
        close_last(c);
}

static void run_hold(struct crash_client *c)
{
        if (succeeded(c, "tempfile_named", make_file(c)))
                make_copy(c, c->held[c->n_held - 1], "%s.bak");
}

static void run_directory(struct crash_client *c)
{
        if (!succeeded(c, "tempfile_directory", make_directory(c)))
                return;
        make_copy(c, c->held[c->n_held - 1], "%s.bak");
        close_last(c);
}

static void run_hold_directory(struct crash_client *c)
{
        if (succeeded(c, "tempfile_directory", make_directory(c)))
                make_copy(c, c->held[c->n_held - 1], "%s.bak");
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

        t = unhold(c);
        begin(c);
        end(c, "tempfile_persist", tempfile_persist(t, c->report->subject, 0));
        (void) succeeded(c, "tempfile_close", tempfile_close(t));
}

static void run_persist(struct crash_client *c)
{
        if (succeeded(c, "tempfile_named", make_file(c)))
                persist_last(c);
}

static void run_persist_directory(struct crash_client *c)
{
        if (succeeded(c, "tempfile_directory", make_directory(c)))
                persist_last(c);
}

/* A temporary in a temporary directory: it has an entry of its own, and stays or goes with it. */
static bool make_tree(struct crash_client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        int r;

        r = make_directory(c);
        if (r == 0) {
                o.dir = tempfile_path(c->held[0]);
                r = tempfile_named(&o, &t);
        }
        if (!succeeded(c, "tempfile_named in a directory", r))
                return false;
        (void) snprintf(c->report->inside, sizeof(c->report->inside), "%s",
                        strrchr(tempfile_path(t), '/') + 1);
        return true;
}

static void run_persist_tree(struct crash_client *c)
{
        if (make_tree(c))
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

        t = unhold(c);
        (void) snprintf(c->report->subject, PATH_MAX, "%s", tempfile_path(t));
        begin(c);
        end(c, "tempfile_keep", tempfile_keep(t));
        if (c->report->change.progress == CRASH_DONE)
                (void) succeeded(c, "tempfile_close", tempfile_close(t));
        else
                hold(c, t); /* temporary or kept: while this process lives it is there */
}

static void run_keep(struct crash_client *c)
{
        if (succeeded(c, "tempfile_named", make_file(c)))
                keep_last(c);
}

static void run_keep_tree(struct crash_client *c)
{
        if (make_tree(c))
                keep_last(c);
}

static void run_keep_directory(struct crash_client *c)
{
        if (succeeded(c, "tempfile_directory", make_directory(c)))
                keep_last(c);
}

/* -ECONNREFUSED promises that nothing has changed; the other errors leave it open. */
static enum crash_fate fate_keep(const struct crash_report *r)
{
        switch (r->change.progress) {
        case CRASH_NOT_YET:
                return CRASH_GONE;
        case CRASH_DONE:
                return CRASH_STAYS;
        case CRASH_FAILED:
                return r->change.result == -ECONNREFUSED ? CRASH_GONE : CRASH_EITHER;
        default:
                return CRASH_EITHER;
        }
}

static int prepare_held(struct crash_client *c, unsigned int n)
{
        int r;

        for (unsigned int i = 0; i < n; i++) {
                r = make_file(c);
                if (r < 0)
                        return r;
        }
        make_copy(c, c->held[0], "%s.bak");
        make_copy(c, c->held[0], "x%s");
        return 0;
}

static int prepare_99(struct crash_client *c)
{
        return prepare_held(c, 99);
}

/* One of each kind: what the daemon has to find again. */
static int prepare_mixed(struct crash_client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        int r;

        o.pattern = "held-XXXXXX";
        r = make_with(c, &o);
        if (r == 0)
                r = make_directory(c);
        return r < 0 ? r : prepare_held(c, 3);
}

/* The tag is known: this must work whether the daemon is there or not. */
static void run_under_tag(struct crash_client *c)
{
        int r;

        r = make_file(c);
        if (r < 0)
                note_wrong(c, "tempfile_named under a known tag", r);
        else
                close_last(c);
}

/* One more in the same directory, and one that has to ask the daemon. */
static void run_resume(struct crash_client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        run_under_tag(c);
        o.pattern = "report-XXXXXX.txt";
        if (succeeded(c, "tempfile_named by a pattern", make_with(c, &o)))
                close_last(c);
}

static void run_pattern(struct crash_client *c)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.pattern = "report-XXXXXX.txt";
        if (!succeeded(c, "tempfile_named by a pattern", make_with(c, &o)))
                return;
        make_copy(c, c->held[c->n_held - 1], "%s.bak");
        close_last(c);
}

static void make_for_owner(struct crash_client *c, const char *pattern)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.flags = TEMPFILE_OWNER_PIDFD;
        o.owner_pidfd = c->owner_pidfd;
        o.pattern = pattern;
        if (succeeded(c, "tempfile_named for another process", make_with(c, &o)))
                make_copy(c, c->held[c->n_held - 1], "%s.bak");
}

static void run_owner(struct crash_client *c)
{
        make_for_owner(c, NULL);
}

/* As mktemp(1) does it for a script, with few random characters. */
static void run_owner_pattern(struct crash_client *c)
{
        make_for_owner(c, "report-XXXXXX.txt");
}

static int prepare_track(struct crash_client *c)
{
        (void) snprintf(c->report->subject, PATH_MAX, "%s/chosen-name", c->tmp_dir);
        return write_path(c->report->subject, CRASH_NEW);
}

static void run_track(struct crash_client *c)
{
        struct tempfile *t;
        int r;

        begin(c);
        r = tempfile_track(c->report->subject, NULL, &t);
        end(c, "tempfile_track", r);
        if (r >= 0)
                hold(c, t);
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

/* A program as there are many: nobody knows whose file this is once it is dead. */
static void run_leak(struct crash_client *c)
{
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/leaked", c->tmp_dir);
        (void) write_path(path, CRASH_NEW);
}

static void run_meddle(struct crash_client *c)
{
        char path[PATH_MAX];

        (void) snprintf(path, sizeof(path), "%s/unrelated.txt", c->tmp_dir);
        (void) unlink(path);
}

const struct crash_scenario crash_scenarios[] = {
        { "named", "first file of a process: make, write, close", 0, NULL, run_named, NULL },
        { "hold", "a file that is never closed", 0, NULL, run_hold, NULL },
        { "directory", "make, files inside, close", 0, NULL, run_directory, NULL },
        { "hold-directory", "a directory that is never closed", 0, NULL, run_hold_directory, NULL },
        { "persist", "make, write, move into place", 0, prepare_persist, run_persist,
          fate_persist },
        { "persist-over", "the same over a file that is there", CRASH_FLAG_OVER, prepare_persist,
          run_persist, fate_persist },
        { "persist-directory", "the same with a directory", CRASH_FLAG_DIRECTORY, prepare_persist,
          run_persist_directory, fate_persist },
        { "persist-tree", "the same with a temporary in it", CRASH_FLAG_DIRECTORY, prepare_persist,
          run_persist_tree, fate_persist },
        { "keep", "make, write, keep", 0, NULL, run_keep, fate_keep },
        { "keep-directory", "the same with a directory", CRASH_FLAG_DIRECTORY, NULL,
          run_keep_directory, fate_keep },
        { "keep-tree", "the same with a temporary in it", CRASH_FLAG_DIRECTORY, NULL, run_keep_tree,
          fate_keep },
        { "hundredth", "make, write, close with 99 files held", 0, prepare_99, run_under_tag,
          NULL },
        { "pattern", "a name of the caller's choosing: make, write, close", 0, NULL, run_pattern,
          NULL },
        { "track", "a file that exists already", 0, prepare_track, run_track, fate_track },
        { "owner", "a file that another process owns", CRASH_FLAG_OWNER, NULL, run_owner, NULL },
        { "owner-pattern", "the same with a name of the caller's choosing", CRASH_FLAG_OWNER, NULL,
          run_owner_pattern, NULL },
        { "resume", "the first calls after the daemon was restarted", CRASH_FLAG_RESTART,
          prepare_mixed, run_resume, NULL },
        { "start", "the daemon's start with entries in its database", CRASH_FLAG_START,
          prepare_mixed, run_under_tag, NULL },
        { "leak", "self-test: a client that leaks", CRASH_FLAG_FAULTY, NULL, run_leak, NULL },
        { "meddle", "self-test: a foreign file vanishes", CRASH_FLAG_FAULTY, NULL, run_meddle,
          NULL },
        { NULL, NULL, 0, NULL, NULL, NULL },
};

const struct crash_scenario *crash_scenario_find(const char *name)
{
        for (const struct crash_scenario *s = crash_scenarios; s->name; s++)
                if (streq(s->name, name))
                        return s;
        return NULL;
}

int crash_client_main(const struct crash_scenario *s, struct crash_client *c, int control)
{
        char byte = 'r';
        int r;

        r = s->prepare ? s->prepare(c) : 0;
        if (r < 0) {
                note_wrong(c, "the preparation", r);
                return EXIT_FAILURE;
        }
        if (write(control, &byte, 1) != 1 || read(control, &byte, 1) != 1)
                return EXIT_FAILURE;

        trace_mark();
        s->run(c);
        if (byte == 'v')
                return EXIT_SUCCESS;

        byte = 'd';
        if (write(control, &byte, 1) != 1)
                return EXIT_FAILURE;
        (void) read(control, &byte, 1);
        return EXIT_SUCCESS;
}
