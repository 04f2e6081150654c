#include "cli/bench.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    ls_status (*run)(const struct ls_command *command, int argc, char **argv);
} kinds[] = {{"step", ls_bench_step}, {"reduce", ls_bench_reduce}, {"read", ls_bench_read}};

ls_status ls_command_bench(const struct ls_command *command, int argc, char **argv) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (argc > 0 && strcmp(argv[0], kinds[k].name) == 0) return kinds[k].run(command, argc - 1, argv + 1);
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            char *help[] = {argv[0], NULL};
            printf("%s== bench %s\n", k ? "\n" : "", kinds[k].name);
            LS_TRY(kinds[k].run(command, 1, help));
        }
        return LS_OK;
    }
    return LS_FAIL(LS_INPUT, "bench measures: step, reduce, read; found \"%s\"; see 'lockstep bench --help'",
                   argc > 0 ? argv[0] : "");
}
