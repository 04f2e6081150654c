#include "train/recipe_parts.h"
#include "train/units.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(enum ls_recipe_optimizer) == sizeof(int), "a choice is read and compared as an int");

// One value being read: where it stands, and where it goes.
struct value {
    const struct ls_key *key;
    const struct ls_yaml *node;
    struct ls_arena *scratch; // for messages
    struct ls_recipe *recipe;
    void *field;
};

enum { FAR_BOUND = 1000000 };

static ls_status wrong(const struct value *v, const struct ls_yaml *node, const char *reason) {
    return ls_yaml_fail(node, node->line, v->key->path, "expected %s, found %s%s%s%s",
                        ls_recipe_describe(v->scratch, v->key), ls_yaml_found(v->scratch, node),
                        *reason ? " (" : "", reason, *reason ? ")" : "");
}

static ls_status check_range(const struct value *v, const struct ls_yaml *node, double number) {
    const struct ls_key *key = v->key;
    bool low = number < key->least || (key->above && number == key->least);
    bool high = number > key->most || (key->below && number == key->most);
    if (!low && !high) return LS_OK;
    // The description leaves far bounds out; whoever meets one is told.
    const bool told = key->most < FAR_BOUND;
    return wrong(v, node,
                 high && !told ? ls_arena_format(v->scratch, "the most is %.15g", key->most)
                               : "out of range");
}

// A number is what stands there without quotes.
static ls_status need_plain(const struct value *v, const struct ls_yaml *node) {
    return node->kind != LS_YAML_SCALAR || node->quoted || ls_yaml_is_null(node) ? wrong(v, node, "") : LS_OK;
}

static ls_status need_scalar(const struct value *v, const struct ls_yaml *node) {
    return node->kind != LS_YAML_SCALAR || ls_yaml_is_null(node) ? wrong(v, node, "") : LS_OK;
}

static ls_status read_seed(const struct value *v) {
    LS_TRY(need_plain(v, v->node));
    const char *reason = ls_parse_unsigned(v->node->text, v->field);
    return reason ? wrong(v, v->node, reason) : LS_OK;
}

static ls_status read_integer(const struct value *v) {
    LS_TRY(need_plain(v, v->node));
    int64_t *field = v->field;
    const char *reason = ls_parse_integer(v->node->text, field);
    return reason ? wrong(v, v->node, reason) : check_range(v, v->node, (double)*field);
}

static ls_status read_double(const struct value *v, const struct ls_yaml *node, double *field) {
    LS_TRY(need_plain(v, node));
    const char *reason = ls_parse_number(node->text, field);
    return reason ? wrong(v, node, reason) : check_range(v, node, *field);
}

static ls_status read_number(const struct value *v) {
    return read_double(v, v->node, v->field);
}

static ls_status read_scale(const struct value *v) {
    LS_TRY(need_plain(v, v->node));
    double *field = v->field;
    *field = NAN;
    if (!strcmp(v->node->text, "auto")) return LS_OK;
    const char *reason = ls_parse_number(v->node->text, field);
    if (!reason && *field == 0) reason = "out of range";
    return reason ? wrong(v, v->node, reason) : LS_OK;
}

static int count(const struct ls_yaml *node) {
    int n = 0;
    for (const struct ls_yaml *item = node->first; item; item = item->next) n++;
    return n;
}

static ls_status read_list(const struct value *v, struct ls_numbers *numbers) {
    if (v->node->kind != LS_YAML_LIST || !v->node->first) return wrong(v, v->node, "");
    numbers->items = LS_ARENA_NEW(&v->recipe->memory_arena, double, count(v->node));
    numbers->n = 0;
    for (const struct ls_yaml *item = v->node->first; item; item = item->next)
        LS_TRY(read_double(v, item, &numbers->items[numbers->n++]));
    return LS_OK;
}

static ls_status read_numbers(const struct value *v) {
    return read_list(v, v->field);
}

