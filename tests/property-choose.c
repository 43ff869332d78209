/* SPDX-License-Identifier: MIT */

/* What a client of the property test is told to do: at random, among what it can do. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/property-run.h"

#define HELD_MAX 24U

typedef bool (*choose_fn)(struct property_run *run, struct property_slot *s);

static uint32_t new_number(struct property_run *run)
{
        return ++run->model.next_text;
}

static uid_t uid_of(struct property_run *run, const struct property_slot *s)
{
        return model_process(&run->model, s->process)->uid;
}

static void set_path(char path[256], const char *dir, const char *name, uint32_t number)
{
        (void) snprintf(path, 256, "%.200s/%s-%u", dir, name, number);
}

static const char *some_dir(struct property_run *run)
{
        return run->dirs[property_random(2)];
}

/* ---- things ---- */

typedef bool (*fits_fn)(struct property_run *run, const struct property_slot *s,
                        const struct model_thing *t);

/* One of those that fit, with its number and path in the command. */
static struct model_thing *pick(struct property_run *run, struct property_slot *s, fits_fn fits)
{
        struct model_thing *found = NULL;
        uint32_t n = 0;

        for (unsigned int i = 0; i < run->model.things.n; i++) {
                struct model_thing *t = &run->model.things.at[i];

                if (fits(run, s, t) && property_random(++n) == 0)
                        found = t;
        }
        if (!found)
                return NULL;
        s->command.thing = found->id;
        s->command.text = found->text;
        (void) snprintf(s->command.path, sizeof(s->command.path), "%s", found->path);
        return found;
}

static bool is_held(struct property_run *run, const struct property_slot *s,
                    const struct model_thing *t)
{
        return t->holder == s->process;
}

/* There, and for sure its own to decide about. */
static bool is_whole(struct property_run *run, const struct property_slot *s,
                     const struct model_thing *t)
{
        return is_held(run, s, t) && !t->is_absent && !t->is_unsure && t->kept == MODEL_NO;
}

static bool has_room(struct property_run *run, const struct property_slot *s,
                     const struct model_thing *t)
{
        return is_whole(run, s, t) && t->n_owners + 2 < MODEL_OWNERS_MAX && !t->has_inside;
}

static bool is_plain_file(struct property_run *run, const struct property_slot *s,
                          const struct model_thing *t)
{
        return is_whole(run, s, t) && !t->is_directory;
}

static bool is_plain_directory(struct property_run *run, const struct property_slot *s,
                               const struct model_thing *t)
{
        return is_whole(run, s, t) && t->is_directory && t->n_owners == 1 && !t->is_shared;
}

static bool can_be_found(struct property_run *run, const struct property_slot *s,
                         const struct model_thing *t)
{
        return t->finder == s->process && !t->is_absent;
}

/* By another who has the descriptor, too, in this round. */
static bool is_being_renamed(const struct property_run *run, const struct model_thing *t)
{
        for (unsigned int i = 0; i < PROPERTY_SLOTS; i++)
                if (run->slots[i].process != 0 && run->slots[i].command.op == OP_RENAME &&
                    run->slots[i].command.thing == t->id)
                        return true;
        return false;
}

static bool may_be_renamed(struct property_run *run, const struct property_slot *s,
                           const struct model_thing *t)
{
        const struct model_group *g = t->is_pseudo ? model_group(&run->model, t->id) : NULL;

        if (g && model_group_has(g, s->process) && uid_of(run, s) == t->uid)
                return !t->is_absent && !is_being_renamed(run, t);
        return is_whole(run, s, t) && !t->has_inside;
}

static bool was_renewed(struct property_run *run, const struct property_slot *s,
                        const struct model_thing *t)
{
        return is_whole(run, s, t) && t->is_leased;
}

/* ---- making ---- */

static bool has_few(struct property_run *run, const struct property_slot *s)
{
        unsigned int n = 0;

        for (unsigned int i = 0; i < run->model.things.n; i++)
                n += is_held(run, s, &run->model.things.at[i]);
        for (unsigned int i = 0; i < run->model.groups.n; i++)
                n += model_group_has(&run->model.groups.at[i], s->process);
        return n < HELD_MAX;
}

static bool choose_new(struct property_run *run, struct property_slot *s)
{
        if (!has_few(run, s))
                return false;
        s->command.thing = s->command.text = new_number(run);
        (void) snprintf(s->command.dir, sizeof(s->command.dir), "%.120s", some_dir(run));
        return true;
}

static bool choose_named(struct property_run *run, struct property_slot *s)
{
        static const char *const prefixes[] = { "", "p-", "long.prefix-", "X" };
        static const char *const suffixes[] = { "", ".txt", "-s", ".tar.gz" };
        static const char *const patterns[] = { "a-XXXXXXXXXXXX", "b.XXXX.c", "XXXXXX" };

        if (property_random(3) == 0)
                (void) strcpy(s->command.pattern, patterns[property_random(3)]);
        else {
                (void) strcpy(s->command.prefix, prefixes[property_random(4)]);
                (void) strcpy(s->command.suffix, suffixes[property_random(4)]);
        }
        return choose_new(run, s);
}

