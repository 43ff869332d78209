/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_FUZZ_REPLAY_H
#define TEMPFILED_FUZZ_REPLAY_H

/*
 * What the fuzzers share. With -DFUZZING a program is for libFuzzer, which brings its own main().
 * Without, it replays files, reports in TAP, and so is a test:
 *
 *     fuzz-... [FILE or DIRECTORY]...         default: tests/corpus/... in the source tree
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each program's. Aborts when something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const char fuzz_corpus[]; /* its directory in tests/corpus */

/* Runs the input. Is the outcome as the file's name says? *ret_why: what TAP is to say more. */
bool fuzz_judge(const char *name, const uint8_t *data, size_t size, const char **ret_why);

/* abort() is what libFuzzer notices, with or without NDEBUG. */
void fuzz_require(bool holds);

#endif
