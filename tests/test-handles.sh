#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A file system without file handles, as overlayfs is before Linux 6.6: what test-disks.c sees on
# overlayfs has to hold there, too. CK_RUN_CASE chooses another of its file systems.

export TEMPFILED_NO_HANDLES=1 CK_RUN_CASE=${CK_RUN_CASE:-overlay}
exec "${top_builddir:?}/tests/test-disks"
