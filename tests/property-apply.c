/* SPDX-License-Identifier: MIT */

/*
 * What the operations of the property test do to the model: by their answer, or, when the client
 * was killed before it gave one, by what may have happened.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/property-run.h"

static struct model_thing *thing_of(struct property_run *run, const struct property_slot *s)
{
        for (unsigned int i = 0; i < run->model.things.n; i++)
                if (run->model.things.at[i].id == s->command.thing)
                        return &run->model.things.at[i];
        return NULL;
}

static struct model_owner by_process(uint32_t process, enum model_sure sure)
{
        return (struct model_owner) { MODEL_PROCESS, process, sure };
}

/* ---- making ---- */

/* A pattern with fewer than 58 random bits. */
static bool is_short(const char *pattern)
{
        const char *x = strchr(pattern, 'X');

        return x && strspn(x, "X") < 10;
}

static void apply_made(struct property_run *run, struct property_slot *s,
                       const struct property_answer *a)
{
        bool is_tracked = s->command.op == OP_TRACK_FILE || s->command.op == OP_TRACK_DIRECTORY;
        struct model_thing *t;

        if (!a && is_tracked) /* made, and not tracked yet? */
                model_add_file(&run->model, s->command.path, s->command.text, MODEL_MAYBE);
        if (!a || a->result < 0)
                return;
        t = model_add_thing(&run->model, s->command.thing, is_tracked ? s->command.path : a->path);
        t->text = s->command.text;
        t->is_tracked = is_tracked;
        t->is_identified = is_tracked || is_short(s->command.pattern);
        t->is_directory = s->command.op == OP_DIRECTORY || s->command.op == OP_TRACK_DIRECTORY ||
                          s->command.op == OP_PSEUDO_DIRECTORY;
        t->is_pseudo = s->command.op == OP_PSEUDO_FILE || s->command.op == OP_PSEUDO_DIRECTORY;
        t->uid = model_process(&run->model, s->process)->uid;
        if (t->is_pseudo) {
                model_add_group(&run->model, t->id, s->process);
                model_add_owner(t, (struct model_owner) { MODEL_GROUP, t->id, MODEL_YES });
                return;
        }
        model_add_owner(t, by_process(s->process, MODEL_YES));
        if (s->command.op == OP_MKSTEMP)
                t->finder = s->process;
        else
                t->holder = s->process;
}

static void apply_inside(struct property_run *run, struct property_slot *s,
                         const struct property_answer *a)
{
        thing_of(run, s)->has_inside = true;
}

static void apply_token(struct property_run *run, struct property_slot *s,
                        const struct property_answer *a)
{
        struct model_group *g;

        if (!a || a->result < 0)
                return;
        g = model_add_group(&run->model, s->command.thing, s->process);
        g->is_token = true;
        g->token = a->token;
        g->uid = model_process(&run->model, s->process)->uid;
}

/* ---- ending ---- */

/* Its own share of what is shared ends one way: heard sooner or later, at its end at the latest.
 * If the others have ended by then, it is deleted, and not retained. */
static void end_share(struct property_slot *s, struct model_thing *t)
{
        model_set_process(t, s->process, MODEL_MAYBE);
        t->retain = MIN(t->retain, MODEL_MAYBE);
        t->holder = 0;
}

static void apply_close(struct property_run *run, struct property_slot *s,
                        const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (a && a->result < 0)
                property_fail("closing %s: %s", t->path, strerror(-a->result));
        if (t->is_unsure || t->is_shared || !a)
                end_share(s, t);
        else
                model_remove_thing(&run->model, t);
}

static void apply_release(struct property_run *run, struct property_slot *s,
                          const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (!a || t->is_shared)
                return end_share(s, t);
        t->holder = 0;
        t->finder = s->process;
}

static void apply_find(struct property_run *run, struct property_slot *s,
                       const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (a->result < 0)
                property_fail("%s can't be found again: %s", t->path, strerror(-a->result));
        t->finder = 0;
        t->holder = s->process;
}

/* All claims on it may be void. */
static void doubt(struct model_thing *t)
{
        for (unsigned int i = 0; i < t->n_owners; i++)
                t->owners[i].sure = MODEL_MAYBE;
        t->retain = MIN(t->retain, MODEL_MAYBE);
        t->is_retained = MIN(t->is_retained, MODEL_MAYBE);
}

