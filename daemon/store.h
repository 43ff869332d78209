/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_STORE_H
#define TEMPFILED_STORE_H

/*
 * The truth: an SQLite database in the state directory. One connection in the event loop; what
 * one turn of the loop changes is committed together. Nothing here waits for the disk once the
 * store is open: committed is safe from a crash of the daemon, and from a power cut when
 * store_sync() has reported it.
 *
 * Results are negative errno values: -ENOSPC disk full, -EUCLEAN the file is damaged, -EIO,
 * -EEXIST, -ENOMEM. After a failed change the turn's transaction is lost as a whole:
 * store_commit() says so again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "daemon/cred.h"

struct store;

/* Bytes in a row; borrowed from it for the length of a callback. */
struct store_bytes {
        const void *data;
        size_t len;
};

struct store_owner {
        uint64_t id;
        unsigned int kind; /* enum wire_owner_kind */
        bool is_dead;
        sd_id128_t boot;
        uint64_t pid_ns;     /* inode of the daemon's pid namespace, in which pid counts */
        uint64_t init_start; /* start time of its pid 1: a restarted container's differs */
        pid_t pid;
        uint64_t start; /* clock ticks since boot, as /proc/PID/stat */
        uid_t uid;
        const char *command, *executable, *arguments, *unit; /* NULL reads as "" */
        uint64_t cgroup;                                     /* unit: inode of its directory */
        const char *place;                                   /* unit: path of that; NULL: none */
        uint64_t deadline_usec;                              /* lease: CLOCK_BOOTTIME; 0: none */
};

struct store_directory {
        uint64_t id;
        const char *path;
        struct store_bytes identity; /* as identity_pack() */
        bool is_foreign;             /* the path means something else in the daemon's view */
};

struct store_tag {
        uint64_t id;
        uint64_t tag;
        const uint8_t *key; /* NAME_KEY_SIZE bytes */
        uint64_t owner, directory, cred;
        bool needs_sweep; /* a report of something made under it may have been lost */
        bool is_dead;     /* its owner has ended and all was deleted: a tombstone */
        bool is_unreadable;
        sd_id128_t boot; /* in which it was last used */
};

/* An entry. Its number is tag id << 32 | number under the tag, or, without tag, below 2^32. */
struct store_entry {
        uint64_t id;
        unsigned int kind;  /* enum wire_kind */
        unsigned int state; /* enum wire_state */
        const char *name;   /* NULL: none but the target */
        const char *target; /* the name that it is moved to after registration; NULL: none */
        struct store_bytes identity; /* of what is tracked; none: recognised by name, type, user */
        uint64_t created_usec;       /* CLOCK_REALTIME */
        uint64_t owner, directory, cred; /* 0: the tag's */
        uint64_t retain_sec; /* kept for that long when its owner ends without releasing it */
        int error;
        unsigned int attempts;
        uint64_t next_try_usec; /* CLOCK_BOOTTIME; 0: it is being tried */
        const char *failed;
};

/* What a list shows: the entry with what it refers to. */
struct store_row {
        struct store_entry entry;
        const char *path; /* of the directory */
        const char *command, *unit;
        unsigned int owner_kind;
        bool owner_is_dead;
        pid_t pid;
        uid_t uid;
        uint64_t deadline_usec; /* the owner's */
};

struct store_counts {
        uint64_t live, retained, stuck, waiting, kept;
        uint64_t bytes;
};

struct store_callbacks {
        /* In the loop: all up to commit @number outlives a power cut now, unless @error. */
        void (*synced)(uint64_t number, int error, void *userdata);
        /* In the loop: store_may_write() is true again. */
        void (*writable)(void *userdata);
        void *userdata;
};

/*
 * Opens or makes the database in @directory. *ret_salvaged: NULL, or the name that a
 * damaged database was set aside under (to be freed), its readable rows taken over.
 * -EBUSY another daemon uses it; -EPROTONOSUPPORT it is of a newer version; others as open(2).
 */
int store_open(const char *directory, struct store **ret, char **ret_salvaged);
void store_close(struct store *s);

/* Starts the thread that waits for the disk. */
int store_start_sync(struct store *s, sd_event *event, const struct store_callbacks *callbacks);

/* False for the few milliseconds in which the log is cut off: come back when writable() says so. */
bool store_may_write(const struct store *s);

