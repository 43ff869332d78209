/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SERVER_FIXTURE_H
#define TEMPFILED_SERVER_FIXTURE_H

/*
 * A server on a store, both in this process and in a directory of their own, and clients that
 * speak to it packet by packet: in this process, where waiting runs the server's loop, or in
 * children, where it just waits.
 */

#include "daemon/server.h"
#include "daemon/store.h"
#include "libclient/wire.h"
#include "tests/unit.h"

extern sd_event *event;
extern struct server *server;
extern struct store *served;            /* its store */
extern char server_dir[UNIT_PATH_SIZE]; /* with the socket, state/, and files/ to make things in */

void server_setup(void);
void server_teardown(void);
void server_stop(void); /* what it had in memory is lost */
void server_restart(void);
/* Called, where it is set, before a server that was restarted looks for its owners. */
extern void (*server_before_load)(void);

const char *file_path(const char *name); /* in files/ */
struct wire_status_reply server_status(void);

/* Runs the loop until nothing is at @path, until so many entries are listed, ...; Check fails else. */
void wait_path_gone(const char *path);
void wait_status(bool (*is_right)(const struct wire_status_reply *s));

/* ---- clients ---- */

struct client {
        int fd;
        uint64_t nonce;
        int doorbell;
        uint32_t serial;
        uint64_t tag; /* of files/, once client_tag() was answered */
};

void client_connect(struct client *c); /* up to the WELCOME */
void client_start(struct client *c);   /* and HELLO */
void client_close(struct client *c);

/* As it is. 0, or a negative errno. */
int client_send(struct client *c, const void *packet, size_t len, const int *fds, unsigned int n);

/* What comes; 0: it was disconnected. */
size_t client_receive(struct client *c, void *buf, size_t size);
bool client_is_cut(struct client *c);

/* Has every packet read that was sent up to now: asks something, and takes the answer. */
void client_settle(struct client *c);

/* The header is filled in. Returns the answer's result; *ret_id may be NULL. */
int client_ask(struct client *c, void *packet, size_t len, uint16_t opcode, int fd,
               uint64_t *ret_id);

int client_tag(struct client *c, uint64_t tag, const char *directory);
/* A name under its tag. */
const char *client_name(const struct client *c, unsigned int seq, const char *suffix);
void client_report(struct client *c, unsigned int what, uint64_t tag_or_id, unsigned int seq,
                   unsigned int kind, const char *name);
void client_make(struct client *c, unsigned int seq); /* reports it, and makes the file */
int client_register(struct client *c, uint16_t opcode, const char *name, unsigned int kind,
                    unsigned int seq, uint64_t *ret_id);
int client_keep(struct client *c, uint64_t tag_or_id, unsigned int seq);
int client_reap(struct client *c, uint64_t id, unsigned int flags);

/* ---- clients in children ---- */

struct worker {
        pid_t pid;
        int from; /* a byte when it has done its work */
        int to;   /* closed: it may go on */
};

/* The child runs @body as @uid, says so, and waits to be killed. */
void worker_start(struct worker *w, uid_t uid, void (*body)(void));
/* Runs the loop until the child has done its work. */
void worker_wait(struct worker *w);
void worker_kill(struct worker *w);
/* In a child: says that it has come so far, and waits to be told to go on. */
void worker_pause(void);
void worker_go_on(struct worker *w);

#endif