static void apply_persist(struct property_run *run, struct property_slot *s,
                          const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);
        struct model_file *f = model_file(&run->model, s->command.path);

        if (f)
                f->is_taken = false;
        if (a && a->result < 0)
                return;
        if (!f) {
                model_add_file(&run->model, s->command.path, t->text, a ? MODEL_YES : MODEL_MAYBE);
        } else if (a) {
                f->text = t->text;
        } else {
                f->other = t->text;
        }
        if (a)
                model_remove_thing(&run->model, t);
        else
                doubt(t);
}

static void apply_keep(struct property_run *run, struct property_slot *s,
                       const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (!a || a->result == -ETIMEDOUT || a->result == -ECONNRESET) {
                t->kept = MODEL_MAYBE;
                doubt(t);
        } else if (a->result == 0) {
                model_add_file(&run->model, t->path, t->text, MODEL_YES);
                model_remove_thing(&run->model, t);
        }
}

/* ---- whose it is ---- */

static bool is_gift(uint32_t op)
{
        return op == OP_GIVE || op == OP_GIVE_TOKEN || op == OP_GIVE_LEASE || op == OP_GIVE_BOOT;
}

static struct model_owner heir_of(const struct property_slot *s, enum model_sure sure)
{
        switch (s->command.op) {
        case OP_GIVE:
        case OP_SHARE:
                return by_process(s->target, sure);
        case OP_GIVE_TOKEN:
        case OP_SHARE_TOKEN:
                return (struct model_owner) { MODEL_GROUP, s->target, sure };
        case OP_GIVE_BOOT:
                return (struct model_owner) { MODEL_BOOT, 0, sure };
        default:
                return (struct model_owner) { MODEL_LEASE, 0, sure };
        }
}

static void apply_claim(struct property_run *run, struct property_slot *s,
                        const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (!a || a->result == -ETIMEDOUT || a->result == -ECONNRESET) {
                if (is_gift(s->command.op))
                        model_set_process(t, s->process, MODEL_MAYBE);
                model_add_owner(t, heir_of(s, MODEL_MAYBE));
                t->is_unsure = true;
                return;
        }
        if (a->result < 0 && a->result != -ESTALE)
                return;
        model_add_owner(t, heir_of(s, MODEL_YES));
        t->is_leased = t->is_leased || s->command.op == OP_SHARE_LEASE;
        if (is_gift(s->command.op)) {
                model_set_process(t, s->process, MODEL_NO);
                t->holder = 0;
        } else
                t->is_shared = true;
}

static void apply_retain(struct property_run *run, struct property_slot *s,
                         const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (a && a->result == 0)
                t->retain = MODEL_YES;
        else if (!a || a->result == -ETIMEDOUT || a->result == -ECONNRESET)
                t->retain = MAX(t->retain, MODEL_MAYBE);
}

static void apply_close_fd(struct property_run *run, struct property_slot *s,
                           const struct property_answer *a)
{
        if (a)
                model_group_remove(model_group(&run->model, s->command.thing), s->process);
}

/* ---- files ---- */

/* What is known by what it is is another thing now; what is known by its name is still the
 * temporary. */
static void lose(struct model_thing *t)
{
        t->is_absent = true;
        *t->path = 0;
}

static void apply_rename(struct property_run *run, struct property_slot *s,
                         const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (a->result < 0)
                property_fail("cannot rename %s: %s", t->path, strerror(-a->result));
        model_add_file(&run->model, s->command.other, t->text, MODEL_YES);
        lose(t);
}

static void apply_replace(struct property_run *run, struct property_slot *s,
                          const struct property_answer *a)
{
        struct model_thing *t = thing_of(run, s);

        if (a->result < 0)
                property_fail("cannot replace %s: %s", t->path, strerror(-a->result));
        if (!t->is_identified) {
                t->text = s->command.text;
                return;
        }
        /* Its maker, closing it, goes by the name. */
        model_add_file(&run->model, t->path, s->command.text,
                       t->is_tracked ? MODEL_YES : MODEL_MAYBE);
        lose(t);
}

static void apply_file(struct property_run *run, struct property_slot *s,
                       const struct property_answer *a)
{
        if (a->result < 0)
                property_fail("cannot make %s: %s", s->command.other, strerror(-a->result));
        model_add_file(&run->model, s->command.other, s->command.text, MODEL_YES);
}

/* ---- processes ---- */

