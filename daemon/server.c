/* SPDX-License-Identifier: MIT */

/*
 * Owns the loop. Events only note what there is to do; a turn, which runs when no more events
 * are pending, does it: reads the connections that are ready, hands over to the registry, which
 * commits it all together. That is the group commit: what arrives while a turn runs is in the
 * next.
 *
 * A connection that sends nothing but reports goes quiet for a millisecond at a time, so that
 * its packets gather and wake nobody; if there are many, in memory that it shares with the daemon.
 * Who asks something rings the doorbell, an eventfd that all clients share: then all quiet
 * connections are read at once. A client that abuses it can take a millisecond from others, and no
 * more.
 *
 * No user makes a turn long, or keeps it from coming: each has a share of it, told by the time that
 * takes which is read; what has to wait comes first in the next one; and after so many events, from
 * whatever number of connections, the turn comes before any other. Who connects is taken out of the
 * queue that all users share as fast as can be, and greeted out of the user's share. Who has gone
 * again by then costs next to nothing.
 */

#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/conn.h"
#include "daemon/log.h"
#include "daemon/monitor.h"
#include "daemon/rings.h"
#include "daemon/status.h"
#include "daemon/usage.h"
#include "libclient/util.h"

#define TURN_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)
#define TURN_PRIORITY_AT_LAST (SD_EVENT_PRIORITY_NORMAL - 10)
#define BUDGET 1024U     /* of one connection in one turn, in reports */
#define EVENTS_MAX 512U  /* before a turn that waits for there to be none */
#define ACCEPTS_MAX 64U  /* at one event */
#define WELCOME_COST 32U /* in reports: what it takes, and the end of it */
#define QUIET_USEC USEC_PER_MSEC
#define TOO_FAST_USEC USEC_PER_MSEC
#define ACCEPT_PAUSE_USEC (100 * USEC_PER_MSEC)
#define LISTENERS_MAX 8U
#define STATUS_USEC USEC_PER_SEC
#define HUNG_LOOK_USEC (5 * USEC_PER_SEC)

struct listener {
        int fd;
        sd_event_source *io;
};

struct server {
        sd_event *event;
        struct store *store;
        struct registry *registry;
        struct server_options options;
        struct listener listeners[LISTENERS_MAX];
        unsigned int n_listeners;
        sd_event_source *accept_again;
        struct conn_list conns, ready, quiet, closed;
        struct monitor_list monitors;
        struct rings rings;
        uint64_t n_conns;
        sd_event_source *turn;
        uint64_t n_turns;
        unsigned int n_events;     /* since the last turn was asked for */
        sd_event_source *too_fast; /* the timer of those who may go on in a moment */
        int doorbell_fd;
        sd_event_source *doorbell, *quiet_timer;
        bool is_timed; /* the timer of the quiet is running */
        /* What the service manager is told, and whether that may have changed, or is due now. */
        sd_event_source *status_timer;
        char status[STATUS_TEXT_MAX];
        bool is_status_old, is_status_due;
        uint64_t started_usec;
};

static uint64_t now_usec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

static void wake(struct server *s)
{
        s->is_status_old = true;
        (void) sd_event_source_set_enabled(s->turn, SD_EVENT_ONESHOT);
        if (++s->n_events == EVENTS_MAX)
                (void) sd_event_source_set_priority(s->turn, TURN_PRIORITY_AT_LAST);
}

void server_ready(struct server *s, struct conn *c)
{
        if (!c->is_ready && !c->is_closed) {
                c->is_ready = true;
                TAILQ_INSERT_TAIL(&s->ready, c, queued);
        }
        wake(s);
}

static void forget_ready(struct server *s, struct conn *c)
{
        if (c->is_ready)
                TAILQ_REMOVE(&s->ready, c, queued);
        c->is_ready = false;
}

static void forget_quiet(struct server *s, struct conn *c)
{
        if (c->is_quiet)
                TAILQ_REMOVE(&s->quiet, c, quiet);
        c->is_quiet = false;
}

