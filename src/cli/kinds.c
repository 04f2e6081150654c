// Commands that have kinds, which the first argument names: pack images, bench step.
#include "base/text.h"
#include "cli/cli.h"

#include <string.h>

static ls_status refuse(const struct ls_command *command, const struct ls_command *const *kinds,
                        const char *found) {
    struct ls_text known = {0};
    for (; *kinds; kinds++) ls_text_add(&known, "%s%s", known.length ? ", " : "", ls_kind_name(*kinds));
    const ls_status status =
        LS_FAIL(LS_INPUT, "%s: expected one of %s, found %s%s%s; see 'lockstep %s --help'", command->name,
                known.data, found ? "\"" : "nothing", found ? found : "", found ? "\"" : "", command->name);
    ls_text_free(&known);
    return status;
}

ls_status ls_run_kind(const struct ls_command *command, const struct ls_command *const *kinds, int argc,
                      char **argv) {
    const char *word = argc > 0 ? argv[0] : NULL;
    if (word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
        ls_print_kinds(command, kinds);
        return LS_OK;
    }
    for (const struct ls_command *const *kind = kinds; word && *kind; kind++)
        if (strcmp(word, ls_kind_name(*kind)) == 0) return (*kind)->run(*kind, argc - 1, argv + 1);
    return refuse(command, kinds, word);
}
