/* SPDX-License-Identifier: MIT */
#ifndef LIBTEMPFILE_ADMIN_H
#define LIBTEMPFILE_ADMIN_H

/**
 * Administration of tempfiled: listing, status, reaping. What tempfilectl(1) is made of.
 *
 * Every call waits for the daemon for at most the connection's timeout. A connection belongs to
 * one thread at a time and to the process that opened it (-EPERM in a forked child). An ordinary
 * user sees and changes what is his, root everything.
 *
 * Each function returns -ETIMEDOUT or -ECONNRESET when the daemon does not answer or goes away,
 * -EINVAL for a NULL or an unknown flag, and -ENOMEM.
 */

#include <stdint.h>

#include "libtempfile.h" /* the kinds */

#ifdef __cplusplus
extern "C" {
#endif

/** A connection of its own. Opaque. */
struct tempfile_admin;

/**
 * tempfile_admin_open() - connect to a daemon
 * @socket:       its socket's path; NULL: looked for as libtempfile.h says
 * @timeout_msec: for each later call; 0: 5000
 * @ret:          receives the connection, to be closed with tempfile_admin_close()
 * Return: 0; -ECONNREFUSED no daemon; -EACCES it is neither root's nor the caller's. Since: 0.1
 */
int tempfile_admin_open(const char *socket, uint32_t timeout_msec, struct tempfile_admin **ret);

/** tempfile_admin_close() - NULL does nothing. Since: 0.1 */
void tempfile_admin_close(struct tempfile_admin *a);

enum tempfile_state {
        TEMPFILE_STATE_LIVE = 1,
        TEMPFILE_STATE_REAPING = 2,
        TEMPFILE_STATE_RETAINED = 3, /* the owner is gone; kept for a set time */
        TEMPFILE_STATE_STUCK = 4,    /* deletion failed; will be retried */
        TEMPFILE_STATE_WAITING = 5,  /* its directory is not there now */
};

/** One entry. The strings are borrowed for the length of the callback; none is NULL. */
struct tempfile_entry {
        uint64_t id;
        const char *path;
        const char *command;    /* the owner's, as it was at registration */
        const char *unit;       /* the owner's systemd unit; "" */
        const char *failed;     /* the path that deletion failed at; "" */
        uint64_t created_usec;  /* microseconds since 1970 */
        uint64_t next_try_usec; /* 0: none planned */
        uint64_t expires_usec;  /* end of a lease or retention; 0: none */
        uint64_t owner;
        uint32_t uid;
        uint32_t pid;
        int32_t error; /* negative errno of the last attempt; 0: none */
        uint32_t attempts;
        uint32_t kind;       /* enum tempfile_kind */
        uint32_t state;      /* enum tempfile_state */
        uint32_t owner_kind; /* enum tempfile_owner_kind */
        uint32_t is_made;    /* 1: recognised by name, type and user; 0: by inode and file handle */
};

/** What to list; start from { sizeof(filter), 0 }. */
struct tempfile_filter {
        uint32_t size;
        uint32_t flags; /* TEMPFILE_LIST_... */
        uint32_t uid;
        uint32_t pid;
};
#define TEMPFILE_LIST_LEAKED (1U << 0) /* owner gone and still there: stuck or waiting */
#define TEMPFILE_LIST_RETAINED (1U << 1)
#define TEMPFILE_LIST_UID (1U << 2) /* only those of .uid */
#define TEMPFILE_LIST_PID (1U << 3) /* only those whose owner is process .pid */

/** Called for each entry; a negative result ends the listing and is returned. */
typedef int (*tempfile_entry_fn)(const struct tempfile_entry *e, void *userdata);

/**
 * tempfile_admin_list() - list entries, in the order of their ids
 * @filter: NULL: all. Entries made or gone meanwhile may or may not be seen. Bounded memory.
 * Return: the number listed; what @fn returned when negative. Since: 0.1
 */
int64_t tempfile_admin_list(struct tempfile_admin *a, const struct tempfile_filter *filter,
                            tempfile_entry_fn fn, void *userdata);

/** How often something took at most so many microseconds, and more than the bound before; the last
 * count is of what took longer than all of them. Since the daemon's start. */
#define TEMPFILE_HISTOGRAM_COUNTS 11
#define TEMPFILE_HISTOGRAM_BOUNDS_USEC                                                             \
        {                                                                                          \
                100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000, 10000000              \
        }
struct tempfile_histogram {
        uint64_t counts[TEMPFILE_HISTOGRAM_COUNTS];
        uint64_t sum_usec;
};

/** The daemon at a glance. */
struct tempfile_status {
        uint32_t size; /* set by the caller */
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
        uint64_t failed; /* failed attempts since start */
        uint64_t database_bytes;
        uint32_t is_power;  /* Durability=power */
        uint32_t is_system; /* the system instance */
        char version[32];
        char socket[108];         /* the path that answered */
        uint64_t jobs;            /* that its workers have, or that wait for one */
        uint64_t hung;            /* of them: on a file system that has not answered for seconds */
        uint64_t commit_failures; /* the database could not be written to */
        struct tempfile_histogram commit; /* writing what came together to the database */
        struct tempfile_histogram sync;   /* until the disk has it, where that is promised */
        struct tempfile_histogram reap;   /* from an owner's end until an entry is deleted */
        /* The limit that is nearest to its end, of all users that the caller may see. */
        uint32_t limit; /* enum tempfile_limit; 0: none is used at all */
        uint32_t limit_uid;
        uint64_t limit_used;
        uint64_t limit_max;
        uint64_t refused; /* since start: what a limit did not allow */
};

/* What a user may have so much of: see tempfiled.conf(5). */
enum tempfile_limit {
        TEMPFILE_LIMIT_CONNECTIONS = 1,
        TEMPFILE_LIMIT_OWNERS = 2,
        TEMPFILE_LIMIT_ENTRIES = 3,
        TEMPFILE_LIMIT_DIRECTORIES = 4,
        TEMPFILE_LIMIT_DESCRIPTORS = 5,
};

/** tempfile_admin_status() - @ret->size set by the caller. Return: 0. Since: 0.1 */
int tempfile_admin_status(struct tempfile_admin *a, struct tempfile_status *ret);

/**
 * tempfile_admin_reap() - delete now what has no owner any more
 * @id:    an entry's, or 0: all stuck and waiting ones (root, or the daemon's own user; else -EPERM)
 * @flags: TEMPFILE_REAP_FORCE: also one (by id only) whose owner is still there
 * Return: the number deleted; -ENOENT no such entry; -EBUSY its owner is there; -EALREADY it
 * is being deleted; -EPERM not the caller's; else what the deletion failed with. Since: 0.1
 */
int64_t tempfile_admin_reap(struct tempfile_admin *a, uint64_t id, unsigned int flags);
#define TEMPFILE_REAP_FORCE (1U << 0)

/**
 * tempfile_admin_keep() - let an entry stay
 * Return: 0; -ENOENT; -EPERM; -ESTALE it is being deleted, or that is just tried again. Since: 0.1
 */
int tempfile_admin_keep(struct tempfile_admin *a, uint64_t id);

/** Whose end is to mean deletion; start from { sizeof(owner), 0 }. */
struct tempfile_admin_owner {
        uint32_t size;
        uint32_t kind; /* enum tempfile_owner_kind: process, unit, lease, boot or token */
        int32_t pidfd; /* process: that one; unit: the one that this process runs in. Borrowed */
        uint32_t lease_sec; /* lease: 1.., from now on; else 0 */
        uint64_t token; /* token: the number of that owner; unit: as in tempfile_options; else 0 */
};

/**
 * tempfile_admin_give() - let another owner have an entry instead of the one it has
 * @id:    an entry's whose owner is there
 * @owner: the new one; looked at during the call only
 *
 * Durable before it returns. What the entry's old owner still says about it does not count.
 *
 * Return: 0;
 *   -ENOENT      no such entry
 *   -EPERM       the entry is not the caller's; or may not signal that process; or not its token
 *   -ESTALE      its owner had ended and it is being deleted
 *   -ESRCH       the new owner has ended
 *   -EINVAL      also: not that kind's members, or a descriptor (only who holds it can name it)
 *   -EOPNOTSUPP  unit: that process is in no unit of its own, or this system has no cgroup2
 * Since: 0.1
 */
int tempfile_admin_give(struct tempfile_admin *a, uint64_t id,
                        const struct tempfile_admin_owner *owner);

/**
 * tempfile_admin_renew() - have an entry's lease end that much later than now
 * @sec: 1.. seconds; also shortens
 *
 * All entries of one lease have the same end. A retained entry has a lease too.
 *
 * Return: 0; -ENOENT; -EPERM; -EINVAL its owner is no lease; -ESTALE it has ended. Since: 0.1
 */
int tempfile_admin_renew(struct tempfile_admin *a, uint64_t id, uint32_t sec);

/**
 * tempfile_admin_retain() - have an entry outlive its owner for that long
 * @sec: seconds after the owner's end; 0: none any more
 *
 * Return: 0; -ENOENT; -EPERM; -ESTALE its owner has ended. Since: 0.1
 */
int tempfile_admin_retain(struct tempfile_admin *a, uint64_t id, uint32_t sec);

/** What happens to an entry. */
enum tempfile_event {
        TEMPFILE_EVENT_REGISTERED = 1, /* made, tracked or reserved */
        TEMPFILE_EVENT_GONE = 2,       /* deleted by its owner, or never made */
        TEMPFILE_EVENT_REAPED = 3, /* deleted after its owner's end, or by tempfile_admin_reap() */
        TEMPFILE_EVENT_REPLACED = 4, /* something else was there: left alone, no entry any more */
        TEMPFILE_EVENT_STUCK = 5,    /* its deletion has failed */
        TEMPFILE_EVENT_WAITING = 6,  /* its directory was not there */
        TEMPFILE_EVENT_RETRIED = 7,  /* tried again, and failed again */
        TEMPFILE_EVENT_RETAINED = 8, /* its owner has ended; it stays for a set time */
        TEMPFILE_EVENT_KEPT = 9,
        TEMPFILE_EVENT_GIVEN = 10,
        TEMPFILE_EVENT_SHARED = 11,
        TEMPFILE_EVENT_RENEWED = 12,
};

/**
 * Called for each event; @event may be one of a newer daemon. @time_usec: microseconds since 1970.
 * @e: the entry as it is then, borrowed for the length of the call; of one that is reaped,
 * .created_usec is 0. A negative result ends the call and is returned.
 */
typedef int (*tempfile_event_fn)(uint32_t event, uint64_t time_usec, const struct tempfile_entry *e,
                                 void *userdata);

/**
 * tempfile_admin_monitor() - be told what happens from now on
 *
 * The connection is used up by that: tempfile_admin_read_events() and tempfile_admin_close() are
 * all that may follow.
 *
 * Return: 0; -EUSERS this user has too many that monitor; -EOPNOTSUPP an older daemon. Since: 0.1
 */
int tempfile_admin_monitor(struct tempfile_admin *a);

/**
 * tempfile_admin_fd() - the connection's socket, to poll(2) for POLLIN while it monitors
 * Borrowed, and not to be read from. Return: the descriptor; -EINVAL for NULL. Since: 0.1
 */
int tempfile_admin_fd(const struct tempfile_admin *a);

/**
 * tempfile_admin_read_events() - the next events, in their order
 * @timeout_msec: how long to wait for one; 0: not at all
 *
 * The daemon does not wait for a reader that is too slow, but cuts it off: then something was
 * missed, and nothing more comes.
 *
 * Return: how many; 0 none in that time; -EOVERFLOW cut off; what @fn returned when negative.
 * Since: 0.1
 */
int64_t tempfile_admin_read_events(struct tempfile_admin *a, uint32_t timeout_msec,
                                   tempfile_event_fn fn, void *userdata);

#ifdef __cplusplus
}
#endif

#endif
