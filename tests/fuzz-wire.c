/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a packet: nothing may be read beyond them, and what passes keeps the promises of
 * wire.h: walking ends where the packet does, after as many records as it counts, and adding those
 * again spells the same packet.
 *
 * With -DFUZZING it is for libFuzzer. Without, it replays files and reports in TAP:
 *
 *     fuzz-wire [FILE or DIRECTORY]...         default: tests/corpus in the source tree
 *
 * Files called refused-... must not pass in either direction, the others must in one. The corpus
 * holds the packets of a little-endian machine; test-wire --write-corpus makes it anew.
 */

#include <dirent.h>
#include <stdio.h>

#include "libclient/name.h"
#include "libclient/util.h"
#include "libclient/wire.h"

/* abort() is what libFuzzer notices, with or without NDEBUG. */
static void require(bool holds)
{
        if (!holds)
                abort();
}

static void respell_report(const uint8_t *data, size_t size)
{
        uint8_t again[WIRE_PACKET_MAX];
        size_t offset = 0, len = sizeof(struct wire_report);
        struct wire_report head;
        struct wire_record record;
        const char *name;

        memcpy(&head, data, sizeof(head));
        head.count = 0;
        memcpy(again, &head, sizeof(head));
        while (wire_next_record(data, size, &offset, &record, &name)) {
                require(strlen(name) == record.name_len);
                require(record.name_len == 0 || name_is_component(name, record.name_len));
                require(wire_add_record(again, sizeof(again), &len, &record, name) == 0);
        }
        require(len == size && memcmp(again, data, size) == 0);
}

static void respell_rows(const uint8_t *data, size_t size)
{
        uint8_t again[WIRE_PACKET_MAX];
        size_t offset = 0, len = sizeof(struct wire_rows);
        const char *strings[4];
        struct wire_rows head;
        struct wire_row row;

        memcpy(&head, data, sizeof(head));
        head.count = 0;
        memcpy(again, &head, sizeof(head));
        while (wire_next_row(data, size, &offset, &row, strings))
                require(wire_add_row(again, sizeof(again), &len, &row, strings) == 0);
        require(len == size && memcmp(again, data, size) == 0);
}

/* Nobody does this to a packet that was refused; still it must end, and inside. */
static void walk_unchecked(const uint8_t *data, size_t size)
{
        struct wire_record record;
        const char *name, *strings[4];
        struct wire_row row;
        size_t offset = 0;

        while (wire_next_record(data, size, &offset, &record, &name))
                require(offset <= size);
        offset = 0;
        while (wire_next_row(data, size, &offset, &row, strings))
                require(offset <= size);
}

static void require_verdict(int r)
{
        require(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const int request = wire_check_request(data, size), reply = wire_check_reply(data, size);

        require_verdict(request);
        require_verdict(reply);
        require(request < 0 || reply < 0);
        walk_unchecked(data, size);

        if (request == 0 && wire_header_of(data).opcode == WIRE_REPORT)
                respell_report(data, size);
        if (reply == 0 && wire_header_of(data).opcode == WIRE_ROWS)
                respell_rows(data, size);
        return 0;
}

#ifndef FUZZING

static unsigned int tests, failures;

static void report(bool is_good, const char *path, const char *why)
{
        tests++;
        if (!is_good)
                failures++;
        printf("%s %u - %s%s\n", is_good ? "ok" : "not ok", tests, path, why);
        fflush(stdout); /* a packet that crashes comes after all that did not */
}

static void judge(const char *path, const char *name, const uint8_t *data, size_t size)
{
        const bool is_refused =
                wire_check_request(data, size) < 0 && wire_check_reply(data, size) < 0;

        LLVMFuzzerTestOneInput(data, size);
        if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
                report(true, path, " # SKIP the corpus is that of a little-endian machine");
        else if (is_refused == (strncmp(name, "refused-", 8) == 0))
                report(true, path, "");
        else
                report(false, path, is_refused ? ": refused" : ": not refused");
}

/* The copy ends where its memory ends, so that a sanitizer sees every byte read beyond it. */
static void replay_file(const char *path)
{
        static uint8_t buf[2 * WIRE_PACKET_MAX];
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) uint8_t *copy = NULL;
        FILE *f = fopen(path, "re");
        size_t size;

        if (!f) {
                report(false, path, ": can't be opened");
                return;
        }
        size = fread(buf, 1, sizeof(buf), f);
        fclose(f);

        copy = malloc(MAX(size, 1U));
        require(copy);
        memcpy(copy, buf, size);
        judge(path, slash ? slash + 1 : path, copy, size);
}

static int is_visible(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

/* In the order of names, so that two runs number alike. */
static void replay(const char *path)
{
        struct dirent **entries;
        int n = scandir(path, &entries, is_visible, alphasort);

        if (n < 0) {
                replay_file(path);
                return;
        }
        for (int i = 0; i < n; i++) {
                char file[4096];

                snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
                replay_file(file);
                free(entries[i]);
        }
        free(entries);
}

static void replay_default(void)
{
        const char *top = getenv("top_srcdir");
        char dir[4096];

        snprintf(dir, sizeof(dir), "%s/tests/corpus", top ? top : ".");
        replay(dir);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                replay(argv[i]);
        if (argc < 2)
                replay_default();

        printf("1..%u\n", tests);
        return failures == 0 && tests > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
