/* SPDX-License-Identifier: MIT */

/*
 * A conversation of anything with a server: up to four connections, packets that are nearly right
 * or not at all, descriptors of all kinds, files that come and go, restarts in the middle. What
 * was never registered must stay, and the sanitizers must have nothing to say.
 *
 * An input is a list of steps; see take_step(). The packets that it starts from are those of
 * wire-samples.c, with tags, paths and numbers that mean something here.
 */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/fuzz-server.h"
#include "tests/wire-samples.h"

#define FILES_SAMPLE "files/" SAMPLE_NAME /* the packets of wire-samples.c are about that */
#define CONNECTIONS 4U
#define STEPS_MAX 64U
#define RESTARTS_MAX 2U

const char fuzz_corpus[] = "conversation";

struct reader {
        const uint8_t *data;
        size_t len;
};

static uint8_t take_byte(struct reader *r)
{
        if (r->len == 0)
                return 0;
        r->len--;
        return *r->data++;
}

static const uint8_t key[NAME_KEY_SIZE] = "key";

struct talk {
        int fd; /* -1: none */
        uint64_t nonce, last_id;
};

static struct talk talks[CONNECTIONS];

/* ---- what is sent along ---- */

static int open_something(unsigned int what)
{
        int ends[2];

        switch (what % 8) {
        case 1:
                return open(fuzz_path("files"), O_PATH | O_CLOEXEC);
        case 2:
                return open(fuzz_path("files"), O_RDONLY | O_CLOEXEC);
        case 3:
                return open(fuzz_path("files/a"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        case 4:
                return (int) syscall(SYS_pidfd_open, getpid(), 0);
        case 5:
                fuzz_require(pipe2(ends, O_CLOEXEC) == 0);
                close_fd(ends[1]);
                return ends[0];
        case 6: {
                int fd = open(fuzz_path("files/b"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

                (void) flock(fd, LOCK_EX | LOCK_NB);
                return fd;
        }
        case 7:
                return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        default:
                return -1;
        }
}

static void send_packet(struct talk *t, const struct packet *p, unsigned int what)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(3 * sizeof(int))];
        } u = { 0 };
        struct iovec iov = { (void *) p->data, p->len };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        unsigned int n = what / 64 % 4 + 1;
        int fd = open_something(what), fds[3] = { fd, fd, fd };

        n = MIN(n, 3U);
        if (fd >= 0) {
                m.msg_control = &u;
                m.msg_controllen = CMSG_SPACE(n * sizeof(int));
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
        }
        (void) sendmsg(t->fd, &m, MSG_NOSIGNAL);
        close_fd(fd);
}

/* ---- what is heard ---- */

/* Descriptors that come are closed at once: a token ends by that. */
static ssize_t hear_one(struct talk *t, uint8_t buf[WIRE_PACKET_MAX])
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u;
        struct iovec iov = { buf, WIRE_PACKET_MAX };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
        };
        struct wire_welcome welcome;
        struct wire_result result;
        ssize_t n;
        int fd;

        n = recvmsg(t->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n <= 0)
                return n;
        if (CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS) {
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
                close_fd(fd);
        }
        fuzz_require(wire_check_reply(buf, (size_t) n) == 0);
        if (n == sizeof(welcome) && wire_header_of(buf).opcode == WIRE_WELCOME) {
                memcpy(&welcome, buf, sizeof(welcome));
                t->nonce = welcome.nonce;
        }
        if (n == sizeof(result) && wire_header_of(buf).opcode == WIRE_RESULT) {
                memcpy(&result, buf, sizeof(result));
                t->last_id = result.id ?: t->last_id;
        }
        return n;
}

static void hear(void)
{
        static uint8_t buf[WIRE_PACKET_MAX];

        for (unsigned int i = 0; i < CONNECTIONS; i++)
                while (talks[i].fd >= 0 && hear_one(&talks[i], buf) > 0)
                        ;
}

/* ---- what is said ---- */

static uint64_t tag_number(unsigned int n)
{
        return 0x1122334455667700 + n % 3;
}

/* Numbers mean something: a tag, what was answered last, this process. */
static void make_meaningful(struct packet *p, const struct talk *t, unsigned int n)
{
        const size_t at = sizeof(struct wire_header);

        switch (wire_header_of(p->data).opcode) {
        case WIRE_HELLO:
                packet_set(p, at, 8, t->nonce);
                break;
        case WIRE_TAG:
                p->len = 0;
                packet_put(p,
                           &(struct wire_tag) {
                                   .header = SAMPLE_HEADER(WIRE_TAG),
                                   .tag = tag_number(n),
                                   .key = "key",
                                   .path_len = (uint16_t) strlen(fuzz_path("files")),
                                   .flags = n / 4 % 4,
                           },
                           sizeof(struct wire_tag));
                packet_put_text(p, fuzz_path("files"));
                break;
        case WIRE_RESERVE:
        case WIRE_TRACK:
        case WIRE_TARGET:
                packet_set(p, at, 8, tag_number(n));
                packet_set(p, offsetof(struct wire_register, owner.token), 8,
                           n & 128 ? t->last_id : 0);
                break;
        case WIRE_KEEP:
        case WIRE_CLAIM:
        case WIRE_RETAIN:
        case WIRE_RENEW:
                packet_set(p, at, 8, n & 64 ? tag_number(n) : t->last_id);
                packet_set(p, at + 8, 4, n & 64 ? n / 4 % 8 : 0);
                break;
        case WIRE_REAP:
                packet_set(p, at, 8, n & 64 ? t->last_id : 0);
                break;
        default:
                break;
        }
}

