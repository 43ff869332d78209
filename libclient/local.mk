# SPDX-License-Identifier: MIT
# The ground floor, which daemon and library share, and the client library.

noinst_LTLIBRARIES += %D%/libground.la
%C%_libground_la_SOURCES = \
	%D%/beneath.c \
	%D%/beneath.h \
	%D%/ending.c \
	%D%/ending.h \
	%D%/name.c \
	%D%/name.h \
	%D%/remover.c \
	%D%/remover.h \
	%D%/ring.c \
	%D%/ring.h \
	%D%/util.h \
	%D%/wire.c \
	%D%/wire.h

# The library's code once more as a convenience library: tests reach what is hidden in it, and
# tempfilectl runs from the build tree without libtool's wrapper script around it.
noinst_LTLIBRARIES += %D%/libtempfile-core.la
%C%_libtempfile_core_la_SOURCES = \
	%D%/admin.c \
	%D%/announce.c \
	%D%/announce.h \
	%D%/arena.c \
	%D%/claim.c \
	%D%/client.c \
	%D%/client.h \
	%D%/create.c \
	%D%/create.h \
	%D%/deadline.c \
	%D%/deadline.h \
	%D%/dial.c \
	%D%/dial.h \
	%D%/directory.c \
	%D%/directory.h \
	%D%/entry.c \
	%D%/entry.h \
	%D%/handle.c \
	%D%/handle.h \
	%D%/list.c \
	%D%/make.c \
	%D%/mkstemp.c \
	%D%/ownfd.c \
	%D%/ownfd.h \
	%D%/persist.c \
	%D%/place.c \
	%D%/place.h \
	%D%/process.c \
	%D%/process.h \
	%D%/pseudo.c \
	%D%/recipe.c \
	%D%/session.c \
	%D%/session.h \
	%D%/spooled.c \
	%D%/stream.c \
	%D%/target.c \
	%D%/target.h \
	%D%/tempdir.c \
	%D%/tempfile.c \
	%D%/track.c \
	%D%/unnamed.c
%C%_libtempfile_core_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden

include_HEADERS += \
	%D%/libtempfile.h \
	%D%/libtempfile-admin.h

lib_LTLIBRARIES += %D%/libtempfile.la
%C%_libtempfile_la_SOURCES =
%C%_libtempfile_la_LIBADD = %D%/libtempfile-core.la %D%/libground.la
%C%_libtempfile_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -version-info 0:0:0 \
	-Wl,--version-script=$(top_srcdir)/%D%/libtempfile.sym
EXTRA_%C%_libtempfile_la_DEPENDENCIES = $(top_srcdir)/%D%/libtempfile.sym

pkgconfigdir = $(libdir)/pkgconfig
nodist_pkgconfig_DATA = %D%/libtempfile.pc

libtempfile_pages = \
	%D%/tempfile_admin_open.3 \
	%D%/tempfile_arena_named.3 \
	%D%/tempfile_gettempdir.3 \
	%D%/tempfile_give.3 \
	%D%/tempfile_make.3 \
	%D%/tempfile_mkstemp.3 \
	%D%/tempfile_named.3 \
	%D%/tempfile_persist.3 \
	%D%/tempfile_pseudo_file.3 \
	%D%/tempfile_spooled.3 \
	%D%/tempfile_stream.3 \
	%D%/tempfile_track.3
dist_man_MANS += %D%/libtempfile.3 $(libtempfile_pages)
EXTRA_DIST += %D%/libtempfile.sym

# A page is found by each function that it is about: links, for man(1) looks for files.
list_page_links = \
	for page in $(libtempfile_pages); do \
		file=`basename $$page`; \
		$(SED) -n '/^\.Nd/q; s/^\.Nm \(tempfile_[a-z_]*\).*/\1.3/p' $(top_srcdir)/$$page | \
			$(SED) -n "/^$$file$$/!s/$$/ $$file/p"; \
	done

install-data-hook:
	@$(list_page_links) | while read -r link file; do \
		$(LN_S) -f $$file "$(DESTDIR)$(man3dir)/$$link" || exit 1; \
	done

uninstall-hook:
	@$(list_page_links) | while read -r link file; do rm -f "$(DESTDIR)$(man3dir)/$$link"; done
