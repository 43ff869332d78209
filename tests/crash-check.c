/* SPDX-License-Identifier: MIT */

/*
 * The look at a crash_world after a crash. What may still be on its way (a file to be deleted, an
 * entry to leave the list) is waited for, by inotify and by asking again at short intervals, and
 * only for so long; the rest is compared once that has settled.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/crash-check.h"
#include "tests/crash-world.h"

#define HELP_MSEC 1500 /* then a daemon that has not dealt with all of it is restarted */

enum contents { CONTENTS_MISSING, CONTENTS_EQUAL, CONTENTS_CUT, CONTENTS_OTHER };

static const struct {
        const char *name;
        const char *contents; /* NULL: a directory */
} foreign[] = {
        { "unrelated.txt", "nothing to do with anybody\n" },
        { ".hidden", "hidden\n" },
        { "tmp", "just the prefix\n" },
        { "tmpa1b2c3", "as mkstemp() would call it\n" },
        { "tmp0123456789AB0123456789A.txt", "as long as a mark, and none\n" },
        { "other", NULL },
        { "other/unrelated.bak", "in a directory\n" },
};

__attribute__((format(printf, 2, 3))) static bool problem(struct crash_world *w, const char *format,
                                                          ...)
{
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(w->problem, sizeof(w->problem), format, ap);
        va_end(ap);
        return false;
}

int crash_file_make(const char *path, const char *contents)
{
        _cleanup_(closep) int fd = -1;

        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (write(fd, contents, strlen(contents)) != (ssize_t) strlen(contents))
                return -EIO;
        return 0;
}

int crash_foreign_make(const char *dir)
{
        char path[PATH_MAX + 64];
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(foreign) && r == 0; i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", dir, foreign[i].name);
                if (foreign[i].contents)
                        r = crash_file_make(path, foreign[i].contents);
                else
                        r = mkdir(path, 0700) < 0 ? -errno : 0;
        }
        return r;
}

bool crash_foreign_is(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
                if (streq(foreign[i].name, name))
                        return true;
        return false;
}

static enum contents compare(const char *path, const char *contents)
{
        _cleanup_(closep) int fd = -1;
        char buf[256];
        ssize_t n;

        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? CONTENTS_MISSING : CONTENTS_OTHER;
        n = read(fd, buf, sizeof(buf));
        if (n < 0 || memcmp(buf, contents, MIN((size_t) n, strlen(contents))) != 0)
                return CONTENTS_OTHER;
        if ((size_t) n == strlen(contents))
                return CONTENTS_EQUAL;
        return (size_t) n < strlen(contents) ? CONTENTS_CUT : CONTENTS_OTHER;
}

static bool is_foreign_untouched(struct crash_world *w, const char *dir)
{
        char path[PATH_MAX + 64];
        struct stat st;

        for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", dir, foreign[i].name);
                if (foreign[i].contents ? compare(path, foreign[i].contents) != CONTENTS_EQUAL
                                        : lstat(path, &st) < 0)
                        return problem(w, "foreign file touched: %s", path);
        }
        return true;
}

/* The copies that the client made itself: one that it was killed over may be cut short. */
static bool are_copies_untouched(struct crash_world *w, const struct crash_report *r)
{
        for (unsigned int i = 0; i < r->n_copies; i++) {
                const char *path = r->copies[i].path;
                enum contents c = compare(path, CRASH_COPY);

                if (c == CONTENTS_OTHER ||
                    (r->copies[i].progress == CRASH_DONE && c != CONTENTS_EQUAL))
                        return problem(w, "foreign copy touched: %s", path);
        }
        return true;
}

static bool is_copy(const struct crash_report *r, const char *path)
{
        for (unsigned int i = 0; i < r->n_copies; i++)
                if (streq(r->copies[i].path, path))
                        return true;
        return false;
}

