/* SPDX-License-Identifier: MIT */

/*
 * One process, one user, one conversation. Promises threads a lock, forked children a clean start,
 * and everybody that what is said one way is said again when the daemon had to be found anew; what
 * there is to say again is the places' business.
 *
 * The subtle thing: "gone" is rarely worth a packet of its own. Where it can't be written into memory
 * that the daemon reads, it rides along with the next; a few hundred times a second it is sent at once,
 * so that a list shows what is there. Lost it may be: the daemon then looks for a name that is not
 * there, once. What has ended with it ("unlinked") is said at once: if it is lost, nobody is left who
 * knows, and a power cut may bring that object back.
 */

#include "libclient/session.h"

#include <stdatomic.h>
#include <sys/random.h>

#include "libclient/deadline.h"
#include "libclient/process.h"
#include "libclient/ring.h"
#include "libclient/util.h"

#define GONE_PER_PACKET 64U
#define GONE_QUIET_USEC (5 * USEC_PER_MSEC) /* between packets that say nothing else */
#define PAUSE_USEC (20 * USEC_PER_MSEC)     /* between attempts to greet */
#define GONE_MAX 65536U                     /* while the daemon is away; more is forgotten */

/* The longest packet that says one thing made and the rest gone. */
#define REPORT_SIZE 2048U
static_assert(sizeof(struct wire_report) +
                              (GONE_PER_PACKET + 1) * (sizeof(struct wire_record) + 1) + 255 <=
                      REPORT_SIZE,
              "one packet carries them all");
static_assert(REPORT_SIZE <= RING_PACKET_MAX, "and may go through memory");

/* All sessions of the process, newest first; grows only, or is left behind as a whole by a child. */
static _Atomic(struct session *) sessions;

/* Those of parents, and of their parents. */
static _Atomic(struct session *) left_behind;

/* ---- the process's sessions ------------------------------------------------------------------- */

static int on_ready(void *userdata, uint64_t deadline_usec)
{
        struct session *s = userdata;

        /* Who can't wait drives the connection too, and has no deadline for this. */
        if (deadline_usec == DEADLINE_PAST)
                deadline_usec = deadline_in(SESSION_TIMEOUT_USEC);
        return s->hooks->say_again(s, deadline_usec);
}

/* A registration came through after its caller had been told that it did not: take it back. */
static bool take_back(struct session *s, const struct wire_result *result)
{
        for (unsigned int i = 0; i < ARRAY_SIZE(s->given_up); i++) {
                if (s->given_up[i] == 0 || s->given_up[i] != result->header.serial)
                        continue;
                s->given_up[i] = 0;
                if (result->result >= 0 && result->id != 0)
                        session_gone(s, result->id, 0);
                return true;
        }
        return false;
}

static void on_answer(void *userdata, const struct wire_result *result)
{
        struct session *s = userdata;

        if (!take_back(s, result))
                s->hooks->answered(s, result);
}

static const struct client_hooks client_hooks = {
        .ready = on_ready,
        .answer = on_answer,
};

static int session_new(const struct session_hooks *hooks, struct session **ret)
{
        struct session *s;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->pid = process_id();
        s->euid = geteuid();
        s->egid = getegid();
        s->hooks = hooks;
        r = pthread_mutex_init(&s->mutex, NULL);
        if (r == 0)
                r = -client_init(&s->client, NULL, &client_hooks, s);
        if (r != 0) {
                free(s);
                return -r;
        }
        *ret = s;
        return 0;
}

static void session_free(struct session *s)
{
        client_done(&s->client);
        (void) pthread_mutex_destroy(&s->mutex);
        free(s);
}

/*
 * In a child: forgets the parent's. Of what they hold only the sockets are touched: the daemon need
 * not see them open for as long as the child lives. The rest is close-on-exec and left alone; it
 * stays reachable, so that nobody who looks for leaks is shown what could not be freed.
 */
static struct session *leave_behind(struct session *inherited)
{
        struct session *head = inherited, *last;

        if (!atomic_compare_exchange_strong(&sessions, &head, NULL))
                return head; /* another thread was faster */
        for (last = inherited;; last = last->next) {
                client_drop(&last->client);
                if (!last->next)
                        break;
        }
        last->next = atomic_load(&left_behind);
        while (!atomic_compare_exchange_weak(&left_behind, &last->next, inherited))
                ;
        return NULL;
}

static struct session *find_session(struct session *head)
{
        const uid_t euid = geteuid();
        const gid_t egid = getegid();

        for (struct session *s = head; s; s = s->next)
                if (s->euid == euid && s->egid == egid)
                        return s;
        return NULL;
}

