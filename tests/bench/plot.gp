# SPDX-License-Identifier: MIT
# Cost against scale. To be given: points, the file that the bench wrote; picture, what is to be made.
#
#     gnuplot -e "points='bench.points'; picture='bench.svg'" plot.gp

set terminal svg size 1000,900 background rgb 'white'
set output picture
set datafile separator tab
set logscale xy
set key left top
set ylabel 'microseconds each'
set multiplot layout 2,2

# One curve: what a series says of one name, with its spread.
rows(series, name) = sprintf("< awk -F'\t' '$1 == \"%s\" && $4 == \"%s\"' '%s'", series, name, points)

set title 'Registrations, by what there is already'
set xlabel 'entries'
plot rows('entries', 'mkostemp, close, unlink') using 2:5:6:7 with yerrorlines title 'mkostemp, close, unlink', \
     rows('entries', 'under a tag') using 2:5:6:7 with yerrorlines title 'under a tag', \
     rows('entries', 'reserved') using 2:5:6:7 with yerrorlines title 'reserved'

set xlabel 'owners'
plot rows('owners', 'under a tag') using 2:5:6:7 with yerrorlines title 'under a tag, processes', \
     rows('owners', 'reserved') using 2:5:6:7 with yerrorlines title 'reserved, processes', \
     rows('leases', 'reserved') using 2:5:6:7 with yerrorlines title 'reserved, leases'

set title 'Acknowledged registrations, together'
set xlabel 'processes or threads'
plot rows('register-processes', 'SQLite rows, 256 a commit, no socket') using 2:5:6:7 with yerrorlines title 'SQLite rows', \
     rows('register-processes', 'registrations, crash') using 2:5:6:7 with yerrorlines title 'processes', \
     rows('register-threads', 'registrations, crash') using 2:5:6:7 with yerrorlines title 'threads'

set title 'Files in memory, together'
plot rows('create-processes', 'mkostemp, close, unlink') using 2:5:6:7 with yerrorlines title 'mkostemp, close, unlink', \
     rows('create-processes', 'under a tag, crash') using 2:5:6:7 with yerrorlines title 'processes', \
     rows('create-threads', 'under a tag, crash') using 2:5:6:7 with yerrorlines title 'threads'

unset multiplot
