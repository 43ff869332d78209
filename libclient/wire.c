/* SPDX-License-Identifier: MIT */

/*
 * The conversation's grammar: one table says for each opcode who sends it, how long it is, which
 * descriptors come along and what else must hold. Promises that a packet which passed can be read
 * field by field without another look at its length; leaves what the fields mean (does that tag
 * exist, may that caller) to its users. Pure: no I/O, no state, no allocation.
 *
 * The subtle thing: a packet lies where recvmsg() put it and its records behind strings of any
 * length, so nothing may be read through a cast pointer. Everything is copied into a local first.
 */

#include "libclient/wire.h"

#include "libclient/ending.h"
#include "libclient/name.h"
#include "libclient/util.h"

#define TAG_FLAGS (WIRE_TAG_UNREADABLE | WIRE_TAG_AGAIN | WIRE_TAG_ANY)
#define LIST_FLAGS (WIRE_LIST_LEAKED | WIRE_LIST_RETAINED | WIRE_LIST_UID | WIRE_LIST_PID)
#define ROW_FLAGS (WIRE_ROW_MADE | WIRE_ROW_ARENA)
#define STATUS_FLAGS (WIRE_STATUS_POWER | WIRE_STATUS_SYSTEM)

#define ROW_STRINGS 4U

/* @len bytes without a NUL, then one? */
static bool is_text(const char *text, size_t len)
{
        return memchr(text, '\0', len + 1) == text + len;
}

/* Does the packet end with such a text right behind a structure of @size bytes? */
static bool ends_with_text(const uint8_t *packet, size_t len, size_t size, size_t text_len)
{
        return len == size + text_len + 1 && is_text((const char *) packet + size, text_len);
}

static bool is_kind(uint8_t kind)
{
        return kind >= WIRE_KIND_FILE && kind <= WIRE_KIND_OTHER;
}

static bool is_ref(const struct wire_ref *ref)
{
        return ref->tag_or_id != 0 && ref->reserved == 0;
}

static bool is_owner(const struct wire_owner *owner)
{
        if (owner->kind < WIRE_OWNER_PROCESS || owner->kind > WIRE_OWNER_BOOT)
                return false;
        if ((owner->kind == WIRE_OWNER_LEASE) != (owner->lease_sec != 0))
                return false;
        return owner->kind == WIRE_OWNER_UNIT ||
               (owner->kind == WIRE_OWNER_TOKEN) == (owner->token != 0);
}

/* Any features: a newer daemon may offer what this library does not know, and does not take. */
static bool check_welcome(const uint8_t *packet, size_t len _unused_)
{
        struct wire_welcome m;

        memcpy(&m, packet, sizeof(m));
        return m.reserved == 0;
}

/* No features: none exists that a client could have been offered. */
static bool check_hello(const uint8_t *packet, size_t len _unused_)
{
        struct wire_hello m;

        memcpy(&m, packet, sizeof(m));
        return m.features == 0 && m.reserved == 0;
}

static bool check_result(const uint8_t *packet, size_t len _unused_)
{
        struct wire_result m;

        memcpy(&m, packet, sizeof(m));
        return m.reserved == 0;
}

static bool check_tagged(const uint8_t *packet, size_t len _unused_)
{
        struct wire_tagged m;

        memcpy(&m, packet, sizeof(m));
        return m.result == 0 && m.reserved == 0 && m.tag != 0;
}

static bool check_tag(const uint8_t *packet, size_t len)
{
        struct wire_tag m;

        memcpy(&m, packet, sizeof(m));
        if (m.tag == 0 || m.reserved != 0 || (m.flags & ~TAG_FLAGS) != 0)
                return false;
        if (m.path_len == 0 || m.path_len >= WIRE_PATH_MAX)
                return false;
        return ends_with_text(packet, len, sizeof(m), m.path_len) && packet[sizeof(m)] == '/';
}

/* Reads the record at @at and moves behind it; false: the packet ends before the record does. */
static bool take_record(const uint8_t *packet, size_t len, size_t *at, struct wire_record *ret,
                        const char **ret_name)
{
        const size_t rest = len - *at;
        struct wire_record r;

        if (rest < sizeof(r))
                return false;
        memcpy(&r, packet + *at, sizeof(r));
        if (rest - sizeof(r) <= r.name_len)
                return false;

        *ret = r;
        *ret_name = (const char *) packet + *at + sizeof(r);
        *at += sizeof(r) + r.name_len + 1U;
        return true;
}

