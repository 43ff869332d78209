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
	TEMPFILED_BENCH='$(abs_top_builddir)/%D%/bench/bench'; export TEMPFILED_BENCH; \
	LIBTEMPFILE_CFLAGS='-I$(abs_top_srcdir)/libclient $(INSTRUMENT_FLAGS)'; export LIBTEMPFILE_CFLAGS; \
	LIBTEMPFILE_LIBS='-L$(abs_top_builddir)/libclient/.libs -Wl,-rpath,$(abs_top_builddir)/libclient/.libs -ltempfile'; export LIBTEMPFILE_LIBS; \
	WALL_CLOCK_MODULE='$(abs_top_builddir)/%D%/.libs/clock-step.so'; export WALL_CLOCK_MODULE; \
	CC='$(CC)'; export CC; \
	INSTRUMENT_FLAGS='$(INSTRUMENT_FLAGS)'; export INSTRUMENT_FLAGS; \
	top_srcdir='$(abs_top_srcdir)'; export top_srcdir; \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	CK_TAP_LOG_FILE_NAME=-; export CK_TAP_LOG_FILE_NAME; \
	CK_TIMEOUT_MULTIPLIER=$${CK_TIMEOUT_MULTIPLIER:-15}; export CK_TIMEOUT_MULTIPLIER;

# What takes longest starts first.
TESTS += %D%/crashpoint %D%/property

check_LTLIBRARIES = %D%/libtestutil.la
%C%_libtestutil_la_SOURCES = \
	%D%/daemon-fixture.c \
	%D%/daemon-fixture.h \
	%D%/disk-fixture.c \
	%D%/disk-fixture.h \
	%D%/fake-daemon.c \
	%D%/fake-daemon.h \
	%D%/fuse-server.c \
	%D%/fuse-server.h \
	%D%/fuse-tree.c \
	%D%/fuse-tree.h \
	%D%/raw-client.c \
	%D%/raw-client.h \
	%D%/stage.c \
	%D%/stage.h \
	%D%/testutil.c \
	%D%/testutil.h \
	%D%/wall-clock.c \
	%D%/wall-clock.h \
	%D%/wire-samples.c \
	%D%/wire-samples.h

# To be preloaded, so it has to be a shared object though nobody installs it.
check_LTLIBRARIES += %D%/clock-step.la
%C%_clock_step_la_SOURCES = %D%/clock-step.c
%C%_clock_step_la_LDFLAGS = -module -avoid-version -rpath /nowhere

if HAVE_CHECK
check_programs = \
	%D%/test-ancestor \
	%D%/test-besteffort \
	%D%/test-claims \
	%D%/test-busy \
	%D%/test-client \
	%D%/test-crowd \
	%D%/test-deaths \
	%D%/test-disks \
	%D%/test-errors \
	%D%/test-errors-change \
	%D%/test-errors-use \
	%D%/test-forms \
	%D%/test-inside \
	%D%/test-library \
	%D%/test-name \
	%D%/test-namespaces \
	%D%/test-power \
	%D%/test-processes \
	%D%/test-pseudo \
	%D%/test-remover \
	%D%/test-restart \
	%D%/test-remover-traps \
	%D%/test-quantity \
	%D%/test-spooled \
	%D%/test-surroundings \
	%D%/test-table \
	%D%/test-text \
	%D%/test-threads \
	%D%/test-wall-clock \
	%D%/test-views \
	%D%/test-wire-lists \
	%D%/test-wire \
	%D%/test-wire-v1
check_PROGRAMS += $(check_programs)
TESTS += $(check_programs)

check_cppflags = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
check_ldadd = \
	%D%/libtestutil.la \
	libclient/libtempfile-core.la \
	libclient/libground.la \
	$(CHECK_LIBS)

%C%_test_ancestor_SOURCES = %D%/test-ancestor.c
%C%_test_ancestor_CPPFLAGS = $(check_cppflags)
%C%_test_ancestor_LDADD = tools/libtempfilectl.la $(check_ldadd)

%C%_test_besteffort_SOURCES = %D%/test-besteffort.c
%C%_test_besteffort_CPPFLAGS = $(check_cppflags)
%C%_test_besteffort_LDADD = $(check_ldadd)

%C%_test_claims_SOURCES = %D%/test-claims.c
%C%_test_claims_CPPFLAGS = $(check_cppflags)
%C%_test_claims_LDADD = $(check_ldadd)

