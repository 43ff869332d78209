/* SPDX-License-Identifier: MIT */

/*
 * Owns the processes that act for users on their FUSE mounts. Each does one job and ends. It is
 * executed anew, so that there is nothing of the daemon's memory in it, has no descriptors but its
 * socket and the directory's, and becomes the user for good before it looks at anything. That user
 * may kill or stop it, and so holds up his own lane, as with a mount that hangs.
 *
 * What such a process hangs on does not hang the daemon: the worker waits on a socket, and can be
 * ended. That is why all that is on FUSE comes here, allow_other or not.
 */

#include "daemon/delegate.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "daemon/delegate-internal.h"
#include "daemon/inspect.h"
#include "daemon/parcel.h"
#include "daemon/reaper.h"
#include "libclient/util.h"

static bool is_enabled;

void delegate_enable(void)
{
        is_enabled = true;
}

/* ---- which ---- */

static bool is_other_users(const struct cred *c)
{
        return is_enabled && c->uid != 0 && !cred_is_own(c->uid);
}

static bool wants_place(const struct reap_place *p)
{
        return p->identity->fs_type == FUSE_SUPER_MAGIC && is_other_users(p->cred);
}

static bool wants_inspection(const struct inspect_job *i)
{
        struct statfs s;

        if (!is_other_users(&i->cred))
                return false;
        if (i->wants_object)
                return i->dir_identity->fs_type == FUSE_SUPER_MAGIC;
        return i->wants_directory && fstatfs(i->client_fd, &s) == 0 && s.f_type == FUSE_SUPER_MAGIC;
}

/* ---- asking ---- */