static ls_status read_weights(const struct value *v) {
    struct ls_weights *field = v->field;
    const bool word = v->node->kind == LS_YAML_SCALAR;
    field->kind = !word                                    ? LS_WEIGHTS_GIVEN
                  : strcmp(v->node->text, "balanced") == 0 ? LS_WEIGHTS_BALANCED
                                                           : LS_WEIGHTS_NONE;
    if (word && field->kind == LS_WEIGHTS_NONE && strcmp(v->node->text, "none") != 0)
        return wrong(v, v->node, "");
    return word ? LS_OK : read_list(v, &field->given);
}

static ls_status read_groups(const struct value *v) {
    if (v->node->kind != LS_YAML_LIST) return wrong(v, v->node, "");
    return ls_recipe_read_groups(v->node, v->scratch, &v->recipe->memory_arena, v->field);
}

static ls_status read_flag(const struct value *v) {
    LS_TRY(need_plain(v, v->node));
    bool *field = v->field;
    const char *text = v->node->text;
    *field = !strcmp(text, "true");
    if (*field || !strcmp(text, "false")) return LS_OK;
    static const char *const others[] = {"yes", "no",  "on",   "off",   "Yes", "No",
                                         "On",  "Off", "True", "False", "0",   "1"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(text, others[i])) return wrong(v, v->node, "write true or false");
    return wrong(v, v->node, "");
}

static ls_status read_writable(const struct value *v, const struct ls_yaml *node) {
    LS_TRY(need_scalar(v, node));
    return ls_yaml_writable(node->text) ? LS_OK : wrong(v, node, "not UTF-8, or has control characters");
}

static ls_status read_text(const struct value *v) {
    LS_TRY(read_writable(v, v->node));
    if (!*v->node->text) return wrong(v, v->node, "");
    *(const char **)v->field = ls_arena_copy(&v->recipe->memory_arena, v->node->text);
    return LS_OK;
}

// The place of the word [text, text + n) among `words`, or -1.
static int word_index(const char *words, const char *text, size_t n) {
    for (int i = 0; *words; i++) {
        size_t length = strcspn(words, " ");
        if (length == n && !strncmp(words, text, n)) return i;
        words += length + (words[length] == ' ');
    }
    return -1;
}

static ls_status read_word(const struct value *v) {
    LS_TRY(need_scalar(v, v->node));
    int index = word_index(v->key->words, v->node->text, strlen(v->node->text));
    if (index < 0) return wrong(v, v->node, "");
    if (v->key->set) {
        v->key->set(v->recipe, index);
    } else {
        *(const char **)v->field = ls_arena_copy(&v->recipe->memory_arena, v->node->text);
    }
    return LS_OK;
}

static ls_status read_path(const struct value *v, const struct ls_yaml *node, bool pattern,
                           const char **path) {
    LS_TRY(read_writable(v, node));
    if (!*node->text) return wrong(v, node, "");
    *path = ls_recipe_join(&v->recipe->memory_arena, node->source->folder, node->text, pattern);
    return ls_yaml_writable(*path) ? LS_OK : wrong(v, node, "its folder's name has control characters");
}

static ls_status read_file(const struct value *v) {
    bool none = v->node->kind == LS_YAML_SCALAR && v->node->quoted && !*v->node->text;
    return none ? LS_OK : read_path(v, v->node, false, v->field);
}

static ls_status read_patterns(const struct value *v) {
    struct ls_list *field = v->field;
    bool list = v->node->kind == LS_YAML_LIST;
    if (list && !v->node->first && !v->key->preset) return wrong(v, v->node, "");
    field->items = LS_ARENA_NEW(&v->recipe->memory_arena, const char *, list ? count(v->node) : 1);
    field->n = 0;
    if (!list) return read_path(v, v->node, true, &field->items[field->n++]);
    for (const struct ls_yaml *item = v->node->first; item; item = item->next)
        LS_TRY(read_path(v, item, true, &field->items[field->n++]));
    return LS_OK;
}

