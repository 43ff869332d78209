/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl renew: a lease that ends that much later than now.
 */

#include "libclient/util.h"
#include "tools/change.h"
#include "tools/ctl.h"

static int64_t renew_entry(const struct change *change, struct tempfile_admin *a, uint64_t id)
{
        const uint32_t *sec = change->userdata;
        int r = tempfile_admin_renew(a, id, *sec);

        return r < 0 ? r : 1;
}

static const char *explain(const struct change *change, int error)
{
        return error == -EINVAL ? "is not on a lease; 'give --lease' puts it on one" : NULL;
}

int ctl_renew(struct ctl *c)
{
        uint32_t sec;
        const struct change renew = {
                .verb = "renew",
                .done = "renewed",
                .apply = renew_entry,
                .explain = explain,
                .userdata = &sec,
        };
        int r;

        r = change_take_time(c, &sec);
        if (r != CTL_OK)
                return r;
        if (sec == 0)
                return ctl_usage_error(c->command, "a lease lasts for one second or more; "
                                                   "'reap --force' ends it now");
        return change_run(c, &renew);
}
