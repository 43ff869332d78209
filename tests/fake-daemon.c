/* SPDX-License-Identifier: MIT */

/*
 * One thread, poll(2) over listener, wake-up and connections. All it shares with the test stands
 * under one lock; whoever waits, waits on one condition.
 */

#include "tests/fake-daemon.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "libclient/util.h"

#define CONNECTIONS_MAX 64U
#define LOG_MAX 65536U
#define OPCODES 64U
#define WAIT_SEC 10

struct rule {
        enum fake_action action;
        int32_t result;
        unsigned int times;
};

struct late {
        int fd;
        struct wire_result answer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;
static struct rule rules[OPCODES];
static struct fake_packet *packets[LOG_MAX];
static unsigned int n_packets;
static bool is_silent, is_stopped, is_ending;
static unsigned int n_to_refuse;
static uint64_t given_tag;

static pthread_t thread;
static char socket_path[108];
static int listener = -1, wake = -1;
static int doorbells[CONNECTIONS_MAX], connections[CONNECTIONS_MAX];
static unsigned int n_connections;
static struct late late;

/* ---- the thread ------------------------------------------------------------------------------- */

static void send_with_fd(int to, const void *data, size_t len, int fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { (void *) data, len };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };

        control.align = (struct cmsghdr) { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
        (void) sendmsg(to, &msg, MSG_NOSIGNAL);
}

static void welcome(void)
{
        const struct wire_welcome m = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_WELCOME },
                .nonce = 42,
                .features = given_tag != 0 ? WIRE_FEATURE_TAGGED : 0,
        };
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
                return;
        if (n_to_refuse > 0) {
                n_to_refuse--;
                (void) close(fd);
                return;
        }
        assert(n_connections < CONNECTIONS_MAX);
        doorbells[n_connections] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (!is_silent)
                send_with_fd(fd, &m, sizeof(m), doorbells[n_connections]);
        connections[n_connections++] = fd;
}

static void hang_up(unsigned int i)
{
        (void) close_fd(connections[i]);
        (void) close_fd(doorbells[i]);
        n_connections--;
        connections[i] = connections[n_connections];
        doorbells[i] = doorbells[n_connections];
}

static struct rule take_rule(uint16_t opcode)
{
        struct rule r = rules[opcode];

        if (rules[opcode].times > 0 && --rules[opcode].times == 0)
                rules[opcode] = r.action == FAKE_HANG_UP && r.result < 0
                                        ? (struct rule) { FAKE_ANSWER, r.result, 1 }
                                        : (struct rule) { 0 };
        return r;
}

static void send_late(void)
{
        if (late.fd < 0)
                return;
        (void) send(late.fd, &late.answer, sizeof(late.answer), MSG_NOSIGNAL);
        late.fd = -1;
}

static bool is_question(uint16_t opcode)
{
        return opcode != WIRE_HELLO && opcode != WIRE_REPORT;
}

static bool takes_any(const struct fake_packet *p)
{
        struct wire_tag m;

        if (given_tag == 0 || wire_header_of(p->bytes).opcode != WIRE_TAG)
                return false;
        memcpy(&m, p->bytes, sizeof(m));
        return m.flags == WIRE_TAG_ANY;
}

static void give_tag(int fd, const struct wire_header *header)
{
        const struct wire_tagged m = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_TAGGED, header->serial },
                .id = FAKE_ID_OF(header->serial),
                .tag = given_tag,
                .key = { 7 },
        };

        (void) send(fd, &m, sizeof(m), MSG_NOSIGNAL);
}

static bool answer(int fd, const struct fake_packet *p, const struct wire_header *header)
{
        struct wire_result result = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_RESULT, header->serial },
        };
        struct rule r = take_rule(header->opcode);

        result.result = r.result;
        result.id = r.result < 0 ? 0 : FAKE_ID_OF(header->serial);
        switch (r.action) {
        case FAKE_ANSWER:
                if (r.result >= 0 && takes_any(p))
                        give_tag(fd, header);
                else
                        (void) send(fd, &result, sizeof(result), MSG_NOSIGNAL);
                break;
        case FAKE_IGNORE:
                break;
        case FAKE_LATE:
                late = (struct late) { fd, result };
                break;
        case FAKE_GARBAGE:
                (void) send(fd, "garbage", 7, MSG_NOSIGNAL);
                break;
        case FAKE_HANG_UP:
                return false;
        }
        return true;
}

static bool listen_to(int fd)
{
        struct fake_packet *p = malloc(sizeof(*p));
        struct wire_header header;
        ssize_t n;

        assert(p && n_packets < LOG_MAX);
        n = recv(fd, p->bytes, sizeof(p->bytes), 0);
        if (n <= 0) {
                free(p);
                return false;
        }
        p->len = (size_t) n;
        p = realloc(p, offsetof(struct fake_packet, bytes) + p->len);
        assert(wire_check_request(p->bytes, p->len) == 0);
        packets[n_packets++] = p;
        (void) pthread_cond_broadcast(&heard);

        send_late();
        header = wire_header_of(p->bytes);
        return !is_question(header.opcode) || answer(fd, p, &header);
}

static void serve(struct pollfd *polled, unsigned int n)
{
        if (polled[1].revents)
                welcome();
        for (unsigned int i = n; i-- > 0;)
                if (polled[2 + i].revents && !listen_to(connections[i]))
                        hang_up(i);
}

