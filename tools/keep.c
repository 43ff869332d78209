/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl keep: temporary no more.
 */

#include "libclient/util.h"
#include "tools/change.h"
#include "tools/ctl.h"

static int64_t keep_entry(const struct change *change, struct tempfile_admin *a, uint64_t id)
{
        int r = tempfile_admin_keep(a, id);

        return r < 0 ? r : 1;
}

int ctl_keep(struct ctl *c)
{
        const struct change keep = { .verb = "keep", .done = "kept", .apply = keep_entry };

        return change_run(c, &keep);
}
