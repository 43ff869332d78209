/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl reap: delete now what has no owner any more.
 *
 * Goes on after a failure, tells each, and fails if there was any. An entry whose owner is there
 * is deleted only with --force and only when it was named.
 */

#include <inttypes.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/select.h"

#define REAP_TIMEOUT_MSEC (10U * 60U * 1000U) /* the answer comes when all is deleted */

static int tell_failure(const char *argument, int error)
{
        switch (error) {
        case -ENOENT:
                return ctl_error("no entry '%s'", argument);
        case -EBUSY:
                return ctl_error("'%s' still has its owner; --force deletes it all the same",
                                 argument);
        case -EPERM:
                return ctl_error("'%s' is not yours", argument);
        default:
                return ctl_error("cannot delete '%s': %s", argument, ctl_strerror(error));
        }
}

/* Adds to @count what was deleted. */
static int reap_selected(const struct ctl *c, struct tempfile_admin *a, const struct selector *s,
                         int64_t *count)
{
        int status = CTL_OK;

        if (s->n_ids == 0)
                return tell_failure(s->argument, -ENOENT);
        for (size_t i = 0; i < s->n_ids; i++) {
                int64_t n =
                        tempfile_admin_reap(a, s->ids[i], c->is_forced ? TEMPFILE_REAP_FORCE : 0);

                if (n < 0)
                        status = tell_failure(s->argument, (int) n);
                else
                        *count += n;
        }
        return status;
}

static int reap_wanted(const struct ctl *c, struct tempfile_admin *a, int64_t *count)
{
        _cleanup_(selection_freep) struct selection *wanted = NULL;
        int status = CTL_OK, r;

        r = selection_new(c->args, (size_t) c->n_args, &wanted);
        if (r >= 0)
                r = selection_find(wanted, a, NULL);
        if (r < 0)
                return ctl_error("cannot look for entries: %s", ctl_strerror(r));
        for (size_t i = 0; i < wanted->n; i++) {
                r = reap_selected(c, a, &wanted->items[i], count);
                if (r != CTL_OK)
                        status = r;
        }
        return status;
}

static int on_left(const struct tempfile_entry *e, void *userdata)
{
        return 0;
}

/* How many are leaked all the same. */
static int64_t count_left(struct tempfile_admin *a)
{
        const struct tempfile_filter leaked = {
                .size = sizeof(leaked),
                .flags = TEMPFILE_LIST_LEAKED,
        };

        return tempfile_admin_list(a, &leaked, on_left, NULL);
}

/* The daemon's answer for all of them is a number: whether that is all, the list tells. */
static int reap_all(struct tempfile_admin *a, int64_t *count)
{
        int64_t n = tempfile_admin_reap(a, 0, 0), left;

        if (n < 0)
                return ctl_error("cannot delete what is leaked: %s", ctl_strerror((int) n));
        *count = n;
        left = count_left(a);
        if (left > 0)
                return ctl_error("%" PRIi64 " cannot be deleted; see 'tempfilectl list --leaked'",
                                 left);
        if (left < 0)
                return ctl_error("cannot list what is left: %s", ctl_strerror((int) left));
        return CTL_OK;
}

static int check_arguments(const struct ctl *c)
{
        if (c->is_all && c->n_args > 0)
                return ctl_usage_error(c->command, "--all and entries exclude each other");
        if (c->is_all && c->is_forced)
                return ctl_usage_error(c->command, "--force needs the entries by name, not --all");
        if (!c->is_all && c->n_args == 0)
                return ctl_usage_error(c->command, "say which entries, or --all");
        for (int i = 0; i < c->n_args; i++) {
                uint64_t id;

                if (*c->args[i] == '\0' || (entry_parse_id(c->args[i], &id) >= 0 && id == 0))
                        return ctl_usage_error(c->command, "'%s' names no entry", c->args[i]);
        }
        return CTL_OK;
}

int ctl_reap(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        int64_t count = 0;
        int r;

        r = check_arguments(c);
        if (r != CTL_OK)
                return r;
        r = ctl_connect(REAP_TIMEOUT_MSEC, &a);
        if (r != CTL_OK)
                return r;
        r = c->is_all ? reap_all(a, &count) : reap_wanted(c, a, &count);
        if (!c->is_quiet && (r == CTL_OK || count > 0))
                printf("%" PRIi64 " entr%s reaped.\n", count, count == 1 ? "y" : "ies");
        return r;
}
