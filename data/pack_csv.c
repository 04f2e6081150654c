// CSV files as a source. They are read once to find the records and what the target is, and again, by all
// threads, for the numbers.
#include "data/csv.h"
#include "data/dataset_parts.h"
#include "data/number.h"
#include "data/pack_parts.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 64 << 10, MOST_PIECE = 1024, MOST_CLASSES = 1 << 20, MOST_SHOWN = 40 };

enum role { FEATURE, IGNORED, TARGET }; // TARGET + k: the target's value k

struct file {
    struct ls_csv csv;
    int64_t first, header; // number of its first sample; header: 1 where its first record is one
};

// Texts of the target while the files are scanned, each once: a table with open addressing.
struct texts {
    char **slots;
    size_t n, capacity; // a power of two
};

struct table {
    struct ls_pack_source source;
    const struct ls_pack_csv *job;
    struct file *files;
    int n_files;
    int columns;
    const char **names; // of the columns; NULL: there is no header
    int *roles;
    int n_targets;
    // While scanning.
    struct ls_csv_cells cells;
    bool any_text, any_fraction; // of the target: what is no number; what is no integer from 0 on
    struct texts texts;
    // Where classes are texts: their names by bytes, and what each is.
    struct class {
        const char *name;
        int32_t label;
    } * classes;
    int n_classes;
};

// What a thread reads with.
struct worker {
    struct ls_buffer text;
    struct ls_csv_cells cells;
};

// ---- messages

// "iris.csv:7: column 3 ('petal width')"
static const char *where(const struct table *table, const struct ls_csv *csv, int64_t record, int column,
                         char out[512]) {
    int n =
        snprintf(out, 512, "%.300s:%lld: column %d", csv->bytes.path, ls_csv_line(csv, record), column + 1);
    if (table->names) snprintf(out + n, 512 - (size_t)n, " ('%.60s')", table->names[column]);
    return out;
}

static ls_status refuse_cell(const struct table *table, const struct ls_csv *csv, int64_t record, int column,
                             const struct ls_csv_cell *cell, const char *expected) {
    char place[512];
    where(table, csv, record, column, place);
    if (cell->length == 0) return LS_FAIL(LS_INPUT, "%s: expected %s, found an empty cell", place, expected);
    if (memchr(cell->text, 0, cell->length))
        return LS_FAIL(LS_INPUT, "%s: expected %s, found a zero byte", place, expected);
    int shown = cell->length < MOST_SHOWN ? (int)cell->length : MOST_SHOWN;
    // Names of columns, some of which are numbers, as years are: no header by themselves.
    const bool header = record == 0 && !table->names && table->job->header == LS_CSV_HEADER_AUTO;
    return LS_FAIL(LS_INPUT, "%s: expected %s, found '%.*s'%s", place, expected, shown, cell->text,
                   header ? "; --header yes, where the first line is one" : "");
}

static ls_status check_count(const struct table *table, const struct ls_csv *csv, int64_t record, int n) {
    if (n == table->columns) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s:%lld: expected %d cells, as in the first line of %s, found %d",
                   csv->bytes.path, ls_csv_line(csv, record), table->columns, table->job->files[0], n);
}

// ---- columns

static char *copy_cell(struct table *table, const struct ls_csv_cell *cell) {
    char *copy = ls_arena_alloc(&table->source.names, cell->length + 1);
    memcpy(copy, cell->text, cell->length);
    return copy;
}

static bool is_number(const struct ls_csv_cell *cell) {
    double value;
    return ls_number_read(cell->text, cell->length, &value);
}

static bool looks_like_header(const struct table *table) {
    if (table->job->header != LS_CSV_HEADER_AUTO) return table->job->header == LS_CSV_HEADER_YES;
    for (int i = 0; i < table->cells.n; i++)
        if (is_number(&table->cells.items[i])) return false;
    return true;
}

static int find_column(const struct table *table, const char *name) {
    for (int i = 0; table->names && i < table->columns; i++)
        if (strcmp(table->names[i], name) == 0) return i;
    char *end;
    long number = strtol(name, &end, 10);
    return *name && !*end && number >= 1 && number <= table->columns ? (int)number - 1 : -1;
}

