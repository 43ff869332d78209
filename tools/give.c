/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl give: another owner instead of the one there is.
 */

#include "libclient/util.h"
#include "tools/change.h"
#include "tools/ctl.h"
#include "tools/newowner.h"

static int64_t give_entry(const struct change *change, struct tempfile_admin *a, uint64_t id)
{
        const struct newowner *to = change->userdata;
        int r = tempfile_admin_give(a, id, &to->owner);

        return r < 0 ? r : 1;
}

static const char *explain(const struct change *change, int error)
{
        switch (error) {
        case -EPERM:
                return "or its new owner is not yours";
        case -ESRCH:
                return "cannot be given: the new owner has ended";
        case -EOPNOTSUPP:
                return "cannot be given: the daemon cannot tell when that ends";
        default:
                return NULL;
        }
}

int ctl_give(struct ctl *c)
{
        _cleanup_(newowner_done) struct newowner to;
        const struct change give = {
                .verb = "give",
                .done = "given",
                .apply = give_entry,
                .explain = explain,
                .userdata = &to,
        };
        int r;

        to.owner.pidfd = -1;
        r = newowner_check(c);
        if (r == CTL_OK)
                r = newowner_open(c, &to);
        return r == CTL_OK ? change_run(c, &give) : r;
}