void server_close_conn(struct server *s, struct conn *c)
{
        forget_ready(s, c);
        forget_quiet(s, c);
        TAILQ_REMOVE(&s->conns, c, all);
        TAILQ_INSERT_TAIL(&s->closed, c, all);
        s->n_conns--;
        wake(s);
}

static void free_closed(struct server *s)
{
        struct conn *c;

        while ((c = TAILQ_FIRST(&s->closed))) {
                TAILQ_REMOVE(&s->closed, c, all);
                conn_free(c);
        }
}

/* ---- quiet connections ---- */

static int on_quiet_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct server *s = userdata;
        struct conn *c;

        s->is_timed = false;
        TAILQ_FOREACH(c, &s->quiet, quiet)
        server_ready(s, c);
        return 0;
}

static void time_quiet(struct server *s)
{
        if (s->is_timed || TAILQ_EMPTY(&s->quiet))
                return;
        s->is_timed = true;
        (void) sd_event_source_set_time_relative(s->quiet_timer, QUIET_USEC);
        (void) sd_event_source_set_enabled(s->quiet_timer, SD_EVENT_ONESHOT);
}

static int on_doorbell(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct server *s = userdata;
        eventfd_t count;
        struct conn *c;

        (void) eventfd_read(fd, &count);
        TAILQ_FOREACH(c, &s->quiet, quiet)
        server_ready(s, c);
        return 0;
}

/* Only reports came, and no more now: let more of them gather. Nothing came: back to waiting. */
static void settle_quiet(struct server *s, struct conn *c, const struct received *received)
{
        bool is_quiet = received->packets > 0 && !received->asked && !c->is_closed;

        if (c->is_closed || is_quiet == c->is_quiet)
                return;
        if (is_quiet)
                TAILQ_INSERT_TAIL(&s->quiet, c, quiet);
        else
                TAILQ_REMOVE(&s->quiet, c, quiet);
        conn_set_quiet(c, is_quiet);
}

/* ---- what the service manager is told ---- */

/* A second after something may have changed, with a turn: it can be asked for only then. */
static int on_status_due(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct server *s = userdata;

        s->is_status_due = true;
        (void) sd_event_source_set_enabled(s->turn, SD_EVENT_ONESHOT);
        return 0;
}

static void time_status(struct server *s, uint64_t usec)
{
        int enabled = SD_EVENT_OFF;

        if (!s->options.is_notifying || !s->is_status_old)
                return;
        s->is_status_old = false;
        (void) sd_event_source_get_enabled(s->status_timer, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(s->status_timer, usec);
        (void) sd_event_source_set_enabled(s->status_timer, SD_EVENT_ONESHOT);
}

static void tell_status(struct server *s)
{
        struct wire_status_reply reply;
        char text[STATUS_TEXT_MAX];
        unsigned int jobs, hung;
        bool is_told;

        if (!s->is_status_due)
                return;
        s->is_status_due = false;
        server_get_status(s, &reply);
        if (reply.result < 0)
                return;
        pool_count(registry_pool(s->registry), &jobs, &hung);
        status_format(&reply, hung, text);
        is_told = status_tell(text, s->status);
        if ((jobs > hung || !is_told) && !s->is_status_old) {
                /* One that hangs makes no event, nor does a queue that is not full any more. */
                s->is_status_old = true;
                time_status(s, HUNG_LOOK_USEC);
        }
}

/* ---- when there is not enough of something ---- */

static int on_accept_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct server *s = userdata;

        for (unsigned int i = 0; i < s->n_listeners; i++)
                (void) sd_event_source_set_enabled(s->listeners[i].io, SD_EVENT_ON);
        return 0;
}

static bool is_shortage(int r)
{
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS;
}

