// Virtual datasets, whose rows lie in other files. Where they are whole rows of datasets that are read
// without the library, each part is a shard of its own with that one column, and its rows are read as a
// shard's are.
//
//   virtual    | rows 0 to 99 ...... | 100 to 149 ..... | 150 to 199 ......... |
//   parts      | a.h5, rows 20 on    | of no source     | b.h5, rows 0 on      |
//   read as      shard from -20 on     never written      shard from 150 on
//
// A part begins in front of its first row, by as many rows as its source has there: so one number is a row of
// the source and of the part.
#include "data/dataset_parts.h"

#include <stdlib.h>
#include <string.h>

static void name_virtual(const struct ls_shard *shard, enum ls_column_id id) {
    ls_error_prefix("%s: '%s' is virtual", shard->path, shard->columns[id].name);
}

// ---- finding them

// The sources of one virtual dataset.
struct found {
    struct ls_dataset *dataset;
    const struct ls_shard *shard;
    const struct ls_h5_dataset *dataset_found;
    const struct ls_column *column;
    enum ls_column_id id;
    struct ls_column *columns; // of each source, all of its rows
};

// What rows in no source are read from: a chunk that was never written.
static struct ls_column gap_of(const struct found *found, int64_t rows) {
    struct ls_arena *arena = &found->dataset->names;
    struct ls_chunking *chunking = LS_ARENA_NEW(arena, struct ls_chunking, 1);
    struct ls_column column = *found->column;
    chunking->found = *found->dataset_found;
    chunking->found.chunking.dim[0] = rows;
    chunking->listed = malloc(sizeof *chunking->listed);
    if (!chunking->listed) ls_out_of_memory(sizeof *chunking->listed);
    *chunking->listed = (struct ls_h5_chunk){.offset = -1};
    atomic_store(&chunking->is_listed, true);
    column.path = LS_PATH_CHUNKS;
    column.chunking = chunking;
    return column;
}

static ls_status add_part(const struct found *found, const struct ls_shard *part) {
    struct ls_dataset *dataset = found->dataset;
    if (dataset->n_sources == dataset->sources_room) {
        const int room = dataset->sources_room ? 2 * dataset->sources_room : 16;
        struct ls_shard *sources = realloc(dataset->sources, (size_t)room * sizeof *sources);
        if (!sources) return LS_FAIL(LS_SYSTEM, "%s: out of memory for its sources", found->shard->path);
        dataset->sources = sources;
        dataset->sources_room = room;
    }
    dataset->sources[dataset->n_sources++] = *part;
    return LS_OK;
}

// Rows [begin, end) that are in no source. Their file is the one that says so.
static ls_status add_gap(const struct found *found, int file, int64_t begin, int64_t end) {
    if (begin == end) return LS_OK;
    struct ls_shard part = {.path = found->shard->path,
                            .file = file,
                            .first = found->shard->first + begin,
                            .samples = end - begin};
    part.columns[found->id] = gap_of(found, end - begin);
    return add_part(found, &part);
}

static ls_status add_rows(const struct found *found, const struct ls_h5_parts *parts,
                          const struct ls_h5_part *of, int first_file) {
    const struct ls_column *source = &found->columns[of->source];
    const int64_t values = found->column->row_values, row = of->first / values;
    struct ls_shard part = {.path = parts->sources[of->source].path,
                            .file = first_file + of->source,
                            .first = found->shard->first + of->begin - row,
                            .samples = row + of->rows,
                            .begin = row};
    part.columns[found->id] = *source;
    if (source->path == LS_PATH_RUN)
        part.columns[found->id].offset += of->first % values * (int64_t)ls_dtype_bytes(source->stored);
    return add_part(found, &part);
}

static ls_status add_parts(const struct found *found, const struct ls_h5_parts *parts) {
    struct ls_dataset *dataset = found->dataset;
    const int first_file = dataset->n_source_files, gaps = first_file + parts->n_sources;
    int64_t end = 0;
    dataset->n_source_files += parts->n_sources + 1;
    for (int i = 0; i < parts->n; i++) {
        const struct ls_h5_part *part = &parts->items[i];
        LS_TRY(add_gap(found, gaps, end, part->begin));
        LS_TRY(add_rows(found, parts, part, first_file));
        end = part->begin + part->rows;
    }
    return add_gap(found, gaps, end, found->dataset_found->dim[0]);
}

static int64_t row_values_of(const struct ls_h5_dataset *found) {
    int64_t values = 1;
    for (int i = 1; i < found->rank; i++) values *= found->dim[i];
    return values;
}