%C%_test_busy_SOURCES = %D%/test-busy.c
%C%_test_busy_CPPFLAGS = $(check_cppflags)
%C%_test_busy_LDADD = $(check_ldadd)

%C%_test_client_SOURCES = %D%/test-client.c
%C%_test_client_CPPFLAGS = $(check_cppflags)
%C%_test_client_LDADD = $(check_ldadd)

%C%_test_crowd_SOURCES = %D%/test-crowd.c
%C%_test_crowd_CPPFLAGS = $(check_cppflags)
%C%_test_crowd_LDADD = $(check_ldadd)

%C%_test_deaths_SOURCES = %D%/test-deaths.c
%C%_test_deaths_CPPFLAGS = $(check_cppflags)
%C%_test_deaths_LDADD = $(check_ldadd)

%C%_test_disks_SOURCES = %D%/test-disks.c
%C%_test_disks_CPPFLAGS = $(check_cppflags)
%C%_test_disks_LDADD = $(check_ldadd)

error_table = \
	%D%/error-table.c \
	%D%/error-table.h

%C%_test_errors_SOURCES = %D%/test-errors.c $(error_table)
%C%_test_errors_CPPFLAGS = $(check_cppflags)
%C%_test_errors_LDADD = $(check_ldadd)

%C%_test_errors_change_SOURCES = %D%/test-errors-change.c $(error_table)
%C%_test_errors_change_CPPFLAGS = $(check_cppflags)
%C%_test_errors_change_LDADD = $(check_ldadd)

%C%_test_errors_use_SOURCES = %D%/test-errors-use.c $(error_table)
%C%_test_errors_use_CPPFLAGS = $(check_cppflags)
%C%_test_errors_use_LDADD = $(check_ldadd)

%C%_test_forms_SOURCES = %D%/test-forms.c
%C%_test_forms_CPPFLAGS = $(check_cppflags)
%C%_test_forms_LDADD = $(check_ldadd)

%C%_test_inside_SOURCES = %D%/test-inside.c
%C%_test_inside_CPPFLAGS = $(check_cppflags)
%C%_test_inside_LDADD = $(check_ldadd)

%C%_test_library_SOURCES = %D%/test-library.c
%C%_test_library_CPPFLAGS = $(check_cppflags)
%C%_test_library_LDADD = $(check_ldadd)

%C%_test_name_SOURCES = %D%/test-name.c
%C%_test_name_CPPFLAGS = $(check_cppflags)
%C%_test_name_LDADD = $(check_ldadd)

remover_fixture = \
	%D%/remover-fixture.c \
	%D%/remover-fixture.h

%C%_test_remover_SOURCES = %D%/test-remover.c $(remover_fixture)
%C%_test_remover_CPPFLAGS = $(check_cppflags)
%C%_test_remover_LDADD = $(check_ldadd)

%C%_test_remover_traps_SOURCES = %D%/test-remover-traps.c $(remover_fixture)
%C%_test_remover_traps_CPPFLAGS = $(check_cppflags)
%C%_test_remover_traps_LDADD = $(check_ldadd)

%C%_test_namespaces_SOURCES = %D%/test-namespaces.c
%C%_test_namespaces_CPPFLAGS = $(check_cppflags)
%C%_test_namespaces_LDADD = $(check_ldadd)

%C%_test_processes_SOURCES = %D%/test-processes.c
%C%_test_processes_CPPFLAGS = $(check_cppflags)
%C%_test_processes_LDADD = $(check_ldadd)

%C%_test_power_SOURCES = \
	%D%/power-disk.c \
	%D%/power-disk.h \
	%D%/test-power.c
%C%_test_power_CPPFLAGS = $(check_cppflags) $(SQLITE_CFLAGS)
%C%_test_power_LDADD = $(check_ldadd) $(SQLITE_LIBS)

%C%_test_pseudo_SOURCES = %D%/test-pseudo.c
%C%_test_pseudo_CPPFLAGS = $(check_cppflags)
%C%_test_pseudo_LDADD = $(check_ldadd)

%C%_test_quantity_SOURCES = %D%/test-quantity.c
%C%_test_quantity_CPPFLAGS = $(check_cppflags)
%C%_test_quantity_LDADD = tools/libtempfilectl.la $(check_ldadd)

%C%_test_wall_clock_SOURCES = %D%/test-wall-clock.c
%C%_test_wall_clock_CPPFLAGS = $(check_cppflags)
%C%_test_wall_clock_LDADD = $(check_ldadd)

