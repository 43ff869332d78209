/* SPDX-License-Identifier: MIT */

/*
 * Administration: a connection of the caller's own, without places and without coming back after a
 * loss; whoever looks at the daemon wants to know that it went away. Translates between the public
 * structures and the wire's, and owns the copy of a packet whose rows the callback sees, so that
 * the callback may ask for more on the same connection.
 */

#include "libclient/libtempfile-admin.h"

#include "libclient/client.h"
#include "libclient/deadline.h"
#include "libclient/process.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define FILTER_FLAGS                                                                               \
        (TEMPFILE_LIST_LEAKED | TEMPFILE_LIST_RETAINED | TEMPFILE_LIST_UID | TEMPFILE_LIST_PID)

static_assert(TEMPFILE_LIST_LEAKED == WIRE_LIST_LEAKED, "");
static_assert(TEMPFILE_LIST_RETAINED == WIRE_LIST_RETAINED, "");
static_assert(TEMPFILE_LIST_UID == WIRE_LIST_UID, "");
static_assert(TEMPFILE_LIST_PID == WIRE_LIST_PID, "");
static_assert((int) TEMPFILE_KIND_OTHER == (int) WIRE_KIND_OTHER, "");
static_assert((int) TEMPFILE_STATE_WAITING == (int) WIRE_STATE_WAITING, "");
static_assert((int) TEMPFILE_OWNER_BOOT == (int) WIRE_OWNER_BOOT, "");
static_assert((int) TEMPFILE_EVENT_RENEWED == (int) WIRE_EVENT_RENEWED, "");

struct tempfile_admin {
        pid_t pid;
        uint64_t timeout_usec;
        struct client client;
};

struct page {
        size_t len;
        uint8_t packet[WIRE_PACKET_MAX];
};

static void admin_freep(struct tempfile_admin **a)
{
        tempfile_admin_close(*a);
}

_public_ int tempfile_admin_open(const char *socket, uint32_t timeout_msec,
                                 struct tempfile_admin **ret)
{
        _cleanup_(admin_freep) struct tempfile_admin *a = NULL;
        int r;

        if (!ret)
                return -EINVAL;
        a = malloc(sizeof(*a));
        if (!a)
                return -ENOMEM;
        a->pid = process_id();
        a->timeout_usec = timeout_msec != 0 ? timeout_msec * USEC_PER_MSEC : SESSION_TIMEOUT_USEC;
        r = client_init(&a->client, socket, NULL, NULL);
        if (r < 0)
                return r;
        r = client_connect(&a->client, deadline_in(a->timeout_usec));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(a);
        return 0;
}

_public_ void tempfile_admin_close(struct tempfile_admin *a)
{
        if (!a)
                return;
        client_done(&a->client);
        free(a);
}

/* A connection that was lost over a question stays lost: client_request() would connect again. */
static int ask_with_fd(struct tempfile_admin *a, void *packet, size_t len, int fd,
                       uint16_t expected)
{
        if (a->pid != process_id())
                return -EPERM;
        if (a->client.phase != CLIENT_READY)
                return -ECONNRESET;
        return client_request(&a->client, packet, len, fd, expected, false,
                              deadline_in(a->timeout_usec));
}

static int ask(struct tempfile_admin *a, void *packet, size_t len, uint16_t expected)
{
        return ask_with_fd(a, packet, len, -1, expected);
}

static int64_t ask_for_result(struct tempfile_admin *a, void *packet, size_t len, int fd)
{
        struct wire_result result;
        int r;

        r = ask_with_fd(a, packet, len, fd, WIRE_RESULT);
        if (r < 0)
                return r;
        memcpy(&result, a->client.packet, sizeof(result));
        return result.result;
}

/* ---- listing ---------------------------------------------------------------------------------- */

static void fill_entry(const struct wire_row *row, const char *const strings[4],
                       struct tempfile_entry *ret)
{
        *ret = (struct tempfile_entry) {
                .id = row->id,
                .path = strings[0],
                .unit = strings[1],
                .command = strings[2],
                .failed = strings[3],
                .created_usec = row->created_usec,
                .next_try_usec = row->next_try_usec,
                .expires_usec = row->expires_usec,
                .owner = row->owner,
                .uid = row->uid,
                .pid = row->pid,
                .error = row->error,
                .attempts = row->attempts,
                .kind = row->kind,
                .state = row->state,
                .owner_kind = row->owner_kind,
                .is_made = row->flags & WIRE_ROW_MADE ? 1 : 0,
        };
}

static int64_t show_page(const struct page *page, tempfile_entry_fn fn, void *userdata)
{
        const char *strings[4];
        struct tempfile_entry e;
        struct wire_row row;
        size_t offset = 0;
        int64_t n = 0;
        int r;

        while (wire_next_row(page->packet, page->len, &offset, &row, strings)) {
                fill_entry(&row, strings, &e);
                r = fn(&e, userdata);
                if (r < 0)
                        return r;
                n++;
        }
        return n;
}

