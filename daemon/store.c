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
 * milliseconds of the second step, which copies the rest, cuts the log to nothing and writes that
 * through.
 */

#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/store-sql.h"
#include "daemon/sync.h"
#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"

#define DATABASE "tempfiled.db"
#define DAMAGED_MARK                                                                               \
        "damaged" /* left when damage shows while running: salvaged at the next start */
#define CHECKPOINT_FRAMES 2000 /* 8 MiB of log */
#define BUSY_MSEC 2000
#define SEQ_BITS 32

enum statement {
#define X(name, text) STMT_##name,
        STATEMENTS(X)
#undef X
                STMT_MAX,
};

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
        bool is_held; /* the log is being cut off */
        bool is_checkpointing;
        int failed; /* what the current transaction failed with */
        int log_frames;
        uint64_t committed;
        uint64_t n_entries, n_entries_committed;
        uint64_t last_plain_entry;
        uint8_t key[NAME_KEY_SIZE];
};

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
                if (db && sqlite3_system_errno(db) == ENOSPC)
                        return -ENOSPC;
                return -EIO;
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

/*
 * Binds by format: i an int64_t, I the same but NULL when 0, s a string but NULL when NULL, t a
 * string or "", b a struct store_bytes, B the same but NULL when empty.
 */
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

static sqlite3_stmt *ask(struct store *s, enum statement which, const char *format, ...)
{
        sqlite3_stmt *q = s->stmt[which];
        va_list ap;

        sqlite3_reset(q);
        va_start(ap, format);
        bind_all(q, format, ap);
        va_end(ap);
        return q;
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
        if (rc != SQLITE_DONE)
                return fail(s, store_errno(s->db, rc));
        s->in_transaction = true;
        return 0;
}

/* Runs a statement that changes something. */
static int change(struct store *s, enum statement which, const char *format, ...)
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
        if (!s->in_transaction)
                return r;
        if (r == 0)
                r = end_transaction(s, STMT_COMMIT);
        if (r < 0) {
                (void) end_transaction(s, STMT_ROLLBACK); /* may have happened by itself */
                s->in_transaction = false;
                s->n_entries = s->n_entries_committed;
                return fail(s, r);
        }
        s->in_transaction = false;
        s->n_entries_committed = s->n_entries;
        s->committed++;
        start_checkpoint(s);
        return 0;
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

static int run(sqlite3 *db, const char *sql)
{
        return store_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* Step 1, beside the loop's writes: copies what is there, a read mark held so that the log can't
 * start over. Step 2, alone: copies the rest, cuts the log and writes that through. */
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
        r = store_errno(s->checkpointer,
                        sqlite3_wal_checkpoint_v2(s->checkpointer, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                                  NULL, NULL));
        if (r < 0)
                return r;
        return fdatasync(s->log_fd) < 0 ? -errno : 0;
}

