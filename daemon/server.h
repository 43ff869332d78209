/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SERVER_H
#define TEMPFILED_SERVER_H

/*
 * The event loop, the listening sockets, the list of connections, and the turn that takes what
 * has come in together.
 */

#include <stdbool.h>

#include "daemon/registry.h"
#include "daemon/store.h"

struct config;
struct conn;
struct fdstore;
struct server;

struct server_options {
        bool is_power;           /* promises outlive a power cut */
        bool is_system;          /* the system instance, for STATUS */
        bool is_container;       /* its pid namespace is the only one that ever counts */
        bool is_notifying;       /* a service manager wants to be told how it goes */
        struct fdstore *fdstore; /* borrowed; NULL: none */
};

/* @store: borrowed. @event has SIGTERM and SIGINT end it. */
int server_new(sd_event *event, struct store *store, const struct server_options *options,
               struct server **ret);
void server_free(struct server *s);

/* What can be set; copied, and may be said again at any time. Else what is in the options holds. */
void server_configure(struct server *s, const struct config *c);

/* Listens on a bound SOCK_SEQPACKET socket, which is taken. */
int server_listen(struct server *s, int fd);

/* Takes up what the store holds; to be called before the loop runs. */
int server_start(struct server *s);

/* ---- for conn.c ---- */

struct registry *server_registry(struct server *s);
int server_doorbell(const struct server *s);
void server_get_status(struct server *s, struct wire_status_reply *ret);
/* Adds which limit is nearest to its end, of the users that @asker may see. */
void server_get_nearest_limit(struct server *s, const struct cred *asker,
                              struct wire_status_reply *ret);

struct rings *server_rings(struct server *s);

/* Those who want to know what happens. */
struct monitor_list *server_monitors(struct server *s);

/* This connection has something to read: have it read in the next turn. */
void server_ready(struct server *s, struct conn *c);
/* It is to be freed at the end of the turn. */
void server_close_conn(struct server *s, struct conn *c);

#endif
