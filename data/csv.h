// Records and cells of a CSV file (RFC 4180): cells between delimiters; in quotes a cell may hold delimiters,
// line ends, and quotes, doubled. Lines end with LF or CRLF. Empty lines are none. A byte order mark is
// skipped.
#pragma once

#include "base/status.h"
#include "data/bytes.h"

#include <stdbool.h>

struct ls_csv {
    struct ls_bytes bytes;
    char delimiter;
    int64_t records, capacity;
    int64_t *offsets; // [records + 1] of the first byte of each; the last is the file's end
};

// Finds the records, and calls `take` for each, with its bytes; they may be changed. `take` may be NULL.
// LS_INPUT names file and line of a quote that is not closed.
ls_status ls_csv_open(const char *path, char delimiter,
                      ls_status (*take)(void *context, const struct ls_csv *csv, int64_t record, char *text,
                                        size_t length),
                      void *context, struct ls_csv *csv);
void ls_csv_close(struct ls_csv *csv);
// The line that a record begins in, from 1 on; for messages, as it reads the file up to there.
long long ls_csv_line(const struct ls_csv *csv, int64_t record);

struct ls_csv_cell {
    char *text; // in the record
    size_t length;
};

struct ls_csv_cells {
    struct ls_csv_cell *items; // malloc'd
    int n, capacity;
};

// Cuts a record into cells, without their quotes, in place.
ls_status ls_csv_split(const struct ls_csv *csv, int64_t record, char *text, size_t length,
                       struct ls_csv_cells *cells);
