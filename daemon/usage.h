/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_USAGE_H
#define TEMPFILED_USAGE_H

/*
 * How much each user (uid) has, and may have. Root may have anything. What a user has is counted as
 * it comes and goes; entries are counted along with a transaction of the store, and count when it
 * is committed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum usage_what {
        USAGE_CONNECTIONS,
        USAGE_OWNERS,      /* that have not ended */
        USAGE_ENTRIES,     /* rows of the list */
        USAGE_DIRECTORIES, /* tags of owners that have not ended */
        USAGE_DESCRIPTORS, /* of directories, kept open */
        USAGE_MAX,
};

struct usage_limits {
        uint64_t max[USAGE_MAX];   /* UINT64_MAX: none */
        uint64_t messages_per_sec; /* the same */
};

struct usage;

/* One user's. It is found once, and stays as long as the usage does. */
struct usage_user;

int usage_new(struct usage **ret);
void usage_free(struct usage *u);

/* Copied. Connections and descriptors are held to an eighth of what the process may open, too. */
void usage_set_limits(struct usage *u, const struct usage_limits *limits);

/* NULL: out of memory; the functions below take that for a user who has nothing. */
struct usage_user *usage_user(struct usage *u, uid_t uid);

/* May the user have one more? 0, or -EDQUOT, which the log has once an hour. */
int usage_may(struct usage_user *user, enum usage_what what);
/* The same, where there is another way to do it: nothing is said. */
bool usage_has_room(const struct usage_user *user, enum usage_what what);

void usage_take(struct usage_user *user, enum usage_what what, uint64_t n);
void usage_give_back(struct usage_user *user, enum usage_what what, uint64_t n);

/* So many entries more or less, when the transaction is committed. */
void usage_entries_change(struct usage_user *user, int64_t n);
void usage_settle(struct usage *u, bool is_committed);

/*
 * What may be read from the user now, in the turn of that number, in reports: at most a share of a
 * turn, so that one user does not make it long for the others, and what the rate allows.
 */
uint64_t usage_left(struct usage_user *user, uint64_t turn);
/* @n messages were read, which takes as long as @cost reports do. */
void usage_spend(struct usage_user *user, uint64_t n, uint64_t cost);
/* Nothing more can be read in this turn: because of the rate, and not of the share? */
bool usage_is_too_fast(const struct usage_user *user);

/* What is nearest to its end, of all users or of one. False: nothing has a limit, or is used. */
struct usage_nearest {
        uid_t uid;
        enum usage_what what;
        uint64_t used, max;
};
bool usage_get_nearest(struct usage *u, const uid_t *only, struct usage_nearest *ret);

/* How often somebody was refused something, since the start. */
uint64_t usage_refused(const struct usage *u);

/* As the keys of the configuration are called. */
const char *usage_name(enum usage_what what);

#endif
