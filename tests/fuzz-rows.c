/* SPDX-License-Identifier: MIT */

/*
 * A database whose rows hold anything, as after damage that SQLite does not see or by somebody's
 * hand. A server starts on it, tries all, lists all, and must neither crash nor delete what is
 * outside of the directory that was registered.
 *
 * An input is a list of changes to a database that a true server has written: a table, a row, a
 * column, and what is put there.
 */

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/socket.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"
#include "tests/fuzz-server.h"

#define CHANGES_MAX 32U

const char fuzz_corpus[] = "rows";

static const uint8_t key[NAME_KEY_SIZE] = "key";
static uint8_t *template_data;
static size_t template_size;

/* ---- the database to begin with ---- */

static void ask(int fd, void *packet, size_t len, uint16_t opcode, int with)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { 0 };
        struct iovec iov = { packet, len };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
        struct wire_header h = { WIRE_VERSION, opcode, 1 };

        memcpy(packet, &h, sizeof(h));
        if (with >= 0) {
                m.msg_control = &u;
                m.msg_controllen = sizeof(u);
                CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
                CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
                CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &with, sizeof(int));
        }
        fuzz_require(wire_check_request(packet, len) == 0);
        fuzz_require(sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t) len);
        fuzz_server_settle();
}

static void greet(int fd)
{
        struct wire_welcome w;
        struct wire_hello m = { 0 };

        fuzz_server_settle();
        fuzz_require(recv(fd, &w, sizeof(w), 0) == sizeof(w));
        m.nonce = w.nonce;
        ask(fd, &m, sizeof(m), WIRE_HELLO, -1);
}

/* Answers are not looked at: what is refused is one row fewer. */
static void register_name(int fd, uint16_t opcode, uint32_t owner, uint32_t seq, const char *name)
{
        struct wire_register m = {
                .tag = 7,
                .seq = seq,
                .owner = { .kind = owner, .lease_sec = owner == WIRE_OWNER_LEASE ? 3600 : 0 },
                .kind = WIRE_KIND_FILE,
                .retain_sec = seq,
                .name_len = (uint16_t) strlen(name),
        };
        uint8_t buf[sizeof(m) + 64];
        char path[64];

        (void) snprintf(path, sizeof(path), "files/%s", name);
        fuzz_make_file(path);
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), name, strlen(name) + 1);
        ask(fd, buf, sizeof(m) + strlen(name) + 1, opcode, -1);
}

static void make_entries(int fd)
{
        struct wire_tag m = { .tag = 7, .key = "key" };
        struct wire_report report = { 0 };
        struct wire_record record = { WIRE_MADE, WIRE_KIND_FILE, 0, 1, 7 };
        uint8_t buf[512];
        int dirfd = open(fuzz_path("files"), O_PATH | O_CLOEXEC);
        char name[NAME_LEN_MAX + 1];
        size_t len = sizeof(report);

        m.path_len = (uint16_t) strlen(fuzz_path("files"));
        memcpy(buf, &m, sizeof(m));
        memcpy(buf + sizeof(m), fuzz_path("files"), m.path_len + 1U);
        ask(fd, buf, sizeof(m) + m.path_len + 1U, WIRE_TAG, dirfd);
        close_fd(dirfd);
        fuzz_require(name_make(7, key, 1, "f-", "", name) > 0);
        record.name_len = (uint16_t) strlen(name);
        memcpy(buf, &report, sizeof(report));
        fuzz_require(wire_add_record(buf, sizeof(buf), &len, &record, name) == 0);
        ask(fd, buf, len, WIRE_REPORT, -1);
        register_name(fd, WIRE_RESERVE, WIRE_OWNER_PROCESS, 0, "reserved");
        register_name(fd, WIRE_TRACK, WIRE_OWNER_PROCESS, 0, "tracked");
        register_name(fd, WIRE_TARGET, WIRE_OWNER_PROCESS, 1, "target");
        register_name(fd, WIRE_TRACK, WIRE_OWNER_LEASE, 0, "leased");
        register_name(fd, WIRE_TRACK, WIRE_OWNER_BOOT, 0, "booted");
}

