/* SPDX-License-Identifier: MIT */

/*
 * Keeps results and shows them; see the header. The subtle thing: an aim is held against the median
 * of the ratios, but when the spread reaches over it the table says so: such a run has not decided.
 */

#include "tests/bench/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "libclient/util.h"
#include "tests/bench/machine.h"

#define NAME_COLUMNS 46

static const char *const roles[] = {
        [ROLE_LIMIT] = "limit",
        [ROLE_OURS] = "ours",
        [ROLE_PEER] = "peer",
};

static void *must(void *p)
{
        if (!p) {
                (void) fprintf(stderr, "bench: out of memory\n");
                exit(EXIT_FAILURE);
        }
        return p;
}

/* ---- the table -------------------------------------------------------------------------------- */

/* Three digits that count. */
static const char *number(double v, char buf[16])
{
        const int decimals = v >= 100 ? 0 : v >= 10 ? 1 : v >= 0.01 || v == 0 ? 2 : 4;

        (void) snprintf(buf, 16, "%.*f", decimals, v);
        return buf;
}

static const char *verdict(const struct result *r)
{
        const struct spread *s = r->ratio.median > 0 ? &r->ratio : &r->value;

        if (s->median > r->aim)
                return s->low <= r->aim ? "missed, within the spread" : "missed";
        return s->high > r->aim ? "holds, within the spread" : "holds";
}

static void show_head(const struct group *g, FILE *f)
{
        (void) fprintf(f, "\n%s\n      %-*s %9s  %-19s %7s  %s\n", g->title, NAME_COLUMNS, "",
                       g->unit, "(4 of 5 between)", "ratio", "(4 of 5 between)");
}

static void show_result(const struct result *r, FILE *f)
{
        char a[16], b[16], c[16];

        (void) fprintf(f, "%-5s %-*s ", roles[r->role], NAME_COLUMNS, r->name);
        if (r->error < 0) {
                (void) fprintf(f, "failed: %s\n", strerror(-r->error));
                return;
        }
        (void) fprintf(f, "%9s  %8s .. %-7s", number(r->value.median, a), number(r->value.low, b),
                       number(r->value.high, c));
        if (r->ratio.median > 0)
                (void) fprintf(f, " %7s  %s .. %s", number(r->ratio.median, a),
                               number(r->ratio.low, b), number(r->ratio.high, c));
        if (r->aim > 0)
                (void) fprintf(f, "   aim %s: %s", number(r->aim, a), verdict(r));
        (void) fputc('\n', f);
}

void report_table(const struct report *r, FILE *f)
{
        machine_show(f);
        for (size_t i = 0; i < r->n_groups; i++) {
                show_head(&r->groups[i], f);
                for (size_t j = 0; j < r->groups[i].n_results; j++)
                        show_result(&r->groups[i].results[j], f);
        }
        report_aims(r, f);
}

void report_aims(const struct report *r, FILE *f)
{
        char a[16], b[16], c[16], d[16];

        (void) fprintf(f, "\nThe aims\n");
        for (size_t i = 0; i < r->n_groups; i++) {
                const struct group *g = &r->groups[i];

                for (size_t j = 0; j < g->n_results; j++) {
                        const struct result *e = &g->results[j];
                        const struct spread *s = e->ratio.median > 0 ? &e->ratio : &e->value;

                        if (e->aim <= 0 || e->error < 0)
                                continue;
                        (void) fprintf(f, "%7s  (%s .. %s)%s, aim %s: %s\n         %s: %s\n",
                                       number(s->median, a), number(s->low, b), number(s->high, c),
                                       s == &e->ratio ? "" : g->unit, number(e->aim, d), verdict(e),
                                       g->title, e->name);
                }
        }
}

/* ---- adding ----------------------------------------------------------------------------------- */

void report_group(struct report *r, const char *unit, const char *series, double x,
                  const char *format, ...)
{
        struct group *g;
        va_list args;

        r->groups = must(reallocarray(r->groups, r->n_groups + 1, sizeof(*r->groups)));
        g = &r->groups[r->n_groups++];
        *g = (struct group) { .unit = unit, .series = series, .x = x };
        va_start(args, format);
        if (vasprintf(&g->title, format, args) < 0)
                must(NULL);
        va_end(args);
        if (r->table)
                show_head(g, r->table);
}

void report_add(struct report *r, const struct result *result)
{
        struct group *g = &r->groups[r->n_groups - 1];
        struct result *added;

        g->results = must(reallocarray(g->results, g->n_results + 1, sizeof(*g->results)));
        added = &g->results[g->n_results++];
        *added = *result;
        added->name = must(strdup(result->name));
        if (result->error < 0 && result->role != ROLE_PEER)
                r->is_failed = true;
        if (!r->table)
                return;
        show_result(added, r->table);
        (void) fflush(r->table);
}

