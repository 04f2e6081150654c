#include "train/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; // the one being looked at
    struct ls_arena *arena;
    const struct ls_yaml_source *source;
    const char *text;
    size_t bytes;
};

const char *ls_yaml_place(struct ls_arena *arena, const struct ls_yaml *node, int line, const char *key) {
    const char *name = node->source->name;
    if (node->source->lines) return ls_arena_format(arena, "%s:%d: %s", name, line, key);
    return strstr(name, key) ? ls_arena_copy(arena, name) : ls_arena_format(arena, "%s: %s", name, key);
}

ls_status ls_yaml_fail(const struct ls_yaml *node, int line, const char *key, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *name = node->source->name, *colon = key ? ": " : "";
    if (!key) key = "";
    if (node->source->lines) return LS_FAIL(LS_INPUT, "%s:%d: %s%s%s", name, line, key, colon, text);
    // An override already names its key, unless it gave a whole section.
    if (strstr(name, key)) return LS_FAIL(LS_INPUT, "%s: %s", name, text);
    return LS_FAIL(LS_INPUT, "%s: %s%s%s", name, key, colon, text);
}

static ls_status fail_at(const struct reader *reader, size_t zero_based_line, const char *text) {
    struct ls_yaml node = {.source = reader->source};
    return ls_yaml_fail(&node, (int)zero_based_line + 1, NULL, "%s", text);
}

static ls_status fail_here(const struct reader *reader, const char *text) {
    return fail_at(reader, reader->event.start_mark.line, text);
}

static size_t line_of(const struct reader *reader, size_t offset) {
    size_t line = 0;
    for (size_t i = 0; i < offset && i < reader->bytes; i++) line += reader->text[i] == '\n';
    return line;
}

// libyaml counts characters: of other texts its index is no place in the bytes.
static bool is_ascii(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] & 0x80) return false;
    return true;
}

static ls_status syntax_error(const struct reader *reader) {
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR) return LS_FAIL(LS_SYSTEM, "out of memory for a recipe");
    const char *problem = parser->problem ? parser->problem : "not YAML";
    const char *context = parser->context ? parser->context : "";
    // libyaml places an encoding error by its byte alone.
    const bool encoding = parser->error == YAML_READER_ERROR;
    size_t line = encoding ? line_of(reader, parser->problem_offset) : parser->problem_mark.line;
    if (encoding) context = "not UTF-8";
    const size_t at = parser->problem_mark.index;
    if (!encoding && at < reader->bytes && is_ascii(reader->text, at) && reader->text[at] == '\t')
        problem = "a tab where only blanks may indent";
    bool star = strstr(context, "alias") != NULL;
    char text[512];
    snprintf(text, sizeof text, "not valid YAML: %s%s%s%s", context, *context ? ", " : "", problem,
             star ? "; put quotes around a value that starts with *" : "");
    return fail_at(reader, line, text);
}

static ls_status advance(struct reader *reader) {
    yaml_event_delete(&reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) return syntax_error(reader);
    return LS_OK;
}

static struct ls_yaml *new_node(struct reader *reader, enum ls_yaml_kind kind) {
    struct ls_yaml *node = LS_ARENA_NEW(reader->arena, struct ls_yaml, 1);
    node->kind = kind;
    node->source = reader->source;
    node->line = (int)reader->event.start_mark.line + 1;
    return node;
}

static ls_status read_scalar(struct reader *reader, struct ls_yaml **node) {
    const char *text = (const char *)reader->event.data.scalar.value;
    if (reader->event.data.scalar.anchor) return fail_here(reader, "anchors (&name) have no use in a recipe");
    if (reader->event.data.scalar.tag) return fail_here(reader, "tags (!name) have no use in a recipe");
    if (strlen(text) != reader->event.data.scalar.length) return fail_here(reader, "a zero byte in a value");
    *node = new_node(reader, LS_YAML_SCALAR);
    (*node)->text = ls_arena_copy(reader->arena, text);
    (*node)->quoted = reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return LS_OK;
}

static ls_status read_node(struct reader *reader, int depth, struct ls_yaml **node);

static ls_status read_list(struct reader *reader, int depth, struct ls_yaml **node) {
    if (reader->event.data.sequence_start.anchor || reader->event.data.sequence_start.tag)
        return fail_here(reader, "anchors (&name) and tags (!name) have no use in a recipe");
    *node = new_node(reader, LS_YAML_LIST);
    LS_TRY(advance(reader));
    for (struct ls_yaml **last = &(*node)->first; reader->event.type != YAML_SEQUENCE_END_EVENT;
         last = &(*last)->next) {
        LS_TRY(read_node(reader, depth + 1, last));
        LS_TRY(advance(reader));
    }
    return LS_OK;
}

static ls_status read_key(struct reader *reader, const struct ls_yaml *map, const char **key) {
    if (reader->event.type != YAML_SCALAR_EVENT) return fail_here(reader, "a key has to be a word");
    struct ls_yaml *word;
    LS_TRY(read_scalar(reader, &word));
    if (!strcmp(word->text, "<<")) return fail_here(reader, "merge keys (<<) have no use in a recipe");
    const struct ls_yaml *before = ls_yaml_child(map, word->text);
    if (before)
        return ls_yaml_fail(word, word->line, word->text, "repeated key; it stands on line %d already",
                            before->key_line);
    *key = word->text;
    return LS_OK;
}

