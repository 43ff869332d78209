/* SPDX-License-Identifier: MIT */

/* See the header. */

#include "tests/server-fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "libclient/name.h"
#include "libclient/util.h"

sd_event *event;
struct server *server;
struct store *served;
char server_dir[UNIT_PATH_SIZE];

static const uint8_t tag_key[NAME_KEY_SIZE] = "the tag's key...";
static bool is_child;
static int child_says = -1, child_hears = -1;

/* ---- the server ---- */

static struct sockaddr_un address(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", server_dir);
        return a;
}

void (*server_before_load)(void);

static void start(void)
{
        struct server_options options = { .is_power = true };
        struct sockaddr_un a = address();
        char *salvaged = NULL;
        int fd;

        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(store_open(unit_path(server_dir, "state"), &served, &salvaged), 0);
        ck_assert_ptr_null(salvaged);
        ck_assert_int_eq(server_new(event, served, &options, &server), 0);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void) unlink(a.sun_path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        ck_assert_int_eq(chmod(a.sun_path, 0666), 0);
        ck_assert_int_eq(server_listen(server, fd), 0);
        if (server_before_load)
                server_before_load();
        ck_assert_int_eq(server_start(server), 0);
}

static bool is_idle(void *userdata)
{
        unsigned int jobs, hung;

        while (sd_event_run(event, 0) > 0)
                ;
        pool_count(registry_pool(server_registry(server)), &jobs, &hung);
        return jobs == 0;
}

/* What is out with workers when it ends is given up with them: waited for here. */
void server_stop(void)
{
        if (!server)
                return;
        ck_assert(unit_run_until(event, is_idle, NULL));
        server_free(server);
        store_close(served);
        server = NULL;
        served = NULL;
        event = sd_event_unref(event);
}

void server_restart(void)
{
        server_stop();
        start();
}

void server_setup(void)
{
        unit_make_directory(server_dir);
        ck_assert_int_eq(mkdir(unit_path(server_dir, "state"), 0700), 0);
        ck_assert_int_eq(mkdir(file_path(""), 0777), 0);
        ck_assert_int_eq(chmod(file_path(""), 0777), 0);
        start();
}

void server_teardown(void)
{
        server_stop();
        unit_remove_directory(server_dir);
}

const char *file_path(const char *name)
{
        return unit_path(server_dir, *name ? unit_path("files", name) : "files");
}

struct wire_status_reply server_status(void)
{
        struct wire_status_reply s = { 0 };

        server_get_status(server, &s);
        return s;
}

static bool is_gone(void *path)
{
        return !unit_exists(path);
}

void wait_path_gone(const char *path)
{
        char copy[512];

        (void) snprintf(copy, sizeof(copy), "%s", path);
        ck_assert_msg(unit_run_until(event, is_gone, copy), "%s is still there", copy);
}

struct status_question {
        bool (*is_right)(const struct wire_status_reply *s);
};

static bool has_status(void *userdata)
{
        struct wire_status_reply s = server_status();

        return ((struct status_question *) userdata)->is_right(&s);
}

void wait_status(bool (*is_right)(const struct wire_status_reply *s))
{
        struct status_question q = { is_right };

        ck_assert(unit_run_until(event, has_status, &q));
}

/* ---- clients ---- */

static bool is_readable(void *userdata)
{
        struct pollfd p = { .fd = *(int *) userdata, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

static ssize_t receive(struct client *c, void *buf, size_t size, int *ret_fd)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u;
        struct iovec iov = { buf, size };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
        };
        struct cmsghdr *h;
        ssize_t n;

        if (!is_child)
                ck_assert_msg(unit_run_until(event, is_readable, &c->fd), "No answer came");
        n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
        h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
        if (h && h->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
        return n;
}

void client_connect(struct client *c)
{
        struct sockaddr_un a = address();
        struct wire_welcome m;

        *c = (struct client) { .doorbell = -1 };
        c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(c->fd, (struct sockaddr *) &a, sizeof(a)), 0);
        ck_assert_int_eq(receive(c, &m, sizeof(m), &c->doorbell), sizeof(m));
        ck_assert_int_eq(wire_check_reply(&m, sizeof(m)), 0);
        ck_assert_uint_eq(m.header.opcode, WIRE_WELCOME);
        ck_assert_int_ge(c->doorbell, 0);
        c->nonce = m.nonce;
}

