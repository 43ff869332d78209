/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl: shows and manages what tempfiled looks after.
 *
 * Owns the table of commands. Everything else is in the file that is named after it: the commands
 * in list.c and so on, the options in options.c, telling errors in output.c. Knows the public
 * headers only.
 */

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/options.h"
#include "tools/pager.h"
#include "tools/remote.h"

#define MKTEMP_SUMMARY "Make a temporary file that goes when the calling script ends"
#define MKTEMP_DETAILS                                                                             \
        "Prints its path. TEMPLATE has at least three X in its last component, which are "         \
        "replaced; it defaults to tmp.XXXXXXXXXX in $TMPDIR, else /tmp. See tempfilectl(1)."

const struct ctl_command ctl_commands[] = {
        { "list", CTL_LIST, 0, 0, false, ctl_list, "[OPTION]...",
          "List temporary files and directories", "An ordinary user sees his own, root all." },
        { "show", CTL_SHOW, 1, -1, false, ctl_show, "[OPTION]... ID|PATH...",
          "Show all that is known about entries", NULL },
        { "status", CTL_STATUS, 0, 0, false, ctl_status, "[OPTION]...",
          "Show the daemon at a glance", NULL },
        { "scan", CTL_SCAN, 0, -1, false, ctl_scan, "[OPTION]... [DIR]...",
          "Find what other programs left behind",
          "Looks into /tmp, /var/tmp and /dev/shm, or the directories given, for what no "
          "process has open, mapped, as a directory, executed, bound, locked or mounted." },
        { "monitor", CTL_MONITOR, 0, 0, false, ctl_monitor, "[OPTION]...",
          "Show what happens, as it happens",
          "One line an event, until it is interrupted. An ordinary user sees his own, root all." },
        { "check", CTL_CHECK, 0, 0, false, ctl_check, "[OPTION]...",
          "Check whether the daemon and the file system agree", "Exits with 1 if they do not." },
        { "metrics", CTL_METRICS, 0, 0, false, ctl_metrics, "[OPTION]...",
          "Print the daemon's numbers as OpenMetrics text", NULL },
        { "reap", CTL_REAP, 0, -1, false, ctl_reap, "[OPTION]... ID|PATH...|--all",
          "Delete now what has no owner any more",
          "Only entries whose owner is gone are deleted, unless --force is given." },
        { "keep", CTL_KEEP, 0, -1, false, ctl_keep, "[OPTION]... ID|PATH...",
          "Let entries stay: temporary no more", NULL },
        { "track", CTL_TRACK, 1, -1, false, ctl_track, "[OPTION]... PATH...",
          "Have paths that exist deleted when their owner ends",
          "The owner is the calling program, as with mktemp, unless an option says otherwise." },
        { "give", CTL_GIVE, 0, -1, false, ctl_give, "[OPTION]... ID|PATH...",
          "Give entries another owner",
          "That is the calling program, as with mktemp, unless an option says otherwise." },
        { "renew", CTL_RENEW, 0, -1, false, ctl_renew, "[OPTION]... ID|PATH... TIME",
          "Have leases end TIME from now, as 90min, 2h, 1d", NULL },
        { "retain", CTL_RETAIN, 0, -1, false, ctl_retain, "[OPTION]... ID|PATH... TIME",
          "Have entries outlive their owner by TIME, as 90min, 2h, 1d",
          "What is retained can be looked at, and kept. With 0 it goes with its owner again." },
        { "run", CTL_RUN, 1, -1, true, ctl_run, "[OPTION]... COMMAND [ARGUMENT]...",
          "Run a command with a temporary directory of its own",
          "TMPDIR, TMP and TEMP name the directory. It goes when the command ends, however that "
          "is. Exits with the status of the command; 127: not found; 126: cannot be executed." },
        { "mktemp", CTL_MKTEMP, 0, -1, false, ctl_mktemp, "[OPTION]... [TEMPLATE]", MKTEMP_SUMMARY,
          MKTEMP_DETAILS },
        { 0 },
};

/* The program under another name, which a link gives it. */
static const struct ctl_command gnu_mktemp = {
        "mktemp",       CTL_GNU_MKTEMP, 0, -1, false, ctl_mktemp, "[OPTION]... [TEMPLATE]",
        MKTEMP_SUMMARY, MKTEMP_DETAILS,
};

static const struct ctl_command *find_command(const char *name)
{
        for (const struct ctl_command *p = ctl_commands; p->name; p++)
                if (streq(p->name, name))
                        return p;
        return NULL;
}

static int check_count(const struct ctl *c)
{
        if (c->n_args < c->command->min_args)
                return ctl_usage_error(c->command, "too few arguments");
        if (c->command->max_args >= 0 && c->n_args > c->command->max_args)
                return ctl_usage_error(c->command, "unexpected argument '%s'",
                                       c->args[c->command->max_args]);
        return CTL_OK;
}

static bool is_called_mktemp(const char *name)
{
        const char *slash = name ? strrchr(name, '/') : NULL;

        return name && streq(slash ? slash + 1 : name, "mktemp");
}

/* All of the command line is that of @command. The status to exit with is in c->done. */
static void parse_arguments(struct ctl *c, const struct ctl_command *command, int argc, char **argv)
{
        int n;

        c->command = command;
        n = options_parse(c, command, argc, argv);
        if (c->done)
                return;
        c->args = argv + n;
        c->n_args = argc - n;
}

/* Another host's users and paths are not looked up here, so that is to be known first. */
static void find_host(struct ctl *c, int argc, char **argv)
{
        int n = options_find_host(NULL, argc, argv, &c->host);
        const struct ctl_command *command = n < argc ? find_command(argv[n]) : NULL;

        if (command)
                (void) options_find_host(command, argc - n, argv + n, &c->host);
}

/* Finds the command and its arguments. Returns CTL_OK, or the status to exit with; see c->done. */
static int parse_command_line(struct ctl *c, int argc, char **argv)
{
        int n;

        if (argc > 0 && is_called_mktemp(argv[0])) {
                ctl_set_name(argv[0]);
                parse_arguments(c, &gnu_mktemp, argc, argv);
                return c->done ? c->done - 1 : CTL_OK;
        }
        find_host(c, argc, argv);
        n = options_parse(c, NULL, argc, argv);
        if (c->done)
                return c->done - 1;
        if (n >= argc)
                return ctl_usage_error(NULL, "which command?");
        c->command = find_command(argv[n]);
        if (!c->command)
                return ctl_usage_error(NULL, "unknown command '%s'", argv[n]);

        parse_arguments(c, c->command, argc - n, argv + n);
        return c->done ? c->done - 1 : check_count(c);
}

/* What is opened later is not to be taken for one of the three that were closed. */
static void fill_stdio(void)
{
        int fd;

        do
                fd = open("/dev/null", O_CLOEXEC | O_PATH); /* neither read nor written: EBADF */
        while (fd >= 0 && fd <= STDERR_FILENO);
        (void) close_fd(fd);
}

int main(int argc, char **argv)
{
        struct ctl c = {
                .has_legend = true,
                .filter = { .size = sizeof(c.filter) },
        };
        int status;

        fill_stdio();
        (void) setlocale(LC_CTYPE, ""); /* what is printable; without one: ASCII */
        c.old_sigpipe = signal(SIGPIPE, SIG_IGN);

        status = parse_command_line(&c, argc, argv);
        if (status == CTL_OK && !c.done)
                status = c.host ? remote_run(&c) : c.command->run(&c);
        status = ctl_finish_output(status);
        pager_close();
        return status;
}
