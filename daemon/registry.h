/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REGISTRY_H
#define TEMPFILED_REGISTRY_H

/*
 * The rules: who may register what, and what an owner's end causes. Memory holds owners, tags,
 * directories and credentials; entries are in the store alone.
 *
 * Everything happens in turns of the loop. In a turn, clients' packets are handed in, then
 * registry_turn() takes in what has died and what workers have finished, and commits all of it
 * together. A request is answered when what it asked for is committed (and, where it must outlive
 * a power cut, when the disk has it).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/cred.h"
#include "daemon/pool.h"
#include "daemon/store.h"
#include "libclient/name.h"
#include "libclient/wire.h"

struct config;
struct fdstore;
struct owner;
struct registry;
struct usage;

/* Who asks: one connection's other end. */
struct peer {
        TAILQ_ENTRY(peer) of_owner;
        struct owner *owner; /* NULL until it registers something */
        pid_t pid;
        int pidfd; /* -1 once it has an owner, who has one */
        struct cred cred;
};

/* A question that is under way. The conn makes it, the registry gives it back by answer(). */
struct request {
        TAILQ_ENTRY(request) link;    /* the conn's */
        TAILQ_ENTRY(request) waiting; /* the registry's */
        struct conn *conn;            /* NULL, as the next: gone meanwhile */
        struct peer *peer;
        uint32_t serial;
        int result;
        uint64_t id;
        uint64_t commit;
        bool is_durable;       /* answered when the disk has it */
        struct tag *fresh_tag; /* given up when the commit fails */
        uint64_t spare; /* TAG: this tag instead, with this key; 0: the one that was asked for */
        uint8_t spare_key[NAME_KEY_SIZE];
        unsigned int n_jobs; /* REAP: that are out */
        int fd;              /* goes with the answer; -1: none */
        uint64_t since_usec; /* waits for the disk since then */
};

struct registry_callbacks {
        void (*answer)(struct request *r, void *userdata);
        /* Read what this peer has sent until there is no more (bounded): it has died. */
        void (*drain)(struct peer *p, void *userdata);
        /* Have a turn soon. */
        void (*wake)(void *userdata);
        /* While it is watched: something happened, in a turn. As wire_add_row() takes it. */
        void (*happened)(struct wire_row *row, const char *const strings[4], void *userdata);
        void *userdata;
};

struct registry_status {
        struct store_counts counts;
        uint64_t owners, tags, directories, reaping, reaped, failed, commit_failures;
        struct wire_histogram commit, sync, reap;
        bool is_power;
};

/* @store and @state_dirfd, the directory it is in, are borrowed. */
int registry_new(sd_event *event, struct store *store, int state_dirfd, bool is_power,
                 const struct registry_callbacks *callbacks, struct registry **ret);
void registry_free(struct registry *g);

/* What can be set; copied, and may be said again at any time. */
void registry_configure(struct registry *g, const struct config *c);

/* What was in another pid namespace has ended with that one. Before the start. */
void registry_be_container(struct registry *g);

/* Where to keep directories that only a descriptor leads to; borrowed. Before the start. */
void registry_keep_in(struct registry *g, struct fdstore *f);

/* Takes up what the store holds: finds owners again, begins to reap what the dead left. */
int registry_start(struct registry *g);

/* The end of a turn. */
void registry_turn(struct registry *g);
/* All up to this commit is on disk. */
void registry_synced(struct registry *g, uint64_t number, int error);

struct pool *registry_pool(struct registry *g);
struct poller *registry_poller(struct registry *g);
struct usage *registry_usage(struct registry *g);

/* Does anybody want to know what happens? */
void registry_watch(struct registry *g, bool is_watched);

/* A peer comes and goes. */
void registry_meet(struct registry *g, struct peer *p);
void registry_leave(struct registry *g, struct peer *p);
/* The daemon has ended the conversation, at once: what the peer had sent, reports too, is lost. */
void registry_cut_off(struct registry *g, struct peer *p);

/*
 * Requests. The packet was checked; descriptors are taken, also on failure. Each request is
 * answered exactly once.
 */
void registry_tag(struct registry *g, struct peer *p, const void *packet, int fd,
                  struct request *r);
void registry_report(struct registry *g, struct peer *p, const void *packet, size_t len);
void registry_register(struct registry *g, struct peer *p, const void *packet, int fd,
                       struct request *r);
void registry_claim(struct registry *g, struct peer *p, const void *packet, int fd,
                    struct request *r);
void registry_retain(struct registry *g, struct peer *p, const void *packet, struct request *r);
void registry_renew(struct registry *g, struct peer *p, const void *packet, struct request *r);
void registry_token(struct registry *g, struct peer *p, struct request *r);
void registry_keep(struct registry *g, struct peer *p, const void *packet, struct request *r);
void registry_reap(struct registry *g, struct peer *p, const void *packet, struct request *r);

/* Rows for a LIST, added to @fn; as store_list(), or, of what is left alone, store_list_left(). */
int registry_list(struct registry *g, bool is_left, uint64_t *cursor, unsigned int scan,
                  store_row_fn fn, void *userdata);
int registry_get_status(struct registry *g, struct registry_status *ret);

#endif
