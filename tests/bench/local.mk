# SPDX-License-Identifier: MIT
# make bench: how fast it is, beside what the machine can do. BENCH=quick takes two to three minutes, the
# default, full, seven; what else the bench is to be told stands in BENCHFLAGS. Results are kept in
# bench.txt, bench.json, bench.points and, where gnuplot is, bench.svg.

BENCH = full
BENCHFLAGS =

check_PROGRAMS += %D%/bench
%C%_bench_SOURCES = \
	%D%/bare.c \
	%D%/bench.c \
	%D%/bench.h \
	%D%/echo.c \
	%D%/ends.c \
	%D%/fresh.c \
	%D%/gone.c \
	%D%/gone.h \
	%D%/machine.c \
	%D%/machine.h \
	%D%/measure.c \
	%D%/measure.h \
	%D%/ours.c \
	%D%/peers.c \
	%D%/report.c \
	%D%/report.h \
	%D%/rows.c \
	%D%/rows.h \
	%D%/section-create.c \
	%D%/section-ends.c \
	%D%/section-interference.c \
	%D%/section-scale.c \
	%D%/section-throughput.c \
	%D%/together.c \
	%D%/trees.c \
	%D%/trees.h \
	%D%/works.h \
	%D%/world.c \
	%D%/world.h \
	tests/daemon-fixture.c \
	tests/daemon-fixture.h
%C%_bench_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
%C%_bench_LDADD = libclient/libtempfile-core.la libclient/libground.la $(SQLITE_LIBS)

EXTRA_DIST += %D%/plot.gp
CLEANFILES += bench.txt bench.json bench.points bench.svg

# Figures of what is not optimized, or is instrumented, mean nothing: then in a tree of its own.
.PHONY: bench bench-here
bench:
	@case "$(CFLAGS) $(INSTRUMENT_FLAGS)" in \
	*-fsanitize*) good=no ;; \
	*-O[23]*) good=yes ;; \
	*) good=no ;; \
	esac; \
	if test $$good = yes; then \
		$(MAKE) $(AM_MAKEFLAGS) bench-here; \
	else \
		$(MKDIR_P) bench-build && cd bench-build && \
		{ test -e Makefile || $(abs_top_srcdir)/configure -q CC='$(CC)' CFLAGS=-O2; } && \
		$(MAKE) $(AM_MAKEFLAGS) bench-here; \
	fi

bench-here: daemon/tempfiled %D%/bench
	TEMPFILED=daemon/tempfiled %D%/bench --extent=$(BENCH) --keep=. $(BENCHFLAGS)
	@if command -v gnuplot >/dev/null; then \
		gnuplot -e "points='bench.points'; picture='bench.svg'" $(top_srcdir)/%D%/plot.gp || \
			echo 'No plot: that takes all sections'; \
	else \
		echo 'No gnuplot here: no plot'; \
	fi