/* Is nothing in the directory but what may be there? */
static bool is_swept(struct crash_world *w, const char *dir, const struct crash_scenario *s,
                     const struct crash_report *r)
{
        char path[PATH_MAX + 256];
        struct dirent *de;
        bool ok = true;
        DIR *d;

        d = opendir(dir);
        if (!d)
                return problem(w, "%s: %s", dir, strerror(errno));
        while (ok && (de = readdir(d))) {
                if (streq(de->d_name, ".") || streq(de->d_name, "..") ||
                    crash_foreign_is(de->d_name))
                        continue;
                (void) snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
                if (streq(path, r->subject) &&
                    (crash_scenario_fate(s, r) != CRASH_GONE || (s->flags & CRASH_FLAG_OVER)))
                        continue;
                ok = is_copy(r, path) || problem(w, "left behind: %s", path);
        }
        (void) closedir(d);
        return ok;
}

/* What the list says, compared with what it may say. */
struct listing {
        struct crash_world *world;
        const char *allowed; /* the path of the one entry that may be there */
        uint64_t expires_usec;
        unsigned int n_wrong;
};

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct listing *l = userdata;

        if (streq(e->path, l->allowed)) {
                l->expires_usec = e->expires_usec;
                return 0;
        }
        l->n_wrong++;
        (void) problem(l->world, "still listed: %s, state %u, error %d", e->path, e->state,
                       e->error);
        return 0;
}

static uint64_t now_usec(clockid_t clock)
{
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / NSEC_PER_USEC;
}

static uint64_t deadline_of(const struct crash_world *w)
{
        return now_usec(CLOCK_MONOTONIC) + (uint64_t) w->wait_msec * USEC_PER_MSEC;
}

/* A lease ends when it was promised to: as before the change, or as after it. */
static bool is_lease_right(struct crash_world *w, const struct crash_report *r,
                           uint64_t expires_usec)
{
        const uint64_t now = now_usec(CLOCK_REALTIME);
        uint64_t left = expires_usec > now ? (expires_usec - now) / USEC_PER_SEC : 0;
        bool is_old, is_new;

        if (r->expires_sec[0] == 0 || r->others_have_ended)
                return true;
        is_old = left <= r->expires_sec[0];
        is_new = left > r->expires_sec[0] && left <= r->expires_sec[1];
        switch (r->change.progress) {
        case CRASH_NOT_YET:
                return is_old || problem(w, "renewed too early: %" PRIu64 " s are left", left);
        case CRASH_DONE:
                return is_new || problem(w, "not renewed: %" PRIu64 " s are left", left);
        default:
                return is_old || is_new || problem(w, "neither: %" PRIu64 " s are left", left);
        }
}

/* Is nothing listed but what others than the client have by now? */
static bool is_list_right(struct crash_world *w, const struct crash_scenario *s,
                          const struct crash_report *r)
{
        bool has_others = (s->flags & CRASH_FLAG_OTHERS) && !r->others_have_ended;
        struct listing l = { .world = w, .allowed = "" };
        int64_t n;

        if (!w->has_daemon)
                return true;
        if (has_others && crash_scenario_fate(s, r) != CRASH_GONE)
                l.allowed = r->subject;
        n = tempfile_admin_list(w->admin, NULL, on_entry, &l);
        if (n < 0)
                return problem(w, "the daemon can't be asked: %s", strerror((int) -n));
        return l.n_wrong == 0 && is_lease_right(w, r, l.expires_usec);
}

/*
 * What has failed once is planned for later, or ended the daemon: asks for it now. What was to be
 * looked at again in a minute only (a directory to be swept) comes with a restart.
 */
static void help(struct crash_world *w, uint64_t deadline_usec, bool *has_restarted)
{
        const uint64_t patience =
                deadline_usec - (uint64_t) w->wait_msec * USEC_PER_MSEC + HELP_MSEC * USEC_PER_MSEC;

        if (crash_world_revive(w) != 0)
                return;
        (void) tempfile_admin_reap(w->admin, 0, 0); /* what still fails is seen */
        if (*has_restarted || now_usec(CLOCK_MONOTONIC) < patience)
                return;
        *has_restarted = true;
        w->n_restarted++;
        crash_world_kill_daemon(w, false);
        (void) crash_world_start_daemon(w); /* else it can't be asked */
}

