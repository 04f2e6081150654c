#include "cli/pack.h"

#include <string.h>

static const struct {
    const char *name;
    ls_status (*run)(const struct ls_command *command, int argc, char **argv);
} kinds[] = {{"images", ls_pack_images_command},
             {"csv", ls_pack_csv_command},
             {"npy", ls_pack_npy_command},
             {"h5", ls_pack_h5_command},
             {"idx", ls_pack_idx_command}};

static const char expected[] = "images, csv, npy, h5 or idx";

ls_status ls_command_pack(const struct ls_command *command, int argc, char **argv) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (argc > 0 && strcmp(argv[0], kinds[k].name) == 0) return kinds[k].run(command, argc - 1, argv + 1);
    if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
        const struct ls_option none = {0};
        int n;
        bool helped;
        return ls_options_parse(command, &none, 1, argv, &n, &helped);
    }
    if (argc == 0) return LS_FAIL(LS_INPUT, "pack needs a format: %s; see 'lockstep pack --help'", expected);
    return argv[0][0] == '-'
               ? LS_FAIL(LS_INPUT, "unknown option %s before the format; see 'lockstep pack --help'", argv[0])
               : LS_FAIL(LS_INPUT, "unknown format \"%s\"; expected %s", argv[0], expected);
}
