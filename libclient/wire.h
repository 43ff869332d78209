/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_WIRE_H
#define TEMPFILED_WIRE_H

/*
 * The conversation between libtempfile and tempfiled: AF_UNIX, SOCK_SEQPACKET, one message a
 * packet. Little-endian or big-endian as the machine is (both ends share it); fixed-width integers
 * only, so that a 32-bit client and a 64-bit daemon agree. Reserved fields are zero and checked.
 * Lengths are exact: structure plus the bytes it announces, each string followed by one NUL, none
 * inside. wire_check() applies the table of opcodes; nothing in here does I/O.
 *
 * Who says what:
 *
 *     daemon  WELCOME      at once, before anything is asked; carries a nonce and, as descriptor,
 *                          the doorbell (an eventfd). Or RESULT, -EDQUOT, and the end: this user
 *                          has too many connections
 *     client  HELLO        echoes the nonce; no answer
 *     client  TAG          + directory descriptor -> RESULT, or TAGGED where the daemon may choose
 *     client  REPORT       made and gone, one way, no answer
 *     client  RING         + memory that the two share from now on: REPORTs may go there (ring.h);
 *                          one way, no answer
 *     client  RESERVE, TRACK, TARGET, CLAIM, KEEP, RETAIN, RENEW, TOKEN [+ descriptors] -> RESULT
 *     client  LIST -> ROWS;  STATUS -> STATUS_REPLY;  REAP -> RESULT
 *     client  MONITOR -> RESULT, and from then on EVENTS, one way, until one of the two hangs up
 *
 * -EDQUOT answers whatever needs more than its user may have. A report can't be answered: what it
 * tells of is in no list then, and is found by a sweep when its owner ends; KEEP, RETAIN, CLAIM and
 * TARGET answer -EDQUOT for it.
 *
 * One-way packets may lie unread for a millisecond. Who waits for an answer, or finds the socket
 * full, rings the doorbell: writes 1 to it after sending.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1U
#define WIRE_PACKET_MAX 32768U
#define WIRE_PATH_MAX 4096U /* with the NUL */
#define WIRE_FDS_MAX 2U     /* descriptors in one packet */

/* Never renumbered. */
enum wire_opcode {
        WIRE_WELCOME = 1,
        WIRE_HELLO = 2,
        WIRE_RESULT = 3,
        WIRE_TAG = 4,
        WIRE_REPORT = 5,
        WIRE_RESERVE = 6,
        WIRE_TRACK = 7,
        WIRE_TARGET = 8,
        WIRE_CLAIM = 9,
        WIRE_KEEP = 10,
        WIRE_RETAIN = 11,
        WIRE_RENEW = 12,
        WIRE_TOKEN = 13,
        WIRE_RING = 14,
        WIRE_TAGGED = 15,
        WIRE_LIST = 32,
        WIRE_ROWS = 33,
        WIRE_STATUS = 34,
        WIRE_STATUS_REPLY = 35,
        WIRE_REAP = 36,
        WIRE_MONITOR = 37,
        WIRE_EVENTS = 38,
};

struct wire_header {
        uint16_t version; /* WIRE_VERSION of the sender's library */
        uint16_t opcode;  /* enum wire_opcode */
        uint32_t serial;  /* chosen by the client, echoed in the answer */
};
static_assert(sizeof(struct wire_header) == 8, "daemon and library share this layout");

/* What an entry is. */
enum wire_kind {
        WIRE_KIND_FILE = 1,
        WIRE_KIND_DIRECTORY = 2,
        WIRE_KIND_OTHER = 3, /* socket, FIFO, symbolic link, device node */
};

/* Whose end means deletion. */
enum wire_owner_kind {
        WIRE_OWNER_PROCESS = 1, /* no descriptor: the sender; a pidfd: that process */
        WIRE_OWNER_DESCRIPTOR = 2,
        WIRE_OWNER_TOKEN = 3,
        WIRE_OWNER_UNIT = 4, /* of the sender, or of the pidfd's process */
        WIRE_OWNER_LEASE = 5,
        WIRE_OWNER_BOOT = 6,
};

