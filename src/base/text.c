#include "base/text.h"

#include "base/arena.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct ls_text *text, size_t more) {
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity) return;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < needed) capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (!data) ls_out_of_memory(capacity);
    text->data = data;
    text->capacity = capacity;
}

void ls_text_add_bytes(struct ls_text *text, const char *bytes, size_t length) {
    reserve(text, length);
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = 0;
}

void ls_text_add(struct ls_text *text, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(text, (size_t)length);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
    va_end(again);
    text->length += (size_t)length;
}

// The length of the valid UTF-8 sequence at `s`, or 0.
static size_t utf8_sequence(const unsigned char *s) {
    if (s[0] < 0x80) return 1;
    size_t n = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}

void ls_text_add_json(struct ls_text *text, const char *string) {
    ls_text_add_bytes(text, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        size_t n = utf8_sequence(s);
        if (n == 0) {
            ls_text_add(text, "\\ufffd");
            s++;
        } else if (*s == '"' || *s == '\\') {
            ls_text_add(text, "\\%c", *s++);
        } else if (*s < 0x20) {
            ls_text_add(text, "\\u%04x", *s++);
        } else {
            ls_text_add_bytes(text, (const char *)s, n);
            s += n;
        }
    }
    ls_text_add_bytes(text, "\"", 1);
}

const char *ls_text_find_invalid(const char *string) {
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        const size_t n = utf8_sequence(s);
        if (n == 0) return (const char *)s;
        s += n;
    }
    return NULL;
}

void ls_text_add_number(struct ls_text *text, double number) {
    if (!isfinite(number)) {
        ls_text_add(text, "null");
        return;
    }
    char digits[40];
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    ls_text_add(text, "%s", digits);
}

static bool begins_character(char byte) {
    return (byte & 0xc0) != 0x80;
}

int ls_text_columns(const char *string) {
    int columns = 0;
    for (const char *s = string; *s; s++) columns += begins_character(*s);
    return columns;
}

int ls_text_cut(const char *string, int most) {
    const int length = (int)strnlen(string, (size_t)most + 1);
    if (length <= most) return length;
    int end = most;
    while (end > 0 && !begins_character(string[end])) end--;
    return end;
}

// The bytes of `words` that go into a line of `room` characters: up to its last blank, where not all fit.
static size_t line_of(const char *words, int room) {
    size_t at = 0, blank = 0;
    for (int columns = 0; words[at] && words[at] != '\n'; at++) {
        if (words[at] == ' ') blank = at;
        columns += begins_character(words[at]);
        if (columns > room && blank > 0) return blank;
    }
    return at;
}

void ls_text_add_wrapped(struct ls_text *text, const char *indent, const char *words, int columns) {
    const int room = columns - ls_text_columns(indent);
    while (*words) {
        const size_t bytes = line_of(words, room);
        ls_text_add(text, "%s%.*s\n", indent, (int)bytes, words);
        words += bytes;
        words += strspn(words, " \n");
    }
}

void ls_text_clear(struct ls_text *text) {
    text->length = 0;
    if (text->data) text->data[0] = 0;
}

void ls_text_free(struct ls_text *text) {
    free(text->data);
    *text = (struct ls_text){0};
}

char *ls_format_bytes(char out[32], double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) bytes /= 1024, unit++;
    snprintf(out, 32, unit ? "%.2f %s" : "%.0f %s", bytes, units[unit]);
    return out;
}
