/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_CONFIG_H
#define TEMPFILED_CONFIG_H

/*
 * The configuration: what can be set, what holds where nothing is said, and the files that it is
 * read from. tempfiled.conf(5) is its description. What is wrong in a file is a message with file
 * and line, and changes nothing: a typing error must not keep the daemon from deleting.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "daemon/usage.h"

#define CONFIG_NAME "tempfiled.conf"
#define CONFIG_DIRECTORIES_MAX 4U

struct config {
        bool is_power;            /* Durability= */
        uint64_t retry_max_usec;  /* RetryMaxSec=; UINT64_MAX: for ever longer pauses */
        uint64_t retain_max_usec; /* RetainMaxSec=; UINT64_MAX: as long as is asked for */
        struct usage_limits limits;
};

/* What holds where nothing is said. */
void config_init(struct config *c);

/* Where files are looked for, what comes first first; the end is NULL. The strings are the
 * caller's. */
int config_directories(bool is_user, char *ret[CONFIG_DIRECTORIES_MAX + 1]);
void config_directories_done(char *directories[CONFIG_DIRECTORIES_MAX + 1]);

/* Takes over what a file says; @name is for messages. Returns the number of complaints. */
unsigned int config_read(struct config *c, FILE *f, const char *name);

/* The same by its path. */
unsigned int config_read_path(struct config *c, const char *path);

/* The first file of that name in the directories, then the drop-ins of all of them. */
unsigned int config_load(struct config *c, char *const directories[]);

/* Every key with its value, in the form that a file has. */
void config_print(const struct config *c, FILE *f);

#endif