enum wire_state {
        WIRE_STATE_LIVE = 1,
        WIRE_STATE_REAPING = 2,
        WIRE_STATE_RETAINED = 3,
        WIRE_STATE_STUCK = 4,
        WIRE_STATE_WAITING = 5,
        WIRE_STATE_KEPT = 6, /* not temporary any more; remembered while its tag is swept for */
};

struct wire_welcome {
        struct wire_header header;
        uint64_t nonce;
        uint32_t features; /* WIRE_FEATURE_...: what the daemon understands, too */
        uint32_t reserved;
};
static_assert(sizeof(struct wire_welcome) == 24, "");

#define WIRE_FEATURE_UNLINKED (1U << 0) /* in REPORT */
#define WIRE_FEATURE_RING (1U << 1)
#define WIRE_FEATURE_TAGGED (1U << 2) /* WIRE_TAG_ANY */

struct wire_hello {
        struct wire_header header;
        uint64_t nonce;
        uint32_t features; /* 0: none has to be asked for */
        uint32_t reserved;
};
static_assert(sizeof(struct wire_hello) == 24, "");

struct wire_result {
        struct wire_header header;
        int32_t result; /* 0, a positive fact, or a negative errno */
        uint32_t reserved;
        uint64_t id; /* the entry's, token's or tag's, where one was made */
};
static_assert(sizeof(struct wire_result) == 24, "");

/*
 * A process opens a directory: here is a descriptor of it (1, O_RDONLY, or O_PATH when it may not
 * be read), its path as the process sees it, and the tag and key that the process drew at random.
 * Committed before it is answered. Said again after every reconnect, followed by REPORTs of all
 * that is held: what the daemon had stored under the tag as live and is not said again is gone.
 * Answers -EEXIST when another process holds the tag, -ENOTDIR, -ESTALE (path and descriptor
 * differ and the descriptor can't be kept), -EDQUOT, -ENOSPC.
 */
struct wire_tag {
        struct wire_header header;
        uint64_t tag;
        uint8_t key[16];
        uint16_t path_len; /* without the NUL that follows */
        uint16_t reserved;
        uint32_t flags; /* WIRE_TAG_... */
};
#define WIRE_TAG_UNREADABLE (1U << 0) /* can't be swept: every name in it is reserved first */
#define WIRE_TAG_AGAIN (1U << 1)      /* said before: things may have been made under it */
#define WIRE_TAG_ANY (1U << 2)        /* or another one; means nothing beside these two */
static_assert(sizeof(struct wire_tag) == 40, "");

/* The process has this tag and key in that directory, in place of those that it drew. */
struct wire_tagged {
        struct wire_header header;
        int32_t result; /* 0; as far as the id it is laid out as wire_result */
        uint32_t reserved;
        uint64_t id;
        uint64_t tag;
        uint8_t key[16];
};
static_assert(sizeof(struct wire_tagged) == 48, "");
static_assert(offsetof(struct wire_tagged, id) == offsetof(struct wire_result, id), "");

/* One way: what was made and what is gone. @count records follow, each with its name and a NUL. */
struct wire_report {
        struct wire_header header;
        uint16_t count;
        uint16_t reserved;
        uint32_t reserved2;
};
static_assert(sizeof(struct wire_report) == 16, "");

enum wire_what {
        WIRE_MADE = 1,
        WIRE_GONE = 2,    /* no name: name_len is 0; the NUL is there all the same */
        WIRE_SETTLED = 3, /* as gone: reserved for another owner, it exists; that one holds it */
        /* As gone, by the entry's id, if that was answered: its owner has unlinked it, and no link is
         * left, so only a power cut can bring it back. The name is the object's, as ending.h has it. */
        WIRE_UNLINKED = 4,
};

