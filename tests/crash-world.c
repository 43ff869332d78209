/* SPDX-License-Identifier: MIT */

/*
 * The place that the scenarios play in: making it, resetting it, and the daemon in it. The look at
 * it afterwards is in crash-check.c.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/libtempfile-admin.h"
#include "libclient/util.h"
#include "tests/crash-check.h"
#include "tests/crash-world.h"

#define SETTLE_MSEC 30000

/* A killed process is no power cut: what the daemon writes need not wait for a disk that others may
 * keep busy. What it would wait for is decided by the clients' file system all the same. */
#define MEMORY "/dev/shm"

static int on_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static int remove_tree(const char *path)
{
        return nftw(path, on_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static uid_t give_to; /* nftw() has no argument for it */

static int on_give(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return lchown(path, give_to, give_to);
}

/* The directories are the clients', foreign files included: nothing but care protects them. */
static int give(struct crash_world *w)
{
        give_to = w->uid;
        if (nftw(w->tmp_dir, on_give, 16, FTW_PHYS) != 0 ||
            nftw(w->target_dir, on_give, 16, FTW_PHYS) != 0)
                return -errno;
        return 0;
}

int crash_world_become_user(const struct crash_world *w)
{
        if (w->uid == geteuid())
                return 0;
        if (setgroups(0, NULL) < 0 || setresgid(w->uid, w->uid, w->uid) < 0 ||
            setresuid(w->uid, w->uid, w->uid) < 0)
                return -errno;
        return 0;
}

/* Makes the directories with their foreign files. */
static int lay_out(struct crash_world *w)
{
        int r;

        (void) snprintf(w->tmp_dir, PATH_MAX, "%s/tmp", w->dir);
        (void) snprintf(w->target_dir, PATH_MAX, "%s/target", w->dir);
        if (mkdir(w->tmp_dir, 0700) < 0 || mkdir(w->target_dir, 0700) < 0 ||
            mkdir(w->daemon_dir, 0711) < 0)
                return -errno;

        r = crash_foreign_make(w->tmp_dir);
        if (r == 0)
                r = crash_foreign_make(w->target_dir);
        if (r == 0)
                r = daemon_fixture_init(&w->daemon, w->daemon_dir);
        if (r == 0 && w->uid != geteuid())
                r = give(w);
        return r;
}

static int watch(struct crash_world *w)
{
        const uint32_t mask = IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE;

        w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->inotify_fd < 0)
                return -errno;
        if (inotify_add_watch(w->inotify_fd, w->tmp_dir, mask) < 0)
                return -errno;
        return 0;
}

/* What crash_world_open() does in the directory. */
static int populate(struct crash_world *w)
{
        int r;

        if (mkdir(w->dir, 0711) < 0)
                return -errno;
        r = lay_out(w);
        if (r == 0)
                r = watch(w);
        if (r == 0 && w->has_daemon) {
                if (setenv("TEMPFILED_SOCKET", w->daemon.socket, 1) < 0)
                        return -ENOMEM;
                r = crash_world_start_daemon(w);
        }
        return r;
}

int crash_world_open(struct crash_world *w, bool has_daemon, uid_t uid)
{
        char dir[PATH_MAX / 4];
        const char *parent = getenv("TMPDIR") ?: "/tmp";
        int r;

        *w = (struct crash_world) {
                .has_daemon = has_daemon,
                .uid = uid,
                .inotify_fd = -1,
                .wait_msec = SETTLE_MSEC,
        };

        if (snprintf(dir, sizeof(dir), "%s/crashpoint-XXXXXX", parent) >= (int) sizeof(dir))
                return -ENAMETOOLONG;
        if (!mkdtemp(dir))
                return -errno;
        (void) rmdir(dir); /* the name is what was wanted: populate() makes it, now and again */
        (void) snprintf(w->dir, sizeof(w->dir), "%s", dir);
        (void) snprintf(w->daemon_dir, sizeof(w->daemon_dir), "%s/%s",
                        access(MEMORY, W_OK) == 0 ? MEMORY : parent, strrchr(dir, '/') + 1);
        if (access(MEMORY, W_OK) != 0)
                (void) strcat(w->daemon_dir, "-daemon");

        r = populate(w);
        if (r < 0)
                (void) snprintf(w->problem, sizeof(w->problem), "cannot prepare %s: %s", w->dir,
                                strerror(-r));
        return r;
}

void crash_world_close(struct crash_world *w)
{
        crash_world_kill_daemon(w, false);
        w->inotify_fd = close_fd(w->inotify_fd);
        if (w->dir[0] == '\0')
                return;
        (void) remove_tree(w->dir);
        (void) remove_tree(w->daemon_dir);
}

int crash_world_renew(struct crash_world *w)
{
        crash_world_close(w);
        return populate(w);
}

/* Empties a directory of all but the foreign files that are always there. */
static int clear(const char *dir)
{
        char path[PATH_MAX + 256];
        struct dirent *de;
        DIR *d;

        d = opendir(dir);
        if (!d)
                return -errno;
        while ((de = readdir(d))) {
                if (streq(de->d_name, ".") || streq(de->d_name, "..") ||
                    crash_foreign_is(de->d_name))
                        continue;
                (void) snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
                (void) remove_tree(path);
        }
        (void) closedir(d);
        return 0;
}

/* Databases that a salvage has set aside. */
static void clear_damaged(const struct crash_world *w)
{
        char path[PATH_MAX + 256];
        struct dirent *de;
        DIR *d;

        d = opendir(w->daemon.state_dir);
        while (d && (de = readdir(d))) {
                if (!strstr(de->d_name, CRASH_SET_ASIDE))
                        continue;
                (void) snprintf(path, sizeof(path), "%s/%s", w->daemon.state_dir, de->d_name);
                (void) unlink(path);
        }
        if (d)
                (void) closedir(d);
}

int crash_world_prepare(struct crash_world *w, const struct crash_scenario *s)
{
        char path[PATH_MAX];
        int r;

        w->problem[0] = '\0';
        clear_damaged(w);
        r = clear(w->tmp_dir);
        if (r == 0)
                r = clear(w->target_dir);
        if (r == 0 && (s->flags & CRASH_FLAG_OVER)) {
                (void) snprintf(path, PATH_MAX, "%.*s/final", PATH_MAX - 8, w->target_dir);
                r = crash_file_make(path, CRASH_OLD);
                if (r == 0 && w->uid != geteuid() && chown(path, w->uid, w->uid) < 0)
                        r = -errno;
        }
        if (r == 0 && w->has_daemon && w->daemon.pid == 0)
                r = crash_world_start_daemon(w);
        return r;
}

int crash_world_mark_damaged(struct crash_world *w)
{
        char path[PATH_MAX + 16];
        int r;

        (void) snprintf(path, sizeof(path), "%s/damaged", w->daemon.state_dir);
        r = crash_file_make(path, "");
        return r == -EEXIST ? 0 : r; /* by the daemon itself, of which a call has failed */
}

int crash_world_connect(struct crash_world *w)
{
        int r;

        r = tempfile_admin_open(w->daemon.socket, 0, &w->admin);
        if (r < 0)
                (void) snprintf(w->problem, sizeof(w->problem), "no connection to the daemon: %s",
                                strerror(-r));
        return r;
}

int crash_world_start_daemon(struct crash_world *w)
{
        int r;

        r = daemon_fixture_start(&w->daemon);
        if (r < 0) {
                (void) snprintf(w->problem, sizeof(w->problem), "the daemon does not start: %s",
                                strerror(-r));
                return r;
        }
        return crash_world_connect(w);
}

/* Does the log end with words that say why nothing goes on? */
static bool has_said_why(const struct crash_world *w)
{
        char line[512];
        bool said = false;
        FILE *f;

        f = fopen(w->daemon.log, "re");
        while (f && fgets(line, sizeof(line), f))
                said = strstr(line, "Cannot ") || strstr(line, "ending");
        if (f)
                (void) fclose(f);
        return said;
}

int crash_world_revive(struct crash_world *w)
{
        int status;

        if (w->daemon.pid <= 0)
                return crash_world_start_daemon(w) < 0 ? -ECHILD : 1;
        if (waitpid(w->daemon.pid, &status, WNOHANG) == 0)
                return 0;
        crash_world_kill_daemon(w, true);
        w->n_ended++;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FAILURE || !has_said_why(w)) {
                (void) snprintf(w->problem, sizeof(w->problem),
                                "the daemon ended by itself, status %#x", (unsigned int) status);
                return -ECHILD;
        }
        return crash_world_start_daemon(w) < 0 ? -ECHILD : 1;
}

void crash_world_kill_daemon(struct crash_world *w, bool is_reaped)
{
        tempfile_admin_close(TAKE_PTR(w->admin));
        if (is_reaped)
                daemon_fixture_forget(&w->daemon);
        else
                daemon_fixture_kill(&w->daemon);
}