int session_get(const struct session_hooks *hooks, struct session **ret)
{
        struct session *head, *found, *made = NULL;
        int r;

        for (;;) {
                head = atomic_load_explicit(&sessions, memory_order_acquire);
                if (head && head->pid != process_id())
                        head = leave_behind(head);
                found = find_session(head);
                if (found)
                        break;
                if (!made) {
                        r = session_new(hooks, &made);
                        if (r < 0)
                                return r;
                }
                made->next = head;
                if (atomic_compare_exchange_strong(&sessions, &head, made)) {
                        found = TAKE_PTR(made);
                        break;
                }
        }

        if (made)
                session_free(made);
        *ret = found;
        return 0;
}

void session_lock(struct session *s)
{
        int state;

        (void) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        (void) pthread_mutex_lock(&s->mutex);
        s->cancel_state = state;
}

void session_unlock(struct session *s)
{
        const int state = s->cancel_state;

        (void) pthread_mutex_unlock(&s->mutex);
        (void) pthread_setcancelstate(state, NULL);
}

int session_random(struct session *s, uint64_t *ret)
{
        ssize_t n;

        if (s->random_left < sizeof(*ret)) {
                do
                        n = getrandom(s->random, sizeof(s->random), 0);
                while (n < 0 && errno == EINTR);
                if (n < 0)
                        return -errno;
                s->random_left = (size_t) n / sizeof(*ret) * sizeof(*ret);
                if (s->random_left == 0)
                        return -EIO;
        }

        s->random_left -= sizeof(*ret);
        memcpy(ret, s->random + s->random_left, sizeof(*ret));
        return 0;
}

/* ---- saying ----------------------------------------------------------------------------------- */

enum way {
        BY_MEMORY, /* that is shared with the daemon, when there is some */
        BY_SOCKET,
};

/* To a daemon that knows no difference, unlinked is gone. */
static int add_one(const struct session *s, const struct session_gone *g, uint8_t *buf, size_t size,
                   size_t *len)
{
        const bool is_known = g->object && (s->client.features & WIRE_FEATURE_UNLINKED) != 0;
        const struct wire_record record = {
                .what = is_known ? WIRE_UNLINKED : g->what,
                .seq = g->seq,
                .tag_or_id = g->tag_or_id,
        };

        return wire_add_record(buf, size, len, &record, is_known ? g->object : NULL);
}

/* Adds what is gone, newest first; *ret_n is how many went in. They stay queued until sent. */
static void add_gone(const struct session *s, uint8_t *buf, size_t size, size_t *len, size_t *ret_n)
{
        size_t n;

        for (n = 0; n < MIN(s->n_gone, (size_t) GONE_PER_PACKET); n++)
                if (add_one(s, &s->gone[s->n_gone - 1 - n], buf, size, len) < 0)
                        break;
        *ret_n = n;
}

/* Along with what is gone. -EAGAIN: not by a @way that needs no connection. */
static int say(struct session *s, enum way way, const struct wire_record *made, const char *name,
               uint64_t deadline_usec)
{
        uint8_t buf[REPORT_SIZE];
        size_t n, len = 0;
        int r;

        if (way == BY_MEMORY && !s->client.ring)
                return -EAGAIN;
        if (made) {
                r = wire_add_record(buf, sizeof(buf), &len, made, name);
                if (r < 0)
                        return r;
        }
        add_gone(s, buf, sizeof(buf), &len, &n);
        if (len == 0)
                return 0;

        (void) client_number(&s->client, buf);
        if (way == BY_MEMORY)
                r = client_put(&s->client, buf, len) ? 0 : -EAGAIN;
        else
                r = client_send_report(&s->client, buf, len, deadline_usec);
        for (; r == 0 && n > 0; n--)
                free(s->gone[--s->n_gone].object);
        return r;
}

/* Until it has answered something, which is that it knows the places again: hung up on before, it is no
 * wiser (for want of a descriptor, say). What was not asked has no answer, and is on another connection. */
static int greet(struct client *c, uint64_t deadline_usec)
{
        int r;

        for (;;) {
                r = client_connect(c, deadline_usec);
                while (r == 0 && c->must_greet)
                        r = client_listen(c, deadline_usec);
                if (r == -ETIMEDOUT && c->phase == CLIENT_READY)
                        client_drop(c);
                if (r != -ECONNRESET)
                        return r;
                deadline_pause(PAUSE_USEC, deadline_usec);
                if (deadline_left_msec(deadline_usec) == 0)
                        return -ETIMEDOUT;
        }
}

