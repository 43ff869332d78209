/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SESSION_H
#define TEMPFILED_SESSION_H

/*
 * What the threads of one process share while they act for one user: the connection, the places
 * (place.h), and the list of what is gone but not yet said. One session for each pair of effective
 * ids; none outlives a fork: the child begins with new ones and never looks into its parent's,
 * which another thread may have been changing at that moment.
 *
 * Functions marked [locked] are called between session_lock() and session_unlock().
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libclient/client.h"
#include "libclient/wire.h"

#define SESSION_TIMEOUT_USEC UINT64_C(5000000) /* when the caller names none */

struct place;
struct session;

struct session_hooks {
        /* The daemon is another one than before: tell it about the places. [locked] */
        int (*say_again)(struct session *s, uint64_t deadline_usec);
        /* It has answered what the places have said, by its number. [locked] */
        void (*answered)(struct session *s, const struct wire_result *result);
};

struct session_gone {
        uint64_t tag_or_id;
        uint32_t seq;
        uint8_t what; /* WIRE_GONE or WIRE_SETTLED */
        char *object; /* gone: owned; what it was, if it has ended with that; else NULL */
};

struct session {
        struct session *next;
        pid_t pid;
        uid_t euid;
        gid_t egid;
        const struct session_hooks *hooks;

        pthread_mutex_t mutex; /* guards all that follows */
        int cancel_state;      /* of the thread that holds it */
        struct client client;
        struct place *places; /* place.c's */
        uint64_t place_clock;
        struct session_gone *gone;
        size_t n_gone;
        size_t gone_size;
        uint64_t gone_at_usec; /* when it was last worth a packet of its own */
        uint32_t given_up[8];  /* numbers of registrations that were not answered in time */
        unsigned int n_given_up;
        uint8_t random[256];
        size_t random_left;
};

/* The session of this process and its effective ids, borrowed; it stays until the process ends. */
int session_get(const struct session_hooks *hooks, struct session **ret);

/* Also keeps the thread from being cancelled half-way. */
void session_lock(struct session *s);
void session_unlock(struct session *s);

/* 64 random bits. Returns 0 or as getrandom(2). [locked] */
int session_random(struct session *s, uint64_t *ret);

/*
 * Says that something is about to be made, and what is gone along with it. With the daemon away
 * that is put off until it is back: its tag is known. Returns 0, or -ETIMEDOUT: nothing was said.
 * [locked]
 */
int session_made(struct session *s, const struct wire_record *record, const char *name,
                 uint64_t deadline_usec);

/* Takes answers that have come meanwhile. [locked] */
void session_listen(struct session *s);

/* Says that something is gone, sooner or later. [locked] */
void session_gone(struct session *s, uint64_t tag_or_id, uint32_t seq);

/* The same at once, and that @object has ended with it, as ending.h has it. [locked] */
void session_unlinked(struct session *s, uint64_t id, const char *object);

/* Says that what was registered for another owner exists: at once, if that can be. [locked] */
void session_settled(struct session *s, uint64_t id);

/* Whatever the request of that number registers is not wanted any more. [locked] */
void session_give_up(struct session *s, uint32_t serial);

/* It is wanted after all: its answer, should it come, is of no interest. [locked] */
void session_want(struct session *s, uint32_t serial);

/* Does that result of a request mean that no daemon is there? */
bool session_is_away(int r);

/*
 * Asks, and returns what the RESULT says: 0 or more, or a negative errno; or why there is none, as
 * client_request(). @ret_id may be NULL. [locked]
 */
int session_request(struct session *s, void *packet, size_t len, int fd, uint64_t deadline_usec,
                    uint64_t *ret_id);

/* The same for an answer that brings a descriptor; *ret_fd is -1 when there was no room for it. */
int session_request_fd(struct session *s, void *packet, size_t len, uint64_t deadline_usec,
                       uint64_t *ret_id, int *ret_fd);

#endif