static bool is_record(const struct wire_record *r, const char *name)
{
        struct ending_object object;

        if (name[r->name_len] != '\0' || r->tag_or_id == 0)
                return false;
        if (r->what == WIRE_GONE || r->what == WIRE_SETTLED)
                return r->kind == 0 && r->name_len == 0 && (r->what == WIRE_GONE || r->seq == 0);
        if (r->what == WIRE_UNLINKED)
                return r->kind == 0 && r->seq == 0 && strlen(name) == r->name_len &&
                       ending_read(name, &object);
        return r->what == WIRE_MADE && is_kind(r->kind) && r->seq != 0 &&
               name_is_component(name, r->name_len);
}

static bool check_report(const uint8_t *packet, size_t len)
{
        struct wire_report m;
        size_t at = sizeof(m);

        memcpy(&m, packet, sizeof(m));
        if (m.reserved != 0 || m.reserved2 != 0)
                return false;

        for (unsigned int i = 0; i < m.count; i++) {
                struct wire_record r;
                const char *name;

                if (!take_record(packet, len, &at, &r, &name) || !is_record(&r, name))
                        return false;
        }
        return at == len;
}

static bool check_register(const uint8_t *packet, size_t len)
{
        struct wire_register m;
        uint32_t flags;

        memcpy(&m, packet, sizeof(m));
        flags = m.header.opcode == WIRE_RESERVE ? WIRE_REGISTER_RESUME : 0;
        if (m.tag == 0 || (m.header.opcode == WIRE_TARGET) != (m.seq != 0))
                return false;
        if (!is_owner(&m.owner) || !is_kind(m.kind) || m.reserved != 0 || (m.flags & ~flags) != 0)
                return false;
        return ends_with_text(packet, len, sizeof(m), m.name_len) &&
               name_is_component((const char *) packet + sizeof(m), m.name_len);
}

static bool check_change(const uint8_t *packet, size_t len _unused_)
{
        struct wire_change m;

        memcpy(&m, packet, sizeof(m));
        if (m.header.opcode == WIRE_KEEP && m.argument != 0)
                return false;
        if (m.header.opcode == WIRE_RENEW && m.argument == 0)
                return false;
        return is_ref(&m.ref) && m.reserved == 0;
}

static bool check_claim(const uint8_t *packet, size_t len _unused_)
{
        struct wire_claim m;

        memcpy(&m, packet, sizeof(m));
        return is_ref(&m.ref) && is_owner(&m.owner) && (m.flags & ~WIRE_CLAIM_GIVE) == 0 &&
               m.reserved == 0;
}

static bool check_list(const uint8_t *packet, size_t len _unused_)
{
        struct wire_list m;

        memcpy(&m, packet, sizeof(m));
        return (m.flags & ~LIST_FLAGS) == 0 && m.reserved == 0;
}

/* As take_record(), for a row and its four strings. */
static bool take_row(const uint8_t *packet, size_t len, size_t *at, struct wire_row *ret,
                     const char *strings[ROW_STRINGS])
{
        const size_t rest = len - *at;
        const char *text;
        struct wire_row r;

        if (rest < sizeof(r))
                return false;
        memcpy(&r, packet + *at, sizeof(r));
        if (rest - sizeof(r) < (size_t) r.path_len + r.unit_len + r.command_len + r.failed_len + 4)
                return false;

        text = (const char *) packet + *at + sizeof(r);
        strings[0] = text;
        strings[1] = strings[0] + r.path_len + 1;
        strings[2] = strings[1] + r.unit_len + 1;
        strings[3] = strings[2] + r.command_len + 1;
        *at += sizeof(r) + (size_t) (strings[3] - text) + r.failed_len + 1U;
        *ret = r;
        return true;
}

static bool is_row(const struct wire_row *r, const char *const strings[ROW_STRINGS])
{
        if (!is_kind(r->kind) || r->error > 0 || (r->flags & ~ROW_FLAGS) != 0)
                return false;
        if (r->state < WIRE_STATE_LIVE || r->state > WIRE_STATE_KEPT)
                return false;
        if (r->owner_kind < WIRE_OWNER_PROCESS || r->owner_kind > WIRE_OWNER_BOOT)
                return false;
        return is_text(strings[0], r->path_len) && is_text(strings[1], r->unit_len) &&
               is_text(strings[2], r->command_len) && is_text(strings[3], r->failed_len);
}

/* EVENTS, too, which are laid out the same, and may be of kinds that only a newer daemon knows. */
static bool check_rows(const uint8_t *packet, size_t len)
{
        struct wire_rows m;
        size_t at = sizeof(m);

        memcpy(&m, packet, sizeof(m));
        for (uint32_t i = 0; i < m.count; i++) {
                const char *strings[ROW_STRINGS];
                struct wire_row r;

                if (!take_row(packet, len, &at, &r, strings) || !is_row(&r, strings) ||
                    (m.header.opcode == WIRE_EVENTS) != (r.event != 0))
                        return false;
        }
        return at == len;
}