static int get_page(struct tempfile_admin *a, struct wire_list *list, struct page *ret)
{
        struct wire_rows rows;
        int r;

        r = ask(a, list, sizeof(*list), WIRE_ROWS);
        if (r < 0)
                return r;
        memcpy(&rows, a->client.packet, sizeof(rows));
        if (rows.result < 0)
                return rows.result;

        ret->len = a->client.packet_len;
        memcpy(ret->packet, a->client.packet, ret->len);
        list->cursor = rows.cursor;
        return 0;
}

static int read_filter(const struct tempfile_filter *filter, struct wire_list *list)
{
        if (!filter)
                return 0;
        if (filter->size != sizeof(*filter) || (filter->flags & ~FILTER_FLAGS))
                return -EINVAL;
        list->flags = filter->flags;
        list->uid = filter->uid;
        list->pid = filter->pid;
        return 0;
}

_public_ int64_t tempfile_admin_list(struct tempfile_admin *a, const struct tempfile_filter *filter,
                                     tempfile_entry_fn fn, void *userdata)
{
        struct wire_list list = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_LIST },
        };
        _cleanup_(freep) struct page *page = NULL;
        int64_t n, sum = 0;
        int r;

        if (!a || !fn)
                return -EINVAL;
        r = read_filter(filter, &list);
        if (r < 0)
                return r;
        page = malloc(sizeof(*page));
        if (!page)
                return -ENOMEM;

        do {
                r = get_page(a, &list, page);
                if (r < 0)
                        return r;
                n = show_page(page, fn, userdata);
                if (n < 0)
                        return n;
                sum += n;
        } while (list.cursor != 0);
        return sum;
}

/* ---- the rest --------------------------------------------------------------------------------- */

/* Cut off where it does not fit: it is there to be read by people. */
static void copy_text(char *buf, size_t size, const char *text)
{
        const size_t len = MIN(strlen(text), size - 1);

        memcpy(buf, text, len);
        buf[len] = '\0';
}

static_assert(sizeof(struct tempfile_histogram) == sizeof(struct wire_histogram), "");
static_assert(TEMPFILE_HISTOGRAM_COUNTS == WIRE_HISTOGRAM_COUNTS, "");

static void copy_histogram(struct tempfile_histogram *ret, const struct wire_histogram *h)
{
        memcpy(ret, h, sizeof(*ret)); /* laid out the same */
}

static void fill_status(const struct client *c, struct tempfile_status *ret)
{
        struct wire_status_reply reply;

        memcpy(&reply, c->packet, sizeof(reply));
        *ret = (struct tempfile_status) {
                .size = sizeof(*ret),
                .pid = reply.pid,
                .uptime_usec = reply.uptime_usec,
                .owners = reply.owners,
                .connections = reply.connections,
                .directories = reply.directories,
                .tags = reply.tags,
                .live = reply.live,
                .reaping = reply.reaping,
                .retained = reply.retained,
                .stuck = reply.stuck,
                .waiting = reply.waiting,
                .reaped = reply.reaped,
                .failed = reply.failed,
                .database_bytes = reply.database_bytes,
                .jobs = reply.jobs,
                .hung = reply.hung,
                .commit_failures = reply.commit_failures,
                .is_power = reply.flags & WIRE_STATUS_POWER ? 1 : 0,
                .is_system = reply.flags & WIRE_STATUS_SYSTEM ? 1 : 0,
                .limit = reply.limit,
                .limit_uid = reply.limit_uid,
                .limit_used = reply.limit_used,
                .limit_max = reply.limit_max,
                .refused = reply.refused,
        };
        copy_histogram(&ret->commit, &reply.commit);
        copy_histogram(&ret->sync, &reply.sync);
        copy_histogram(&ret->reap, &reply.reap);
        copy_text(ret->version, sizeof(ret->version), (const char *) c->packet + sizeof(reply));
        copy_text(ret->socket, sizeof(ret->socket), c->path);
}

_public_ int tempfile_admin_status(struct tempfile_admin *a, struct tempfile_status *ret)
{
        struct wire_status packet = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_STATUS },
        };
        struct wire_status_reply reply;
        struct tempfile_status status;
        uint32_t size;
        int r;

        if (!a || !ret || ret->size < sizeof(ret->size))
                return -EINVAL;
        r = ask(a, &packet, sizeof(packet), WIRE_STATUS_REPLY);
        if (r < 0)
                return r;
        memcpy(&reply, a->client.packet, sizeof(reply));
        if (reply.result < 0)
                return reply.result;

        /* A caller with an older header gets as much as it has room for; a newer one zeroes. */
        fill_status(&a->client, &status);
        size = ret->size;
        memset(ret, 0, size);
        memcpy(ret, &status, MIN((size_t) size, sizeof(status)));
        ret->size = size;
        return 0;
}

