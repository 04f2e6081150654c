// The command line: one file a subcommand, one table that lists them (main.c), one parser (options.c).
#pragma once

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct ls_option {
    const char *name;  // "--out"
    const char *alias; // "-o", or NULL
    enum { LS_FLAG, LS_WORD, LS_INTEGER, LS_REAL, LS_SIZE } type;
    void *to;          // bool *, const char **, int64_t *, double *, int64_t * (bytes, with units)
    const char *value; // what the help calls the value: "DIR"
    const char *help;
};

struct ls_command {
    const char *name;
    const char *summary; // one line, for the list of commands
    const char *usage;   // behind "lockstep <name> "
    const char *details; // a paragraph
    const char *example; // a command line that works, and what it does
    ls_status (*run)(const struct ls_command *command, int argc,
                     char **argv); // argv[0] is the first argument
    bool alone;                    // of the processes that a launcher starts, one does it all
};

// Sorts the arguments: options go where the table says, the others come to the front of argv, *n of them.
// Where --help was given, prints the help to stdout and sets *helped. LS_INPUT for what is unknown or lacks
// its value.
ls_status ls_options_parse(const struct ls_command *command, const struct ls_option *options, int argc,
                           char **argv, int *n, bool *helped);

// Does the name end as a recipe's does, .yaml or .yml?
bool ls_is_recipe(const char *path);

ls_status ls_command_train(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_eval(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_predict(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_pack(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_check(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_show(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_plan(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_bench(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_scale(const struct ls_command *command, int argc, char **argv);
ls_status ls_command_doctor(const struct ls_command *command, int argc, char **argv);
