/* SPDX-License-Identifier: MIT */

/* A client of the property test; see the header. */

#include "tests/property-client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"

#define THINGS_MAX 64U
#define BURST 100U
#define PATIENCE_MSEC 30000U

struct held {
        uint32_t thing; /* 0: none */
        struct tempfile *t;
        int fd;
};

static struct held held[THINGS_MAX];
static int control = -1;

/* ---- what tells a file again ---- */

static int write_text(int fd, uint32_t text)
{
        return dprintf(fd, "thing %u\n", text) > 0 ? 0 : -EIO;
}

int property_write(const char *path, uint32_t text)
{
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : write_text(fd, text);
}

static uint32_t read_text(const char *path)
{
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        char buf[64] = "";
        uint32_t text = 0;

        if (fd >= 0 && read(fd, buf, sizeof(buf) - 1) > 0)
                (void) sscanf(buf, "thing %u\n", &text);
        return text;
}

uint32_t property_read(const char *path)
{
        char inner[PATH_MAX];
        struct stat st;

        if (lstat(path, &st) < 0)
                return 0;
        if (!S_ISDIR(st.st_mode))
                return read_text(path);
        (void) snprintf(inner, sizeof(inner), "%s/text", path);
        return read_text(inner);
}

static int write_inside(const char *path, uint32_t text)
{
        char inner[PATH_MAX];

        (void) snprintf(inner, sizeof(inner), "%s/text", path);
        return property_write(inner, text);
}

/* ---- what is held ---- */

static struct held *find(uint32_t thing)
{
        for (unsigned int i = 0; i < THINGS_MAX; i++)
                if (held[i].thing == thing)
                        return &held[i];
        return NULL;
}

static int hold(uint32_t thing, struct tempfile *t, int fd)
{
        struct held *h = find(0);

        if (!h)
                return -ENFILE;
        *h = (struct held) { thing, t, fd };
        return 0;
}

static void let_go(struct held *h)
{
        *h = (struct held) { .fd = -1 };
}

/* An answer may wait for a disk that others keep busy. */
static struct tempfile_options patient_options(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.timeout_msec = PATIENCE_MSEC;
        return o;
}

static struct tempfile_options options_of(const struct property_command *c)
{
        struct tempfile_options o = patient_options();

        o.dir = c->dir;
        o.prefix = *c->prefix ? c->prefix : NULL;
        o.suffix = *c->suffix ? c->suffix : NULL;
        o.pattern = *c->pattern ? c->pattern : NULL;
        return o;
}

/* ---- making ---- */

static int make(const struct property_command *c, struct property_answer *a)
{
        struct tempfile_options o = options_of(c);
        struct tempfile *t = NULL;
        int r;

        r = c->op == OP_DIRECTORY ? tempfile_directory(&o, &t) : tempfile_named(&o, &t);
        if (r < 0)
                return r;
        (void) snprintf(a->path, sizeof(a->path), "%s", tempfile_path(t));
        r = c->op == OP_DIRECTORY ? write_inside(a->path, c->text)
                                  : write_text(tempfile_fd(t), c->text);
        return r < 0 ? r : hold(c->thing, t, -1);
}

static int make_by_template(const struct property_command *c, struct property_answer *a)
{
        _cleanup_(closep) int fd = -1;

        (void) snprintf(a->path, sizeof(a->path), "%.100s/%.60s", c->dir, c->pattern);
        fd = tempfile_mkstemp(a->path);
        return fd < 0 ? fd : write_text(fd, c->text);
}

static int make_pseudo(const struct property_command *c, struct property_answer *a)
{
        bool is_directory = c->op == OP_PSEUDO_DIRECTORY;
        struct tempfile_options o = options_of(c);
        _cleanup_(freep) char *path = NULL;
        int fd, r;

        fd = is_directory ? tempfile_pseudo_directory(&o, &path) : tempfile_pseudo_file(&o, &path);
        if (fd < 0)
                return fd;
        (void) snprintf(a->path, sizeof(a->path), "%s", path);
        r = is_directory ? write_inside(path, c->text) : write_text(fd, c->text);
        return r < 0 ? r : hold(c->thing, NULL, fd);
}