static bool is_ambiguous(const struct table *table, int column, const char *name) {
    for (int i = column + 1; table->names && i < table->columns; i++)
        if (strcmp(table->names[i], name) == 0) return true;
    return false;
}

static ls_status check_role(const struct table *table, const char *option, const char *name, int column,
                            int role) {
    const char *file = table->job->files[0];
    if (column < 0)
        return LS_FAIL(LS_INPUT, "%s: '%s' is none of the %d columns of %s%s", option, name, table->columns,
                       file, table->names ? "" : ", which has no header: a number from 1 on");
    if (is_ambiguous(table, column, name))
        return LS_FAIL(LS_INPUT, "%s: '%s' is more than one column of %s: take a number from 1 on", option,
                       name, file);
    if (table->roles[column] == FEATURE) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: column '%s' is named %s", option, name,
                   table->roles[column] == IGNORED && role != IGNORED ? "by --ignore too" : "twice");
}

// Gives the columns of a list, "a,3,b", their role; the targets one after another.
static ls_status set_roles(struct table *table, const char *option, const char *list, int role) {
    char *copy = ls_arena_copy(&table->source.names, list);
    for (char *name = copy, *next; name; name = next) {
        next = strchr(name, ',');
        if (next) *next++ = 0;
        int column = find_column(table, name);
        LS_TRY(check_role(table, option, name, column, role));
        table->roles[column] = role;
        if (role >= TARGET) role++, table->n_targets++;
    }
    return LS_OK;
}

// What the first record tells of all.
static ls_status set_columns(struct table *table, bool header) {
    const struct ls_csv_cells *cells = &table->cells;
    table->columns = cells->n;
    table->roles = LS_ARENA_NEW(&table->source.names, int, cells->n);
    if (header) {
        table->names = LS_ARENA_NEW(&table->source.names, const char *, cells->n);
        for (int i = 0; i < cells->n; i++) table->names[i] = copy_cell(table, &cells->items[i]);
    }
    if (table->job->ignore) LS_TRY(set_roles(table, "--ignore", table->job->ignore, IGNORED));
    if (table->job->target) return set_roles(table, "--target", table->job->target, TARGET);
    int last = table->columns - 1;
    while (last > 0 && table->roles[last] == IGNORED) last--;
    table->roles[last] = TARGET;
    table->n_targets = 1;
    return LS_OK;
}

static ls_status compare_header(const struct table *table, const struct ls_csv *csv, int64_t record) {
    for (int i = 0; i < table->columns; i++) {
        const struct ls_csv_cell *cell = &table->cells.items[i];
        if (!table->names) return refuse_cell(table, csv, record, i, cell, "a number, as in the first file");
        if (strlen(table->names[i]) != cell->length || memcmp(table->names[i], cell->text, cell->length) != 0)
            return refuse_cell(table, csv, record, i, cell, "the header of the first file");
    }
    return LS_OK;
}

// ---- the target, while scanning

static uint64_t hash_text(const struct ls_csv_cell *cell) {
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < cell->length; i++) hash = (hash ^ (unsigned char)cell->text[i]) * 0x100000001b3u;
    return hash;
}

static size_t slot_of(const struct texts *texts, const struct ls_csv_cell *cell) {
    size_t slot = (size_t)hash_text(cell) & (texts->capacity - 1);
    while (texts->slots[slot] && (strlen(texts->slots[slot]) != cell->length ||
                                  memcmp(texts->slots[slot], cell->text, cell->length) != 0))
        slot = (slot + 1) & (texts->capacity - 1);
    return slot;
}

static ls_status grow(struct texts *texts) {
    struct texts larger = {.n = texts->n, .capacity = texts->capacity ? 2 * texts->capacity : 256};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots) return LS_FAIL(LS_SYSTEM, "out of memory for %zu classes", larger.capacity);
    for (size_t i = 0; i < texts->capacity; i++) {
        struct ls_csv_cell cell = {texts->slots[i], texts->slots[i] ? strlen(texts->slots[i]) : 0};
        if (cell.text) larger.slots[slot_of(&larger, &cell)] = cell.text;
    }
    free(texts->slots);
    *texts = larger;
    return LS_OK;
}

