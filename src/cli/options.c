#include "cli/cli.h"
#include "train/units.h"

#include <string.h>

static const struct ls_option *find(const struct ls_option *options, const char *word, size_t length) {
    for (const struct ls_option *option = options; option->name; option++) {
        if (strlen(option->name) == length && strncmp(option->name, word, length) == 0) return option;
        if (option->alias && strlen(option->alias) == length && strncmp(option->alias, word, length) == 0)
            return option;
    }
    return NULL;
}

static ls_status take(const struct ls_option *option, const char *value) {
    const char *wrong = NULL;
    switch (option->type) {
    case LS_FLAG: *(bool *)option->to = true; break;
    case LS_WORD: *(const char **)option->to = value; break;
    case LS_SIZE: wrong = ls_parse_size(value, option->to); break;
    case LS_REAL: wrong = ls_parse_number(value, option->to); break;
    case LS_INTEGER: wrong = ls_parse_integer(value, option->to); break;
    }
    if (!wrong) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: expected %s, found \"%s\"%s%s", option->name,
                   option->type == LS_SIZE   ? "a size such as 6GiB"
                   : option->type == LS_REAL ? "a number"
                                             : "an integer",
                   value, *wrong ? ": " : "", wrong);
}

ls_status ls_options_parse(const struct ls_command *command, const struct ls_option *options, int argc,
                           char **argv, int *n, bool *helped) {
    *n = 0;
    *helped = false;
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        char *word = argv[i];
        if (only_words || word[0] != '-' || word[1] == 0) {
            argv[(*n)++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            ls_print_help(command, options);
            *helped = true;
            return LS_OK;
        }
        const char *equals = strchr(word, '=');
        const size_t length = equals ? (size_t)(equals - word) : strlen(word);
        const struct ls_option *option = find(options, word, length);
        if (!option)
            return LS_FAIL(LS_INPUT, "unknown option %s; see 'lockstep %s --help'", word, command->name);
        if (option->type == LS_FLAG && equals)
            return LS_FAIL(LS_INPUT, "%s takes no value, found \"%s\"", option->name, equals + 1);
        const char *value = equals ? equals + 1 : NULL;
        if (option->type != LS_FLAG && !value) {
            if (i + 1 == argc) return LS_FAIL(LS_INPUT, "%s needs a value: %s", option->name, option->value);
            value = argv[++i];
        }
        LS_TRY(take(option, value));
    }
    return LS_OK;
}

bool ls_is_recipe(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}
