/* SPDX-License-Identifier: MIT */

/*
 * The client process; see the header. Nothing here makes a system call that the scenario does not
 * need: every one of them is a point.
 */

#include "tests/crash-client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/crash-fault.h"
#include "tests/crash-trace.h"

/* ---- what the outcome depends on ---- */

/* May the call fail like that while the daemon is killed and started again, or calls fail? */
static bool is_allowed(const struct crash_client *c, const char *call, int r)
{
        if (c->report->error != 0 && crash_fault_is_documented(call, r, c->report->error))
                return true;
        return c->report->is_daemon_mortal && (r == -ECONNREFUSED || r == -ETIMEDOUT);
}

void client_note_wrong(struct crash_client *c, const char *call, int r)
{
        struct crash_report *report = c->report;

        if (report->wrong_result < 0)
                return;
        (void) snprintf(report->wrong_call, sizeof(report->wrong_call), "%s", call);
        report->wrong_result = r;
}

bool client_succeeded(struct crash_client *c, const char *call, int r)
{
        if (r >= 0)
                return true;
        if (!is_allowed(c, call, r))
                client_note_wrong(c, call, r);
        return false;
}

bool client_must_succeed(struct crash_client *c, const char *call, int r)
{
        if (r >= 0)
                return true;
        if (c->report->error == 0 || !is_allowed(c, call, r))
                client_note_wrong(c, call, r);
        return false;
}

void client_begin(struct crash_client *c)
{
        c->report->change.progress = CRASH_BEGUN;
}

void client_end(struct crash_client *c, const char *call, int r)
{
        c->report->change.result = r;
        c->report->change.progress = r < 0 ? CRASH_FAILED : CRASH_DONE;
        (void) client_succeeded(c, call, r);
}

void client_set_subject(struct crash_client *c, const char *path)
{
        (void) snprintf(c->report->subject, PATH_MAX, "%s", path);
}

/* ---- holding ---- */

void client_hold(struct crash_client *c, struct tempfile *t)
{
        struct crash_report *report = c->report;

        c->held[c->n_held++] = t;
        (void) snprintf(report->held[report->n_held], PATH_MAX, "%s", tempfile_path(t));
        report->n_held++;
}

struct tempfile *client_last(struct crash_client *c)
{
        return c->n_held > 0 ? c->held[c->n_held - 1] : NULL;
}

struct tempfile *client_unhold(struct crash_client *c)
{
        if (c->n_held == 0)
                return NULL;
        c->report->n_held--;
        c->n_held--;
        return TAKE_PTR(c->held[c->n_held]);
}

void client_close_last(struct crash_client *c)
{
        struct tempfile *t = client_unhold(c);

        if (t)
                (void) client_succeeded(c, "tempfile_close", tempfile_close(t));
}

/* ---- making ---- */

static int write_all(int fd, const char *data)
{
        ssize_t n = RETRY(write(fd, data, strlen(data)));

        if (n < 0)
                return -errno;
        return n == (ssize_t) strlen(data) ? 0 : -EIO;
}

int client_write_path(const char *path, const char *data)
{
        _cleanup_(closep) int fd = -1;

        fd = RETRY(open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (fd < 0)
                return -errno;
        return write_all(fd, data);
}

void client_copy_last(struct crash_client *c, const char *format)
{
        struct crash_report *report = c->report;
        char *path = report->copies[report->n_copies].path;
        const char *name = strrchr(tempfile_path(client_last(c)), '/') + 1;
        int n;

        n = snprintf(path, PATH_MAX, "%s/", c->tmp_dir);
        (void) snprintf(path + n, PATH_MAX - (size_t) n, format, name);
        report->copies[report->n_copies].progress = CRASH_BEGUN;
        report->n_copies++;
        if (client_write_path(path, CRASH_COPY) == 0)
                report->copies[report->n_copies - 1].progress = CRASH_DONE;
}

struct tempfile_options client_options(void)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.timeout_msec = 30000;
        return o;
}

int client_make_with(struct crash_client *c, struct tempfile_options *o)
{
        struct tempfile *t;
        int r;

        o->dir = c->tmp_dir;
        r = tempfile_named(o, &t);
        if (r < 0)
                return r;
        client_hold(c, t);
        return write_all(tempfile_fd(t), CRASH_NEW);
}

int client_make_file(struct crash_client *c)
{
        struct tempfile_options o = client_options();

        o.suffix = ".txt";
        return client_make_with(c, &o);
}

int client_fill_directory(const char *dir)
{
        char path[PATH_MAX + 16];
        int r;

        (void) snprintf(path, sizeof(path), "%s/inside", dir);
        r = client_write_path(path, CRASH_NEW);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "%s/deeper", dir);
        if (mkdir(path, 0700) < 0)
                return -errno;
        (void) snprintf(path, sizeof(path), "%s/deeper/file", dir);
        return client_write_path(path, CRASH_NEW);
}

int client_make_directory(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;
        int r;

        o.dir = c->tmp_dir;
        r = tempfile_directory(&o, &t);
        if (r < 0)
                return r;
        client_hold(c, t);
        return client_fill_directory(tempfile_path(t));
}

bool client_make_tree(struct crash_client *c)
{
        struct tempfile_options o = client_options();
        struct tempfile *t;
        int r;

        if (!client_succeeded(c, "tempfile_directory", client_make_directory(c)))
                return false;
        o.dir = tempfile_path(client_last(c));
        r = tempfile_named(&o, &t);
        if (!client_succeeded(c, "tempfile_named", r))
                return false;
        (void) snprintf(c->report->inside, sizeof(c->report->inside), "%s",
                        strrchr(tempfile_path(t), '/') + 1);
        return true;
}

int client_pass(struct crash_client *c, int fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        char byte = 'p';
        struct iovec iov = { &byte, 1 };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };

        control.align = (struct cmsghdr) {
                .cmsg_len = CMSG_LEN(sizeof(int)),
                .cmsg_level = SOL_SOCKET,
                .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
        return RETRY(sendmsg(c->control, &msg, MSG_NOSIGNAL)) == 1 ? 0 : -errno;
}

/* ---- a life ---- */

static bool say(const struct crash_client *c, char byte)
{
        return write(c->control, &byte, 1) == 1;
}

static bool hear(const struct crash_client *c, char *ret_byte)
{
        return read(c->control, ret_byte, 1) == 1;
}

int crash_client_main(const struct crash_scenario *s, struct crash_client *c)
{
        char byte;
        int r;

        r = s->prepare ? s->prepare(c) : 0;
        if (r < 0) {
                client_note_wrong(c, "the preparation", r);
                return EXIT_FAILURE;
        }
        if (!say(c, 'r') || !hear(c, &byte))
                return EXIT_FAILURE;
        if (byte == 'w') {
                r = s->downtime(c);
                if (r < 0)
                        client_note_wrong(c, "the downtime", r);
                if (r < 0 || !say(c, 'w') || !hear(c, &byte))
                        return EXIT_FAILURE;
        }

        trace_mark(TRACE_MARK);
        s->run(c);
        trace_mark(TRACE_MARK_END);
        if (byte == 'v')
                return EXIT_SUCCESS;
        if (!say(c, 'd'))
                return EXIT_FAILURE;
        (void) hear(c, &byte);
        return EXIT_SUCCESS;
}
