/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CONN_H
#define TEMPFILED_CONN_H

/*
 * One client: packet in, registry call, answer out. A client's mistake ends that client only.
 */

#include <stdbool.h>
#include <sys/queue.h>

#include "daemon/poller.h"
#include "daemon/registry.h"
#include "daemon/server.h"

TAILQ_HEAD(conn_list, conn);
struct packet;
TAILQ_HEAD(packet_list, packet);

struct conn {
        TAILQ_ENTRY(conn) all;       /* the server's list of connections */
        TAILQ_ENTRY(conn) queued;    /* its list of those to be read */
        TAILQ_ENTRY(conn) quiet;     /* its list of those that are read once a millisecond */
        TAILQ_ENTRY(conn) with_ring; /* rings.c's list of those that have one */
        struct ring *ring;           /* where it may report, too; NULL: by the socket only */

        struct server *server;
        struct watch io;
        struct peer peer;
        struct usage_user *user; /* whose connection it counts as; NULL: refused */
        uint64_t nonce;
        TAILQ_HEAD(, request) requests; /* under way */
        struct packet_list out;         /* answers that did not fit into the socket */
        struct monitor *monitor;        /* NULL: it does not want to know what happens */
        int fd;
        uint32_t n_received; /* packets of its process, by the socket */
        unsigned int n_requests, n_out;
        bool is_ready, is_quiet;
        bool is_welcome; /* conn_welcome() was called */
        bool is_greeted; /* HELLO came, the nonce was right */
        bool is_closed;
};

/* @fd is taken, also on failure. Does no more than is needed to know whose it is. */
int conn_new(struct server *s, int fd, struct conn **ret);
/* The rest, which costs more: greets it. On a negative result it is closed. */
int conn_welcome(struct conn *c);
void conn_free(struct conn *c);

/* What was read: packets, and about how long that takes, a report being 1. */
struct received {
        unsigned int packets, cost;
        bool asked; /* one of them wants an answer */
};

/* Reads until @budget was spent. 1: there may be more; 0: no more now, or closed. */
int conn_receive(struct conn *c, unsigned int budget, struct received *ret);

/* Reads all that is there, of one whose process has died. */
void conn_drain(struct conn *c);

/* Sends a packet, or queues it while the socket is full. */
void conn_send(struct conn *c, const void *data, size_t len);

/* Of the peer: the connection it belongs to. */
struct conn *conn_of_peer(struct peer *p);

/* Answers a request and frees it. */
void conn_answer(struct request *r);

/* Quiet: its packets wake nobody. */
void conn_set_quiet(struct conn *c, bool is_quiet);

#endif
