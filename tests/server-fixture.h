/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_SERVER_FIXTURE_H
#define TEMPFILED_SERVER_FIXTURE_H

/*
 * A server on a store, both in this process and in a directory of their own, and clients that
 * speak to it packet by packet: in this process, where waiting runs the server's loop, or in
 * children, where it just waits.
 */

#include <sys/resource.h>

#include "daemon/server.h"
#include "daemon/store.h"
#include "libclient/wire.h"
#include "tests/raw-client.h"
#include "tests/unit.h"

extern sd_event *event;
extern struct server *server;
extern struct store *served;            /* its store */
extern char server_dir[UNIT_PATH_SIZE]; /* with the socket, state/, and files/ to make things in */

void server_setup(void);
void server_teardown(void);
void server_run_until_idle(void); /* nothing is out with workers, and all results are heard */
void server_stop(void);           /* what it had in memory is lost */
void server_restart(void);
int server_restart_fails(void); /* with this error; server_stop() then */
/* Called, where it is set, before a server that was restarted looks for its owners. */
extern void (*server_before_load)(void);

const char *file_path(const char *name); /* in files/ */
/* From now on no file of this process grows beyond that, which a database takes for a full disk (SIGXFSZ
 * is to be ignored); RLIM_INFINITY: there is room again. */
void server_limit_files(rlim_t size);
void server_fill_disk(void); /* there is no room left for the server's database */
struct wire_status_reply server_status(void);

/* Runs the loop until nothing is at @path, until so many entries are listed, ...; Check fails else. */
void wait_path_gone(const char *path);
void wait_status(bool (*is_right)(const struct wire_status_reply *s));

void client_make(struct client *c, unsigned int seq); /* reports it, and makes the file */

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
