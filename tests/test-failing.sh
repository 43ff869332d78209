#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The crash-point harness with system calls that fail instead of processes that are killed: a test of
# its own, so that both run side by side. The client's calls; with $TEMPFILED_TEST_FULL the daemon's,
# too.
#
# Needs $CRASHPOINT and $TEMPFILED.

if [[ -n ${TEMPFILED_TEST_FULL-} ]]; then
    exec "${CRASHPOINT:?}" --errors
fi
exec "${CRASHPOINT:?}" --errors --victim client