int session_made(struct session *s, const struct wire_record *record, const char *name,
                 uint64_t deadline_usec)
{
        int r;

        if (say(s, BY_MEMORY, record, name, DEADLINE_PAST) == 0)
                return 0;

        /* Looks after the descriptor, too. */
        r = client_connect(&s->client, DEADLINE_PAST);
        if (s->client.must_greet)
                r = greet(&s->client, deadline_usec);
        /* Not there: the one that starts next sweeps for what is made meanwhile. */
        if (r < 0 && s->client.must_greet && r != -ECONNREFUSED && r != -ENOENT)
                return r;
        /* Away: all that is held will be said again when it is back, this included. */
        if (r < 0)
                return 0;
        r = say(s, BY_SOCKET, record, name, deadline_usec);
        return r == -ECONNRESET ? 0 : r;
}

static bool make_room(struct session *s)
{
        const size_t size = s->gone_size == 0 ? GONE_PER_PACKET : s->gone_size * 2;
        struct session_gone *grown;

        if (s->n_gone < s->gone_size)
                return true;
        if (size > GONE_MAX)
                return false;
        grown = realloc(s->gone, size * sizeof(*grown));
        if (!grown)
                return false;
        s->gone = grown;
        s->gone_size = size;
        return true;
}

static void flush_gone(struct session *s)
{
        if (s->n_gone == 0 || say(s, BY_MEMORY, NULL, NULL, DEADLINE_PAST) == 0)
                return;
        if (client_connect(&s->client, DEADLINE_PAST) == 0)
                (void) say(s, BY_SOCKET, NULL, NULL, DEADLINE_PAST); /* else they stay queued */
}

static void queue_gone(struct session *s, const struct session_gone *gone)
{
        if (make_room(s))
                s->gone[s->n_gone++] = *gone;
        else
                free(gone->object);
}

static void flush_gone_if_due(struct session *s)
{
        uint64_t now;

        if (s->n_gone == 0 || say(s, BY_MEMORY, NULL, NULL, DEADLINE_PAST) == 0)
                return;
        now = deadline_now();
        if (s->n_gone % GONE_PER_PACKET != 0 && now - s->gone_at_usec < GONE_QUIET_USEC)
                return;
        s->gone_at_usec = now;
        flush_gone(s);
}

void session_gone(struct session *s, uint64_t tag_or_id, uint32_t seq)
{
        queue_gone(s, &(struct session_gone) { tag_or_id, seq, WIRE_GONE, NULL });
        flush_gone_if_due(s);
}

void session_unlinked(struct session *s, uint64_t id, const char *object)
{
        queue_gone(s, &(struct session_gone) { id, 0, WIRE_GONE, strdup(object) });
        flush_gone(s);
}

void session_settled(struct session *s, uint64_t id)
{
        queue_gone(s, &(struct session_gone) { id, 0, WIRE_SETTLED, NULL });
        flush_gone(s);
}

void session_listen(struct session *s)
{
        if (client_connect(&s->client, DEADLINE_PAST) == 0)
                client_drain(&s->client);
}

/* ---- asking ----------------------------------------------------------------------------------- */

bool session_is_away(int r)
{
        return r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT;
}

void session_give_up(struct session *s, uint32_t serial)
{
        s->given_up[s->n_given_up++ % ARRAY_SIZE(s->given_up)] = serial;
}

void session_want(struct session *s, uint32_t serial)
{
        for (unsigned int i = 0; i < ARRAY_SIZE(s->given_up); i++)
                if (s->given_up[i] == serial)
                        s->given_up[i] = 0;
}

static bool registers(uint16_t opcode)
{
        return opcode == WIRE_RESERVE || opcode == WIRE_TRACK;
}

int session_request(struct session *s, void *packet, size_t len, int fd, uint64_t deadline_usec,
                    uint64_t *ret_id)
{
        struct wire_header header;
        struct wire_result result;
        int r;

        /* What is asked may be about what is gone, unless its name has just been drawn. */
        header = wire_header_of(packet);
        if (header.opcode == WIRE_RESERVE)
                flush_gone_if_due(s);
        else
                flush_gone(s);
        r = client_request(&s->client, packet, len, fd, WIRE_RESULT, true, deadline_usec);
        header = wire_header_of(packet); /* numbered now */
        if (r == -ETIMEDOUT && registers(header.opcode))
                session_give_up(s, header.serial);
        if (r < 0)
                return r;

        memcpy(&result, s->client.packet, sizeof(result));
        if (ret_id && result.result >= 0)
                *ret_id = result.id;
        return result.result;
}

int session_request_fd(struct session *s, void *packet, size_t len, uint64_t deadline_usec,
                       uint64_t *ret_id, int *ret_fd)
{
        _cleanup_(closep) int fd = -1;
        int r;

        s->client.ret_fd = &fd;
        r = session_request(s, packet, len, -1, deadline_usec, ret_id);
        s->client.ret_fd = NULL;
        if (r >= 0)
                *ret_fd = TAKE_FD(fd);
        return r;
}
