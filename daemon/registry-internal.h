/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_REGISTRY_INTERNAL_H
#define TEMPFILED_REGISTRY_INTERNAL_H

/* What the registry's files share: registry.c (turns), objects.c, pending.c (reports on their way
 * to the store), load.c (the start), register.c (requests), batch.c, reaping.c, sweep.c and
 * tombstone.c (what an owner's end causes), spare.c, tell.c (for those who watch). */

#include "daemon/config.h"
#include "daemon/delegate.h"
#include "daemon/identity.h"
#include "daemon/inspect.h"
#include "daemon/owner.h"
#include "daemon/poller.h"
#include "daemon/reaper.h"
#include "daemon/registry.h"
#include "daemon/store.h"
#include "daemon/usage.h"
#include "libclient/name.h"

#define SEQ_BITS 32
#define BATCH 1024U

struct owner;
struct known_cred;
TAILQ_HEAD(owner_list, owner);

struct directory {
        uint64_t id;
        char *path;
        struct identity identity;
        bool is_foreign;
        bool is_kept;       /* by the service manager, over a restart */
        bool is_over;       /* foreign, in memory, of an earlier boot: nothing is left of it */
        uint64_t stored_in; /* the attempt to commit that it is part of; 0: none */
        int fd;             /* -1: to be opened by its path */
        struct usage_user *holder;     /* whose descriptor that counts as */
        uint64_t n_users;              /* tags, and entries without a tag */
        uint64_t n_spares;             /* of these tags: nobody's yet */
        unsigned int n_jobs;           /* that are out with it */
        struct owner_list hungry;      /* who wait until fewer are */
        struct known_cred *flushed_by; /* it has tombstones, and who writes it through; else NULL */
        uint64_t ended_since;          /* count of flushes when the last of its entries ended */
        int64_t n_changes;             /* of users, in the open transaction */
        TAILQ_ENTRY(directory) changed;
};

struct known_cred {
        struct cred cred; /* never moves, never goes */
        struct usage_user *user;
        uint64_t stored_in; /* the attempt to commit that it is part of; 0: none */
};

struct tag {
        TAILQ_ENTRY(tag) of_owner;
        uint64_t id;
        uint64_t tag;
        uint8_t key[NAME_KEY_SIZE];
        struct owner *owner;
        struct directory *directory;
        struct known_cred *cred;
        sd_id128_t boot;
        uint64_t flushed;   /* highest number that has reached the store */
        uint64_t stored_in; /* the attempt to commit that it is part of; 0: none */
        bool needs_sweep;
        bool is_sweeping;
        bool is_dead;
        bool is_unreadable;
        bool is_unused;      /* a spare of an earlier daemon of this boot, given to nobody */
        bool has_unlisted;   /* some of what was made under it has no row: its user has too many */
        uint64_t dead_since; /* count of flushes by then */
};
TAILQ_HEAD(tag_list, tag);
TAILQ_HEAD(peer_list, peer);

enum owner_state {
        OWNER_LIVING = 1,
        OWNER_DYING = 2, /* seen dead, not dealt with yet */
        OWNER_REAPING = 3,
        OWNER_ENDED = 4, /* all was tried; what is stuck, and tombstones, remain */
};

