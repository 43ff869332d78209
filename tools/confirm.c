/* SPDX-License-Identifier: MIT */

/*
 * Questions. Anything but a clear yes means no; so does the end of the input.
 */

#include <stdarg.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/confirm.h"
#include "tools/ctl.h"
#include "tools/text.h"

#define SHOWN_MAX 20

bool confirm_is_possible(void)
{
        return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

void confirm_show(size_t i, const char *name)
{
        _cleanup_(freep) char *escaped = NULL;

        if (i < SHOWN_MAX) {
                escaped = text_escape(name);
                fprintf(stderr, "  %s\n", escaped ? escaped : "?");
        } else if (i == SHOWN_MAX) {
                fputs("  ... and more\n", stderr);
        }
}

int confirm_ask(const char *format, ...)
{
        _cleanup_(freep) char *question = NULL, *answer = NULL;
        size_t size = 0;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&question, format, ap);
        va_end(ap);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        if (*question >= 'a' && *question <= 'z')
                *question = (char) (*question - 'a' + 'A');
        (void) fflush(stdout);
        fprintf(stderr, "%s? [y/N] ", question);
        if (getline(&answer, &size, stdin) > 0 &&
            (streq(answer, "y\n") || streq(answer, "Y\n") || streq(answer, "yes\n")))
                return CTL_OK;
        return ctl_error("nothing was done");
}