struct wire_record {
        uint8_t what; /* enum wire_what */
        uint8_t kind; /* made: enum wire_kind; else 0 */
        uint16_t name_len;
        uint32_t seq;       /* number of the entry under its tag; 0 with tag 0 */
        uint64_t tag_or_id; /* with a seq: the tag. Without (but made): the entry's id */
};
static_assert(sizeof(struct wire_record) == 16, "");

/* Names an entry: by tag and seq, or, with seq 0, by id. */
struct wire_ref {
        uint64_t tag_or_id;
        uint32_t seq;
        uint32_t reserved;
};
static_assert(sizeof(struct wire_ref) == 16, "");

struct wire_owner {
        uint32_t kind;      /* enum wire_owner_kind */
        uint32_t lease_sec; /* lease: 1..; else 0 */
        uint64_t token;     /* token: its id; unit: as below; else 0 */
};
/* Unit: 0: the one that systemd started; else the inode of the cgroup that is meant, which the
 * process is in or below. */
static_assert(sizeof(struct wire_owner) == 16, "");

/*
 * RESERVE: @name, which does not exist yet and has 58 random bits or more, is about to be made in
 * the tag's directory. TRACK: @name exists there and is to be recognised by what it is now.
 * TARGET: the entry @seq made under the tag is about to be renamed to @name.
 * 0 or 1 descriptor: a pidfd (or, descriptor owner, the locked descriptor). Committed, then answered.
 * RESULT's id is the entry's. -ENOENT tag unknown, or TRACK/TARGET's object not there; -EPERM may
 * not delete that, or may not signal that owner; -ESRCH the owner is gone; -EDQUOT; -ENOSPC;
 * -ESTALE TARGET: the thing can't be told apart from another.
 */
struct wire_register {
        struct wire_header header;
        uint64_t tag;
        uint32_t seq; /* TARGET; else 0 */
        uint32_t retain_sec;
        struct wire_owner owner;
        uint8_t kind;
        uint8_t reserved;
        uint16_t name_len; /* without the NUL that follows */
        uint32_t flags;    /* WIRE_REGISTER_... */
};
/* RESERVE: said again after a reconnect; an equal entry answers its id. */
#define WIRE_REGISTER_RESUME (1U << 0)
static_assert(sizeof(struct wire_register) == 48, "");

/* KEEP (argument 0), RETAIN and RENEW (argument: seconds): durable, then answered. A KEEP by tag and
 * number that is asked again, its answer lost, is answered again. */
struct wire_change {
        struct wire_header header;
        struct wire_ref ref;
        uint32_t argument;
        uint32_t reserved;
};
static_assert(sizeof(struct wire_change) == 32, "");

/* CLAIM: another owner holds the entry too (share), or instead (give). Descriptor as in register. */
struct wire_claim {
        struct wire_header header;
        struct wire_ref ref;
        struct wire_owner owner;
        uint32_t flags; /* WIRE_CLAIM_... */
        uint32_t reserved;
};
#define WIRE_CLAIM_GIVE (1U << 0) /* the sender's own claim ends */
static_assert(sizeof(struct wire_claim) == 48, "");

/* TOKEN: the daemon makes a pipe; RESULT carries its write end and the owner's id. */
struct wire_token {
        struct wire_header header;
};

/* RING: one way. The daemon reads there when it reads the connection, or says there that it does not.
 * One is used for a connection at a time: the newest. */
struct wire_ring {
        struct wire_header header;
};

/* LIST: entries after @cursor that match; ROWS answers with as many as fit and where to go on. */
struct wire_list {
        struct wire_header header;
        uint64_t cursor; /* 0: from the start */
        uint32_t flags;  /* WIRE_LIST_... */
        uint32_t uid;
        uint32_t pid;
        uint32_t reserved;
};
#define WIRE_LIST_LEAKED (1U << 0)
#define WIRE_LIST_RETAINED (1U << 1)
#define WIRE_LIST_UID (1U << 2)
#define WIRE_LIST_PID (1U << 3)
static_assert(sizeof(struct wire_list) == 32, "");