/* One a process: what has four bytes, or one, stands together. */
struct owner {
        TAILQ_ENTRY(owner) dying; /* in the list of the dying, or of a directory's hungry */
        struct registry *registry;
        uint64_t id;
        struct epoch epoch;
        uint64_t start;
        char command[16];
        struct usage_user *user; /* who has one more owner because of it */
        struct watch end;        /* process: of its pidfd */
        unsigned int kind;       /* enum wire_owner_kind */
        pid_t pid;               /* process: its own; else who asked for it */
        uid_t uid;
        enum owner_state state;
        int pidfd; /* process */
        int fd; /* token: the end that is read; unit: its cgroup.events; descriptor: its object */
        int wd;
        unsigned int n_probes, n_jobs;
        bool is_probing, probes_again;
        bool is_lost;  /* unknown: in another pid namespace, or it could not be asked about */
        bool is_fresh; /* stored in the open transaction */
        bool past_tags, is_exhausted, is_hungry, is_ending, is_released; /* while it is reaped */
        bool must_read_again;            /* what was read, or written, did not last */
        sd_event_source *source, *again; /* again: unit */
        uint64_t deadline_usec;          /* lease: CLOCK_BOOTTIME */
        uint64_t cgroup;                 /* unit: inode of its cgroup; descriptor: of its object */
        uint64_t device;                 /* descriptor: its lane */
        char *place;                     /* unit: path of its cgroup */
        char *unit; /* unit: its name; process: the one that it ran in, "" or NULL: unknown */
        uint64_t stored_in; /* the attempt to commit that it is part of; 0: none */
        struct peer_list peers;
        struct tag_list tags;
        struct process *process; /* until it is stored */
        uint64_t ended_usec;     /* CLOCK_BOOTTIME; 0: it has not */
        struct tag *at_tag;      /* while it is reaped, as the next */
        uint64_t cursor;
        TAILQ_ENTRY(owner) ending, fresh;
};
TAILQ_HEAD(request_list, request);

/* What was made or is gone and has not reached the store. */
struct pending {
        uint64_t id;
        unsigned int kind;
        bool is_gone;
        bool is_written; /* in the open transaction */
        char *name;
        uint64_t created_usec;
};

struct registry {
        sd_event *event;
        struct store *store;
        struct pool *pool;
        struct poller *poller;
        struct fdstore *fdstore; /* borrowed; NULL: none */
        struct registry_callbacks callbacks;
        struct epoch epoch;
        struct config config;
        struct usage *usage;
        bool is_container; /* owners of another pid namespace have ended */
        bool is_new_boot;  /* the database is of an earlier one */
        bool is_watched;   /* what happens is told */
        bool mounts_changed;
        bool retry_is_due;
        bool flush_is_due;
        bool lease_is_due, needs_lease_timer;
        bool look_is_due, needs_look; /* at owners that could not be asked about */
        bool spares_are_due;
        unsigned int n_looks;     /* in a row */
        struct owner *boot_owner; /* NULL: nobody has asked for it yet */
        int state_dirfd;          /* where tokens are kept */
        uint64_t n_lost;          /* at the start */
        bool needs_schedule, needs_flush, sweep_again;
        struct said *said;
        struct spares *spares; /* NULL: there have been none */
        uint64_t n_flushes;
        uint64_t n_unflushed; /* tombstones that have come since the last */
        enum { FLUSH_NONE, FLUSH_IN_TIME, FLUSH_SOON } flush_is_armed;
        void *owners_by_pid, *owners_by_id, *tags_by_tag, *tags_by_id, *directories_by_id,
                *directories_by_identity, *creds_by_id, *creds_by_value; /* tsearch(3) trees */
        uint64_t reports_since;     /* when the first that waits came: CLOCK_BOOTTIME; 0: none */
        bool reports_are_urgent;    /* of one who has ended */
        bool reports_are_written;   /* some, in the open transaction */
        void *pending;              /* struct pending by id */
        struct plain_report *plain; /* that the open transaction has taken, or the last could not */
        size_t n_plain, plain_size;
        bool plain_has_failed;
        struct owner_list dying;
        struct owner_list ending; /* everything was tried */
        struct owner_list fresh;  /* stored in the open transaction */
        TAILQ_HEAD(, directory) changed;
        struct request_list uncommitted, unsynced;
        struct batch *submitted; /* to begin with the commit */
        LIST_HEAD(, batch) out;
        struct job *recorded; /* finished jobs whose results are in the open transaction */
        struct job *again;    /* the same, to be recorded once more: the commit failed */
        uint64_t next_owner, next_tag, next_directory, next_cred;
        uint64_t n_owners, n_tags, n_directories, n_reaping, n_reaped, n_failed;
        uint64_t n_commit_failures;
        struct wire_histogram commit_usec, sync_usec, reap_usec;
        uint64_t attempt; /* to commit: this one's number */
        int mounts_fd;
        int inotify_fd;      /* of the descriptor owners; -1: there has been none */
        uint64_t n_closings; /* that it has reported */
        sd_event_source *inotify;
        sd_event_source *reports_timer, *mounts, *retry_timer, *flush_timer, *again_timer,
                *lease_timer, *look_timer;
};

