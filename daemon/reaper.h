/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REAPER_H
#define TEMPFILED_REAPER_H

/*
 * What workers do to file systems: delete entries, and look for names that carry a dead tag. With
 * the client's credentials, in the directory recognised, and only what is recognised there. Knows
 * nothing of owners, of the store, or of why.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/cred.h"
#include "daemon/identity.h"
#include "daemon/pool.h"
#include "libclient/name.h"

enum reap_outcome {
        REAP_GONE = 1,    /* deleted, or was not there any more, and nobody will make it */
        REAP_OTHER = 2,   /* something else has its name: left alone */
        REAP_STUCK = 3,   /* could not be deleted, or not be told apart */
        REAP_WAITING = 4, /* its directory is not there */
        REAP_ABSENT = 5,  /* was not there: never a worker's last word */
        REAP_PASSED = 6,  /* not there yet: its maker's. Never a worker's */
};

struct reap_item {
        uint64_t id;
        uint64_t owner, directory, cred; /* not looked at */
        unsigned int kind;               /* enum wire_kind */
        unsigned int attempts;           /* not looked at */
        bool may_come_back;              /* after a power cut, and no sweep would find it */
        bool has_waited;                 /* when it was looked for last; not looked at */
        bool had_row, is_remembered;     /* not looked at */
        char *name;
        char *target;
        struct identity *identity; /* owned; NULL: made, recognised by name, type and user */
        /* results */
        enum reap_outcome outcome;
        int error;
        char *failed; /* the path that it failed at; NULL: its own */
        /* Owned: what was deleted and may come back. NULL: it did not end with that, or is not sought. */
        struct identity *ended;
};

/* Where a job works. The pointers are borrowed for the job's life. */
struct reap_place {
        const struct cred *cred;
        const char *path;
        const struct identity *identity;
        int fd;          /* of the directory, borrowed; -1: open it by its path */
        bool is_foreign; /* never by its path here: -ENOLINK without a descriptor */
        pid_t seen_by;   /* foreign: one who sees it at that path, if it is that still; 0: nobody */
        bool is_over;    /* it went with an earlier boot, and all that was in it */
        int opened_fd;   /* result: what was opened then; the caller's */
        bool is_deleted; /* result: with everything that was in it */
};

struct delete_job {
        struct job job;
        struct reap_place place;
        const uint8_t *key; /* of the names that things are moved aside to */
        struct reap_item *items;
        size_t n_items;
        void *userdata;
};

struct swept_tag {
        uint64_t tag;
        const uint8_t *key;
        uint64_t id; /* the caller's */
};

struct swept_name {
        size_t tag; /* index in tags */
        unsigned int kind;
        char *name;
};

struct sweep_job {
        struct job job;
        struct reap_place place;
        struct swept_tag *tags; /* sorted by reaper_sweep() */
        size_t n_tags;
        struct swept_name *names; /* found */
        size_t n_names;
        int error;
        bool is_waiting; /* with an error: the directory is not there */
        void *userdata;
};

/* Writes the file system of each place through to its disk. */
struct flush_job {
        struct job job;
        struct reap_place place;
        int error;
        void *userdata;
};

/* In a worker: takes on the credentials and opens the place. A descriptor, or a negative errno. */
int reaper_open_place(struct reap_place *p);

/* As they are compared by, and as names found refer to them. */
void reaper_sort_tags(struct sweep_job *s);

int reaper_delete(struct job *j);
int reaper_sweep(struct job *j);
int reaper_flush(struct job *j);

void reap_item_done(struct reap_item *i);
void swept_names_free(struct swept_name *names, size_t n);

/* The name that an entry is moved aside to before it is deleted. */
#define REAPER_ASIDE_SIZE 40U
void reaper_aside_name(const uint8_t key[NAME_KEY_SIZE], uint64_t id, char buf[REAPER_ASIDE_SIZE]);

#endif