/* The turn: begin is implied by the first change. Commit returns what failed since. */
int store_commit(struct store *s);
/* The same before the commit. Answers are not to be trusted then: SQLite may have rolled back. */
int store_failed(const struct store *s);
uint64_t store_entries(const struct store *s);   /* how many there are, with the open transaction */
uint64_t store_committed(const struct store *s); /* number of the last commit */
void store_sync(struct store *s);                /* have the last commit reported when it is safe */

/* The state directory, borrowed. */
int store_directory(const struct store *s);

/* A key of this database, for names that nobody can guess. */
const uint8_t *store_key(const struct store *s);

int store_get_counts(struct store *s, struct store_counts *ret);

/* Numbers are the caller's, never 0, never used twice. */
int store_add_owner(struct store *s, const struct store_owner *o);
int store_end_owner(struct store *s, uint64_t id); /* it is dead */
/* Known again by another number: boot, pid_ns, init_start, pid and start are written. */
int store_move_owner(struct store *s, const struct store_owner *o);
int store_remove_owner(struct store *s, uint64_t id);
int store_add_directory(struct store *s, const struct store_directory *d);
int store_remove_directory(struct store *s, uint64_t id);
int store_add_cred(struct store *s, const struct cred *c);
int store_add_tag(struct store *s, const struct store_tag *t);
int store_change_tag(struct store *s, uint64_t id, bool needs_sweep, bool is_dead, sd_id128_t boot);
int store_give_tag(struct store *s, uint64_t id, uint64_t owner); /* it has another owner */
int store_suspect_tags(struct store *s);            /* all need a sweep: reports may be lost */
int store_remove_tag(struct store *s, uint64_t id); /* with the rows of what was kept under it */
int store_forget_live(struct store *s, uint64_t tag_id); /* before all that is held is said again */

/* With id 0 a number is assigned. An entry of that number is replaced. */
int store_put_entry(struct store *s, struct store_entry *e);
int store_remove_entry(struct store *s, uint64_t id);

/*
 * It was deleted, for good unless power is lost: moved to the ended, of which nothing shows, after
 * @n_flushes. @identity: of what was deleted. 1: it is remembered; 0: there was no such entry.
 */
int store_end_entry(struct store *s, uint64_t id, struct store_bytes identity, uint64_t n_flushes);
/* What had ended there before flush number @n_flushes began; how many of these had no tag. */
int store_forget_ended(struct store *s, uint64_t directory, uint64_t n_flushes,
                       uint64_t *ret_n_plain);
/* Another boot: perhaps they are back, so all are entries again: waiting, and due. */
int store_revive_ended(struct store *s);
/* The same boot: the count of flushes starts again. */
int store_recall_ended(struct store *s);
int store_change_entry(struct store *s, uint64_t id, unsigned int state, int error,
                       unsigned int attempts, uint64_t next_try_usec, const char *failed);

int store_defer_entry(struct store *s, uint64_t id); /* it is being tried: not due meanwhile */

/* Another owner holds the entry too. The entry has an owner of its own in its row. */
int store_add_claim(struct store *s, uint64_t entry, uint64_t owner);
/* Its maker, as long as it may still come into being after the owner's end. A claim that counts only
 * when there is nothing to delete then. */
int store_add_maker(struct store *s, uint64_t entry, uint64_t owner);
/* An owner's claims end; what others hold too, but for makers, becomes theirs. */
int store_end_claims(struct store *s, uint64_t owner);
/* One owner's claim on an entry ends: the one beside the row first, else the one in it, where the
 * next then stands. *ret_owner: 0 the row is as it was; else who stands there now; @owner itself
 * when nobody else holds it. */
int store_release(struct store *s, uint64_t entry, uint64_t owner, uint64_t *ret_owner);
/* What its owner has left was not there: *ret whether it is a maker's now, and live. */
int store_pass_on(struct store *s, uint64_t entry, bool *ret);
/* Does that owner hold the entry, by its row or beside it? */
int store_holds(struct store *s, uint64_t entry, uint64_t owner, bool *ret);
/* The owners that hold it beside the one in its row. */
typedef int (*store_id_fn)(uint64_t id, void *userdata);
int store_each_claim(struct store *s, uint64_t entry, store_id_fn fn, void *userdata);
/* Its row's owner, with directory and credentials of its own from now on. */
int store_set_owner(struct store *s, const struct store_entry *e);
int store_set_retain(struct store *s, uint64_t entry, uint64_t retain_sec);

