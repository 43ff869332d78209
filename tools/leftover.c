/* SPDX-License-Identifier: MIT */

/*
 * The verdict on one name in a directory for temporaries.
 *
 * Only what speaks for nothing is a leftover: any doubt has a verdict of its own. What costs least
 * is asked first. The subtle thing: a service's private directory is known by its unit's name and
 * the boot in its own, and is left over as soon as that unit is gone, whatever its age; tmpfiles.d
 * excludes those of this boot for systemd's sake, so they are looked at before that.
 */

#include "tools/leftover.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/entry.h"
#include "tools/unit.h"

#define PRIVATE_PREFIX "systemd-private-"
#define BOOT_ID_LEN 32

const char *leftover_verdict_name(enum verdict verdict)
{
        static const char *const names[] = {
                [VERDICT_LEFTOVER] = "leftover", [VERDICT_USED] = "used",
                [VERDICT_YOUNG] = "young",       [VERDICT_TRACKED] = "tracked",
                [VERDICT_EXCLUDED] = "excluded", [VERDICT_UNKNOWN] = "unknown",
        };

        return names[verdict];
}

static void decide(struct leftover *l, enum verdict verdict, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static void decide(struct leftover *l, enum verdict verdict, const char *format, ...)
{
        va_list ap;

        l->verdict = verdict;
        free(l->reason);
        va_start(ap, format);
        if (vasprintf(&l->reason, format, ap) < 0)
                l->reason = NULL;
        va_end(ap);
}

/* ---- a service's private directory ---- */

static bool read_boot_id(char ret[static BOOT_ID_LEN + 1])
{
        FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
        size_t n = 0;
        int c;

        while (f && n < BOOT_ID_LEN && (c = getc(f)) != EOF && c != '\n')
                if (c != '-')
                        ret[n++] = (char) c;
        ret[n] = '\0';
        if (f)
                (void) fclose(f);
        return n == BOOT_ID_LEN;
}

/* systemd-private-BOOT-UNIT-RANDOM. Returns UNIT, to be freed; NULL: it is none. */
static char *unit_of_private(const char *name, char ret_boot[static BOOT_ID_LEN + 1])
{
        const char *unit, *end;

        if (strncmp(name, PRIVATE_PREFIX, sizeof(PRIVATE_PREFIX) - 1) != 0)
                return NULL;
        name += sizeof(PRIVATE_PREFIX) - 1;
        if (strspn(name, "0123456789abcdef") < BOOT_ID_LEN || name[BOOT_ID_LEN] != '-')
                return NULL;
        memcpy(ret_boot, name, BOOT_ID_LEN);
        ret_boot[BOOT_ID_LEN] = '\0';
        unit = name + BOOT_ID_LEN + 1;
        end = strrchr(unit, '-');
        return end && end > unit ? strndup(unit, (size_t) (end - unit)) : NULL;
}

static bool is_unit_alive(const char *unit)
{
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int pidfd = -1;
        char target[64];
        uint64_t cgroup;

        /* systemd keeps a link for each unit that is active, also those without processes. */
        if (asprintf(&path, "/run/systemd/units/invocation:%s", unit) < 0)
                return true;
        if (readlink(path, target, sizeof(target)) >= 0 || errno != ENOENT)
                return true;
        return unit_open_process(unit, &pidfd, &cgroup) != -ESRCH;
}

/* Returns whether it is a private directory. */
static bool judge_private(struct leftover *l, const char *name)
{
        char boot[BOOT_ID_LEN + 1], this_boot[BOOT_ID_LEN + 1];
        _cleanup_(freep) char *unit = unit_of_private(name, boot);

        if (!unit || l->st.st_uid != 0)
                return false;
        if (!read_boot_id(this_boot))
                decide(l, VERDICT_UNKNOWN, "of unit %s, of a boot that cannot be told", unit);
        else if (!streq(boot, this_boot))
                decide(l, VERDICT_LEFTOVER, "of unit %s, before the last restart", unit);
        else if (is_unit_alive(unit))
                decide(l, VERDICT_USED, "of unit %s, which is active", unit);
        else
                decide(l, VERDICT_LEFTOVER, "of unit %s, which is not active", unit);
        return true;
}

/* ---- what is in it ---- */

struct search {
        const struct inuse *inuse;
        const struct inuse_holder *holder;
        bool is_socket;
};

static int look(const char *name, const struct stat *st, void *userdata)
{
        struct search *s = userdata;

        s->holder = inuse_find(s->inuse, st->st_dev, st->st_ino);
        s->is_socket = S_ISSOCK(st->st_mode) && inuse_has_socket(s->inuse, name);
        return s->holder || s->is_socket;
}

static void read_command(pid_t pid, char ret[static 32])
{
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        f = fopen(path, "re");
        if (!f || !fgets(ret, 32, f))
                (void) snprintf(ret, 32, "?");
        ret[strcspn(ret, "\n")] = '\0';
        if (f)
                (void) fclose(f);
}

static void tell_holder(struct leftover *l, const struct search *s)
{
        char command[32];

        if (s->is_socket) {
                decide(l, VERDICT_USED, "a socket of that name is bound");
        } else if (s->holder->pid == 0) {
                decide(l, VERDICT_USED, "%s", inuse_how_name(s->holder->how));
        } else {
                read_command(s->holder->pid, command);
                decide(l, VERDICT_USED, "%s %d (%s)", inuse_how_name(s->holder->how),
                       (int) s->holder->pid, command);
        }
}

static void judge_age(const struct judge *j, struct leftover *l)
{
        uint64_t used = l->usage.used_usec, age = j->now_usec > used ? j->now_usec - used : 0;
        char text[ENTRY_AGE_SIZE];

        entry_format_age(age, text);
        if (age < j->age_usec)
                decide(l, VERDICT_YOUNG, "used %s ago", text);
        else if (inuse_unseen(j->inuse) > 0 || inuse_is_confined(j->inuse))
                decide(l, VERDICT_LEFTOVER, "no process that can be seen has it, unused for %s",
                       text);
        else
                decide(l, VERDICT_LEFTOVER, "no process has it, unused for %s", text);
}

static void judge_contents(const struct judge *j, int dirfd, const char *name, struct leftover *l,
                           bool is_private)
{
        struct search s = { .inuse = j->inuse };

        if (usage_walk(dirfd, name, look, &s, &l->usage) != 0) {
                l->usage.is_partial = true;
                tell_holder(l, &s);
        } else if (l->usage.error < 0 || l->usage.is_partial) {
                decide(l, VERDICT_UNKNOWN, "not all of it can be looked into");
        } else if (!is_private) {
                judge_age(j, l);
        }
}

static void judge(const struct judge *j, int dirfd, const char *name, struct leftover *l)
{
        bool is_private = judge_private(l, name);
        const char *exclusion = is_private ? NULL : exclusions_find(j->exclusions, l->path);

        if (is_private && l->verdict != VERDICT_LEFTOVER)
                return (void) usage_walk(dirfd, name, NULL, NULL, &l->usage);
        if (exclusion)
                decide(l, VERDICT_EXCLUDED, "%s", exclusion);
        else if (j->is_tracked(l->path, j->userdata))
                decide(l, VERDICT_TRACKED, "tempfiled looks after it");
        else if (inuse_has_mount(j->inuse, l->path))
                decide(l, VERDICT_USED, "something is mounted there, or from there");
        else
                return judge_contents(j, dirfd, name, l, is_private);
        (void) usage_walk(dirfd, name, NULL, NULL, &l->usage);
}

int leftover_judge(const struct judge *j, int dirfd, const char *dir, const char *name,
                   struct leftover *ret)
{
        *ret = (struct leftover) { 0 };
        if (fstatat(dirfd, name, &ret->st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (asprintf(&ret->path, "%s/%s", streq(dir, "/") ? "" : dir, name) < 0) {
                ret->path = NULL;
                return -ENOMEM;
        }
        judge(j, dirfd, name, ret);
        if (ret->reason)
                return 0;
        leftover_done(ret);
        return -ENOMEM;
}

void leftover_done(struct leftover *l)
{
        free(l->path);
        free(l->reason);
        *l = (struct leftover) { 0 };
}
