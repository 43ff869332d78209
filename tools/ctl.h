/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CTL_H
#define TEMPFILED_CTL_H

/*
 * What the commands of tempfilectl share: the settings that the options make, the table of
 * commands, and how errors are told.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "libclient/libtempfile-admin.h"
#include "tools/json.h"

/* Exit status. run adds 126 and 127, as shells do. */
#define CTL_OK 0
#define CTL_FAILED 1
#define CTL_USAGE 2

/* Commands as a set: an option's row in options.c says where it is valid. */
enum {
        CTL_LIST = 1U << 0,
        CTL_SHOW = 1U << 1,
        CTL_STATUS = 1U << 2,
        CTL_REAP = 1U << 3,
        CTL_RUN = 1U << 4,
        CTL_MKTEMP = 1U << 5,
        CTL_MAIN = 1U << 6, /* before the command */
        CTL_KEEP = 1U << 7,
        CTL_TRACK = 1U << 8,
        CTL_GIVE = 1U << 9,
        CTL_RENEW = 1U << 10,
        CTL_RETAIN = 1U << 11,
        CTL_SCAN = 1U << 12,
        CTL_CHECK = 1U << 13,
        CTL_METRICS = 1U << 14,
        CTL_MONITOR = 1U << 15,
        CTL_EVERYWHERE = (1U << 16) - 1,
        CTL_GNU_MKTEMP = 1U << 31, /* called as mktemp */
};

/* What the command line asks for. Strings are borrowed from it. */
struct ctl {
        const struct ctl_command *command; /* NULL: none yet */
        char **args;                       /* what follows the options, NULL at the end */
        int n_args;
        int done; /* an option answered already: exit with status done - 1 */

        const char *host;      /* -H: where to do it; NULL: here */
        char **remote_options; /* with a host: what it is told, as "--name=value" */
        size_t n_remote_options;

        bool is_quiet;
        bool has_legend;
        bool is_json;
        enum json_style json_style;
        bool has_no_pager;

        /* Which entries: what the daemon tells apart, and what filter.c does. */
        struct tempfile_filter filter;
        const char *unit;  /* NULL: any */
        const char *under; /* NULL: anywhere */
        bool is_older;     /* than .age_usec */
        bool is_larger;    /* than .bytes */
        uint64_t age_usec;
        uint64_t bytes;

        const char *sort; /* NULL: as they come */
        bool is_reverse;
        bool has_size;
        bool has_total;

        bool is_all;
        bool is_forced;
        bool is_dry_run;
        bool is_yes; /* asks nothing */

        /* The new owner; none of them: whoever asked. */
        uint32_t lease_sec;
        bool is_boot;
        const char *owner_unit;

        bool is_deleted; /* scan: files without a name that are still open */
        bool is_delete;
        bool is_adopt;
        bool has_all_instances;

        const char *variable; /* run: that names the directory; NULL: the usual ones */
        uint32_t retain_sec;
        bool is_kept_on_failure;
        bool has_family; /* run: what the command has started counts, too */

        const char *dir;    /* NULL: none given */
        const char *suffix; /* NULL: none given */
        bool is_in_dir;     /* mktemp: -p, --tmpdir or -t: the template is a name in a directory */
        bool is_in_tmpdir;  /* mktemp: -t: $TMPDIR goes before -p */
        bool is_directory;
        pid_t owner_pid; /* 0: none given */

        void (*old_sigpipe)(int); /* what to give back to a program that is executed */
};

struct ctl_command {
        const char *name;
        unsigned int bit;
        int min_args;
        int max_args;   /* -1: any number */
        bool is_prefix; /* options end at the first argument: the rest is another command's */
        int (*run)(struct ctl *c); /* returns an exit status; has told the error, if any */
        const char *synopsis;
        const char *summary;
        const char *details; /* for --help, may be NULL */
};

/* In tempfilectl.c. Ends with a row without a name. */
extern const struct ctl_command ctl_commands[];

/* Was the program called as mktemp? Then help, messages and exit status are that program's. */
static inline bool ctl_is_gnu(const struct ctl_command *command)
{
        return command && command->bit == CTL_GNU_MKTEMP;
}

/* The commands, each in the file of its name. */
int ctl_list(struct ctl *c);
int ctl_show(struct ctl *c);
int ctl_status(struct ctl *c);
int ctl_reap(struct ctl *c);
int ctl_run(struct ctl *c);
int ctl_mktemp(struct ctl *c);
int ctl_keep(struct ctl *c);
int ctl_track(struct ctl *c);
int ctl_give(struct ctl *c);
int ctl_renew(struct ctl *c);
int ctl_retain(struct ctl *c);
int ctl_scan(struct ctl *c);
int ctl_check(struct ctl *c);
int ctl_metrics(struct ctl *c);
int ctl_monitor(struct ctl *c);

/* One line "tempfilectl: ..." on standard error, with odd bytes escaped. Returns CTL_FAILED. */
int ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The name that the program was called by: errors begin with it. Borrowed; "tempfilectl" before. */
void ctl_set_name(const char *name);
const char *ctl_name(void);

/*
 * The same, and a hint at --help of the command (NULL: of the tool). Returns CTL_USAGE; called as
 * mktemp, CTL_FAILED.
 */
int ctl_usage_error(const struct ctl_command *command, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* The hint alone. */
int ctl_hint_at_help(const struct ctl_command *command);

/* Says that no daemon answers, and where it was looked for. Returns CTL_FAILED. */
int ctl_error_no_daemon(void);

/* What a negative errno from the library or the daemon means, in words. */
const char *ctl_strerror(int error);

/* Connects; @timeout_msec: for each call, 0: 5000. CTL_OK, or CTL_FAILED after having said why. */
int ctl_connect(uint32_t timeout_msec, struct tempfile_admin **ret);

static inline void ctl_disconnectp(struct tempfile_admin **a)
{
        tempfile_admin_close(*a);
}

/* Prints "      Label: value", the value escaped. */
void ctl_print_field(const char *label, const char *value);
void ctl_print_number(const char *label, uint64_t value);

/* A sentence and a line feed on standard output, broken between words at @width columns. */
void ctl_say(size_t width, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "Would VERB PATH", the path escaped. */
void ctl_print_would(const char *verb, const char *path);

/*
 * Writes out what standard output still holds. Returns @status, also when the reader has had enough
 * and gone (as after `| head`); CTL_FAILED after telling it when writing failed otherwise.
 */
int ctl_finish_output(int status);

#endif
