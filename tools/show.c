/* SPDX-License-Identifier: MIT */

/*
 * tempfilectl show: all that is known about single entries.
 */

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "libclient/util.h"
#include "tools/ctl.h"
#include "tools/entry.h"
#include "tools/select.h"

struct showing {
        const struct ctl *ctl;
        struct json json;
        const struct selector *wanted;
        bool *is_found; /* one for each name */
        bool is_first;
};

static void print_time(const char *label, uint64_t usec)
{
        time_t sec = (time_t) (usec / USEC_PER_SEC);
        char text[64];
        struct tm tm;

        if (usec == 0)
                return;
        if (!localtime_r(&sec, &tm) || strftime(text, sizeof(text), "%F %T %z", &tm) == 0)
                return;
        ctl_print_field(label, text);
}

static void print_optional(const char *label, const char *value)
{
        if (*value)
                ctl_print_field(label, value);
}

static void print_owner(const struct tempfile_entry *e)
{
        char text[64];

        (void) snprintf(text, sizeof(text), "%s", entry_owner_kind_name(e->owner_kind));
        if (entry_has_process(e))
                (void) snprintf(text, sizeof(text), "%s %" PRIu32,
                                entry_owner_kind_name(e->owner_kind), e->pid);
        ctl_print_field("Owner", text);
        print_optional("Command", e->command);
        print_optional("Unit", e->unit);
}

static void print_failure(const struct tempfile_entry *e)
{
        if (e->attempts > 0)
                ctl_print_number("Attempts", e->attempts);
        if (e->error != 0)
                ctl_print_field("Error", strerror(-e->error));
        print_optional("Failed at", e->failed);
        print_time("Next try", e->next_try_usec);
}

static void print_entry(const struct tempfile_entry *e)
{
        char id[ENTRY_ID_SIZE], age[ENTRY_AGE_SIZE];

        entry_format_id(e->id, id);
        entry_format_since(e->created_usec, age);
        ctl_print_field("Path", e->path);
        ctl_print_field("ID", id);
        ctl_print_field("Kind", entry_kind_name(e->kind));
        ctl_print_field("State", entry_state_name(e->state));
        ctl_print_field("User", entry_user_name(e->uid));
        print_owner(e);
        print_time("Created", e->created_usec);
        ctl_print_field("Age", age);
        print_time("Expires", e->expires_usec);
        ctl_print_field("Known by", e->is_made ? "name, type and user" : "inode and file handle");
        print_failure(e);
}

static int on_entry(const struct tempfile_entry *e, void *userdata)
{
        struct showing *s = userdata;
        bool is_wanted = false;

        for (int i = 0; i < s->ctl->n_args; i++)
                if (selector_matches(&s->wanted[i], e))
                        is_wanted = s->is_found[i] = true;
        if (!is_wanted)
                return 0;
        if (s->ctl->is_json) {
                entry_print_json(&s->json, e, NULL);
                return 0;
        }
        if (!s->is_first)
                putchar('\n');
        s->is_first = false;
        print_entry(e);
        return 0;
}

static int show_all(struct showing *s, struct tempfile_admin *a)
{
        int64_t n;
        int status = CTL_OK;

        if (s->ctl->is_json) {
                json_init(&s->json, stdout, s->ctl->json_style);
                json_begin(&s->json, NULL, '[');
        }
        n = tempfile_admin_list(a, NULL, on_entry, s);
        if (n < 0)
                return ctl_error("cannot list: %s", ctl_strerror((int) n));
        if (s->ctl->is_json) {
                json_end(&s->json, ']');
                json_done(&s->json);
        }
        for (int i = 0; i < s->ctl->n_args; i++)
                if (!s->is_found[i])
                        status = ctl_error("no entry '%s'", s->ctl->args[i]);
        return status;
}

int ctl_show(struct ctl *c)
{
        _cleanup_(ctl_disconnectp) struct tempfile_admin *a = NULL;
        _cleanup_(selection_freep) struct selection *wanted = NULL;
        _cleanup_(freep) bool *is_found = NULL;
        struct showing s = { .ctl = c, .is_first = true };
        int r;

        r = selection_new(c->args, (size_t) c->n_args, &wanted);
        if (r < 0)
                return ctl_error("%s", ctl_strerror(r));
        is_found = calloc((size_t) c->n_args, sizeof(*is_found));
        if (!is_found)
                return ctl_error("%s", ctl_strerror(-ENOMEM));
        r = ctl_connect(0, &a);
        if (r != CTL_OK)
                return r;
        s.wanted = wanted->items;
        s.is_found = is_found;
        return show_all(&s, a);
}