struct wire_rows {
        struct wire_header header;
        int32_t result;
        uint32_t count;
        uint64_t cursor; /* 0: that was all */
};
static_assert(sizeof(struct wire_rows) == 24, "");

/* One row; path, unit, command and the path that deletion failed at follow, each with a NUL. */
struct wire_row {
        uint64_t id;
        uint64_t created_usec;  /* CLOCK_REALTIME */
        uint64_t next_try_usec; /* CLOCK_REALTIME; 0: none planned */
        uint64_t expires_usec;  /* lease or retention: CLOCK_REALTIME; else 0 */
        uint64_t owner;         /* number of the owner */
        uint32_t pid;
        uint32_t uid;
        int32_t error; /* negative errno of the last attempt, 0: none */
        uint32_t attempts;
        uint8_t kind;
        uint8_t state;
        uint8_t owner_kind;
        uint8_t flags; /* WIRE_ROW_... */
        uint16_t path_len;
        uint16_t unit_len;
        uint16_t command_len;
        uint16_t failed_len;
        uint32_t event; /* in EVENTS: enum wire_event; else 0 */
};
#define WIRE_ROW_MADE (1U << 0) /* else tracked */
#define WIRE_ROW_ARENA (1U << 1)
static_assert(sizeof(struct wire_row) == 72, "");

/* MONITOR: have this connection told what happens from now on. -EUSERS: too many of one user. */
struct wire_monitor {
        struct wire_header header;
        uint32_t flags; /* none defined yet */
        uint32_t reserved;
};
static_assert(sizeof(struct wire_monitor) == 16, "");

enum wire_event {
        WIRE_EVENT_REGISTERED = 1,
        WIRE_EVENT_GONE = 2,     /* its owner has deleted it, or never made it */
        WIRE_EVENT_REAPED = 3,   /* deleted after its owner's end, or by REAP */
        WIRE_EVENT_REPLACED = 4, /* something else was there: left alone, and the entry has ended */
        WIRE_EVENT_STUCK = 5,
        WIRE_EVENT_WAITING = 6,
        WIRE_EVENT_RETRIED = 7,  /* and failed again */
        WIRE_EVENT_RETAINED = 8, /* its owner has ended; it stays for a while */
        WIRE_EVENT_KEPT = 9,
        WIRE_EVENT_GIVEN = 10,
        WIRE_EVENT_SHARED = 11,
        WIRE_EVENT_RENEWED = 12,
};

/*
 * One way: what happened in one turn of the daemon's loop. @count rows follow, as in ROWS: the
 * entry as it was then. Laid out as ROWS, too. Result -EOVERFLOW: this is the last; whoever reads
 * slower than things happen is not waited for.
 */
struct wire_events {
        struct wire_header header; /* serial: 0 */
        int32_t result;
        uint32_t count;
        uint64_t time_usec; /* CLOCK_REALTIME */
};
static_assert(sizeof(struct wire_events) == sizeof(struct wire_rows), "");
static_assert(offsetof(struct wire_events, count) == offsetof(struct wire_rows, count), "");

struct wire_status {
        struct wire_header header;
};

/* How often something took at most so long, and longer than the bound before; the last: longer. */
#define WIRE_HISTOGRAM_COUNTS 11U
#define WIRE_HISTOGRAM_BOUNDS_USEC                                                                 \
        {                                                                                          \
                100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000, 10000000              \
        }
struct wire_histogram {
        uint64_t counts[WIRE_HISTOGRAM_COUNTS];
        uint64_t sum_usec;
};
static_assert(sizeof(struct wire_histogram) == 96, "");