/* registry.c */
uint64_t now_realtime_usec(void);
uint64_t now_boottime_usec(void);
/* May the one who asks have one more of these? 0, or -EDQUOT. */
int registry_may(struct registry *g, const struct peer *p, enum usage_what what);
/* @before: store_entries() before the entries of that user were changed. */
void registry_count_entries(struct registry *g, struct usage_user *user, uint64_t before);
void registry_fail(struct registry *g, struct request *r, int error);
void registry_record(struct registry *g, struct request *r);
void registry_arm_again(struct registry *g);  /* a turn in a second */
void registry_look_again(struct registry *g); /* an owner could not be asked about: soon */
void registry_arm(struct registry *g, sd_event_source **timer, clockid_t clock, uint64_t usec,
                  sd_event_time_handler_t handler);

/* objects.c */
struct owner *registry_owner(struct registry *g, uint64_t id);
struct owner *registry_owner_of_pid(struct registry *g, pid_t pid);
struct tag *registry_tag_by_id(struct registry *g, uint64_t id);
struct tag *registry_tag_by_tag(struct registry *g, uint64_t tag);
struct directory *registry_directory(struct registry *g, uint64_t id);
struct known_cred *registry_cred(struct registry *g, uint64_t id);
/* Into memory. */
int registry_hold_cred(struct registry *g, const struct cred *c, struct known_cred **ret);
int registry_hold_directory(struct registry *g, uint64_t id, const char *path,
                            const struct identity *i, bool is_foreign, struct directory **ret);
struct owner *registry_new_owner(struct registry *g, uint64_t id);
int registry_watch_owner(struct registry *g, struct owner *o, int *pidfd);
void registry_unwatch_owner(struct owner *o); /* what an attempt to watch it has left */
int registry_hold_owner(struct registry *g, struct owner *o);
int registry_hold_tag(struct registry *g, const struct tag *like, struct tag **ret);
void registry_free_owner(struct owner *o);  /* that is in no tree */
void registry_owner_ended(struct owner *o); /* dealt with in the next turn */
/* Into memory and the store. */
int registry_store_owner(struct registry *g, struct owner *o); /* unless it is */
void registry_join_owner(struct peer *p, struct owner *o);
int registry_dup_pidfd(const struct peer *p);
bool registry_peer_is_dead(const struct peer *p);
/* A lost one has been heard of: this peer knows the key of one of its tags. */
int registry_find_lost_owner(struct registry *g, struct owner *o, struct peer *p);
int registry_add_other_owner(struct registry *g, struct owner *o, const struct peer *p);
int registry_add_cred(struct registry *g, const struct cred *c, struct known_cred **ret);
int registry_add_directory(struct registry *g, const char *path, const struct identity *i,
                           bool is_foreign, struct usage_user *user, int *fd,
                           struct directory **ret);
int registry_add_owner(struct registry *g, struct process *p, int *pidfd, struct owner **ret);
int registry_add_tag(struct registry *g, const struct tag *like, struct tag **ret);
/* Has a directory's descriptor kept, if it has none and its user may have one more; then *fd is
 * taken. */
void registry_keep_open(struct registry *g, struct directory *d, struct usage_user *user, int *fd);
/* Out of both. */
void registry_drop_tag(struct registry *g, struct tag *t);
void registry_give_tag(struct tag *t, struct owner *o);
void registry_drop_owner(struct registry *g, struct owner *o);
void registry_leave_directory(struct registry *g, struct directory *d, uint64_t n);
/* One user more or less, when the turn is committed. */
void registry_directory_changes(struct registry *g, struct directory *d, int n);
void registry_settle_directories(struct registry *g, bool is_committed);
void registry_forget_processes(struct registry *g);
void registry_unstore_objects(struct registry *g);
void registry_free_objects(struct registry *g);