static ls_status read_name(const struct value *v, const struct ls_yaml *node, const char **name) {
    LS_TRY(read_writable(v, node));
    if (!*node->text) return wrong(v, node, "");
    *name = ls_arena_copy(&v->recipe->memory_arena, node->text);
    return LS_OK;
}

static ls_status read_names(const struct value *v) {
    struct ls_list *field = v->field;
    const bool list = v->node->kind == LS_YAML_LIST;
    field->items = LS_ARENA_NEW(&v->recipe->memory_arena, const char *, list ? count(v->node) : 1);
    field->n = 0;
    if (!list) return read_name(v, v->node, &field->items[field->n++]);
    for (const struct ls_yaml *item = v->node->first; item; item = item->next)
        LS_TRY(read_name(v, item, &field->items[field->n++]));
    return LS_OK;
}

static ls_status read_size(const struct value *v) {
    LS_TRY(need_scalar(v, v->node));
    int64_t *field = v->field;
    const char *reason = ls_parse_size(v->node->text, field);
    return reason ? wrong(v, v->node, reason) : check_range(v, v->node, (double)*field);
}

static ls_status read_duration(const struct value *v) {
    LS_TRY(need_scalar(v, v->node));
    double *field = v->field;
    const char *reason = ls_parse_duration(v->node->text, field);
    return reason ? wrong(v, v->node, reason) : check_range(v, v->node, *field);
}

static ls_status read_span(const struct value *v) {
    LS_TRY(need_scalar(v, v->node));
    struct ls_span *field = v->field;
    const char *reason = ls_parse_span(v->node->text, field);
    return reason ? wrong(v, v->node, reason) : check_range(v, v->node, field->amount);
}

static ls_status read_epochs(const struct value *v) {
    struct ls_span *field = v->field;
    field->unit = LS_SPAN_EPOCHS;
    return read_double(v, v->node, &field->amount);
}

static ls_status read_steps(const struct value *v) {
    LS_TRY(need_plain(v, v->node));
    int64_t steps;
    const char *reason = ls_parse_integer(v->node->text, &steps);
    if (reason) return wrong(v, v->node, reason);
    *(struct ls_span *)v->field = (struct ls_span){.amount = (double)steps, .unit = LS_SPAN_STEPS};
    return check_range(v, v->node, (double)steps);
}

// The tree has been checked: a word, or a map of one.
static ls_status read_choice(const struct value *v) {
    const char *name = v->node->kind == LS_YAML_SCALAR ? v->node->text : v->node->first->key;
    const struct ls_key *option = ls_schema_find(ls_arena_format(v->scratch, "%s.%s", v->key->path, name));
    memcpy(v->field, &option->value, sizeof option->value);
    return LS_OK;
}

// The tree has been checked: the word none, or a section.
static ls_status read_extra(const struct value *v) {
    *(bool *)v->field = v->node->kind == LS_YAML_MAP;
    return LS_OK;
}

// ---- printing

static void print_seed(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_text_add(out, "%" PRIu64, *(const uint64_t *)field);
}

static void print_integer(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_text_add(out, "%" PRId64, *(const int64_t *)field);
}

static void print_number(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_text_add_number(out, *(const double *)field);
}

static void print_scale(const struct ls_key *key, const void *field, struct ls_text *out) {
    if (isnan(*(const double *)field)) {
        ls_text_add(out, "auto");
    } else {
        print_number(key, field, out);
    }
}

static void print_numbers(const struct ls_key *key, const void *field, struct ls_text *out) {
    const struct ls_numbers *numbers = field;
    for (int i = 0; i < numbers->n; i++) {
        ls_text_add(out, "%s", i ? ", " : "[");
        print_number(key, &numbers->items[i], out);
    }
    ls_text_add(out, "]");
}

static void print_weights(const struct ls_key *key, const void *field, struct ls_text *out) {
    const struct ls_weights *weights = field;
    if (weights->kind == LS_WEIGHTS_GIVEN)
        print_numbers(key, &weights->given, out);
    else
        ls_text_add(out, weights->kind == LS_WEIGHTS_BALANCED ? "balanced" : "none");
}

