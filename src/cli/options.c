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

// "--" alone ends the options; a value that begins so goes behind "=".
static bool is_option(const struct ls_option *options, const char *word) {
    return strncmp(word, "--", 2) == 0 || find(options, word, strcspn(word, "="));
}

static ls_status refuse(const struct ls_option *option, const char *value, const char *why) {
    static const char *const expected[] = {[LS_TAKES_SIZE] = "a size such as 6GiB",
                                           [LS_TAKES_REAL] = "a number",
                                           [LS_TAKES_INTEGER] = "an integer"};
    return LS_FAIL(LS_INPUT, "%s: expected %s, found \"%s\"%s%s", option->name, expected[option->type.takes],
                   value, *why ? ": " : "", why);
}

static ls_status check_range(const struct ls_option *option, const char *value, double number) {
    const bool bounded = option->type.most > 0;
    if (number >= option->type.least && (!bounded || number <= option->type.most)) return LS_OK;
    if (!bounded)
        return LS_FAIL(LS_INPUT, "%s: expected at least %.15g, found %s", option->name, option->type.least,
                       value);
    return LS_FAIL(LS_INPUT, "%s: expected %.15g to %.15g, found %s", option->name, option->type.least,
                   option->type.most, value);
}

static ls_status take(const struct ls_option *option, const char *value) {
    const char *wrong = NULL;
    int64_t integer = 0;
    double number = 0;
    switch (option->type.takes) {
    case LS_TAKES_NOTHING: *(bool *)option->to = true; return LS_OK;
    case LS_TAKES_WORD: *(const char **)option->to = value; return LS_OK;
    case LS_TAKES_REAL: wrong = ls_parse_number(value, &number); break;
    case LS_TAKES_SIZE: wrong = ls_parse_size(value, &integer); break;
    case LS_TAKES_INTEGER: wrong = ls_parse_integer(value, &integer); break;
    }
    if (wrong) return refuse(option, value, wrong);
    if (option->type.takes == LS_TAKES_REAL) {
        LS_TRY(check_range(option, value, number));
        *(double *)option->to = number;
    } else {
        LS_TRY(check_range(option, value, (double)integer));
        *(int64_t *)option->to = integer;
    }
    return LS_OK;
}

// What comes behind `word`, which is at argv[*i]: "=value", or the next argument, unless that is an option.
static ls_status find_value(const struct ls_option *options, const struct ls_option *option, int argc,
                            char *const *argv, int *i, const char **value) {
    const char *equals = strchr(argv[*i], '=');
    *value = equals ? equals + 1 : NULL;
    if (option->type.takes == LS_TAKES_NOTHING)
        return equals ? LS_FAIL(LS_INPUT, "%s takes no value, found \"%s\"", option->name, *value) : LS_OK;
    if (!equals) {
        const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
        if (!next || is_option(options, next))
            return LS_FAIL(LS_INPUT, "%s needs a value: %s%s%s", option->name, option->value,
                           next ? "; found the option " : "", next ? next : "");
        *value = next;
        ++*i;
    }
    return **value ? LS_OK : LS_FAIL(LS_INPUT, "%s: expected %s, found nothing", option->name, option->value);
}

ls_status ls_options_parse(const struct ls_command *command, const struct ls_option *options, int argc,
                           char **argv, int *n, bool *helped) {
    *n = 0;
    *helped = false;
    bool only_words = false;
    uint64_t given = 0; // a bit for each option that has its value
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
        const struct ls_option *option = find(options, word, strcspn(word, "="));
        const char *value;
        if (!option)
            return LS_FAIL(LS_INPUT, "unknown option %s; see 'lockstep %s --help'", word, command->name);
        LS_TRY(find_value(options, option, argc, argv, &i, &value));
        const uint64_t bit = option->type.takes == LS_TAKES_NOTHING ? 0 : UINT64_C(1) << (option - options);
        if (given & bit) return LS_FAIL(LS_INPUT, "%s is given twice", option->name);
        given |= bit;
        LS_TRY(take(option, value));
    }
    return LS_OK;
}

bool ls_is_recipe(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}