static bool check_monitor(const uint8_t *packet, size_t len _unused_)
{
        struct wire_monitor m;

        memcpy(&m, packet, sizeof(m));
        return m.flags == 0 && m.reserved == 0;
}

static bool check_status_reply(const uint8_t *packet, size_t len)
{
        struct wire_status_reply m;

        memcpy(&m, packet, sizeof(m));
        return (m.flags & ~STATUS_FLAGS) == 0 && m.reserved == 0 &&
               m.limit <= WIRE_LIMIT_DESCRIPTORS &&
               ends_with_text(packet, len, sizeof(m), m.version_len);
}

static bool check_reap(const uint8_t *packet, size_t len _unused_)
{
        struct wire_reap m;

        memcpy(&m, packet, sizeof(m));
        return (m.flags & ~WIRE_REAP_FORCE) == 0 && m.reserved == 0;
}

enum sender {
        SENDER_NOBODY, /* a gap in the numbers */
        SENDER_CLIENT,
        SENDER_DAEMON,
};

struct message {
        enum sender sender;
        uint16_t size;
        bool is_open; /* more may follow the structure; @check sees to the exact end */
        uint8_t fds_min;
        uint8_t fds_max;
        bool (*check)(const uint8_t *packet, size_t len); /* NULL: nothing but a header */
};

#define EXACT(sender, type, fds_min, fds_max, check)                                               \
        {                                                                                          \
                SENDER_##sender, sizeof(struct type), false, fds_min, fds_max, check               \
        }
#define OPEN(sender, type, fds_min, fds_max, check)                                                \
        {                                                                                          \
                SENDER_##sender, sizeof(struct type), true, fds_min, fds_max, check                \
        }

static const struct message messages[] = {
        [WIRE_WELCOME] = EXACT(DAEMON, wire_welcome, 1, 1, check_welcome),
        [WIRE_HELLO] = EXACT(CLIENT, wire_hello, 0, 0, check_hello),
        [WIRE_RESULT] = EXACT(DAEMON, wire_result, 0, 1, check_result),
        [WIRE_TAG] = OPEN(CLIENT, wire_tag, 1, 1, check_tag),
        [WIRE_REPORT] = OPEN(CLIENT, wire_report, 0, 0, check_report),
        [WIRE_RESERVE] = OPEN(CLIENT, wire_register, 0, 1, check_register),
        [WIRE_TRACK] = OPEN(CLIENT, wire_register, 0, 1, check_register),
        [WIRE_TARGET] = OPEN(CLIENT, wire_register, 0, 1, check_register),
        [WIRE_CLAIM] = EXACT(CLIENT, wire_claim, 0, 1, check_claim),
        [WIRE_KEEP] = EXACT(CLIENT, wire_change, 0, 0, check_change),
        [WIRE_RETAIN] = EXACT(CLIENT, wire_change, 0, 0, check_change),
        [WIRE_RENEW] = EXACT(CLIENT, wire_change, 0, 0, check_change),
        [WIRE_TOKEN] = EXACT(CLIENT, wire_token, 0, 0, NULL),
        [WIRE_RING] = EXACT(CLIENT, wire_ring, 1, 1, NULL),
        [WIRE_TAGGED] = EXACT(DAEMON, wire_tagged, 0, 0, check_tagged),
        [WIRE_LIST] = EXACT(CLIENT, wire_list, 0, 0, check_list),
        [WIRE_ROWS] = OPEN(DAEMON, wire_rows, 0, 0, check_rows),
        [WIRE_STATUS] = EXACT(CLIENT, wire_status, 0, 0, NULL),
        [WIRE_STATUS_REPLY] = OPEN(DAEMON, wire_status_reply, 0, 0, check_status_reply),
        [WIRE_REAP] = EXACT(CLIENT, wire_reap, 0, 0, check_reap),
        [WIRE_MONITOR] = EXACT(CLIENT, wire_monitor, 0, 0, check_monitor),
        [WIRE_EVENTS] = OPEN(DAEMON, wire_events, 0, 0, check_rows),
};

static const struct message *find_message(uint16_t opcode)
{
        if (opcode >= ARRAY_SIZE(messages) || messages[opcode].sender == SENDER_NOBODY)
                return NULL;
        return &messages[opcode];
}

