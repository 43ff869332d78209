# SPDX-License-Identifier: MIT
# tempfilectl. It knows the public headers only.

bin_PROGRAMS += %D%/tempfilectl
%C%_tempfilectl_SOURCES = \
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
	%D%/tempfilectl.c \
	%D%/text.c \
	%D%/text.h
%C%_tempfilectl_LDADD = libclient/libtempfile-core.la libclient/libground.la

dist_man_MANS += %D%/tempfilectl.1
