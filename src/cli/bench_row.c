#include "cli/bench.h"

#include <stdio.h>

void ls_bench_begin(struct ls_text *row, const char *what) {
    ls_json_begin(row, NULL);
    ls_json_text(row, "bench", what);
}

void ls_bench_print(struct ls_text *row) {
    ls_json_end(row);
    puts(row->data);
    ls_text_free(row);
}