static void claim_and_end(int fd)
{
        struct wire_claim m = { .ref = { 1, 0, 0 }, .owner = { WIRE_OWNER_BOOT, 0, 0 } };
        struct wire_token t;

        ask(fd, &m, sizeof(m), WIRE_CLAIM, -1);
        ask(fd, &t, sizeof(t), WIRE_TOKEN, -1);
}

static void make_template(void)
{
        FILE *f;
        int fd;

        fuzz_server_clear();
        fuzz_require(fuzz_server_start() == 0);
        fd = fuzz_server_connect();
        greet(fd);
        make_entries(fd);
        claim_and_end(fd);
        close_fd(fd);
        fuzz_server_stop();
        f = fopen(fuzz_path("state/tempfiled.db"), "re");
        fuzz_require(f);
        template_data = malloc(1 << 20);
        template_size = fread(template_data, 1, 1 << 20, f);
        fuzz_require(template_size > 0 && template_size < 1 << 20);
        (void) fclose(f);
}

static void put_template(void)
{
        FILE *f = fopen(fuzz_path("state/tempfiled.db"), "we");

        fuzz_require(f && fwrite(template_data, 1, template_size, f) == template_size);
        (void) fclose(f);
}

/* ---- changes ---- */

struct reader {
        const uint8_t *data;
        size_t len;
};

static uint8_t take_byte(struct reader *r)
{
        if (r->len == 0)
                return 0;
        r->len--;
        return *r->data++;
}

static const struct table {
        const char *name;
        const char *columns[16];
} tables[] = {
        { "entry",
          { "id", "kind", "state", "name", "created", "owner", "directory", "cred", "target",
            "identity", "retain", "error", "attempts", "next_try", "failed", "state" } },
        { "owner",
          { "id", "kind", "is_dead", "boot", "pid_ns", "init_start", "pid", "start", "uid",
            "command", "executable", "arguments", "unit", "cgroup", "place", "deadline" } },
        { "tag",
          { "id", "tag", "key", "owner", "directory", "cred", "needs_sweep", "is_dead",
            "is_unreadable", "boot", "needs_sweep", "is_dead", "key", "owner", "id", "tag" } },
        { "directory",
          { "id", "path", "identity", "is_foreign", "path", "identity", "path", "id", "path",
            "identity", "is_foreign", "path", "identity", "path", "id", "path" } },
        { "cred",
          { "id", "uid", "gid", "caps", "groups", "groups", "uid", "id", "id", "uid", "gid", "caps",
            "groups", "groups", "uid", "id" } },
        { "claim",
          { "entry", "owner", "entry", "owner", "entry", "owner", "entry", "owner", "entry",
            "owner", "entry", "owner", "entry", "owner", "entry", "owner" } },
        { "meta",
          { "name", "value", "name", "value", "name", "value", "name", "value", "name", "value",
            "name", "value", "name", "value", "name", "value" } },
};

/* What would be dangerous to believe. */
static const char *const texts[] = {
        "..",   ".",   "",     "/",         "link",     "../outside/file", "link/file", "outside",
        "/etc", "a/b", "file", "directory", "\xff\xfe", "tracked",         "reserved",  "name",
};

static const char *long_text(void)
{
        static char text[256 * 256];

        memset(text, 'x', sizeof(text));
        return text;
}

static void bind_value(sqlite3_stmt *s, int at, struct reader *r)
{
        static const int64_t numbers[] = { 0,         1,         2,         3,
                                           4,         5,         6,         7,
                                           -1,        INT64_MAX, INT64_MIN, INT32_MAX,
                                           INT32_MIN, 1LL << 32, 65534,     8 };
        unsigned int how = take_byte(r), n = take_byte(r);

        switch (how % 6) {
        case 0:
                (void) sqlite3_bind_null(s, at);
                break;
        case 1:
                (void) sqlite3_bind_int64(s, at, numbers[n % ARRAY_SIZE(numbers)]);
                break;
        case 2:
                (void) sqlite3_bind_text(s, at, texts[n % ARRAY_SIZE(texts)], -1, SQLITE_STATIC);
                break;
        case 3:
                (void) sqlite3_bind_text(s, at, fuzz_path(n & 1 ? "outside" : "files/link"), -1,
                                         SQLITE_TRANSIENT);
                break;
        case 4: /* NULs, or longer than any packet */
                if (n & 1)
                        (void) sqlite3_bind_zeroblob(s, at, (int) n);
                else
                        (void) sqlite3_bind_text(s, at, long_text(), (int) n * 256, SQLITE_STATIC);
                break;
        default:
                n = (unsigned int) MIN((size_t) n, r->len);
                (void) sqlite3_bind_blob(s, at, r->data, (int) n, SQLITE_TRANSIENT);
                r->data += n;
                r->len -= n;
        }
}