static void say_made(struct talk *t, unsigned int n)
{
        struct wire_report m = { .header = SAMPLE_HEADER(WIRE_REPORT) };
        char name[NAME_LEN_MAX + 1];
        struct wire_record record = {
                .what = n & 64 ? WIRE_GONE : WIRE_MADE,
                .kind = n & 64 ? 0 : WIRE_KIND_FILE,
                .seq = n / 4 % 8,
                .tag_or_id = tag_number(n),
        };
        struct packet p = { 0 };

        (void) name_make(record.tag_or_id, key, record.seq, "f-", "", name);
        record.name_len = n & 64 ? 0 : (uint16_t) strlen(name);
        packet_put(&p, &m, sizeof(m));
        (void) wire_add_record(p.data, sizeof(p.data), &p.len, &record, n & 64 ? "" : name);
        send_packet(t, &p, 0);
        if (n & 128) {
                char path[NAME_LEN_MAX + 8] = "files/";

                fuzz_make_file(strcat(path, name));
        }
}

static void say_sample(struct talk *t, struct reader *r)
{
        const struct sample *sample = &samples[take_byte(r) % sample_count];
        unsigned int n = take_byte(r), what = take_byte(r), changes = take_byte(r) % 8, at;
        struct packet p = { 0 };

        sample->build(&p);
        make_meaningful(&p, t, n);
        while (changes-- > 0) {
                at = take_byte(r);
                if (at < p.len)
                        p.data[at] ^= take_byte(r);
        }
        send_packet(t, &p, what);
}

static void say_anything(struct talk *t, struct reader *r)
{
        struct packet p = { 0 };
        unsigned int what = take_byte(r), n = take_byte(r);

        while (p.len < n && r->len > 0)
                p.data[p.len++] = take_byte(r);
        send_packet(t, &p, what);
}

/* ---- steps ---- */

static void begin(struct talk *t)
{
        if (t->fd < 0)
                *t = (struct talk) { .fd = fuzz_server_connect() };
        fuzz_server_settle();
        hear();
}

static void greet(struct talk *t)
{
        struct packet p = { 0 };

        begin(t);
        sample_build(&p, WIRE_HELLO);
        make_meaningful(&p, t, 0);
        send_packet(t, &p, 0);
}

static void end_all(void)
{
        for (unsigned int i = 0; i < CONNECTIONS; i++)
                talks[i].fd = close_fd(talks[i].fd);
}

static void touch(unsigned int n)
{
        static const char *const paths[] = { "files/a", "files/b", FILES_SAMPLE };
        const char *path = paths[n % 3];

        if (n & 8)
                (void) unlink(fuzz_path(path));
        else
                fuzz_make_file(path);
}

static bool take_step(struct reader *r, unsigned int *n_restarts)
{
        unsigned int step = take_byte(r);
        struct talk *t = &talks[step / 16 % CONNECTIONS];

        if (t->fd < 0)
                greet(t);
        switch (step % 16) {
        case 0:
                t->fd = close_fd(t->fd);
                break;
        case 1:
                t->fd = close_fd(t->fd);
                begin(t); /* and not greeted */
                break;
        case 2:
                fuzz_server_settle();
                hear();
                break;
        case 3:
                if (++*n_restarts > RESTARTS_MAX)
                        return false;
                fuzz_server_stop();
                end_all();
                fuzz_require(fuzz_server_start() == 0);
                break;
        case 4:
                touch(take_byte(r));
                break;
        case 5:
                say_anything(t, r);
                break;
        case 6:
        case 7:
                say_made(t, take_byte(r));
                break;
        default:
                say_sample(t, r);
        }
        return r->len > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct reader r = { data, size };
        unsigned int n_restarts = 0;

        for (unsigned int i = 0; i < CONNECTIONS; i++)
                talks[i] = (struct talk) { .fd = -1 };
        fuzz_server_clear();
        fuzz_require(fuzz_server_start() == 0);
        for (unsigned int i = 0; i < STEPS_MAX && take_step(&r, &n_restarts); i++)
                if (i % 8 == 7)
                        hear();
        fuzz_server_settle();
        hear();
        end_all();
        fuzz_server_stop();
        fuzz_server_check();
        return 0;
}

bool fuzz_judge(const char *name, const uint8_t *data, size_t size, const char **ret_why)
{
        (void) LLVMFuzzerTestOneInput(data, size);
        return true; /* or it has aborted */
}