_public_ int64_t tempfile_admin_reap(struct tempfile_admin *a, uint64_t id, unsigned int flags)
{
        struct wire_reap packet = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_REAP },
                .id = id,
                .flags = flags & TEMPFILE_REAP_FORCE ? WIRE_REAP_FORCE : 0,
        };

        if (!a || (flags & ~TEMPFILE_REAP_FORCE) || (flags != 0 && id == 0))
                return -EINVAL;
        return ask_for_result(a, &packet, sizeof(packet), -1);
}

static int change(struct tempfile_admin *a, uint64_t id, uint16_t opcode, uint32_t argument)
{
        struct wire_change packet = {
                .header = { .version = WIRE_VERSION, .opcode = opcode },
                .ref = { .tag_or_id = id },
                .argument = argument,
        };

        if (!a || id == 0)
                return -EINVAL;
        return (int) ask_for_result(a, &packet, sizeof(packet), -1);
}

_public_ int tempfile_admin_keep(struct tempfile_admin *a, uint64_t id)
{
        return change(a, id, WIRE_KEEP, 0);
}

_public_ int tempfile_admin_renew(struct tempfile_admin *a, uint64_t id, uint32_t sec)
{
        return sec > 0 ? change(a, id, WIRE_RENEW, sec) : -EINVAL;
}

_public_ int tempfile_admin_retain(struct tempfile_admin *a, uint64_t id, uint32_t sec)
{
        return change(a, id, WIRE_RETAIN, sec);
}

static bool is_owner_valid(const struct tempfile_admin_owner *o)
{
        bool has_process = o->kind == TEMPFILE_OWNER_PROCESS || o->kind == TEMPFILE_OWNER_UNIT;

        if (o->size != sizeof(*o) || o->kind < TEMPFILE_OWNER_PROCESS ||
            o->kind > TEMPFILE_OWNER_BOOT || o->kind == TEMPFILE_OWNER_DESCRIPTOR)
                return false;
        if (has_process && o->pidfd < 0)
                return false;
        return (o->kind == TEMPFILE_OWNER_LEASE) == (o->lease_sec != 0) &&
               (o->kind == TEMPFILE_OWNER_UNIT ||
                (o->kind == TEMPFILE_OWNER_TOKEN) == (o->token != 0));
}

_public_ int tempfile_admin_give(struct tempfile_admin *a, uint64_t id,
                                 const struct tempfile_admin_owner *owner)
{
        struct wire_claim packet = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_CLAIM },
                .ref = { .tag_or_id = id },
                .flags = WIRE_CLAIM_GIVE,
        };
        bool has_process;

        if (!a || id == 0 || !owner || !is_owner_valid(owner))
                return -EINVAL;
        has_process = owner->kind == TEMPFILE_OWNER_PROCESS || owner->kind == TEMPFILE_OWNER_UNIT;
        packet.owner = (struct wire_owner) {
                .kind = owner->kind,
                .lease_sec = owner->lease_sec,
                .token = owner->token,
        };
        return (int) ask_for_result(a, &packet, sizeof(packet), has_process ? owner->pidfd : -1);
}

/* ---- monitoring ------------------------------------------------------------------------------- */

_public_ int tempfile_admin_monitor(struct tempfile_admin *a)
{
        struct wire_monitor packet = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_MONITOR },
        };

        return a ? (int) ask_for_result(a, &packet, sizeof(packet), -1) : -EINVAL;
}

_public_ int tempfile_admin_fd(const struct tempfile_admin *a)
{
        return a ? a->client.socket.fd : -EINVAL;
}

static int64_t show_events(const struct page *page, tempfile_event_fn fn, void *userdata)
{
        const char *strings[4];
        struct wire_events head;
        struct tempfile_entry e;
        struct wire_row row;
        size_t offset = 0;
        int64_t n = 0;
        int r;

        memcpy(&head, page->packet, sizeof(head));
        while (wire_next_row(page->packet, page->len, &offset, &row, strings)) {
                fill_entry(&row, strings, &e);
                r = fn(row.event, head.time_usec, &e, userdata);
                if (r < 0)
                        return r;
                n++;
        }
        return head.result < 0 ? head.result : n;
}

_public_ int64_t tempfile_admin_read_events(struct tempfile_admin *a, uint32_t timeout_msec,
                                            tempfile_event_fn fn, void *userdata)
{
        _cleanup_(freep) struct page *page = NULL;
        int r;

        if (!a || !fn)
                return -EINVAL;
        if (a->pid != getpid())
                return -EPERM;
        r = client_hear(&a->client, timeout_msec != 0 ? deadline_in(timeout_msec * USEC_PER_MSEC)
                                                      : DEADLINE_PAST);
        if (r < 0)
                return r == -ETIMEDOUT ? 0 : r;
        if (wire_header_of(a->client.packet).opcode != WIRE_EVENTS)
                return -EBADMSG;
        page = malloc(sizeof(*page));
        if (!page)
                return -ENOMEM;
        page->len = a->client.packet_len;
        memcpy(page->packet, a->client.packet, page->len);
        return show_events(page, fn, userdata);
}
