/* SPDX-License-Identifier: MIT */

/*
 * All options of all commands, in one table, and what each does.
 *
 * Owns what a value must look like. Leaves splitting the command line to options.c, and what goes
 * together to the commands. The subtle thing: one name may have several rows, each for other
 * commands.
 */

#include <assert.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/option-table.h"
#include "tools/options.h"
#include "tools/quantity.h"

#define SYSTEM_SOCKET "/run/tempfiled/socket"

/* ---- for many ---- */

static void *member(struct ctl *c, const struct option_row *row)
{
        return (char *) c + row->offset;
}

static int set_flag(struct ctl *c, const struct option_row *row, const char *value)
{
        *(bool *) member(c, row) = true;
        return 0;
}

static int set_string(struct ctl *c, const struct option_row *row, const char *value)
{
        if (*value == '\0')
                return ctl_usage_error(c->command, "--%s needs a value", row->name);
        *(const char **) member(c, row) = value;
        return 0;
}

/* ---- for all commands ---- */

static int apply_help(struct ctl *c, const struct option_row *row, const char *value)
{
        options_print_help(c->command);
        c->done = 1 + CTL_OK;
        return 0;
}

static int apply_version(struct ctl *c, const struct option_row *row, const char *value)
{
        printf("%s (tempfiled) " PACKAGE_VERSION "\n",
               ctl_is_gnu(c->command) ? c->command->name : "tempfilectl");
        c->done = 1 + CTL_OK;
        return 0;
}

/* The library looks there, and so does what `run` executes. */
static int use_socket(const char *path)
{
        if (setenv("TEMPFILED_SOCKET", path, 1) < 0)
                return ctl_error("%s", ctl_strerror(-errno));
        return 0;
}

static int apply_socket(struct ctl *c, const struct option_row *row, const char *value)
{
        if (*value == '\0')
                return ctl_usage_error(c->command, "--socket needs a path");
        return use_socket(value);
}

static int apply_system(struct ctl *c, const struct option_row *row, const char *value)
{
        return use_socket(SYSTEM_SOCKET);
}

static int apply_user(struct ctl *c, const struct option_row *row, const char *value)
{
        const char *dir = getenv("XDG_RUNTIME_DIR");
        char path[PATH_MAX];

        if (!dir || *dir == '\0')
                return ctl_error("--user needs $XDG_RUNTIME_DIR, which is not set");
        if (snprintf(path, sizeof(path), "%s/tempfiled/socket", dir) >= (int) sizeof(path))
                return ctl_error("$XDG_RUNTIME_DIR is too long");
        return use_socket(path);
}

/* options_find_host() has found it, before anything was applied. */
static int apply_host(struct ctl *c, const struct option_row *row, const char *value)
{
        if (*value == '\0' || *value == '-')
                return ctl_usage_error(c->command, "'%s' is not a host", value);
        return 0;
}

/* ---- output ---- */

static int apply_quiet(struct ctl *c, const struct option_row *row, const char *value)
{
        c->is_quiet = true;
        c->has_legend = false;
        return 0;
}

static int apply_no_legend(struct ctl *c, const struct option_row *row, const char *value)
{
        c->has_legend = false;
        return 0;
}

static int apply_json(struct ctl *c, const struct option_row *row, const char *value)
{
        if (value && !streq(value, "short") && !streq(value, "pretty"))
                return ctl_usage_error(c->command, "--json knows short and pretty, not '%s'",
                                       value);
        c->is_json = true;
        c->json_style = value && streq(value, "pretty") ? JSON_PRETTY : JSON_SHORT;
        return 0;
}

/* ---- which entries ---- */

static int apply_leaked(struct ctl *c, const struct option_row *row, const char *value)
{
        c->filter.flags |= TEMPFILE_LIST_LEAKED;
        return 0;
}

static int apply_retained(struct ctl *c, const struct option_row *row, const char *value)
{
        c->filter.flags |= TEMPFILE_LIST_RETAINED;
        return 0;
}

static int apply_uid(struct ctl *c, const struct option_row *row, const char *value)
{
        const struct passwd *pw = getpwnam(value);
        uint64_t n;

        if (pw)
                n = pw->pw_uid;
        else if (quantity_parse_number(value, UINT32_MAX - 1, &n) < 0)
                return ctl_usage_error(c->command, "no user is called '%s'", value);
        c->filter.uid = (uint32_t) n;
        c->filter.flags |= TEMPFILE_LIST_UID;
        return 0;
}

