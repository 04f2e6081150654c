// What --help prints.
#include "base/text.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 110, OPTION_COLUMNS = 26, KIND_COLUMNS = 8 };

static void print_usage(const struct ls_command *command) {
    struct ls_text details = {0};
    ls_text_add_wrapped(&details, "", command->details, COLUMNS);
    printf("usage: lockstep %s%s%s\n\n%s", command->name, *command->usage ? " " : "", command->usage,
           details.data);
    ls_text_free(&details);
}

static void print_examples(const struct ls_command *command) {
    struct ls_text lines = {0};
    ls_text_add_wrapped(&lines, "  ", command->example, INT32_MAX);
    printf("\nexample:\n%s", lines.data);
    ls_text_free(&lines);
}

static void print_option(const struct ls_option *option) {
    char left[64];
    snprintf(left, sizeof left, "%s%s%s%s%s", option->alias ? option->alias : "", option->alias ? ", " : "",
             option->name, option->value ? " " : "", option->value ? option->value : "");
    const int fill = OPTION_COLUMNS - ls_text_columns(left);
    printf("  %s%*s %s\n", left, fill > 0 ? fill : 0, "", option->help);
}

void ls_print_help(const struct ls_command *command, const struct ls_option *options) {
    const struct ls_option help = {.name = "--help", .help = "print this"};
    print_usage(command);
    printf("\noptions:\n");
    for (; options->name; options++) print_option(options);
    print_option(&help);
    print_examples(command);
}

const char *ls_kind_name(const struct ls_command *kind) {
    return strchr(kind->name, ' ') + 1;
}

void ls_print_kinds(const struct ls_command *command, const struct ls_command *const *kinds) {
    print_usage(command);
    printf("\nkinds ('lockstep %s --help' says more, and so on):\n", kinds[0]->name);
    for (; *kinds; kinds++) printf("  %-*s %s\n", KIND_COLUMNS, ls_kind_name(*kinds), (*kinds)->summary);
    print_examples(command);
}