static void on_checkpointed(unsigned int step, int result, void *userdata)
{
        struct store *s = userdata;

        if (step == 1) {
                s->is_held = true;
                sync_checkpoint(s->sync, 2);
                return;
        }
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
        r = run(s->checkpointer, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
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

static int migrate(sqlite3 *db)
{
        int64_t version = query_number(db, "PRAGMA user_version");
        char sql[64];
        int r;

        if (version < 0)
                return (int) version;
        if (version > (int64_t) ARRAY_SIZE(migrations))
                return -EPROTONOSUPPORT;
        for (; version < (int64_t) ARRAY_SIZE(migrations); version++) {
                snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; COMMIT", (int) version + 1);
                r = run(db, "BEGIN IMMEDIATE");
                if (r >= 0)
                        r = run(db, migrations[version]);
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

static int one_number(struct store *s, enum statement which, uint64_t *ret)
{
        sqlite3_stmt *q = ask(s, which, "");
        int rc = sqlite3_step(q);
        int r = store_errno(s->db, rc);

        if (rc == SQLITE_ROW)
                *ret = (uint64_t) sqlite3_column_int64(q, 0);
        sqlite3_reset(q);
        return r;
}

/* The log must exist and be empty on disk before the loop may write without waiting. */
static int open_log(struct store *s)
{
        int persist = 1, r;

        sqlite3_file_control(s->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist);
        r = run(s->db, "UPDATE meta SET value = value WHERE name = 'key'");
        if (r < 0)
                return r;
        r = store_errno(s->db, sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                                         NULL, NULL));
        if (r < 0)
                return r;
        s->log_fd = openat(s->dirfd, DATABASE "-wal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (s->log_fd < 0)
                return -errno;
        if (fdatasync(s->log_fd) < 0 || fsync(s->dirfd) < 0)
                return -errno;
        sqlite3_wal_hook(s->db, on_log_grown, s);
        return run(s->db, "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0");
}

static void close_database(struct store *s)
{
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
                       "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY");
        if (r < 0)
                return r;
        r = migrate(s->db);
        if (r < 0)
                return r;
        r = read_key(s);
        if (r < 0)
                return r;
        r = prepare_statements(s);
        if (r < 0)
                return r;
        r = one_number(s, STMT_COUNT_ENTRIES, &s->n_entries);
        if (r < 0)
                return r;
        s->n_entries_committed = s->n_entries;
        r = one_number(s, STMT_LAST_PLAIN_ENTRY, &s->last_plain_entry);
        if (r < 0)
                return r;
        return open_log(s);
}

/* Copies rows in the order of their numbers, then, when damage ends that, from the other end. */
static void salvage_table(sqlite3 *db, const char *table)
{
        static const char *const orders[] = { "", " ORDER BY rowid DESC" };

        for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
                char sql[256];

                /* A failed INSERT ... SELECT would take back all it copied: so row by row. */
                sqlite3_stmt *from = NULL, *to = NULL;
                int columns;

                if (streq(table, "meta") && *orders[i])
                        return;
                snprintf(sql, sizeof(sql), "SELECT * FROM old.%s%s", table, orders[i]);
                if (sqlite3_prepare_v2(db, sql, -1, &from, NULL) != SQLITE_OK)
                        return;
                columns = sqlite3_column_count(from);
                snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO main.%s VALUES (?%.*s)", table,
                         2 * (columns - 1), ",?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?");
                if (sqlite3_prepare_v2(db, sql, -1, &to, NULL) == SQLITE_OK) {
                        while (sqlite3_step(from) == SQLITE_ROW) {
                                for (int c = 0; c < columns; c++)
                                        sqlite3_bind_value(to, c + 1,
                                                           sqlite3_column_value(from, c));
                                (void) sqlite3_step(to); /* a row that does not fit is lost */
                                sqlite3_reset(to);
                        }
                }
                sqlite3_finalize(to);
                sqlite3_finalize(from);
        }
}

static int rename_aside(struct store *s, char **ret_name)
{
        _cleanup_(freep) char *name = NULL;
        static const char *const parts[] = { "", "-wal", "-shm" };
        time_t now = time(NULL);
        char date[32];
        struct tm tm;

        gmtime_r(&now, &tm);
        strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
        if (asprintf(&name, DATABASE ".damaged-%s", date) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                char from[64], to[128];

                snprintf(from, sizeof(from), DATABASE "%s", parts[i]);
                snprintf(to, sizeof(to), "%s%s", name, parts[i]);
                if (renameat(s->dirfd, from, s->dirfd, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        *ret_name = TAKE_PTR(name);
        return 0;
}

/* Sets a damaged database aside under a dated name, and takes over the rows that can be read. */
static int salvage(struct store *s, char **ret_salvaged)
{
        _cleanup_(freep) char *name = NULL, *path = NULL;
        sqlite3_stmt *q = NULL;
        sqlite3 *db = NULL;
        int r;

        close_database(s);
        r = rename_aside(s, &name);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s%s", s->path, name + strlen(DATABASE)) < 0)
                return -ENOMEM;
        r = connect_file(s->path, &db);
        if (r >= 0)
                r = run(db, "PRAGMA journal_mode=WAL");
        if (r >= 0)
                r = migrate(db);
        if (r >= 0 && sqlite3_prepare_v2(db, "ATTACH ? AS old", -1, &q, NULL) == SQLITE_OK) {
                sqlite3_bind_text(q, 1, path, -1, SQLITE_STATIC);
                if (sqlite3_step(q) == SQLITE_DONE)
                        for (size_t i = 0; i < ARRAY_SIZE(salvaged_tables); i++)
                                salvage_table(db, salvaged_tables[i]);
        }
        sqlite3_finalize(q);
        sqlite3_close(db);
        if (r < 0)
                return r;
        (void) unlinkat(s->dirfd, DAMAGED_MARK, 0); /* mostly not there */
        r = open_database(s);
        if (r < 0)
                return r;
        *ret_salvaged = TAKE_PTR(name);
        return 0;
}

static int lock_directory(struct store *s)
{
        s->lock_fd = openat(s->dirfd, "lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->lock_fd < 0)
                return -errno;
        if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        return 0;
}

static void store_freep(struct store **s)
{
        store_close(*s);
}

int store_open(const char *directory, struct store **ret, char **ret_salvaged)
{
        _cleanup_(store_freep) struct store *s = NULL;
        _cleanup_(freep) char *salvaged = NULL;
        bool is_damaged;
        int r;

        s = malloc(sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct store) { .dirfd = -1, .lock_fd = -1, .log_fd = -1 };
        s->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->dirfd < 0)
                return -errno;
        r = lock_directory(s);
        if (r < 0)
                return r;
        if (asprintf(&s->path, "%s/" DATABASE, directory) < 0)
                return -ENOMEM;

        is_damaged = faccessat(s->dirfd, DAMAGED_MARK, F_OK, 0) == 0;
        r = is_damaged ? -EUCLEAN : open_database(s);
        if (r == -EUCLEAN)
                r = salvage(s, &salvaged);
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

/* ---- changes ---- */

static struct store_bytes bytes_of_id(const sd_id128_t *id)
{
        return (struct store_bytes) { id->bytes, sizeof(id->bytes) };
}

static void take_id(struct store *s, uint64_t *id)
{
        if (*id == 0)
                *id = (uint64_t) sqlite3_last_insert_rowid(s->db);
}

int store_add_owner(struct store *s, struct store_owner *o)
{
        int r;

        r = change(s, STMT_ADD_OWNER, "Iiibiiiiitttt", (int64_t) o->id, (int64_t) o->kind,
                   (int64_t) o->is_dead, bytes_of_id(&o->boot), (int64_t) o->pid_ns,
                   (int64_t) o->init_start, (int64_t) o->pid, (int64_t) o->start, (int64_t) o->uid,
                   o->command, o->executable, o->arguments, o->unit);
        if (r < 0)
                return r;
        take_id(s, &o->id);
        return 0;
}

int store_end_owner(struct store *s, uint64_t id)
{
        return change(s, STMT_END_OWNER, "i", (int64_t) id);
}

int store_remove_owner(struct store *s, uint64_t id)
{
        return change(s, STMT_REMOVE_OWNER, "i", (int64_t) id);
}

int store_add_directory(struct store *s, struct store_directory *d)
{
        int r;

        r = change(s, STMT_ADD_DIRECTORY, "Isbi", (int64_t) d->id, d->path, d->identity,
                   (int64_t) d->is_foreign);
        if (r < 0)
                return r;
        take_id(s, &d->id);
        return 0;
}

int store_remove_directory(struct store *s, uint64_t id)
{
        return change(s, STMT_REMOVE_DIRECTORY, "i", (int64_t) id);
}

int store_add_cred(struct store *s, struct cred *c)
{
        struct store_bytes groups = { c->groups, c->n_groups * sizeof(gid_t) };
        int r;

        r = change(s, STMT_ADD_CRED, "Iiiib", (int64_t) c->id, (int64_t) c->uid, (int64_t) c->gid,
                   (int64_t) c->caps, groups);
        if (r < 0)
                return r;
        take_id(s, &c->id);
        return 0;
}

int store_add_tag(struct store *s, struct store_tag *t)
{
        struct store_bytes key = { t->key, NAME_KEY_SIZE };
        int r;

        r = change(s, STMT_ADD_TAG, "Iibiiiiiib", (int64_t) t->id, (int64_t) t->tag, key,
                   (int64_t) t->owner, (int64_t) t->directory, (int64_t) t->cred,
                   (int64_t) t->needs_sweep, (int64_t) t->is_dead, (int64_t) t->is_unreadable,
                   bytes_of_id(&t->boot));
        if (r < 0)
                return r;
        take_id(s, &t->id);
        return 0;
}

int store_change_tag(struct store *s, uint64_t id, bool needs_sweep, bool is_dead, sd_id128_t boot)
{
        return change(s, STMT_CHANGE_TAG, "iiib", (int64_t) id, (int64_t) needs_sweep,
                      (int64_t) is_dead, bytes_of_id(&boot));
}

int store_suspect_tags(struct store *s)
{
        return change(s, STMT_SUSPECT_TAGS, "");
}

static int change_entries(struct store *s, enum statement which, uint64_t id)
{
        int r;

        r = change(s, which, "i", (int64_t) id);
        if (r < 0)
                return r;
        s->n_entries -= (uint64_t) sqlite3_changes(s->db);
        return 0;
}

int store_remove_tag(struct store *s, uint64_t id)
{
        int r;

        r = change_entries(s, STMT_REMOVE_KEPT_OF_TAG, id);
        if (r < 0)
                return r;
        return change(s, STMT_REMOVE_TAG, "i", (int64_t) id);
}

int store_forget_live(struct store *s, uint64_t tag_id)
{
        return change_entries(s, STMT_FORGET_LIVE, tag_id);
}

static int write_entry(struct store *s, enum statement which, const struct store_entry *e)
{
        return change(s, which, "iiisiIIIsB", (int64_t) e->id, (int64_t) e->kind,
                      (int64_t) e->state, e->name, (int64_t) e->created_usec, (int64_t) e->owner,
                      (int64_t) e->directory, (int64_t) e->cred, e->target, e->identity);
}

int store_put_entry(struct store *s, struct store_entry *e)
{
        int r;

        if (e->id == 0)
                e->id = ++s->last_plain_entry;
        r = write_entry(s, STMT_ADD_ENTRY, e);
        if (r < 0)
                return r;
        if (sqlite3_changes(s->db) == 0)
                return write_entry(s, STMT_REPLACE_ENTRY, e);
        s->n_entries++;
        return 0;
}

int store_remove_entry(struct store *s, uint64_t id)
{
        int r;

        r = change_entries(s, STMT_REMOVE_ENTRY, id);
        if (r < 0 || id >> SEQ_BITS)
                return r;
        return change(s, STMT_REMOVE_CLAIMS_OF_ENTRY, "i", (int64_t) id);
}

int store_defer_entry(struct store *s, uint64_t id)
{
        return change(s, STMT_DEFER_ENTRY, "i", (int64_t) id);
}

int store_add_claim(struct store *s, uint64_t entry, uint64_t owner)
{
        return change(s, STMT_ADD_CLAIM, "ii", (int64_t) entry, (int64_t) owner);
}

int store_end_claims(struct store *s, uint64_t owner)
{
        int r;

        r = change(s, STMT_REMOVE_CLAIMS_OF_OWNER, "i", (int64_t) owner);
        if (r < 0)
                return r;
        r = change(s, STMT_INHERIT_OF_OWNER, "i", (int64_t) owner);
        if (r < 0 || sqlite3_changes(s->db) == 0)
                return r;
        return change(s, STMT_REMOVE_INHERITED, "i", INT64_C(0));
}

int store_change_entry(struct store *s, uint64_t id, unsigned int state, int error,
                       unsigned int attempts, uint64_t next_try_usec, const char *failed)
{
        return change(s, STMT_CHANGE_ENTRY, "iiIIIs", (int64_t) id, (int64_t) state,
                      (int64_t) error, (int64_t) attempts, (int64_t) next_try_usec, failed);
}

int store_wake_waiting(struct store *s)
{
        return change(s, STMT_WAKE_WAITING, "");
}

int store_wake_all(struct store *s)
{
        return change(s, STMT_WAKE_ALL, "");
}

/* ---- questions ---- */

static uint64_t number_at(sqlite3_stmt *q, int column)
{
        return (uint64_t) sqlite3_column_int64(q, column);
}

/* Blobs carry no NUL of their own; SQLite puts one behind what column_text() returns. */
static const char *string_at(sqlite3_stmt *q, int column)
{
        return (const char *) sqlite3_column_text(q, column);
}

static const char *string_or_empty(sqlite3_stmt *q, int column)
{
        const char *text = string_at(q, column);

        return text ? text : "";
}

static struct store_bytes bytes_at(sqlite3_stmt *q, int column)
{
        struct store_bytes b;

        b.data = sqlite3_column_blob(q, column);
        b.len = (size_t) sqlite3_column_bytes(q, column);
        return b;
}

static sd_id128_t id_at(sqlite3_stmt *q, int column)
{
        struct store_bytes b = bytes_at(q, column);
        sd_id128_t id = SD_ID128_NULL;

        if (b.len == sizeof(id.bytes))
                memcpy(id.bytes, b.data, sizeof(id.bytes));
        return id;
}

/* Calls @row for each row of a question that was bound by ask(). */
static int each(struct store *s, sqlite3_stmt *q,
                int (*row)(sqlite3_stmt *q, const void *fn, void *userdata), const void *fn,
                void *userdata)
{
        int rc, r = 0;

        while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
                r = row(q, fn, userdata);
                if (r < 0)
                        break;
        }
        if (r >= 0)
                r = fail(s, store_errno(s->db, rc));
        sqlite3_reset(q);
        sqlite3_clear_bindings(q);
        return r;
}

static int owner_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct store_owner o = {
                .id = number_at(q, 0),
                .kind = (unsigned int) number_at(q, 1),
                .is_dead = number_at(q, 2) != 0,
                .boot = id_at(q, 3),
                .pid_ns = number_at(q, 4),
                .init_start = number_at(q, 5),
                .pid = (pid_t) number_at(q, 6),
                .start = number_at(q, 7),
                .uid = (uid_t) number_at(q, 8),
                .command = string_or_empty(q, 9),
                .executable = string_or_empty(q, 10),
                .arguments = string_or_empty(q, 11),
                .unit = string_or_empty(q, 12),
        };

        return (*(const store_owner_fn *) fn)(&o, userdata);
}

int store_each_owner(struct store *s, store_owner_fn fn, void *userdata)
{
        return each(s, ask(s, STMT_EACH_OWNER, ""), owner_row, &fn, userdata);
}

static int directory_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct store_directory d = {
                .id = number_at(q, 0),
                .path = string_or_empty(q, 1),
                .identity = bytes_at(q, 2),
                .is_foreign = number_at(q, 3) != 0,
        };

        return (*(const store_directory_fn *) fn)(&d, userdata);
}

int store_each_directory(struct store *s, store_directory_fn fn, void *userdata)
{
        return each(s, ask(s, STMT_EACH_DIRECTORY, ""), directory_row, &fn, userdata);
}

static int tag_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct store_bytes key = bytes_at(q, 2);
        struct store_tag t = {
                .id = number_at(q, 0),
                .tag = number_at(q, 1),
                .key = key.data,
                .owner = number_at(q, 3),
                .directory = number_at(q, 4),
                .cred = number_at(q, 5),
                .needs_sweep = number_at(q, 6) != 0,
                .is_dead = number_at(q, 7) != 0,
                .is_unreadable = number_at(q, 8) != 0,
                .boot = id_at(q, 9),
        };

        if (key.len != NAME_KEY_SIZE)
                return 0; /* not written by us: its names can't be told, its entries still can */
        return (*(const store_tag_fn *) fn)(&t, userdata);
}

int store_each_tag(struct store *s, store_tag_fn fn, void *userdata)
{
        return each(s, ask(s, STMT_EACH_TAG, ""), tag_row, &fn, userdata);
}

static int cred_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct store_bytes groups = bytes_at(q, 4);
        struct cred c = {
                .id = number_at(q, 0),
                .uid = (uid_t) number_at(q, 1),
                .gid = (gid_t) number_at(q, 2),
                .caps = number_at(q, 3),
                .n_groups = (uint32_t) (groups.len / sizeof(gid_t)),
        };
        int r;

        if (c.n_groups > 0) {
                c.groups = malloc(groups.len);
                if (!c.groups)
                        return -ENOMEM;
                memcpy(c.groups, groups.data, c.n_groups * sizeof(gid_t));
        }
        r = (*(const store_cred_fn *) fn)(&c, userdata);
        cred_done(&c);
        return r;
}