// Keeps the text, if it is a new one. More of them than classes can be are not kept.
static ls_status keep_text(struct table *table, const struct ls_csv_cell *cell) {
    struct texts *texts = &table->texts;
    if (texts->n > MOST_CLASSES) return LS_OK;
    if (2 * texts->n >= texts->capacity) LS_TRY(grow(texts));
    size_t slot = slot_of(texts, cell);
    if (texts->slots[slot]) return LS_OK;
    texts->slots[slot] = copy_cell(table, cell);
    texts->n++;
    return LS_OK;
}

static ls_status scan_target(struct table *table, const struct ls_csv *csv, int64_t record, int column) {
    const struct ls_csv_cell *cell = &table->cells.items[column];
    double value = 0;
    if (cell->length == 0) return refuse_cell(table, csv, record, column, cell, "a target");
    if (memchr(cell->text, 0, cell->length)) return refuse_cell(table, csv, record, column, cell, "text");
    if (!ls_number_read(cell->text, cell->length, &value))
        table->any_text = true;
    else if (value < 0 || value > INT32_MAX || value != floor(value) || memchr(cell->text, '.', cell->length))
        table->any_fraction = true;
    if (table->n_targets > 1 || table->job->kind == LS_CSV_VALUE) return LS_OK;
    return keep_text(table, cell);
}

static ls_status scan_record(void *context, const struct ls_csv *csv, int64_t record, char *text,
                             size_t length) {
    struct table *table = context;
    struct file *file = &table->files[table->n_files];
    LS_TRY(ls_csv_split(csv, record, text, length, &table->cells));
    bool first = record == 0 && table->n_files == 0;
    if (record == 0) file->header = looks_like_header(table);
    if (first) LS_TRY(set_columns(table, file->header));
    LS_TRY(check_count(table, csv, record, table->cells.n));
    if (record == 0 && file->header) return first ? LS_OK : compare_header(table, csv, record);
    for (int i = 0; i < table->columns; i++)
        if (table->roles[i] >= TARGET) LS_TRY(scan_target(table, csv, record, i));
    return LS_OK;
}

// ---- classes

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct class *)a)->name, ((const struct class *)b)->name);
}

static ls_status allocate_classes(struct table *table, int n) {
    table->classes = LS_ARENA_NEW(&table->source.names, struct class, n);
    table->n_classes = n;
    return LS_OK;
}

// Labels are the place in a file of names; or in the order of their bytes.
static ls_status name_classes(struct table *table) {
    struct ls_pack_source *source = &table->source;
    if (table->texts.n > MOST_CLASSES)
        return LS_FAIL(LS_INPUT, "%s: expected at most %d classes, found more texts in the target's column",
                       source->path, MOST_CLASSES);
    if (source->class_names) {
        LS_TRY(allocate_classes(table, source->n_class_names));
        for (int i = 0; i < table->n_classes; i++)
            table->classes[i] = (struct class){source->class_names[i], i};
        qsort(table->classes, (size_t)table->n_classes, sizeof *table->classes, by_name);
        return LS_OK;
    }
    LS_TRY(allocate_classes(table, (int)table->texts.n));
    int n = 0;
    for (size_t i = 0; i < table->texts.capacity; i++)
        if (table->texts.slots[i]) table->classes[n++].name = table->texts.slots[i];
    qsort(table->classes, (size_t)n, sizeof *table->classes, by_name);
    const char **names = LS_ARENA_NEW(&source->names, const char *, n);
    for (int i = 0; i < n; i++) {
        table->classes[i].label = i;
        names[i] = table->classes[i].name;
    }
    source->class_names = names;
    source->n_class_names = n;
    return LS_OK;
}

static ls_status decide_target(struct table *table) {
    struct ls_shard_shape *shape = &table->source.shape;
    enum ls_csv_kind kind = table->job->kind;
    if (table->job->class_names) LS_TRY(ls_pack_read_class_names(&table->source, table->job->class_names));
    shape->target_values = table->n_targets;
    bool integers = !table->any_text && !table->any_fraction;
    shape->classes = table->n_targets == 1 && kind != LS_CSV_VALUE &&
                     (kind == LS_CSV_CLASS || table->any_text || integers || table->job->class_names);
    if (!shape->classes && kind == LS_CSV_CLASS)
        return LS_FAIL(LS_INPUT, "--kind class: expected one target, found %d", table->n_targets);
    return shape->classes && !integers ? name_classes(table) : LS_OK;
}

