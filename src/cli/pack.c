#include "cli/pack.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    ls_status (*run)(const struct ls_command *command, int argc, char **argv);
} kinds[] = {{"images", ls_pack_images_command}, {"idx", ls_pack_idx_command}};

ls_status ls_command_pack(const struct ls_command *command, int argc, char **argv) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (argc > 0 && strcmp(argv[0], kinds[k].name) == 0) return kinds[k].run(command, argc - 1, argv + 1);
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            char *help[] = {argv[0], NULL};
            printf("%s== pack %s\n", k ? "\n" : "", kinds[k].name);
            LS_TRY(kinds[k].run(command, 1, help));
        }
        return LS_OK;
    }
    if (argc == 0) return LS_FAIL(LS_INPUT, "pack needs a format: images or idx; see 'lockstep pack --help'");
    return argv[0][0] == '-'
               ? LS_FAIL(LS_INPUT, "unknown option %s before the format; see 'lockstep pack --help'", argv[0])
               : LS_FAIL(LS_INPUT, "unknown format \"%s\"; expected images or idx", argv[0]);
}
