/* SPDX-License-Identifier: MIT */

/*
 * Filters that the wire does not have.
 *
 * The subtle thing is the same as in select.c: the daemon knows real paths, so --under is resolved
 * where it can be; a directory that is gone is compared as it was written.
 */

#include <stdio.h>
#include <time.h>

#include "libclient/util.h"
#include "tools/filter.h"
#include "tools/select.h"

char *filter_unit_name(const char *unit)
{
        char *name;

        if (strchr(unit, '.'))
                return strdup(unit);
        return asprintf(&name, "%s.service", unit) < 0 ? NULL : name;
}

bool filter_is_under(const char *path, const char *dir)
{
        size_t len = strlen(dir);

        if (streq(dir, "/"))
                return true;
        return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static uint64_t now_realtime_usec(void)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now); /* can't fail with a valid clock */
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

int filter_init(struct filter *f, const struct ctl *c)
{
        *f = (struct filter) { .ctl = c, .now_usec = now_realtime_usec() };
        if (c->under) {
                f->under = realpath(c->under, NULL);
                if (!f->under && select_make_absolute(c->under, &f->under) < 0)
                        return -ENOMEM;
        }
        if (c->unit) {
                f->unit = filter_unit_name(c->unit);
                if (!f->unit)
                        return -ENOMEM;
        }
        return 0;
}

void filter_done(struct filter *f)
{
        free(f->under);
        free(f->unit);
}

bool filter_matches(const struct filter *f, const struct tempfile_entry *e)
{
        if (f->unit && !streq(f->unit, e->unit))
                return false;
        if (f->under && !filter_is_under(e->path, f->under))
                return false;
        if (f->ctl->is_older && e->created_usec + f->ctl->age_usec > f->now_usec)
                return false;
        return true;
}
