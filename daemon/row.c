/* SPDX-License-Identifier: MIT */

/*
 * Translates rows. The subtle thing: times are kept by the clock that nobody sets, and shown by the
 * one that people read.
 */

#include "daemon/row.h"

#include <stdio.h>
#include <time.h>

#include "libclient/util.h"

static uint64_t to_realtime(uint64_t boottime_usec)
{
        struct timespec boot, real;
        int64_t offset;

        if (boottime_usec == 0)
                return 0;
        (void) clock_gettime(CLOCK_BOOTTIME, &boot);
        (void) clock_gettime(CLOCK_REALTIME, &real);
        offset = (real.tv_sec - boot.tv_sec) * (int64_t) USEC_PER_SEC +
                 (real.tv_nsec - boot.tv_nsec) / (int64_t) NSEC_PER_USEC;
        return boottime_usec + (uint64_t) offset; /* whatever a damaged row may hold */
}

/* A row of a damaged database may hold any number; one that nobody knows would spoil all others in
 * the same answer. */
static uint8_t known(unsigned int value, unsigned int last, unsigned int otherwise)
{
        return (uint8_t) (value >= 1 && value <= last ? value : otherwise);
}

/* The same for a text that no packet has room for: its end is shown. */
static const char *bounded(const char *text)
{
        size_t len = text ? strlen(text) : 0;

        return len < WIRE_PATH_MAX ? text ?: "" : text + len - WIRE_PATH_MAX + 1;
}

void row_path(const char *directory, const char *name, char path[ROW_PATH_SIZE])
{
        (void) snprintf(path, ROW_PATH_SIZE, "%s/%s", streq(directory, "/") ? "" : directory,
                        name ? name : "");
}

void row_to_wire(const struct store_row *row, struct wire_row *ret, char path[ROW_PATH_SIZE],
                 const char *ret_strings[4])
{
        const struct store_entry *e = &row->entry;

        *ret = (struct wire_row) {
                .id = e->id,
                .created_usec = e->created_usec,
                .next_try_usec = to_realtime(e->next_try_usec),
                .expires_usec = to_realtime(row->deadline_usec),
                .owner = e->owner,
                .pid = (uint32_t) row->pid,
                .uid = row->uid,
                .error = MIN(e->error, 0),
                .attempts = e->attempts,
                .kind = known(e->kind, WIRE_KIND_OTHER, WIRE_KIND_OTHER),
                .state = known(e->state, WIRE_STATE_KEPT, WIRE_STATE_STUCK),
                .owner_kind = known(row->owner_kind, WIRE_OWNER_BOOT, WIRE_OWNER_PROCESS),
                .flags = e->identity.len == 0 ? WIRE_ROW_MADE : 0,
        };
        if (ret->state == WIRE_STATE_LIVE && row->owner_is_dead)
                ret->state = WIRE_STATE_REAPING;
        row_path(row->path, e->target ? e->target : e->name, path);
        ret_strings[0] = path;
        ret_strings[1] = bounded(row->unit);
        ret_strings[2] = bounded(row->command);
        ret_strings[3] = bounded(e->failed);
}

bool row_is_visible(uid_t uid, const struct cred *asker)
{
        return asker->uid == 0 || cred_is_own(asker->uid) || uid == asker->uid;
}
