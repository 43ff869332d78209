/* SPDX-License-Identifier: MIT */

/*
 * Owns the words. When they are told is the server's: at most once a second, and never for the
 * sake of telling alone.
 */

#include "daemon/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/notify.h"
#include "libclient/util.h"

#define NUMBER_MAX 32U

/* With commas: these are for people. */
static const char *group_digits(uint64_t n, char buf[NUMBER_MAX])
{
        char digits[NUMBER_MAX];
        int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
        char *at = buf;

        for (int i = 0; i < len; i++) {
                if (i > 0 && (len - i) % 3 == 0)
                        *at++ = ',';
                *at++ = digits[i];
        }
        *at = 0;
        return buf;
}

void status_format(const struct wire_status_reply *s, unsigned int hung, char text[STATUS_TEXT_MAX])
{
        uint64_t leaked = s->stuck + s->waiting;
        uint64_t entries = s->live + s->reaping + s->retained + leaked;
        char a[NUMBER_MAX], b[NUMBER_MAX], c[NUMBER_MAX];
        int n;

        n = snprintf(text, STATUS_TEXT_MAX, "%s owner%s, %s entr%s, %s leaked",
                     group_digits(s->owners, a), s->owners == 1 ? "" : "s",
                     group_digits(entries, b), entries == 1 ? "y" : "ies", group_digits(leaked, c));
        if (hung > 0)
                (void) snprintf(text + n, STATUS_TEXT_MAX - (size_t) n,
                                "; %u worker%s for a file system that does not answer", hung,
                                hung == 1 ? " waits" : "s wait");
}

bool status_tell(const char *text, char last[STATUS_TEXT_MAX])
{
        char message[STATUS_TEXT_MAX + 8];

        if (streq(text, last))
                return true;
        (void) snprintf(message, sizeof(message), "STATUS=%s", text);
        if (notify_send(message, -1) == -EAGAIN)
                return false;
        (void) snprintf(last, STATUS_TEXT_MAX, "%s", text); /* nobody listens: nobody is told */
        return true;
}
