/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROPERTY_MODEL_H
#define TEMPFILED_PROPERTY_MODEL_H

/*
 * What must be, what may be, and so, what must not be: temporary things with their owners, and
 * files that are nobody's. Where a call was cut off, or not answered in time, both outcomes are
 * right, and the model says "may".
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MODEL_OWNERS_MAX 8U
#define MODEL_PATH_MAX 256

/* How sure is it that something is so? */
enum model_sure {
        MODEL_NO,
        MODEL_MAYBE,
        MODEL_YES,
};

/* A process, or those that have a descriptor; also what outlives all of them. */
struct model_owner {
        enum { MODEL_PROCESS, MODEL_GROUP, MODEL_LEASE, MODEL_BOOT } kind;
        uint32_t id;          /* process: its number; group: the thing whose descriptor it is */
        enum model_sure sure; /* that it has a claim */
};

struct model_thing {
        uint32_t id;
        uint32_t text;
        char path[MODEL_PATH_MAX];
        bool is_directory;
        bool is_tracked;
        bool is_identified; /* by what it is, and not by its name: so is what is tracked */
        bool is_pseudo;
        bool has_inside; /* things of its owner's, by its path; so it is not moved, nor anybody else's */
        bool is_absent; /* renamed away: there is nothing to be deleted */
        bool is_shared; /* the holder knows of others */
        bool is_unsure; /* a claim may have been heard */
        bool is_leased; /* shared with a lease */
        enum model_sure retain;
        enum model_sure is_retained; /* its owners have ended, it stays */
        enum model_sure kept;
        uint32_t holder; /* process that has a handle; 0: nobody */
        uint32_t finder; /* process that could find it again; 0: nobody */
        uid_t uid;
        struct model_owner owners[MODEL_OWNERS_MAX];
        unsigned int n_owners;
};

/* A file that must not be touched. */
struct model_file {
        char path[MODEL_PATH_MAX];
        uint32_t text, other; /* either, when other is not 0 */
        enum model_sure is_there;
        bool is_taken; /* something is being done with it */
};

struct model_process {
        pid_t pid;
        uid_t uid;
        bool lives;
};

struct model_group {
        uint32_t id;
        uint64_t token;
        uid_t uid;
        bool is_token;
        uint32_t *holders; /* processes */
        unsigned int n, room;
};

#define MODEL_LIST(type)                                                                           \
        struct {                                                                                   \
                type *at;                                                                          \
                unsigned int n, room;                                                              \
        }

struct model {
        MODEL_LIST(struct model_thing) things;
        MODEL_LIST(struct model_file) files;
        MODEL_LIST(struct model_process) processes; /* number 1 is the first */
        MODEL_LIST(struct model_group) groups;
        uint32_t next_text;
};

void model_done(struct model *m);

uint32_t model_add_process(struct model *m, pid_t pid, uid_t uid);
struct model_process *model_process(struct model *m, uint32_t number);
/* It has ended: so have its handles, its copies of descriptors, its claims. */
void model_end_process(struct model *m, uint32_t number);

struct model_group *model_add_group(struct model *m, uint32_t id, uint32_t holder);
struct model_group *model_group(struct model *m, uint32_t id);
bool model_group_has(const struct model_group *g, uint32_t process);
bool model_group_lives(const struct model_group *g);
void model_group_add(struct model_group *g, uint32_t process);
void model_group_remove(struct model_group *g, uint32_t process);

struct model_thing *model_add_thing(struct model *m, uint32_t id, const char *path);
void model_remove_thing(struct model *m, struct model_thing *t);
void model_add_owner(struct model_thing *t, struct model_owner o);
/* How sure that claim is from now on; MODEL_NO removes it. */
void model_set_process(struct model_thing *t, uint32_t process, enum model_sure sure);

void model_add_file(struct model *m, const char *path, uint32_t text, enum model_sure is_there);
struct model_file *model_file(struct model *m, const char *path);
void model_remove_file(struct model *m, struct model_file *f);

/* Those whose last owner has ended go, or are retained from now on. */
void model_settle(struct model *m);
/* The machine has been started again: no process, no descriptor, no boot. */
void model_reboot(struct model *m);

/*
 * Compares what must be and what may be with what is in @dirs. Returns 0 all is well; 1 something
 * is there that must go; -1 something is wrong for good. @ret_what tells which.
 */
int model_compare(struct model *m, const char *const *dirs, unsigned int n_dirs, char *ret_what,
                  size_t size);

#endif
