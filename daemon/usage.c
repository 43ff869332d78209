/* SPDX-License-Identifier: MIT */

/*
 * Owns the numbers of each user. Users are few, and are never forgotten: a uid is not made by who
 * has it. Nothing is kept for a single entry, owner or message.
 *
 * The rate is a bucket that holds what comes in a tenth of a second: a user who was quiet may send
 * so much at once.
 */

#include "daemon/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <time.h>

#include "daemon/log.h"
#include "libclient/util.h"

#define COST_PER_TURN 4096U /* of one user */
#define NSEC_PER_SEC UINT64_C(1000000000)
#define BURST_NSEC (NSEC_PER_SEC / 10)
#define TOLD_NSEC (3600 * NSEC_PER_SEC)
#define PROCESS_SHARE 8U /* of the descriptors that this process may have, for one user */

struct usage_user {
        uid_t uid;
        struct usage *usage;
        uint64_t n[USAGE_MAX];
        int64_t n_changes; /* of entries, in the open transaction */
        TAILQ_ENTRY(usage_user) changed;
        uint64_t told_nsec[USAGE_MAX]; /* CLOCK_BOOTTIME; 0: never */
        uint64_t turn, left;           /* of this turn's share */
        uint64_t filled_nsec;
        int64_t bucket_nsec; /* what may be sent, as the time that it takes to come; less than 0: owed */
        bool is_too_fast;
};

struct usage {
        void *users; /* tsearch(3) tree */
        TAILQ_HEAD(, usage_user) changed;
        struct usage_limits limits;
        uint64_t n_refused;
};

static const char *const names[USAGE_MAX] = {
        [USAGE_CONNECTIONS] = "MaxConnections", [USAGE_OWNERS] = "MaxOwners",
        [USAGE_ENTRIES] = "MaxEntries",         [USAGE_DIRECTORIES] = "MaxDirectories",
        [USAGE_DESCRIPTORS] = "MaxDescriptors",
};

static uint64_t now_nsec(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t) t.tv_sec * NSEC_PER_SEC + (uint64_t) t.tv_nsec;
}

static int by_uid(const void *a, const void *b)
{
        const struct usage_user *x = a, *y = b;

        return (x->uid > y->uid) - (x->uid < y->uid);
}

int usage_new(struct usage **ret)
{
        struct usage *u = calloc(1, sizeof(*u));

        if (!u)
                return -ENOMEM;
        TAILQ_INIT(&u->changed);
        for (int i = 0; i < USAGE_MAX; i++)
                u->limits.max[i] = UINT64_MAX;
        u->limits.messages_per_sec = UINT64_MAX;
        *ret = u;
        return 0;
}

void usage_free(struct usage *u)
{
        if (!u)
                return;
        tdestroy(u->users, free);
        free(u);
}

void usage_set_limits(struct usage *u, const struct usage_limits *limits)
{
        static const enum usage_what descriptors[] = { USAGE_CONNECTIONS, USAGE_DESCRIPTORS };
        struct rlimit limit;

        u->limits = *limits;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++)
                u->limits.max[descriptors[i]] = MIN(u->limits.max[descriptors[i]],
                                                    (uint64_t) limit.rlim_cur / PROCESS_SHARE);
}

struct usage_user *usage_user(struct usage *u, uid_t uid)
{
        struct usage_user key = { .uid = uid }, **node = tfind(&key, &u->users, by_uid), *user;

        if (node)
                return *node;
        user = calloc(1, sizeof(*user));
        if (!user)
                return NULL;
        user->uid = uid;
        user->usage = u;
        if (tsearch(user, &u->users, by_uid))
                return user;
        free(user);
        return NULL;
}

/* ---- having ---- */

static uint64_t used(const struct usage_user *user, enum usage_what what)
{
        int64_t coming = what == USAGE_ENTRIES ? user->n_changes : 0;

        return user->n[what] + (uint64_t) (coming > 0 ? coming : 0);
}

bool usage_has_room(const struct usage_user *user, enum usage_what what)
{
        return !user || user->uid == 0 || used(user, what) < user->usage->limits.max[what];
}

static void tell(struct usage_user *user, enum usage_what what)
{
        uint64_t now = now_nsec();

        if (user->told_nsec[what] > 0 && now - user->told_nsec[what] < TOLD_NSEC)
                return;
        user->told_nsec[what] = now;
        log_write(LOG_WARNING,
                  &(struct log_fields) { .message_id = LOG_ID_LIMIT,
                                         .has_uid = 1,
                                         .uid = user->uid,
                                         .error = -EDQUOT },
                  "User %u has as much as %s= allows, %" PRIu64 ": refused more",
                  (unsigned int) user->uid, names[what], user->usage->limits.max[what]);
}

