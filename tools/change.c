/* SPDX-License-Identifier: MIT */

/*
 * Changes to entries, one by one.
 *
 * Promises to ask before it touches many, on a terminal, and never elsewhere; to tell each failure
 * and go on; to fail if there was any. The subtle thing: between finding and changing an entry may
 * go, which then is told as any other failure.
 */

#include <inttypes.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/change.h"
#include "tools/collection.h"
#include "tools/confirm.h"
#include "tools/entry.h"
#include "tools/filter.h"
#include "tools/quantity.h"
#include "tools/select.h"
#include "tools/table.h"

#define MANY_NAMED 10 /* of those named one by one, so many are changed without asking */

struct changing {
        const struct ctl *ctl;
        const struct change *change;
        struct selection *named; /* NULL: a filter says which */
        struct filter filter;
        struct collection found;
        size_t n_owned; /* left out, since their owner is there */
        int64_t count;
        int status;
};

static bool has_filter(const struct ctl *c)
{
        return c->filter.flags != 0 || c->unit;
}

static int check_arguments(const struct ctl *c)
{
        if (has_filter(c) && c->n_args > 0)
                return ctl_usage_error(c->command,
                                       "entries and --pid or --%sunit exclude each other",
                                       c->command->bit == CTL_GIVE ? "from-" : "");
        if (!has_filter(c) && c->n_args == 0)
                return ctl_usage_error(c->command, "say which entries");
        for (int i = 0; i < c->n_args; i++) {
                uint64_t id;

                if (*c->args[i] == '\0' || (entry_parse_id(c->args[i], &id) >= 0 && id == 0))
                        return ctl_usage_error(c->command, "'%s' names no entry", c->args[i]);
        }
        return CTL_OK;
}

/* ---- finding them ---- */

static bool has_owner(const struct tempfile_entry *e)
{
        return e->state == TEMPFILE_STATE_LIVE || e->state == TEMPFILE_STATE_RETAINED;
}

static bool is_named(const struct selection *named, const struct tempfile_entry *e)
{
        for (size_t i = 0; i < named->n; i++)
                if (selector_matches(&named->items[i], e))
                        return true;
        return false;
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct changing *x = userdata;

        if (x->named ? !is_named(x->named, e) : !filter_matches(&x->filter, e))
                return 0;
        if (!x->named && x->change->wants_ownerless && !x->ctl->is_forced && has_owner(e)) {
                x->n_owned++;
                return 0;
        }
        return collection_add(&x->found, e, NULL);
}

/* A number needs no looking for. */
static bool needs_list(const struct changing *x)
{
        if (!x->named || x->ctl->is_dry_run)
                return true;
        for (size_t i = 0; i < x->named->n; i++)
                if (x->named->items[i].path)
                        return true;
        return false;
}

static int take_numbers(struct changing *x)
{
        int r = 0;

        for (size_t i = 0; i < x->named->n && r >= 0; i++) {
                struct tempfile_entry e = {
                        .id = x->named->items[i].ids[0],
                        .path = x->named->items[i].argument,
                        .command = "",
                        .unit = "",
                        .failed = "",
                };

                r = collection_add(&x->found, &e, NULL);
        }
        return r;
}

static void tell_missing(struct changing *x)
{
        for (size_t i = 0; x->named && i < x->named->n; i++) {
                bool is_found = false;

                for (size_t k = 0; k < x->found.n && !is_found; k++)
                        is_found = selector_matches(&x->named->items[i], &x->found.items[k].entry);
                if (!is_found)
                        x->status = ctl_error("no entry '%s'", x->named->items[i].argument);
        }
        if (x->n_owned > 0)
                x->status = ctl_error("%zu still ha%s an owner: left alone without --force",
                                      x->n_owned, x->n_owned == 1 ? "s" : "ve");
}

static int find(struct changing *x, struct tempfile_admin *a)
{
        int64_t r;

        if (needs_list(x))
                r = tempfile_admin_list(a, x->named ? NULL : &x->ctl->filter, on_entry, x);
        else
                r = take_numbers(x);
        if (r < 0)
                return ctl_error("cannot look for entries: %s", ctl_strerror((int) r));
        tell_missing(x);
        return CTL_OK;
}