static int check_packet(const void *packet, size_t len, enum sender sender)
{
        const struct message *m;
        struct wire_header header;

        if (len < sizeof(header) || len > WIRE_PACKET_MAX)
                return -EBADMSG;

        header = wire_header_of(packet);
        if (header.version != WIRE_VERSION)
                return -EPROTONOSUPPORT;
        m = find_message(header.opcode);
        if (!m || m->sender != sender)
                return -EOPNOTSUPP;
        if (len < m->size || (len > m->size && !m->is_open))
                return -EBADMSG;
        if (m->check && !m->check(packet, len))
                return -EBADMSG;

        return 0;
}

int wire_check_request(const void *packet, size_t len)
{
        return check_packet(packet, len, SENDER_CLIENT);
}

int wire_check_reply(const void *packet, size_t len)
{
        return check_packet(packet, len, SENDER_DAEMON);
}

struct wire_header wire_header_of(const void *packet)
{
        struct wire_header header;

        memcpy(&header, packet, sizeof(header));
        return header;
}

void wire_fds(uint16_t opcode, unsigned int *ret_min, unsigned int *ret_max)
{
        const struct message *m = find_message(opcode);

        *ret_min = m ? m->fds_min : 0;
        *ret_max = m ? m->fds_max : 0;
}

bool wire_next_record(const void *packet, size_t len, size_t *offset, struct wire_record *ret,
                      const char **ret_name)
{
        size_t at = *offset == 0 ? sizeof(struct wire_report) : *offset;

        if (at > len || !take_record(packet, len, &at, ret, ret_name))
                return false;

        *offset = at;
        return true;
}

/* Is there room for @more bytes in a buffer of @size that holds @len? */
static bool has_room(size_t size, size_t len, size_t more)
{
        const size_t end = MIN(size, (size_t) WIRE_PACKET_MAX);

        return len <= end && more <= end - len;
}

/* Counts the record in the header, and fills in its name_len. An empty buffer gets a header. */
int wire_add_record(void *buf, size_t size, size_t *len, const struct wire_record *record,
                    const char *name)
{
        struct wire_report head = { .header = { .version = WIRE_VERSION, .opcode = WIRE_REPORT } };
        const size_t start = *len > 0 ? *len : sizeof(head);
        const size_t name_len = name ? strlen(name) : 0;
        struct wire_record r = *record;
        uint8_t *p = buf;

        assert(start >= sizeof(head));

        if (!has_room(size, start, sizeof(r) + name_len + 1))
                return -ENOBUFS;

        if (*len > 0)
                memcpy(&head, p, sizeof(head));
        head.count++;
        memcpy(p, &head, sizeof(head));

        r.name_len = (uint16_t) name_len;
        p = mempcpy(p + start, &r, sizeof(r));
        p = mempcpy(p, name ? name : "", name_len + 1);
        *len = (size_t) (p - (uint8_t *) buf);
        return 0;
}

bool wire_next_row(const void *packet, size_t len, size_t *offset, struct wire_row *ret,
                   const char *strings[4])
{
        size_t at = *offset == 0 ? sizeof(struct wire_rows) : *offset;

        if (at > len || !take_row(packet, len, &at, ret, strings))
                return false;

        *offset = at;
        return true;
}

/* As wire_add_record(). A string that is NULL is written as an empty one. */
int wire_add_row(void *buf, size_t size, size_t *len, struct wire_row *row,
                 const char *const strings[4])
{
        struct wire_rows head = { .header = { .version = WIRE_VERSION, .opcode = WIRE_ROWS } };
        const size_t start = *len > 0 ? *len : sizeof(head);
        size_t lens[ROW_STRINGS], sum = sizeof(*row);
        uint8_t *p = buf;

        assert(start >= sizeof(head));

        for (unsigned int i = 0; i < ROW_STRINGS; i++) {
                lens[i] = strings[i] ? strlen(strings[i]) : 0;
                sum += lens[i] + 1;
        }
        if (!has_room(size, start, sum))
                return -ENOBUFS;

        if (*len > 0)
                memcpy(&head, p, sizeof(head));
        head.count++;
        memcpy(p, &head, sizeof(head));

        row->path_len = (uint16_t) lens[0];
        row->unit_len = (uint16_t) lens[1];
        row->command_len = (uint16_t) lens[2];
        row->failed_len = (uint16_t) lens[3];
        p = mempcpy(p + start, row, sizeof(*row));
        for (unsigned int i = 0; i < ROW_STRINGS; i++)
                p = mempcpy(p, strings[i] ? strings[i] : "", lens[i] + 1);
        *len = (size_t) (p - (uint8_t *) buf);
        return 0;
}