%C%_test_restart_SOURCES = %D%/test-restart.c
%C%_test_restart_CPPFLAGS = $(check_cppflags)
%C%_test_restart_LDADD = $(check_ldadd)

%C%_test_spooled_SOURCES = %D%/test-spooled.c
%C%_test_spooled_CPPFLAGS = $(check_cppflags)
%C%_test_spooled_LDADD = $(check_ldadd)

%C%_test_surroundings_SOURCES = %D%/test-surroundings.c
%C%_test_surroundings_CPPFLAGS = $(check_cppflags)
%C%_test_surroundings_LDADD = $(check_ldadd)

%C%_test_table_SOURCES = %D%/test-table.c
%C%_test_table_CPPFLAGS = $(check_cppflags)
%C%_test_table_LDADD = tools/libtempfilectl.la $(check_ldadd)

%C%_test_text_SOURCES = %D%/test-text.c
%C%_test_text_CPPFLAGS = $(check_cppflags)
%C%_test_text_LDADD = tools/libtempfilectl.la $(check_ldadd)

%C%_test_threads_SOURCES = %D%/test-threads.c
%C%_test_threads_CPPFLAGS = $(check_cppflags)
%C%_test_threads_LDADD = $(check_ldadd)

%C%_test_views_SOURCES = %D%/test-views.c
%C%_test_views_CPPFLAGS = $(check_cppflags)
%C%_test_views_LDADD = $(check_ldadd)

%C%_test_wire_lists_SOURCES = %D%/test-wire-lists.c
%C%_test_wire_lists_CPPFLAGS = $(check_cppflags)
%C%_test_wire_lists_LDADD = $(check_ldadd)

%C%_test_wire_SOURCES = %D%/test-wire.c
%C%_test_wire_CPPFLAGS = $(check_cppflags)
%C%_test_wire_LDADD = $(check_ldadd)

%C%_test_wire_v1_SOURCES = %D%/test-wire-v1.c
%C%_test_wire_v1_CPPFLAGS = $(check_cppflags)
%C%_test_wire_v1_LDADD = $(check_ldadd)

# What may not be possible, whoever tries.
attack_programs = \
	%D%/test-attacks-hanging \
	%D%/test-attacks-namespaces \
	%D%/test-attacks-owners \
	%D%/test-attacks-paths \
	%D%/test-attacks-requests \
	%D%/test-floods \
	%D%/test-limits \
	%D%/test-delegate
check_PROGRAMS += $(attack_programs)
TESTS += $(attack_programs)

attack_fixture = \
	%D%/attack-fixture.c \
	%D%/attack-fixture.h

%C%_test_attacks_hanging_SOURCES = %D%/test-attacks-hanging.c $(attack_fixture)
%C%_test_attacks_hanging_CPPFLAGS = $(check_cppflags)
%C%_test_attacks_hanging_LDADD = $(check_ldadd)

%C%_test_attacks_namespaces_SOURCES = %D%/test-attacks-namespaces.c $(attack_fixture)
%C%_test_attacks_namespaces_CPPFLAGS = $(check_cppflags)
%C%_test_attacks_namespaces_LDADD = $(check_ldadd)

%C%_test_attacks_owners_SOURCES = %D%/test-attacks-owners.c $(attack_fixture)
%C%_test_attacks_owners_CPPFLAGS = $(check_cppflags)
%C%_test_attacks_owners_LDADD = $(check_ldadd)

%C%_test_attacks_paths_SOURCES = %D%/test-attacks-paths.c $(attack_fixture)
%C%_test_attacks_paths_CPPFLAGS = $(check_cppflags)
%C%_test_attacks_paths_LDADD = $(check_ldadd)

%C%_test_floods_SOURCES = %D%/test-floods.c $(attack_fixture)
%C%_test_floods_CPPFLAGS = $(check_cppflags)
%C%_test_floods_LDADD = $(check_ldadd)
%C%_test_limits_SOURCES = %D%/test-limits.c $(attack_fixture)
%C%_test_limits_CPPFLAGS = $(check_cppflags)
%C%_test_limits_LDADD = $(check_ldadd)

%C%_test_attacks_requests_SOURCES = %D%/test-attacks-requests.c $(attack_fixture)
%C%_test_attacks_requests_CPPFLAGS = $(check_cppflags)
%C%_test_attacks_requests_LDADD = $(check_ldadd)