/* pending.c */
int registry_report_made(struct registry *g, struct tag *t, uint32_t seq, unsigned int kind,
                         const char *name);
int registry_report_gone(struct registry *g, struct tag *t, uint32_t seq);
void registry_flush(struct registry *g);
void registry_forget_pending(struct registry *g, uint64_t id); /* it is deleted */
void registry_settle_pending(struct registry *g, bool is_committed);
/* One about a plain entry, which is written at once: again when the commit has failed. */
void registry_note_plain(struct registry *g, uint64_t owner, const struct wire_record *m);
void registry_repeat_plain(struct registry *g);
/* Are they to be written in this turn? */
bool registry_reports_are_due(struct registry *g);
void registry_free_pending(struct registry *g);

/* register.c */
void register_inspected(struct job *j, void *userdata);
/* @object: what has ended with it (WIRE_UNLINKED), or NULL. */
void register_plain(struct registry *g, uint64_t owner, const struct wire_record *m,
                    const char *object);

bool register_wants_worker(const struct wire_owner *w, int fd);
int register_prepare_owner(struct peer *p, const struct wire_owner *w, int fd,
                           struct inspect_job *i);
int register_numbers(const struct store_entry *e, void *userdata); /* a copy without strings */
/* Needs no deletion any more. @object: what its owner says has ended with it; NULL: nothing has. */
int register_end_entry(struct registry *g, const struct store_entry *e, const char *object);

/* change.c */
/* The entry, if that peer may change who holds it, and it is still there to be changed. */
int change_find_entry(struct registry *g, const struct peer *p, const struct wire_ref *ref,
                      struct store_entry *ret);

/* load.c */
void load_look_again(struct registry *g);

/* claim.c */
int claim_owner(struct registry *g, struct peer *p, const struct wire_owner *w,
                struct inspect_job *i, struct owner **ret);

int claim_apply(struct registry *g, struct peer *p, const struct wire_claim *m, struct owner *other,
                struct request *r);

/* descriptor.c */
int descriptor_claim(struct registry *g, const struct wire_claim *m, const struct store_entry *e,
                     int fd, struct request *r);
void descriptor_restore_all(struct registry *g);
void descriptor_forget(struct registry *g, struct owner *o);

/* lease.c */
int lease_new(struct registry *g, const struct peer *p, uint64_t sec, struct owner **ret);
int lease_for_retained(struct registry *g, const struct store_entry *e, struct owner **ret);
int lease_renew(struct registry *g, struct owner *o, uint64_t sec);
int lease_restore(struct registry *g, struct owner *o, const struct store_owner *row);
/* What is left to each deadline is told by it in the next boot. Nothing, if there is none. */
int lease_note_time(struct registry *g);
int lease_prepare(struct registry *g);
void lease_expire(struct registry *g);
void lease_schedule(struct registry *g);

/* token.c */
int token_new(struct registry *g, const struct peer *p, struct owner **ret, int *ret_fd);
int token_restore(struct registry *g, struct owner *o);
void token_forget(struct registry *g, struct owner *o);

/* unit.c */
int unit_find(struct registry *g, const struct peer *p, const char *path, uint64_t cgroup,
              const char *unit, struct owner **ret);
int unit_restore(struct registry *g, struct owner *o, const struct store_owner *row);

/* batch.c */
#define JOBS_PER_DIRECTORY 8U /* so that a million entries of the dead are never all in memory */

/* A batch of one place on its way: whose it is, and who asked. */
struct batch {
        struct delete_job job;
        struct registry *registry;
        struct directory *directory;
        struct known_cred *cred;
        uint64_t owner;          /* it is reaped for this one; 0: tried again */
        struct request *request; /* who waits for it; NULL: nobody */
        size_t room;
        struct batch *next;
        LIST_ENTRY(batch) out; /* submitted and not settled */
};

