# SPDX-License-Identifier: MIT
# The daemon: a library of its modules, so that tests can link them, and main.c.

noinst_LTLIBRARIES += %D%/libtempfiled.la
%C%_libtempfiled_la_SOURCES = \
	%D%/batch.c \
	%D%/change.c \
	%D%/claim.c \
	%D%/config.c \
	%D%/config.h \
	%D%/conn.c \
	%D%/conn.h \
	%D%/cred.c \
	%D%/cred.h \
	%D%/delegate-internal.h \
	%D%/delegate-main.c \
	%D%/delegate.c \
	%D%/delegate.h \
	%D%/descriptor.c \
	%D%/fdstore.c \
	%D%/fdstore.h \
	%D%/histogram.h \
	%D%/identity.c \
	%D%/identity.h \
	%D%/inspect.c \
	%D%/inspect.h \
	%D%/lease.c \
	%D%/listing.c \
	%D%/listing.h \
	%D%/load.c \
	%D%/lock.c \
	%D%/lock.h \
	%D%/log.c \
	%D%/log.h \
	%D%/monitor.c \
	%D%/monitor.h \
	%D%/notify.c \
	%D%/notify.h \
	%D%/objects.c \
	%D%/owner.c \
	%D%/owner.h \
	%D%/parcel.c \
	%D%/parcel.h \
	%D%/pending.c \
	%D%/poller.c \
	%D%/poller.h \
	%D%/pool.c \
	%D%/pool.h \
	%D%/probe.c \
	%D%/probe.h \
	%D%/proc.c \
	%D%/proc.h \
	%D%/reaper.c \
	%D%/reaper.h \
	%D%/reaping.c \
	%D%/register.c \
	%D%/registry-internal.h \
	%D%/registry.c \
	%D%/registry.h \
	%D%/rings.c \
	%D%/rings.h \
	%D%/row.c \
	%D%/row.h \
	%D%/said.c \
	%D%/said.h \
	%D%/salvage.c \
	%D%/salvage.h \
	%D%/server.c \
	%D%/server.h \
	%D%/spare.c \
	%D%/status.c \
	%D%/status.h \
	%D%/store-internal.h \
	%D%/store-ended.c \
	%D%/store-rows.c \
	%D%/store-sql.h \
	%D%/store.c \
	%D%/store.h \
	%D%/sweep.c \
	%D%/sync.c \
	%D%/sync.h \
	%D%/tell.c \
	%D%/token.c \
	%D%/tombstone.c \
	%D%/unit.c \
	%D%/usage.c \
	%D%/usage.h
%C%_libtempfiled_la_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(SQLITE_CFLAGS) \
	-DSYSCONFDIR='"$(sysconfdir)"' -DPREFIX='"$(prefix)"'
%C%_libtempfiled_la_LIBADD = $(SYSTEMD_LIBS) $(SQLITE_LIBS)

sbin_PROGRAMS += %D%/tempfiled
%C%_tempfiled_SOURCES = %D%/main.c
%C%_tempfiled_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
%C%_tempfiled_LDADD = %D%/libtempfiled.la libclient/libground.la

dist_man_MANS += %D%/tempfiled.8 %D%/tempfiled.conf.5

# An example with every key: what holds without it is the same.
dist_doc_DATA += %D%/tempfiled.conf
