/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_OPTIONS_H
#define TEMPFILED_OPTIONS_H

#include "tools/ctl.h"

/*
 * options_parse() - applies the options of one command, or with @command NULL of the tool itself
 * @argv: argv[0] is skipped. Options of the tool end at the first argument that is none.
 *
 * Return: the index of the first argument; -1 after having told an error; or c->done is set and
 * nothing else is to be done. With a host in c->host what is for it is not applied, but noted.
 */
int options_parse(struct ctl *c, const struct ctl_command *command, int argc, char **argv);

/*
 * Looks for -H alone and changes *host only where it is there. Telling what is wrong is left to
 * options_parse(). Returns the index of the first argument.
 */
int options_find_host(const struct ctl_command *command, int argc, char **argv, const char **host);

/* Prints the help of a command, or with NULL of the tool. */
void options_print_help(const struct ctl_command *command);

#endif
