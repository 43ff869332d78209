# SPDX-License-Identifier: MIT
# One Check program a module, the crash-point harness, and scripts that use real programs.
# All speak TAP, so that every case shows by name.

LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .sh
SH_LOG_DRIVER = $(LOG_DRIVER)

# What every test finds in its environment. Check's limit of 4 seconds a case is meant for idle
# machines; under a sanitizer or beside a parallel build it is not a verdict.
AM_TESTS_ENVIRONMENT = \
	TEMPFILED='$(abs_top_builddir)/daemon/tempfiled'; export TEMPFILED; \
	TEMPFILECTL='$(abs_top_builddir)/tools/tempfilectl'; export TEMPFILECTL; \
	CRASHPOINT='$(abs_top_builddir)/%D%/crashpoint'; export CRASHPOINT; \
	LIBTEMPFILE_CFLAGS='-I$(abs_top_srcdir)/libclient $(INSTRUMENT_FLAGS)'; export LIBTEMPFILE_CFLAGS; \
	LIBTEMPFILE_LIBS='-L$(abs_top_builddir)/libclient/.libs -Wl,-rpath,$(abs_top_builddir)/libclient/.libs -ltempfile'; export LIBTEMPFILE_LIBS; \
	CC='$(CC)'; export CC; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	CK_TAP_LOG_FILE_NAME=-; export CK_TAP_LOG_FILE_NAME; \
	CK_TIMEOUT_MULTIPLIER=$${CK_TIMEOUT_MULTIPLIER:-5}; export CK_TIMEOUT_MULTIPLIER;
