/* SPDX-License-Identifier: MIT */

/*
 * How tempfilectl tells errors and ends its output, the same for all commands.
 *
 * Promises that an error is one line on standard error (a narrow terminal's is broken between
 * words), whatever bytes the names in it have, and
 * that output which could not be written never passes for success. SIGPIPE is ignored (main), so
 * a reader that has gone shows as EPIPE.
 */

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "libclient/libtempfile.h"
#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/table.h"
#include "tools/text.h"

static const char *program = "tempfilectl";

static void print_wrapped(FILE *file, size_t width, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void print_error(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

static void print_wrapped(FILE *file, size_t width, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (text)
                text_wrap(text, width);
        fputs(text ? text : "out of memory\n", file);
}

static void print_error(const char *format, va_list ap)
{
        _cleanup_(freep) char *message = NULL, *escaped = NULL;

        if (vasprintf(&message, format, ap) < 0) {
                message = NULL;
                fprintf(stderr, "%s: out of memory\n", program);
                return;
        }
        escaped = text_escape_message(message);
        print_wrapped(stderr, table_style_for(stderr, false).width, "%s: %s\n", program,
                      escaped ? escaped : "out of memory");
}

void ctl_set_name(const char *name)
{
        program = name;
}

const char *ctl_name(void)
{
        return program;
}

int ctl_error(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error(format, ap);
        va_end(ap);
        return CTL_FAILED;
}

int ctl_hint_at_help(const struct ctl_command *command)
{
        bool is_gnu = ctl_is_gnu(command);
        const char *name = command && !is_gnu ? command->name : "";

        fprintf(stderr, "Try '%s %s%s--help' for more information.\n", program, name,
                *name ? " " : "");
        return is_gnu ? CTL_FAILED : CTL_USAGE;
}

int ctl_usage_error(const struct ctl_command *command, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_error(format, ap);
        va_end(ap);
        return ctl_hint_at_help(command);
}

int ctl_error_no_daemon(void)
{
        _cleanup_(freep) char *paths = NULL;

        if (tempfile_socket_paths(&paths) < 0)
                return ctl_error("no tempfiled answers");
        return ctl_error("no tempfiled answers; tried %s", paths);
}

const char *ctl_strerror(int error)
{
        switch (error) {
        case -ECONNRESET:
                return "tempfiled went away";
        case -ETIMEDOUT:
                return "tempfiled did not answer in time";
        default:
                return strerror(-error);
        }
}

int ctl_connect(uint32_t timeout_msec, struct tempfile_admin **ret)
{
        int r;

        r = tempfile_admin_open(NULL, timeout_msec, ret);
        if (r == -ECONNREFUSED)
                return ctl_error_no_daemon();
        if (r == -EACCES)
                return ctl_error("the daemon there is neither root's nor yours: not trusted");
        if (r < 0)
                return ctl_error("cannot connect to tempfiled: %s", ctl_strerror(r));
        return CTL_OK;
}

void ctl_say(size_t width, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        print_wrapped(stdout, width, "%s\n", text ? text : "out of memory");
}

void ctl_print_field(const char *label, const char *value)
{
        _cleanup_(freep) char *escaped = text_escape(value);

        printf("%11s: %s\n", label, escaped ? escaped : "?");
}

void ctl_print_number(const char *label, uint64_t value)
{
        printf("%11s: %" PRIu64 "\n", label, value);
}

void ctl_print_would(const char *verb, const char *path)
{
        _cleanup_(freep) char *escaped = text_escape(path);

        printf("Would %s %s\n", verb, escaped ? escaped : "?");
}

/* As after `| head`: it had what it wanted. */
static bool is_reader_gone(void)
{
        struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

        return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

int ctl_finish_output(int status)
{
        errno = 0;
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        if (errno == EPIPE || is_reader_gone())
                return status;
        return ctl_error("cannot write to standard output: %s",
                         errno != 0 ? strerror(errno) : "some of it is lost");
}
