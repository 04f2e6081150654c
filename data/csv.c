#include "data/csv.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 1 << 20, MOST_RECORD_BYTES = 256 << 20, MOST_CELLS = 1 << 24 };

// ---- lines, for messages

static long long line_of(const struct ls_csv *csv, int64_t offset) {
    char window[1 << 16];
    long long line = 1;
    for (int64_t at = 0; at < offset;) {
        size_t n = offset - at < (int64_t)sizeof window ? (size_t)(offset - at) : sizeof window;
        if (ls_bytes_read(&csv->bytes, at, window, n) != LS_OK) break;
        for (const char *found = window; (found = memchr(found, '\n', n - (size_t)(found - window))); found++)
            line++;
        at += (int64_t)n;
    }
    return line;
}

long long ls_csv_line(const struct ls_csv *csv, int64_t record) {
    return line_of(csv, csv->offsets[record]);
}

// ---- records

// A window of the file: bytes [begin, begin + filled), of which the record in question begins at `at`.
struct window {
    char *data;
    size_t room, filled, at;
    int64_t begin;
};

static ls_status add_record(struct ls_csv *csv, int64_t offset) {
    if (csv->records == csv->capacity) {
        int64_t capacity = csv->capacity ? 2 * csv->capacity : 1024;
        // One more, for the end of the file.
        int64_t *offsets = realloc(csv->offsets, (size_t)(capacity + 1) * sizeof *offsets);
        if (!offsets)
            return LS_FAIL(LS_SYSTEM, "%s: out of memory for %lld records", csv->bytes.path,
                           (long long)capacity);
        csv->offsets = offsets;
        csv->capacity = capacity;
    }
    csv->offsets[csv->records++] = offset;
    return LS_OK;
}

// Brings the beginning of the record to the front, and more of the file behind it.
static ls_status fill(const struct ls_csv *csv, struct window *window) {
    size_t kept = window->filled - window->at;
    if (kept) memmove(window->data, window->data + window->at, kept);
    window->begin += (int64_t)window->at;
    window->at = 0;
    window->filled = kept;
    if (kept == window->room) {
        if (window->room >= MOST_RECORD_BYTES)
            return LS_FAIL(LS_INPUT, "%s:%lld: expected lines of at most %d bytes; is a quote not closed?",
                           csv->bytes.path, line_of(csv, window->begin), MOST_RECORD_BYTES);
        char *data = realloc(window->data, 2 * window->room);
        if (!data) return LS_FAIL(LS_SYSTEM, "%s: out of memory", csv->bytes.path);
        window->data = data;
        window->room *= 2;
    }
    int64_t left = csv->bytes.size - window->begin - (int64_t)kept;
    size_t n = window->room - kept < (size_t)left ? window->room - kept : (size_t)left;
    LS_TRY(ls_bytes_read(&csv->bytes, window->begin + (int64_t)kept, window->data + kept, n));
    window->filled += n;
    return LS_OK;
}

// A line end that stands behind an even number of quotes, from `from` on; *odd: of quotes before that. NULL:
// none in the window.
static char *find_end(const struct window *window, size_t from, bool *odd) {
    char *at = window->data + from, *filled = window->data + window->filled;
    while (at < filled) {
        char *end = memchr(at, '\n', (size_t)(filled - at)), *stop = end ? end : filled;
        for (char *quote = at; (quote = memchr(quote, '"', (size_t)(stop - quote))); quote++) *odd = !*odd;
        if (!end) return NULL;
        if (!*odd) return end;
        at = end + 1;
    }
    return NULL;
}

// The bytes of the record at `at`, its line end included, in the window.
static ls_status next_record(const struct ls_csv *csv, struct window *window, size_t *length) {
    size_t seen = 0;
    bool odd = false;
    for (;;) {
        const char *end = find_end(window, window->at + seen, &odd);
        if (end) {
            *length = (size_t)(end + 1 - window->data) - window->at;
            return LS_OK;
        }
        seen = window->filled - window->at;
        if (window->begin + (int64_t)window->filled == csv->bytes.size) break;
        LS_TRY(fill(csv, window));
    }
    *length = seen;
    if (!odd) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s:%lld: a quote is not closed", csv->bytes.path,
                   line_of(csv, window->begin + (int64_t)window->at));
}

static size_t without_line_end(const char *text, size_t length) {
    while (length && (text[length - 1] == '\n' || text[length - 1] == '\r')) length--;
    return length;
}

// In the window a line ends with CR alone, and none with LF. CRs in quotes are a cell's, and the LF that
// belongs to the window's last byte may come with the next one.
static bool ends_lines_with_cr(const struct window *window, bool goes_on) {
    bool odd = false, found = false;
    for (size_t i = 0; i < window->filled; i++) {
        const char byte = window->data[i];
        if (byte == '\n') return false;
        odd ^= byte == '"';
        found = found || (byte == '\r' && !odd && !(goes_on && i + 1 == window->filled));
    }
    return found;
}

