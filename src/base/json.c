#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

// Behind an opening bracket, at the start of a line, or of the text, a value is the first.
static bool is_first(const struct ls_text *text) {
    return text->length == 0 || strchr("{[\n", text->data[text->length - 1]);
}

static void begin_value(struct ls_text *text, const char *key) {
    if (!is_first(text)) ls_text_add_bytes(text, ",", 1);
    if (!key) return;
    ls_text_add_json(text, key);
    ls_text_add_bytes(text, ":", 1);
}

void ls_json_begin(struct ls_text *text, const char *key) {
    begin_value(text, key);
    ls_text_add_bytes(text, "{", 1);
}

void ls_json_end(struct ls_text *text) {
    ls_text_add_bytes(text, "}", 1);
}

void ls_json_begin_list(struct ls_text *text, const char *key) {
    begin_value(text, key);
    ls_text_add_bytes(text, "[", 1);
}

void ls_json_end_list(struct ls_text *text) {
    ls_text_add_bytes(text, "]", 1);
}

void ls_json_text(struct ls_text *text, const char *key, const char *value) {
    if (!value) {
        ls_json_null(text, key);
        return;
    }
    begin_value(text, key);
    ls_text_add_json(text, value);
}

void ls_json_number(struct ls_text *text, const char *key, double value) {
    begin_value(text, key);
    ls_text_add_number(text, value);
}

void ls_json_rounded(struct ls_text *text, const char *key, double value, int digits) {
    if (!isfinite(value)) {
        ls_json_null(text, key);
        return;
    }
    begin_value(text, key);
    ls_text_add(text, "%.*g", digits, value);
}

void ls_json_count(struct ls_text *text, const char *key, int64_t value) {
    begin_value(text, key);
    ls_text_add(text, "%" PRId64, value);
}

void ls_json_flag(struct ls_text *text, const char *key, bool value) {
    begin_value(text, key);
    ls_text_add(text, value ? "true" : "false");
}

void ls_json_null(struct ls_text *text, const char *key) {
    begin_value(text, key);
    ls_text_add(text, "null");
}