static ls_status read_map(struct reader *reader, int depth, struct ls_yaml **node) {
    if (reader->event.data.mapping_start.anchor || reader->event.data.mapping_start.tag)
        return fail_here(reader, "anchors (&name) and tags (!name) have no use in a recipe");
    *node = new_node(reader, LS_YAML_MAP);
    LS_TRY(advance(reader));
    for (struct ls_yaml **last = &(*node)->first; reader->event.type != YAML_MAPPING_END_EVENT;
         last = &(*last)->next) {
        const char *key = NULL;
        int key_line = (int)reader->event.start_mark.line + 1;
        LS_TRY(read_key(reader, *node, &key));
        LS_TRY(advance(reader));
        LS_TRY(read_node(reader, depth + 1, last));
        (*last)->key = key;
        (*last)->key_line = key_line;
        LS_TRY(advance(reader));
    }
    return LS_OK;
}

static ls_status read_node(struct reader *reader, int depth, struct ls_yaml **node) {
    if (depth > LS_YAML_DEPTH) return fail_here(reader, "nested too deeply for a recipe");
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT: return read_scalar(reader, node);
    case YAML_SEQUENCE_START_EVENT: return read_list(reader, depth, node);
    case YAML_MAPPING_START_EVENT: return read_map(reader, depth, node);
    case YAML_ALIAS_EVENT:
        return fail_here(reader, "aliases (*name) have no use in a recipe; put quotes around a value that "
                                 "starts with *");
    default: return fail_here(reader, "expected a value");
    }
}

static ls_status read_document(struct reader *reader, struct ls_yaml **root) {
    LS_TRY(advance(reader)); // the start of the stream
    LS_TRY(advance(reader));
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return ls_yaml_fail(&(struct ls_yaml){.source = reader->source}, 1, NULL, "empty");
    LS_TRY(advance(reader));
    LS_TRY(read_node(reader, 0, root));
    LS_TRY(advance(reader)); // the end of the document
    LS_TRY(advance(reader));
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return fail_here(reader, "a second document starts here; a recipe has one");
    return LS_OK;
}

ls_status ls_yaml_read(struct ls_arena *arena, const char *text, size_t bytes,
                       const struct ls_yaml_source *source, struct ls_yaml **root) {
    struct reader reader = {.arena = arena, .source = source};
    if (!yaml_parser_initialize(&reader.parser)) return LS_FAIL(LS_SYSTEM, "out of memory for a recipe");
    if (bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3, bytes -= 3; // a byte order mark
    reader.text = text;
    reader.bytes = bytes;
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, bytes);
    ls_status status = read_document(&reader, root);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return status;
}

struct ls_yaml *ls_yaml_plain(struct ls_arena *arena, const char *text, const struct ls_yaml_source *source) {
    struct ls_yaml *node = LS_ARENA_NEW(arena, struct ls_yaml, 1);
    *node = (struct ls_yaml){.kind = LS_YAML_SCALAR, .source = source, .line = 1};
    node->text = ls_arena_copy(arena, text);
    return node;
}

// The code point at *s, which moves behind it; -1 where the bytes are not valid UTF-8.
static int32_t next_code_point(const unsigned char **s) {
    const unsigned char *p = *s;
    int more = p[0] < 0x80                   ? 0
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 1
               : (p[0] & 0xf0) == 0xe0       ? 2
               : p[0] < 0xf5                 ? 3
                                             : -1;
    if (more < 0 || (more == 3 && p[0] < 0xf0)) return -1;
    int32_t code = more == 0 ? p[0] : p[0] & (0x3f >> more);
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) return -1;
        code = code << 6 | (p[i] & 0x3f);
    }
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    *s = p + more + 1;
    return code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? -1 : code;
}

bool ls_yaml_writable(const char *text) {
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int32_t code = next_code_point(&s);
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0),
             breaks = code == 0x2028 || code == 0x2029;
        if (control || breaks || code == 0xfeff || code == 0xfffe || code == 0xffff) return false;
    }
    return true;
}

struct ls_yaml *ls_yaml_child(const struct ls_yaml *map, const char *key) {
    if (!map || map->kind != LS_YAML_MAP) return NULL;
    struct ls_yaml *child = map->first;
    while (child && strcmp(child->key, key) != 0) child = child->next;
    return child;
}

bool ls_yaml_is_null(const struct ls_yaml *node) {
    if (node->kind != LS_YAML_SCALAR || node->quoted) return false;
    return !*node->text || !strcmp(node->text, "~") || !strcasecmp(node->text, "null");
}

const char *ls_yaml_found(struct ls_arena *arena, const struct ls_yaml *node) {
    if (node->kind == LS_YAML_LIST) return node->first ? "a list" : "an empty list";
    if (node->kind == LS_YAML_MAP) return "a section of keys";
    if (ls_yaml_is_null(node)) return "nothing";
    const char *format = node->quoted ? "the text \"%.*s\"%s" : "%.*s%s";
    enum { MOST = 80 };
    return ls_arena_format(arena, format, MOST, node->text, strlen(node->text) > MOST ? "…" : "");
}