// ---- reading

static ls_status read_class(const struct table *table, const struct ls_csv *csv, int64_t record, int column,
                            const struct ls_csv_cell *cell, int32_t *label) {
    if (table->classes) {
        char name[256];
        const struct class key = {.name = name};
        snprintf(name, sizeof name, "%.*s", cell->length < 255 ? (int)cell->length : 255, cell->text);
        const struct class *found =
            cell->length > 254 ? NULL
                               : bsearch(&key, table->classes, (size_t)table->n_classes, sizeof key, by_name);
        if (!found) return refuse_cell(table, csv, record, column, cell, "one of the classes");
        *label = found->label;
        return LS_OK;
    }
    double value;
    if (!ls_number_read(cell->text, cell->length, &value) || value < 0 || value > INT32_MAX ||
        value != floor(value))
        return refuse_cell(table, csv, record, column, cell, "a class");
    *label = (int32_t)value;
    if (table->source.n_class_names && *label >= table->source.n_class_names)
        return refuse_cell(table, csv, record, column, cell, "a class that has a name");
    return LS_OK;
}

static ls_status read_value(const struct table *table, const struct ls_csv *csv, int64_t record, int column,
                            const struct ls_csv_cell *cell, float *out) {
    double value;
    if (!ls_number_read(cell->text, cell->length, &value))
        return refuse_cell(table, csv, record, column, cell, "a number");
    *out = (float)value;
    if (isfinite(*out)) return LS_OK;
    return refuse_cell(table, csv, record, column, cell, "a number that f32 holds");
}

static ls_status read_byte(const struct table *table, const struct ls_csv *csv, int64_t record, int column,
                           const struct ls_csv_cell *cell, uint8_t *out) {
    double value;
    if (!ls_number_read(cell->text, cell->length, &value) || !(value >= 0 && value <= 255) ||
        value != floor(value))
        return refuse_cell(table, csv, record, column, cell, "an integer from 0 to 255 (--u8)");
    *out = (uint8_t)value;
    return LS_OK;
}

static ls_status read_cells(const struct table *table, const struct ls_csv *csv, int64_t record,
                            const struct ls_csv_cells *cells, void *sample, void *target) {
    LS_TRY(check_count(table, csv, record, cells->n));
    for (int i = 0, feature = 0; i < table->columns; i++) {
        const struct ls_csv_cell *cell = &cells->items[i];
        int role = table->roles[i];
        if (role == IGNORED) continue;
        if (role >= TARGET && table->source.shape.classes)
            LS_TRY(read_class(table, csv, record, i, cell, target));
        else if (role >= TARGET)
            LS_TRY(read_value(table, csv, record, i, cell, (float *)target + (role - TARGET)));
        else if (table->job->bytes)
            LS_TRY(read_byte(table, csv, record, i, cell, (uint8_t *)sample + feature++));
        else
            LS_TRY(read_value(table, csv, record, i, cell, (float *)sample + feature++));
    }
    return LS_OK;
}

static const struct file *file_of(const struct table *table, int64_t sample) {
    int low = 0, high = table->n_files;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (table->files[middle].first <= sample)
            low = middle;
        else
            high = middle;
    }
    return &table->files[low];
}

// How many samples from which[0] on follow one another in a file.
static int64_t run_length(const struct file *file, const int64_t *which, int64_t n) {
    int64_t length = 1, end = file->first + file->csv.records - file->header;
    while (length < n && which[length] == which[0] + length && which[length] < end) length++;
    return length;
}

static ls_status read_run(const struct table *table, struct worker *worker, const struct file *file,
                          int64_t record, int64_t n, char *samples, char *targets) {
    const struct ls_csv *csv = &file->csv;
    const int64_t *offsets = csv->offsets + record;
    size_t sample_bytes = ls_shard_sample_bytes(&table->source.shape),
           target_bytes = ls_shard_target_bytes(&table->source.shape);
    LS_TRY(ls_buffer_reserve(&worker->text, (size_t)(offsets[n] - offsets[0]) + 1));
    LS_TRY(ls_bytes_read(&csv->bytes, offsets[0], worker->text.data, (size_t)(offsets[n] - offsets[0])));
    for (int64_t i = 0; i < n; i++) {
        char *text = (char *)worker->text.data + (offsets[i] - offsets[0]);
        LS_TRY(ls_csv_split(csv, record + i, text, (size_t)(offsets[i + 1] - offsets[i]), &worker->cells));
        LS_TRY(read_cells(table, csv, record + i, &worker->cells, samples + (size_t)i * sample_bytes,
                          targets + (size_t)i * target_bytes));
    }
    return LS_OK;
}