static void apply_fork(struct property_run *run, struct property_slot *s,
                       const struct property_answer *a)
{
        struct property_slot *child = &run->slots[s->target];
        uint32_t number;

        child->is_taken = false;
        if (a->result < 0)
                property_fail("cannot fork: %s", strerror(-a->result));
        number =
                model_add_process(&run->model, a->pid, model_process(&run->model, s->process)->uid);
        for (unsigned int i = 0; i < run->model.groups.n; i++)
                if (model_group_has(&run->model.groups.at[i], s->process))
                        model_group_add(&run->model.groups.at[i], number);
        property_open_slot(child, number, s->fork_fd);
}

/* It has lost all handles, and every descriptor; what it has made is still its own. */
static void apply_exec(struct property_run *run, struct property_slot *s,
                       const struct property_answer *a)
{
        if (a->result < 0)
                property_fail("cannot execute: %s", strerror(-a->result));
        for (unsigned int i = 0; i < run->model.groups.n; i++)
                model_group_remove(&run->model.groups.at[i], s->process);
        for (unsigned int i = 0; i < run->model.things.n; i++) {
                struct model_thing *t = &run->model.things.at[i];

                if (t->holder == s->process)
                        t->holder = 0;
                if (t->finder == s->process)
                        t->finder = 0;
        }
}

static void apply_nothing(struct property_run *run, struct property_slot *s,
                          const struct property_answer *a)
{
}

typedef void (*apply_fn)(struct property_run *run, struct property_slot *s,
                         const struct property_answer *a);

static const apply_fn apply[OP_MAX] = {
        [OP_NAMED] = apply_made,
        [OP_DIRECTORY] = apply_made,
        [OP_MKSTEMP] = apply_made,
        [OP_PSEUDO_FILE] = apply_made,
        [OP_PSEUDO_DIRECTORY] = apply_made,
        [OP_TRACK_FILE] = apply_made,
        [OP_TRACK_DIRECTORY] = apply_made,
        [OP_BURST] = apply_nothing,
        [OP_INSIDE] = apply_inside,
        [OP_TOKEN] = apply_token,
        [OP_CLOSE] = apply_close,
        [OP_PERSIST] = apply_persist,
        [OP_KEEP] = apply_keep,
        [OP_RELEASE] = apply_release,
        [OP_FIND] = apply_find,
        [OP_GIVE] = apply_claim,
        [OP_SHARE] = apply_claim,
        [OP_GIVE_TOKEN] = apply_claim,
        [OP_SHARE_TOKEN] = apply_claim,
        [OP_GIVE_LEASE] = apply_claim,
        [OP_SHARE_LEASE] = apply_claim,
        [OP_GIVE_BOOT] = apply_claim,
        [OP_RETAIN] = apply_retain,
        [OP_RENEW] = apply_nothing,
        [OP_CLOSE_FD] = apply_close_fd,
        [OP_COPY_FD] = apply_nothing,
        [OP_RENAME] = apply_rename,
        [OP_REPLACE] = apply_replace,
        [OP_LINK] = apply_file,
        [OP_COPY] = apply_file,
        [OP_WRITE] = apply_file,
        [OP_FORK] = apply_fork,
        [OP_FORK_CLOSE] = apply_nothing,
        [OP_EXEC] = apply_exec,
        [OP_PING] = apply_nothing,
};

/* With the daemon there all the time nothing has a reason to fail, but for an heir that has ended,
 * or is another user's; without it, only for that reason. */
static void check_result(const struct property_run *run, const struct property_slot *s, int result)
{
        switch (result) {
        case -ECONNREFUSED:
        case -ETIMEDOUT:
        case -ECONNRESET:
                if (!run->is_calm)
                        return;
                break;
        case -ESRCH:
        case -EPERM:
                if (s->has_heir || s->command.token != 0)
                        return;
                break;
        case -ESTALE: /* it was given, the answer was lost, and its heir has ended since */
                if (!run->is_calm && is_gift(s->command.op) &&
                    (s->has_heir || s->command.token != 0))
                        return;
                break;
        default:
                if (result >= 0)
                        return;
        }
        property_fail("operation %u by process %u on %s failed: %s", s->command.op, s->process,
                      s->command.path, strerror(-result));
}

void property_apply(struct property_run *run, struct property_slot *s,
                    const struct property_answer *a)
{
        if (a)
                check_result(run, s, a->result);
        apply[s->command.op](run, s, a);
}
