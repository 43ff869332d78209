# SPDX-License-Identifier: MIT
# tempfilectl: it knows the public headers only. A library of its modules, so that tests can link
# them, and the table of commands.

noinst_LTLIBRARIES += %D%/libtempfilectl.la
%C%_libtempfilectl_la_SOURCES = \
	%D%/ancestor.c \
	%D%/ancestor.h \
	%D%/change.c \
	%D%/change.h \
	%D%/check.c \
	%D%/collection.c \
	%D%/collection.h \
	%D%/confirm.c \
	%D%/confirm.h \
	%D%/ctl.h \
	%D%/deleted.c \
	%D%/entry.c \
	%D%/entry.h \
	%D%/exclusion.c \
	%D%/exclusion.h \
	%D%/filter.c \
	%D%/filter.h \
	%D%/give.c \
	%D%/instances.c \
	%D%/instances.h \
	%D%/inuse.c \
	%D%/inuse.h \
	%D%/json.c \
	%D%/json.h \
	%D%/keep.c \
	%D%/leftover.c \
	%D%/leftover.h \
	%D%/list.c \
	%D%/metrics.c \
	%D%/mktemp.c \
	%D%/monitor.c \
	%D%/newowner.c \
	%D%/newowner.h \
	%D%/option-table.c \
	%D%/option-table.h \
	%D%/options.c \
	%D%/options.h \
	%D%/output.c \
	%D%/pager.c \
	%D%/pager.h \
	%D%/process.c \
	%D%/process.h \
	%D%/progress.c \
	%D%/progress.h \
	%D%/quantity.c \
	%D%/quantity.h \
	%D%/reap.c \
	%D%/remote.c \
	%D%/remote.h \
	%D%/renew.c \
	%D%/retain.c \
	%D%/cgroup.c \
	%D%/cgroup.h \
	%D%/family.c \
	%D%/family.h \
	%D%/run.c \
	%D%/scan-clean.c \
	%D%/scan.c \
	%D%/scan.h \
	%D%/select.c \
	%D%/select.h \
	%D%/show.c \
	%D%/status.c \
	%D%/supervise.c \
	%D%/supervise.h \
	%D%/table.c \
	%D%/table.h \
	%D%/template.c \
	%D%/template.h \
	%D%/text.c \
	%D%/text.h \
	%D%/track.c \
	%D%/unit.c \
	%D%/unit.h \
	%D%/usage.c \
	%D%/usage.h

bin_PROGRAMS += %D%/tempfilectl
%C%_tempfilectl_SOURCES = %D%/tempfilectl.c
%C%_tempfilectl_LDADD = %D%/libtempfilectl.la libclient/libtempfile-core.la libclient/libground.la

dist_man_MANS += %D%/tempfilectl.1

# Where the shells look by default below a prefix; make bashcompletiondir=DIR says otherwise, as
# pkg-config --variable=completionsdir bash-completion would.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = %D%/completion/tempfilectl
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = %D%/completion/_tempfilectl
