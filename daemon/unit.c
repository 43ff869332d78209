/* SPDX-License-Identifier: MIT */

/*
 * Owns units: owners that end when a cgroup has no process left, or is gone. A cgroup is told by
 * the inode of its directory, since a unit that is started again gets a new one at the same path.
 * The kernel reports the change of cgroup.events to whoever polls it; a cgroup removed meanwhile
 * can't be read any more.
 *
 * The subtle thing: two reports lie at least 10 ms apart, and one that is held back for that is lost
 * when the cgroup is removed before it is due. So after each report, and at the beginning, there is
 * one more look when the time for it has passed.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <search.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "daemon/registry-internal.h"
#include "libclient/util.h"

#define LOOK_AGAIN_USEC (50 * USEC_PER_MSEC) /* the kernel's 10 ms are up to two ticks of 10 ms */

/* 1 processes are in it or below; 0 none, or it is gone. */
static int is_populated(int fd)
{
        char buf[256];
        ssize_t n;

        n = pread(fd, buf, sizeof(buf) - 1, 0);
        if (n < 0)
                return errno == ENODEV ? 0 : -errno;
        buf[n] = 0;
        return strstr(buf, "populated 0") ? 0 : 1;
}

static void look(struct owner *o)
{
        if (is_populated(o->fd) != 0)
                return;
        (void) sd_event_source_set_enabled(o->source, SD_EVENT_OFF);
        registry_owner_ended(o);
}

static int on_look_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        look(userdata);
        return 0;
}

static int look_again(struct registry *g, struct owner *o)
{
        if (o->again) {
                (void) sd_event_source_set_time_relative(o->again, LOOK_AGAIN_USEC);
                return sd_event_source_set_enabled(o->again, SD_EVENT_ONESHOT);
        }
        return sd_event_add_time_relative(g->event, &o->again, CLOCK_MONOTONIC, LOOK_AGAIN_USEC, 0,
                                          on_look_again, o);
}

static int on_events(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        struct owner *o = userdata;

        (void) look_again(o->registry, o); /* there already: it can't fail */
        look(o);
        return 0;
}

/* Could a cgroup be seen there? Where they are not mounted, or elsewhere, none says nothing. */
static bool shows_cgroups(const char *path)
{
        const char *root = cgroup_root();
        size_t len = root ? strlen(root) : 0;

        return root && strncmp(path, root, len) == 0 && path[len] == '/';
}

/* -ESTALE: another cgroup is there now, or none. -ENOLINK: that can't be seen from here. */
static int open_events(const char *path, uint64_t cgroup)
{
        _cleanup_(closep) int dirfd = -1;
        struct statfs fs;
        struct stat st;
        int fd;

        dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dirfd < 0)
                return errno != ENOENT ? -errno : shows_cgroups(path) ? -ESTALE : -ENOLINK;
        if (fstat(dirfd, &st) < 0 || fstatfs(dirfd, &fs) < 0)
                return -errno;
        if (fs.f_type != CGROUP2_SUPER_MAGIC)
                return -ENOLINK;
        if (st.st_ino != cgroup)
                return -ESTALE;
        fd = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -EOPNOTSUPP : -errno; /* the root has none */
        return fd;
}

static int watch(struct registry *g, struct owner *o)
{
        int r;

        o->fd = open_events(o->place, o->cgroup);
        if (o->fd < 0)
                return o->fd;
        r = sd_event_add_io(g->event, &o->source, o->fd, EPOLLPRI, on_events, o);
        if (r >= 0)
                r = look_again(g, o);
        return r < 0 ? r : is_populated(o->fd);
}

struct wanted {
        uint64_t cgroup;
        struct owner *found;
};

static void match(const void *node, VISIT visit, void *userdata)
{
        struct owner *o = *(struct owner *const *) node;
        struct wanted *w = userdata;

        if ((visit == leaf || visit == postorder) && o->kind == WIRE_OWNER_UNIT &&
            o->state == OWNER_LIVING && o->cgroup == w->cgroup)
                w->found = o;
}

int unit_find(struct registry *g, const struct peer *p, const char *path, uint64_t cgroup,
              const char *unit, struct owner **ret)
{
        struct wanted w = { .cgroup = cgroup };
        struct owner *o;
        int r;

        twalk_r(g->owners_by_id, match, &w);
        if (w.found) {
                *ret = w.found;
                return registry_store_owner(g, w.found);
        }
        r = registry_may(g, p, USAGE_OWNERS);
        if (r < 0)
                return r;
        o = registry_new_owner(g, g->next_owner++);
        if (!o)
                return -ENOMEM;
        o->kind = WIRE_OWNER_UNIT;
        o->cgroup = cgroup;
        o->place = strdup(path);
        o->unit = strdup(unit ? unit : "");
        r = o->place && o->unit ? watch(g, o) : -ENOMEM;
        if (r <= 0) {
                registry_free_owner(o);
                return r == 0 ? -ESRCH : r;
        }
        r = registry_add_other_owner(g, o, p);
        if (r >= 0)
                *ret = o;
        return r < 0 ? r : 0;
}

/* 1 it lives; 0 it has ended; negative: can't be told. */
int unit_restore(struct registry *g, struct owner *o, const struct store_owner *row)
{
        int r;

        o->cgroup = row->cgroup;
        o->place = strdup(row->place ? row->place : "");
        o->unit = strdup(row->unit);
        if (!o->place || !o->unit)
                return -ENOMEM;
        if (!sd_id128_equal(row->boot, g->epoch.boot))
                return 0;
        r = watch(g, o);
        return r == -ESTALE ? 0 : r;
}
