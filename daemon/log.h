/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_LOG_H
#define TEMPFILED_LOG_H

/*
 * One line a happening: to the journal with fields when stderr leads there, else to stderr.
 * Called from conn, registry, server and main; the floors below return errors and stay quiet.
 */

#include <inttypes.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

/* What a message is about; zero members are left out. */
struct log_fields {
        const char *message_id; /* 32 hex digits, see systemd/tempfiled.catalog */
        const char *path;
        const char *unit;
        uint64_t entry;
        pid_t owner_pid;
        uid_t uid;
        int has_uid;
        int error; /* negative errno */
};

/* Message ids: an entry of the catalog each. */
#define LOG_ID_STUCK "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b31"
#define LOG_ID_REPLACED "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b32"
#define LOG_ID_SALVAGED "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b33"
#define LOG_ID_STORE_FAILED "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b34"
#define LOG_ID_UNKNOWN "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b35"
#define LOG_ID_CONFIG "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b36"
#define LOG_ID_LIMIT "5d6b4d1f6a0c4e5b9a4f0a5c7e1d2b37"

void log_set_level(int priority);

void log_write(int priority, const struct log_fields *fields, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_write(LOG_DEBUG, NULL, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, NULL, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERR, NULL, __VA_ARGS__)

#endif