static int track(const struct property_command *c)
{
        bool is_directory = c->op == OP_TRACK_DIRECTORY;
        struct tempfile_options o = patient_options();
        char inner[PATH_MAX];
        struct tempfile *t = NULL;
        int r;

        if (is_directory)
                r = mkdir(c->path, 0700) < 0 ? -errno : write_inside(c->path, c->text);
        else
                r = property_write(c->path, c->text);
        if (r < 0)
                return r;
        r = tempfile_track(c->path, &o, &t);
        if (r == 0)
                return hold(c->thing, t, -1);
        (void) snprintf(inner, sizeof(inner), "%s/text", c->path);
        if (is_directory)
                (void) unlink(inner);
        (void) (is_directory ? rmdir(c->path) : unlink(c->path));
        return r;
}

static int burst(const struct property_command *c)
{
        struct tempfile_options o = options_of(c);
        struct tempfile *t;
        int r = 0;

        for (unsigned int i = 0; r == 0 && i < BURST; i++) {
                r = tempfile_named(&o, &t);
                if (r == 0)
                        r = tempfile_close(t);
        }
        return r;
}

static int make_inside(const struct property_command *c)
{
        struct tempfile_options o = patient_options();
        struct tempfile *t;
        int r;

        o.dir = c->path;
        r = tempfile_named(&o, &t);
        return r < 0 ? r : tempfile_release(t);
}

/* ---- whose it is ---- */

static int claim(const struct property_command *c, struct tempfile *t, int pidfd)
{
        struct tempfile_options o = patient_options();

        switch (c->op) {
        case OP_GIVE:
                return tempfile_give(t, pidfd);
        case OP_SHARE:
                return tempfile_share(t, pidfd);
        case OP_GIVE_TOKEN:
        case OP_SHARE_TOKEN:
                o.owner_kind = TEMPFILE_OWNER_TOKEN;
                o.token = c->token;
                break;
        case OP_GIVE_LEASE:
        case OP_SHARE_LEASE:
                o.owner_kind = TEMPFILE_OWNER_LEASE;
                o.lease_sec = PROPERTY_LEASE_SEC;
                break;
        default:
                o.owner_kind = TEMPFILE_OWNER_BOOT;
        }
        return c->op == OP_SHARE_TOKEN || c->op == OP_SHARE_LEASE ? tempfile_share_with(t, &o)
                                                                  : tempfile_give_to(t, &o);
}

static bool ends_holding(uint32_t op)
{
        return op == OP_GIVE || op == OP_GIVE_TOKEN || op == OP_GIVE_LEASE || op == OP_GIVE_BOOT ||
               op == OP_KEEP || op == OP_PERSIST;
}

static int change(const struct property_command *c, struct held *h, int pidfd)
{
        switch (c->op) {
        case OP_PERSIST:
                return tempfile_persist(h->t, c->path, c->flags);
        case OP_KEEP:
                return tempfile_keep(h->t);
        case OP_RETAIN:
                return tempfile_retain(h->t, PROPERTY_LEASE_SEC);
        case OP_RENEW:
                return tempfile_renew(h->t, PROPERTY_LEASE_SEC);
        default:
                return claim(c, h->t, pidfd);
        }
}

static int change_held(const struct property_command *c, int pidfd)
{
        struct held *h = find(c->thing);
        struct tempfile *t;
        int r;

        if (!h || !h->t)
                return -ESRCH;
        t = h->t;
        if (c->op == OP_CLOSE || c->op == OP_RELEASE) {
                let_go(h);
                return c->op == OP_CLOSE ? tempfile_close(t) : tempfile_release(t);
        }
        r = change(c, h, pidfd);
        if (r == 0 && ends_holding(c->op)) {
                let_go(h);
                (void) tempfile_close(t); /* of what is its no more */
        }
        return r;
}

static int find_again(const struct property_command *c)
{
        struct tempfile *t = NULL;
        int r = tempfile_find(c->path, &t);

        return r < 0 ? r : hold(c->thing, t, -1);
}

static int make_token(const struct property_command *c, struct property_answer *a)
{
        int fd = tempfile_token_new(PATIENCE_MSEC, &a->token);

        return fd < 0 ? fd : hold(c->thing, NULL, fd);
}

static int change_fd(const struct property_command *c)
{
        struct held *h = find(c->thing);
        int copy = -1;

        if (!h || h->fd < 0)
                return -ESRCH;
        if (c->op == OP_COPY_FD) {
                copy = fcntl(h->fd, F_DUPFD_CLOEXEC, 3);
                if (copy < 0)
                        return -errno;
        }
        (void) close(h->fd);
        h->fd = copy;
        if (copy < 0)
                let_go(h);
        return 0;
}

