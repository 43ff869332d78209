/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_ERROR_TABLE_H
#define TEMPFILED_ERROR_TABLE_H

/*
 * Calls of the library, times situations that they can't do well in: a test case for each pair, which
 * says what the call fails with. Afterwards nothing may be left in the stage's directory but what was
 * there before. With --list a program prints "FUNCTION ERROR" for each pair instead, which
 * test-manual.sh compares with what the header says.
 */

#include "tests/stage.h"
#include "tests/testutil.h"

struct error_call {
        const char *function; /* of the library */
        int (*call)(void);    /* with the stage's options; disposes of what it made */
        unsigned int traits;  /* of the program's own */
};

struct error_situation {
        const char *name;
        int expected;    /* 0: it works all the same */
        unsigned int of; /* for calls that have all these traits */
        void (*arrange)(void);
        const char *(*unless)(void); /* a reason to pass over it; NULL: none */
};

/* The fixture, which ends what lasts until the test ends: the functions below. */
void error_set_up(void);
void error_tear_down(void);

/* What the calls are to use: the stage's options, or a newer caller's. */
extern const struct tempfile_options *asked;

/* A path in the stage's directory; valid until the fourth call from now. */
const char *stage_path(const char *name);

/* The lowest free descriptor becomes the limit. */
void leave_no_descriptor(void);

/* An ordinary user who owns the stage's directory. */
void become_ordinary(void);

/* A tmpfs with these mount options at @path, for this process alone. */
void mount_at(const char *path, const char *mount_options, unsigned long flags);

/* Runs all pairs, or lists them. Returns main()'s status. */
int run_error_table(const char *suite, const struct error_call *calls, unsigned int n_calls,
                    const struct error_situation *situations, unsigned int n_situations, int argc,
                    char **argv);

#endif
