/* SPDX-License-Identifier: MIT */

/*
 * Telling the daemon of places, and of what is held in them: once before anything is made, again to
 * each daemon that is started later, and to the first one that is there at all, when things have
 * been made without. All of it with the session locked.
 *
 * The subtle thing: reports under a tag that the daemon does not know are passed over, and it
 * answers when it knows. So what was made without a daemon is said when that answer has come.
 */

#include "libclient/announce.h"

#include <sys/random.h>

#include "libclient/deadline.h"
#include "libclient/entry.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define TAG_ATTEMPTS 3U /* two equal draws of 64 bits are an error of ours or of the generator's */
#define REPEAT_SIZE 4096U               /* of packets that say again what is held */
#define PAUSE_USEC (20 * USEC_PER_MSEC) /* between attempts of one who waits */

struct tag_packet {
        struct wire_tag tag;
        char path[WIRE_PATH_MAX];
};

static size_t build_tag(const struct place *p, struct tag_packet *packet)
{
        const size_t path_len = strlen(p->path);

        packet->tag = (struct wire_tag) {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_TAG },
                .tag = p->tag,
                .path_len = (uint16_t) path_len,
                .flags = p->is_unreadable ? WIRE_TAG_UNREADABLE : 0,
        };
        memcpy(packet->tag.key, p->key, sizeof(p->key));
        memcpy(packet->path, p->path, path_len + 1);
        return sizeof(packet->tag) + path_len + 1;
}

