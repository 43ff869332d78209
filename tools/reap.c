/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl reap: delete now what has no owner any more.
 *
 * Goes on after a failure, tells each, and fails if there was any. An entry whose owner is there
 * is deleted only with --force, and only when it was named or its owner was.
 */

#include <inttypes.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/change.h"
#include "tools/confirm.h"
#include "tools/ctl.h"
#include "tools/table.h"

#define REAP_TIMEOUT_MSEC (10U * 60U * 1000U) /* the answer comes when all is deleted */

static int64_t reap_entry(const struct change *change, struct tempfile_admin *a, uint64_t id)
{
        const struct ctl *c = change->userdata;

        return tempfile_admin_reap(a, id, c->is_forced ? TEMPFILE_REAP_FORCE : 0);
}

static const char *explain(const struct change *change, int error)
{
        return error == -EBUSY ? "still has its owner; --force deletes it all the same" : NULL;
}

/* One by one, as those that were found. */
static int reap_found(const struct ctl *c)
{
        const struct change reap = {
                .verb = "delete",
                .done = "reaped",
                .timeout_msec = REAP_TIMEOUT_MSEC,
                .apply = reap_entry,
                .explain = explain,
                .wants_ownerless = true,
                .userdata = c,
        };

        return change_run(c, &reap);
}

/* ---- all at once ---- */

static int on_leaked(const struct tempfile_entry *e, void *userdata)
{
        size_t *n = userdata;

        confirm_show((*n)++, e->path);
        return 0;
}

static int on_left(const struct tempfile_entry *e, void *userdata)
{
        return 0;
}

static int64_t list_leaked(struct tempfile_admin *a, tempfile_entry_fn fn, void *userdata)
{
        const struct tempfile_filter leaked = {
                .size = sizeof(leaked),
                .flags = TEMPFILE_LIST_LEAKED,
        };

        return tempfile_admin_list(a, &leaked, fn, userdata);
}

static int ask(struct tempfile_admin *a)
{
        size_t n = 0;
        int64_t r = list_leaked(a, on_leaked, &n);

        if (r < 0)
                return ctl_error("cannot list what is leaked: %s", ctl_strerror((int) r));
        return n > 1 ? confirm_ask("delete these %zu entries", n) : CTL_OK;
}

/* The daemon's answer for all of them is a number: whether that is all, the list tells. */
static int reap_all(struct tempfile_admin *a, int64_t *count)
{
        int64_t n = tempfile_admin_reap(a, 0, 0), left;

        if (n < 0)
                return ctl_error("cannot delete what is leaked: %s", ctl_strerror((int) n));
        *count = n;
        left = list_leaked(a, on_left, NULL);
        if (left > 0)
                return ctl_error("%" PRIi64 " cannot be deleted; see 'tempfilectl list --leaked'",
                                 left);
        if (left < 0)
                return ctl_error("cannot list what is left: %s", ctl_strerror((int) left));
        return CTL_OK;
}

static int reap_at_once(const struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        int64_t count = 0;
        int r;

        r = ctl_connect(REAP_TIMEOUT_MSEC, &a);
        if (r == CTL_OK && !c->is_yes && confirm_is_possible())
                r = ask(a);
        if (r == CTL_OK)
                r = reap_all(a, &count);
        if (!c->is_quiet && (r == CTL_OK || count > 0))
                ctl_say(table_style_for(stdout, false).width, "%" PRIi64 " entr%s reaped.", count,
                        count == 1 ? "y" : "ies");
        return r;
}

int ctl_reap(struct ctl *c)
{
        bool has_filter = c->filter.flags != 0 || c->unit;

        if (c->is_all && (c->n_args > 0 || has_filter))
                return ctl_usage_error(c->command, "--all and entries exclude each other");
        if (c->is_all && c->is_forced)
                return ctl_usage_error(c->command, "--force needs the entries by name, not --all");
        if (!c->is_all && c->n_args == 0 && !has_filter)
                return ctl_usage_error(c->command, "say which entries, or --all");
        if (!c->is_all)
                return reap_found(c);
        if (!c->is_dry_run && geteuid() == 0)
                return reap_at_once(c);
        c->filter.flags |= TEMPFILE_LIST_LEAKED; /* an ordinary user may not ask for all */
        return reap_found(c);
}