// All rows of a source as a column; or *why they are none.
static ls_status view_source(const struct found *found, const struct ls_h5_source *source,
                             struct ls_column *column, const char **why) {
    struct ls_arena *arena = &found->dataset->names;
    struct ls_h5_dataset there;
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(source->path, &file));
    ls_status status = ls_h5_describe(file, source->name, &there);
    ls_h5_close(file);
    LS_TRY(status);
    *column = ls_column_of(arena, source->name, &there, found->column->row_values, found->column->delivered);
    column->rows_hold = found->column->rows_hold;
    column->tokens = found->column->tokens;
    column->row_bytes = found->column->row_bytes;
    if (column->rows_hold == LS_ROWS_TOKENS) {
        status = ls_shape_check_tokens(source->path, source->name, &there, column->tokens);
        if (status != LS_OK) name_virtual(found->shard, found->id);
        LS_TRY(status);
    }
    // Whole numbers are made of those of any type, here; else HDF5 makes the virtual dataset's type of them.
    const bool made_here = column->delivered == LS_I32 && there.type < LS_DTYPES;
    if (there.type != found->column->stored && !made_here)
        *why = ls_arena_format(arena, "'%s' in %s is of another type", source->name, source->path);
    else if (column->path > LS_PATH_DECODED)
        *why = ls_arena_format(arena, "'%s' in %s is %s", source->name, source->path, there.layout);
    else if (column->path != LS_PATH_RUN && row_values_of(&there) != column->row_values)
        *why = ls_arena_format(arena, "'%s' in %s, which is %s, has rows of another length", source->name,
                               source->path, there.layout);
    return LS_OK;
}

// Parts of a source that is not one run of bytes begin with a row of it.
static const char *check_rows(const struct found *found, const struct ls_h5_parts *parts) {
    for (int i = 0; i < parts->n; i++)
        if (found->columns[parts->items[i].source].path != LS_PATH_RUN &&
            parts->items[i].first % found->column->row_values != 0)
            return "what it takes from a source is not made of whole rows";
    return NULL;
}

static ls_status view_sources(struct found *found, const struct ls_h5_parts *parts, const char **why) {
    *why = parts->why_not;
    found->columns = LS_ARENA_NEW(&found->dataset->names, struct ls_column, parts->n_sources + 1);
    for (int i = 0; i < parts->n_sources && !*why; i++)
        LS_TRY(view_source(found, &parts->sources[i], &found->columns[i], why));
    if (!*why) *why = check_rows(found, parts);
    return LS_OK;
}

ls_status ls_column_find_sources(struct ls_dataset *dataset, struct ls_h5 *file, const struct ls_shard *shard,
                                 const struct ls_h5_dataset *dataset_found, enum ls_column_id id) {
    struct ls_column *column = &dataset->shards[shard - dataset->shards].columns[id];
    if (dataset_found->storage != LS_H5_VIRTUAL || shard->samples == 0) return LS_OK;
    struct found found = {dataset, shard, dataset_found, column, id, NULL};
    struct ls_h5_parts parts;
    const char *why;
    LS_TRY(ls_h5_list_parts(file, column->name, dataset_found, &dataset->names, &parts));
    LS_TRY(view_sources(&found, &parts, &why));
    if (why) {
        column->layout = ls_arena_format(&dataset->names, "%s: %s", column->layout, why);
        return LS_OK;
    }
    const int first = dataset->n_sources;
    LS_TRY(add_parts(&found, &parts));
    column->layout = ls_arena_format(&dataset->names, "%s, of %d datasets%s%s", column->layout,
                                     parts.n_sources, parts.n ? ", the first of them " : "",
                                     parts.n ? found.columns[parts.items[0].source].layout : "");
    column->first_source = first;
    column->n_sources = dataset->n_sources - first;
    column->path = LS_PATH_SOURCES;
    return LS_OK;
}

// ---- reading them

ls_status ls_sources_read(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                          int64_t begin, int64_t n, void *out, struct ls_scratch *scratch) {
    const struct ls_column *column = &file->shard->columns[id];
    ls_status status = LS_OK;
    for (int64_t i = 0, rows; i < n && status == LS_OK; i += rows) {
        const int64_t index = file->shard->first + begin + i;
        const struct ls_shard *part = ls_source_of(dataset, column, index);
        const int64_t row = index - part->first, left = part->samples - row;
        struct ls_open_file source;
        rows = left < n - i ? left : n - i;
        status = ls_files_pin(&dataset->source_files, part, &source);
        if (status != LS_OK) break;
        status = ls_rows_read(dataset, &source, &part->columns[id], row, rows,
                              (char *)out + (size_t)i * column->row_bytes, scratch);
        ls_files_unpin(&source);
    }
    if (status != LS_OK) name_virtual(file->shard, id);
    return status;
}

ls_status ls_sources_gather(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                            const struct ls_pick *picks, int64_t n, void *out, struct ls_scratch *scratch) {
    const struct ls_column *column = &file->shard->columns[id];
    ls_status status = LS_OK;
    for (int64_t begin = 0, length; begin < n && status == LS_OK; begin += length) {
        const struct ls_shard *part = ls_source_of(dataset, column, picks[begin].index);
        struct ls_open_file source;
        length = ls_picks_in(part, picks + begin, n - begin);
        status = ls_files_pin(&dataset->source_files, part, &source);
        if (status != LS_OK) break;
        status = ls_rows_gather(dataset, &source, &part->columns[id], picks + begin, length, out, scratch);
        ls_files_unpin(&source);
    }
    if (status != LS_OK) name_virtual(file->shard, id);
    return status;
}
