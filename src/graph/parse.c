// Reads the text of a graph; text.c has its drawing.
#include "graph/append.h"
#include "graph/op.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 1 << 20, WORD = 64, MAX_LIST = 1 << 16 };

struct cursor {
    const char *at, *file;
    int line;
    struct ls_graph *graph;
};

// ---- words ----

static void skip(struct cursor *c) {
    while (*c->at == ' ' || *c->at == '\t' || *c->at == '\r') c->at++;
    if (*c->at == '#') c->at += strcspn(c->at, "\n");
}

static bool at_end_of_line(struct cursor *c) {
    skip(c);
    return *c->at == '\n' || *c->at == 0;
}

// Skips empty lines; false at the end of the text.
static bool next_line(struct cursor *c) {
    while (at_end_of_line(c)) {
        if (*c->at == 0) return false;
        c->at++;
        c->line++;
    }
    return true;
}

static ls_status unexpected(struct cursor *c, const char *expected) {
    skip(c);
    int length = (int)strcspn(c->at, "\n");
    if (length == 0) return LS_FAIL(LS_INPUT, "expected %s, found the end of the line", expected);
    return LS_FAIL(LS_INPUT, "expected %s, found '%.*s'", expected, length < 40 ? length : 40, c->at);
}

static bool accept(struct cursor *c, const char *token) {
    skip(c);
    size_t length = strlen(token);
    if (strncmp(c->at, token, length) != 0) return false;
    c->at += length;
    return true;
}

static ls_status expect(struct cursor *c, const char *token) {
    char quoted[WORD];
    if (accept(c, token)) return LS_OK;
    snprintf(quoted, sizeof quoted, "'%s'", token);
    return unexpected(c, quoted);
}

static ls_status take_word(struct cursor *c, const char *what, char word[WORD]) {
    skip(c);
    size_t length = 0;
    while (isalnum((unsigned char)c->at[length]) || c->at[length] == '_') length++;
    if (length == 0 || length >= WORD) return unexpected(c, what);
    memcpy(word, c->at, length);
    word[length] = 0;
    c->at += length;
    return LS_OK;
}

static ls_status take_int(struct cursor *c, int64_t *number) {
    skip(c);
    char *end;
    errno = 0;
    *number = strtoll(c->at, &end, 10);
    if (end == c->at || errno || isspace((unsigned char)*c->at)) return unexpected(c, "a whole number");
    c->at = end;
    return LS_OK;
}

static ls_status take_double(struct cursor *c, double *number) {
    skip(c);
    char *end;
    *number = strtod(c->at, &end);
    if (end == c->at || isspace((unsigned char)*c->at)) return unexpected(c, "a number");
    c->at = end;
    return LS_OK;
}

static ls_status take_float(struct cursor *c, float *number) {
    skip(c);
    char *end;
    *number = strtof(c->at, &end);
    if (end == c->at || isspace((unsigned char)*c->at)) return unexpected(c, "a number");
    c->at = end;
    return LS_OK;
}

static ls_status take_name(struct cursor *c, const char **name) {
    LS_TRY(expect(c, "\""));
    char *to = ls_arena_alloc(&c->graph->arena, strcspn(c->at, "\n") + 1);
    *name = to;
    while (*c->at != '"') {
        bool escaped = *c->at == '\\';
        if (escaped) c->at++;
        if (*c->at == 0 || *c->at == '\n') return unexpected(c, "the name's closing quote");
        *to++ = escaped && *c->at == 'n' ? '\n' : *c->at;
        c->at++;
    }
    c->at++;
    return LS_OK;
}

static ls_status take_id(struct cursor *c, ls_value *value) {
    int64_t id = 0;
    skip(c);
    if (*c->at != '%' || !isdigit((unsigned char)c->at[1])) return unexpected(c, "a value (%0, %1, ...)");
    c->at++;
    LS_TRY(take_int(c, &id));
    if (id >= MAX_VALUES)
        return LS_FAIL(LS_INPUT, "value %%%" PRId64 "; expected less than %d", id, MAX_VALUES);
    *value = (ls_value)id;
    return LS_OK;
}

static ls_status take_dtype(struct cursor *c, ls_dtype *type) {
    char word[WORD];
    LS_TRY(take_word(c, "a type (f32, u8, ...)", word));
    *type = ls_dtype_named(word);
    if (*type == LS_DTYPES) return LS_FAIL(LS_INPUT, "unknown type '%s'", word);
    return LS_OK;
}

static ls_status take_shape(struct cursor *c, struct ls_shape *shape) {
    *shape = (struct ls_shape){.rank = 0};
    if (accept(c, "scalar")) return LS_OK;
    do {
        if (shape->rank == LS_MAX_RANK) return LS_FAIL(LS_INPUT, "a shape of rank above %d", LS_MAX_RANK);
        LS_TRY(take_int(c, &shape->dim[shape->rank++]));
    } while (*c->at == 'x' && c->at++);
    return LS_OK;
}