static void change(sqlite3 *db, struct reader *r)
{
        const struct table *t = &tables[take_byte(r) % ARRAY_SIZE(tables)];
        unsigned int how = take_byte(r), row = take_byte(r) % 8;
        const char *column = t->columns[how / 16];
        sqlite3_stmt *s = NULL;
        char sql[512];

        if (how % 16 == 0)
                (void) snprintf(sql, sizeof(sql),
                                "DELETE FROM %s WHERE %s = (SELECT %s FROM %s LIMIT 1 OFFSET %u)",
                                t->name, t->columns[0], t->columns[0], t->name, row);
        else if (how % 16 < 8)
                (void) snprintf(sql, sizeof(sql),
                                "UPDATE %s SET %s = ?1 WHERE %s = (SELECT %s FROM %s LIMIT 1 "
                                "OFFSET %u)",
                                t->name, column, t->columns[0], t->columns[0], t->name, row);
        else /* every row, whatever it takes with it */
                (void) snprintf(sql, sizeof(sql), "UPDATE OR REPLACE %s SET %s = ?1", t->name,
                                column);
        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK) {
                if (how % 16 != 0)
                        bind_value(s, 1, r);
                (void) sqlite3_step(s); /* what a constraint forbids does not happen */
        }
        (void) sqlite3_finalize(s);
}

static void change_all(struct reader *r)
{
        sqlite3 *db;

        fuzz_require(sqlite3_open(fuzz_path("state/tempfiled.db"), &db) == SQLITE_OK);
        (void) sqlite3_exec(db, "PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL);
        for (unsigned int i = 0; i < CHANGES_MAX && r->len > 0; i++)
                change(db, r);
        (void) sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
        (void) sqlite3_close(db);
}

/* ---- a server on it ---- */

/* Must come to an end. */
static void list_all(int fd)
{
        struct wire_list list = { 0 };
        uint8_t buf[WIRE_PACKET_MAX];
        struct wire_rows rows = { .cursor = 1 };
        ssize_t n;

        for (unsigned int i = 0; rows.result == 0 && rows.cursor > 0; i++) {
                fuzz_require(i < 100);
                ask(fd, &list, sizeof(list), WIRE_LIST, -1);
                do {
                        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
                        fuzz_require(n > 0 && wire_check_reply(buf, (size_t) n) == 0);
                } while (wire_header_of(buf).opcode != WIRE_ROWS);
                memcpy(&rows, buf, sizeof(rows));
                list.cursor = rows.cursor;
        }
}

static void use_server(void)
{
        struct wire_reap reap = { 0 };
        struct wire_status status;
        int fd = fuzz_server_connect();

        greet(fd);
        list_all(fd);
        ask(fd, &reap, sizeof(reap), WIRE_REAP, -1);
        for (reap.id = 1; reap.id < 10; reap.id++) {
                reap.flags = WIRE_REAP_FORCE;
                ask(fd, &reap, sizeof(reap), WIRE_REAP, -1);
        }
        reap.id = (UINT64_C(1) << 32) + 1;
        ask(fd, &reap, sizeof(reap), WIRE_REAP, -1);
        list_all(fd);
        ask(fd, &status, sizeof(status), WIRE_STATUS, -1);
        close_fd(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const names[] = { "files/reserved", "files/tracked", "files/file",
                                             "files/target",   "files/leased",  "files/booted" };
        struct reader r = { data, size };

        if (!template_data)
                make_template();
        fuzz_server_clear();
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                fuzz_make_file(names[i]);
        put_template();
        change_all(&r);
        for (unsigned int i = 0; i < 2; i++) /* and on what the first has made of it */
                if (fuzz_server_start() == 0) {
                        use_server();
                        fuzz_server_stop();
                }
        fuzz_server_check();
        return 0;
}

bool fuzz_judge(const char *name, const uint8_t *data, size_t size, const char **ret_why)
{
        (void) LLVMFuzzerTestOneInput(data, size);
        return true; /* or it has aborted */
}