int store_each_cred(struct store *s, store_cred_fn fn, void *userdata)
{
        return each(s, ask(s, STMT_EACH_CRED, ""), cred_row, &fn, userdata);
}

static void read_entry(sqlite3_stmt *q, struct store_entry *e)
{
        *e = (struct store_entry) {
                .id = number_at(q, 0),
                .kind = (unsigned int) number_at(q, 1),
                .state = (unsigned int) number_at(q, 2),
                .name = string_at(q, 3),
                .created_usec = number_at(q, 4),
                .owner = number_at(q, 5),
                .directory = number_at(q, 6),
                .cred = number_at(q, 7),
                .target = string_at(q, 8),
                .identity = bytes_at(q, 9),
                .error = (int) number_at(q, 10),
                .attempts = (unsigned int) number_at(q, 11),
                .next_try_usec = number_at(q, 12),
                .failed = string_at(q, 13),
        };
}

static int entry_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct store_entry e;

        read_entry(q, &e);
        return (*(const store_entry_fn *) fn)(&e, userdata);
}

int store_live_of_tag(struct store *s, uint64_t tag_id, uint64_t after, unsigned int limit,
                      store_entry_fn fn, void *userdata)
{
        sqlite3_stmt *q =
                ask(s, STMT_LIVE_OF_TAG, "iii", (int64_t) tag_id, (int64_t) after, (int64_t) limit);

        return each(s, q, entry_row, &fn, userdata);
}

