# SPDX-License-Identifier: MIT
# Socket-activated units: the system's, and one for each user who wants it. What is generated only
# learns where the daemon is.
#
# There is nothing for sysusers.d and tmpfiles.d: the daemon runs as root, StateDirectory= makes its
# directory and the socket makes /run/tempfiled.

unit_files = \
	%D%/tempfiled.service \
	%D%/tempfiled-metrics.service \
	%D%/user/tempfiled.service

if INSTALL_SYSTEM_UNITS
dist_systemdsystemunit_DATA = %D%/tempfiled.socket %D%/tempfiled-metrics.timer
nodist_systemdsystemunit_DATA = %D%/tempfiled.service %D%/tempfiled-metrics.service

# What the messages mean, for journalctl -x: it looks in /usr/lib and /usr/local/lib.
catalogdir = $(prefix)/lib/systemd/catalog
dist_catalog_DATA = %D%/tempfiled.catalog

# A drop-in to start from.
dist_doc_DATA += %D%/example.conf
endif

if INSTALL_USER_UNITS
dist_systemduserunit_DATA = %D%/user/tempfiled.socket
nodist_systemduserunit_DATA = %D%/user/tempfiled.service
endif

$(unit_files): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' $< >$@.tmp && mv $@.tmp $@

CLEANFILES += $(unit_files)
EXTRA_DIST += \
	%D%/example.conf \
	%D%/tempfiled.catalog \
	%D%/tempfiled.socket \
	%D%/tempfiled.service.in \
	%D%/tempfiled-metrics.service.in \
	%D%/tempfiled-metrics.timer \
	%D%/user/tempfiled.socket \
	%D%/user/tempfiled.service.in
