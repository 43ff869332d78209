/* SPDX-License-Identifier: MIT */

/*
 * Owns the decision where a message goes. The journal is used when stderr is its stream
 * (JOURNAL_STREAM names stderr's device and inode): then fields can be attached that a line of
 * text can't carry. Names come from clients: control characters are escaped in text, so that no
 * name can forge a line or alter a terminal.
 */

#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "libclient/util.h"

#define LINE_SIZE 8192

static int level = LOG_INFO;

void log_set_level(int priority)
{
        level = priority;
}

static bool stderr_is_journal(void)
{
        static int known = -1;
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (known >= 0)
                return known;
        known = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
                fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
        return known;
}

static void escape(const char *text, char *buf, size_t size)
{
        size_t n = 0;

        for (; *text && n + 5 < size; text++) {
                unsigned char c = (unsigned char) *text;

                if (c < 0x20 || c == 0x7f)
                        n += (size_t) sprintf(buf + n, "\\x%02x", c);
                else
                        buf[n++] = (char) c;
        }
        buf[n] = 0;
}

struct field_list {
        struct iovec iov[16];
        char *text[16];
        int n;
};

static void add_field(struct field_list *l, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&l->text[l->n], format, ap);
        va_end(ap);
        if (r < 0)
                return; /* a field less is better than no message */
        l->iov[l->n] = (struct iovec) { l->text[l->n], (size_t) r };
        l->n++;
}

static void write_journal(int priority, const struct log_fields *f, const char *line)
{
        struct field_list l = { .n = 0 };

        add_field(&l, "MESSAGE=%s", line);
        add_field(&l, "PRIORITY=%d", priority);
        add_field(&l, "SYSLOG_IDENTIFIER=tempfiled");
        if (f && f->message_id)
                add_field(&l, "MESSAGE_ID=%s", f->message_id);
        if (f && f->path)
                add_field(&l, "TEMPFILED_PATH=%s", f->path);
        if (f && f->unit)
                add_field(&l, "TEMPFILED_UNIT=%s", f->unit);
        if (f && f->entry)
                add_field(&l, "TEMPFILED_ENTRY=%" PRIu64 ".%" PRIu64, f->entry >> 32,
                          f->entry & UINT32_MAX);
        if (f && f->owner_pid)
                add_field(&l, "TEMPFILED_OWNER_PID=%d", (int) f->owner_pid);
        if (f && f->has_uid)
                add_field(&l, "TEMPFILED_UID=%u", (unsigned int) f->uid);
        if (f && f->error)
                add_field(&l, "ERRNO=%d", -f->error);
        (void) sd_journal_sendv(l.iov, l.n); /* nobody is left to tell */
        for (int i = 0; i < l.n; i++)
                free(l.text[i]);
}

void log_write(int priority, const struct log_fields *fields, const char *format, ...)
{
        char raw[LINE_SIZE], line[LINE_SIZE];
        int saved = errno;
        va_list ap;

        if (priority > level)
                return;
        va_start(ap, format);
        (void) vsnprintf(raw, sizeof(raw), format, ap);
        va_end(ap);
        escape(raw, line, sizeof(line));
        if (stderr_is_journal())
                write_journal(priority, fields, line);
        else
                fprintf(stderr, "tempfiled: %s\n", line);
        errno = saved;
}