int store_live_of_owner(struct store *s, uint64_t owner, uint64_t after, unsigned int limit,
                        store_entry_fn fn, void *userdata)
{
        sqlite3_stmt *q = ask(s, STMT_LIVE_OF_OWNER, "iii", (int64_t) owner, (int64_t) after,
                              (int64_t) limit);

        return each(s, q, entry_row, &fn, userdata);
}

int store_due(struct store *s, uint64_t now_usec, unsigned int limit, store_entry_fn fn,
              void *userdata)
{
        sqlite3_stmt *q = ask(s, STMT_DUE, "ii", (int64_t) now_usec, (int64_t) limit);

        return each(s, q, entry_row, &fn, userdata);
}

int store_names_of_tag(struct store *s, uint64_t tag_id, store_entry_fn fn, void *userdata)
{
        return each(s, ask(s, STMT_NAMES_OF_TAG, "i", (int64_t) tag_id), entry_row, &fn, userdata);
}

static int count_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        uint64_t *count = userdata;

        (*count)++;
        return 0;
}

int store_get_entry(struct store *s, uint64_t id, store_entry_fn fn, void *userdata)
{
        sqlite3_stmt *q = ask(s, STMT_GET_ENTRY, "i", (int64_t) id);
        int rc = sqlite3_step(q), r;

        if (rc == SQLITE_ROW)
                r = entry_row(q, &fn, userdata);
        else
                r = rc == SQLITE_DONE ? -ENOENT : fail(s, store_errno(s->db, rc));
        sqlite3_reset(q);
        return r;
}