%C%_test_delegate_SOURCES = %D%/test-delegate.c $(attack_fixture)
%C%_test_delegate_CPPFLAGS = $(check_cppflags)
%C%_test_delegate_LDADD = $(check_ldadd)

# The daemon's modules, one by one.
check_LTLIBRARIES += %D%/libunit.la
%C%_libunit_la_SOURCES = \
	%D%/server-fixture.c \
	%D%/server-fixture.h \
	%D%/store-fixture.c \
	%D%/store-fixture.h \
	%D%/unit.c \
	%D%/unit.h
%C%_libunit_la_CPPFLAGS = $(unit_cppflags)

unit_programs = \
	%D%/test-config \
	%D%/test-notify \
	%D%/test-conn \
	%D%/test-events \
	%D%/test-cred \
	%D%/test-foreign \
	%D%/test-identity \
	%D%/test-inspect \
	%D%/test-load \
	%D%/test-owner \
	%D%/test-parcel \
	%D%/test-pool \
	%D%/test-reaper \
	%D%/test-registry \
	%D%/test-registry-faults \
	%D%/test-reserved \
	%D%/test-ring \
	%D%/test-rings \
	%D%/test-salvage \
	%D%/test-said \
	%D%/test-spare \
	%D%/test-store \
	%D%/test-store-disk \
	%D%/test-store-ended \
	%D%/test-tombstone \
	%D%/test-usage
check_PROGRAMS += $(unit_programs)
TESTS += $(unit_programs)

unit_cppflags = $(check_cppflags) $(SYSTEMD_CFLAGS) $(SQLITE_CFLAGS)
unit_ldadd = \
	%D%/libunit.la \
	%D%/libtestutil.la \
	daemon/libtempfiled.la \
	libclient/libground.la \
	$(CHECK_LIBS)

%C%_test_ring_SOURCES = %D%/test-ring.c
%C%_test_ring_CPPFLAGS = $(unit_cppflags)
%C%_test_ring_LDADD = $(unit_ldadd)

%C%_test_inspect_SOURCES = %D%/test-inspect.c
%C%_test_inspect_CPPFLAGS = $(unit_cppflags)
%C%_test_inspect_LDADD = $(unit_ldadd)

%C%_test_spare_SOURCES = %D%/test-spare.c
%C%_test_spare_CPPFLAGS = $(unit_cppflags)
%C%_test_spare_LDADD = $(unit_ldadd)

%C%_test_rings_SOURCES = %D%/test-rings.c
%C%_test_rings_CPPFLAGS = $(unit_cppflags)
%C%_test_rings_LDADD = $(unit_ldadd)

%C%_test_said_SOURCES = %D%/test-said.c
%C%_test_said_CPPFLAGS = $(unit_cppflags)
%C%_test_said_LDADD = $(unit_ldadd)

%C%_test_store_SOURCES = %D%/test-store.c
%C%_test_store_CPPFLAGS = $(unit_cppflags)
%C%_test_store_LDADD = $(unit_ldadd)

%C%_test_foreign_SOURCES = %D%/test-foreign.c
%C%_test_foreign_CPPFLAGS = $(unit_cppflags)
%C%_test_foreign_LDADD = $(unit_ldadd)

%C%_test_load_SOURCES = %D%/test-load.c
%C%_test_load_CPPFLAGS = $(unit_cppflags)
%C%_test_load_LDADD = $(unit_ldadd)

%C%_test_salvage_SOURCES = %D%/test-salvage.c
%C%_test_salvage_CPPFLAGS = $(unit_cppflags)
%C%_test_salvage_LDADD = $(unit_ldadd)

%C%_test_tombstone_SOURCES = %D%/test-tombstone.c
%C%_test_tombstone_CPPFLAGS = $(unit_cppflags)
%C%_test_tombstone_LDADD = $(unit_ldadd)

%C%_test_usage_SOURCES = %D%/test-usage.c
%C%_test_usage_CPPFLAGS = $(unit_cppflags)
%C%_test_usage_LDADD = $(unit_ldadd)

%C%_test_store_disk_SOURCES = %D%/test-store-disk.c
%C%_test_store_disk_CPPFLAGS = $(unit_cppflags)
%C%_test_store_disk_LDADD = $(unit_ldadd)

%C%_test_store_ended_SOURCES = %D%/test-store-ended.c
%C%_test_store_ended_CPPFLAGS = $(unit_cppflags)
%C%_test_store_ended_LDADD = $(unit_ldadd)

