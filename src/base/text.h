// A growing text, and JSON strings and numbers in it; json.h has the rest of JSON.
#pragma once

#include "base/status.h"

#include <stdint.h>

#include "base/begin.h"

struct ls_text {
    char *data; // ends with a zero byte once anything was added; NULL before
    size_t length, capacity;
};

// Adds at the end; the program ends where there is no memory (ls_out_of_memory).
void ls_text_add(struct ls_text *text, const char *format, ...) LS_PRINTF(2, 3);
void ls_text_add_bytes(struct ls_text *text, const char *bytes, size_t length);
// Adds a JSON string with its quotes. Bytes that are not valid UTF-8 become U+FFFD.
void ls_text_add_json(struct ls_text *text, const char *string);
// Adds a JSON number that reads back as the same double; null where it is not finite.
void ls_text_add_number(struct ls_text *text, double number);
// Adds words in lines of at most `columns` characters, each behind `indent`; a line that is there stays one,
// and a word that is longer than a line has one of its own.
void ls_text_add_wrapped(struct ls_text *text, const char *indent, const char *words, int columns);
void ls_text_clear(struct ls_text *text); // keeps the memory
void ls_text_free(struct ls_text *text);  // and leaves it empty

// The first byte that is not of valid UTF-8, or NULL.
const char *ls_text_find_invalid(const char *string);
// How many characters of UTF-8.
int ls_text_columns(const char *string);
// Bytes of the first `most` that end with a whole character: for "%.*s".
int ls_text_cut(const char *string, int most);

// "1.5 GiB", "512 B" into `out`, which it returns.
char *ls_format_bytes(char out[32], double bytes);

#include "base/end.h"
