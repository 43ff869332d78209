/* SPDX-License-Identifier: MIT */

/*
 * Every function of the library once, in an order that a program might call them in. Uses the public
 * header alone, so that it can be compiled for another architecture, and runs under valgrind, which
 * does not know pidfd_open(2) everywhere. Needs a daemon, and $TMPDIR, which is empty afterwards.
 * Says what went wrong.
 */

#include <libtempfile-admin.h>
#include <libtempfile.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[4096];

static const char *in_top(const char *name)
{
        static char path[sizeof(top) + 64];

        (void) snprintf(path, sizeof(path), "%s/%s", top, name);
        return path;
}

static void check(int is_well, const char *what, int line)
{
        if (is_well)
                return;
        (void) fprintf(stderr, "tour.c:%d: %s: errno %d\n", line, what, errno);
        exit(1);
}
#define CHECK(what) check((what), #what, __LINE__)

static int has(const char *path, const char *text)
{
        char buf[64] = "";
        FILE *f = fopen(path, "r");

        if (!f)
                return 0;
        (void) !fgets(buf, sizeof(buf), f);
        (void) fclose(f);
        return strcmp(buf, text) == 0;
}

static void visit_files(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        FILE *f;
        int fd;

        o.prefix = "tour-";
        o.suffix = ".txt";
        o.mode = 0640;
        CHECK(tempfile_named(&o, &t) == 0);
        CHECK(tempfile_fd(t) > 2 && tempfile_is_guaranteed(t) == 1);
        CHECK(tempfile_stream(t, "w", 1, &f) == 0 && fputs("tour", f) >= 0);
        CHECK(tempfile_persist(t, in_top("persisted"), TEMPFILE_FSYNC) == 0);
        CHECK(tempfile_close_fd(t) == 0);
        CHECK(has(tempfile_path(t), "tour") && unlink(tempfile_path(t)) == 0);
        CHECK(tempfile_close(t) == 0);

        CHECK((fd = tempfile_unnamed(NULL)) >= 0 && write(fd, "tour", 4) == 4);
        CHECK(tempfile_unnamed_persist(fd, in_top("named"), TEMPFILE_NOREPLACE) == 0);
        CHECK(has(in_top("named"), "tour"));
        CHECK(tempfile_unnamed_persist(fd, in_top("named"), TEMPFILE_NOREPLACE) == -EEXIST);
        CHECK(unlink(in_top("named")) == 0 && close(fd) == 0);
        CHECK(tempfile_fopen(NULL, NULL, -1, &f) == 0 && fputs("tour", f) >= 0 && fclose(f) == 0);
}

static void visit_directories(void)
{
        TEMPFILE_AUTO_CLOSE struct tempfile *t = NULL;
        char name[TEMPFILE_NAME_SIZE];
        int fd;

        CHECK(tempfile_directory(NULL, &t) == 0);
        CHECK((fd = tempfile_arena_named(t, NULL, name)) >= 0 && close(fd) == 0);
        CHECK((fd = tempfile_arena_directory(t, NULL, name)) >= 0 && close(fd) == 0);
        CHECK(faccessat(tempfile_fd(t), name, F_OK, 0) == 0);
}

/* With a file in it that has no handle. */
static void visit_a_tree(void)
{
        char template[2 * sizeof(top)];
        struct tempfile *t;
        int fd;

        CHECK(tempfile_directory(NULL, &t) == 0);
        (void) snprintf(template, sizeof(template), "%s/tour-XXXXXX", tempfile_path(t));
        CHECK((fd = tempfile_mkstemp(template)) >= 0 && close(fd) == 0);
        CHECK(tempfile_persist(t, in_top("tree"), 0) == 0 && tempfile_close(t) == 0);
        (void) snprintf(template, sizeof(template), "rm -r '%s'", in_top("tree"));
        CHECK(system(template) == 0);
}

static int make_fifo(int dirfd, const char *name, const char *path, void *userdata)
{
        return mkfifoat(dirfd, name, 0600) < 0 ? -errno : 0;
}

static void visit_others(void)
{
        char template[sizeof(top) + 64], *dir;
        struct tempfile *t;
        int fd;

        CHECK(tempfile_make(NULL, TEMPFILE_KIND_OTHER, make_fifo, NULL, &t) == 0);
        CHECK(tempfile_close(t) == 0);
        CHECK(tempfile_mktemp(NULL, TEMPFILE_KIND_FILE, &t) == 0 && tempfile_close(t) == 0);
        (void) snprintf(template, sizeof(template), "%s", in_top("tour-XXXXXX"));
        CHECK((fd = tempfile_mkstemp(template)) >= 0 && close(fd) == 0);
        CHECK(tempfile_find(template, &t) == 0 && tempfile_keep(t) == 0);
        CHECK(tempfile_close(t) == 0 && unlink(template) == 0);
        (void) snprintf(template, sizeof(template), "%s", in_top("tour-XXXXXXXXXX"));
        CHECK(tempfile_mkdtemp(template) == 0);
        CHECK(tempfile_find(template, &t) == 0 && tempfile_close(t) == 0);
        CHECK(mkdir(in_top("tracked"), 0700) == 0);
        CHECK(tempfile_track(in_top("tracked"), NULL, &t) == 0 && tempfile_close(t) == 0);
        CHECK(tempfile_gettempdir(&dir) == 0 && strcmp(dir, top) == 0);
        CHECK(tempfile_settempdir(dir) == 0);
        free(dir);
        CHECK(tempfile_gettempprefix()[0] == 't');
        CHECK(tempfile_socket_paths(&dir) == 0);
        free(dir);
}