// Text that other programs have written, and that would only be garbled here.
static ls_status check_text(const struct ls_csv *csv, const struct window *window) {
    const char *data = window->data;
    const size_t n = window->filled;
    if (n >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0))
        return LS_FAIL(LS_INPUT, "%s: is UTF-16, expected UTF-8 or ASCII", csv->bytes.path);
    if (ends_lines_with_cr(window, (int64_t)n < csv->bytes.size))
        return LS_FAIL(LS_INPUT, "%s: its lines end with CR, expected LF or CR LF", csv->bytes.path);
    return LS_OK;
}

static ls_status scan(struct ls_csv *csv, struct window *window,
                      ls_status (*take)(void *, const struct ls_csv *, int64_t, char *, size_t),
                      void *context) {
    size_t length = 0;
    LS_TRY(fill(csv, window));
    LS_TRY(check_text(csv, window));
    if (window->filled >= 3 && memcmp(window->data, "\xef\xbb\xbf", 3) == 0) window->at = 3;
    for (;; window->at += length) {
        LS_TRY(next_record(csv, window, &length));
        if (length == 0) break;
        char *text = window->data + window->at;
        size_t bytes = without_line_end(text, length);
        if (bytes == 0) continue;
        LS_TRY(add_record(csv, window->begin + (int64_t)window->at));
        csv->offsets[csv->records] = csv->bytes.size;
        if (take) LS_TRY(take(context, csv, csv->records - 1, text, bytes));
    }
    return csv->records ? LS_OK : LS_FAIL(LS_INPUT, "%s: is empty", csv->bytes.path);
}

ls_status ls_csv_open(const char *path, char delimiter,
                      ls_status (*take)(void *, const struct ls_csv *, int64_t, char *, size_t),
                      void *context, struct ls_csv *csv) {
    *csv = (struct ls_csv){.delimiter = delimiter};
    LS_TRY(ls_bytes_open(path, &csv->bytes));
    struct window window = {.room = WINDOW_BYTES, .data = malloc(WINDOW_BYTES)};
    ls_status status =
        window.data ? scan(csv, &window, take, context) : LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    free(window.data);
    if (status != LS_OK) ls_csv_close(csv);
    return status;
}

void ls_csv_close(struct ls_csv *csv) {
    ls_bytes_close(&csv->bytes);
    free(csv->offsets);
    csv->offsets = NULL;
}

// ---- cells

static ls_status add_cell(const struct ls_csv *csv, struct ls_csv_cells *cells, struct ls_csv_cell cell) {
    if (cells->n == cells->capacity) {
        int capacity = cells->capacity ? 2 * cells->capacity : 64;
        if (capacity > MOST_CELLS)
            return LS_FAIL(LS_INPUT, "%s: expected at most %d cells in a line", csv->bytes.path, MOST_CELLS);
        struct ls_csv_cell *items = realloc(cells->items, (size_t)capacity * sizeof *items);
        if (!items) return LS_FAIL(LS_SYSTEM, "%s: out of memory for %d cells", csv->bytes.path, capacity);
        cells->items = items;
        cells->capacity = capacity;
    }
    cells->items[cells->n++] = cell;
    return LS_OK;
}

// Takes the quotes off a cell that begins with one, and makes one of two within. Returns what stands behind.
static char *unquote(char *text, const char *end, size_t *length) {
    char *out = text, *at = text + 1;
    while (at < end && (*at != '"' || (at + 1 < end && at[1] == '"'))) {
        at += *at == '"';
        *out++ = *at++;
    }
    *length = (size_t)(out - text);
    return at < end ? at + 1 : NULL;
}

static ls_status refuse_quote(const struct ls_csv *csv, int64_t record, int column) {
    return LS_FAIL(LS_INPUT, "%s:%lld: column %d: expected quotes around a whole cell, and doubled inside it",
                   csv->bytes.path, ls_csv_line(csv, record), column);
}

ls_status ls_csv_split(const struct ls_csv *csv, int64_t record, char *text, size_t length,
                       struct ls_csv_cells *cells) {
    char *end = text + without_line_end(text, length);
    cells->n = 0;
    for (char *at = text;; at++) { // behind a delimiter, or at the start
        char *cell = at;
        size_t bytes;
        if (at < end && *at == '"') {
            at = unquote(at, end, &bytes);
            if (!at || (at < end && *at != csv->delimiter)) return refuse_quote(csv, record, cells->n + 1);
        } else {
            while (at < end && *at != csv->delimiter) {
                if (*at == '"') return refuse_quote(csv, record, cells->n + 1);
                at++;
            }
            bytes = (size_t)(at - cell);
        }
        LS_TRY(add_cell(csv, cells, (struct ls_csv_cell){cell, bytes}));
        if (at == end) return LS_OK;
    }
}
