/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_PAGER_H
#define TEMPFILED_PAGER_H

#include "tools/ctl.h"

/*
 * Sends standard output through a pager, if that is a terminal and nothing speaks against it.
 * What suits the terminal (width, colours) is to be found out before. Without a pager that can be
 * executed the output goes where it went.
 */
void pager_open(const struct ctl *c);

/* Waits until the reader has had enough. To be called after the output was flushed. */
void pager_close(void);

#endif