int store_next_due(struct store *s, uint64_t *ret_usec)
{
        *ret_usec = 0;
        return one_number(s, STMT_NEXT_DUE, ret_usec);
}

static int owner_of_entry(const struct store_entry *e, void *userdata)
{
        *(uint64_t *) userdata = e->owner;
        return 0;
}

int store_pass_on(struct store *s, uint64_t entry, uint64_t *ret_owner)
{
        int r;

        r = change(s, STMT_INHERIT_ENTRY, "i", (int64_t) entry);
        if (r < 0)
                return r;
        r = change(s, STMT_REMOVE_INHERITED, "i", (int64_t) entry);
        if (r < 0)
                return r;
        return store_get_entry(s, entry, owner_of_entry, ret_owner);
}

static int any(struct store *s, sqlite3_stmt *q, bool *ret)
{
        uint64_t count = 0;
        int r;

        r = each(s, q, count_row, NULL, &count);
        if (r < 0)
                return r;
        *ret = count > 0;
        return 0;
}

int store_last_of_tag(struct store *s, uint64_t tag_id, uint64_t *ret_id)
{
        sqlite3_stmt *q = ask(s, STMT_LAST_OF_TAG, "i", (int64_t) tag_id);
        int rc = sqlite3_step(q);

        *ret_id = MAX(number_at(q, 0), tag_id << SEQ_BITS);
        sqlite3_reset(q);
        return fail(s, store_errno(s->db, rc));
}

