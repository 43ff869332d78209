/* SPDX-License-Identifier: MIT */

/*
 * Reads processes from /proc and compares them.
 *
 * Promises never to take a process for another: who compares two looks at pid and start time.
 * Leaves to ancestor.c what follows from it. The subtle thing: /proc/PID/stat shows the addresses
 * as 0 to those who may not look into that process, and an address of 0 proves nothing.
 */

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libclient/util.h"
#include "tools/process.h"

#define STAT_FIELDS 52 /* counted from 1, as proc(5) does */

/* Fields of /proc/PID/stat by their numbers in proc(5). */
enum {
        FIELD_PARENT = 4,
        FIELD_SESSION = 6,
        FIELD_START = 22,
        FIELD_STACK = 28,
        FIELD_DATA_START = 45, /* then the ends and starts of data, heap, arguments */
        FIELD_ENV_END = 51,    /* and environment */
};

/* The name stands in parentheses and may itself hold parentheses and spaces. */
static const char *parse_name(const char *line, struct process *p)
{
        const char *begin = strchr(line, '('), *end = strrchr(line, ')');
        size_t len;

        if (!begin || !end || end < begin)
                return NULL;
        len = MIN((size_t) (end - begin - 1), sizeof(p->name) - 1);
        memcpy(p->name, begin + 1, len);
        p->name[len] = '\0';
        return end + 1;
}

/* Fills fields[4..51]; field 3 is the state, a letter. */
static int parse_fields(const char *s, uint64_t fields[STAT_FIELDS])
{
        if (s[0] != ' ' || !isalpha((unsigned char) s[1]))
                return -EBADMSG;
        s += 2;
        for (int i = FIELD_PARENT; i <= FIELD_ENV_END; i++) {
                char *end;

                fields[i] = strtoull(s, &end, 10); /* a negative one wraps; none of those is used */
                if (end == s)
                        return -EBADMSG;
                s = end;
        }
        return 0;
}

int process_parse(const char *line, struct process *ret)
{
        struct process p = { 0 };
        uint64_t fields[STAT_FIELDS] = { 0 };
        const char *rest;
        int r;

        p.pid = (pid_t) strtol(line, NULL, 10);
        rest = parse_name(line, &p);
        if (p.pid <= 0 || !rest)
                return -EBADMSG;
        r = parse_fields(rest, fields);
        if (r < 0)
                return r;

        p.parent = (pid_t) fields[FIELD_PARENT];
        p.session = (pid_t) fields[FIELD_SESSION];
        p.start = fields[FIELD_START];
        p.layout[0] = fields[FIELD_STACK];
        memcpy(&p.layout[1], &fields[FIELD_DATA_START],
               (FIELD_ENV_END - FIELD_DATA_START + 1) * sizeof(uint64_t));
        *ret = p;
        return 0;
}

static int open_proc(pid_t pid, const char *file)
{
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file); /* it always fits */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? -errno : fd;
}

/* /proc may be absent, or be another pid namespace's: then its numbers are not ours. */
static int check_proc(void)
{
        char target[32];
        ssize_t n;

        n = readlink("/proc/self", target, sizeof(target) - 1);
        if (n < 0)
                return -ENOENT;
        target[n] = '\0';
        return strtol(target, NULL, 10) == getpid() ? 0 : -ENOENT;
}

int process_read(pid_t pid, struct process *ret)
{
        _cleanup_(closep) int fd = -1;
        char line[2048];
        ssize_t n;
        int r;

        r = check_proc();
        if (r < 0)
                return r;
        fd = open_proc(pid, "stat");
        if (fd < 0)
                return fd == -ENOENT ? -ESRCH : fd;
        n = read(fd, line, sizeof(line) - 1);
        if (n < 0)
                return -errno;
        line[n] = '\0';
        return process_parse(line, ret);
}

bool process_is_same(const struct process *a, const struct process *b)
{
        return a->pid == b->pid && a->start == b->start;
}

static bool has_same_executable(pid_t a, pid_t b)
{
        char path[64];
        struct stat st_a, st_b;

        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) a);
        if (stat(path, &st_a) < 0)
                return false;
        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) b);
        if (stat(path, &st_b) < 0)
                return false;
        return st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

/* A command line may have megabytes: compared piece by piece. */
static bool has_same_command_line(pid_t a, pid_t b)
{
        _cleanup_(closep) int fd_a = open_proc(a, "cmdline"), fd_b = open_proc(b, "cmdline");
        char buf_a[4096], buf_b[4096];
        ssize_t n;

        if (fd_a < 0 || fd_b < 0)
                return false;
        do {
                n = read(fd_a, buf_a, sizeof(buf_a));
                if (n < 0 || read(fd_b, buf_b, sizeof(buf_b)) != n)
                        return false;
                if (memcmp(buf_a, buf_b, (size_t) n) != 0)
                        return false;
        } while (n > 0);
        return true;
}

static bool has_layout(const struct process *p)
{
        for (size_t i = 0; i < PROCESS_LAYOUT_FIELDS; i++)
                if (p->layout[i] != 0)
                        return true;
        return false;
}

bool process_is_copy(const struct process *child, const struct process *parent)
{
        if (memcmp(child->layout, parent->layout, sizeof(child->layout)) != 0)
                return false;
        if (!has_same_command_line(child->pid, parent->pid))
                return false;
        if (!has_layout(child))
                return streq(child->name, parent->name);
        return has_same_executable(child->pid, parent->pid);
}

/* The file name of what it runs, within @target; NULL: can't be read. */
static const char *read_executable_name(pid_t pid, char target[PATH_MAX])
{
        char path[64];
        char *slash, *deleted;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, target, PATH_MAX - 1);
        if (n < 0)
                return NULL;
        target[n] = '\0';
        deleted = strstr(target, " (deleted)"); /* replaced by an upgrade while it runs */
        if (deleted)
                *deleted = '\0';
        slash = strrchr(target, '/');
        return slash ? slash + 1 : target;
}

bool process_is_shell(const struct process *p)
{
        static const char *const shells[] = {
                "ash",  "bash",  "dash", "fish", "ksh", "ksh93", "lksh",
                "mksh", "rbash", "oksh", "posh", "sh",  "yash",  "zsh",
        };
        char target[PATH_MAX];
        const char *name = read_executable_name(p->pid, target);

        if (!name)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
                if (streq(name, shells[i]))
                        return true;
                if (streq(name, "busybox") && streq(p->name, shells[i]))
                        return true; /* one file is all its programs: what it was called tells */
        }
        return false;
}

/* Neither lists, pipelines, groups nor substitutions: the shell has nothing else to do. */
static bool is_plain_command(const char *s)
{
        return *s != '\0' && !strpbrk(s, ";|&\n(){}`");
}

bool process_is_single_command(const struct process *p)
{
        _cleanup_(closep) int fd = -1;
        char line[4096];
        const char *option, *command;
        ssize_t n;

        if (!process_is_shell(p))
                return false;
        fd = open_proc(p->pid, "cmdline");
        if (fd < 0)
                return false;
        n = read(fd, line, sizeof(line));
        if (n <= 0 || n == sizeof(line) || line[n - 1] != '\0')
                return false; /* what does not fit is hardly a plain command */

        option = line + strlen(line) + 1;
        if (option >= line + n || !streq(option, "-c"))
                return false;
        command = option + sizeof("-c");
        return command < line + n && is_plain_command(command);
}