static ls_status read_records(struct ls_pack_source *source, void *worker,
                              const struct ls_pack_batch *batch) {
    const struct table *table = (const struct table *)source;
    size_t sample_bytes = ls_shard_sample_bytes(&source->shape),
           target_bytes = ls_shard_target_bytes(&source->shape);
    const int64_t *which = batch->which;
    for (int64_t i = 0, length; i < batch->n; i += length) {
        const struct file *file = file_of(table, which[i]);
        length = run_length(file, which + i, batch->n - i);
        LS_TRY(read_run(table, worker, file, which[i] - file->first + file->header, length,
                        (char *)batch->samples + (size_t)i * sample_bytes,
                        (char *)batch->targets + (size_t)i * target_bytes));
    }
    return LS_OK;
}

static void *make_worker(struct ls_pack_source *source) {
    (void)source;
    return calloc(1, sizeof(struct worker));
}

static void drop_worker(void *argument) {
    struct worker *worker = argument;
    free(worker->text.data);
    free(worker->cells.items);
    free(worker);
}

// ---- opening

static void close_table(struct ls_pack_source *source) {
    struct table *table = (struct table *)source;
    for (int i = 0; i < table->n_files; i++) ls_csv_close(&table->files[i].csv);
    free(table->files);
    free(table->cells.items);
    free(table->texts.slots);
    free(table);
}

static ls_status open_files(struct table *table) {
    const struct ls_pack_csv *job = table->job;
    struct ls_pack_source *source = &table->source;
    table->files = calloc((size_t)job->n_files, sizeof *table->files);
    if (!table->files) return LS_FAIL(LS_SYSTEM, "out of memory for %d files", job->n_files);
    for (; table->n_files < job->n_files; table->n_files++) {
        struct file *file = &table->files[table->n_files];
        LS_TRY(ls_csv_open(job->files[table->n_files], job->delimiter, scan_record, table, &file->csv));
        file->first = source->samples;
        source->samples += file->csv.records - file->header;
    }
    return LS_OK;
}

static ls_status set_shape(struct table *table) {
    struct ls_pack_source *source = &table->source;
    if (source->samples == 0) return LS_FAIL(LS_INPUT, "%s: expected samples, found none", source->path);
    int64_t features = 0, bytes = 0;
    bool channels_first;
    for (int i = 0; i < table->columns; i++) features += table->roles[i] == FEATURE;
    if (features == 0)
        return LS_FAIL(LS_INPUT,
                       "%s: expected a column beside those of targets, found %d columns in all; is the "
                       "delimiter '%c'?",
                       source->path, table->columns, table->job->delimiter);
    for (int i = 0; i < table->n_files; i++) bytes += table->files[i].csv.bytes.size;
    source->piece = source->samples * PIECE_BYTES / (bytes + 1);
    source->piece = source->piece < 1 ? 1 : source->piece > MOST_PIECE ? MOST_PIECE : source->piece;
    source->shape.type = table->job->bytes ? LS_U8 : LS_F32;
    return ls_pack_set_shape(source, 1, &features, "NHWC", table->job->shape, &channels_first);
}

ls_status ls_pack_csv_open(const struct ls_pack_csv *job, struct ls_pack_source **result) {
    *result = NULL;
    struct table *table = calloc(1, sizeof *table);
    if (!table) return LS_FAIL(LS_SYSTEM, "out of memory");
    table->job = job;
    table->source = (struct ls_pack_source){.noun = "samples",
                                            .path = job->files[0],
                                            .make_worker = make_worker,
                                            .drop_worker = drop_worker,
                                            .read = read_records,
                                            .close = close_table};
    ls_status status = open_files(table);
    if (status == LS_OK) status = set_shape(table);
    if (status == LS_OK) status = decide_target(table);
    if (status == LS_OK)
        *result = &table->source;
    else
        ls_pack_source_close(&table->source);
    return status;
}
