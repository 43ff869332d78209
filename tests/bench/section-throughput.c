/* SPDX-License-Identifier: MIT */

/*
 * What many do at once. How many registrations were committed together is read from SQLite itself:
 * the index of its log begins with a header in which the third number counts transactions
 * (https://sqlite.org/walformat.html).
 */

#include <fcntl.h>
#include <unistd.h>

#include "libclient/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/works.h"

#define BATCH 256U
#define SHARE (1 / 6.0) /* of SQLite's rows a second, what registrations are to reach */
#define COUNT_OFFSET 8

static uint32_t count_commits(const struct daemon_fixture *d)
{
        char path[PATH_MAX + 32];
        uint32_t n = 0;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/tempfiled.db-shm", d->state_dir);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || pread(fd, &n, sizeof(n), COUNT_OFFSET) != sizeof(n))
                n = 0;
        (void) close_fd(fd);
        return n;
}

static void register_together(const struct bench *b, bool is_threads, unsigned int clients)
{
        const unsigned int n = MAX(b->extent->crowd_files, clients) / clients * clients;
        const struct contestant c[] = {
                LIMIT("SQLite rows, 256 a commit, no socket", &bare_row_normal,
                      .dir = b->world->disk, .count = BATCH, .per_round = n),
                OURS("registrations, crash",
                     is_threads ? &threads_our_reservation : &processes_our_reservation,
                     .dir = b->world->memory, .socket = b->world->crash.socket, .count = clients,
                     .per_round = n, .aim = !is_threads && clients == 16 ? 1 / SHARE : 0),
                PEER("bare round trips to one process", &processes_bare_question,
                     .dir = b->world->memory, .count = clients, .per_round = n),
                PEER("to one that commits a row before", &processes_bare_row, .dir = b->world->disk,
                     .count = clients, .per_round = n),
                PEER("to one that commits one with an index", &processes_bare_indexed_row,
                     .dir = b->world->disk, .count = clients, .per_round = n),
        };
        const size_t n_contestants = is_threads ? 2 : ARRAY_SIZE(c); /* they share a connection */
        const uint32_t before = count_commits(&b->world->crash);
        uint32_t commits;

        report_group(b->report, "us each", is_threads ? "register-threads" : "register-processes",
                     clients, "Acknowledged registrations, %u %s", clients,
                     is_threads ? "threads" : "processes");
        report_contest(b->report, c, n_contestants, b->extent->crowd_rounds);
        commits = count_commits(&b->world->crash) - before;
        if (commits > 0)
                report_value(b->report, ROLE_OURS, "registrations in a commit (a number)",
                             (double) n * (b->extent->crowd_rounds + 1) / commits, 0);
}

static void create_together(const struct bench *b, bool is_threads, unsigned int clients)
{
        const unsigned int n = MAX(b->extent->crowd_files, clients) / clients * clients;
        const char *dir = b->world->memory;
        const struct contestant c[] = {
                LIMIT("mkostemp, close, unlink",
                      is_threads ? &threads_bare_file : &processes_bare_file, .dir = dir,
                      .count = clients, .per_round = n),
                OURS("under a tag, crash", is_threads ? &threads_our_file : &processes_our_file,
                     .dir = dir, .socket = b->world->crash.socket, .count = clients,
                     .per_round = n),
        };

        report_group(b->report, "us each", is_threads ? "create-threads" : "create-processes",
                     clients, "Files created and closed in memory, %u %s", clients,
                     is_threads ? "threads" : "processes");
        report_contest(b->report, c, ARRAY_SIZE(c), b->extent->crowd_rounds);
}

void bench_throughput(const struct bench *b)
{
        for (unsigned int n = 1; n <= b->extent->clients_max; n *= 4) {
                register_together(b, false, n);
                create_together(b, false, n);
        }
        for (unsigned int n = 1; n <= MIN(b->extent->clients_max, 16U); n *= 4) {
                register_together(b, true, n);
                create_together(b, true, n);
        }
}
