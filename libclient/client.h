/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CLIENT_H
#define TEMPFILED_CLIENT_H

/*
 * One connection to the daemon: greet, ask and be answered, say without an answer, come back after
 * a loss. No lock inside: one caller at a time. Every wait ends at its deadline.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libclient/dial.h"
#include "libclient/ownfd.h"
#include "libclient/wire.h"

enum client_phase {
        CLIENT_CLOSED,
        CLIENT_GREETING, /* connected; WELCOME has not been read yet */
        CLIENT_READY,
};

struct client_hooks {
        /* The daemon has been greeted: say again what it must know. A negative result ends the
         * connection. May call client_number(), client_send() and client_drain(). */
        int (*ready)(void *userdata, uint64_t deadline_usec);
        /* An answer that nobody waits for (any more). */
        void (*answer)(void *userdata, const struct wire_result *result);
};

struct ring;

struct client {
        struct ownfd socket;
        struct ownfd doorbell;
        enum client_phase phase;
        bool must_greet; /* the last one that it has answered on it has not ended, nor perhaps noticed */
        bool was_repeated; /* the last request: the answer that was lost may have been another */
        bool was_sent;     /* it may have been heard, whatever it has returned */
        bool may_be_quiet; /* the daemon may read what is said a millisecond later, unless rung for */
        uid_t euid;        /* who may connect: another's messages would be taken for his */
        gid_t egid;
        uint32_t features; /* that the daemon has offered */
        uint32_t serial;
        uint32_t n_sent;        /* packets, on this connection */
        struct ring *ring;      /* where reports go as long as there are many; NULL: none */
        pid_t ring_pid;         /* whose it is: a child's memory has none */
        unsigned int n_reports; /* by the socket, since reports_usec */
        uint64_t reports_usec;
        uint64_t sent_usec;               /* when the last of them was */
        uint64_t retry_usec;              /* until then nobody who can't wait connects again */
        char *only;                       /* the one socket to try; NULL: look for it */
        char path[DIAL_PATH_SIZE];        /* the socket that answered last */
        const struct client_hooks *hooks; /* NULL: none */
        void *userdata;
        int *ret_fd; /* where a descriptor goes that comes with an answer; NULL: it is closed */
        size_t packet_len;
        uint8_t packet[WIRE_PACKET_MAX]; /* received last */
};

/* @only is copied; NULL: look for the daemon. Returns 0 or -ENOMEM. */
int client_init(struct client *c, const char *only, const struct client_hooks *hooks,
                void *userdata);
void client_done(struct client *c);

/* Ends the connection; in a forked child only the child's copies of the descriptors. */
void client_drop(struct client *c);

/*
 * Connects and greets as far as that goes until the deadline. Returns 0 ready; -ETIMEDOUT not yet;
 * -EPERM the caller's effective ids are others than at client_init(); -ECONNRESET hung up on;
 * -EBADMSG, -EPROTONOSUPPORT no language in common; others as dial().
 */
int client_connect(struct client *c, uint64_t deadline_usec);

/* Gives the packet the next number, never 0, and returns it. */
uint32_t client_number(struct client *c, void *packet);

/*
 * Sends one packet on a ready connection, with descriptor @fd unless that is -1. Returns 0;
 * -ETIMEDOUT the daemon does not read: nothing was sent; -ECONNRESET the connection is lost.
 */
int client_send(struct client *c, const void *packet, size_t len, int fd, uint64_t deadline_usec);

/*
 * Sends a report, which has no answer and may be said twice. Who does that often offers memory in
 * which it can be written instead. Returns as client_send().
 */
int client_send_report(struct client *c, const void *packet, size_t len, uint64_t deadline_usec);

/*
 * Writes a report there, if the daemon reads it: without a system call, and without a look whether
 * the socket is still ours, since what was written before the daemon saw that end, it reads. False: it
 * is to be sent.
 */
bool client_put(struct client *c, const void *packet, size_t len);

/* Hands answers that have come and that nobody waits for to the hook. */
void client_drain(struct client *c);

/* Waits for a packet that was not asked for: it is in c->packet then. As client_listen(). */
int client_hear(struct client *c, uint64_t deadline_usec);

/* Waits for one such answer. Returns 0, -ETIMEDOUT, -ECONNRESET, -EBADMSG. */
int client_listen(struct client *c, uint64_t deadline_usec);

/*
 * Numbers the packet, asks, and waits for the answer, which then is in c->packet, well formed and
 * of opcode @expected. @is_repeatable: asked again when the connection is lost before the answer.
 * Returns 0; -ETIMEDOUT no answer (the number in @packet's header says to what); -ECONNRESET;
 * -EBADMSG; and those of client_connect(), with which nothing was asked.
 */
int client_request(struct client *c, void *packet, size_t len, int fd, uint16_t expected,
                   bool is_repeatable, uint64_t deadline_usec);

#endif
