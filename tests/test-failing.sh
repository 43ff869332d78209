#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The crash-point harness with system calls that fail instead of processes that are killed: a test of
# its own, so that both run side by side.
#
# Needs $CRASHPOINT and $TEMPFILED.

exec "${CRASHPOINT:?}" --errors
