/* SPDX-License-Identifier: MIT */

/*
 * Owns the database file: the only file here that knows SQLite. Errors leave it as errno values.
 *
 * The subtle thing is who writes to the disk. The loop's connection has synchronous=OFF: it never
 * waits. The thread of sync.c writes the log through (fdatasync) where a promise must outlive a
 * power cut, and runs checkpoints on a connection of its own with synchronous=FULL. What OFF would
 * break is the moment in which SQLite starts the log from its beginning again: old frames behind a
 * half-written new header could be replayed over newer pages. So the loop must never be the one
 * who does that. A second connection holds a read mark while the first, long step of a checkpoint
 * runs, which keeps SQLite from starting over; then the loop holds its writes for the few
 * milliseconds of the second step, which copies the rest and starts the log over itself, by a change
 * of its own that is written through. The log keeps its size: what is written where there has been
 * something before is on the disk in less time, since the file itself does not change.
 */

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/lock.h"
#include "daemon/salvage.h"
#include "daemon/store-internal.h"
#include "daemon/store-sql.h"
#include "daemon/sync.h"
#include "libclient/name.h"
#include "libclient/util.h"

#define DAMAGED_MARK                                                                               \
        "damaged" /* left when damage shows while running: salvaged at the next start */
#define CHECKPOINT_FRAMES 2000 /* 8 MiB of log */
#define RESTARTED_FRAMES 10    /* at most that long is a log that has just begun */
#define LOG_SIZE "16777216"    /* what it has grown beyond that is given back */
/* Another value each time: a page that stays as it is is not written. */
#define START_LOG "INSERT OR REPLACE INTO meta (name, value) VALUES ('log', randomblob(16))"
#define BUSY_MSEC 2000

static const char *const statement_text[STMT_MAX] = {
#define X(name, text) [STMT_##name] = text,
        STATEMENTS(X)
#undef X
};

struct store {
        int dirfd;
        int lock_fd;
        char *path;
        sqlite3 *db;
        sqlite3 *checkpointer, *pin; /* the sync thread's */
        sqlite3_stmt *stmt[STMT_MAX];
        int log_fd;
        struct sync *sync;
        struct store_callbacks callbacks;
        bool in_transaction;
        bool is_held; /* the log is being started over */
        bool is_checkpointing;
        int failed; /* what the current transaction failed with */
        int log_frames;
        int restarted_frames; /* by who starts it over */
        uint64_t committed;
        struct store_tally tally, committed_tally;
        uint8_t key[NAME_KEY_SIZE];
};

