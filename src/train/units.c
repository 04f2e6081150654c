#include "train/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit sizes[] = {
    {"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"TB", 1e12},
    {"GB", 1e9},     {"MB", 1e6},     {"KB", 1e3},     {"kB", 1e3},     {"B", 1},
};
static const struct unit durations[] = {
    {"ms", 1e-3},    {"s", 1},       {"sec", 1},      {"second", 1},   {"seconds", 1},
    {"min", 60},     {"minute", 60}, {"minutes", 60}, {"h", 3600},     {"hour", 3600},
    {"hours", 3600}, {"d", 86400},   {"day", 86400},  {"days", 86400},
};

static const char *after_blanks(const char *s) {
    while (*s == ' ' || *s == '\t') s++;
    return s;
}

static const char *after_digits(const char *s) {
    while (isdigit((unsigned char)*s)) s++;
    return s;
}

static bool ends(const char *s) {
    return *after_blanks(s) == 0;
}

// The end of the decimal number at `s`, or NULL. strtod alone would also take hexadecimal, inf and nan.
static const char *after_number(const char *s) {
    if (*s == '+' || *s == '-') s++;
    const char *whole = s;
    s = after_digits(s);
    size_t digits = (size_t)(s - whole);
    if (*s == '.') {
        const char *fraction = s + 1;
        s = after_digits(fraction);
        digits += (size_t)(s - fraction);
    }
    if (digits == 0) return NULL;
    if (*s == 'e' || *s == 'E') {
        const char *power = s + 1;
        if (*power == '+' || *power == '-') power++;
        if (isdigit((unsigned char)*power)) s = after_digits(power);
    }
    return s;
}

static bool names_no_number(const char *s) {
    if (*s == '+' || *s == '-') s++;
    if (*s == '.') s++;
    size_t n = strcspn(s, " \t");
    return ends(s + n) && ((n == 3 && (!strncasecmp(s, "nan", 3) || !strncasecmp(s, "inf", 3))) ||
                           (n == 8 && !strncasecmp(s, "infinity", 8)));
}

const char *ls_parse_number(const char *text, double *value) {
    const char *s = after_blanks(text), *end = after_number(s);
    if (names_no_number(s)) return "not finite";
    if (!end || !ends(end)) return "";
    double number = strtod(s, NULL);
    if (!isfinite(number)) return "not finite";
    *value = number;
    return NULL;
}

// Whether all of `s` is a decimal integer, with a sign or not.
static bool is_integer(const char *s) {
    if (*s == '+' || *s == '-') s++;
    const char *end = after_digits(s);
    return end > s && ends(end);
}

const char *ls_parse_integer(const char *text, int64_t *value) {
    const char *s = after_blanks(text);
    if (!is_integer(s)) return names_no_number(s) ? "not finite" : "";
    errno = 0;
    long long number = strtoll(s, NULL, 10);
    if (errno == ERANGE) return "too large";
    *value = number;
    return NULL;
}

const char *ls_parse_unsigned(const char *text, uint64_t *value) {
    const char *s = after_blanks(text);
    if (!is_integer(s)) return names_no_number(s) ? "not finite" : "";
    if (*s == '-') return "negative";
    errno = 0;
    unsigned long long number = strtoull(s, NULL, 10);
    if (errno == ERANGE) return "too large";
    *value = number;
    return NULL;
}

// A number and the word behind it; `word` is as long as the unit may be.
static const char *split(const char *text, double *number, char word[16]) {
    const char *s = after_blanks(text), *end = after_number(s);
    if (names_no_number(s)) return "not finite";
    if (!end) return "";
    *number = strtod(s, NULL);
    if (!isfinite(*number)) return "not finite";
    end = after_blanks(end);
    size_t n = strcspn(end, " \t");
    if (n >= 16 || !ends(end + n)) return "";
    memcpy(word, end, n);
    word[n] = 0;
    return NULL;
}

static double factor_of(const struct unit *units, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(units[i].name, word) == 0) return units[i].factor;
    return 0;
}

#define FACTOR_OF(units, word) factor_of((units), sizeof(units) / sizeof(units)[0], (word))

const char *ls_parse_size(const char *text, int64_t *value) {
    double number;
    char word[16];
    if (ls_parse_unsigned(text, &(uint64_t){0}) == NULL) return ls_parse_integer(text, value);
    const char *wrong = split(text, &number, word);
    if (wrong) return wrong;
    double factor = *word ? FACTOR_OF(sizes, word) : 1;
    if (factor == 0) return "unknown unit; known are KiB, MiB, GiB, TiB, KB, MB, GB, TB, B";
    double bytes = number * factor;
    if (bytes < 0) return "negative";
    if (bytes >= 0x1p63) return "too large";
    if (bytes != floor(bytes)) return "not a whole number of bytes";
    *value = (int64_t)bytes;
    return NULL;
}

const char *ls_parse_duration(const char *text, double *value) {
    double number;
    char word[16];
    const char *wrong = split(text, &number, word);
    if (wrong) return wrong;
    if (!*word && number != 0) return "it needs a unit: ms, s, min, h or d";
    double factor = *word ? FACTOR_OF(durations, word) : 1;
    if (factor == 0) return "unknown unit; known are ms, s, min, h, d";
    if (number < 0) return "negative";
    if (!isfinite(number * factor)) return "too large";
    *value = number * factor;
    return NULL;
}

const char *ls_parse_span(const char *text, struct ls_span *value) {
    struct ls_span span = {.unit = LS_SPAN_NONE};
    char word[16];
    const char *wrong = split(text, &span.amount, word);
    if (wrong) return wrong;
    if (!strcmp(word, "step") || !strcmp(word, "steps")) {
        span.unit = LS_SPAN_STEPS;
    } else if (!strcmp(word, "epoch") || !strcmp(word, "epochs")) {
        span.unit = LS_SPAN_EPOCHS;
    } else if (*word || span.amount != 0) {
        return "it needs a unit: steps or epochs";
    }
    if (span.amount < 0) return "negative";
    if (span.unit == LS_SPAN_STEPS && span.amount != floor(span.amount)) return "not a whole number of steps";
    if (span.amount > LS_SPAN_MOST) return "too large";
    *value = span.amount == 0 ? (struct ls_span){.amount = 0, .unit = LS_SPAN_NONE} : span;
    return NULL;
}

// In the unit that leaves the smallest whole number; plain bytes have none, so that all of int64_t reads
// back.
void ls_print_size(struct ls_text *out, int64_t bytes) {
    int64_t least = bytes;
    const char *name = "";
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int64_t factor = (int64_t)sizes[i].factor;
        if (bytes % factor == 0 && bytes / factor < least) least = bytes / factor, name = sizes[i].name;
    }
    ls_text_add(out, "%" PRId64 "%s", least, name);
}

void ls_print_duration(struct ls_text *out, double seconds) {
    ls_text_add_number(out, seconds);
    ls_text_add(out, "s");
}

void ls_print_span(struct ls_text *out, const struct ls_span *span) {
    if (span->unit == LS_SPAN_NONE) {
        ls_text_add(out, "0");
        return;
    }
    if (span->unit == LS_SPAN_STEPS) {
        ls_text_add(out, "%.0f", span->amount);
    } else {
        ls_text_add_number(out, span->amount);
    }
    ls_text_add(out, " %s%s", span->unit == LS_SPAN_STEPS ? "step" : "epoch", span->amount == 1 ? "" : "s");
}
