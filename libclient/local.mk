# SPDX-License-Identifier: MIT
# The ground floor, which daemon and library share, and the client library.

noinst_LTLIBRARIES += %D%/libground.la
%C%_libground_la_SOURCES = \
	%D%/name.c \
	%D%/name.h \
	%D%/remover.h \
	%D%/util.h \
	%D%/wire.c \
	%D%/wire.h

include_HEADERS += \
	%D%/libtempfile.h \
	%D%/libtempfile-admin.h

pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = %D%/libtempfile.pc

EXTRA_DIST += %D%/libtempfile.sym