void client_start(struct client *c)
{
        struct wire_hello m = { .header = { WIRE_VERSION, WIRE_HELLO, 0 } };

        client_connect(c);
        m.nonce = c->nonce;
        ck_assert_int_eq(client_send(c, &m, sizeof(m), NULL, 0), 0);
}

void client_close(struct client *c)
{
        c->fd = close_fd(c->fd);
        c->doorbell = close_fd(c->doorbell);
}

int client_send(struct client *c, const void *packet, size_t len, const int *fds, unsigned int n)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(16 * sizeof(int))];
        } u = { 0 };
        struct iovec iov = { (void *) packet, len };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        uint64_t one = 1;

        if (n > 0) {
                m.msg_control = &u;
                m.msg_controllen = CMSG_SPACE(n * sizeof(int));
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
        }
        if (sendmsg(c->fd, &m, MSG_NOSIGNAL | (is_child ? 0 : MSG_DONTWAIT)) < 0)
                return -errno;
        if (c->doorbell >= 0)
                (void) !write(c->doorbell, &one, sizeof(one));
        return 0;
}

size_t client_receive(struct client *c, void *buf, size_t size)
{
        int fd = -1;
        ssize_t n;

        do
                n = receive(c, buf, size, &fd);
        while (n < 0 && errno == ECONNRESET); /* said once, then what is there is read */
        close_fd(fd);
        ck_assert_int_ge(n, 0);
        if (n > 0)
                ck_assert_int_eq(wire_check_reply(buf, (size_t) n), 0);
        return (size_t) n;
}

bool client_is_cut(struct client *c)
{
        uint8_t buf[WIRE_PACKET_MAX];

        return client_receive(c, buf, sizeof(buf)) == 0;
}

void client_settle(struct client *c)
{
        struct wire_status m = { { WIRE_VERSION, WIRE_STATUS, ++c->serial } };
        uint8_t buf[WIRE_PACKET_MAX];

        ck_assert_int_eq(client_send(c, &m, sizeof(m), NULL, 0), 0);
        ck_assert_uint_gt(client_receive(c, buf, sizeof(buf)), 0);
        ck_assert_uint_eq(wire_header_of(buf).opcode, WIRE_STATUS_REPLY);
        ck_assert_uint_eq(wire_header_of(buf).serial, c->serial);
}

int client_ask(struct client *c, void *packet, size_t len, uint16_t opcode, int fd,
               uint64_t *ret_id)
{
        struct wire_header h = { WIRE_VERSION, opcode, ++c->serial };
        struct wire_result m;

        memcpy(packet, &h, sizeof(h));
        ck_assert_int_eq(wire_check_request(packet, len), 0);
        ck_assert_int_eq(client_send(c, packet, len, &fd, fd >= 0), 0);
        ck_assert_uint_eq(client_receive(c, &m, sizeof(m)), sizeof(m));
        ck_assert_uint_eq(m.header.opcode, WIRE_RESULT);
        ck_assert_uint_eq(m.header.serial, c->serial);
        if (ret_id)
                *ret_id = m.id;
        return m.result;
}

int client_tag(struct client *c, uint64_t tag, const char *directory)
{
        _cleanup_(closep) int fd = open(directory, O_PATH | O_CLOEXEC);
        struct wire_tag m = { .tag = tag, .path_len = (uint16_t) strlen(directory) };
        uint8_t buf[sizeof(m) + 512];
        int r;

        ck_assert_int_ge(fd, 0);
        memcpy(m.key, tag_key, sizeof(m.key));
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), directory, m.path_len + 1U);
        r = client_ask(c, buf, sizeof(m) + m.path_len + 1U, WIRE_TAG, fd, NULL);
        if (r == 0)
                c->tag = tag;
        return r;
}

const char *client_name(const struct client *c, unsigned int seq, const char *suffix)
{
        static char names[4][NAME_LEN_MAX + 1];
        static unsigned int n;
        char *name = names[n++ % ARRAY_SIZE(names)];

        ck_assert_int_gt(name_make(c->tag, tag_key, seq, "unit-", suffix, name), 0);
        return name;
}

