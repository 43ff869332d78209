/* SPDX-License-Identifier: MIT */

/*
 * Who has it: giving, sharing, letting go of the handle alone, and for how long. All of it postpones
 * or cancels a deletion, so each is stored durably before the call returns.
 *
 * The subtle thing: a call that was not answered in time may have been heard. The thing is perhaps
 * another's by then, so this process does not delete it any more; its owners' ends decide.
 */

#include "libclient/libtempfile.h"

#include "libclient/deadline.h"
#include "libclient/handle.h"
#include "libclient/process.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

/* What is held inside a directory goes where the directory goes. */
static int claim_in(struct tempfile *t, struct place *p, const struct recipe *r, bool gives)
{
        int q = 0;

        if (gives && t->entry.kind == WIRE_KIND_DIRECTORY)
                q = entry_keep_below(p, t->path, r->deadline_usec);
        if (q == 0)
                q = entry_claim(p, &t->entry, &r->owner, r->pidfd, gives, r->deadline_usec);
        if (q == 0 && gives)
                ownfd_close(&t->lock);
        return q;
}

static int claim(struct tempfile *t, const struct tempfile_options *owner, bool gives)
{
        struct recipe recipe;
        struct place *p;
        int r;

        if (!t || !owner)
                return -EINVAL;
        if (t->pid != process_id())
                return -EPERM;
        r = recipe_read(owner, t->entry.kind, &recipe);
        if (r < 0)
                return r;
        p = entry_place(&t->entry);
        if (!p)
                return -EINVAL;
        r = recipe.is_own ? 0 : claim_in(t, p, &recipe, gives);
        place_put(p);
        return r;
}

_public_ int tempfile_give_to(struct tempfile *t, const struct tempfile_options *owner)
{
        return claim(t, owner, true);
}

_public_ int tempfile_share_with(struct tempfile *t, const struct tempfile_options *owner)
{
        return claim(t, owner, false);
}

static int claim_for_process(struct tempfile *t, int pidfd, bool gives)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;

        o.flags = TEMPFILE_OWNER_PIDFD;
        o.owner_pidfd = pidfd;
        if (t)
                o.timeout_msec = (uint32_t) (t->timeout_usec / USEC_PER_MSEC);
        return claim(t, &o, gives);
}

_public_ int tempfile_give(struct tempfile *t, int pidfd)
{
        return claim_for_process(t, pidfd, true);
}

_public_ int tempfile_share(struct tempfile *t, int pidfd)
{
        return claim_for_process(t, pidfd, false);
}

/* ---- for how long ----------------------------------------------------------------------------- */

static int change(struct tempfile *t, uint16_t opcode, uint32_t sec)
{
        if (!t)
                return -EINVAL;
        if (t->pid != process_id())
                return -EPERM;
        return entry_change(&t->entry, opcode, sec, deadline_in(t->timeout_usec));
}

_public_ int tempfile_renew(struct tempfile *t, uint32_t sec)
{
        return sec > 0 ? change(t, WIRE_RENEW, sec) : -EINVAL;
}

_public_ int tempfile_retain(struct tempfile *t, uint32_t sec)
{
        return change(t, WIRE_RETAIN, sec);
}

/* ---- tokens ----------------------------------------------------------------------------------- */

_public_ int tempfile_token_new(uint32_t timeout_msec, uint64_t *ret_id)
{
        const uint64_t usec =
                timeout_msec != 0 ? timeout_msec * USEC_PER_MSEC : SESSION_TIMEOUT_USEC;
        struct wire_token packet = {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_TOKEN },
        };
        struct session *s;
        int r, fd = -1;

        if (!ret_id)
                return -EINVAL;
        r = place_session(&s);
        if (r < 0)
                return r;
        session_lock(s);
        r = session_request_fd(s, &packet, sizeof(packet), deadline_in(usec), ret_id, &fd);
        session_unlock(s);
        if (r < 0)
                return r;
        return fd >= 0 ? fd : -EMFILE; /* there was no room for it: the token has ended */
}
