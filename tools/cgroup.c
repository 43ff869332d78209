/* SPDX-License-Identifier: MIT */

/*
 * Owns the way from /proc/PID/cgroup to a directory. Beside the older hierarchies the second version
 * has one of its own.
 */

#include "tools/cgroup.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "libclient/util.h"

static const char *cgroup_root(void)
{
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return roots[i];
        return NULL;
}

int cgroup_path(pid_t pid, char **ret)
{
        const char *root = cgroup_root();
        char line[PATH_MAX + 8];
        bool is_found = false;
        FILE *f;

        (void) snprintf(line, sizeof(line), "/proc/%d/cgroup", (int) (pid != 0 ? pid : getpid()));
        f = root ? fopen(line, "re") : NULL;
        if (!f)
                return -EOPNOTSUPP;
        while (!is_found && fgets(line, sizeof(line), f))
                is_found = strncmp(line, "0::/", 4) == 0;
        (void) fclose(f);
        if (!is_found || strncmp(line, "0::/..", 6) == 0) /* outside of what is seen here */
                return -EOPNOTSUPP;
        line[strcspn(line, "\n")] = '\0';
        return asprintf(ret, "%s%s", root, streq(line, "0::/") ? "" : line + 3) < 0 ? -ENOMEM : 0;
}