/* Out of descriptors or memory: who waits in the queue waits a moment longer. */
static void pause_accepting(struct server *s, int error)
{
        log_warning("Cannot accept a connection, pausing: %s", strerror(-error));
        for (unsigned int i = 0; i < s->n_listeners; i++)
                (void) sd_event_source_set_enabled(s->listeners[i].io, SD_EVENT_OFF);
        (void) sd_event_source_set_time_relative(s->accept_again, ACCEPT_PAUSE_USEC);
        (void) sd_event_source_set_enabled(s->accept_again, SD_EVENT_ONESHOT);
}

/* ---- the turn ---- */

static int on_too_fast_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        wake(userdata);
        return 0;
}

/* Those whose users have had their share come first in the next turn, which is soon. */
static void put_off(struct server *s, struct conn_list *late, bool is_share)
{
        if (TAILQ_EMPTY(late))
                return;
        TAILQ_CONCAT(late, &s->ready, queued);
        TAILQ_CONCAT(&s->ready, late, queued);
        if (is_share)
                return wake(s);
        (void) sd_event_source_set_time_relative(s->too_fast, TOO_FAST_USEC);
        (void) sd_event_source_set_enabled(s->too_fast, SD_EVENT_ONESHOT);
}

/* Who has just come. What it sends from now on makes an event. */
static void welcome(struct server *s, struct conn *c)
{
        int r;

        usage_spend(c->user, 1, WELCOME_COST);
        r = conn_welcome(c);
        if (is_shortage(r))
                pause_accepting(s, r);
        if (r < 0)
                log_debug("Cannot serve a client: %s", strerror(-r));
}

static void read_one(struct server *s, struct conn *c, unsigned int budget)
{
        struct received received;
        bool has_more;

        c->is_ready = false;
        if (!c->is_welcome)
                return welcome(s, c);
        has_more = conn_receive(c, budget, &received) > 0;
        usage_spend(c->user, received.packets, received.cost);
        if (has_more)
                server_ready(s, c); /* in the next turn, behind the others */
        else
                settle_quiet(s, c, &received);
}

static void read_ready(struct server *s)
{
        struct conn_list now = TAILQ_HEAD_INITIALIZER(now), late = TAILQ_HEAD_INITIALIZER(late);
        bool is_share = false;
        struct conn *c;
        uint64_t budget;

        s->n_turns++;
        TAILQ_CONCAT(&now, &s->ready, queued);
        while ((c = TAILQ_FIRST(&now))) {
                TAILQ_REMOVE(&now, c, queued);
                budget = usage_left(c->user, s->n_turns);
                if (budget > 0) {
                        read_one(s, c, (unsigned int) MIN(budget, BUDGET));
                        continue;
                }
                is_share = is_share || !usage_is_too_fast(c->user);
                TAILQ_INSERT_TAIL(&late, c, queued);
        }
        put_off(s, &late, is_share);
}

static int on_turn(sd_event_source *source, void *userdata)
{
        struct server *s = userdata;

        s->n_events = 0;
        (void) sd_event_source_set_priority(s->turn, TURN_PRIORITY); /* nothing, if it is that */
        if (!store_may_write(s->store))
                return 0; /* a few milliseconds; then writable() wakes */
        read_ready(s);
        tell_status(s);
        registry_turn(s->registry);
        monitor_flush_all(&s->monitors);
        free_closed(s);
        time_quiet(s);
        time_status(s, STATUS_USEC);
        return 0;
}

/* ---- what the registry asks for ---- */

static void answer(struct request *r, void *userdata)
{
        conn_answer(r);
}

static void drain(struct peer *p, void *userdata)
{
        conn_drain(conn_of_peer(p));
}

static void wake_up(void *userdata)
{
        wake(userdata);
}

static void happened(struct wire_row *row, const char *const strings[4], void *userdata)
{
        struct server *s = userdata;

        monitor_tell_all(&s->monitors, row, strings);
}

