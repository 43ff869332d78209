/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl status: the daemon at a glance.
 */

#include <inttypes.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"

/* The numbers, in the order in which they are shown. */
static const struct {
        const char *label;
        const char *key;
        size_t offset;
} numbers[] = {
        { "live", "live", offsetof(struct tempfile_status, live) },
        { "reaping", "reaping", offsetof(struct tempfile_status, reaping) },
        { "retained", "retained", offsetof(struct tempfile_status, retained) },
        { "stuck", "stuck", offsetof(struct tempfile_status, stuck) },
        { "waiting", "waiting", offsetof(struct tempfile_status, waiting) },
        { "Owners", "owners", offsetof(struct tempfile_status, owners) },
        { "Connections", "connections", offsetof(struct tempfile_status, connections) },
        { "Directories", "directories", offsetof(struct tempfile_status, directories) },
        { "Tags", "tags", offsetof(struct tempfile_status, tags) },
        { "Reaped", "reaped", offsetof(struct tempfile_status, reaped) },
        { "Failed", "failed", offsetof(struct tempfile_status, failed) },
};

static uint64_t number_of(const struct tempfile_status *s, size_t i)
{
        uint64_t n;

        memcpy(&n, (const char *) s + numbers[i].offset, sizeof(n));
        return n;
}

static uint64_t entries_of(const struct tempfile_status *s)
{
        return s->live + s->reaping + s->retained + s->stuck + s->waiting;
}

static void print_json(const struct ctl *c, const struct tempfile_status *s)
{
        struct json j;

        json_init(&j, stdout, c->json_style);
        json_begin(&j, NULL, '{');
        json_string(&j, "version", s->version);
        json_string(&j, "instance", s->is_system ? "system" : "user");
        json_string(&j, "socket", s->socket);
        json_unsigned(&j, "pid", s->pid);
        json_unsigned(&j, "uptime_usec", s->uptime_usec);
        json_string(&j, "durability", s->is_power ? "power" : "crash");
        json_unsigned(&j, "entries", entries_of(s));
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                json_unsigned(&j, numbers[i].key, number_of(s, i));
        json_unsigned(&j, "database_bytes", s->database_bytes);
        json_end(&j, '}');
        json_done(&j);
}

/* Short lines: they stay whole on a narrow terminal. */
static void print_text(const struct tempfile_status *s)
{
        char text[64];

        ctl_print_field("Version", s->version);
        ctl_print_field("Instance", s->is_system ? "system" : "user");
        ctl_print_field("Socket", s->socket);
        ctl_print_number("PID", s->pid);
        entry_format_age(s->uptime_usec, text);
        ctl_print_field("Uptime", text);
        ctl_print_field("Durability", s->is_power ? "power" : "crash");
        ctl_print_number("Entries", entries_of(s));
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                ctl_print_number(numbers[i].label, number_of(s, i));
        (void) snprintf(text, sizeof(text), "%" PRIu64 " KiB", (s->database_bytes + 1023) / 1024);
        ctl_print_field("Database", text);
}

int ctl_status(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        struct tempfile_status s = { .size = sizeof(s) };
        int r;

        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        r = tempfile_admin_status(a, &s);
        if (r < 0)
                return ctl_error("cannot get the status: %s", ctl_strerror(r));
        if (c->is_json)
                print_json(c, &s);
        else
                print_text(&s);
        return CTL_OK;
}
