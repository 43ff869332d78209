/* SPDX-License-Identifier: MIT */

/*
 * Executes ssh(1), and by it the same command on another host.
 *
 * Owns what is sent there: the options as they were given, the arguments, and nothing of this
 * machine but whether colours are wanted. Leaves checking values to the host, whose users, paths
 * and sockets they name. The subtle thing is the terminal: a command that asks needs one there
 * whenever it would have asked here, and others only where the output goes to it.
 */

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tools/confirm.h"
#include "tools/remote.h"

#define COMMANDS                                                                                   \
        (CTL_LIST | CTL_SHOW | CTL_STATUS | CTL_SCAN | CTL_CHECK | CTL_METRICS | CTL_MONITOR |     \
         CTL_REAP | CTL_KEEP | CTL_RENEW | CTL_RETAIN)
#define ASKING (CTL_REAP | CTL_KEEP | CTL_RENEW | CTL_RETAIN)

int remote_add_option(struct ctl *c, const char *name, const char *value)
{
        char **options;

        options = reallocarray(c->remote_options, c->n_remote_options + 1, sizeof(*options));
        if (!options)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        c->remote_options = options;
        if (asprintf(&options[c->n_remote_options], "--%s%s%s", name, value ? "=" : "",
                     value ? value : "") < 0)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        c->n_remote_options++;
        return 0;
}

/* One word for a shell, whatever is in it. */
static void put_word(FILE *f, const char *word)
{
        fputs(" '", f);
        for (; *word; word++) {
                if (*word == '\'')
                        fputs("'\\''", f);
                else
                        fputc(*word, f);
        }
        fputc('\'', f);
}

/* What the host's shell is to execute; NULL: no memory. To be freed. */
static char *make_line(const struct ctl *c)
{
        const char *no_color = getenv("NO_COLOR");
        char *line = NULL;
        size_t size;
        bool has_failed;
        FILE *f = open_memstream(&line, &size);

        if (!f)
                return NULL;
        fprintf(f, "%stempfilectl %s", no_color && *no_color ? "env NO_COLOR=1 " : "",
                c->command->name);
        for (size_t i = 0; i < c->n_remote_options; i++)
                put_word(f, c->remote_options[i]);
        if (c->n_args > 0)
                fputs(" --", f);
        for (int i = 0; i < c->n_args; i++)
                put_word(f, c->args[i]);
        has_failed = ferror(f);
        if (fclose(f) == 0 && !has_failed)
                return line;
        free(line);
        return NULL;
}

static bool may_ask(const struct ctl *c)
{
        if (c->command->bit != CTL_SCAN)
                return c->command->bit & ASKING;
        for (size_t i = 0; i < c->n_remote_options; i++)
                if (streq(c->remote_options[i], "--delete") ||
                    streq(c->remote_options[i], "--adopt"))
                        return true;
        return false;
}

static bool needs_terminal(const struct ctl *c)
{
        if (may_ask(c) && confirm_is_possible())
                return true;
        return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int remote_run(struct ctl *c)
{
        _cleanup_(freep) char *line = NULL;
        int error;

        if (!(c->command->bit & COMMANDS))
                return ctl_usage_error(c->command, "%s is for this machine: not with --host",
                                       c->command->name);
        line = make_line(c);
        if (!line)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        (void) signal(SIGPIPE, c->old_sigpipe);
        execlp("ssh", "ssh", "-x", needs_terminal(c) ? "-t" : "-T", "--", c->host, line,
               (char *) NULL);
        error = errno;
        (void) signal(SIGPIPE, SIG_IGN);
        return ctl_error("cannot run 'ssh': %s", strerror(error));
}