/* ---- changing them ---- */

static int tell_failure(const struct change *change, const char *path, int error)
{
        const char *words = change->explain ? change->explain(change, error) : NULL;

        if (words)
                return ctl_error("'%s' %s", path, words);
        switch (error) {
        case -ENOENT:
                return ctl_error("no entry '%s'", path);
        case -EPERM:
                return ctl_error("'%s' is not yours", path);
        case -ESTALE:
                return ctl_error("'%s' has lost its owner and is being deleted", path);
        default:
                return ctl_error("cannot %s '%s': %s", change->verb, path, ctl_strerror(error));
        }
}

static void apply_to_all(struct changing *x, struct tempfile_admin *a)
{
        const struct change *change = x->change;

        for (size_t i = 0; i < x->found.n; i++) {
                const struct tempfile_entry *e = &x->found.items[i].entry;
                int64_t n = change->apply(change, a, e->id);

                if (n < 0)
                        x->status = tell_failure(change, e->path, (int) n);
                else
                        x->count += n;
                if (n == -ECONNRESET || n == -ETIMEDOUT)
                        return; /* so it would be with all the others */
        }
}

static bool are_many(const struct changing *x)
{
        return x->found.n > (x->named ? MANY_NAMED : 1);
}

static int ask(const struct changing *x)
{
        for (size_t i = 0; i < x->found.n; i++)
                confirm_show(i, x->found.items[i].entry.path);
        return confirm_ask("%s these %zu entries", x->change->verb, x->found.n);
}

static int change_found(struct changing *x, struct tempfile_admin *a)
{
        const struct ctl *c = x->ctl;

        if (c->is_dry_run) {
                for (size_t i = 0; i < x->found.n; i++)
                        ctl_print_would(x->change->verb, x->found.items[i].entry.path);
                return x->status;
        }
        if (are_many(x) && !c->is_yes && confirm_is_possible() && ask(x) != CTL_OK)
                return CTL_FAILED;
        apply_to_all(x, a);
        if (!c->is_quiet && (x->status == CTL_OK || x->count > 0))
                ctl_say(table_style_for(stdout, false).width, "%" PRIi64 " entr%s %s.", x->count,
                        x->count == 1 ? "y" : "ies", x->change->done);
        return x->status;
}

static int change_with(struct changing *x)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        int r;

        r = ctl_connect(x->change->timeout_msec, &a);
        if (r == CTL_OK)
                r = find(x, a);
        return r == CTL_OK ? change_found(x, a) : r;
}

int change_run(const struct ctl *c, const struct change *change)
{
        _cleanup_(selection_freep) struct selection *named = NULL;
        struct changing x = { .ctl = c, .change = change, .status = CTL_OK };
        int r;

        r = check_arguments(c);
        if (r != CTL_OK)
                return r;
        r = filter_init(&x.filter, c);
        if (r >= 0 && c->n_args > 0)
                r = selection_new(c->args, (size_t) c->n_args, &named);
        x.named = named;
        r = r < 0 ? ctl_error("cannot look for entries: %s", ctl_strerror(r)) : change_with(&x);
        filter_done(&x.filter);
        collection_done(&x.found);
        return r;
}

int change_take_time(struct ctl *c, uint32_t *ret_sec)
{
        uint64_t usec;
        int r;

        if (c->n_args == 0)
                return ctl_usage_error(c->command, "say how long");
        r = quantity_parse_time(c->args[c->n_args - 1], &usec);
        if (r < 0 || usec / USEC_PER_SEC > UINT32_MAX)
                return ctl_usage_error(c->command,
                                       "the last argument is a time, such as 90min, 2h or 1d, "
                                       "not '%s'",
                                       c->args[c->n_args - 1]);
        c->n_args--;
        *ret_sec = (uint32_t) (usec / USEC_PER_SEC);
        return CTL_OK;
}