static bool choose_burst(struct property_run *run, struct property_slot *s)
{
        (void) snprintf(s->command.dir, sizeof(s->command.dir), "%.120s", some_dir(run));
        return true;
}

/* An ordinary user's daemon that finds no directory there can't ask whether it was deleted: what was in
 * it waits then, for good. */
static bool choose_inside(struct property_run *run, struct property_slot *s)
{
        return geteuid() == 0 && pick(run, s, is_plain_directory);
}

static bool choose_template(struct property_run *run, struct property_slot *s)
{
        (void) strcpy(s->command.pattern, property_random(2) ? "m.XXXXXX" : "m.XXXXXXXXXXXX");
        return choose_new(run, s);
}

static bool choose_tracked(struct property_run *run, struct property_slot *s)
{
        if (!choose_new(run, s))
                return false;
        set_path(s->command.path, s->command.dir, "tracked", s->command.thing);
        return true;
}

/* ---- ending ---- */

static bool choose_held(struct property_run *run, struct property_slot *s)
{
        return pick(run, s, is_held);
}

static bool choose_whole(struct property_run *run, struct property_slot *s)
{
        return pick(run, s, is_whole);
}

static bool choose_found(struct property_run *run, struct property_slot *s)
{
        return has_few(run, s) && pick(run, s, can_be_found);
}

static bool choose_leased(struct property_run *run, struct property_slot *s)
{
        return pick(run, s, was_renewed);
}

/* A file that was persisted before, of that user, that nobody else does anything with. */
static bool pick_replaced(struct property_run *run, struct property_slot *s)
{
        for (unsigned int i = 0; i < run->model.files.n; i++) {
                struct model_file *f = &run->model.files.at[i];
                struct stat st;

                if (f->is_there != MODEL_YES || f->is_taken || f->other != 0 ||
                    strncmp(f->path, run->target, strlen(run->target)) != 0 ||
                    lstat(f->path, &st) < 0 || !S_ISREG(st.st_mode) ||
                    st.st_uid != uid_of(run, s) || property_random(4) > 0)
                        continue;
                f->is_taken = true;
                (void) snprintf(s->command.path, sizeof(s->command.path), "%s", f->path);
                return true;
        }
        return false;
}

static bool choose_persist(struct property_run *run, struct property_slot *s)
{
        const struct model_thing *t = pick(run, s, is_whole);

        if (!t)
                return false;
        if (!t->is_directory && property_random(3) == 0 && pick_replaced(run, s))
                return true;
        set_path(s->command.path, run->target, "persisted", new_number(run));
        s->command.flags = property_random(2) ? TEMPFILE_NOREPLACE : 0;
        return true;
}

/* ---- whose it is ---- */

static bool choose_heir(struct property_run *run, struct property_slot *s)
{
        const struct property_slot *to = &run->slots[property_random(PROPERTY_SLOTS)];

        if (to == s || to->process == 0 || !pick(run, s, has_room))
                return false;
        s->target = to->process;
        s->has_heir = true;
        s->sent_fd = (int) syscall(SYS_pidfd_open, model_process(&run->model, to->process)->pid, 0);
        return s->sent_fd >= 0;
}

static bool choose_token(struct property_run *run, struct property_slot *s)
{
        for (unsigned int i = 0; i < run->model.groups.n; i++) {
                struct model_group *g = &run->model.groups.at[i];

                if (!g->is_token || !model_group_lives(g) || g->uid != uid_of(run, s) ||
                    property_random(3) > 0)
                        continue;
                s->target = g->id;
                s->command.token = g->token;
                return pick(run, s, has_room);
        }
        return false;
}

static bool choose_roomy(struct property_run *run, struct property_slot *s)
{
        return pick(run, s, has_room);
}

static bool choose_descriptor(struct property_run *run, struct property_slot *s)
{
        for (unsigned int i = 0; i < run->model.groups.n; i++) {
                const struct model_group *g = &run->model.groups.at[i];

                if (!model_group_has(g, s->process) || property_random(2) > 0)
                        continue;
                s->command.thing = g->id;
                return true;
        }
        return false;
}

/* ---- files ---- */

static bool choose_renaming(struct property_run *run, struct property_slot *s)
{
        if (!pick(run, s, may_be_renamed))
                return false;
        set_path(s->command.other, some_dir(run), "moved", new_number(run));
        return true;
}

static bool choose_replacing(struct property_run *run, struct property_slot *s)
{
        if (!pick(run, s, is_plain_file))
                return false;
        s->command.text = new_number(run);
        set_path(s->command.other, some_dir(run), "new", s->command.text);
        return true;
}

static bool choose_linking(struct property_run *run, struct property_slot *s)
{
        if (!pick(run, s, is_plain_file))
                return false;
        set_path(s->command.other, some_dir(run), "link", new_number(run));
        return true;
}

