#include "cli/cli.h"
#include "cli/world.h"

#include "base/log.h"
#include "base/version.h"
#include "comm/comm.h"
#include "train/libraries.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct ls_command *const commands[] = {
    &ls_command_train, &ls_command_eval, &ls_command_predict, &ls_command_pack,  &ls_command_check,
    &ls_command_show,  &ls_command_plan, &ls_command_bench,   &ls_command_scale, &ls_command_doctor};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
    fprintf(out, "usage: lockstep COMMAND …\n\n"
                 "Data-parallel training whose weights are the same bit for bit on any number of ranks.\n\n");
    for (int i = 0; i < N_COMMANDS; i++) fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\n'lockstep COMMAND --help' says more; 'lockstep --version' lists the libraries.\n"
                 "Exit status: 0 done, 1 system (memory, disk), 2 usage or input, 3 numbers not finite,\n"
                 "4 communication, 75 stopped by a signal after writing a checkpoint.\n");
}

static void print_version(void) {
    struct ls_text text = {0};
    ls_libraries(&text);
    printf("lockstep %s\n%s", ls_version(), text.data);
    ls_text_free(&text);
}

static bool is_one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (strcmp(word, *words) == 0) return true;
    return false;
}

static const struct ls_command *find_command(const char *name) {
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i]->name) == 0) return commands[i];
    return NULL;
}

static ls_status run(int argc, char **argv) {
    static const char *const help[] = {"--help", "-h", "help", NULL};
    const bool first = ls_launched_rank() <= 0;
    if (argc < 2 || is_one_of(argv[1], help)) {
        if (first) print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? LS_INPUT : LS_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        if (first) print_version();
        return LS_OK;
    }
    const struct ls_command *command = find_command(argv[1]);
    if (!command) return LS_FAIL(LS_INPUT, "unknown command \"%s\"; see 'lockstep --help'", argv[1]);
    return command->alone && !first ? LS_OK : command->run(command, argc - 2, argv + 2);
}

// Libraries that decode chunks and pictures ask for some hundred KiB for each, and give them back: glibc
// would hand them to the kernel every time, and each page be fetched anew. These are the values that it would
// itself come to, had it seen a large block freed.
static void keep_freed_memory(void) {
#ifdef __GLIBC__
    enum { LARGEST_BLOCK = 32 << 20, MOST_KEPT = 64 << 20 };
    mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK);
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT);
#endif
}

int main(int argc, char **argv) {
    keep_freed_memory();
    // A closed pipe or a file-size limit is an error to report, not a death.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    ls_log_to(ls_log_to_stderr, NULL);
    ls_status status = run(argc, argv);
    if (status == LS_OK && fflush(stdout) != 0) status = LS_FAIL(LS_SYSTEM, "cannot write the output");
    const struct ls_error *error = ls_error_last();
    if (status != LS_OK && error->status != LS_OK && ls_world_prints(status))
        ls_print_error("%s", error->text);
    ls_world_end(status);
    return status;
}
