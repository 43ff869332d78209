/* SPDX-License-Identifier: MIT */

/*
 * Owns the switch of credentials. fsuid, fsgid, groups and the effective capabilities are
 * properties of a thread in the kernel, but glibc's setgroups() changes every thread: so these
 * are raw system calls. setfsuid() does not report failure, so all is read back; what does not
 * match fails closed. fsuid and not setresuid(): a thread with the client's real uid could be
 * signalled by the client.
 *
 * A thread remembers whom it acts for, so a worker that serves one client again and again pays
 * once. The effective capabilities that remain are those the client had itself (uid 0), or none
 * but the two that the next switch needs.
 */

#include "daemon/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "daemon/proc.h"
#include "libclient/util.h"

#define CAP_BIT(cap) (UINT64_C(1) << (cap))
#define CAP_SWITCH (CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID))
#define GROUPS_MAX 65536U
#define REMEMBERED_GROUPS 64U

int cred_of_peer(int fd, struct cred *ret, pid_t *ret_pid)
{
        _cleanup_(cred_done) struct cred c = { 0 };
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return -errno;
        c.uid = peer.uid;
        c.gid = peer.gid;

        len = 0;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) < 0 && errno != ERANGE)
                return -errno;
        if (len > 0) {
                if (len > GROUPS_MAX * sizeof(gid_t))
                        return -E2BIG;
                c.groups = malloc(len);
                if (!c.groups)
                        return -ENOMEM;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c.groups, &len) < 0)
                        return -errno;
                c.n_groups = len / sizeof(gid_t);
        }
        *ret_pid = peer.pid;
        *ret = c;
        c.groups = NULL;
        return 0;
}

void cred_done(struct cred *c)
{
        free(c->groups);
        *c = (struct cred) { 0 };
}

int cred_copy(const struct cred *from, struct cred *to)
{
        gid_t *groups = NULL;

        if (from->n_groups > 0) {
                groups = malloc(from->n_groups * sizeof(gid_t));
                if (!groups)
                        return -ENOMEM;
                memcpy(groups, from->groups, from->n_groups * sizeof(gid_t));
        }
        *to = *from;
        to->groups = groups;
        return 0;
}

bool cred_equal(const struct cred *a, const struct cred *b)
{
        return a->uid == b->uid && a->gid == b->gid && a->caps == b->caps &&
               a->n_groups == b->n_groups &&
               (a->n_groups == 0 || memcmp(a->groups, b->groups, a->n_groups * sizeof(gid_t)) == 0);
}

/* The daemon's own, which never changes: read once; -ESRCH: this kernel has no user namespaces. */
static int own_uid_map(const char **ret)
{
        static _Atomic(char *) known;
        char *map = atomic_load(&known), *none = NULL;
        size_t len;
        int r;

        if (!map) {
                r = proc_read(getpid(), "uid_map", PROC_MAX, &map, &len);
                if (r < 0)
                        return r;
                if (!atomic_compare_exchange_strong(&known, &none, map)) {
                        free(map);
                        map = none;
                }
        }
        *ret = map;
        return 0;
}

/* 1: the same; 0: another's, perhaps of one that has none yet. */
static int same_uid_map(pid_t pid)
{
        _cleanup_(freep) char *other = NULL;
        const char *own;
        size_t len;
        int r;

        r = own_uid_map(&own);
        if (r < 0)
                return r == -ESRCH ? 1 : r;
        r = proc_read(pid, "uid_map", PROC_MAX, &other, &len);
        return r < 0 ? r : len > 0 && streq(own, other);
}

int cred_count_caps(pid_t pid, uint64_t seen, uint64_t *ret)
{
        int r = same_uid_map(pid);

        *ret = r > 0 ? seen : 0;
        return MIN(r, 0);
}

int cred_read_caps(pid_t pid, uint64_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        const char *field;
        uint64_t seen;
        size_t len;
        int r;

        *ret = 0;
        r = proc_read(pid, "status", PROC_MAX, &text, &len);
        if (r < 0)
                return r;
        field = proc_field(text, "CapEff:");
        if (!field || sscanf(field, "%" SCNx64, &seen) != 1)
                return -EBADMSG;
        return cred_count_caps(pid, seen, ret);
}

static int get_caps(uint64_t *ret_effective, uint64_t *ret_permitted)
{
        struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct d[2] = { 0 }; /* valgrind thinks that one is read */

        if (syscall(SYS_capget, &h, d) < 0)
                return -errno;
        *ret_effective = (uint64_t) d[1].effective << 32 | d[0].effective;
        *ret_permitted = (uint64_t) d[1].permitted << 32 | d[0].permitted;
        return 0;
}

static int set_effective(uint64_t effective, uint64_t permitted)
{
        struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct d[2] = {
                { (uint32_t) effective, (uint32_t) permitted, 0 },
                { (uint32_t) (effective >> 32), (uint32_t) (permitted >> 32), 0 },
        };
        uint64_t now_effective, now_permitted;
        int r;

        if (syscall(SYS_capset, &h, d) < 0)
                return -errno;
        r = get_caps(&now_effective, &now_permitted);
        if (r < 0)
                return r;
        return now_effective == effective ? 0 : -EPERM;
}

