/* SPDX-License-Identifier: MIT */

/*
 * The other end: what a delegate is. It takes the job out of its parcel, runs it as a worker would,
 * and sends back what the worker would have learnt. What is allocated goes with the process.
 */

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/delegate-internal.h"
#include "daemon/delegate.h"
#include "daemon/inspect.h"
#include "daemon/parcel.h"
#include "daemon/reaper.h"
#include "libclient/util.h"

static struct reap_place take_place(struct parcel *p, const struct cred *c, struct identity *i)
{
        struct reap_place place = { .cred = c, .identity = i, .fd = p->fd, .opened_fd = -1 };

        place.path = parcel_get_text(p);
        parcel_get_identity(p, i);
        place.is_foreign = parcel_get_number(p);
        place.seen_by = (pid_t) parcel_get_number(p);
        if (!place.path)
                p->is_bad = true;
        return place;
}

static void put_opened(struct parcel *reply, const struct reap_place *place)
{
        parcel_put_number(reply, place->is_deleted);
        reply->fd = place->opened_fd;
}

static void do_delete(struct parcel *p, const struct cred *c, struct parcel *reply)
{
        struct delete_job d = { 0 };
        struct identity directory;
        uint8_t key[NAME_KEY_SIZE];
        size_t n;

        d.place = take_place(p, c, &directory);
        parcel_get(p, key, sizeof(key));
        d.key = key;
        n = parcel_get_number(p);
        d.items = n < p->len ? calloc(n + 1, sizeof(*d.items)) : NULL;
        for (; d.items && d.n_items < n; d.n_items++) {
                struct reap_item *i = &d.items[d.n_items];

                i->id = parcel_get_number(p);
                i->kind = (unsigned int) parcel_get_number(p);
                i->name = parcel_get_text(p);
                i->target = parcel_get_text(p);
                if (parcel_get_number(p)) {
                        i->identity = malloc(sizeof(*i->identity));
                        if (!i->identity)
                                _exit(EXIT_FAILURE);
                        parcel_get_identity(p, i->identity);
                }
        }
        if (p->is_bad || !d.items)
                _exit(EXIT_FAILURE);
        (void) reaper_delete(&d.job);
        put_opened(reply, &d.place);
        for (size_t k = 0; k < d.n_items; k++) {
                parcel_put_number(reply, d.items[k].outcome);
                parcel_put_number(reply, (uint64_t) (int64_t) d.items[k].error);
                parcel_put_text(reply, d.items[k].failed);
        }
}

static void do_sweep(struct parcel *p, const struct cred *c, struct parcel *reply)
{
        struct sweep_job s = { 0 };
        struct identity directory;
        uint8_t(*keys)[NAME_KEY_SIZE];
        size_t n;

        s.place = take_place(p, c, &directory);
        n = parcel_get_number(p);
        s.tags = n < p->len ? calloc(n + 1, sizeof(*s.tags)) : NULL;
        keys = n < p->len ? calloc(n + 1, sizeof(*keys)) : NULL;
        if (!s.tags || !keys)
                _exit(EXIT_FAILURE);
        for (; s.n_tags < n; s.n_tags++) {
                s.tags[s.n_tags].tag = parcel_get_number(p);
                parcel_get(p, keys[s.n_tags], NAME_KEY_SIZE);
                s.tags[s.n_tags].key = keys[s.n_tags];
        }
        if (p->is_bad)
                _exit(EXIT_FAILURE);
        (void) reaper_sweep(&s.job);
        put_opened(reply, &s.place);
        parcel_put_number(reply, (uint64_t) (int64_t) s.error);
        parcel_put_number(reply, s.is_waiting);
        parcel_put_number(reply, s.n_names);
        for (size_t k = 0; k < s.n_names; k++) {
                parcel_put_number(reply, s.names[k].tag);
                parcel_put_number(reply, s.names[k].kind);
                parcel_put_text(reply, s.names[k].name);
        }
}

static void do_flush(struct parcel *p, const struct cred *c, struct parcel *reply)
{
        struct flush_job f = { 0 };
        struct identity directory;

        f.place = take_place(p, c, &directory);
        if (p->is_bad)
                _exit(EXIT_FAILURE);
        (void) reaper_flush(&f.job);
        put_opened(reply, &f.place);
        parcel_put_number(reply, (uint64_t) (int64_t) f.error);
}

static void do_inspect(struct parcel *p, const struct cred *c, struct parcel *reply)
{
        struct inspect_job *i = inspect_new(c);
        struct identity directory;
        char *path;

        if (!i)
                _exit(EXIT_FAILURE);
        i->pid = (pid_t) parcel_get_number(p);
        i->wants_directory = parcel_get_number(p);
        i->wants_object = !i->wants_directory;
        path = parcel_get_text(p);
        parcel_get_identity(p, &directory);
        i->dir_is_foreign = parcel_get_number(p);
        i->name = parcel_get_text(p);
        if (p->is_bad || !path || (i->wants_object && !i->name))
                _exit(EXIT_FAILURE);
        i->job.device = 0; /* no lanes here */
        i->path = path;
        i->dir_path = path;
        i->dir_identity = &directory;
        i->client_fd = i->wants_directory ? p->fd : -1;
        i->dirfd = i->wants_object ? p->fd : -1;
        inspect_now(i);
        parcel_put_number(reply, (uint64_t) (int64_t) i->error);
        parcel_put_identity(reply, i->wants_directory ? &i->identity : &i->object);
        parcel_put_number(reply, i->is_foreign);
        if (i->error >= 0)
                reply->fd = i->wants_object ? i->opened_fd : i->is_foreign ? -1 : i->fd;
}

static int become_user(struct parcel *p, struct cred *ret)
{
        struct cred c = { 0 };
        uint64_t n;
        int r;

        identity_take_run_id(parcel_get_number(p));
        c.uid = (uid_t) parcel_get_number(p);
        c.gid = (gid_t) parcel_get_number(p);
        n = parcel_get_number(p);
        c.groups = n <= p->len / sizeof(gid_t) ? calloc(n + 1, sizeof(gid_t)) : NULL;
        if (p->is_bad || !c.groups)
                return -EBADMSG;
        c.n_groups = (uint32_t) n;
        parcel_get(p, c.groups, n * sizeof(gid_t));
        r = p->is_bad ? -EBADMSG : cred_become(&c);
        *ret = c;
        return r;
}

static void do_task(enum task task, struct parcel *p, const struct cred *c, struct parcel *reply)
{
        switch (task) {
        case TASK_DELETE:
                return do_delete(p, c, reply);
        case TASK_SWEEP:
                return do_sweep(p, c, reply);
        case TASK_FLUSH:
                return do_flush(p, c, reply);
        case TASK_INSPECT:
                return do_inspect(p, c, reply);
        default:
                _exit(EXIT_FAILURE);
        }
}

/* Ends without ceremony: what a sanitizer would look at afterwards is not there to be looked at. */
int delegate_main(void)
{
        struct parcel request = PARCEL_INIT, reply = PARCEL_INIT;
        struct cred c = { 0 };
        enum task task;
        int r;

        (void) close_range(DELEGATE_FD + 1, ~0U, 0);
        if (parcel_receive(DELEGATE_FD, &request) < 0)
                _exit(EXIT_FAILURE);
        task = (enum task) parcel_get_number(&request);
        r = become_user(&request, &c);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* after that, which would undo it */
        parcel_put_number(&reply, (uint64_t) (int64_t) MIN(r, 0));
        if (r >= 0)
                do_task(task, &request, &c, &reply);
        _exit(parcel_send(DELEGATE_FD, &reply) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