static int read_pid(struct ctl *c, const char *value, uint64_t *ret)
{
        if (quantity_parse_number(value, INT_MAX, ret) < 0 || *ret == 0)
                return ctl_usage_error(c->command, "'%s' is not a process number", value);
        return 0;
}

static int apply_pid(struct ctl *c, const struct option_row *row, const char *value)
{
        uint64_t n;
        int r;

        r = read_pid(c, value, &n);
        if (r != 0)
                return r;
        c->filter.pid = (uint32_t) n;
        c->filter.flags |= TEMPFILE_LIST_PID;
        return 0;
}

static int apply_older(struct ctl *c, const struct option_row *row, const char *value)
{
        if (quantity_parse_time(value, &c->age_usec) < 0)
                return ctl_usage_error(c->command, "'%s' is not an age, such as 90min, 2h or 1d",
                                       value);
        c->is_older = true;
        return 0;
}

static int apply_larger(struct ctl *c, const struct option_row *row, const char *value)
{
        if (quantity_parse_bytes(value, &c->bytes) < 0)
                return ctl_usage_error(c->command, "'%s' is not a size, such as 10M or 1G", value);
        c->is_larger = c->has_size = true;
        return 0;
}

static int apply_total(struct ctl *c, const struct option_row *row, const char *value)
{
        c->has_total = c->has_size = true;
        return 0;
}

/* ---- the new owner ---- */

static int apply_owner_pid(struct ctl *c, const struct option_row *row, const char *value)
{
        uint64_t n;
        int r;

        r = read_pid(c, value, &n);
        if (r == 0)
                c->owner_pid = (pid_t) n;
        return r;
}

/* Into a member that holds seconds. */
static int apply_seconds(struct ctl *c, const struct option_row *row, const char *value)
{
        uint64_t usec;

        if (quantity_parse_time(value, &usec) < 0 || usec < USEC_PER_SEC ||
            usec / USEC_PER_SEC > UINT32_MAX)
                return ctl_usage_error(c->command, "'%s' is not a time, such as 90min, 2h or 1d",
                                       value);
        *(uint32_t *) member(c, row) = (uint32_t) (usec / USEC_PER_SEC);
        return 0;
}

/* ---- mktemp ---- */

/* Without a value: $TMPDIR or /tmp, as if none had been given before. */
static int apply_tmpdir(struct ctl *c, const struct option_row *row, const char *value)
{
        c->is_in_dir = true;
        c->dir = value && *value ? value : NULL;
        return 0;
}

static int apply_template(struct ctl *c, const struct option_row *row, const char *value)
{
        c->is_in_dir = true;
        c->is_in_tmpdir = true;
        return 0;
}

static int apply_text(struct ctl *c, const struct option_row *row, const char *value)
{
        *(const char **) member(c, row) = value;
        return 0;
}

/* ---- the table ---- */

#define LISTS (CTL_LIST | CTL_SHOW | CTL_STATUS | CTL_SCAN | CTL_CHECK)
#define TABLES (CTL_LIST | CTL_SCAN)
#define FILTERS (CTL_LIST | CTL_MONITOR)
#define CHANGES (CTL_REAP | CTL_KEEP | CTL_GIVE | CTL_RENEW | CTL_RETAIN)
#define OWNERS (CTL_GIVE | CTL_TRACK)
#define MKTEMP (CTL_MKTEMP | CTL_GNU_MKTEMP)
#define AT(m) offsetof(struct ctl, m)