void client_report(struct client *c, unsigned int what, uint64_t tag_or_id, unsigned int seq,
                   unsigned int kind, const char *name)
{
        struct wire_report m = { .header = { WIRE_VERSION, WIRE_REPORT, 0 } };
        struct wire_record record = {
                .what = (uint8_t) what,
                .kind = (uint8_t) kind,
                .name_len = (uint16_t) strlen(name),
                .seq = seq,
                .tag_or_id = tag_or_id,
        };
        uint8_t buf[1024];
        size_t len = sizeof(m);

        memcpy(buf, &m, sizeof(m));
        ck_assert_int_eq(wire_add_record(buf, sizeof(buf), &len, &record, name), 0);
        ck_assert_int_eq(wire_check_request(buf, len), 0);
        ck_assert_int_eq(client_send(c, buf, len, NULL, 0), 0);
}

void client_make(struct client *c, unsigned int seq)
{
        const char *name = client_name(c, seq, "");

        client_report(c, WIRE_MADE, c->tag, seq, WIRE_KIND_FILE, name);
        unit_write(file_path(name), "");
}

int client_register(struct client *c, uint16_t opcode, const char *name, unsigned int kind,
                    unsigned int seq, uint64_t *ret_id)
{
        struct wire_register m = {
                .tag = c->tag,
                .seq = seq,
                .owner.kind = WIRE_OWNER_PROCESS,
                .kind = (uint8_t) kind,
                .name_len = (uint16_t) strlen(name),
        };
        uint8_t buf[sizeof(m) + 512];

        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), name, m.name_len + 1U);
        return client_ask(c, buf, sizeof(m) + m.name_len + 1U, opcode, -1, ret_id);
}

int client_keep(struct client *c, uint64_t tag_or_id, unsigned int seq)
{
        struct wire_change m = { .ref = { tag_or_id, seq, 0 } };

        return client_ask(c, &m, sizeof(m), WIRE_KEEP, -1, NULL);
}

int client_reap(struct client *c, uint64_t id, unsigned int flags)
{
        struct wire_reap m = { .id = id, .flags = flags };

        return client_ask(c, &m, sizeof(m), WIRE_REAP, -1, NULL);
}

/* ---- clients in children ---- */

static void become(uid_t uid)
{
        if (uid == geteuid())
                return;
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                _exit(126);
}

/* The server's lock, sockets and pidfds are not the child's to hold. */
static void keep_only(int a, int b)
{
        unsigned int low = (unsigned int) MIN(a, b), high = (unsigned int) MAX(a, b);

        (void) close_range(3, low - 1, 0);
        (void) close_range(low + 1, high - 1, 0);
        (void) close_range(high + 1, ~0U, 0);
}

void worker_pause(void)
{
        char byte = 0;

        if (write(child_says, &byte, 1) != 1 || read(child_hears, &byte, 1) < 0)
                _exit(125);
}

void worker_start(struct worker *w, uid_t uid, void (*body)(void))
{
        int says[2], hears[2];

        ck_assert_int_eq(pipe2(says, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(hears, O_CLOEXEC), 0);
        (void) fflush(NULL);
        w->pid = fork();
        ck_assert_int_ge(w->pid, 0);
        if (w->pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                is_child = true;
                child_says = says[1];
                child_hears = hears[0];
                keep_only(says[1], hears[0]);
                become(uid);
                body();
                for (;;)
                        worker_pause();
        }
        (void) close(says[1]);
        (void) close(hears[0]);
        w->from = says[0];
        w->to = hears[1];
}

static int on_said(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        return 0; /* the loop has turned, that is all */
}

void worker_wait(struct worker *w)
{
        sd_event_source *source = NULL;
        char byte;

        ck_assert_int_ge(sd_event_add_io(event, &source, w->from, EPOLLIN, on_said, NULL), 0);
        ck_assert(unit_run_until(event, is_readable, &w->from));
        sd_event_source_disable_unref(source);
        ck_assert_int_eq(read(w->from, &byte, 1), 1);
}

void worker_go_on(struct worker *w)
{
        ck_assert_int_eq(write(w->to, "", 1), 1);
}

void worker_kill(struct worker *w)
{
        (void) kill(w->pid, SIGKILL);
        ck_assert_int_eq(waitpid(w->pid, NULL, 0), w->pid);
        w->from = close_fd(w->from);
        w->to = close_fd(w->to);
}
