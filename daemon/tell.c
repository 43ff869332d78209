/* SPDX-License-Identifier: MIT */

/*
 * Owns telling what happens to those who watch. Nobody nearly always does: then callers skip all of
 * this by one branch. What happens often (made, reaped) is told from memory; for the rest the store
 * is asked for the row. What is told in a turn whose commit fails is told again when it is done
 * again.
 */

#include <stdio.h>

#include "daemon/registry-internal.h"
#include "daemon/row.h"
#include "libclient/util.h"

static void tell(struct registry *g, enum wire_event event, struct wire_row *row,
                 const char *const strings[4])
{
        row->event = event;
        g->callbacks.happened(row, strings, g->callbacks.userdata);
}

static void fill_owner(struct wire_row *row, const char *strings[4], const struct owner *o)
{
        row->owner_kind = WIRE_OWNER_PROCESS;
        strings[1] = strings[2] = "";
        if (!o)
                return;
        row->owner = o->id;
        row->owner_kind = (uint8_t) o->kind;
        row->pid = (uint32_t) o->pid;
        strings[1] = o->unit ? o->unit : o->process && o->process->unit ? o->process->unit : "";
        strings[2] = o->command;
}

void tell_pending(struct registry *g, enum wire_event event, const struct pending *p)
{
        const struct tag *t = registry_tag_by_id(g, p->id >> SEQ_BITS);
        const char *strings[4] = { 0 };
        char path[ROW_PATH_SIZE];
        struct wire_row row = {
                .id = p->id,
                .created_usec = p->created_usec,
                .kind = (uint8_t) p->kind,
                .state = WIRE_STATE_LIVE,
                .flags = WIRE_ROW_MADE,
        };

        if (!t || !p->name)
                return;
        row.uid = t->cred->cred.uid;
        fill_owner(&row, strings, t->owner);
        row_path(t->directory->path, p->name, path);
        strings[0] = path;
        tell(g, event, &row, strings);
}

static enum wire_event event_of(const struct reap_item *i)
{
        if (i->outcome == REAP_GONE)
                return WIRE_EVENT_REAPED;
        if (i->outcome == REAP_OTHER)
                return WIRE_EVENT_REPLACED;
        if (i->attempts > 0)
                return WIRE_EVENT_RETRIED;
        return i->outcome == REAP_WAITING ? WIRE_EVENT_WAITING : WIRE_EVENT_STUCK;
}

static enum wire_state state_after(enum reap_outcome outcome)
{
        if (outcome == REAP_GONE || outcome == REAP_OTHER)
                return WIRE_STATE_REAPING;
        return outcome == REAP_WAITING ? WIRE_STATE_WAITING : WIRE_STATE_STUCK;
}

void tell_outcome(struct registry *g, const struct batch *b, const struct reap_item *i)
{
        const char *strings[4] = { [3] = i->failed };
        char path[ROW_PATH_SIZE];
        struct wire_row row = {
                .id = i->id,
                .owner = i->owner,
                .uid = b->cred->cred.uid,
                .error = i->error,
                .attempts = i->attempts + 1,
                .kind = (uint8_t) i->kind,
                .state = (uint8_t) state_after(i->outcome),
                .flags = i->identity ? 0 : WIRE_ROW_MADE,
        };

        fill_owner(&row, strings, registry_owner(g, i->owner ? i->owner : b->owner));
        row_path(b->directory->path, i->target ? i->target : i->name, path);
        strings[0] = path;
        tell(g, event_of(i), &row, strings);
}

struct telling {
        struct registry *registry;
        enum wire_event event;
        uint64_t id;
};

static int tell_row(const struct store_row *row, void *userdata)
{
        struct telling *w = userdata;
        const char *strings[4];
        char path[ROW_PATH_SIZE];
        struct wire_row m;

        if (row->entry.id != w->id || row->entry.state == WIRE_STATE_KEPT)
                return 0;
        row_to_wire(row, &m, path, strings);
        tell(w->registry, w->event, &m, strings);
        return 0;
}

void tell_stored(struct registry *g, enum wire_event event, uint64_t id)
{
        struct telling w = { g, event, id };
        uint64_t cursor = id - 1;

        (void) store_list(g->store, &cursor, 1, tell_row, &w); /* the commit reports a failure */
}

void registry_watch(struct registry *g, bool is_watched)
{
        g->is_watched = is_watched;
}