static void print_groups(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_recipe_print_groups(field, out);
}

static void print_flag(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_text_add(out, "%s", *(const bool *)field ? "true" : "false");
}

// Quoted unless it is so plain that no reader of YAML could take it for anything but itself.
static void print_string(struct ls_text *out, const char *text) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_";
    bool plain = *text != 0;
    for (const char *s = text; *s && plain; s++)
        plain = strchr(letters, *s) || (s > text && strchr("0123456789.-*?", *s));
    static const char *const taken[] = {"null", "Null", "NULL", "true", "false", "yes",
                                        "no",   "on",   "off",  "y",    "n"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) plain = plain && strcmp(text, taken[i]) != 0;
    if (plain) {
        ls_text_add(out, "%s", text);
    } else {
        ls_text_add_json(out, text);
    }
}

static void print_extra(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_text_add(out, "%s", *(const bool *)field ? "there" : "none");
}

static void print_text(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    const char *text = *(const char *const *)field;
    print_string(out, text ? text : "");
}

static void print_patterns(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    const struct ls_list *list = field;
    ls_text_add(out, "[");
    for (int i = 0; i < list->n; i++) {
        if (i) ls_text_add(out, ", ");
        print_string(out, list->items[i]);
    }
    ls_text_add(out, "]");
}

static void print_size(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_print_size(out, *(const int64_t *)field);
}

static void print_duration(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_print_duration(out, *(const double *)field);
}

static void print_span(const struct ls_key *key, const void *field, struct ls_text *out) {
    (void)key;
    ls_print_span(out, field);
}

static void print_amount(const struct ls_key *key, const void *field, struct ls_text *out) {
    const struct ls_span *span = field;
    if (key->kind == LS_KEY_STEPS) {
        ls_text_add(out, "%.0f", span->amount);
    } else {
        ls_text_add_number(out, span->amount);
    }
}

// ---- the kinds

static const struct {
    const char *name; // in messages and help
    ls_status (*read)(const struct value *value);
    void (*print)(const struct ls_key *key, const void *field, struct ls_text *out);
} kinds[LS_KEY_KINDS] = {
    [LS_KEY_SECTION] = {"a section of keys", NULL, NULL},
    [LS_KEY_EXTRA] = {"none, or a section of keys", read_extra, print_extra},
    [LS_KEY_CHOICE] = {"one of", read_choice, NULL},
    [LS_KEY_OPTION] = {"a section of keys", NULL, NULL},
    [LS_KEY_SEED] = {"an integer from 0 to 18446744073709551615", read_seed, print_seed},
    [LS_KEY_INTEGER] = {"an integer", read_integer, print_integer},
    [LS_KEY_NUMBER] = {"a number", read_number, print_number},
    [LS_KEY_SCALE] = {"auto, or a number that is not 0", read_scale, print_scale},
    [LS_KEY_NUMBERS] = {"a list of numbers", read_numbers, print_numbers},
    [LS_KEY_WEIGHTS] = {"none, balanced, or a list of numbers", read_weights, print_weights},
    [LS_KEY_GROUPS] = {"a list of groups", read_groups, print_groups},
    [LS_KEY_FLAG] = {"true or false", read_flag, print_flag},
    [LS_KEY_TEXT] = {"a text", read_text, print_text},
    [LS_KEY_WORD] = {"one of", read_word, print_text},
    [LS_KEY_FILE] = {"a path", read_file, print_text},
    [LS_KEY_PATTERNS] = {"a path, a glob, or a list of them", read_patterns, print_patterns},
    [LS_KEY_NAMES] = {"a name, or a list of them", read_names, print_patterns},
    [LS_KEY_SIZE] = {"a size such as 512MiB or 20GiB", read_size, print_size},
    [LS_KEY_DURATION] = {"a duration such as 90s, 5min or 2h", read_duration, print_duration},
    [LS_KEY_SPAN] = {"a span such as 500 steps or 1 epoch", read_span, print_span},
    [LS_KEY_EPOCHS] = {"a number", read_epochs, print_amount},
    [LS_KEY_STEPS] = {"an integer", read_steps, print_amount},
};

