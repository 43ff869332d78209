/* SPDX-License-Identifier: MIT */

/*
 * Applies options, and prints help.
 *
 * What there is, is in option-table.c; getopt_long() splits the command line, and its tables are
 * made from the rows. The subtle thing: an option without a short name is known to getopt_long()
 * by its row's number above 255.
 */

#include <getopt.h>
#include <stdio.h>

#include "libclient/util.h"
#include "tools/option-table.h"
#include "tools/options.h"
#include "tools/remote.h"

/* ---- parsing ---- */

static int row_value(size_t i)
{
        return option_rows[i].letter ? option_rows[i].letter : 256 + (int) i;
}

static const struct option_row *find_row(int value, unsigned int bit)
{
        for (size_t i = 0; i < n_option_rows; i++)
                if ((option_rows[i].commands & bit) && row_value(i) == value)
                        return &option_rows[i];
        return NULL;
}

/* "+" makes options end at the first argument; ":" makes a missing value tell itself apart. */
static void make_short_options(unsigned int bit, bool is_prefix, char *out)
{
        if (is_prefix)
                *out++ = '+';
        if (bit != CTL_GNU_MKTEMP)
                *out++ = ':';
        for (size_t i = 0; i < n_option_rows; i++) {
                if (!(option_rows[i].commands & bit) || !option_rows[i].letter)
                        continue;
                *out++ = option_rows[i].letter;
                if (option_rows[i].argument != ARG_NONE)
                        *out++ = ':';
        }
        *out = '\0';
}

static void make_long_options(unsigned int bit, struct option *out)
{
        static const int has_arg[] = {
                [ARG_NONE] = no_argument,
                [ARG_REQUIRED] = required_argument,
                [ARG_OPTIONAL] = optional_argument,
                [ARG_LONG_OPTIONAL] = optional_argument,
        };

        for (size_t i = 0; i < n_option_rows; i++)
                if ((option_rows[i].commands & bit) && option_rows[i].name)
                        *out++ = (struct option) { option_rows[i].name,
                                                   has_arg[option_rows[i].argument], NULL,
                                                   row_value(i) };
        *out = (struct option) { 0 };
}

/* getopt_long() tells of a wrong short option by optopt, of a wrong long one by where it stands. */
static int tell_wrong_option(const struct ctl_command *command, int result, char **argv)
{
        const char *word = argv[optind - 1];
        bool is_short = optopt > 0 && optopt < 256 && strncmp(word, "--", 2) != 0;
        char letter[3] = { '-', (char) optopt, '\0' };

        if (ctl_is_gnu(command))
                return ctl_hint_at_help(command); /* getopt_long() has told what is wrong */
        if (result == ':')
                return ctl_usage_error(command, "option '%s' needs a value",
                                       is_short ? letter : word);
        if (optopt != 0 && !is_short)
                return ctl_usage_error(command, "option '%s' takes no value", word);
        return ctl_usage_error(command, "unknown option '%s'", is_short ? letter : word);
}

/* The command line as getopt_long() is to split it. */
struct splitter {
        unsigned int bit;
        char short_options[2 * OPTION_ROWS_MAX + 3];
        struct option long_options[OPTION_ROWS_MAX + 1];
};

static void split_begin(struct splitter *s, const struct ctl_command *command)
{
        s->bit = command ? command->bit : CTL_MAIN;
        make_short_options(s->bit, !command || command->is_prefix, s->short_options);
        make_long_options(s->bit, s->long_options);
        optind = 0; /* starts anew, also inside */
}

static int split_next(const struct splitter *s, int argc, char **argv)
{
        return getopt_long(argc, argv, s->short_options, s->long_options, NULL);
}

int options_find_host(const struct ctl_command *command, int argc, char **argv, const char **host)
{
        struct splitter s;
        int value;

        split_begin(&s, command);
        opterr = 0;
        while ((value = split_next(&s, argc, argv)) >= 0)
                if (value == 'H')
                        *host = optarg;
        return optind;
}

static bool is_for_here(const struct option_row *row)
{
        return row->letter == 'H' || streq(row->name, "help") || streq(row->name, "version");
}

int options_parse(struct ctl *c, const struct ctl_command *command, int argc, char **argv)
{
        struct splitter s;

        split_begin(&s, command);
        opterr = ctl_is_gnu(command);
        for (;;) {
                const struct option_row *row;
                int value = split_next(&s, argc, argv);

                if (value < 0)
                        return optind;
                row = find_row(value, s.bit);
                if (!row) {
                        c->done = 1 + tell_wrong_option(command, value, argv);
                        return -1;
                }
                if (c->host && row->name && !is_for_here(row))
                        value = remote_add_option(c, row->name, optarg);
                else
                        value = row->apply(c, row, optarg);
                if (value != 0)
                        c->done = 1 + value;
                if (c->done)
                        return -1;
        }
}

/* ---- help ---- */

#define HELP_WIDTH 80
#define HELP_COLUMN 30 /* where it says what an option does */

/* From a column on, where the cursor is already; broken between words where it does not fit. */
static void print_wrapped(const char *text, int column)
{
        size_t width = (size_t) (HELP_WIDTH - column), len;

        for (; strlen(text) > width; text += len + 1) {
                for (len = width; len > 0 && text[len] != ' '; len--)
                        ;
                if (len == 0)
                        break; /* one long word */
                printf("%.*s\n%*s", (int) len, text, column, "");
        }
        puts(text);
}

static void print_option(const struct option_row *row)
{
        bool is_optional = row->argument == ARG_OPTIONAL || row->argument == ARG_LONG_OPTIONAL;
        char letter[8] = "    ", left[64];

        if (row->letter)
                (void) snprintf(letter, sizeof(letter), "-%c%s", row->letter,
                                row->name ? ", " : "");
        (void) snprintf(left, sizeof(left), "%s%s%s%s%s%s", letter, row->name ? "--" : "",
                        row->name ? row->name : "",
                        is_optional    ? "[="
                        : row->metavar ? "="
                                       : "",
                        row->metavar ? row->metavar : "", is_optional ? "]" : "");
        printf("  %-27s ", left);
        print_wrapped(row->help, HELP_COLUMN);
}

static void print_options(unsigned int bit)
{
        puts("\nOptions:");
        for (size_t i = 0; i < n_option_rows; i++)
                if (option_rows[i].commands & bit)
                        print_option(&option_rows[i]);
}

void options_print_help(const struct ctl_command *command)
{
        if (command) {
                printf("Usage: %s %s%s%s\n\n%s.\n", ctl_name(),
                       ctl_is_gnu(command) ? "" : command->name, ctl_is_gnu(command) ? "" : " ",
                       command->synopsis, command->summary);
                if (command->details) {
                        putchar('\n');
                        print_wrapped(command->details, 0);
                }
                print_options(command->bit);
                return;
        }
        puts("Usage: tempfilectl [OPTION]... COMMAND [ARGUMENT]...\n");
        print_wrapped(
                "Show and manage the temporary files that tempfiled(8) deletes when their owner "
                "ends.",
                0);
        puts("\nCommands:");
        for (command = ctl_commands; command->name; command++)
                printf("  %-12s %s\n", command->name, command->summary);
        print_options(CTL_MAIN);
        puts("\n'tempfilectl COMMAND --help' tells more about a command. See tempfilectl(1).");
}
