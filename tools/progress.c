/* SPDX-License-Identifier: MIT */

/*
 * Owns the line, and when it was last written.
 */

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "libclient/util.h"
#include "tools/progress.h"

#define QUIET_USEC USEC_PER_SEC
#define STEP_USEC (USEC_PER_SEC / 5)

static uint64_t begun_usec, shown_usec;
static bool is_shown;

static uint64_t now_usec(void)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

void progress_show(const char *what, size_t n)
{
        uint64_t now = now_usec();

        if (begun_usec == 0)
                begun_usec = now;
        if (now < begun_usec + QUIET_USEC || now < shown_usec + STEP_USEC || !isatty(STDERR_FILENO))
                return;
        shown_usec = now;
        is_shown = true;
        fprintf(stderr, "\r\033[K%s %zu", what, n);
}

void progress_clear(void)
{
        if (is_shown)
                fputs("\r\033[K", stderr);
        is_shown = false;
}