int store_owner_has_entries(struct store *s, uint64_t owner, bool *ret)
{
        return any(s, ask(s, STMT_OWNER_HAS, "i", (int64_t) owner), ret);
}

int store_tag_has_entries(struct store *s, uint64_t tag_id, bool *ret)
{
        return any(s, ask(s, STMT_TAG_HAS, "i", (int64_t) tag_id), ret);
}

static int directory_count_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        return (*(const store_count_fn *) fn)(number_at(q, 0), number_at(q, 1), userdata);
}

int store_count_by_directory(struct store *s, store_count_fn fn, void *userdata)
{
        return each(s, ask(s, STMT_COUNT_BY_DIRECTORY, ""), directory_count_row, &fn, userdata);
}

static int state_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct store_counts *c = userdata;
        uint64_t count = number_at(q, 1);

        switch (number_at(q, 0)) {
        case WIRE_STATE_RETAINED:
                c->retained = count;
                break;
        case WIRE_STATE_STUCK:
                c->stuck = count;
                break;
        case WIRE_STATE_WAITING:
                c->waiting = count;
                break;
        case WIRE_STATE_KEPT:
                c->kept = count;
                break;
        }
        return 0;
}

int store_get_counts(struct store *s, struct store_counts *ret)
{
        struct store_counts c = { 0 };
        int r;

        r = each(s, ask(s, STMT_COUNT_STATES, ""), state_row, NULL, &c);
        if (r < 0)
                return r;
        r = one_number(s, STMT_COUNT_PAGES, &c.bytes);
        if (r < 0)
                return r;
        c.live = s->n_entries - c.retained - c.stuck - c.waiting - c.kept;
        *ret = c;
        return 0;
}

