/* SPDX-License-Identifier: MIT */

/*
 * All options of all commands, in one table.
 *
 * Each row says where an option is valid, what it does and what --help prints, so that these agree.
 * getopt_long() splits the command line; its tables are made from the rows. The subtle thing:
 * an option without a short name is known to getopt_long() by its row's number above 255.
 */

#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/options.h"

#define SYSTEM_SOCKET "/run/tempfiled/socket"

enum argument {
        ARG_NONE,
        ARG_REQUIRED,
        ARG_OPTIONAL,      /* of the long form only; without a short one */
        ARG_LONG_OPTIONAL, /* required after the short form, optional after the long one */
};

struct option_row {
        const char *name; /* NULL: only a short one */
        char letter;      /* 0: only a long one */
        enum argument argument;
        unsigned int commands;
        const char *metavar;
        const char *help;
        int (*apply)(struct ctl *c, const char *value); /* 0, or CTL_... after telling an error */
};

/* ---- what each option does ---- */

static int apply_help(struct ctl *c, const char *value)
{
        options_print_help(c->command);
        c->done = 1 + CTL_OK;
        return 0;
}

static int apply_version(struct ctl *c, const char *value)
{
        puts("tempfilectl (tempfiled) " PACKAGE_VERSION);
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

static int apply_socket(struct ctl *c, const char *value)
{
        if (*value == '\0')
                return ctl_usage_error(c->command, "--socket needs a path");
        return use_socket(value);
}

static int apply_system(struct ctl *c, const char *value)
{
        return use_socket(SYSTEM_SOCKET);
}

static int apply_user(struct ctl *c, const char *value)
{
        const char *dir = getenv("XDG_RUNTIME_DIR");
        char path[PATH_MAX];

        if (!dir || *dir == '\0')
                return ctl_error("--user needs $XDG_RUNTIME_DIR, which is not set");
        if (snprintf(path, sizeof(path), "%s/tempfiled/socket", dir) >= (int) sizeof(path))
                return ctl_error("$XDG_RUNTIME_DIR is too long");
        return use_socket(path);
}

static int apply_quiet(struct ctl *c, const char *value)
{
        c->is_quiet = true;
        c->has_legend = false;
        return 0;
}

static int apply_no_legend(struct ctl *c, const char *value)
{
        c->has_legend = false;
        return 0;
}

static int apply_json(struct ctl *c, const char *value)
{
        if (value && !streq(value, "short") && !streq(value, "pretty"))
                return ctl_usage_error(c->command, "--json knows short and pretty, not '%s'",
                                       value);
        c->is_json = true;
        c->json_style = value && streq(value, "pretty") ? JSON_PRETTY : JSON_SHORT;
        return 0;
}

static int apply_leaked(struct ctl *c, const char *value)
{
        c->filter.flags |= TEMPFILE_LIST_LEAKED;
        return 0;
}

static int apply_retained(struct ctl *c, const char *value)
{
        c->filter.flags |= TEMPFILE_LIST_RETAINED;
        return 0;
}

/* Decimal digits only: strtoul() would take signs and spaces too. */
static int parse_number(const char *s, unsigned long max, unsigned long *ret)
{
        unsigned long n;
        char *end;

        if (*s < '0' || *s > '9')
                return -EINVAL;
        errno = 0;
        n = strtoul(s, &end, 10);
        if (*end != '\0' || errno != 0 || n > max)
                return -EINVAL;
        *ret = n;
        return 0;
}

static int apply_uid(struct ctl *c, const char *value)
{
        const struct passwd *pw = getpwnam(value);
        unsigned long n;

        if (pw)
                n = pw->pw_uid;
        else if (parse_number(value, UINT32_MAX - 1, &n) < 0)
                return ctl_usage_error(c->command, "no user is called '%s'", value);
        c->filter.uid = (uint32_t) n;
        c->filter.flags |= TEMPFILE_LIST_UID;
        return 0;
}

static int apply_pid(struct ctl *c, const char *value)
{
        unsigned long n;

        if (parse_number(value, INT_MAX, &n) < 0 || n == 0)
                return ctl_usage_error(c->command, "'%s' is not a process number", value);
        c->filter.pid = (uint32_t) n;
        c->filter.flags |= TEMPFILE_LIST_PID;
        return 0;
}

static int apply_all(struct ctl *c, const char *value)
{
        c->is_all = true;
        return 0;
}

static int apply_force(struct ctl *c, const char *value)
{
        c->is_forced = true;
        return 0;
}

static int apply_dir(struct ctl *c, const char *value)
{
        c->dir = value;
        return 0;
}

static int apply_directory(struct ctl *c, const char *value)
{
        c->is_directory = true;
        return 0;
}

/* Without a value: $TMPDIR or /tmp, as if none had been given before. */
static int apply_tmpdir(struct ctl *c, const char *value)
{
        c->is_in_dir = true;
        c->dir = value && *value ? value : NULL;
        return 0;
}

static int apply_template(struct ctl *c, const char *value)
{
        c->is_in_dir = true;
        c->is_in_tmpdir = true;
        return 0;
}

static int apply_suffix(struct ctl *c, const char *value)
{
        c->suffix = value;
        return 0;
}

static int apply_dry_run(struct ctl *c, const char *value)
{
        return ctl_usage_error(c->command, "a name without a file behind it can't be tracked: "
                                           "make a directory (-d) and take a name in it");
}

static int apply_owner_pid(struct ctl *c, const char *value)
{
        unsigned long n;

        if (parse_number(value, INT_MAX, &n) < 0 || n == 0)
                return ctl_usage_error(c->command, "'%s' is not a process number", value);
        c->owner_pid = (pid_t) n;
        return 0;
}

/* ---- the table ---- */

#define LISTS (CTL_LIST | CTL_SHOW | CTL_STATUS)

/* A row is two lines. */
/* clang-format off */
static const struct option_row rows[] = {
        { "leaked", 0, ARG_NONE, CTL_LIST, NULL,
          "only those whose owner is gone and that are still there", apply_leaked },
        { "retained", 0, ARG_NONE, CTL_LIST, NULL,
          "only those that outlive their owner for a set time", apply_retained },
        { "uid", 0, ARG_REQUIRED, CTL_LIST, "USER",
          "only those of a user, by name or number", apply_uid },
        { "pid", 0, ARG_REQUIRED, CTL_LIST, "PID",
          "only those whose owner is this process", apply_pid },
        { "json", 0, ARG_OPTIONAL, LISTS, "short|pretty",
          "print JSON: on one line (the default), or indented", apply_json },
        { "no-legend", 0, ARG_NONE, CTL_LIST, NULL,
          "print neither header nor count", apply_no_legend },
        { "quiet", 'q', ARG_NONE, CTL_LIST, NULL,
          "the same", apply_quiet },

        { "all", 'a', ARG_NONE, CTL_REAP, NULL,
          "all whose owner is gone", apply_all },
        { "force", 'f', ARG_NONE, CTL_REAP, NULL,
          "also those named whose owner is still there", apply_force },
        { "quiet", 'q', ARG_NONE, CTL_REAP, NULL,
          "do not print how many were reaped", apply_quiet },

        { "dir", 'd', ARG_REQUIRED, CTL_RUN, "DIR",
          "make the directory in DIR, not in $TMPDIR or /tmp", apply_dir },

        { "directory", 'd', ARG_NONE, CTL_MKTEMP, NULL,
          "make a directory, not a file", apply_directory },
        { "tmpdir", 'p', ARG_LONG_OPTIONAL, CTL_MKTEMP, "DIR",
          "make it in DIR; without DIR: in $TMPDIR, else /tmp", apply_tmpdir },
        { NULL, 't', ARG_NONE, CTL_MKTEMP, NULL,
          "TEMPLATE is a name in $TMPDIR, else DIR of -p, else /tmp", apply_template },
        { "suffix", 0, ARG_REQUIRED, CTL_MKTEMP, "SUFF",
          "the name ends in SUFF, which follows the last X", apply_suffix },
        { "owner-pid", 0, ARG_REQUIRED, CTL_MKTEMP, "PID",
          "it goes when this process ends, not the calling script", apply_owner_pid },
        { "quiet", 'q', ARG_NONE, CTL_MKTEMP, NULL,
          "be silent when it can't be made", apply_quiet },
        { "dry-run", 'u', ARG_NONE, CTL_MKTEMP, NULL,
          "refused: a mere name can't be tracked", apply_dry_run },

        { "system", 0, ARG_NONE, CTL_EVERYWHERE, NULL,
          "ask the system's daemon only", apply_system },
        { "user", 0, ARG_NONE, CTL_EVERYWHERE, NULL,
          "ask the calling user's daemon only", apply_user },
        { "socket", 0, ARG_REQUIRED, CTL_EVERYWHERE, "PATH",
          "ask the daemon that listens there", apply_socket },
        { "help", 'h', ARG_NONE, CTL_EVERYWHERE, NULL,
          "show this help", apply_help },
        { "version", 0, ARG_NONE, CTL_EVERYWHERE, NULL,
          "show the version", apply_version },
};
/* clang-format on */

#define N_ROWS ARRAY_SIZE(rows)

/* ---- parsing ---- */

static int row_value(size_t i)
{
        return rows[i].letter ? rows[i].letter : 256 + (int) i;
}

static const struct option_row *find_row(int value, unsigned int bit)
{
        for (size_t i = 0; i < N_ROWS; i++)
                if ((rows[i].commands & bit) && row_value(i) == value)
                        return &rows[i];
        return NULL;
}

/* "+" makes options end at the first argument; ":" makes a missing value tell itself apart. */
static void make_short_options(unsigned int bit, bool is_prefix, char *out)
{
        if (is_prefix)
                *out++ = '+';
        *out++ = ':';
        for (size_t i = 0; i < N_ROWS; i++) {
                if (!(rows[i].commands & bit) || !rows[i].letter)
                        continue;
                *out++ = rows[i].letter;
                if (rows[i].argument != ARG_NONE)
                        *out++ = ':';
        }
        *out = '\0';
}

static void make_long_options(unsigned int bit, struct option *out)
{
        static const int has_arg[] = {
                [ARG_NONE] = no_argument,
                [ARG_REQUIRED] = required_argument,
                [ARG_OPTIONAL] = optional_argument,
                [ARG_LONG_OPTIONAL] = optional_argument,
        };

        for (size_t i = 0; i < N_ROWS; i++)
                if ((rows[i].commands & bit) && rows[i].name)
                        *out++ = (struct option) { rows[i].name, has_arg[rows[i].argument], NULL,
                                                   row_value(i) };
        *out = (struct option) { 0 };
}

/* getopt_long() tells of a wrong short option by optopt, of a wrong long one by where it stands. */
static int tell_wrong_option(const struct ctl_command *command, int result, char **argv)
{
        const char *word = argv[optind - 1];
        bool is_short = optopt > 0 && optopt < 256 && strncmp(word, "--", 2) != 0;
        char letter[3] = { '-', (char) optopt, '\0' };

        if (result == ':')
                return ctl_usage_error(command, "option '%s' needs a value",
                                       is_short ? letter : word);
        if (optopt != 0 && !is_short)
                return ctl_usage_error(command, "option '%s' takes no value", word);
        return ctl_usage_error(command, "unknown option '%s'", is_short ? letter : word);
}

int options_parse(struct ctl *c, const struct ctl_command *command, int argc, char **argv)
{
        unsigned int bit = command ? command->bit : CTL_MAIN;
        char short_options[2 * N_ROWS + 3];
        struct option long_options[N_ROWS + 1];

        make_short_options(bit, !command || command->is_prefix, short_options);
        make_long_options(bit, long_options);
        opterr = 0;
        optind = 0; /* starts anew, also inside */
        for (;;) {
                const struct option_row *row;
                int value = getopt_long(argc, argv, short_options, long_options, NULL);

                if (value < 0)
                        return optind;
                row = find_row(value, bit);
                if (!row) {
                        c->done = 1 + tell_wrong_option(command, value, argv);
                        return -1;
                }
                value = row->apply(c, optarg);
                if (value != 0)
                        c->done = 1 + value;
                if (c->done)
                        return -1;
        }
}

/* ---- help ---- */

static void print_option(const struct option_row *row)
{
        bool is_optional = row->argument == ARG_OPTIONAL || row->argument == ARG_LONG_OPTIONAL;
        char letter[8] = "    ", left[64];

        if (row->letter)
                (void) snprintf(letter, sizeof(letter), "-%c%s", row->letter,
                                row->name ? ", " : "");
        (void) snprintf(left, sizeof(left), "%s%s%s%s%s%s", letter, row->name ? "--" : "",
                        row->name ? row->name : "",
                        is_optional    ? "[="
                        : row->metavar ? "="
                                       : "",
                        row->metavar ? row->metavar : "", is_optional ? "]" : "");
        printf("  %-27s %s\n", left, row->help);
}

static void print_options(unsigned int bit)
{
        puts("\nOptions:");
        for (size_t i = 0; i < N_ROWS; i++)
                if (rows[i].commands & bit)
                        print_option(&rows[i]);
}

void options_print_help(const struct ctl_command *command)
{
        if (command) {
                printf("Usage: tempfilectl %s %s\n\n%s.\n", command->name, command->synopsis,
                       command->summary);
                if (command->details)
                        printf("\n%s\n", command->details);
                print_options(command->bit);
                return;
        }
        puts("Usage: tempfilectl [OPTION]... COMMAND [ARGUMENT]...\n\n"
             "Show and manage the temporary files that tempfiled(8) deletes when their owner ends.\n\n"
             "Commands:");
        for (command = ctl_commands; command->name; command++)
                printf("  %-12s %s\n", command->name, command->summary);
        print_options(CTL_MAIN);
        puts("\n'tempfilectl COMMAND --help' tells more about a command. See tempfilectl(1).");
}
