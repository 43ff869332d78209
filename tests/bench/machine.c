/* SPDX-License-Identifier: MIT */

/*
 * Describes the machine, from what the kernel tells of it; see the header. Tells no names: neither
 * the machine's nor those of directories.
 */

#include "tests/bench/machine.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/bench/report.h"

#define BTRFS_MAGIC 0x9123683eL
#define XFS_MAGIC 0x58465342L

static const char *memory_system = "none", *disk_system = "none";

const char *machine_file_system(const char *dir)
{
        struct statfs s;

        if (statfs(dir, &s) < 0)
                return "none";
        switch ((unsigned long) s.f_type) {
        case TMPFS_MAGIC:
                return "tmpfs";
        case EXT4_SUPER_MAGIC:
                return "ext4";
        case XFS_MAGIC:
                return "xfs";
        case BTRFS_MAGIC:
                return "btrfs";
        case OVERLAYFS_SUPER_MAGIC:
                return "overlayfs";
        default:
                return "another";
        }
}

void machine_set_directories(const char *memory, const char *disk)
{
        memory_system = machine_file_system(memory);
        disk_system = machine_file_system(disk);
}

/* The value of the first line of @path that begins with @key. */
static void find_line(const char *path, const char *key, char *buf, size_t size)
{
        _cleanup_(freep) char *line = NULL;
        size_t line_size = 0;
        const char *value;
        FILE *f = fopen(path, "re");

        (void) snprintf(buf, size, "unknown");
        if (!f)
                return;
        while (getline(&line, &line_size, f) > 0) {
                value = strchr(line, ':');
                if (strncmp(line, key, strlen(key)) != 0 || !value)
                        continue;
                value += 1 + strspn(value + 1, " \t");
                (void) snprintf(buf, size, "%.*s", (int) strcspn(value, "\n"), value);
                break;
        }
        (void) fclose(f);
}

static unsigned long memory_mebibytes(void)
{
        return (unsigned long) sysconf(_SC_PHYS_PAGES) / 1024 *
               (unsigned long) sysconf(_SC_PAGESIZE) / 1024;
}

void machine_show(FILE *f)
{
        struct utsname u = { 0 };
        char cpu[128];

        (void) uname(&u);
        find_line("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
        (void) fprintf(f, "%s, %ld processors, %lu MiB of memory, Linux %s, %s and %s%s\n", cpu,
                       sysconf(_SC_NPROCESSORS_ONLN), memory_mebibytes(), u.release, memory_system,
                       disk_system, MACHINE_OPTIMIZED ? "" : " (NOT OPTIMIZED: build with -O2)");
}

void machine_json(FILE *f)
{
        struct utsname u = { 0 };
        char cpu[128];

        (void) uname(&u);
        find_line("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
        (void) fputs("{ \"cpu\": ", f);
        report_json_string(cpu, f);
        (void) fprintf(f, ", \"processors\": %ld, \"memory_mib\": %lu, \"kernel\": ",
                       sysconf(_SC_NPROCESSORS_ONLN), memory_mebibytes());
        report_json_string(u.release, f);
        (void) fprintf(f, ", \"memory_file_system\": \"%s\", \"disk_file_system\": \"%s\"",
                       memory_system, disk_system);
        (void) fprintf(f, ", \"optimized\": %s }", MACHINE_OPTIMIZED ? "true" : "false");
}