/* Waits until everything that is going to be gone is. */
static bool settle(struct crash_world *w, const struct crash_scenario *s,
                   const struct crash_report *r)
{
        struct pollfd p = { .fd = w->inotify_fd, .events = POLLIN };
        uint64_t deadline_usec = deadline_of(w);
        bool has_restarted = false;
        int step = 1;
        char buf[4096];

        for (;;) {
                while (read(w->inotify_fd, buf, sizeof(buf)) > 0)
                        ; /* before looking: what comes later wakes us */
                if (is_swept(w, w->tmp_dir, s, r) && is_swept(w, w->target_dir, s, r) &&
                    is_list_right(w, s, r))
                        return true;
                if (now_usec(CLOCK_MONOTONIC) >= deadline_usec)
                        return false;
                if (w->is_helped && step > 1)
                        help(w, deadline_usec, &has_restarted);
                (void) poll(&p, 1, step);
                step = MIN(step * 2, 50);
        }
}

/* The contents of the subject: of the file itself, or of the one inside. */
static enum contents subject_contents(const struct crash_scenario *s, const struct crash_report *r,
                                      const char *contents)
{
        char path[PATH_MAX + 16];

        (void) snprintf(path, sizeof(path), "%s%s", r->subject,
                        s->flags & CRASH_FLAG_DIRECTORY ? "/deeper/file" : "");
        return compare(path, contents);
}

static bool is_inside_there(const struct crash_report *r)
{
        char path[PATH_MAX + NAME_MAX + 2];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%s/%s", r->subject, r->inside);
        return r->inside[0] == '\0' || lstat(path, &st) == 0;
}

/* Exactly one outcome, and the one that was promised where one was. */
static bool is_subject_right(struct crash_world *w, const struct crash_scenario *s,
                             const struct crash_report *r)
{
        bool is_over = s->flags & CRASH_FLAG_OVER, is_new, is_old;
        struct stat st;

        if (!s->fate || r->subject[0] == '\0')
                return true; /* has none, or it is not known */
        is_new = subject_contents(s, r, CRASH_NEW) == CONTENTS_EQUAL && is_inside_there(r);
        is_old = is_over ? subject_contents(s, r, CRASH_OLD) == CONTENTS_EQUAL
                         : lstat(r->subject, &st) < 0;

        switch (crash_scenario_fate(s, r)) {
        case CRASH_GONE:
                return is_old || problem(w, "must be gone: %s", r->subject);
        case CRASH_STAYS:
                return is_new || problem(w, "must be there: %s", r->subject);
        default:
                return is_old || is_new || problem(w, "half done: %s", r->subject);
        }
}

bool crash_world_has_subject(struct crash_world *w, const struct crash_scenario *s,
                             const struct crash_report *r)
{
        struct stat st;

        return crash_scenario_fate(s, r) != CRASH_STAYS || lstat(r->subject, &st) == 0 ||
               problem(w, "deleted though others have it: %s", r->subject);
}

struct leases {
        uint64_t id;           /* one of them; 0: there are none */
        unsigned int n_others; /* entries that go by themselves */
};

static int on_leased(const struct tempfile_entry *e, void *userdata)
{
        struct leases *l = userdata;

        if (e->owner_kind == TEMPFILE_OWNER_LEASE || e->state == TEMPFILE_STATE_RETAINED)
                l->id = e->id;
        else
                l->n_others++;
        return 0;
}