int usage_may(struct usage_user *user, enum usage_what what)
{
        if (usage_has_room(user, what))
                return 0;
        user->usage->n_refused++;
        tell(user, what);
        return -EDQUOT;
}

void usage_take(struct usage_user *user, enum usage_what what, uint64_t n)
{
        if (user)
                user->n[what] += n;
}

void usage_give_back(struct usage_user *user, enum usage_what what, uint64_t n)
{
        if (user)
                user->n[what] -= MIN(n, user->n[what]);
}

void usage_entries_change(struct usage_user *user, int64_t n)
{
        if (!user || n == 0)
                return;
        if (user->n_changes == 0)
                TAILQ_INSERT_TAIL(&user->usage->changed, user, changed);
        user->n_changes += n;
        if (user->n_changes == 0)
                TAILQ_REMOVE(&user->usage->changed, user, changed);
}

void usage_settle(struct usage *u, bool is_committed)
{
        struct usage_user *user;
        int64_t n;

        while ((user = TAILQ_FIRST(&u->changed))) {
                TAILQ_REMOVE(&u->changed, user, changed);
                n = user->n_changes;
                user->n_changes = 0;
                if (is_committed && n > 0)
                        usage_take(user, USAGE_ENTRIES, (uint64_t) n);
                else if (is_committed)
                        usage_give_back(user, USAGE_ENTRIES, (uint64_t) -n);
        }
}

/* ---- sending ---- */

static bool has_rate(const struct usage_user *user)
{
        return user->uid != 0 && user->usage->limits.messages_per_sec < NSEC_PER_SEC;
}

/* A message costs the time that it takes to come at that rate. */
static uint64_t cost_nsec(const struct usage_user *user)
{
        return NSEC_PER_SEC / MAX(user->usage->limits.messages_per_sec, UINT64_C(1));
}

static uint64_t allowed_by_rate(struct usage_user *user)
{
        const int64_t burst = (int64_t) MAX(BURST_NSEC, cost_nsec(user));
        const uint64_t now = now_nsec();

        user->bucket_nsec = MIN(user->bucket_nsec + (int64_t) (now - user->filled_nsec), burst);
        user->filled_nsec = now;
        return (uint64_t) MAX(user->bucket_nsec, 0) / cost_nsec(user);
}

uint64_t usage_left(struct usage_user *user, uint64_t turn)
{
        uint64_t allowed;

        if (!user)
                return COST_PER_TURN;
        if (user->turn != turn) {
                user->turn = turn;
                user->left = COST_PER_TURN;
        }
        user->is_too_fast = false;
        if (user->left == 0 || !has_rate(user))
                return user->left;
        allowed = allowed_by_rate(user);
        user->is_too_fast = allowed == 0;
        return MIN(user->left, allowed);
}

void usage_spend(struct usage_user *user, uint64_t n, uint64_t cost)
{
        if (!user)
                return;
        user->left -= MIN(cost, user->left);
        if (has_rate(user))
                user->bucket_nsec -= (int64_t) (n * cost_nsec(user));
}

bool usage_is_too_fast(const struct usage_user *user)
{
        return user && user->is_too_fast;
}

/* ---- showing ---- */

struct search {
        const uid_t *only;
        const struct usage_limits *limits;
        double share;
        struct usage_nearest *found;
};

static void compare_user(const void *node, VISIT visit, void *userdata)
{
        const struct usage_user *user = *(struct usage_user *const *) node;
        struct search *s = userdata;
        double share;

        if ((visit != leaf && visit != postorder) || user->uid == 0 ||
            (s->only && *s->only != user->uid))
                return;
        for (int i = 0; i < USAGE_MAX; i++) {
                if (s->limits->max[i] == UINT64_MAX || user->n[i] == 0)
                        continue;
                share = (double) user->n[i] / (double) MAX(s->limits->max[i], UINT64_C(1));
                if (share <= s->share)
                        continue;
                s->share = share;
                *s->found = (struct usage_nearest) { user->uid, (enum usage_what) i, user->n[i],
                                                     s->limits->max[i] };
        }
}

bool usage_get_nearest(struct usage *u, const uid_t *only, struct usage_nearest *ret)
{
        struct search s = { .only = only, .limits = &u->limits, .found = ret };

        twalk_r(u->users, compare_user, &s);
        return s.share > 0;
}

uint64_t usage_refused(const struct usage *u)
{
        return u->n_refused;
}

const char *usage_name(enum usage_what what)
{
        return names[what];
}