/* Leases. */
int store_set_deadline(struct store *s, uint64_t owner, uint64_t deadline_usec, sd_id128_t boot);
int store_next_deadline(struct store *s, uint64_t *ret_usec); /* 0: none */
int store_expired(struct store *s, uint64_t now_usec, store_id_fn fn, void *userdata);
/* CLOCK_BOOTTIME as it was last written down: what of a lease was left when the machine stopped. */
int store_set_seen(struct store *s, uint64_t boottime_usec);
int store_get_seen(struct store *s, uint64_t *ret_usec);
/* The boot in which the database was last opened becomes this one; *ret_last: which it was, or null. */
int store_set_boot(struct store *s, sd_id128_t boot, sd_id128_t *ret_last);

typedef int (*store_owner_fn)(const struct store_owner *o, void *userdata);
typedef int (*store_directory_fn)(const struct store_directory *d, void *userdata);
typedef int (*store_tag_fn)(const struct store_tag *t, void *userdata);
typedef int (*store_cred_fn)(const struct cred *c, void *userdata);
typedef int (*store_entry_fn)(const struct store_entry *e, void *userdata);
typedef int (*store_row_fn)(const struct store_row *r, void *userdata);

/* Each row, in the order of ids; a negative result of @fn ends it and is returned. */
int store_each_owner(struct store *s, store_owner_fn fn, void *userdata);
int store_each_directory(struct store *s, store_directory_fn fn, void *userdata);
int store_each_tag(struct store *s, store_tag_fn fn, void *userdata);
int store_each_cred(struct store *s, store_cred_fn fn, void *userdata);

/* Live ones after @after, at most @limit; owner, directory and cred are filled in. */
int store_live_of_tag(struct store *s, uint64_t tag_id, uint64_t after, unsigned int limit,
                      store_entry_fn fn, void *userdata);
int store_live_of_owner(struct store *s, uint64_t owner, uint64_t after, unsigned int limit,
                        store_entry_fn fn, void *userdata);
/* One live entry that it holds beside the row. */
int store_claimed_by(struct store *s, uint64_t owner, store_entry_fn fn, void *userdata);
/* Stuck and waiting ones whose time has come, by CLOCK_BOOTTIME. */
int store_due(struct store *s, uint64_t now_usec, unsigned int limit, store_entry_fn fn,
              void *userdata);
/* When the next of them is due: 0 never. */
int store_next_due(struct store *s, uint64_t *ret_usec);
/* All waiting ones are due now. */
int store_wake_waiting(struct store *s);
/* All stuck and waiting ones are due now. */
int store_wake_all(struct store *s);
/* Every name under a tag, whatever its state. */
int store_names_of_tag(struct store *s, uint64_t tag_id, store_entry_fn fn, void *userdata);
/* One entry; -ENOENT. After a failed change what that failed with: it may have taken the entry with it. */
int store_get_entry(struct store *s, uint64_t id, store_entry_fn fn, void *userdata);
/* The highest number under a tag. */
int store_last_of_tag(struct store *s, uint64_t tag_id, uint64_t *ret_id);
/* Has the owner an entry of its own left, in any state but kept? */
int store_owner_has_entries(struct store *s, uint64_t owner, bool *ret);
/* Has the tag an entry left, in any state but kept? */
int store_tag_has_entries(struct store *s, uint64_t tag_id, bool *ret);
/* How many entries without a tag each directory has, ended ones included, and each user's credentials. */
typedef int (*store_count_fn)(uint64_t id, uint64_t count, void *userdata);
int store_count_by_directory(struct store *s, store_count_fn fn, void *userdata);
int store_count_by_cred(struct store *s, store_count_fn fn, void *userdata);
int store_count_of_tag(struct store *s, uint64_t tag_id, uint64_t *ret);
/* Each directory in which something has ended, and credentials of one such entry. */
int store_each_ended(struct store *s, store_count_fn fn, void *userdata);

/* Looks at up to @scan entries after *cursor; *cursor is where to go on, 0: that was all. */
int store_list(struct store *s, uint64_t *cursor, unsigned int scan, store_row_fn fn,
               void *userdata);
/* The same for those that are neither live nor reaping: the others cost nothing. */
int store_list_left(struct store *s, uint64_t *cursor, unsigned int scan, store_row_fn fn,
                    void *userdata);

#endif