static int spawn(int fd, pid_t *ret)
{
        char name[] = DELEGATE_NAME, *argv[] = { name, NULL }, *envp[] = { NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none;
        int r;

        (void) sigemptyset(&none);
        (void) posix_spawn_file_actions_init(&actions); /* none of these fails in GNU's library */
        (void) posix_spawnattr_init(&attr);
        (void) posix_spawnattr_setsigmask(&attr, &none);
        (void) posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
        r = -posix_spawn_file_actions_adddup2(&actions, fd, DELEGATE_FD);
        if (r >= 0)
                r = -posix_spawn(ret, "/proc/self/exe", &actions, &attr, argv, envp);
        (void) posix_spawnattr_destroy(&attr);
        (void) posix_spawn_file_actions_destroy(&actions);
        return r;
}

/* The answer begins with how far it came: below zero, no further than that. */
static int converse(int fd, const struct parcel *request, struct parcel *ret)
{
        int r;

        r = parcel_send(fd, request);
        if (r >= 0)
                r = parcel_receive(fd, ret);
        if (r < 0)
                return r;
        r = (int) (int64_t) parcel_get_number(ret);
        return ret->is_bad ? -EBADMSG : MIN(r, 0);
}

static int ask(const struct parcel *request, struct parcel *ret)
{
        int ends[2], r;
        pid_t pid;

        r = cred_enter(NULL); /* the new process has to be able to become another */
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        r = spawn(ends[1], &pid);
        close_fd(ends[1]);
        if (r < 0) {
                close_fd(ends[0]);
                return r;
        }
        r = converse(ends[0], request, ret);
        close_fd(ends[0]); /* by which it ends, if it has not */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return r;
}

static void put_cred(struct parcel *p, const struct cred *c)
{
        parcel_put_number(p, identity_run_id());
        parcel_put_number(p, c->uid);
        parcel_put_number(p, c->gid);
        parcel_put_number(p, c->n_groups);
        parcel_put(p, c->groups, c->n_groups * sizeof(gid_t));
}

static void put_place(struct parcel *p, enum task task, const struct reap_place *place)
{
        *p = (struct parcel) PARCEL_INIT;
        p->fd = place->fd;
        parcel_put_number(p, task);
        put_cred(p, place->cred);
        parcel_put_text(p, place->path);
        parcel_put_identity(p, place->identity);
        parcel_put_number(p, place->is_foreign);
        parcel_put_number(p, (uint64_t) place->seen_by);
}

/* The request is done with; its descriptor was borrowed. */
static int ask_about(struct parcel *request, struct reap_place *place, struct parcel *ret)
{
        int r = ask(request, ret);

        request->fd = -1;
        parcel_done(request);
        place->opened_fd = -1;
        if (r < 0)
                return r;
        place->is_deleted = parcel_get_number(ret);
        place->opened_fd = TAKE_FD(ret->fd);
        return 0;
}

static void take_result(struct parcel *p, struct reap_item *i)
{
        i->outcome = (enum reap_outcome) parcel_get_number(p);
        i->error = (int) (int64_t) parcel_get_number(p);
        i->failed = parcel_get_text(p);
        if (p->is_bad || i->outcome < REAP_GONE || i->outcome > REAP_ABSENT) {
                i->outcome = REAP_STUCK;
                i->error = -EBADMSG;
        }
}

int delegate_delete(struct job *j)
{
        struct delete_job *d = (struct delete_job *) j;
        struct parcel request, reply = PARCEL_INIT;
        int r;

        if (!wants_place(&d->place))
                return reaper_delete(j);
        put_place(&request, TASK_DELETE, &d->place);
        parcel_put(&request, d->key ?: (const uint8_t[NAME_KEY_SIZE]) { 0 }, NAME_KEY_SIZE);
        parcel_put_number(&request, d->n_items);
        for (size_t n = 0; n < d->n_items; n++) {
                const struct reap_item *i = &d->items[n];

                parcel_put_number(&request, i->id);
                parcel_put_number(&request, i->kind);
                parcel_put_text(&request, i->name);
                parcel_put_text(&request, i->target);
                parcel_put_number(&request, i->identity != NULL);
                if (i->identity)
                        parcel_put_identity(&request, i->identity);
        }
        r = ask_about(&request, &d->place, &reply);
        for (size_t n = 0; n < d->n_items; n++) {
                if (r >= 0)
                        take_result(&reply, &d->items[n]);
                else {
                        d->items[n].outcome = REAP_STUCK;
                        d->items[n].error = r;
                }
        }
        parcel_done(&reply);
        return 0;
}

static int take_names(struct sweep_job *s, struct parcel *p)
{
        uint64_t n = parcel_get_number(p);

        s->names = p->is_bad || n > p->len ? NULL : calloc(n + 1, sizeof(*s->names));
        if (!s->names)
                return -EBADMSG;
        for (; s->n_names < n && !p->is_bad; s->n_names++) {
                struct swept_name *name = &s->names[s->n_names];

                name->tag = parcel_get_number(p);
                name->kind = (unsigned int) parcel_get_number(p);
                name->name = parcel_get_text(p);
                if (!name->name || name->tag >= s->n_tags)
                        p->is_bad = true;
        }
        return p->is_bad ? -EBADMSG : 0;
}

int delegate_sweep(struct job *j)
{
        struct sweep_job *s = (struct sweep_job *) j;
        struct parcel request, reply = PARCEL_INIT;
        int r;

        if (!wants_place(&s->place))
                return reaper_sweep(j);
        reaper_sort_tags(s); /* what is found says which it has by their places */
        put_place(&request, TASK_SWEEP, &s->place);
        parcel_put_number(&request, s->n_tags);
        for (size_t n = 0; n < s->n_tags; n++) {
                parcel_put_number(&request, s->tags[n].tag);
                parcel_put(&request, s->tags[n].key, NAME_KEY_SIZE);
        }
        r = ask_about(&request, &s->place, &reply);
        if (r >= 0) {
                r = (int) (int64_t) parcel_get_number(&reply);
                s->is_waiting = parcel_get_number(&reply);
        }
        if (r >= 0)
                r = take_names(s, &reply);
        s->error = MIN(r, 0);
        parcel_done(&reply);
        return 0;
}

int delegate_flush(struct job *j)
{
        struct flush_job *f = (struct flush_job *) j;
        struct parcel request, reply = PARCEL_INIT;
        int r;

        if (!wants_place(&f->place))
                return reaper_flush(j);
        put_place(&request, TASK_FLUSH, &f->place);
        r = ask_about(&request, &f->place, &reply);
        f->error = r < 0 ? r : (int) (int64_t) parcel_get_number(&reply);
        parcel_done(&reply);
        return 0;
}

/* ---- before something is registered ---- */

static void put_inspection(struct parcel *p, const struct inspect_job *i)
{
        const struct identity none = { 0 };

        *p = (struct parcel) PARCEL_INIT;
        p->fd = i->wants_directory ? i->client_fd : i->dirfd;
        parcel_put_number(p, TASK_INSPECT);
        put_cred(p, &i->cred);
        parcel_put_number(p, (uint64_t) i->pid);
        parcel_put_number(p, i->wants_directory);
        parcel_put_text(p, i->wants_directory ? i->path : i->dir_path);
        parcel_put_identity(p, i->dir_identity ? i->dir_identity : &none);
        parcel_put_number(p, i->dir_is_foreign);
        parcel_put_text(p, i->name);
}

static int take_inspection(struct parcel *p, struct inspect_job *i)
{
        int error = (int) (int64_t) parcel_get_number(p);

        parcel_get_identity(p, i->wants_directory ? &i->identity : &i->object);
        i->is_foreign = parcel_get_number(p);
        if (p->is_bad)
                return -EBADMSG;
        if (error < 0)
                return error;
        if (!i->wants_directory)
                i->opened_fd = TAKE_FD(p->fd);
        else if (i->is_foreign || p->fd < 0)
                i->fd = TAKE_FD(i->client_fd);
        else
                i->fd = TAKE_FD(p->fd);
        return 0;
}

static int inspect_there(struct inspect_job *i)
{
        struct parcel request, reply = PARCEL_INIT;
        int r;

        put_inspection(&request, i);
        r = ask(&request, &reply);
        request.fd = -1;
        parcel_done(&request);
        if (r >= 0)
                r = take_inspection(&reply, i);
        parcel_done(&reply);
        return r;
}

int delegate_inspect(struct job *j)
{
        struct inspect_job *i = (struct inspect_job *) j;
        bool directory = i->wants_directory, object = i->wants_object;

        if (inspect_learn_device(i))
                return 1;
        if (!wants_inspection(i)) {
                inspect_now(i);
                i->client_fd = close_fd(i->client_fd); /* here, where that may take its time */
                return 0;
        }
        /* What is asked of /proc is asked here. */
        i->wants_directory = i->wants_object = false;
        inspect_now(i);
        i->wants_directory = directory;
        i->wants_object = object;
        if (i->error >= 0)
                i->error = inspect_there(i);
        return 0;
}
