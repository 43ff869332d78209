/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl retain: outlive the owner for a set time, to be looked at.
 */

#include "libclient/util.h"
#include "tools/change.h"
#include "tools/ctl.h"

static int64_t retain_entry(const struct change *change, struct tempfile_admin *a, uint64_t id)
{
        const uint32_t *sec = change->userdata;
        int r = tempfile_admin_retain(a, id, *sec);

        return r < 0 ? r : 1;
}

int ctl_retain(struct ctl *c)
{
        uint32_t sec;
        const struct change retain = {
                .verb = "retain",
                .done = "will be retained",
                .apply = retain_entry,
                .userdata = &sec,
        };
        int r;

        r = change_take_time(c, &sec);
        return r == CTL_OK ? change_run(c, &retain) : r;
}