static void visit_spooled(void)
{
        TEMPFILE_AUTO_CLOSE_SPOOLED struct tempfile_spooled *s = NULL;

        CHECK(tempfile_spooled(NULL, 4, &s) == 0 && tempfile_spooled_fd(s) > 2);
        CHECK(tempfile_spooled_write(s, "tour", 4) == 0 && tempfile_spooled_check(s) == 0);
        CHECK(tempfile_spooled_write(s, "+", 1) == 0 && tempfile_spooled_check(s) == 1);
        CHECK(tempfile_spooled_rollover(s) == 0);
}

static int count_item(const struct tempfile_item *item, void *userdata)
{
        ++*(int *) userdata;
        return 0;
}

static void visit_owners(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct tempfile *t;
        char *path;
        int fd, n = 0;

        fd = tempfile_token_new(0, &o.token);
        o.owner_kind = TEMPFILE_OWNER_TOKEN;
        CHECK(fd >= 0 && tempfile_named(NULL, &t) == 0);
        CHECK(tempfile_share_with(t, &o) == 0 && tempfile_list(count_item, &n) == 1 && n == 1);
        CHECK(tempfile_keep(t) == 0 && unlink(tempfile_path(t)) == 0 && tempfile_close(t) == 0);
        CHECK(tempfile_named(&o, &t) == 0 && unlink(tempfile_path(t)) == 0);
        CHECK(tempfile_close(t) == 0 && close(fd) == 0);

        o = (struct tempfile_options) TEMPFILE_OPTIONS_INIT;
        o.retain_sec = 60;
        CHECK(tempfile_directory(&o, &t) == 0 && tempfile_retain(t, 0) == 0);
        CHECK(tempfile_release(t) == 0 || tempfile_close(t) == 0);

        o = (struct tempfile_options) TEMPFILE_OPTIONS_INIT;
        CHECK(tempfile_named(NULL, &t) == 0);
        o.owner_kind = TEMPFILE_OWNER_LEASE;
        o.lease_sec = 4000000000U; /* more than 31 bits of seconds */
        CHECK(tempfile_give_to(t, &o) == 0 && tempfile_renew(t, 60) == 0);
        CHECK(unlink(tempfile_path(t)) == 0 && tempfile_close(t) == 0);

        CHECK((fd = tempfile_pseudo_file(NULL, &path)) >= 0 && unlink(path) == 0);
        free(path);
        CHECK(close(fd) == 0);
        CHECK((fd = tempfile_pseudo_directory(NULL, &path)) >= 0 && rmdir(path) == 0);
        free(path);
        CHECK(close(fd) == 0);
}

static int find_tours(const struct tempfile_entry *e, void *userdata)
{
        if (strcmp(e->path, in_top("tracked")) == 0 && e->uid == getuid() &&
            e->pid == (uint32_t) getpid() && e->kind == TEMPFILE_KIND_FILE)
                *(uint64_t *) userdata = e->id;
        return 0;
}

/* The daemon's view. */
static void visit_the_daemon(void)
{
        struct tempfile_admin_owner owner = { sizeof(owner), TEMPFILE_OWNER_LEASE, -1, 60, 0 };
        struct tempfile_filter filter = { sizeof(filter), TEMPFILE_LIST_PID, 0, 0 };
        struct tempfile_status status = { .size = sizeof(status) };
        struct tempfile_admin *a;
        struct tempfile *t;
        uint64_t id = 0;
        int fd;

        CHECK((fd = open(in_top("tracked"), O_CREAT | O_WRONLY, 0600)) >= 0 && close(fd) == 0);
        CHECK(tempfile_track(in_top("tracked"), NULL, &t) == 0);
        CHECK(tempfile_admin_open(NULL, 0, &a) == 0);
        CHECK(tempfile_admin_status(a, &status) == 0 && status.live > 0 && status.pid > 0);
        filter.pid = (uint32_t) getpid();
        CHECK(tempfile_admin_list(a, &filter, find_tours, &id) > 0 && id != 0);
        CHECK(tempfile_admin_retain(a, id, 1) == 0);
        CHECK(tempfile_admin_give(a, id, &owner) == 0 && tempfile_admin_renew(a, id, 60) == 0);
        CHECK(tempfile_admin_reap(a, id, TEMPFILE_REAP_FORCE) == 1);
        CHECK(access(in_top("tracked"), F_OK) < 0);
        CHECK(tempfile_admin_keep(a, id) == -ENOENT);
        tempfile_admin_close(a);
        CHECK(tempfile_close(t) == 0);
}

/* In the child nothing of the parent's is touched; both free what is theirs. */
static void visit_a_child(void)
{
        struct tempfile *t, *own;
        int status = -1;
        pid_t pid;

        CHECK(tempfile_named(NULL, &t) == 0);
        pid = fork();
        if (pid == 0) {
                CHECK(tempfile_keep(t) == -EPERM && tempfile_close(t) == 0);
                CHECK(tempfile_named(NULL, &own) == 0 && tempfile_close(own) == 0);
                exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(access(tempfile_path(t), F_OK) == 0 && tempfile_close(t) == 0);
}

int main(void)
{
        const char *dir = getenv("TMPDIR");

        CHECK(dir != NULL);
        (void) snprintf(top, sizeof(top), "%s", dir);
        visit_files();
        visit_directories();
        visit_a_tree();
        visit_others();
        visit_spooled();
        visit_owners();
        visit_the_daemon();
        visit_a_child();
        return 0;
}