struct list_rows {
        store_row_fn fn;
        void *userdata;
        uint64_t last;
        unsigned int count;
};

static int list_row(sqlite3_stmt *q, const void *fn, void *userdata)
{
        struct list_rows *l = userdata;
        const int at = ENTRY_COLUMN_COUNT;
        struct store_row row;
        int r;

        read_entry(q, &row.entry);
        row.path = string_or_empty(q, at);
        row.command = string_or_empty(q, at + 1);
        row.unit = string_or_empty(q, at + 2);
        row.owner_kind = (unsigned int) number_at(q, at + 3);
        row.owner_is_dead = number_at(q, at + 4) != 0;
        row.pid = (pid_t) number_at(q, at + 5);
        row.uid = (uid_t) number_at(q, at + 6);
        r = l->fn(&row, l->userdata);
        if (r < 0)
                return r;
        l->last = row.entry.id;
        l->count++;
        return 0;
}

int store_list(struct store *s, uint64_t *cursor, unsigned int scan, store_row_fn fn,
               void *userdata)
{
        struct list_rows l = { .fn = fn, .userdata = userdata, .last = *cursor };
        sqlite3_stmt *q = ask(s, STMT_LIST, "ii", (int64_t) *cursor, (int64_t) scan);
        int r;

        r = each(s, q, list_row, NULL, &l);
        if (r == -ENOBUFS) { /* the reader is full: go on here */
                *cursor = l.last;
                return 0;
        }
        if (r < 0)
                return r;
        *cursor = l.count < scan ? 0 : l.last;
        return 0;
}
