/* SPDX-License-Identifier: MIT */

/*
 * What one creation costs, with closing, in each of its forms.
 */

#include "libclient/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/machine.h"
#include "tests/bench/works.h"

#define FIRSTS 4U /* a round: each is a process */

/* What there is to compare with, python last: not everywhere is one. */
static void create_files(const struct bench *b, const char *dir, double aim)
{
        const unsigned int n = b->extent->files;
        const char *power = b->world->power.socket, *crash = b->world->crash.socket;
        const struct contestant c[] = {
                LIMIT("mkostemp, close, unlink", &bare_file, .dir = dir, .per_round = n),
                OURS("under a tag, power", &our_file, .dir = dir, .socket = power, .per_round = n,
                     .aim = aim),
                OURS("under a tag, crash", &our_file, .dir = dir, .socket = crash, .per_round = n,
                     .aim = aim),
                OURS("in an arena", &our_arena_file, .dir = dir, .socket = power, .per_round = n,
                     .aim = 1.05),
                OURS("acknowledged, power", &our_acknowledged, .dir = dir, .socket = power,
                     .per_round = n / 8 + 1),
                OURS("acknowledged, crash", &our_acknowledged, .dir = dir, .socket = crash,
                     .per_round = n / 8 + 1),
                PEER("bare socket round trip", &bare_round_trip, .dir = dir,
                     .per_round = n / 4 + 1),
                PEER("SQLite commit, synchronous=NORMAL", &bare_row_normal, .dir = b->world->disk,
                     .per_round = n / 4 + 1),
                PEER("SQLite commit, synchronous=FULL", &bare_row_full, .dir = b->world->disk,
                     .per_round = n / 16 + 1),
                PEER("CPython NamedTemporaryFile", &python_file, .dir = dir,
                     .per_round = n / 4 + 1),
        };

        report_group(b->report, "us a file", NULL, 0, "A named file, created and closed, on %s",
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c) - !b->has_python, b->extent->rounds);
}

static void create_directories(const struct bench *b, const char *dir)
{
        const unsigned int n = b->extent->files / 2 + 1;
        const struct contestant c[] = {
                LIMIT("mkdtemp, rmdir", &bare_directory, .dir = dir, .per_round = n),
                OURS("under a tag, power", &our_directory, .dir = dir,
                     .socket = b->world->power.socket, .per_round = n),
                OURS("under a tag, crash", &our_directory, .dir = dir,
                     .socket = b->world->crash.socket, .per_round = n),
        };

        report_group(b->report, "us each", NULL, 0, "A directory, created and closed, on %s",
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c), b->extent->rounds);
}

/* The limit's database is on the disk in either case, as the daemon's is. */
static void create_first(const struct bench *b, const char *dir)
{
        const struct contestant c[] = {
                LIMIT("round trip, SQLite commit (FULL), mkostemp ...", &bare_first,
                      .dir = b->world->disk, .per_round = FIRSTS),
                OURS("power", &our_first, .dir = dir, .socket = b->world->power.socket,
                     .per_round = FIRSTS, .aim = streq(dir, b->world->disk) ? 1.5 : 0),
                OURS("crash", &our_first, .dir = dir, .socket = b->world->crash.socket,
                     .per_round = FIRSTS),
        };

        report_group(b->report, "us", NULL, 0, "The first file of a process, on %s",
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c), b->extent->rounds);
}

void bench_create(const struct bench *b)
{
        create_files(b, b->world->memory, 1.6);
        create_files(b, b->world->disk, 1.3);
        create_directories(b, b->world->memory);
        create_directories(b, b->world->disk);
        create_first(b, b->world->memory);
        create_first(b, b->world->disk);
}
