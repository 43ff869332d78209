/* SPDX-License-Identifier: MIT */

/*
 * What a caller asks for, checked: the one place that reads struct tempfile_options, whose size
 * says which header the caller was compiled with. The subtle thing: a caller with a newer header is
 * served as long as it does not use what is newer, which is so when all of that is zero.
 */

#include "libclient/handle.h"

#include <fcntl.h>
#include <stdio.h>

#include "libclient/deadline.h"
#include "libclient/name.h"
#include "libclient/process.h"
#include "libclient/session.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define OPTIONS_SIZE_FIRST sizeof(struct tempfile_options) /* of release 0.1; never changes */
#define OPTIONS_FLAGS                                                                              \
        (TEMPFILE_OWNER_PIDFD | TEMPFILE_BEST_EFFORT | TEMPFILE_NO_DELETE |                        \
         TEMPFILE_IGNORE_CLEANUP_ERRORS)
#define MODE_MAX 07777U
#define PATTERN_X_MIN 3U

static bool is_zero(const void *data, size_t size)
{
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++)
                if (bytes[i] != 0)
                        return false;
        return true;
}

static int copy_options(const struct tempfile_options *options, struct tempfile_options *ret)
{
        const size_t size = options->size;

        if (size < OPTIONS_SIZE_FIRST)
                return -EINVAL;
        if (size > sizeof(*ret) &&
            !is_zero((const uint8_t *) options + sizeof(*ret), size - sizeof(*ret)))
                return -E2BIG;

        memcpy(ret, options, MIN(size, sizeof(*ret)));
        if (ret->flags & ~OPTIONS_FLAGS)
                return -EINVAL;
        if (ret->mode > MODE_MAX || !is_zero(ret->reserved, sizeof(ret->reserved)))
                return -EINVAL;
        return 0;
}

/* Each kind with its members, and without the others'. */
static int check_owner(const struct tempfile_options *o, uint32_t kind)
{
        const bool has_pidfd = o->flags & TEMPFILE_OWNER_PIDFD;

        if (kind < TEMPFILE_OWNER_PROCESS || kind > TEMPFILE_OWNER_BOOT ||
            kind == TEMPFILE_OWNER_DESCRIPTOR)
                return -EINVAL;
        if (has_pidfd &&
            (o->owner_pidfd < 0 || (kind != TEMPFILE_OWNER_PROCESS && kind != TEMPFILE_OWNER_UNIT)))
                return -EINVAL;
        if ((kind == TEMPFILE_OWNER_LEASE) != (o->lease_sec != 0))
                return -EINVAL;
        if (kind == TEMPFILE_OWNER_UNIT)
                return 0;
        return (kind == TEMPFILE_OWNER_TOKEN) == (o->token != 0) ? 0 : -EINVAL;
}

static int read_pattern(const char *pattern, struct recipe *r)
{
        size_t end = strlen(pattern), start;

        if (end > NAME_LEN_MAX)
                return -ENAMETOOLONG;
        for (;; end = start) {
                while (end > 0 && pattern[end - 1] != 'X')
                        end--;
                if (end == 0)
                        return -EINVAL;
                for (start = end; start > 0 && pattern[start - 1] == 'X';)
                        start--;
                if (end - start >= PATTERN_X_MIN)
                        break;
        }

        r->prefix = pattern;
        r->prefix_len = start;
        r->random_len = end - start;
        r->suffix = pattern + end;
        return 0;
}

static int read_name(const struct tempfile_options *o, struct recipe *r)
{
        int q;

        r->prefix = o->prefix ? o->prefix : tempfile_gettempprefix();
        r->suffix = o->suffix ? o->suffix : "";
        r->prefix_len = strlen(r->prefix);
        if (o->pattern) {
                if (o->prefix)
                        return -EINVAL;
                q = read_pattern(o->pattern, r);
                if (q < 0)
                        return q;
                if (o->suffix && r->suffix[0] != '\0')
                        return -EINVAL;
                r->suffix = o->suffix ? o->suffix : r->suffix;
        }
        r->suffix_len = strlen(r->suffix);

        if (memchr(r->prefix, '/', r->prefix_len) || memchr(r->suffix, '/', r->suffix_len))
                return -EINVAL;
        if (r->prefix_len + r->suffix_len + (o->pattern ? r->random_len : NAME_MARK_CHARS) >
            NAME_LEN_MAX)
                return -ENAMETOOLONG;
        return 0;
}

/* Who names itself needs no handing over. Without /proc it is taken for another process. */
static bool is_self(int pidfd)
{
        char path[sizeof("/proc/self/fdinfo/") + 3 * sizeof(int)], line[64];
        bool is_equal = false;
        FILE *f;
        int pid;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        f = fopen(path, "re");
        if (!f)
                return false;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Pid: %d", &pid) == 1)
                        is_equal = pid == process_id();
        (void) fclose(f);
        return is_equal;
}

static int read_owner(const struct tempfile_options *o, struct recipe *r)
{
        const uint32_t kind = o->owner_kind != 0 ? o->owner_kind : TEMPFILE_OWNER_PROCESS;
        int q;

        q = check_owner(o, kind);
        if (q < 0)
                return q;
        r->pidfd = o->flags & TEMPFILE_OWNER_PIDFD ? o->owner_pidfd : -1;
        r->is_own = kind == TEMPFILE_OWNER_PROCESS && (r->pidfd < 0 || is_self(r->pidfd));
        if (r->is_own)
                r->pidfd = -1;
        if (r->pidfd >= 0 && fcntl(r->pidfd, F_GETFD) < 0)
                return -EBADF;
        r->owner = (struct wire_owner) {
                .kind = kind,
                .lease_sec = o->lease_sec,
                .token = o->token,
        };
        return 0;
}

static bool wants_best_effort(const struct tempfile_options *o)
{
        const char *text = secure_getenv("TEMPFILED_BEST_EFFORT");

        return (o->flags & TEMPFILE_BEST_EFFORT) || (text && *text && !streq(text, "0"));
}

int recipe_read(const struct tempfile_options *options, uint8_t kind, struct recipe *ret)
{
        struct tempfile_options o = TEMPFILE_OPTIONS_INIT;
        struct recipe r = { .kind = kind };
        int q;

        if (options) {
                q = copy_options(options, &o);
                if (q < 0)
                        return q;
        }
        q = read_name(&o, &r);
        if (q == 0)
                q = read_owner(&o, &r);
        if (q < 0)
                return q;

        r.dir = o.dir;
        r.mode = o.mode != 0 ? o.mode : kind == WIRE_KIND_DIRECTORY ? 0700 : 0600;
        r.retain_sec = o.retain_sec;
        r.flags = o.flags;
        r.is_best_effort = wants_best_effort(&o);
        r.timeout_usec =
                o.timeout_msec != 0 ? o.timeout_msec * USEC_PER_MSEC : SESSION_TIMEOUT_USEC;
        r.deadline_usec = deadline_in(r.timeout_usec);
        *ret = r;
        return 0;
}
