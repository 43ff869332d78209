/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PROPERTY_RUN_H
#define TEMPFILED_PROPERTY_RUN_H

/* What the property test's driver and its operations share. */

#include "libclient/libtempfile-admin.h"
#include "tests/daemon-fixture.h"
#include "tests/property-client.h"
#include "tests/property-model.h"

#define PROPERTY_SLOTS 8U

/* A client, and what it was told to do. */
struct property_slot {
        uint32_t process; /* 0: nobody */
        int fd;
        bool is_busy, is_taken;
        int sent_fd;     /* goes with the command, then is closed; -1: none */
        bool has_heir;   /* a process, which may end, or be another user's */
        uint32_t target; /* process that a thing is given to; number of the slot of a fork */
        int fork_fd;     /* this side of its socket */
        struct property_command command;
};

struct property_run {
        char top[64];
        char dirs[2][MODEL_PATH_MAX], target[MODEL_PATH_MAX];
        struct daemon_fixture daemon;
        struct model model;
        struct property_slot slots[PROPERTY_SLOTS];
        bool is_calm; /* the daemon was there for the whole round */
        uint64_t random, round;
        uint64_t n_operations[OP_MAX], n_kills, n_starts, n_steps, n_compared;
        bool has_clock; /* one that can be stepped */
};

void property_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint32_t property_random(uint32_t n); /* below @n */
void property_open_slot(struct property_slot *s, uint32_t process, int fd);

/* Fills in the command of a client: something that it can do. */
void property_choose(struct property_run *run, struct property_slot *s);
/* May its client be killed in the middle of it? Else nobody could say what is to be expected. */
bool property_may_be_cut(const struct property_slot *s);
/* What became of it: the answer, NULL: the client was killed before it could give one. */
void property_apply(struct property_run *run, struct property_slot *s,
                    const struct property_answer *a);

#endif