/* Entries under way into batches, one for each place. */
struct collector {
        struct registry *registry;
        struct batch *batches;
        uint64_t owner;
        struct request *request;
        bool defers; /* mark them as being tried */
        unsigned int count;
        unsigned int n_out; /* of these: with a worker already */
        uint64_t last;
};

struct reap_place batch_place(struct directory *d, const struct known_cred *k);
void batch_set_lane(struct job *j, const struct directory *d, const struct known_cred *k);
void batch_leave_directory(struct registry *g, struct directory *d);
void batch_leave_place(struct registry *g, struct directory *d, struct reap_place *p);
int batch_collect(const struct store_entry *e, void *collector);
void batch_submit(struct collector *c);
void batch_start_submitted(struct registry *g);
void batch_free_out(struct registry *g);
void batch_drop(struct collector *c);
void batch_free(struct batch *b);

/* tell.c: to be called only when it is watched */
void tell_pending(struct registry *g, enum wire_event event, const struct pending *p);
void tell_outcome(struct registry *g, const struct batch *b, const struct reap_item *i);
void tell_stored(struct registry *g, enum wire_event event, uint64_t id); /* as its row is now */

/* sweep.c */
struct tag_array {
        struct tag **tags;
        size_t n, room;
};

void tag_array_add(struct tag_array *a, struct tag *t);
void sweep_owner(struct registry *g, struct owner *o);
void sweep_gather(struct registry *g, struct owner *o, struct tag_array *a);
void sweep_array(struct registry *g, struct tag_array *a);
void sweep_all(struct registry *g);
int sweep_record(struct registry *g, struct job *j);
void sweep_settle(struct registry *g, struct job *j);

/* spare.c */
/* One like that, the owner's of @like from now on: 1; 0: none is there; negative errno. */
int spare_take(struct registry *g, const struct tag *like, struct tag **ret);
/* More of these; @is_again: they are wanted again and again. As many as can be had: none is needed. */
void spare_make(struct registry *g, const struct tag *wanted, bool is_again);
/* After a commit: is there any that is to be written through? */
bool spare_settle(struct registry *g, bool is_committed);
void spare_synced(struct registry *g, uint64_t number);
void spare_expire(struct registry *g, uint64_t now_usec); /* when spares_are_due */
uint64_t spare_count(const struct registry *g);
/* In order: nobody has them, so nothing is to be looked for. */
void spare_free(struct registry *g);

/* tombstone.c */
/* Could a power cut bring back what is deleted there, and could it be told then? */
bool tombstone_is_wanted(const struct directory *d);
/*
 * @object has ended with its deletion, which only a power cut can undo: remembered until the disk has
 * it, if that is wanted there. 1: an entry without a tag counts as its
 * directory's until then; 0: it is only removed.
 */
int tombstone_end_entry(struct registry *g, uint64_t id, const struct identity *object,
                        struct directory *d, struct known_cred *k);
/* At the start: what was remembered is looked for in another boot (before entries are loaded), and
 * remembered on in the same (when directories are). */
int tombstone_revive(struct registry *g);
int tombstone_load(struct registry *g);
void tombstone_flush_all(struct registry *g);
void tombstone_settle(struct registry *g, struct job *j);

/* reaping.c */
void reaping_begin(struct registry *g, struct owner *o, struct tag_array *swept);
void reaping_read_again(struct owner *o);
void reaping_suspect(struct registry *g, struct tag *t); /* is swept when its owner ends */
void reaping_read_all_again(struct registry *g);         /* a commit has failed */
void reaping_end_all(struct registry *g);                /* who have nothing left to be tried */
void reaping_step(struct registry *g, struct owner *o);
void reaping_end_owner(struct registry *g, struct owner *o);
void reaping_retry(struct registry *g, struct request *r);
int reaping_one(struct registry *g, uint64_t id, struct request *r);
int reaping_record(struct registry *g, struct job *j);  /* writes a finished job's results */
void reaping_settle(struct registry *g, struct job *j); /* after they are committed */
void reaping_schedule(struct registry *g);
void reaping_open_directories(struct registry *g);

#endif
