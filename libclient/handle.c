/* SPDX-License-Identifier: MIT */

/*
 * Handles: memory, path, and the acknowledged registration that making and tracking share. Leaves
 * files alone. The subtle thing: the path is allocated with room for the longest name, so that
 * nothing that has been made can fail to be named afterwards.
 */

#include "libclient/handle.h"

#include <stdio_ext.h>

#include "libclient/process.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

int handle_new(const struct place *p, const struct recipe *r, struct tempfile **ret)
{
        const bool is_root = streq(p->path, "/");
        const size_t dir_len = is_root ? 0 : strlen(p->path);
        _cleanup_(handle_freep) struct tempfile *t = NULL;

        t = malloc(sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (struct tempfile) {
                .entry = { .session = p->session, .kind = r->kind },
                .pid = p->session->pid, /* this one: place_get() has compared */
                .fd = -1,
                .flags = r->flags,
                .lock = OWNFD_NONE,
                .timeout_usec = r->timeout_usec,
                .name_at = dir_len + 1,
        };
        t->path = malloc(dir_len + 1 + NAME_LEN_MAX + 1);
        if (!t->path)
                return -ENOMEM;
        memcpy(t->path, p->path, dir_len);
        memcpy(t->path + dir_len, "/", 2);

        *ret = TAKE_PTR(t);
        return 0;
}

int handle_flush(const struct tempfile *t)
{
        if (!t->stream)
                return 0;
        if (fflush(t->stream) != 0)
                return -errno;
        return ferror(t->stream) ? -EIO : 0;
}

/* What the parent's stream has buffered is the parent's to write, and its position the parent's. */
void handle_close_fd(struct tempfile *t)
{
        if (t->stream && t->pid != process_id())
                __fpurge(t->stream);
        if (t->stream)
                (void) fclose(TAKE_PTR(t->stream)); /* what it could not write is nobody's loss */
        else
                (void) close_fd(t->fd);
        t->fd = -1;
}

void handle_free(struct tempfile *t)
{
        if (!t)
                return;
        handle_close_fd(t);
        ownfd_close(&t->lock);
        free(t->path);
        free(t);
}

void handle_freep(struct tempfile **t)
{
        handle_free(*t);
}

void handle_leave(struct tempfile *t)
{
        if (!t->entry.place) {
                handle_free(t);
                return;
        }
        handle_close_fd(t);
        ownfd_close(&t->lock);
        free(TAKE_PTR(t->path));
}

const char *handle_name(const struct tempfile *t)
{
        return t->path + t->name_at;
}

void handle_set_name(struct tempfile *t, const char *name)
{
        memcpy(t->path + t->name_at, name, strlen(name) + 1);
}

int handle_register(struct tempfile *t, struct place *p, uint16_t opcode, const char *name,
                    const struct recipe *r)
{
        const size_t name_len = strlen(name);
        struct {
                struct wire_register body;
                char name[NAME_LEN_MAX + 1];
        } packet;
        bool is_heard;
        int q;

        packet.body = (struct wire_register) {
                .header = { .version = WIRE_VERSION, .opcode = opcode },
                .tag = p->tag,
                .seq = opcode == WIRE_TARGET ? t->entry.seq : 0,
                .retain_sec = r->retain_sec,
                .owner = r->owner,
                .kind = t->entry.kind,
                .name_len = (uint16_t) name_len,
        };
        memcpy(packet.name, name, name_len + 1);
        q = place_request(p, &packet, sizeof(packet.body) + name_len + 1, r->pidfd,
                          r->deadline_usec, &t->entry.id, &is_heard);
        if (q == -ENOENT && opcode == WIRE_RESERVE) {
                place_retire(p); /* the daemon does not know its tag */
                return -EAGAIN;
        }
        if (r->is_best_effort && r->is_own && opcode != WIRE_TARGET && session_is_away(q)) {
                t->entry.is_unsaid = true;
                t->entry.is_heard |= is_heard;
                t->entry.given_up = packet.body.header.serial;
                t->entry.retain_sec = r->retain_sec;
                return 0;
        }
        if (q >= 0)
                t->entry.is_unsaid = t->entry.is_heard = false;
        return MIN(q, 0);
}