/* Names that look like a temporary's: as an editor, or a person, makes them. */
static bool choose_copying(struct property_run *run, struct property_slot *s)
{
        const struct model_thing *t = pick(run, s, is_plain_file);
        static const char *const suffixes[] = { ".bak", "~", "x", ".1", "-0000000000" };
        const char *base;

        if (!t || strlen(t->path) > 230)
                return false;
        base = strrchr(t->path, '/') + 1;
        s->command.text = new_number(run);
        if (property_random(3) == 0)
                (void) snprintf(s->command.other, sizeof(s->command.other), "%.*sx%s",
                                (int) (base - t->path), t->path, base);
        else
                (void) snprintf(s->command.other, sizeof(s->command.other), "%s%s", t->path,
                                suffixes[property_random(5)]);
        return !model_file(&run->model, s->command.other);
}

static bool choose_writing(struct property_run *run, struct property_slot *s)
{
        s->command.text = new_number(run);
        set_path(s->command.other, some_dir(run), "file", s->command.text);
        return true;
}

/* ---- processes ---- */

static bool choose_fork(struct property_run *run, struct property_slot *s)
{
        int ends[2];

        for (uint32_t i = 0; i < PROPERTY_SLOTS; i++) {
                if (run->slots[i].process != 0 || run->slots[i].is_taken)
                        continue;
                if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                        return false;
                run->slots[i].is_taken = true;
                s->target = i;
                s->fork_fd = ends[0];
                s->sent_fd = ends[1];
                return true;
        }
        return false;
}

static bool choose_short_child(struct property_run *run, struct property_slot *s)
{
        (void) snprintf(s->command.dir, sizeof(s->command.dir), "%.120s", some_dir(run));
        s->command.flags = property_random(2);
        return true;
}

static bool choose_always(struct property_run *run, struct property_slot *s)
{
        return true;
}

static const struct {
        enum property_op op;
        unsigned int weight;
        choose_fn choose;
        bool may_be_cut;
} operations[] = {
        { OP_NAMED, 30, choose_named, true },
        { OP_DIRECTORY, 12, choose_named, true },
        { OP_MKSTEMP, 5, choose_template, true },
        { OP_PSEUDO_FILE, 6, choose_new, true },
        { OP_PSEUDO_DIRECTORY, 3, choose_new, true },
        { OP_TRACK_FILE, 6, choose_tracked, true },
        { OP_TRACK_DIRECTORY, 3, choose_tracked, true },
        { OP_BURST, 3, choose_burst, true },
        { OP_INSIDE, 4, choose_inside, true },
        { OP_TOKEN, 2, choose_new, true },
        { OP_CLOSE, 25, choose_held, true },
        { OP_PERSIST, 6, choose_persist, true },
        { OP_KEEP, 3, choose_whole, true },
        { OP_RELEASE, 3, choose_whole, true },
        { OP_FIND, 5, choose_found, false },
        { OP_GIVE, 5, choose_heir, true },
        { OP_SHARE, 5, choose_heir, true },
        { OP_GIVE_TOKEN, 2, choose_token, true },
        { OP_SHARE_TOKEN, 2, choose_token, true },
        { OP_GIVE_LEASE, 1, choose_roomy, true },
        { OP_SHARE_LEASE, 1, choose_roomy, true },
        { OP_GIVE_BOOT, 1, choose_roomy, true },
        { OP_RETAIN, 2, choose_whole, true },
        { OP_RENEW, 2, choose_leased, true },
        { OP_CLOSE_FD, 8, choose_descriptor, true },
        { OP_COPY_FD, 3, choose_descriptor, true },
        { OP_RENAME, 3, choose_renaming, false },
        { OP_REPLACE, 4, choose_replacing, false },
        { OP_LINK, 3, choose_linking, false },
        { OP_COPY, 4, choose_copying, false },
        { OP_WRITE, 2, choose_writing, false },
        { OP_FORK, 2, choose_fork, false },
        { OP_FORK_CLOSE, 3, choose_short_child, false },
        { OP_EXEC, 1, choose_always, false },
};

static unsigned int draw(void)
{
        unsigned int total = 0, at;

        for (unsigned int i = 0; i < ARRAY_SIZE(operations); i++)
                total += operations[i].weight;
        at = property_random(total);
        for (unsigned int i = 0;; i++) {
                if (at < operations[i].weight)
                        return i;
                at -= operations[i].weight;
        }
}

void property_choose(struct property_run *run, struct property_slot *s)
{
        for (unsigned int tries = 0; tries < 20; tries++) {
                unsigned int i = draw();

                s->command = (struct property_command) { .op = operations[i].op };
                s->sent_fd = -1;
                s->has_heir = false;
                if (operations[i].choose(run, s))
                        return;
                s->sent_fd = close_fd(s->sent_fd);
        }
        s->command = (struct property_command) { .op = OP_PING };
}

bool property_may_be_cut(const struct property_slot *s)
{
        for (unsigned int i = 0; i < ARRAY_SIZE(operations); i++)
                if (operations[i].op == s->command.op)
                        return operations[i].may_be_cut;
        return true;
}
