/* SPDX-License-Identifier: MIT */

/*
 * Words and numbers for entries.
 *
 * The words are those of the manual, the same in tables, JSON and arguments. Owns one cached user
 * name. The subtle thing: a daemon newer than this tool may send a word that is not known here.
 */

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>

#include "libclient/util.h"
#include "tools/entry.h"

void entry_format_id(uint64_t id, char ret[static ENTRY_ID_SIZE])
{
        (void) snprintf(ret, ENTRY_ID_SIZE, "%" PRIu32 ".%" PRIu32, (uint32_t) (id >> 32),
                        (uint32_t) id);
}

/* Digits up to @end_char; moves @s behind it. */
static int parse_half(const char **s, char end_char, uint32_t *ret)
{
        uint64_t n = 0;
        const char *p = *s;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                n = n * 10 + (uint64_t) (*p - '0');
                if (n > UINT32_MAX)
                        return -EINVAL;
        }
        if (*p != end_char)
                return -EINVAL;
        *ret = (uint32_t) n;
        *s = p + 1;
        return 0;
}

int entry_parse_id(const char *s, uint64_t *ret)
{
        uint32_t high, low;

        if (parse_half(&s, '.', &high) < 0 || parse_half(&s, '\0', &low) < 0)
                return -EINVAL;
        *ret = (uint64_t) high << 32 | low;
        return 0;
}

static const char *name_of(const char *const names[], size_t n, uint32_t value)
{
        return value < n && names[value] ? names[value] : "unknown";
}

const char *entry_kind_name(uint32_t kind)
{
        static const char *const names[] = {
                [TEMPFILE_KIND_FILE] = "file",
                [TEMPFILE_KIND_DIRECTORY] = "directory",
                [TEMPFILE_KIND_OTHER] = "other",
        };

        return name_of(names, ARRAY_SIZE(names), kind);
}

const char *entry_state_name(uint32_t state)
{
        static const char *const names[] = {
                [TEMPFILE_STATE_LIVE] = "live",         [TEMPFILE_STATE_REAPING] = "reaping",
                [TEMPFILE_STATE_RETAINED] = "retained", [TEMPFILE_STATE_STUCK] = "stuck",
                [TEMPFILE_STATE_WAITING] = "waiting",
        };

        return name_of(names, ARRAY_SIZE(names), state);
}

const char *entry_owner_kind_name(uint32_t owner_kind)
{
        static const char *const names[] = {
                [TEMPFILE_OWNER_PROCESS] = "process", [TEMPFILE_OWNER_DESCRIPTOR] = "descriptor",
                [TEMPFILE_OWNER_TOKEN] = "token",     [TEMPFILE_OWNER_UNIT] = "unit",
                [TEMPFILE_OWNER_LEASE] = "lease",     [TEMPFILE_OWNER_BOOT] = "boot",
        };

        return name_of(names, ARRAY_SIZE(names), owner_kind);
}

void entry_format_age(uint64_t usec, char ret[static ENTRY_AGE_SIZE])
{
        uint64_t sec = usec / USEC_PER_SEC;

        if (sec < 60)
                (void) snprintf(ret, ENTRY_AGE_SIZE, "%" PRIu64 "s", sec);
        else if (sec < 60 * 60)
                (void) snprintf(ret, ENTRY_AGE_SIZE, "%" PRIu64 "min", sec / 60);
        else if (sec < 48 * 60 * 60)
                (void) snprintf(ret, ENTRY_AGE_SIZE, "%" PRIu64 "h", sec / (60 * 60));
        else
                (void) snprintf(ret, ENTRY_AGE_SIZE, "%" PRIu64 "d", sec / (24 * 60 * 60));
}

static uint64_t now_realtime_usec(void)
{
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now); /* can't fail with a valid clock */
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / NSEC_PER_USEC;
}

void entry_format_since(uint64_t realtime_usec, char ret[static ENTRY_AGE_SIZE])
{
        uint64_t now_usec = now_realtime_usec();

        if (realtime_usec == 0) {
                (void) snprintf(ret, ENTRY_AGE_SIZE, "-");
                return;
        }
        entry_format_age(now_usec > realtime_usec ? now_usec - realtime_usec : 0, ret);
}

static void format_lease(const struct tempfile_entry *e, char ret[static ENTRY_OWNER_SIZE])
{
        uint64_t now_usec = now_realtime_usec();
        char rest[ENTRY_AGE_SIZE];

        if (e->expires_usec == 0) { /* of one that has ended nobody knows when it would have */
                (void) snprintf(ret, ENTRY_OWNER_SIZE, "lease");
                return;
        }
        entry_format_age(e->expires_usec > now_usec ? e->expires_usec - now_usec : 0, rest);
        if (e->state == TEMPFILE_STATE_RETAINED && *e->command)
                (void) snprintf(ret, ENTRY_OWNER_SIZE, "%s left of %s", rest, e->command);
        else
                (void) snprintf(ret, ENTRY_OWNER_SIZE, "%s left", rest);
}