%C%_test_identity_SOURCES = %D%/test-identity.c
%C%_test_identity_CPPFLAGS = $(unit_cppflags)
%C%_test_identity_LDADD = $(unit_ldadd)

%C%_test_owner_SOURCES = %D%/test-owner.c
%C%_test_owner_CPPFLAGS = $(unit_cppflags)
%C%_test_owner_LDADD = $(unit_ldadd)

%C%_test_parcel_SOURCES = %D%/test-parcel.c
%C%_test_parcel_CPPFLAGS = $(unit_cppflags)
%C%_test_parcel_LDADD = $(unit_ldadd)

%C%_test_pool_SOURCES = %D%/test-pool.c
%C%_test_pool_CPPFLAGS = $(unit_cppflags)
%C%_test_pool_LDADD = $(unit_ldadd)

%C%_test_cred_SOURCES = %D%/test-cred.c
%C%_test_cred_CPPFLAGS = $(unit_cppflags)
%C%_test_cred_LDADD = $(unit_ldadd)

%C%_test_reaper_SOURCES = %D%/test-reaper.c
%C%_test_reaper_CPPFLAGS = $(unit_cppflags)
%C%_test_reaper_LDADD = $(unit_ldadd)

%C%_test_config_SOURCES = %D%/test-config.c
%C%_test_config_CPPFLAGS = $(unit_cppflags)
%C%_test_config_LDADD = $(unit_ldadd)

%C%_test_notify_SOURCES = %D%/test-notify.c
%C%_test_notify_CPPFLAGS = $(unit_cppflags)
%C%_test_notify_LDADD = $(unit_ldadd)

%C%_test_conn_SOURCES = %D%/test-conn.c
%C%_test_conn_CPPFLAGS = $(unit_cppflags)
%C%_test_conn_LDADD = $(unit_ldadd)

%C%_test_events_SOURCES = %D%/test-events.c
%C%_test_events_CPPFLAGS = $(unit_cppflags)
%C%_test_events_LDADD = $(unit_ldadd)

%C%_test_reserved_SOURCES = %D%/test-reserved.c
%C%_test_reserved_CPPFLAGS = $(unit_cppflags)
%C%_test_reserved_LDADD = $(unit_ldadd)

registry_fixture = %D%/registry-fixture.c %D%/registry-fixture.h

%C%_test_registry_SOURCES = %D%/test-registry.c $(registry_fixture)
%C%_test_registry_CPPFLAGS = $(unit_cppflags)
%C%_test_registry_LDADD = $(unit_ldadd)

%C%_test_registry_faults_SOURCES = %D%/test-registry-faults.c $(registry_fixture)
%C%_test_registry_faults_CPPFLAGS = $(unit_cppflags)
%C%_test_registry_faults_LDADD = $(unit_ldadd)
endif

# With libFuzzer they bring their own main(); without, they replay their corpora.
fuzz_programs = %D%/fuzz-config %D%/fuzz-conversation %D%/fuzz-rows %D%/fuzz-wire
check_PROGRAMS += $(fuzz_programs)
fuzz_replay = %D%/fuzz-replay.c %D%/fuzz-replay.h
fuzz_server = $(fuzz_replay) %D%/fuzz-server.c %D%/fuzz-server.h
fuzz_server_ldadd = daemon/libtempfiled.la libclient/libground.la
if ENABLE_FUZZING
fuzz_cppflags = -DFUZZING
fuzz_ldflags = -fsanitize=fuzzer
else
TESTS += $(fuzz_programs)
endif

%C%_fuzz_config_SOURCES = %D%/fuzz-config.c $(fuzz_replay)
%C%_fuzz_config_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(fuzz_cppflags)
%C%_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
%C%_fuzz_config_LDADD = $(fuzz_server_ldadd)

%C%_fuzz_conversation_SOURCES = %D%/fuzz-conversation.c $(fuzz_server) %D%/wire-samples.c
%C%_fuzz_conversation_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(fuzz_cppflags)
%C%_fuzz_conversation_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
%C%_fuzz_conversation_LDADD = $(fuzz_server_ldadd)

%C%_fuzz_rows_SOURCES = %D%/fuzz-rows.c $(fuzz_server)
%C%_fuzz_rows_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS) $(SQLITE_CFLAGS) $(fuzz_cppflags)
%C%_fuzz_rows_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
%C%_fuzz_rows_LDADD = $(fuzz_server_ldadd) $(SQLITE_LIBS)