static int draw(void *buf, size_t size)
{
        ssize_t n;

        do
                n = getrandom(buf, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

/* An older daemon that takes this one's place before it is asked hangs up once, and is asked again without. */
static bool may_be_any(const struct place *p)
{
        const struct client *c = &p->session->client;

        return c->phase == CLIENT_READY && (c->features & WIRE_FEATURE_TAGGED) && !p->is_unreadable;
}

/* It may have answered with another one. */
static void take_tagged(struct place *p)
{
        struct wire_tagged m;

        if (wire_header_of(p->session->client.packet).opcode != WIRE_TAGGED)
                return;
        memcpy(&m, p->session->client.packet, sizeof(m));
        p->tag = m.tag;
        memcpy(p->key, m.key, sizeof(p->key));
}

static int ask_for_tag(struct place *p, uint64_t deadline_usec)
{
        struct tag_packet packet;
        size_t len = build_tag(p, &packet);
        int r;

        (void) client_connect(&p->session->client, deadline_usec); /* a failure is asking's, too */
        if (may_be_any(p))
                packet.tag.flags = WIRE_TAG_ANY;
        r = session_request(p->session, &packet, len, p->dir.fd, deadline_usec, NULL);
        if (r >= 0)
                take_tagged(p);
        return r;
}

/* Draws tag and key, and waits until the daemon has stored them. */
int announce(struct place *p, uint64_t deadline_usec)
{
        int r;

        for (unsigned int i = 0; i < TAG_ATTEMPTS; i++) {
                r = draw(&p->tag, sizeof(p->tag));
                if (r == 0)
                        r = draw(p->key, sizeof(p->key));
                if (r < 0)
                        return r;
                if (p->tag == 0)
                        continue;
                r = ask_for_tag(p, deadline_usec);
                if (r != -EEXIST)
                        return MIN(r, 0);
        }
        return -EIO;
}

static int say_tag_again(struct place *p, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;
        struct tag_packet packet;
        const size_t len = build_tag(p, &packet);

        packet.tag.flags |= WIRE_TAG_AGAIN;
        p->is_heard |= p->tag_serial != 0;
        p->tag_serial = client_number(c, &packet);
        return client_send(c, &packet, len, p->dir.fd, deadline_usec);
}

struct track_packet {
        struct wire_register body;
        char name[NAME_LEN_MAX + 1];
};

/* What it is, is looked at when it is there; so it is tracked, not reserved. */
static size_t build_track(const struct place *p, const struct entry *e, struct track_packet *packet)
{
        const size_t name_len = strlen(e->name);

        packet->body = (struct wire_register) {
                .header = { .version = WIRE_VERSION, .opcode = WIRE_TRACK },
                .tag = p->tag,
                .retain_sec = e->retain_sec,
                .owner = { .kind = WIRE_OWNER_PROCESS },
                .kind = e->kind,
                .name_len = (uint16_t) name_len,
        };
        memcpy(packet->name, e->name, name_len + 1);
        return sizeof(packet->body) + name_len + 1;
}

static int track_unsaid(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;
        struct track_packet packet;
        const size_t len = build_track(p, e, &packet);
        uint32_t serial;
        int r;

        serial = client_number(c, &packet);
        r = client_send(c, &packet, len, -1, deadline_usec);
        if (r == 0)
                e->serial = serial;
        return r;
}

static int say_entries_again(struct place *p, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;
        uint8_t buf[REPEAT_SIZE];
        size_t len = 0;
        int r;

        for (struct entry *e = p->entries; e; e = e->next) {
                const struct wire_record record = {
                        .what = WIRE_MADE,
                        .kind = e->kind,
                        .seq = e->seq,
                        .tag_or_id = p->tag,
                };

                if (e->is_unsaid) {
                        r = track_unsaid(p, e, deadline_usec);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (e->seq == 0 || e->id != 0)
                        continue; /* acknowledged ones are not forgotten */
                if (wire_add_record(buf, sizeof(buf), &len, &record, e->name) == 0)
                        continue;
                (void) client_number(c, buf);
                r = client_send(c, buf, len, -1, deadline_usec);
                if (r < 0)
                        return r;
                len = 0;
                (void) wire_add_record(buf, sizeof(buf), &len, &record, e->name);
        }
        if (len == 0)
                return 0;
        (void) client_number(c, buf);
        return client_send(c, buf, len, -1, deadline_usec);
}

/* What was under way on the connection before is not answered any more. */
static void lose_answers(struct place *p)
{
        for (struct entry *e = p->entries; e; e = e->next) {
                e->is_heard |= e->serial != 0;
                e->serial = 0;
        }
}

/* One that can't be opened any more is left out: the daemon has it stored and can do no less. */
static int say_place_again(struct place *p, uint64_t deadline_usec)
{
        int r;

        lose_answers(p);
        if (p->is_hidden || place_reopen(p) < 0 || p->is_doubtful)
                return 0;
        r = say_tag_again(p, deadline_usec);
        if (r < 0 || p->is_unknown)
                return r; /* reports under a tag that is not known yet would be passed over */
        return say_entries_again(p, deadline_usec);
}

/* Answers are taken as they come, lest they pile up. */
static int say_places_again(struct session *s, uint64_t deadline_usec)
{
        struct place *next;
        int r;

        for (struct place *p = s->places; p; p = next) {
                p->pins++;
                r = say_place_again(p, deadline_usec);
                client_drain(&s->client);
                p->pins--;
                next = p->next;
                place_forget_if_idle(p);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The first daemon that has heard of it is told what was made without one. */
static void on_tag_answered(struct place *p, int result)
{
        p->tag_serial = 0;
        if (result < 0)
                p->is_dead = true;
        else if (p->is_unknown) {
                p->is_unknown = false;
                (void) say_entries_again(p, deadline_in(SESSION_TIMEOUT_USEC)); /* or the next is */
        }
}

static void on_registered(struct entry *e, uint64_t id)
{
        e->id = id;
        e->is_unsaid = e->is_heard = false;
}

static bool on_entry_answered(struct place *p, const struct wire_result *result)
{
        for (struct entry *e = p->entries; e; e = e->next) {
                if (e->serial != result->header.serial)
                        continue;
                e->serial = 0;
                if (result->result >= 0)
                        on_registered(e, result->id);
                return true;
        }
        return false;
}

static void on_answered(struct session *s, const struct wire_result *result)
{
        for (struct place *p = s->places; p; p = p->next) {
                if (p->tag_serial == result->header.serial)
                        return on_tag_answered(p, result->result);
                if (on_entry_answered(p, result))
                        return;
        }
}

const struct session_hooks announce_hooks = {
        .say_again = say_places_again,
        .answered = on_answered,
};

/* ---- made without one ---------------------------------------------------------------------------- */

/* Who connects says all tags: an answer may be on its way. */
static int await_tag(struct place *p, uint64_t deadline_usec)
{
        int r = 0;

        while (r == 0 && p->is_unknown && p->tag_serial != 0)
                r = client_listen(&p->session->client, deadline_usec);
        return r;
}

static int ask_tag(struct place *p, uint64_t deadline_usec)
{
        struct tag_packet packet;
        size_t len;
        int r;

        r = place_reopen(p);
        if (r < 0)
                return r;
        len = build_tag(p, &packet);
        packet.tag.flags |= WIRE_TAG_AGAIN;
        r = session_request(p->session, &packet, len, p->dir.fd, deadline_usec, NULL);
        if (r == -EEXIST && p->tag_serial != 0)
                return await_tag(p, deadline_usec); /* connected anew, and said twice */
        if (r >= 0)
                on_tag_answered(p, r);
        else
                p->is_heard |= p->session->client.was_sent;
        return MIN(r, 0);
}

int announce_anew(struct place *p, uint64_t deadline_usec)
{
        int r;

        if (!p->is_unknown)
                return 0;
        if (p->is_hidden)
                return -ECONNREFUSED;
        p->pins++;
        r = client_connect(&p->session->client, deadline_usec);
        if (r == 0)
                r = await_tag(p, deadline_usec);
        if (r == 0 && p->is_unknown)
                r = ask_tag(p, deadline_usec);
        p->pins--;
        return p->is_unknown ? r : 0;
}

bool announce_never(struct place *p, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;

        if (p->is_unknown && !p->is_hidden) {
                if (client_connect(c, DEADLINE_PAST) == 0)
                        (void) announce_anew(p, deadline_usec);
                if (!p->is_unknown || c->phase == CLIENT_READY || p->tag_serial != 0 || p->is_heard)
                        return false; /* a daemon has heard of it, or may have */
                p->is_hidden = p->is_dead = true;
        }
        return p->is_hidden;
}

/* Who connects says all entries anew: the answer to come is another then. */
static int await_entry(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        struct client *c = &p->session->client;
        int r;

        for (;;) {
                r = client_connect(c, deadline_usec);
                while (r == 0 && e->serial != 0)
                        r = client_listen(c, deadline_usec);
                if (r != -ECONNRESET)
                        return r;
                deadline_pause(PAUSE_USEC, deadline_usec);
                if (deadline_left_msec(deadline_usec) == 0)
                        return -ETIMEDOUT;
        }
}

static int ask_entry(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        struct track_packet packet;
        const size_t len = build_track(p, e, &packet);
        uint64_t id;
        int r;

        session_want(p->session, e->given_up); /* the same entry answers to both */
        r = session_request(p->session, &packet, len, -1, deadline_usec, &id);
        if (r >= 0)
                on_registered(e, id);
        else if (session_is_away(r) && p->session->client.was_sent) {
                e->is_heard = true;
                e->given_up = packet.body.header.serial;
        }
        return r == -ENOENT ? -ESTALE : MIN(r, 0);
}

/* @is_wanted: it is to be known, not only if it may be. */
static int settle_entry(struct place *p, struct entry *e, bool is_wanted, uint64_t deadline_usec)
{
        int r;

        p->pins++;
        r = announce_anew(p, deadline_usec);
        if (r == 0)
                r = await_entry(p, e, deadline_usec);
        if (r == 0 && e->is_unsaid && (is_wanted || e->is_heard)) {
                r = ask_entry(p, e, deadline_usec);
                if (r == 0)
                        r = await_entry(p, e, deadline_usec); /* connected anew, and said twice */
        }
        p->pins--;
        return r;
}

int announce_entry(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        return settle_entry(p, e, true, deadline_usec);
}

int announce_heard(struct place *p, struct entry *e, uint64_t deadline_usec)
{
        if (p->is_hidden || (e->serial == 0 && !e->is_heard))
                return 0;
        return settle_entry(p, e, false, deadline_usec);
}