static void *run(void *userdata _unused_)
{
        struct pollfd polled[2 + CONNECTIONS_MAX];
        unsigned int n;
        uint64_t count;

        (void) pthread_mutex_lock(&lock);
        while (!is_ending) {
                n = is_stopped ? 0 : n_connections;
                polled[0] = (struct pollfd) { wake, POLLIN, 0 };
                polled[1] = (struct pollfd) { listener, POLLIN, 0 };
                for (unsigned int i = 0; i < n; i++)
                        polled[2 + i] = (struct pollfd) { connections[i], POLLIN, 0 };

                (void) pthread_mutex_unlock(&lock);
                (void) poll(polled, 2 + n, -1);
                (void) pthread_mutex_lock(&lock);
                if (polled[0].revents)
                        (void) !read(wake, &count, sizeof(count));
                serve(polled, n);
        }
        (void) pthread_mutex_unlock(&lock);
        return NULL;
}

static void wake_up(void)
{
        const uint64_t one = 1;

        (void) !write(wake, &one, sizeof(one));
}

/* ---- the test's side -------------------------------------------------------------------------- */

void fake_start(const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        (void) snprintf(socket_path, sizeof(socket_path), "%s", path);
        memset(rules, 0, sizeof(rules));
        is_silent = is_stopped = is_ending = false;
        n_to_refuse = 0;
        given_tag = 0;
        late.fd = -1;

        (void) unlink(path); /* of a test that failed */
        wake = eventfd(0, EFD_CLOEXEC);
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        r = bind(listener, (const struct sockaddr *) &address, sizeof(address));
        if (r == 0)
                r = listen(listener, 16);
        if (r == 0)
                r = pthread_create(&thread, NULL, run, NULL);
        if (r != 0)
                abort();
}

void fake_stop(void)
{
        if (listener < 0)
                return;
        (void) pthread_mutex_lock(&lock);
        is_ending = true;
        wake_up();
        (void) pthread_mutex_unlock(&lock);
        (void) pthread_join(thread, NULL);

        (void) unlink(socket_path);
        listener = close_fd(listener);
        wake = close_fd(wake);
        while (n_connections > 0)
                hang_up(0);
        while (n_packets > 0)
                free(packets[--n_packets]);
}

void fake_before_fork(void)
{
        (void) pthread_mutex_lock(&lock);
}

void fake_after_fork(void)
{
        (void) pthread_mutex_unlock(&lock);
}

void fake_set(uint16_t opcode, enum fake_action action, int32_t result, unsigned int times)
{
        (void) pthread_mutex_lock(&lock);
        rules[opcode] = (struct rule) { action, result, times };
        (void) pthread_mutex_unlock(&lock);
}

void fake_stay_silent(bool be_silent)
{
        (void) pthread_mutex_lock(&lock);
        is_silent = be_silent;
        (void) pthread_mutex_unlock(&lock);
}

void fake_give_tag(uint64_t tag)
{
        (void) pthread_mutex_lock(&lock);
        given_tag = tag;
        (void) pthread_mutex_unlock(&lock);
}

void fake_refuse(unsigned int times)
{
        (void) pthread_mutex_lock(&lock);
        n_to_refuse = times;
        (void) pthread_mutex_unlock(&lock);
}

void fake_stop_reading(bool stop)
{
        (void) pthread_mutex_lock(&lock);
        is_stopped = stop;
        wake_up();
        (void) pthread_mutex_unlock(&lock);
}

static struct fake_packet *find_packet(uint16_t opcode, unsigned int n, unsigned int *ret_count)
{
        struct fake_packet *found = NULL;

        *ret_count = 0;
        for (unsigned int i = 0; i < n_packets; i++) {
                if (wire_header_of(packets[i]->bytes).opcode != opcode)
                        continue;
                if (++*ret_count == n)
                        found = packets[i];
        }
        return found;
}

unsigned int fake_count(uint16_t opcode)
{
        unsigned int count;

        (void) pthread_mutex_lock(&lock);
        (void) find_packet(opcode, 0, &count);
        (void) pthread_mutex_unlock(&lock);
        return count;
}

static bool wait_heard(const struct timespec *end)
{
        return pthread_cond_timedwait(&heard, &lock, end) == 0;
}

static struct timespec limit(void)
{
        struct timespec end;

        (void) clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += WAIT_SEC;
        return end;
}

bool fake_wait(uint16_t opcode, unsigned int n, struct fake_packet *ret)
{
        const struct timespec end = limit();
        struct fake_packet *found;
        unsigned int count;

        (void) pthread_mutex_lock(&lock);
        while (!(found = find_packet(opcode, n, &count)) && wait_heard(&end))
                ;
        if (found && ret) {
                ret->len = found->len;
                memcpy(ret->bytes, found->bytes, found->len);
        }
        (void) pthread_mutex_unlock(&lock);
        return found;
}

static unsigned int count_records(uint8_t what, uint64_t tag_or_id)
{
        struct wire_record r;
        unsigned int count = 0;
        const char *name;
        size_t offset;

        for (unsigned int i = 0; i < n_packets; i++) {
                if (wire_header_of(packets[i]->bytes).opcode != WIRE_REPORT)
                        continue;
                offset = 0;
                while (wire_next_record(packets[i]->bytes, packets[i]->len, &offset, &r, &name))
                        if (r.what == what && (tag_or_id == 0 || r.tag_or_id == tag_or_id))
                                count++;
        }
        return count;
}

unsigned int fake_count_records(uint8_t what, uint64_t tag_or_id)
{
        unsigned int count;

        (void) pthread_mutex_lock(&lock);
        count = count_records(what, tag_or_id);
        (void) pthread_mutex_unlock(&lock);
        return count;
}

bool fake_wait_records(uint8_t what, uint64_t tag_or_id, unsigned int n)
{
        const struct timespec end = limit();
        bool is_enough;

        (void) pthread_mutex_lock(&lock);
        while (!(is_enough = count_records(what, tag_or_id) >= n) && wait_heard(&end))
                ;
        (void) pthread_mutex_unlock(&lock);
        return is_enough;
}