void report_value(struct report *r, enum role role, const char *name, double value, double aim)
{
        report_add(r, &(struct result) {
                              .role = role,
                              .name = (char *) name,
                              .value = spread_one(value),
                              .aim = aim,
                      });
}

void report_contest(struct report *r, const struct contestant *c, size_t n, unsigned int rounds)
{
        _cleanup_(freep) struct outcome *outcomes = must(calloc(n, sizeof(*outcomes)));
        const int error = contest_run(c, n, rounds, outcomes);

        for (size_t i = 0; i < n; i++)
                report_add(r, &(struct result) {
                                      .role = c[i].role,
                                      .name = (char *) c[i].name,
                                      .error = error < 0 ? error : outcomes[i].error,
                                      .value = spread_scaled(outcomes[i].nsec, 1e-3),
                                      .ratio = outcomes[i].ratio,
                                      .aim = c[i].aim,
                              });
}

/* ---- for machines ----------------------------------------------------------------------------- */

/* Titles and names are ours, but the machine's description is not. */
void report_json_string(const char *text, FILE *f)
{
        (void) fputc('"', f);
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        (void) fprintf(f, "\\%c", *text);
                else if ((unsigned char) *text < ' ')
                        (void) fprintf(f, "\\u%04x", (unsigned char) *text);
                else
                        (void) fputc(*text, f);
        }
        (void) fputc('"', f);
}

static void json_spread(const char *name, const struct spread *s, FILE *f)
{
        (void) fprintf(f, ", \"%s\": { \"median\": %.6g, \"low\": %.6g, \"high\": %.6g }", name,
                       s->median, s->low, s->high);
}

static void json_result(const struct result *r, FILE *f)
{
        (void) fprintf(f, "        { \"role\": \"%s\", \"name\": ", roles[r->role]);
        report_json_string(r->name, f);
        if (r->error < 0)
                (void) fprintf(f, ", \"error\": %d", -r->error);
        else
                json_spread("value", &r->value, f);
        if (r->ratio.median > 0)
                json_spread("ratio", &r->ratio, f);
        if (r->aim > 0)
                (void) fprintf(f, ", \"aim\": %.6g", r->aim);
        (void) fputs(" }", f);
}

static void json_group(const struct group *g, FILE *f)
{
        (void) fputs("    { \"title\": ", f);
        report_json_string(g->title, f);
        (void) fprintf(f, ", \"unit\": \"%s\"", g->unit);
        if (g->series)
                (void) fprintf(f, ", \"series\": \"%s\", \"x\": %.6g", g->series, g->x);
        (void) fputs(", \"results\": [\n", f);
        for (size_t i = 0; i < g->n_results; i++) {
                json_result(&g->results[i], f);
                (void) fputs(i + 1 < g->n_results ? ",\n" : "\n", f);
        }
        (void) fputs("    ] }", f);
}

void report_json(const struct report *r, FILE *f)
{
        (void) fputs("{\n  \"machine\": ", f);
        machine_json(f);
        (void) fputs(",\n  \"groups\": [\n", f);
        for (size_t i = 0; i < r->n_groups; i++) {
                json_group(&r->groups[i], f);
                (void) fputs(i + 1 < r->n_groups ? ",\n" : "\n", f);
        }
        (void) fputs("  ]\n}\n", f);
}

void report_points(const struct report *r, FILE *f)
{
        (void) fputs("series\tx\trole\tname\tmedian\tlow\thigh\n", f);
        for (size_t i = 0; i < r->n_groups; i++) {
                const struct group *g = &r->groups[i];

                for (size_t j = 0; j < g->n_results && g->series; j++) {
                        const struct result *e = &g->results[j];

                        if (e->error == 0)
                                (void) fprintf(f, "%s\t%.6g\t%s\t%s\t%.6g\t%.6g\t%.6g\n", g->series,
                                               g->x, roles[e->role], e->name, e->value.median,
                                               e->value.low, e->value.high);
                }
        }
}

void report_done(struct report *r)
{
        for (size_t i = 0; i < r->n_groups; i++) {
                for (size_t j = 0; j < r->groups[i].n_results; j++)
                        free(r->groups[i].results[j].name);
                free(r->groups[i].results);
                free(r->groups[i].title);
        }
        free(r->groups);
        *r = (struct report) { .table = r->table };
}
