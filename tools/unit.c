/* SPDX-License-Identifier: MIT */

/*
 * Finds processes by the unit that they run in.
 *
 * A unit's control group has its name, with "_" before a few names that the kernel uses itself.
 * Each line of /proc/PID/cgroup names one path; the hierarchy that systemd manages is the one
 * called 0 (cgroup2) or name=systemd. The subtle thing: between reading which unit a process is in
 * and opening its pidfd the number may become another's, so it is read again after.
 */

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tools/ancestor.h"
#include "tools/cgroup.h"
#include "tools/quantity.h"
#include "tools/unit.h"

/* Is @name one of the components of @path? */
static bool has_component(const char *path, const char *name)
{
        size_t len = strlen(name);

        for (const char *p = path; (p = strchr(p, '/'));) {
                p++;
                if (*p == '_' && *name != '_' && strncmp(p + 1, name, len) == 0)
                        p++;
                if (strncmp(p, name, len) == 0 && (p[len] == '/' || p[len] == '\0'))
                        return true;
        }
        return false;
}

int unit_has_process(const char *unit, pid_t pid)
{
        char path[64], *line = NULL;
        size_t size = 0;
        FILE *f;
        int r = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/cgroup", (int) pid);
        f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? -ESRCH : -errno;
        while (r == 0 && getline(&line, &size, f) > 0) {
                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "0::", 3) == 0 || strstr(line, ":name=systemd:"))
                        r = has_component(line, unit);
        }
        free(line);
        (void) fclose(f);
        return r;
}

/* Is the last component of @path a unit's cgroup? */
static bool ends_in(const char *path, const char *unit)
{
        const char *name = strrchr(path, '/') + 1;

        return streq(name, unit) || (*name == '_' && *unit != '_' && streq(name + 1, unit));
}

static uint64_t find_cgroup(const char *unit, pid_t pid)
{
        _cleanup_(freep) char *path = NULL;
        struct stat st;

        if (cgroup_path(pid, &path) < 0)
                return 0;
        for (; strchr(path, '/'); *strrchr(path, '/') = '\0')
                if (ends_in(path, unit))
                        return stat(path, &st) < 0 ? 0 : st.st_ino;
        return 0;
}

static int open_if_in(const char *unit, pid_t pid, int *ret_pidfd, uint64_t *ret_cgroup)
{
        _cleanup_(closep) int pidfd = -1;
        int r;

        if (unit_has_process(unit, pid) <= 0)
                return -ESRCH;
        r = ancestor_open_pid(pid, &pidfd);
        if (r < 0)
                return r;
        if (unit_has_process(unit, pid) <= 0) /* the number may have become another's */
                return -ESRCH;
        *ret_cgroup = find_cgroup(unit, pid);
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

int unit_open_process(const char *unit, int *ret_pidfd, uint64_t *ret_cgroup)
{
        const struct dirent *e;
        int r = -ESRCH;
        DIR *d;

        d = opendir("/proc");
        if (!d)
                return -errno;
        while (r < 0 && (e = readdir(d))) {
                uint64_t pid;

                if (quantity_parse_number(e->d_name, INT32_MAX, &pid) >= 0)
                        r = open_if_in(unit, (pid_t) pid, ret_pidfd, ret_cgroup);
        }
        (void) closedir(d);
        return r < 0 ? -ESRCH : 0;
}