%C%_fuzz_wire_SOURCES = %D%/fuzz-wire.c $(fuzz_replay)
%C%_fuzz_wire_CPPFLAGS = $(AM_CPPFLAGS) $(fuzz_cppflags)
%C%_fuzz_wire_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
%C%_fuzz_wire_LDADD = libclient/libground.la

# Each for a while: all together ten minutes, unless FUZZ_SECONDS says otherwise. What was found is
# kept, and the next time goes on from there. Those that run a server become nobody if root runs
# them, who must be able to get to FUZZ_FOUND.
FUZZ_SECONDS = 150
FUZZ_FOUND = found
fuzz: $(fuzz_programs)
	@test -z '$(ENABLE_FUZZING_TRUE)' || { echo 'configure with --enable-fuzzing CC=clang first'; exit 1; }
	@for name in config conversation rows wire; do \
		$(MKDIR_P) '$(FUZZ_FOUND)'/$$name && chmod 1777 '$(FUZZ_FOUND)' '$(FUZZ_FOUND)'/$$name && \
		cp $(top_srcdir)/%D%/corpus/$$name/* '$(FUZZ_FOUND)'/$$name && \
		%D%/fuzz-$$name -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -timeout=60 \
			-artifact_prefix='$(FUZZ_FOUND)'/$$name- '$(FUZZ_FOUND)'/$$name || exit 1; \
	done
.PHONY: fuzz

check_PROGRAMS += %D%/property
%C%_property_SOURCES = \
	%D%/property-apply.c \
	%D%/property-choose.c \
	%D%/property-client.c \
	%D%/property-client.h \
	%D%/property-model.c \
	%D%/property-model.h \
	%D%/property-run.h \
	%D%/property.c
%C%_property_LDADD = %D%/libtestutil.la libclient/libtempfile-core.la libclient/libground.la

check_PROGRAMS += %D%/crashpoint
%C%_crashpoint_SOURCES = \
	%D%/crash-check.c \
	%D%/crash-check.h \
	%D%/crash-client.c \
	%D%/crash-client.h \
	%D%/crash-fault.c \
	%D%/crash-fault.h \
	%D%/crash-group.c \
	%D%/crash-group.h \
	%D%/crash-owners.c \
	%D%/crash-process.c \
	%D%/crash-process.h \
	%D%/crash-run.c \
	%D%/crash-run.h \
	%D%/crash-scenarios.c \
	%D%/crash-scenarios.h \
	%D%/crash-starts.c \
	%D%/crash-syscalls.h \
	%D%/crash-trace.c \
	%D%/crash-trace.h \
	%D%/crash-window.c \
	%D%/crash-window.h \
	%D%/crash-world.c \
	%D%/crash-world.h \
	%D%/crashpoint.c
%C%_crashpoint_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
%C%_crashpoint_LDADD = %D%/libtestutil.la libclient/libtempfile-core.la libclient/libground.la $(SQLITE_LIBS)

# What runs as a service in test-boot.sh. Not a libtool script: it is copied elsewhere.
check_PROGRAMS += %D%/boot-client
%C%_boot_client_SOURCES = %D%/boot-client.c
%C%_boot_client_CPPFLAGS = $(AM_CPPFLAGS) $(SYSTEMD_CFLAGS)
%C%_boot_client_LDADD = %D%/libtestutil.la libclient/libtempfile-core.la libclient/libground.la $(SYSTEMD_LIBS)

dist_check_SCRIPTS = \
	%D%/test-bench.sh \
	%D%/test-boot.sh \
	%D%/test-clients.sh \
	%D%/test-container.sh \
	%D%/test-ctl.sh \
	%D%/test-examples.sh \
	%D%/test-failing.sh \
	%D%/test-handles.sh \
	%D%/test-install.sh \
	%D%/test-list.sh \
	%D%/test-manual.sh \
	%D%/test-metrics.sh \
	%D%/test-mktemp.sh \
	%D%/test-monitor.sh \
	%D%/test-programs.sh \
	%D%/test-remote.sh \
	%D%/test-run.sh \
	%D%/test-scan.sh \
	%D%/test-settings.sh \
	%D%/test-start.sh
TESTS += $(dist_check_SCRIPTS)

EXTRA_DIST += \
	%D%/README.md \
	%D%/boot-inside.sh \
	%D%/corpus \
	%D%/demo.sh \
	%D%/examples \
	%D%/openmetrics.py \
	%D%/shell-fixture.sh \
	%D%/tour.c
