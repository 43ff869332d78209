/* SPDX-License-Identifier: MIT */

/*
 * From SIGKILL until it is gone.
 */

#include "libclient/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/machine.h"
#include "tests/bench/works.h"

static void end_owner(const struct bench *b, const char *dir, unsigned int files, double aim)
{
        const char *power = b->world->power.socket, *crash = b->world->crash.socket;
        const struct contestant c[] = {
                LIMIT("bare watcher that unlinks", &watcher_of_owner, .dir = dir, .count = files,
                      .per_round = 1),
                OURS("power", &end_of_owner, .dir = dir, .socket = power, .count = files,
                     .per_round = 1, .aim = aim),
                OURS("crash", &end_of_owner, .dir = dir, .socket = crash, .count = files,
                     .per_round = 1, .aim = aim),
                PEER("Python's resource_tracker, in /dev/shm", &python_tracker, .dir = dir,
                     .count = files, .per_round = 1),
        };

        report_group(b->report, "us", NULL, 0, "SIGKILL to gone: %u of one owner, on %s", files,
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c) - !b->has_python, b->extent->ends);
}

static void end_owners(const struct bench *b, const char *dir)
{
        const unsigned int n = b->extent->owners;
        const struct contestant c[] = {
                LIMIT("bare watcher that unlinks", &watcher_of_owners, .dir = dir, .count = n,
                      .per_round = 1),
                OURS("power", &end_of_owners, .dir = dir, .socket = b->world->power.socket,
                     .count = n, .per_round = 1),
                OURS("crash", &end_of_owners, .dir = dir, .socket = b->world->crash.socket,
                     .count = n, .per_round = 1),
        };

        report_group(b->report, "us", NULL, 0,
                     "SIGKILL to gone: %u owners at once, a file each, on %s", n,
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c), b->extent->trees);
}

static void end_many(const struct bench *b, const char *dir, double aim)
{
        const unsigned int n = b->extent->many;
        const struct contestant c[] = {
                LIMIT("rm -rf of the same", &rm_of_files, .dir = dir, .count = n, .per_round = 1),
                OURS("crash", &end_of_owner, .dir = dir, .socket = b->world->crash.socket,
                     .count = n, .per_round = 1, .aim = aim),
                PEER("bare watcher that unlinks", &watcher_of_owner, .dir = dir, .count = n,
                     .per_round = 1),
        };

        report_group(b->report, "us", NULL, 0, "SIGKILL to gone: %u of one owner, on %s", n,
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c), b->extent->trees);
}

static void end_tree(const struct bench *b, const char *dir, double aim)
{
        const unsigned int n = b->extent->many;
        const struct contestant c[] = {
                LIMIT("rm -rf", &rm_of_tree, .dir = dir, .count = n, .per_round = 1),
                OURS("crash", &end_of_tree_owner, .dir = dir, .socket = b->world->crash.socket,
                     .count = n, .per_round = 1, .aim = aim),
                PEER("find -delete", &find_of_tree, .dir = dir, .count = n, .per_round = 1),
        };

        report_group(b->report, "us", NULL, 0, "SIGKILL to gone: a tree of %u files, on %s", n,
                     machine_file_system(dir));
        report_contest(b->report, c, ARRAY_SIZE(c), b->extent->trees);
}

void bench_ends(const struct bench *b)
{
        const char *memory = b->world->memory, *disk = b->world->disk;

        end_owner(b, memory, 1, 3);
        end_owner(b, disk, 1, 3);
        end_owner(b, memory, b->extent->few, 0);
        end_owners(b, memory);
        end_many(b, memory, 1.2);
        end_many(b, disk, 1.2);
        end_tree(b, memory, 0);
        end_tree(b, disk, 0.6);
}