/* What the process has to give, read once before any thread has switched. */
static struct {
        bool is_read;
        bool can_switch;
        uid_t uid;
        gid_t gid;
        uint64_t permitted;
        struct cred self;
} own;

static void read_own(void)
{
        uint64_t effective = 0;
        int n;

        if (own.is_read)
                return;
        own.uid = geteuid();
        own.gid = getegid();
        (void) get_caps(&effective, &own.permitted); /* none, then */
        own.can_switch = (own.permitted & CAP_SWITCH) == CAP_SWITCH;
        own.self = (struct cred) { .uid = own.uid, .gid = own.gid, .caps = effective };
        n = getgroups(0, NULL);
        if (n > 0)
                own.self.groups = calloc((size_t) n, sizeof(gid_t));
        if (own.self.groups)
                own.self.n_groups = (uint32_t) MAX(getgroups(n, own.self.groups), 0);
        own.is_read = true;
}

bool cred_can_serve(uid_t uid)
{
        read_own(); /* first called before the first worker starts */
        return own.can_switch || uid == own.uid;
}

bool cred_is_own(uid_t uid)
{
        read_own();
        return uid == own.uid;
}

static int switch_to(const struct cred *c, uint64_t caps)
{
        int r;

        r = set_effective(own.permitted, own.permitted);
        if (r < 0)
                return r;
        if (syscall(SYS_setgroups, (size_t) c->n_groups, c->groups) < 0)
                return -errno;
        (void) syscall(SYS_setfsgid, c->gid);
        (void) syscall(SYS_setfsuid, c->uid);
        if (syscall(SYS_setfsgid, -1) != (long) c->gid ||
            syscall(SYS_setfsuid, -1) != (long) c->uid)
                return -EPERM;
        return set_effective(caps & own.permitted, own.permitted);
}

/* Whom this thread acts for; .groups is what follows. No allocation: threads come and go. */
static __thread struct {
        bool is_known;
        struct cred cred;
        gid_t groups[REMEMBERED_GROUPS];
} current;

static void remember(const struct cred *c)
{
        current.is_known = c->n_groups <= REMEMBERED_GROUPS; /* else it switches each time */
        if (!current.is_known)
                return;
        if (c->n_groups > 0)
                memcpy(current.groups, c->groups, c->n_groups * sizeof(gid_t));
        current.cred = *c;
        current.cred.groups = current.groups;
}

int cred_enter(const struct cred *c)
{
        uint64_t caps;
        int r;

        read_own();
        if (!c)
                c = &own.self;
        if (!own.can_switch)
                return c->uid == own.uid ? 0 : -EPERM;
        if (current.is_known && cred_equal(&current.cred, c))
                return 0;

        current.is_known = false;
        caps = c->uid == 0 || c == &own.self ? c->caps | CAP_SWITCH : CAP_SWITCH;
        r = switch_to(c, caps);
        if (r < 0) {
                /* Nobody, and nothing but the way back: whatever comes next fails. */
                (void) syscall(SYS_setfsuid, (uid_t) 65534);
                (void) set_effective(CAP_SWITCH & own.permitted, own.permitted);
                return r;
        }
        remember(c);
        return 0;
}

/* The kernel keeps them sorted. */
static bool has_groups(const struct cred *c)
{
        _cleanup_(freep) gid_t *now = NULL;
        int n = getgroups(0, NULL);
        bool found;

        if (n != (int) c->n_groups)
                return false;
        now = calloc((size_t) n + 1, sizeof(gid_t));
        if (!now || getgroups(n, now) != n)
                return false;
        for (int i = 0; i < n; i++) {
                found = false;
                for (int k = 0; k < n; k++)
                        found = found || c->groups[k] == now[i];
                if (!found)
                        return false;
        }
        return true;
}

int cred_become(const struct cred *c)
{
        uint64_t effective, permitted;
        uid_t uid[3];
        gid_t gid[3];
        int r;

        if (c->uid == 0 || c->uid == (uid_t) -1 || c->gid == (gid_t) -1)
                return -EPERM;
        if (setgroups(c->n_groups, c->groups) < 0 || setresgid(c->gid, c->gid, c->gid) < 0 ||
            setresuid(c->uid, c->uid, c->uid) < 0)
                return -errno;
        r = set_effective(0, 0); /* if a daemon that was never root has some that stay */
        if (r >= 0)
                r = get_caps(&effective, &permitted);
        if (r < 0)
                return r;
        if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
                return -errno;
        for (int i = 0; i < 3; i++)
                if (uid[i] != c->uid || gid[i] != c->gid)
                        return -EPERM;
        return effective == 0 && permitted == 0 && has_groups(c) ? 0 : -EPERM;
}
