// JSON on one line, written into a growing text. Commas come by themselves: a value that does not stand first
// in its object or list has one before it. `key` is NULL for what has none: a list's values, and the whole.
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

void ls_json_begin(struct ls_text *text, const char *key); // an object
void ls_json_end(struct ls_text *text);
void ls_json_begin_list(struct ls_text *text, const char *key);
void ls_json_end_list(struct ls_text *text);

void ls_json_text(struct ls_text *text, const char *key, const char *value); // NULL: null
// Reads back as the same double; null where it is not finite.
void ls_json_number(struct ls_text *text, const char *key, double value);
// So many significant digits, for what was measured.
void ls_json_rounded(struct ls_text *text, const char *key, double value, int digits);
void ls_json_count(struct ls_text *text, const char *key, int64_t value);
void ls_json_flag(struct ls_text *text, const char *key, bool value);
void ls_json_null(struct ls_text *text, const char *key);

#include "base/end.h"
