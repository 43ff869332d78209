/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_RAW_CLIENT_H
#define TEMPFILED_RAW_CLIENT_H

/*
 * A client that speaks to a daemon packet by packet, and may say what the library never would.
 * What must not happen is a failure of Check's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libclient/wire.h"

#define CLIENT_SOCKET_SIZE 108

extern char client_socket[CLIENT_SOCKET_SIZE]; /* where the daemon is */

/* Called before something is received; NULL: receiving just waits. */
extern void (*client_wait)(int fd);

struct client {
        int fd;
        uint64_t nonce;
        int doorbell;
        uint32_t serial;
        uint32_t n_sent;
        uint64_t tag; /* once client_tag() was answered */
};

void client_dial(struct client *c);  /* up to the WELCOME */
void client_start(struct client *c); /* and HELLO */
void client_close(struct client *c);

/* As it is. 0, or a negative errno. */
int client_say(struct client *c, const void *packet, size_t len, const int *fds, unsigned int n);

/* What comes; 0: it was disconnected. */
size_t client_receive(struct client *c, void *buf, size_t size);
bool client_is_cut(struct client *c);

/* Has every packet read that was sent up to now: asks something, and takes the answer. */
void client_settle(struct client *c);

/* The header is filled in. Returns the answer's result; *ret_id may be NULL. */
int client_ask(struct client *c, void *packet, size_t len, uint16_t opcode, int fd,
               uint64_t *ret_id);

int client_tag(struct client *c, uint64_t tag, const char *directory);
/* With another directory's descriptor than the path's, perhaps. */
int client_tag_with(struct client *c, uint64_t tag, const char *path, int fd);
/* A name under its tag. */
const char *client_name(const struct client *c, unsigned int seq, const char *suffix);
void client_report(struct client *c, unsigned int what, uint64_t tag_or_id, unsigned int seq,
                   unsigned int kind, const char *name);
int client_register(struct client *c, uint16_t opcode, const char *name, unsigned int kind,
                    unsigned int seq, uint64_t *ret_id);
int client_keep(struct client *c, uint64_t tag_or_id, unsigned int seq);
/* Memory in which it may report, too, from now on. */
struct ring;
struct ring *client_ring(struct client *c);

int client_reap(struct client *c, uint64_t id, unsigned int flags);

#endif
