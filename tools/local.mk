# SPDX-License-Identifier: MIT
# tempfilectl: it knows the public headers only. A library of its modules, so that tests can link
# them, and the table of commands.

noinst_LTLIBRARIES += %D%/libtempfilectl.la
%C%_libtempfilectl_la_SOURCES = \
	%D%/ancestor.c \
	%D%/ancestor.h \
	%D%/ctl.h \
	%D%/entry.c \
	%D%/entry.h \
	%D%/json.c \
	%D%/json.h \
	%D%/list.c \
	%D%/mktemp.c \
	%D%/options.c \
	%D%/options.h \
	%D%/output.c \
	%D%/process.c \
	%D%/process.h \
	%D%/reap.c \
	%D%/run.c \
	%D%/select.c \
	%D%/select.h \
	%D%/show.c \
	%D%/status.c \
	%D%/table.c \
	%D%/table.h \
	%D%/text.c \
	%D%/text.h

bin_PROGRAMS += %D%/tempfilectl
%C%_tempfilectl_SOURCES = %D%/tempfilectl.c
%C%_tempfilectl_LDADD = %D%/libtempfilectl.la libclient/libtempfile-core.la libclient/libground.la

dist_man_MANS += %D%/tempfilectl.1