void entry_format_owner(const struct tempfile_entry *e, char ret[static ENTRY_OWNER_SIZE])
{
        const char *kind = entry_owner_kind_name(e->owner_kind);

        switch (e->owner_kind) {
        case TEMPFILE_OWNER_PROCESS:
                (void) snprintf(ret, ENTRY_OWNER_SIZE, "%s", *e->command ? e->command : "-");
                return;
        case TEMPFILE_OWNER_UNIT:
                (void) snprintf(ret, ENTRY_OWNER_SIZE, "%s", *e->unit ? e->unit : kind);
                return;
        case TEMPFILE_OWNER_LEASE:
                return format_lease(e, ret);
        default:
                (void) snprintf(ret, ENTRY_OWNER_SIZE, "%s", kind);
        }
}

bool entry_has_process(const struct tempfile_entry *e)
{
        return e->pid != 0 &&
               (e->owner_kind == TEMPFILE_OWNER_PROCESS ||
                e->owner_kind == TEMPFILE_OWNER_DESCRIPTOR || e->state == TEMPFILE_STATE_RETAINED);
}

void entry_format_usage(const struct usage *usage, char ret[static QUANTITY_SIZE_SIZE])
{
        char bytes[QUANTITY_SIZE_SIZE];

        quantity_format_bytes(usage->bytes, bytes);
        (void) snprintf(ret, QUANTITY_SIZE_SIZE, "%.20s%s", usage->error < 0 ? "-" : bytes,
                        usage->error >= 0 && usage->is_partial ? "+" : "");
}

void entry_format_error(int32_t error, char ret[static ENTRY_ERROR_SIZE])
{
        const char *name = strerrorname_np(-error);

        if (error == 0)
                *ret = '\0';
        else if (name)
                (void) snprintf(ret, ENTRY_ERROR_SIZE, "%s", name);
        else
                (void) snprintf(ret, ENTRY_ERROR_SIZE, "errno %" PRIi32, -error);
}

const char *entry_user_name(uint32_t uid)
{
        static char name[256];
        static uint32_t name_uid = UINT32_MAX; /* (uid_t) -1 is nobody's */
        const struct passwd *pw;

        if (uid == name_uid)
                return name; /* lists come in runs of one user */
        pw = getpwuid(uid);
        if (pw)
                (void) snprintf(name, sizeof(name), "%s", pw->pw_name);
        else
                (void) snprintf(name, sizeof(name), "%" PRIu32, uid);
        name_uid = uid;
        return name;
}

static void print_time(struct json *j, const char *key, uint64_t usec)
{
        if (usec == 0)
                json_null(j, key);
        else
                json_unsigned(j, key, usec);
}

static void print_text(struct json *j, const char *key, const char *s)
{
        if (*s == '\0')
                json_null(j, key);
        else
                json_string(j, key, s);
}

static void print_owner(struct json *j, const struct tempfile_entry *e)
{
        json_begin(j, "owner", '{');
        json_unsigned(j, "id", e->owner);
        json_string(j, "kind", entry_owner_kind_name(e->owner_kind));
        if (e->pid != 0)
                json_unsigned(j, "pid", e->pid);
        else
                json_null(j, "pid");
        print_text(j, "command", e->command);
        print_text(j, "unit", e->unit);
        json_end(j, '}');
}

static void print_failure(struct json *j, const struct tempfile_entry *e)
{
        char error[ENTRY_ERROR_SIZE];

        json_unsigned(j, "attempts", e->attempts);
        entry_format_error(e->error, error);
        print_text(j, "error", error);
        print_text(j, "failed", e->failed);
        print_time(j, "next_try_usec", e->next_try_usec);
}

void entry_print_json_usage(struct json *j, const struct usage *usage)
{
        if (usage->error < 0) {
                json_null(j, "size");
                json_null(j, "size_partial");
                return;
        }
        json_unsigned(j, "size", usage->bytes);
        json_bool(j, "size_partial", usage->is_partial);
}

void entry_print_json_members(struct json *j, const struct tempfile_entry *e)
{
        char id[ENTRY_ID_SIZE];

        entry_format_id(e->id, id);
        json_string(j, "id", id);
        json_string(j, "path", e->path);
        json_string(j, "kind", entry_kind_name(e->kind));
        json_string(j, "state", entry_state_name(e->state));
        json_bool(j, "made", e->is_made);
        json_unsigned(j, "uid", e->uid);
        json_string(j, "user", entry_user_name(e->uid));
        print_owner(j, e);
        print_time(j, "created_usec", e->created_usec);
        print_time(j, "expires_usec", e->expires_usec);
        print_failure(j, e);
}

void entry_print_json(struct json *j, const struct tempfile_entry *e, const struct usage *usage)
{
        json_begin(j, NULL, '{');
        entry_print_json_members(j, e);
        if (usage)
                entry_print_json_usage(j, usage);
        json_end(j, '}');
}