static void on_synced(uint64_t number, int error, void *userdata)
{
        struct server *s = userdata;

        registry_synced(s->registry, number, error);
        if (error < 0) {
                log_write(
                        LOG_CRIT,
                        &(struct log_fields) { .message_id = LOG_ID_STORE_FAILED, .error = error },
                        "Cannot write the database through to its disk; ending: %s",
                        strerror(-error));
                (void) sd_event_exit(s->event, error);
        }
}

/* ---- accepting ---- */

/* 0, also if the client has gone again; negative: there are no more, or there is no room for one. */
static int accept_one(struct server *s, int fd)
{
        struct conn *c;
        int r;

        fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
        wake(s); /* it has taken its time, whatever comes of it */
        r = conn_new(s, fd, &c);
        if (r < 0) {
                log_debug("Cannot serve a client: %s", strerror(-r));
                return is_shortage(r) ? r : 0;
        }
        TAILQ_INSERT_TAIL(&s->conns, c, all);
        s->n_conns++;
        server_ready(s, c); /* to be greeted */
        return 0;
}

/* Many at once, so that who comes and goes again does not fill the queue before others. */
static int on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct server *s = userdata;
        int r = 0;

        for (unsigned int i = 0; r >= 0 && i < ACCEPTS_MAX; i++)
                r = accept_one(s, fd);
        if (is_shortage(r))
                pause_accepting(s, r);
        return 0;
}

int server_listen(struct server *s, int fd)
{
        struct listener *l = &s->listeners[s->n_listeners];
        int one = 1, r;

        if (s->n_listeners == LISTENERS_MAX) {
                close_fd(fd);
                return -E2BIG;
        }
        /* On the listener, so that it covers what is sent before accept(). */
        if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0 ||
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 || listen(fd, SOMAXCONN) < 0) {
                r = -errno;
                close_fd(fd);
                return r;
        }
        r = sd_event_add_io(s->event, &l->io, fd, EPOLLIN, on_connect, s);
        if (r < 0) {
                close_fd(fd);
                return r;
        }
        l->fd = fd;
        s->n_listeners++;
        return 0;
}

/* ---- beginning and end ---- */

