/* SPDX-License-Identifier: MIT */

/*
 * Worlds, victims, waiting; see the header. Names that vanish are seen by inotify, so that a wait
 * ends at once when it can and a slow machine only makes it longer.
 */

#include "tests/testutil.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"

/* ---- worlds ----------------------------------------------------------------------------------- */

void world_init(struct world *w)
{
        *w = (struct world) { .top = "/tmp/tempfiled-test-XXXXXX" };
        ck_assert_ptr_nonnull(mkdtemp(w->top));
        ck_assert_int_eq(chmod(w->top, 0711), 0); /* other users take part in some tests */
        (void) snprintf(w->dir, sizeof(w->dir), "%s/dir", w->top);
        ck_assert_int_eq(mkdir(w->dir, 0700), 0);
        ck_assert_int_eq(daemon_fixture_init(&w->daemon, w->top), 0);
        ck_assert_int_eq(setenv("TEMPFILED_SOCKET", w->daemon.socket, 1), 0);
}

struct tempfile_options world_options(const struct world *w)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.dir = w->dir;
        o.timeout_msec = WORLD_WAIT_MSEC;
        return o;
}

static void show_log(const char *path)
{
        char line[512];
        FILE *f = fopen(path, "re");

        if (!f)
                return;
        while (fgets(line, sizeof(line), f))
                (void) fprintf(stderr, "# %s", line);
        (void) fclose(f);
}

void world_start_daemon(struct world *w)
{
        int r = daemon_fixture_start(&w->daemon);

        if (r < 0)
                show_log(w->daemon.log);
        ck_assert_msg(r == 0, "The daemon does not start: %s", strerror(-r));
}

void world_kill_daemon(struct world *w)
{
        daemon_fixture_kill(&w->daemon);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        if (type == FTW_D || type == FTW_DNR)
                (void) chmod(path, 0700);
        return 0;
}