// ---- values ----

// Values that no line has named yet have no name.
static bool is_gap(const struct ls_graph *graph, ls_value value) {
    return value >= graph->n_values || !graph->values[value].name;
}

// Makes the value of this id, with gaps up to it.
static ls_status define(struct cursor *c, ls_value value, struct ls_value_info info) {
    while (c->graph->n_values <= value)
        ls_append_value(c->graph, (struct ls_value_info){.producer = -1, .output_of = LS_NONE, .factor = 1});
    if (!is_gap(c->graph, value)) return LS_FAIL(LS_INPUT, "value %%%d is made twice", value);
    c->graph->values[value] = info;
    return LS_OK;
}

static ls_status take_init(struct cursor *c, struct ls_value_info *info) {
    if (accept(c, "uniform"))
        info->init.kind = LS_INIT_UNIFORM;
    else if (accept(c, "constant"))
        info->init.kind = LS_INIT_CONSTANT;
    else
        return unexpected(c, "uniform(...) or constant(...)");
    LS_TRY(expect(c, "("));
    LS_TRY(take_float(c, &info->init.value));
    LS_TRY(expect(c, ")"));
    info->decays = accept(c, "decay");
    info->frozen = accept(c, "frozen");
    return LS_OK;
}

static ls_status take_value(struct cursor *c, ls_value value, enum ls_value_kind kind) {
    struct ls_value_info info = {.kind = kind, .producer = -1, .output_of = LS_NONE, .factor = 1};
    LS_TRY(take_name(c, &info.name));
    LS_TRY(take_dtype(c, &info.dtype));
    LS_TRY(take_shape(c, &info.shape));
    for (int i = 0; i < info.shape.rank; i++)
        if (info.shape.dim[i] < 1 || info.shape.dim[i] > INT32_MAX)
            return LS_FAIL(LS_INPUT, "dimension %d is %" PRId64 "; expected 1 to %d", i, info.shape.dim[i],
                           INT32_MAX);
    if (kind == LS_PARAM || kind == LS_STATE) LS_TRY(take_init(c, &info));
    return define(c, value, info);
}

// The kind of that name among those that no node makes, or LS_ACTIVATION.
static enum ls_value_kind kind_named(const char *word) {
    for (enum ls_value_kind kind = LS_INPUT_RAW; kind <= LS_STATE; kind++)
        if (strcmp(ls_value_kind_name(kind), word) == 0) return kind;
    return LS_ACTIVATION;
}

// ---- nodes ----

static ls_status take_inputs(struct cursor *c, struct ls_node *node) {
    LS_TRY(expect(c, "("));
    if (accept(c, ")")) return LS_OK;
    do {
        if (node->n_in == LS_MAX_IN) return LS_FAIL(LS_INPUT, "more than %d inputs", LS_MAX_IN);
        ls_value value = LS_NONE;
        LS_TRY(take_id(c, &value));
        if (is_gap(c->graph, value)) return LS_FAIL(LS_INPUT, "value %%%d is used before it is made", value);
        node->in[node->n_in++] = value;
    } while (accept(c, ","));
    return expect(c, ")");
}

static ls_status take_attribute(struct cursor *c, struct ls_node *node) {
    char word[WORD];
    LS_TRY(take_word(c, "an attribute, a list, or '->'", word));
    LS_TRY(expect(c, "="));
    for (int i = 0; i < node->op->n_attrs; i++) {
        const struct ls_attr_info *info = &node->op->attrs[i];
        ls_dtype type = LS_F32;
        if (strcmp(info->name, word) != 0) continue;
        if (info->type == LS_ATTR_FLOAT) return take_double(c, &node->attr[i].f);
        if (info->type == LS_ATTR_INT) return take_int(c, &node->attr[i].i);
        LS_TRY(take_dtype(c, &type));
        node->attr[i].i = type;
        return LS_OK;
    }
    return LS_FAIL(LS_INPUT, "op %s has no attribute '%s'", node->op->name, word);
}

static ls_status take_list(struct cursor *c, struct ls_node *node) {
    size_t length = 1;
    for (const char *at = c->at; *at && *at != '\n' && *at != ']'; at++) length += *at == ',';
    if (length > MAX_LIST)
        return LS_FAIL(LS_INPUT, "a list of %zu numbers; expected at most %d", length, MAX_LIST);
    double *list = LS_ARENA_NEW(&c->graph->arena, double, length);
    node->list = list;
    do LS_TRY(take_double(c, &list[node->n_list++]));
    while (accept(c, ","));
    return expect(c, "]");
}

