// The command line: one file a subcommand, one table that lists them (main.c), one parser (options.c).
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

// What an option takes: a flag nothing; of numbers those from `least` to `most`, or any from `least` on where
// `most` is 0.
struct ls_option_type {
    enum { LS_TAKES_NOTHING, LS_TAKES_WORD, LS_TAKES_INTEGER, LS_TAKES_REAL, LS_TAKES_SIZE } takes;
    double least, most;
};

// clang-format off
#define LS_FLAG {LS_TAKES_NOTHING, 0, 0}
#define LS_WORD {LS_TAKES_WORD, 0, 0}
#define LS_INTEGER(least, most) {LS_TAKES_INTEGER, least, most}
#define LS_REAL(least, most) {LS_TAKES_REAL, least, most}
#define LS_SIZE(least, most) {LS_TAKES_SIZE, least, most}
// clang-format on

struct ls_option {
    const char *name;  // "--out"
    const char *alias; // "-o", or NULL
    struct ls_option_type type;
    void *to;          // bool *, const char **, int64_t *, double *, int64_t * (bytes, with units)
    const char *value; // what the help calls the value: "DIR"
    const char *help;
};

struct ls_command {
    const char *name;    // "train"; "pack csv", of a command that has kinds
    const char *summary; // for the list that it stands in
    const char *usage;   // behind "lockstep <name> "
    const char *details; // a paragraph, which is broken into lines when it is printed
    const char *example; // command lines that work, one a line
    // argv[0] is the first argument behind the name.
    ls_status (*run)(const struct ls_command *command, int argc, char **argv);
    bool alone; // of the processes that a launcher starts, one does it all
};

extern const struct ls_command ls_command_train, ls_command_eval, ls_command_predict, ls_command_pack,
    ls_command_check, ls_command_show, ls_command_plan, ls_command_bench, ls_command_scale, ls_command_doctor;

// ---- options.c
// Sorts the arguments: options go where the table says, the others come to the front of argv, *n of them.
// Where --help was given, prints the help to stdout and sets *helped. LS_INPUT for what is unknown, lacks its
// value or has an empty one, is no number of its range, or gives a value twice. What is not given keeps what
// is there, which may lie outside of the range.
ls_status ls_options_parse(const struct ls_command *command, const struct ls_option *options, int argc,
                           char **argv, int *n, bool *helped);

// Does the name end as a recipe's does, .yaml or .yml?
bool ls_is_recipe(const char *path);

// ---- help.c
void ls_print_help(const struct ls_command *command, const struct ls_option *options);
void ls_print_kinds(const struct ls_command *command, const struct ls_command *const *kinds);

// ---- kinds.c
// "csv" of "pack csv".
const char *ls_kind_name(const struct ls_command *kind);
// For a command that has kinds (`kinds` ends with NULL): runs the one that the first argument names, or
// prints the help that lists them.
ls_status ls_run_kind(const struct ls_command *command, const struct ls_command *const *kinds, int argc,
                      char **argv);
