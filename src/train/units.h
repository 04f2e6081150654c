// Amounts as they stand in a recipe: numbers, sizes (20GiB), durations (90s), spans (5 epochs, 500 steps).
#pragma once

#include "base/text.h"
#include "train/recipe.h"

#include <stdint.h>

#include "base/begin.h"

// Each reads all of `text`, blanks around it left out, and returns NULL; or else says in a few words what is
// wrong with it ("" where it simply is no such thing), and leaves *value alone. No locale, no hexadecimal.
const char *ls_parse_integer(const char *text, int64_t *value);
const char *ls_parse_unsigned(const char *text, uint64_t *value);
const char *ls_parse_number(const char *text, double *value);       // always finite
const char *ls_parse_size(const char *text, int64_t *value);        // bytes; a bare number is bytes
const char *ls_parse_duration(const char *text, double *value);     // seconds; only 0 goes without a unit
const char *ls_parse_span(const char *text, struct ls_span *value); // 0 is LS_SPAN_NONE

// Each writes what its reader reads back as the same value.
void ls_print_size(struct ls_text *out, int64_t bytes);
void ls_print_duration(struct ls_text *out, double seconds);
void ls_print_span(struct ls_text *out, const struct ls_span *span);

#include "base/end.h"