/* Followed by the daemon's version string and a NUL. */
struct wire_status_reply {
        struct wire_header header;
        int32_t result;
        uint32_t pid;
        uint64_t uptime_usec;
        uint64_t owners;
        uint64_t connections;
        uint64_t directories;
        uint64_t tags;
        uint64_t live;
        uint64_t reaping;
        uint64_t retained;
        uint64_t stuck;
        uint64_t waiting;
        uint64_t reaped; /* since start */
        uint64_t failed; /* attempts since start */
        uint64_t database_bytes;
        uint16_t version_len;
        uint16_t flags; /* WIRE_STATUS_... */
        uint32_t reserved;
        uint64_t jobs;                /* that workers have, or that wait for one */
        uint64_t hung;                /* of them: for seconds already */
        uint64_t commit_failures;     /* since start */
        struct wire_histogram commit; /* one turn's changes into the database */
        struct wire_histogram sync;   /* from there until the disk has them */
        struct wire_histogram reap;   /* from an owner's end until an entry is deleted */
        uint64_t refused;             /* since start: what a limit did not allow */
        /* The limit that is nearest to its end, of the users that the asker may see. */
        uint64_t limit_used;
        uint64_t limit_max;
        uint32_t limit_uid;
        uint32_t limit; /* enum wire_limit; 0: none is used at all */
};
#define WIRE_STATUS_POWER (1U << 0)  /* Durability=power */
#define WIRE_STATUS_SYSTEM (1U << 1) /* the system instance */
static_assert(sizeof(struct wire_status_reply) == 472, "");

enum wire_limit {
        WIRE_LIMIT_CONNECTIONS = 1,
        WIRE_LIMIT_OWNERS = 2,
        WIRE_LIMIT_ENTRIES = 3,
        WIRE_LIMIT_DIRECTORIES = 4,
        WIRE_LIMIT_DESCRIPTORS = 5,
};

/* REAP: try now. By id, or, with id 0, all whose owner is gone. Answers once each was tried; the
 * result is the number deleted, or the first failure. */
struct wire_reap {
        struct wire_header header;
        uint64_t id;
        uint32_t flags; /* WIRE_REAP_... */
        uint32_t reserved;
};
#define WIRE_REAP_FORCE (1U << 0) /* the owner's still being there does not matter */
static_assert(sizeof(struct wire_reap) == 24, "");

/*
 * Is this packet well formed: known opcode, exact length, strings where announced, zero where
 * reserved, values within their enumerations? 0, -EBADMSG malformed, -EOPNOTSUPP opcode unknown,
 * -EPROTONOSUPPORT version unknown. Only packets that clients send.
 */
int wire_check_request(const void *packet, size_t len);

/* The same for what the daemon sends. */
int wire_check_reply(const void *packet, size_t len);

/* The header of a packet that was checked, or at least long enough. */
struct wire_header wire_header_of(const void *packet);

/* How many descriptors may come with this opcode: at least, at most. */
void wire_fds(uint16_t opcode, unsigned int *ret_min, unsigned int *ret_max);

/*
 * Walks the records of a checked REPORT: @offset starts at 0. Returns true with the next one;
 * *ret_name points into the packet and ends with a NUL.
 */
bool wire_next_record(const void *packet, size_t len, size_t *offset, struct wire_record *ret,
                      const char **ret_name);

/* Appends a record to a REPORT under construction in @buf. 0, or -ENOBUFS: no room for it. */
int wire_add_record(void *buf, size_t size, size_t *len, const struct wire_record *record,
                    const char *name);

/* Walks the rows of a checked ROWS or EVENTS. @strings: path, unit, command, failed. */
bool wire_next_row(const void *packet, size_t len, size_t *offset, struct wire_row *ret,
                   const char *strings[4]);

/* Appends a row to ROWS, or EVENTS with its header, under construction in @buf. 0, or -ENOBUFS. */
int wire_add_row(void *buf, size_t size, size_t *len, struct wire_row *row,
                 const char *const strings[4]);

#endif