void world_done(struct world *w)
{
        daemon_fixture_kill(&w->daemon);
        (void) nftw(w->top, open_up, 16, FTW_PHYS);
        (void) nftw(w->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *world_path(const struct world *w, const char *name)
{
        static char paths[4][PATH_MAX + NAME_MAX + 2];
        static unsigned int n;
        char *path = paths[n++ % ARRAY_SIZE(paths)];

        (void) snprintf(path, sizeof(paths[0]), "%s/%s", w->dir, name);
        return path;
}

/* ---- victims ---------------------------------------------------------------------------------- */

void victim_start(struct victim *v, int (*body)(int to, void *userdata), void *userdata)
{
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        (void) fflush(NULL);
        v->pid = fork();
        ck_assert_int_ge(v->pid, 0);
        if (v->pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (int sig = 1; sig < SIGRTMIN; sig++) /* Check's and sanitizers' handlers */
                        (void) signal(sig, SIG_DFL);
                (void) close(ends[0]);
                _exit(body(ends[1], userdata));
        }
        (void) close(ends[1]);
        v->from = ends[0];
}

void victim_say(int to, const char *text)
{
        const size_t size = strlen(text) + 1;

        if (write(to, text, size) != (ssize_t) size)
                _exit(127);
}

void victim_wait(void)
{
        for (;;)
                (void) pause();
}

bool victim_hear(struct victim *v, char *buf, size_t size)
{
        for (size_t n = 0; n < size; n++) {
                if (read(v->from, buf + n, 1) != 1)
                        return false;
                if (buf[n] == '\0')
                        return true;
        }
        return false;
}

int victim_join(struct victim *v)
{
        int status = -1;

        if (waitpid(v->pid, &status, 0) != v->pid)
                status = -1;
        v->from = close_fd(v->from);
        v->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void victim_kill(struct victim *v, int sig)
{
        (void) kill(v->pid, sig);
        (void) victim_join(v);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static int64_t now_msec(void)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for a name to leave @dir until @is_there() says that it is over. */
static bool wait_in(const char *dir, bool (*is_over)(const char *subject, unsigned int n),
                    const char *subject, unsigned int n)
{
        const int64_t end = now_msec() + WORLD_WAIT_MSEC;
        _cleanup_(closep) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        struct pollfd p = { .fd = fd, .events = POLLIN };
        char events[4096];

        if (inotify_add_watch(fd, dir, IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF) < 0)
                return is_over(subject, n);
        for (;;) {
                if (is_over(subject, n))
                        return true;
                if (now_msec() >= end)
                        return false;
                (void) poll(&p, 1, (int) MAX(end - now_msec(), 0));
                while (read(fd, events, sizeof(events)) > 0)
                        ;
        }
}

bool path_exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

void be_heard(const struct tempfile_options *o)
{
        struct tempfile *t;

        ck_assert_int_eq(tempfile_named(o, &t), 0);
        ck_assert_int_eq(tempfile_keep(t), 0);
        ck_assert_int_eq(unlink(tempfile_path(t)), 0);
        ck_assert_int_eq(tempfile_close(t), 0);
}

unsigned int count_files(const char *dir)
{
        unsigned int n = 0;
        struct dirent *e;
        DIR *d = opendir(dir);

        if (!d)
                return 0;
        while ((e = readdir(d)))
                n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
        (void) closedir(d);
        return n;
}

static bool is_gone(const char *path, unsigned int n)
{
        return !path_exists(path);
}

bool wait_gone(const char *path)
{
        _cleanup_(freep) char *dir = strndup(path, (size_t) (strrchr(path, '/') - path));

        return wait_in(dir, is_gone, path, 0);
}

static bool has_left(const char *dir, unsigned int n)
{
        return count_files(dir) <= n;
}

bool wait_left(const char *dir, unsigned int n)
{
        return wait_in(dir, has_left, dir, n);
}

static int pass_over(const struct tempfile_entry *e, void *userdata)
{
        return 0;
}

/* Each question takes its time at the daemon: this does not spin on its own. */
bool wait_list_length(unsigned int length)
{
        const int64_t end = now_msec() + WORLD_WAIT_MSEC;
        struct tempfile_admin *a;
        int64_t n = -1;

        if (tempfile_admin_open(NULL, 0, &a) < 0)
                return false;
        while (n != length && now_msec() < end)
                n = tempfile_admin_list(a, NULL, pass_over, NULL);
        tempfile_admin_close(a);
        return n == length;
}

bool wait_list_empty(void)
{
        return wait_list_length(0);
}

/* ---- files ------------------------------------------------------------------------------------ */

void write_file(const char *path, const char *text)
{
        FILE *f = fopen(path, "we");

        ck_assert_msg(f, "%s: %s", path, strerror(errno));
        ck_assert_int_ge(fputs(text, f), 0);
        ck_assert_int_eq(fclose(f), 0);
}

bool file_has(const char *path, const char *text)
{
        char buf[4096];
        FILE *f = fopen(path, "re");
        size_t n;

        if (!f)
                return false;
        n = fread(buf, 1, sizeof(buf), f);
        (void) fclose(f);
        return n == strlen(text) && memcmp(buf, text, n) == 0;
}

/* ---- skipping --------------------------------------------------------------------------------- */

static void pass_over_test(int i)
{
}

/* TAP says it in the test's name; both have to live as long as the suite does. */
void add_unless(TCase *c, const char *reason, const TTest *test)
{
        static struct {
                TTest test;
                char name[256];
        } skipped[128];
        static unsigned int n;

        if (!reason) {
                tcase_add_test(c, test);
                return;
        }
        if (n == ARRAY_SIZE(skipped))
                abort();
        (void) snprintf(skipped[n].name, sizeof(skipped[n].name), "%s # SKIP %s", test->name,
                        reason);
        skipped[n].test = *test;
        skipped[n].test.name = skipped[n].name;
        skipped[n].test.fn = pass_over_test;
        tcase_add_test(c, &skipped[n++].test);
}

const char *unless_root(void)
{
        return geteuid() == 0 ? NULL : "needs root";
}

const char *unless_ordinary(void)
{
        return geteuid() != 0 ? NULL : "root may do all; run as an ordinary user";
}