/* ---- what happens to files ---- */

static int replace(const struct property_command *c)
{
        int r = property_write(c->other, c->text);

        return r < 0 ? r : rename(c->other, c->path) < 0 ? -errno : 0;
}

static int change_file(const struct property_command *c)
{
        switch (c->op) {
        case OP_RENAME:
                return rename(c->path, c->other) < 0 ? -errno : 0;
        case OP_LINK:
                return link(c->path, c->other) < 0 ? -errno : 0;
        case OP_REPLACE:
                return replace(c);
        default:
                return property_write(c->other, c->text);
        }
}

/* ---- processes ---- */

static int fork_client(struct property_answer *a, int fd)
{
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                (void) close(control);
                for (unsigned int i = 0; i < THINGS_MAX; i++)
                        held[i].t = NULL; /* its parent's */
                for (unsigned int i = 0; i < THINGS_MAX; i++)
                        if (held[i].fd < 0)
                                let_go(&held[i]);
                property_client(fd);
        }
        a->pid = pid;
        return 0;
}

/* Nothing of its parent's may go with it, nor when it closes; its own must. */
static int fork_and_close(const struct property_command *c)
{
        struct tempfile_options o = options_of(c);
        struct tempfile *own = NULL;
        pid_t pid = fork();
        int status;

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                for (unsigned int i = 0; i < THINGS_MAX; i++)
                        if (held[i].t)
                                (void) tempfile_close(held[i].t);
                (void) tempfile_named(&o, &own); /* may fail: the daemon may be away */
                if (c->flags)
                        (void) raise(SIGKILL);
                exit(0);
        }
        return waitpid(pid, &status, 0) == pid ? 0 : -errno;
}

static int execute(void)
{
        char fd[16];

        (void) snprintf(fd, sizeof(fd), "%d", control);
        if (fcntl(control, F_SETFD, 0) < 0)
                return -errno;
        (void) execl("/proc/self/exe", "property", "--client", fd, (char *) NULL);
        return -errno;
}

/* ---- the conversation ---- */

static int obey(const struct property_command *c, int fd, struct property_answer *a)
{
        switch ((enum property_op) c->op) {
        case OP_NAMED:
        case OP_DIRECTORY:
                return make(c, a);
        case OP_MKSTEMP:
                return make_by_template(c, a);
        case OP_PSEUDO_FILE:
        case OP_PSEUDO_DIRECTORY:
                return make_pseudo(c, a);
        case OP_TRACK_FILE:
        case OP_TRACK_DIRECTORY:
                return track(c);
        case OP_BURST:
                return burst(c);
        case OP_INSIDE:
                return make_inside(c);
        case OP_TOKEN:
                return make_token(c, a);
        case OP_FIND:
                return find_again(c);
        case OP_CLOSE_FD:
        case OP_COPY_FD:
                return change_fd(c);
        case OP_RENAME:
        case OP_REPLACE:
        case OP_LINK:
        case OP_COPY:
        case OP_WRITE:
                return change_file(c);
        case OP_FORK:
                return fork_client(a, fd);
        case OP_FORK_CLOSE:
                return fork_and_close(c);
        case OP_EXEC:
                return execute();
        case OP_PING:
        case OP_MAX:
                return 0;
        default:
                return change_held(c, fd);
        }
}

static bool hear(struct property_command *c, int *ret_fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { 0 };
        struct iovec iov = { c, sizeof(*c) };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
        };
        struct cmsghdr *h;

        *ret_fd = -1;
        if (recvmsg(control, &m, MSG_CMSG_CLOEXEC) != (ssize_t) sizeof(*c))
                return false;
        h = CMSG_FIRSTHDR(&m);
        if (h)
                memcpy(ret_fd, CMSG_DATA(h), sizeof(*ret_fd));
        return true;
}

/* After an exec the answer to it is still owed. */
void property_client(int fd)
{
        struct property_command c;
        struct property_answer a;
        int sent;

        (void) prctl(PR_SET_PDEATHSIG, 0);
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
        control = fd;
        for (unsigned int i = 0; i < THINGS_MAX; i++)
                if (held[i].thing == 0)
                        held[i].fd = -1;
        while (hear(&c, &sent)) {
                a = (struct property_answer) { 0 };
                a.result = obey(&c, sent, &a);
                if (sent >= 0)
                        (void) close(sent);
                if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) < 0)
                        break;
        }
        _exit(0); /* the test is over */
}