static bool is_full(int error)
{
        return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* What the last writes failed with: by the time that SQLite asks for errno it is another. */
static int errno_of_file(sqlite3 *db, int which)
{
        sqlite3_file *file = NULL;
        int error = 0;

        (void) sqlite3_file_control(db, NULL, which, &file);
        if (file && file->pMethods)
                (void) file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
        return error;
}

/* A quota or a limit on the size of files is a full disk to us; SQLite knows only ENOSPC. */
static int write_errno(sqlite3 *db)
{
        return db && (is_full(errno_of_file(db, SQLITE_FCNTL_JOURNAL_POINTER)) ||
                      is_full(errno_of_file(db, SQLITE_FCNTL_FILE_POINTER)))
                       ? -ENOSPC
                       : -EIO;
}

static int store_errno(sqlite3 *db, int rc)
{
        switch (rc & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_CONSTRAINT:
                return -EEXIST;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_IOERR:
                return rc == SQLITE_IOERR_WRITE ? write_errno(db) : -EIO;
        default:
                return -EIO;
        }
}

/* Remembers a failure of the transaction; damage is also marked for the next start. */
static int fail(struct store *s, int r)
{
        if (r == -EUCLEAN)
                close_fd(openat(s->dirfd, DAMAGED_MARK, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        if (r < 0 && s->in_transaction && s->failed == 0)
                s->failed = r;
        return r;
}

/* The formats are store-internal.h's. */
static void bind_all(sqlite3_stmt *q, const char *format, va_list ap)
{
        for (int n = 1; *format; format++, n++) {
                struct store_bytes b;
                const char *text;
                int64_t i;

                switch (*format) {
                case 'i':
                case 'I':
                        i = va_arg(ap, int64_t);
                        if (*format == 'I' && i == 0)
                                sqlite3_bind_null(q, n);
                        else
                                sqlite3_bind_int64(q, n, i);
                        break;
                case 's':
                case 't':
                        text = va_arg(ap, const char *);
                        if (!text && *format == 't')
                                text = "";
                        if (text)
                                sqlite3_bind_blob(q, n, text, (int) strlen(text), SQLITE_STATIC);
                        else
                                sqlite3_bind_null(q, n);
                        break;
                default:
                        b = va_arg(ap, struct store_bytes);
                        if (b.len == 0 && *format == 'B')
                                sqlite3_bind_null(q, n);
                        else
                                sqlite3_bind_blob(q, n, b.data ? b.data : "", (int) b.len,
                                                  SQLITE_STATIC);
                }
        }
}

static int begin(struct store *s)
{
        sqlite3_stmt *q = s->stmt[STMT_BEGIN];
        int rc;

        if (s->failed < 0)
                return s->failed;
        if (s->in_transaction)
                return 0;
        rc = sqlite3_step(q);
        sqlite3_reset(q);
        if (rc != SQLITE_DONE) /* later changes must not be committed without this one */
                return s->failed = fail(s, store_errno(s->db, rc));
        s->in_transaction = true;
        return 0;
}

/* Runs a statement that changes something. */
int store_change(struct store *s, enum statement which, const char *format, ...)
{
        sqlite3_stmt *q = s->stmt[which];
        va_list ap;
        int rc, r;

        r = begin(s);
        if (r < 0)
                return r;
        va_start(ap, format);
        bind_all(q, format, ap);
        va_end(ap);
        rc = sqlite3_step(q);
        r = fail(s, store_errno(s->db, rc));
        sqlite3_reset(q);
        sqlite3_clear_bindings(q);
        return r;
}

/* Binds, and calls @row for each row; a negative result of it ends that and is returned. */
int store_ask(struct store *s, enum statement which, store_take_fn take, const void *fn,
              void *userdata, const char *format, ...)
{
        sqlite3_stmt *q = s->stmt[which];
        int rc, r = 0;
        va_list ap;

        sqlite3_reset(q);
        va_start(ap, format);
        bind_all(q, format, ap);
        va_end(ap);
        while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
                r = take((struct row *) q, fn, userdata);
                if (r < 0)
                        break;
        }
        if (r >= 0)
                r = fail(s, store_errno(s->db, rc));
        sqlite3_reset(q);
        sqlite3_clear_bindings(q);
        return r;
}

/* ---- what store-rows.c builds on ---- */

int store_failed(const struct store *s)
{
        return s->failed;
}

uint64_t store_changed(struct store *s)
{
        return (uint64_t) sqlite3_changes(s->db);
}

struct store_tally *store_tally(struct store *s)
{
        return &s->tally;
}

static sqlite3_stmt *statement_of(struct row *row)
{
        return (sqlite3_stmt *) row;
}

uint64_t row_number(struct row *row, int column)
{
        return (uint64_t) sqlite3_column_int64(statement_of(row), column);
}

/* Blobs carry no NUL of their own; SQLite puts one behind what column_text() returns. */
const char *row_string(struct row *row, int column)
{
        return (const char *) sqlite3_column_text(statement_of(row), column);
}

const char *row_string_or_empty(struct row *row, int column)
{
        const char *text = row_string(row, column);

        return text ? text : "";
}

struct store_bytes row_bytes(struct row *row, int column)
{
        struct store_bytes b;

        b.data = sqlite3_column_blob(statement_of(row), column);
        b.len = (size_t) sqlite3_column_bytes(statement_of(row), column);
        return b;
}

sd_id128_t row_id(struct row *row, int column)
{
        struct store_bytes b = row_bytes(row, column);
        sd_id128_t id = SD_ID128_NULL;

        if (b.len == sizeof(id.bytes))
                memcpy(id.bytes, b.data, sizeof(id.bytes));
        return id;
}

/* ---- transactions ---- */

static int end_transaction(struct store *s, enum statement how)
{
        int rc = sqlite3_step(s->stmt[how]);

        sqlite3_reset(s->stmt[how]);
        return store_errno(s->db, rc);
}

static void start_checkpoint(struct store *s)
{
        if (!s->sync || s->is_checkpointing || s->log_frames < CHECKPOINT_FRAMES)
                return;
        s->is_checkpointing = true;
        sync_checkpoint(s->sync, 1);
}

int store_commit(struct store *s)
{
        int r = s->failed;

        s->failed = 0;
        if (!s->in_transaction) {
                s->tally = s->committed_tally;
                return r;
        }
        if (r == 0)
                r = end_transaction(s, STMT_COMMIT);
        if (r < 0) {
                (void) end_transaction(s, STMT_ROLLBACK); /* may have happened by itself */
                s->in_transaction = false;
                s->tally = s->committed_tally;
                return fail(s, r);
        }
        s->in_transaction = false;
        s->committed_tally = s->tally;
        s->committed++;
        start_checkpoint(s);
        return 0;
}

uint64_t store_entries(const struct store *s)
{
        return s->tally.n_entries;
}

uint64_t store_committed(const struct store *s)
{
        return s->committed;
}

void store_sync(struct store *s)
{
        sync_request(s->sync, s->committed);
}

bool store_may_write(const struct store *s)
{
        return !s->is_held;
}

int store_directory(const struct store *s)
{
        return s->dirfd;
}

const uint8_t *store_key(const struct store *s)
{
        return s->key;
}

/* ---- the thread that waits for the disk ---- */

static int on_log_grown(void *userdata, sqlite3 *db, const char *name, int frames)
{
        struct store *s = userdata;

        s->log_frames = frames;
        return SQLITE_OK;
}

static int on_log_restarted(void *userdata, sqlite3 *db, const char *name, int frames)
{
        struct store *s = userdata;

        s->restarted_frames = frames;
        return SQLITE_OK;
}

static int run(sqlite3 *db, const char *sql)
{
        return store_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* By a connection that has synchronous=FULL, while no other writes. */
static int restart_log(struct store *s, sqlite3 *db)
{
        int r;

        sqlite3_wal_hook(db, on_log_restarted, s);
        r = store_errno(db,
                        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL));
        if (r < 0)
                return r;
        s->restarted_frames = 0;
        r = run(db, START_LOG);
        if (r < 0)
                return r;
        return s->restarted_frames > 0 && s->restarted_frames <= RESTARTED_FRAMES ? 0 : -EBUSY;
}

/* Step 1, beside the loop's writes: copies what is there, a read mark held so that the log can't
 * start over. Step 2, alone: copies the rest, and starts it over. */
static int checkpoint(unsigned int step, void *userdata)
{
        struct store *s = userdata;
        int r;

        if (step == 1) {
                r = run(s->pin, "BEGIN; SELECT count(*) FROM meta");
                if (r < 0)
                        return r;
                return store_errno(s->checkpointer, sqlite3_wal_checkpoint_v2(
                                                            s->checkpointer, NULL,
                                                            SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
        }
        (void) run(s->pin, "COMMIT"); /* no transaction: step 1 failed */
        return restart_log(s, s->checkpointer);
}

static void on_checkpointed(unsigned int step, int result, void *userdata)
{
        struct store *s = userdata;

        if (step == 1) {
                s->is_held = true;
                sync_checkpoint(s->sync, 2);
                return;
        }
        /* Not started over: then SQLite may start it over by itself, and must wait for the disk then. */
        (void) run(s->db, result < 0 ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=OFF");
        s->is_held = false;
        s->is_checkpointing = false;
        if (result < 0)
                s->log_frames = 0; /* as large again before the next attempt */
        s->callbacks.writable(s->callbacks.userdata);
}

static void on_synced(uint64_t number, int error, void *userdata)
{
        struct store *s = userdata;

        s->callbacks.synced(number, error, s->callbacks.userdata);
}

static int connect_file(const char *path, sqlite3 **ret)
{
        sqlite3 *db = NULL;
        int rc;

        rc = sqlite3_open_v2(
                path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_busy_timeout(db, BUSY_MSEC);
        if (rc != SQLITE_OK) {
                int r = store_errno(db, rc);

                sqlite3_close(db);
                return r;
        }
        sqlite3_extended_result_codes(db, 1);
        *ret = db;
        return 0;
}

static int connect_checkpointer(struct store *s)
{
        int r;

        r = connect_file(s->path, &s->checkpointer);
        if (r < 0)
                return r;
        r = run(s->checkpointer, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                                 "PRAGMA journal_size_limit=" LOG_SIZE);
        if (r < 0)
                return r;
        r = connect_file(s->path, &s->pin);
        if (r < 0)
                return r;
        return run(s->pin, "PRAGMA wal_autocheckpoint=0");
}

int store_start_sync(struct store *s, sd_event *event, const struct store_callbacks *callbacks)
{
        struct sync_callbacks c = { checkpoint, on_synced, on_checkpointed, s };
        int r;

        s->callbacks = *callbacks;
        r = connect_checkpointer(s);
        if (r < 0)
                return r;
        return sync_new(event, s->log_fd, &c, &s->sync);
}

/* ---- opening ---- */

static int64_t query_number(sqlite3 *db, const char *sql)
{
        sqlite3_stmt *q = NULL;
        int64_t value = -1;
        int rc;

        rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(q);
        if (rc == SQLITE_ROW)
                value = sqlite3_column_int64(q, 0);
        else
                value = rc == SQLITE_DONE ? 0 : store_errno(db, rc);
        sqlite3_finalize(q);
        return value;
}

/* From the version that it has to @version. */
static int migrate(sqlite3 *db, int64_t version)
{
        int64_t at = query_number(db, "PRAGMA user_version");
        char sql[64];
        int r;

        if (at < 0)
                return (int) at;
        if (at > (int64_t) ARRAY_SIZE(migrations))
                return -EPROTONOSUPPORT;
        for (; at < version; at++) {
                snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; COMMIT", (int) at + 1);
                r = run(db, "BEGIN IMMEDIATE");
                if (r >= 0)
                        r = run(db, migrations[at]);
                if (r >= 0)
                        r = run(db, sql);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_key(struct store *s)
{
        sqlite3_stmt *q = NULL;
        int rc, r;

        rc = sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE name = 'key'", -1, &q, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(q);
        r = store_errno(s->db, rc);
        if (rc == SQLITE_ROW && sqlite3_column_bytes(q, 0) == (int) NAME_KEY_SIZE)
                memcpy(s->key, sqlite3_column_blob(q, 0), NAME_KEY_SIZE);
        else if (r == 0)
                r = -EUCLEAN;
        sqlite3_finalize(q);
        return r;
}

static int prepare_statements(struct store *s)
{
        int rc;

        for (int i = 0; i < STMT_MAX; i++) {
                rc = sqlite3_prepare_v3(s->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &s->stmt[i], NULL);
                if (rc != SQLITE_OK)
                        return store_errno(s->db, rc);
        }
        return 0;
}

static int take_number(struct row *row, const void *fn, void *userdata)
{
        *(uint64_t *) userdata = row_number(row, 0);
        return 0;
}

int store_ask_number(struct store *s, enum statement which, uint64_t *ret)
{
        return store_ask(s, which, take_number, NULL, ret, "");
}

/* The log must have been started over, on disk, before the loop may write without waiting. */
static int open_log(struct store *s)
{
        int persist = 1, r;

        sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
        r = restart_log(s, s->db);
        if (r < 0)
                return r;
        s->log_fd = openat(s->dirfd, STORE_DATABASE "-wal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (s->log_fd < 0)
                return -errno;
        if (fdatasync(s->log_fd) < 0 || fsync(s->dirfd) < 0)
                return -errno;
        r = run(s->db, "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0");
        if (r < 0)
                return r;
        sqlite3_wal_hook(s->db, on_log_grown, s); /* not before: the pragma takes its place */
        return 0;
}

static void close_database(struct store *s)
{
        if (s->db) /* closing copies the log into the file: only once it is on disk itself */
                (void) run(s->db, "PRAGMA synchronous=FULL");
        for (int i = 0; i < STMT_MAX; i++) {
                sqlite3_finalize(s->stmt[i]);
                s->stmt[i] = NULL;
        }
        sqlite3_close(s->pin);
        sqlite3_close(s->checkpointer);
        sqlite3_close(s->db);
        s->pin = s->checkpointer = s->db = NULL;
        s->log_fd = close_fd(s->log_fd);
}

static int open_database(struct store *s)
{
        int r;

        r = connect_file(s->path, &s->db);
        if (r < 0)
                return r;
        r = run(s->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;"
                       "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;"
                       "PRAGMA journal_size_limit=" LOG_SIZE);
        if (r < 0)
                return r;
        r = migrate(s->db, ARRAY_SIZE(migrations));
        if (r < 0)
                return r;
        r = read_key(s);
        if (r < 0)
                return r;
        r = prepare_statements(s);
        if (r < 0)
                return r;
        r = store_ask_number(s, STMT_COUNT_ENTRIES, &s->tally.n_entries);
        if (r < 0)
                return r;
        r = store_ask_number(s, STMT_LAST_PLAIN_ENTRY, &s->tally.last_plain_entry);
        if (r < 0)
                return r;
        r = store_ask_number(s, STMT_GET_LAST_PLAIN, &s->tally.last_reserved);
        if (r < 0)
                return r;
        s->tally.last_plain_entry = MAX(s->tally.last_plain_entry, s->tally.last_reserved);
        r = store_ask_number(s, STMT_COUNT_CLAIMS, &s->tally.n_claims);
        if (r < 0)
                return r;
        s->committed_tally = s->tally;
        return open_log(s);
}

/* ---- salvaging ---- */

/* Does that say that what was to be read is damaged? Else the disk, or memory, is at fault. */
static bool is_damage(int rc)
{
        switch (rc & 0xff) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_ERROR: /* no such table */
        case SQLITE_TOOBIG:
                return true;
        default:
                return false;
        }
}

/* Two connections, since one that has met damage in a transaction writes no more. */
struct salvage {
        sqlite3 *old, *new;
};

/* Takes over one row. One that does not fit is lost. */
static int salvage_row(struct salvage *v, sqlite3_stmt *from, sqlite3_stmt *to)
{
        int rc;

        for (int c = 0; c < sqlite3_column_count(from); c++)
                sqlite3_bind_value(to, c + 1, sqlite3_column_value(from, c));
        (void) sqlite3_step(to);
        rc = sqlite3_reset(to);
        return (rc & 0xff) == SQLITE_CONSTRAINT ? 0 : store_errno(v->new, rc);
}

static int prepare_row(struct salvage *v, const char *table, int columns, sqlite3_stmt **ret)
{
        char sql[256];

        snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO %s VALUES (?%.*s)", table,
                 2 * (columns - 1), ",?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?");
        return store_errno(v->new, sqlite3_prepare_v2(v->new, sql, -1, ret, NULL));
}

/* Takes over what can be read in one order: 1 all of it, 0 up to some damage. */
static int salvage_in_order(struct salvage *v, const char *table, const char *order)
{
        sqlite3_stmt *from = NULL, *to = NULL;
        char sql[256];
        int rc, r = 0;

        snprintf(sql, sizeof(sql), "SELECT * FROM %s%s", table, order);
        rc = sqlite3_prepare_v2(v->old, sql, -1, &from, NULL);
        if (rc == SQLITE_OK)
                r = prepare_row(v, table, sqlite3_column_count(from), &to);
        while (rc == SQLITE_OK && r >= 0 && (rc = sqlite3_step(from)) == SQLITE_ROW) {
                r = salvage_row(v, from, to);
                rc = SQLITE_OK;
        }
        sqlite3_finalize(to);
        sqlite3_finalize(from);
        if (r < 0)
                return r;
        if (rc == SQLITE_DONE)
                return 1;
        return is_damage(rc) ? 0 : store_errno(v->old, rc);
}

/* In the order of their numbers, then, when damage ends that, from the other end. */
static int salvage_tables(struct salvage *v)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(salvaged_tables); i++) {
                r = salvage_in_order(v, salvaged_tables[i], "");
                if (r == 0)
                        r = salvage_in_order(v, salvaged_tables[i], " ORDER BY rowid DESC");
        }
        return MIN(r, 0);
}

/* Makes the tables that the damaged one has, of its version where that can be read. */
static int salvage_schema(struct salvage *v)
{
        int64_t version = query_number(v->old, "PRAGMA user_version");

        if (version > (int64_t) ARRAY_SIZE(migrations))
                return -EPROTONOSUPPORT;
        return migrate(v->new, version > 0 ? version : (int64_t) ARRAY_SIZE(migrations));
}

static int salvage_rows(struct salvage *v)
{
        int r;

        /* Nothing is written to the damaged one: its log stays as it is. */
        (void) sqlite3_db_config(v->old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        /* One file, worth nothing until it is complete: it is written through as a whole. */
        r = run(v->new, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF");
        if (r >= 0)
                r = salvage_schema(v);
        if (r >= 0)
                r = run(v->new, "BEGIN");
        if (r >= 0)
                r = salvage_tables(v);
        return r < 0 ? r : run(v->new, "COMMIT");
}

static int salvage_file(const char *from, const char *to)
{
        struct salvage v = { NULL, NULL };
        int r;

        r = connect_file(from, &v.old);
        if (r >= 0)
                r = connect_file(to, &v.new);
        if (r >= 0)
                r = salvage_rows(&v);
        sqlite3_close(v.new);
        sqlite3_close(v.old);
        return r;
}

/* Fills another database with the rows that can be read, and puts it in the damaged one's place. */
static int salvage(struct store *s, char **ret_salvaged)
{
        _cleanup_(freep) char *path = NULL;
        int r;

        r = salvage_clear(s->dirfd);
        if (r < 0)
                return r;
        if (asprintf(&path, "%.*s" SALVAGE_WORKING,
                     (int) (strlen(s->path) - strlen(STORE_DATABASE)), s->path) < 0)
                return -ENOMEM;
        r = salvage_file(s->path, path);
        if (r >= 0)
                r = salvage_complete(s->dirfd);
        if (r < 0) {
                (void) salvage_clear(s->dirfd); /* the disk may be full; else the next start does */
                return r;
        }
        r = salvage_exchange(s->dirfd, DAMAGED_MARK, ret_salvaged);
        return MIN(r, 0);
}

/* Opens what is there; salvages it first when it is damaged, or was seen to be. */
static int open_or_salvage(struct store *s, char **ret_salvaged)
{
        int r;

        r = salvage_exchange(s->dirfd, DAMAGED_MARK,
                             ret_salvaged); /* of a start that was stopped */
        if (r < 0)
                return r;
        r = faccessat(s->dirfd, DAMAGED_MARK, F_OK, 0) == 0 ? -EUCLEAN : open_database(s);
        if (r != -EUCLEAN)
                return r;
        close_database(s);
        free(TAKE_PTR(*ret_salvaged)); /* and damaged again */
        r = salvage(s, ret_salvaged);
        return r < 0 ? r : open_database(s);
}

static void store_freep(struct store **s)
{
        store_close(*s);
}

int store_open(const char *directory, struct store **ret, char **ret_salvaged)
{
        _cleanup_(store_freep) struct store *s = NULL;
        _cleanup_(freep) char *salvaged = NULL;
        int r;

        s = malloc(sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct store) { .dirfd = -1, .lock_fd = -1, .log_fd = -1 };
        s->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->dirfd < 0)
                return -errno;
        r = lock_take(s->dirfd, &s->lock_fd);
        if (r < 0)
                return r;
        if (asprintf(&s->path, "%s/" STORE_DATABASE, directory) < 0)
                return -ENOMEM;

        r = open_or_salvage(s, &salvaged);
        if (r < 0)
                return r;
        *ret_salvaged = TAKE_PTR(salvaged);
        *ret = TAKE_PTR(s);
        return 0;
}

void store_close(struct store *s)
{
        if (!s)
                return;
        sync_free(s->sync);
        close_database(s);
        close_fd(s->lock_fd);
        close_fd(s->dirfd);
        free(s->path);
        free(s);
}