// What is written behind "->" must be what the rule says.
static ls_status check_types(struct cursor *c, const struct ls_node *node, const struct ls_value_info *out) {
    for (int k = 0; k < node->n_out; k++) {
        struct ls_value_info written = {0};
        char found[96], rule[96];
        if (k) LS_TRY(expect(c, ","));
        LS_TRY(take_dtype(c, &written.dtype));
        LS_TRY(take_shape(c, &written.shape));
        if (written.dtype != out[k].dtype || !ls_shape_equal(&written.shape, &out[k].shape))
            return LS_FAIL(LS_INPUT, "node \"%s\": output %d is written as %s %s; its rule says %s %s",
                           node->name, k, ls_dtype_name(written.dtype), ls_shape_text(found, &written.shape),
                           ls_dtype_name(out[k].dtype), ls_shape_text(rule, &out[k].shape));
    }
    return LS_OK;
}

static ls_status take_node(struct cursor *c, struct ls_node *node) {
    struct ls_value_info out[LS_MAX_OUT];
    for (int i = 0; i < node->op->n_attrs; i++) node->attr[i] = node->op->attrs[i].preset;
    LS_TRY(take_name(c, &node->name));
    LS_TRY(take_inputs(c, node));
    bool typed = false;
    while (!typed && !at_end_of_line(c)) {
        typed = accept(c, "->");
        if (!typed) LS_TRY(accept(c, "[") ? take_list(c, node) : take_attribute(c, node));
    }
    LS_TRY(ls_node_infer(c->graph, node, out));
    if (typed) LS_TRY(check_types(c, node, out));
    for (int k = 0; k < node->n_out; k++) {
        out[k].name = ls_output_name(c->graph, node->name, k);
        out[k].producer = c->graph->n_nodes;
        LS_TRY(define(c, node->out[k], out[k]));
    }
    ls_append_node(c->graph, node);
    return LS_OK;
}

// ---- lines ----

static ls_status take_output(struct cursor *c) {
    ls_value value = LS_NONE;
    LS_TRY(take_id(c, &value));
    if (is_gap(c->graph, value) || c->graph->values[value].producer < 0)
        return LS_FAIL(LS_INPUT, "output %%%d is made by no node before this line", value);
    struct ls_value_info *info = ls_info(c->graph, value);
    info->kind = LS_OUTPUT;
    LS_TRY(take_name(c, &info->name));
    if (accept(c, "of")) LS_TRY(take_id(c, &info->output_of));
    if (accept(c, "momentum=")) LS_TRY(take_float(c, &info->momentum));
    if (accept(c, "factor=")) LS_TRY(take_float(c, &info->factor));
    return LS_OK;
}

// "%1, %2 = " and then a node, or "%1 = " and then a value.
static ls_status take_definition(struct cursor *c) {
    struct ls_node node = {0};
    char word[WORD];
    do {
        if (node.n_out == LS_MAX_OUT) return LS_FAIL(LS_INPUT, "more than %d outputs", LS_MAX_OUT);
        LS_TRY(take_id(c, &node.out[node.n_out++]));
    } while (accept(c, ","));
    LS_TRY(expect(c, "="));
    LS_TRY(take_word(c, "a kind or an op", word));
    enum ls_value_kind kind = kind_named(word);
    if (kind != LS_ACTIVATION && node.n_out == 1) return take_value(c, node.out[0], kind);
    node.op = ls_op_named(word);
    if (!node.op) return LS_FAIL(LS_INPUT, "'%s' is neither a kind of value nor an op", word);
    return take_node(c, &node);
}

static ls_status take_line(struct cursor *c) {
    if (accept(c, "output"))
        LS_TRY(take_output(c));
    else if (accept(c, "result"))
        LS_TRY(take_id(c, &c->graph->result));
    else
        LS_TRY(take_definition(c));
    return at_end_of_line(c) ? LS_OK : unexpected(c, "the end of the line");
}

static ls_status take_mode(struct cursor *c) {
    next_line(c);
    LS_TRY(expect(c, "graph"));
    if (accept(c, "train"))
        c->graph->mode = LS_TRAIN;
    else if (accept(c, "eval"))
        c->graph->mode = LS_EVAL;
    else
        return unexpected(c, "train or eval");
    return at_end_of_line(c) ? LS_OK : unexpected(c, "the end of the line");
}

static ls_status take_graph(struct cursor *c) {
    ls_status status = take_mode(c);
    while (status == LS_OK && next_line(c)) status = take_line(c);
    if (status) ls_error_prefix("%s:%d", c->file, c->line);
    if (status) return status;
    for (ls_value value = 0; value < c->graph->n_values; value++)
        if (is_gap(c->graph, value)) c->graph->values[value].name = "dead";
    status = ls_graph_verify(c->graph);
    if (status) ls_error_prefix("%s", c->file);
    return status;
}

ls_status ls_graph_parse(struct ls_graph *graph, const char *text, const char *file_name) {
    ls_graph_init(graph, LS_TRAIN);
    struct cursor cursor = {.at = text, .file = file_name, .line = 1, .graph = graph};
    ls_status status = take_graph(&cursor);
    if (status) ls_graph_free(graph);
    return status;
}