/* What the client had asked for last is perhaps only now being dealt with: so the rest goes first. */
bool crash_world_end_leases(struct crash_world *w)
{
        uint64_t deadline_usec = deadline_of(w);
        struct leases l;
        int64_t n;

        for (;;) {
                l = (struct leases) { 0 };
                n = tempfile_admin_list(w->admin, NULL, on_leased, &l);
                if (n > 0 && l.n_others == 0)
                        n = tempfile_admin_reap(w->admin, l.id, TEMPFILE_REAP_FORCE);
                if (n < 0 && w->is_helped && now_usec(CLOCK_MONOTONIC) < deadline_usec) {
                        (void) crash_world_revive(w); /* it may be on its way to its end */
                        (void) poll(NULL, 0, 1);
                        continue;
                }
                if (n <= 0)
                        break;
                if (now_usec(CLOCK_MONOTONIC) >= deadline_usec)
                        return problem(w, "left beside the lease: %u entries", l.n_others);
                (void) poll(NULL, 0, 1);
        }
        return n == 0 || problem(w, "the lease can't be ended: %s", strerror((int) -n));
}

bool crash_world_has_held(struct crash_world *w, const struct crash_report *r)
{
        struct stat st;

        for (unsigned int i = 0; i < r->n_held; i++)
                if (lstat(r->held[i], &st) < 0)
                        return problem(w, "deleted under its owner's feet: %s", r->held[i]);
        return true;
}

/* Something was being made for others, and nobody can tell under which name. */
static bool is_unknown(const struct crash_scenario *s, const struct crash_report *r)
{
        return (s->flags & CRASH_FLAG_OTHERS) && !r->others_have_ended && r->subject[0] == '\0' &&
               crash_scenario_fate(s, r) != CRASH_GONE;
}

bool crash_world_is_clean(struct crash_world *w, const struct crash_scenario *s,
                          const struct crash_report *r)
{
        if (r->wrong_result < 0)
                return problem(w, "%s failed: %s", r->wrong_call, strerror(-r->wrong_result));
        return (is_unknown(s, r) || settle(w, s, r)) && is_foreign_untouched(w, w->tmp_dir) &&
               is_foreign_untouched(w, w->target_dir) && are_copies_untouched(w, r) &&
               is_subject_right(w, s, r);
}

static bool is_database(const char *path)
{
        _cleanup_(closep) int fd = -1;
        char magic[16];

        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        return fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t) sizeof(magic) &&
               memcmp(magic, "SQLite format 3", sizeof(magic)) == 0;
}

static int on_integrity(void *userdata, int n, char **values, char **names)
{
        char *first = userdata;

        if (first[0] == '\0' && n > 0 && values[0])
                (void) snprintf(first, 256, "%s", values[0]);
        return 0;
}

static bool is_sound(struct crash_world *w, const char *path)
{
        char first[256] = "";
        sqlite3 *db = NULL;
        bool ok;

        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK)
                (void) sqlite3_busy_timeout(db, 5000);
        (void) sqlite3_exec(db, "PRAGMA integrity_check", on_integrity, first, NULL);
        ok = streq(first, "ok") ||
             problem(w, "%s: %s", path, first[0] ? first : sqlite3_errmsg(db));
        (void) sqlite3_close(db);
        return ok;
}

bool crash_world_is_database_sound(struct crash_world *w)
{
        char path[PATH_MAX + 256];
        unsigned int n = 0;
        struct dirent *de;
        bool ok = true;
        DIR *d;

        if (!w->has_daemon)
                return true;
        d = opendir(w->daemon.state_dir);
        if (!d)
                return problem(w, "%s: %s", w->daemon.state_dir, strerror(errno));
        while (ok && (de = readdir(d))) {
                (void) snprintf(path, sizeof(path), "%s/%s", w->daemon.state_dir, de->d_name);
                if (strstr(de->d_name, CRASH_SET_ASIDE) || !is_database(path))
                        continue;
                n++;
                ok = is_sound(w, path);
        }
        (void) closedir(d);
        return ok && (n == 1 || problem(w, "%u databases in %s", n, w->daemon.state_dir));
}