/* A row is two lines. */
/* clang-format off */
const struct option_row option_rows[] = {
        { "leaked", 0, ARG_NONE, CTL_LIST, NULL,
          "only those whose owner is gone and that are still there", apply_leaked, 0 },
        { "retained", 0, ARG_NONE, CTL_LIST, NULL,
          "only those that outlive their owner for a set time", apply_retained, 0 },
        { "uid", 0, ARG_REQUIRED, FILTERS, "USER",
          "only those of a user, by name or number", apply_uid, 0 },
        { "pid", 0, ARG_REQUIRED, FILTERS, "PID",
          "only those whose owner is this process", apply_pid, 0 },
        { "unit", 0, ARG_REQUIRED, FILTERS, "UNIT",
          "only those whose owner is or was in this unit", set_string, AT(unit) },
        { "under", 0, ARG_REQUIRED, FILTERS, "DIR",
          "only those in this directory, or below", set_string, AT(under) },
        { "older", 0, ARG_REQUIRED, CTL_LIST, "AGE",
          "only those registered that long ago, as 90min, 2h, 1d", apply_older, 0 },
        { "larger", 0, ARG_REQUIRED, CTL_LIST, "SIZE",
          "only those that take more room, as 10M, 1G", apply_larger, 0 },
        { "sort", 0, ARG_REQUIRED, CTL_LIST, "KEY",
          "by id, path, age, size, user, pid, state or owner", set_string, AT(sort) },
        { "reverse", 'r', ARG_NONE, CTL_LIST, NULL,
          "the other way round", set_flag, AT(is_reverse) },
        { "size", 's', ARG_NONE, CTL_LIST, NULL,
          "show how much room each takes", set_flag, AT(has_size) },
        { "total", 0, ARG_NONE, CTL_LIST, NULL,
          "show how much room all take, too", apply_total, 0 },

        { "older", 0, ARG_REQUIRED, CTL_SCAN, "AGE",
          "only what nobody has used for that long, not 1d", apply_older, 0 },
        { "larger", 0, ARG_REQUIRED, CTL_SCAN, "SIZE",
          "only what takes more room, as 10M, 1G", apply_larger, 0 },
        { "all", 'a', ARG_NONE, CTL_SCAN, NULL,
          "show what is in use, too, and why", set_flag, AT(is_all) },
        { "deleted", 0, ARG_NONE, CTL_SCAN, NULL,
          "files that were deleted and are still open", set_flag, AT(is_deleted) },
        { "delete", 0, ARG_NONE, CTL_SCAN, NULL,
          "delete what was found, after asking", set_flag, AT(is_delete) },
        { "dry-run", 'n', ARG_NONE, CTL_SCAN, NULL,
          "with --delete or --adopt: only say what would be done", set_flag, AT(is_dry_run) },
        { "yes", 'y', ARG_NONE, CTL_SCAN, NULL,
          "with --delete or --adopt: do not ask", set_flag, AT(is_yes) },

        { "adopt", 0, ARG_NONE, CTL_SCAN, NULL,
          "have what was found deleted in a while, after asking", set_flag, AT(is_adopt) },
        { "lease", 0, ARG_REQUIRED, CTL_SCAN, "TIME",
          "with --adopt: after that time, not 1w", apply_seconds, AT(lease_sec) },

        { "all-instances", 0, ARG_NONE, CTL_LIST, NULL,
          "ask the system's daemon and each user's, as root", set_flag, AT(has_all_instances) },

        { "size", 's', ARG_NONE, CTL_METRICS | CTL_STATUS, NULL,
          "show how much room the entries take, too", set_flag, AT(has_size) },

        { "json", 0, ARG_OPTIONAL, LISTS, "short|pretty",
          "print JSON: on one line (the default), or indented", apply_json, 0 },
        { "json", 0, ARG_OPTIONAL, CTL_MONITOR, "short|pretty",
          "print JSON: an object a line (the default), or indented", apply_json, 0 },
        { "no-legend", 0, ARG_NONE, TABLES, NULL,
          "print neither header nor count", apply_no_legend, 0 },
        { "no-legend", 0, ARG_NONE, CTL_MONITOR, NULL,
          "print no header", apply_no_legend, 0 },
        { "no-pager", 0, ARG_NONE, TABLES, NULL,
          "do not pipe long output into a pager", set_flag, AT(has_no_pager) },
        { "quiet", 'q', ARG_NONE, TABLES | CTL_MONITOR, NULL,
          "the same as --no-legend", apply_quiet, 0 },
        { "quiet", 'q', ARG_NONE, CTL_CHECK, NULL,
          "print nothing if all agrees", apply_quiet, 0 },

        { "owner-pid", 0, ARG_REQUIRED, OWNERS, "PID",
          "goes when this process ends, not who calls this", apply_owner_pid, 0 },
        { "lease", 0, ARG_REQUIRED, OWNERS, "TIME",
          "goes after that time, as 90min, 2h, 1d", apply_seconds, AT(lease_sec) },
        { "unit", 0, ARG_REQUIRED, OWNERS, "UNIT",
          "goes when this systemd unit stops", set_string, AT(owner_unit) },
        { "boot", 0, ARG_NONE, OWNERS, NULL,
          "goes when the machine, or container, restarts", set_flag, AT(is_boot) },

        { "all", 'a', ARG_NONE, CTL_REAP, NULL,
          "all whose owner is gone", set_flag, AT(is_all) },
        { "pid", 0, ARG_REQUIRED, CHANGES, "PID",
          "those whose owner is this process", apply_pid, 0 },
        { "unit", 0, ARG_REQUIRED, CHANGES & ~CTL_GIVE, "UNIT",
          "those whose owner is or was in this unit", set_string, AT(unit) },
        { "from-unit", 0, ARG_REQUIRED, CTL_GIVE, "UNIT",
          "those whose owner is or was in this unit", set_string, AT(unit) },
        { "force", 'f', ARG_NONE, CTL_REAP, NULL,
          "also those whose owner is still there", set_flag, AT(is_forced) },
        { "dry-run", 'n', ARG_NONE, CHANGES, NULL,
          "only say what would be done", set_flag, AT(is_dry_run) },
        { "yes", 'y', ARG_NONE, CHANGES, NULL,
          "do not ask, however many they are", set_flag, AT(is_yes) },
        { "quiet", 'q', ARG_NONE, CHANGES | CTL_TRACK, NULL,
          "do not print what was done", apply_quiet, 0 },

        { "dir", 'd', ARG_REQUIRED, CTL_RUN, "DIR",
          "make the directory in DIR, not in $TMPDIR or /tmp", apply_text, AT(dir) },
        { "env", 0, ARG_REQUIRED, CTL_RUN, "NAME",
          "name it by this variable, not TMPDIR, TMP and TEMP", set_string, AT(variable) },
        { "keep-on-failure", 0, ARG_NONE, CTL_RUN, NULL,
          "let it stay when the command fails", set_flag, AT(is_kept_on_failure) },
        { "retain", 0, ARG_REQUIRED, CTL_RUN, "TIME",
          "let it stay for that time after the end (or a failure)", apply_seconds, AT(retain_sec) },
        { "until-family-ends", 0, ARG_NONE, CTL_RUN, NULL,
          "until all that the command started has ended, too", set_flag, AT(has_family) },

        { "directory", 'd', ARG_NONE, MKTEMP, NULL,
          "make a directory, not a file", set_flag, AT(is_directory) },
        { "dry-run", 'u', ARG_NONE, MKTEMP, NULL,
          "make nothing, only print a name (see the manual)", set_flag, AT(is_dry_run) },
        { "quiet", 'q', ARG_NONE, MKTEMP, NULL,
          "be silent when it can't be made", apply_quiet, 0 },
        { "suffix", 0, ARG_REQUIRED, MKTEMP, "SUFF",
          "the name ends in SUFF, which follows the last X", apply_text, AT(suffix) },
        { "tmpdir", 'p', ARG_LONG_OPTIONAL, MKTEMP, "DIR",
          "make it in DIR; without DIR: in $TMPDIR, else /tmp", apply_tmpdir, 0 },
        { NULL, 't', ARG_NONE, MKTEMP, NULL,
          "TEMPLATE is a name in $TMPDIR, else DIR of -p, else /tmp", apply_template, 0 },
        { "owner-pid", 0, ARG_REQUIRED, MKTEMP, "PID",
          "it goes when this process ends, not the calling script", apply_owner_pid, 0 },
        { "unit", 0, ARG_REQUIRED, MKTEMP, "UNIT",
          "it goes when this systemd unit stops", set_string, AT(owner_unit) },

        { "host", 'H', ARG_REQUIRED, CTL_EVERYWHERE, "[USER@]HOST",
          "on that host, by ssh; not to make anything there", apply_host, 0 },
        { "system", 0, ARG_NONE, CTL_EVERYWHERE, NULL,
          "ask the system's daemon only", apply_system, 0 },
        { "user", 0, ARG_NONE, CTL_EVERYWHERE, NULL,
          "ask the calling user's daemon only", apply_user, 0 },
        { "socket", 0, ARG_REQUIRED, CTL_EVERYWHERE, "PATH",
          "ask the daemon that listens there", apply_socket, 0 },
        { "help", 'h', ARG_NONE, CTL_EVERYWHERE, NULL,
          "show this help", apply_help, 0 },
        { "help", 0, ARG_NONE, CTL_GNU_MKTEMP, NULL,
          "show this help", apply_help, 0 },
        { "version", 0, ARG_NONE, CTL_EVERYWHERE | CTL_GNU_MKTEMP, NULL,
          "show the version", apply_version, 0 },
        { NULL, 'V', ARG_NONE, CTL_GNU_MKTEMP, NULL,
          "the same", apply_version, 0 },
};
/* clang-format on */

const size_t n_option_rows = ARRAY_SIZE(option_rows);
static_assert(ARRAY_SIZE(option_rows) <= OPTION_ROWS_MAX, "options_parse() has room for them");