static int add_sources(struct server *s)
{
        int r;

        r = sd_event_add_defer(s->event, &s->turn, on_turn, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_priority(s->turn, TURN_PRIORITY);
        (void) sd_event_source_set_enabled(s->turn, SD_EVENT_OFF);
        s->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->doorbell_fd < 0)
                return -errno;
        r = sd_event_add_io(s->event, &s->doorbell, s->doorbell_fd, EPOLLIN, on_doorbell, s);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(s->event, &s->quiet_timer, CLOCK_MONOTONIC, 0, 1,
                                       on_quiet_over, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(s->quiet_timer, SD_EVENT_OFF);
        r = sd_event_add_time_relative(s->event, &s->status_timer, CLOCK_MONOTONIC, 0, 0,
                                       on_status_due, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(s->status_timer, SD_EVENT_OFF);
        r = sd_event_add_time_relative(s->event, &s->accept_again, CLOCK_MONOTONIC, 0, 0,
                                       on_accept_again, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(s->accept_again, SD_EVENT_OFF);
        r = sd_event_add_time_relative(s->event, &s->too_fast, CLOCK_MONOTONIC, 0, 1,
                                       on_too_fast_over, s);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(s->too_fast, SD_EVENT_OFF);
        return 0;
}

static void server_freep(struct server **s)
{
        server_free(*s);
}

int server_new(sd_event *event, struct store *store, const struct server_options *options,
               struct server **ret)
{
        struct registry_callbacks for_registry = { answer, drain, wake_up, happened, NULL };
        struct store_callbacks for_store = { on_synced, wake_up, NULL };
        _cleanup_(server_freep) struct server *s = NULL;
        int r;

        s = malloc(sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct server) {
                .event = sd_event_ref(event),
                .store = store,
                .options = *options,
                .doorbell_fd = -1,
                .started_usec = now_usec(),
        };
        TAILQ_INIT(&s->conns);
        TAILQ_INIT(&s->ready);
        TAILQ_INIT(&s->quiet);
        TAILQ_INIT(&s->closed);
        TAILQ_INIT(&s->monitors);
        rings_init(&s->rings);
        r = add_sources(s);
        if (r < 0)
                return r;
        for_registry.userdata = for_store.userdata = s;
        r = registry_new(event, store, store_directory(store), options->is_power, &for_registry,
                         &s->registry);
        if (r < 0)
                return r;
        registry_keep_in(s->registry, options->fdstore);
        if (options->is_container)
                registry_be_container(s->registry);
        r = store_start_sync(store, event, &for_store);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

void server_free(struct server *s)
{
        struct conn *c;

        if (!s)
                return;
        while ((c = TAILQ_FIRST(&s->conns))) {
                TAILQ_REMOVE(&s->conns, c, all);
                conn_free(c);
        }
        free_closed(s);
        for (unsigned int i = 0; i < s->n_listeners; i++) {
                sd_event_source_disable_unref(s->listeners[i].io);
                close_fd(s->listeners[i].fd);
        }
        registry_free(s->registry);
        sd_event_source_disable_unref(s->turn);
        sd_event_source_disable_unref(s->doorbell);
        sd_event_source_disable_unref(s->quiet_timer);
        sd_event_source_disable_unref(s->status_timer);
        sd_event_source_disable_unref(s->accept_again);
        sd_event_source_disable_unref(s->too_fast);
        close_fd(s->doorbell_fd);
        sd_event_unref(s->event);
        free(s);
}

void server_configure(struct server *s, const struct config *c)
{
        registry_configure(s->registry, c);
}

int server_start(struct server *s)
{
        return registry_start(s->registry);
}

struct registry *server_registry(struct server *s)
{
        return s->registry;
}

struct rings *server_rings(struct server *s)
{
        return &s->rings;
}

struct monitor_list *server_monitors(struct server *s)
{
        return &s->monitors;
}

int server_doorbell(const struct server *s)
{
        return s->doorbell_fd;
}

void server_get_nearest_limit(struct server *s, const struct cred *asker,
                              struct wire_status_reply *ret)
{
        bool sees_all = asker->uid == 0 || cred_is_own(asker->uid);
        struct usage_nearest n = { 0 };

        if (!usage_get_nearest(registry_usage(s->registry), sees_all ? NULL : &asker->uid, &n))
                return;
        ret->limit = (uint32_t) n.what + WIRE_LIMIT_CONNECTIONS;
        ret->limit_uid = n.uid;
        ret->limit_used = n.used;
        ret->limit_max = n.max;
}

void server_get_status(struct server *s, struct wire_status_reply *ret)
{
        struct registry_status status;
        unsigned int jobs, hung;

        ret->result = registry_get_status(s->registry, &status);
        ret->pid = (uint32_t) getpid();
        ret->uptime_usec = now_usec() - s->started_usec;
        ret->connections = s->n_conns;
        ret->owners = status.owners;
        ret->directories = status.directories;
        ret->tags = status.tags;
        ret->live = status.counts.live - MIN(status.reaping, status.counts.live);
        ret->reaping = status.reaping;
        ret->retained = status.counts.retained;
        ret->stuck = status.counts.stuck;
        ret->waiting = status.counts.waiting;
        ret->reaped = status.reaped;
        ret->failed = status.failed;
        ret->database_bytes = status.counts.bytes;
        pool_count(registry_pool(s->registry), &jobs, &hung);
        ret->jobs = jobs;
        ret->hung = hung;
        ret->commit_failures = status.commit_failures;
        ret->commit = status.commit;
        ret->sync = status.sync;
        ret->reap = status.reap;
        ret->refused = usage_refused(registry_usage(s->registry));
        ret->flags = (uint16_t) ((status.is_power ? WIRE_STATUS_POWER : 0U) |
                                 (s->options.is_system ? WIRE_STATUS_SYSTEM : 0U));
}