ls_status ls_recipe_read_value(const struct ls_key *key, const struct ls_yaml *node, struct ls_arena *scratch,
                               struct ls_recipe *recipe) {
    struct value value = {key, node, scratch, recipe, (char *)recipe + key->offset};
    return kinds[key->kind].read ? kinds[key->kind].read(&value) : LS_OK;
}

static void print_chosen(const struct ls_key *choice, int value, struct ls_text *out) {
    for (int i = 0; i < ls_schema_keys; i++)
        if (ls_schema_is_child(&ls_schema[i], choice->path) && ls_schema[i].value == value)
            ls_text_add(out, "%s", ls_schema_name(&ls_schema[i]));
}

static void print_word(const char *words, int index, struct ls_text *out) {
    while (index-- > 0) words = strchr(words, ' ') + 1;
    ls_text_add_bytes(out, words, strcspn(words, " "));
}

void ls_recipe_print_value(const struct ls_key *key, const struct ls_recipe *recipe, struct ls_text *out) {
    const void *field = (const char *)recipe + key->offset;
    if (key->get) {
        print_word(key->words, key->get(recipe), out);
    } else if (key->kind == LS_KEY_CHOICE) {
        int chosen;
        memcpy(&chosen, field, sizeof chosen);
        print_chosen(key, chosen, out);
    } else if (kinds[key->kind].print) {
        kinds[key->kind].print(key, field, out);
    }
}

static const char *spaced_by_commas(struct ls_arena *arena, const char *words) {
    char *text = ls_arena_alloc(arena, 2 * strlen(words) + 1), *to = text;
    for (; *words; words++) {
        if (*words == ' ') *to++ = ',';
        *to++ = *words;
    }
    return text;
}

// "0 to 1 (1 excluded)", "at least 1", "more than 0": bounds that nobody meets are left out.
static const char *describe_range(struct ls_arena *arena, const struct ls_key *key) {
    bool top = key->most < FAR_BOUND;
    bool bottom = key->least > -FAR_BOUND;
    if (!bottom && !top) return "";
    const char *low = key->above ? "more than"
                      : top      ? "from"
                                 : "at least",
               *high = key->below ? "below" : "to";
    if (!top) return ls_arena_format(arena, "%s %.15g", low, key->least);
    if (key->above && key->below) high = "and below";
    if (key->above && !key->below) high = "and at most";
    return ls_arena_format(arena, "%s %.15g %s %.15g", low, key->least, high, key->most);
}

const char *ls_recipe_describe(struct ls_arena *arena, const struct ls_key *key) {
    const char *name = kinds[key->kind].name;
    switch (key->kind) {
    case LS_KEY_CHOICE: return ls_arena_format(arena, "%s %s", name, ls_schema_children(arena, key->path));
    case LS_KEY_WORD: return ls_arena_format(arena, "%s %s", name, spaced_by_commas(arena, key->words));
    case LS_KEY_INTEGER:
    case LS_KEY_NUMBER:
    case LS_KEY_NUMBERS:
    case LS_KEY_EPOCHS:
    case LS_KEY_STEPS: {
        const char *range = describe_range(arena, key);
        return *range ? ls_arena_format(arena, "%s %s", name, range) : name;
    }
    case LS_KEY_SPAN: return key->above ? ls_arena_format(arena, "%s, more than 0", name) : name;
    case LS_KEY_SIZE:
        if (key->least > 0) return ls_arena_format(arena, "%s, at least %.15g bytes", name, key->least);
        return name;
    case LS_KEY_DURATION: return ls_arena_format(arena, "%s, at least %.15gs", name, key->least);
    default: return name;
    }
}
