// From file names to a data set: every file is described once, and compared with the first that has samples.
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/dataset_parts.h"
#include "data/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Columns but the samples' that take no more than this over the whole set are kept in memory.
static const int64_t KEPT_BYTES = INT64_C(64) << 20;

// Open files take two descriptors at most; files and sources, of all that the process may have, so much:
enum { FILE_SHARE = 4, SOURCE_SHARE = 8 };

// What one file says of itself.
struct file_view {
    struct ls_dataset_info info;
    struct ls_h5_dataset input, target;
    char uuid[64]; // empty where the file is not Lockstep's own
    bool ours;
};

// ---- one file

static ls_status check_version(struct ls_h5 *file, struct file_view *view) {
    char format[32] = "";
    bool found = false;
    if (ls_h5_attr_text(file, "/", LS_SHARD_ATTR_FORMAT, format, sizeof format, &found) != LS_OK)
        ls_error_clear();
    view->ours = found && strcmp(format, LS_SHARD_FORMAT) == 0;
    if (!view->ours) return LS_OK;
    int64_t version = 0;
    LS_TRY(ls_h5_attr_i64(file, "/", LS_SHARD_ATTR_VERSION, &version, &found));
    if (!found || version < 1 || version > LS_SHARD_VERSION)
        return LS_FAIL(LS_INPUT, "%s: is a shard of version %lld, expected 1 to %d", ls_h5_path(file),
                       (long long)version, LS_SHARD_VERSION);
    return ls_h5_attr_text(file, "/", LS_SHARD_ATTR_UUID, view->uuid, sizeof view->uuid, &found);
}

// A column of one number of `type` for each sample; a column without a name where there is no such dataset.
static ls_status find_numbers(struct ls_arena *arena, struct ls_h5 *file, const char *name, ls_dtype type,
                              int64_t samples, bool required_shape, struct ls_column *column) {
    if (!ls_h5_exists(file, name)) return LS_OK;
    struct ls_h5_dataset found;
    LS_TRY(ls_h5_describe(file, name, &found));
    if (found.rank == 1 && found.dim[0] == samples && found.type == type) {
        *column = ls_column_of(arena, name, &found, 1, type);
    } else if (required_shape) {
        char text[LS_SHAPE_TEXT];
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, expected [%lld] %s", ls_h5_path(file), name,
                       ls_shape_text_of(text, &found), (long long)samples, ls_dtype_name(type));
    }
    return LS_OK;
}

static bool reads_own_names(const struct ls_dataset_spec *spec) {
    return strcmp(spec->input, LS_SHARD_IMAGES) == 0 && spec->target &&
           strcmp(spec->target, LS_SHARD_LABELS) == 0;
}

// The column's rows as they are stored; a column without a name where they are delivered so.
static struct ls_column as_stored(struct ls_arena *arena, const struct ls_h5_dataset *found,
                                  const struct ls_column *column) {
    if (found->type == column->delivered && column->rows_hold != LS_ROWS_ONE_HOT)
        return (struct ls_column){0};
    struct ls_column stored = ls_column_of(arena, column->name, found, column->row_values, found->type);
    if (stored.path == LS_PATH_LIBRARY) ls_column_fetch_chunks(arena, found, &stored);
    return stored;
}

// The checksums are of `images` and `labels` as they lie there, so they say nothing of other datasets.
static ls_status find_checksums(struct ls_arena *arena, struct ls_h5 *file,
                                const struct ls_dataset_spec *spec, struct ls_shard *shard,
                                const struct file_view *view) {
    struct ls_column *columns = shard->columns;
    if (!view->ours || !reads_own_names(spec) || !columns[LS_COLUMN_TARGET].name) return LS_OK;
    LS_TRY(find_numbers(arena, file, LS_SHARD_CRC, LS_U32, shard->samples, true, &columns[LS_COLUMN_CRC]));
    if (!columns[LS_COLUMN_CRC].name) return LS_OK;
    columns[LS_COLUMN_STORED_INPUT] = as_stored(arena, &view->input, &columns[LS_COLUMN_INPUT]);
    columns[LS_COLUMN_STORED_TARGET] = as_stored(arena, &view->target, &columns[LS_COLUMN_TARGET]);
    return LS_OK;
}

static ls_status view_datasets(struct ls_dataset *dataset, struct ls_h5 *file,
                               const struct ls_dataset_spec *spec, struct ls_shard *shard,
                               struct file_view *view) {
    struct ls_arena *arena = &dataset->names;
    struct ls_column *columns = shard->columns;
    LS_TRY(check_version(file, view));
    LS_TRY(ls_shape_input(arena, file, spec, &view->input, &columns[LS_COLUMN_INPUT], &view->info));
    shard->samples = view->input.dim[0];
    if (spec->target && !(spec->target_optional && !ls_h5_exists(file, spec->target))) {
        LS_TRY(ls_shape_target(arena, file, spec->target, spec->targets, &view->target,
                               &columns[LS_COLUMN_TARGET], &view->info));
        if (view->target.dim[0] != shard->samples)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s' has %lld samples, but '%s' has %lld targets",
                           shard->path, spec->input, (long long)shard->samples, spec->target,
                           (long long)view->target.dim[0]);
    }
    LS_TRY(
        find_numbers(arena, file, LS_SHARD_IDS, LS_U64, shard->samples, view->ours, &columns[LS_COLUMN_IDS]));
    return find_checksums(arena, file, spec, shard, view);
}

// Samples and targets that are virtual.
static ls_status find_sources(struct ls_dataset *dataset, struct ls_h5 *file, struct ls_shard *shard,
                              const struct file_view *view) {
    LS_TRY(ls_column_find_sources(dataset, file, shard, &view->input, LS_COLUMN_INPUT));
    if (!view->info.has_target) return LS_OK;
    return ls_column_find_sources(dataset, file, shard, &view->target, LS_COLUMN_TARGET);
}

static ls_status read_class_names(struct ls_dataset *dataset, struct ls_h5 *file, bool ours) {
    if (!ls_h5_exists(file, LS_SHARD_CLASS_NAMES)) return LS_OK;
    char *joined;
    int n;
    ls_status status = ls_h5_read_strings(file, LS_SHARD_CLASS_NAMES, &joined, &n);
    if (status != LS_OK) {
        if (ours) return status;
        ls_error_clear(); // a dataset of that name that is none of ours
        return LS_OK;
    }
    dataset->class_names = LS_ARENA_NEW(&dataset->names, const char *, n);
    dataset->n_class_names = n;
    const char *name = joined;
    for (int i = 0; i < n; i++, name += strlen(name) + 1)
        dataset->class_names[i] = ls_arena_copy(&dataset->names, name);
    free(joined);
    return LS_OK;
}

static ls_status view_file(struct ls_dataset *dataset, const struct ls_dataset_spec *spec,
                           struct ls_shard *shard, struct file_view *view) {
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(shard->path, &file));
    ls_status status = view_datasets(dataset, file, spec, shard, view);
    if (status == LS_OK && !spec->through_library) status = find_sources(dataset, file, shard, view);
    if (status == LS_OK && shard == dataset->shards) {
        dataset->ours = view->ours && reads_own_names(spec);
        status = read_class_names(dataset, file, view->ours);
    }
    ls_h5_close(file);
    return status;
}

// ---- what files must agree on

struct reference {
    const struct ls_shard *shard; // NULL until a file has samples
    struct file_view view;
};

static bool same_rows(const struct ls_h5_dataset *a, const struct ls_h5_dataset *b) {
    bool same = a->rank == b->rank;
    for (int i = 1; same && i < a->rank; i++) same = a->dim[i] == b->dim[i];
    return same;
}

static ls_status refuse_difference(const char *name, const struct ls_shard *shard,
                                   const struct ls_h5_dataset *found, const struct ls_shard *first,
                                   const struct ls_h5_dataset *expected, const char *what) {
    char a[LS_SHAPE_TEXT], b[LS_SHAPE_TEXT];
    return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, but in %s it is %s: %s", shard->path, name,
                   ls_shape_text_of(a, found), first->path, ls_shape_text_of(b, expected), what);
}

static ls_status compare(const struct ls_dataset_spec *spec, const struct reference *first,
                         const struct ls_shard *shard, const struct file_view *view) {
    const struct ls_dataset_info *a = &view->info, *b = &first->view.info;
    if (!same_rows(&view->input, &first->view.input) || a->type != b->type)
        return refuse_difference(spec->input, shard, &view->input, first->shard, &first->view.input,
                                 "samples of a data set must have one shape and one type");
    if (a->channels_first != b->channels_first)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' lies %s, but in %s it lies %s", shard->path, spec->input,
                       a->channels_first ? "NCHW" : "NHWC", first->shard->path,
                       b->channels_first ? "NCHW" : "NHWC");
    if (a->height != b->height || a->width != b->width)
        return LS_FAIL(LS_INPUT,
                       "%s: dataset '%s' holds samples of %lld x %lld (height, width), but in %s, whose axes "
                       "are others, of %lld x %lld",
                       shard->path, spec->input, (long long)a->height, (long long)a->width,
                       first->shard->path, (long long)b->height, (long long)b->width);
    if (a->has_target != b->has_target)
        return LS_FAIL(LS_INPUT, "%s has a dataset '%s', but %s has none",
                       a->has_target ? shard->path : first->shard->path, spec->target,
                       a->has_target ? first->shard->path : shard->path);
    if (a->target_is_class != b->target_is_class || a->target_values != b->target_values)
        return refuse_difference(spec->target, shard, &view->target, first->shard, &first->view.target,
                                 "targets of a data set must all be classes, or rows of one length");
    return LS_OK;
}

static const char *name_without_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_shape(struct ls_hash *hash, const struct ls_h5_dataset *found) {
    int64_t numbers[2 + LS_H5_MAX_RANK] = {found->rank, found->rank ? (int64_t)found->type : 0};
    for (int i = 0; i < found->rank; i++) numbers[2 + i] = found->dim[i];
    ls_hash_add(hash, numbers, sizeof numbers);
}

static void add_identity(struct ls_hash *hash, const struct ls_shard *shard, const struct file_view *view) {
    const char *name = name_without_folder(shard->path);
    ls_hash_add(hash, name, strlen(name) + 1);
    ls_hash_add(hash, view->uuid, strlen(view->uuid) + 1);
    add_shape(hash, &view->input);
    add_shape(hash, &view->target);
}

static void warn_of_empty(const struct ls_dataset *dataset) {
    int n = 0;
    const char *first = NULL;
    for (int i = dataset->n_shards - 1; i >= 0; i--)
        if (dataset->shards[i].samples == 0) n++, first = dataset->shards[i].path;
    if (n == 1) ls_warn("%s: %s has no samples", dataset->what, first);
    if (n > 1) ls_warn("%s: %d files have no samples, %s and others", dataset->what, n, first);
}

static ls_status view_files(struct ls_dataset *dataset, const struct ls_dataset_spec *spec,
                            struct ls_hash *hash) {
    struct reference first = {0};
    int64_t total = 0;
    for (int i = 0; i < dataset->n_shards; i++) {
        struct ls_shard *shard = &dataset->shards[i];
        struct file_view view = {0};
        shard->first = total;
        LS_TRY(view_file(dataset, spec, shard, &view));
        total += shard->samples;
        add_identity(hash, shard, &view);
        if (shard->samples == 0) continue;
        if (first.shard)
            LS_TRY(compare(spec, &first, shard, &view));
        else
            first = (struct reference){.shard = shard, .view = view};
    }
    if (total == 0)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' has no samples", dataset->shards[0].path, spec->input);
    dataset->info = first.view.info;
    dataset->info.samples = total;
    dataset->info.n_files = dataset->n_shards;
    warn_of_empty(dataset);
    return LS_OK;
}

static void decide_kept(struct ls_dataset *dataset) {
    for (int i = 0; i < dataset->n_shards; i++) {
        if (dataset->shards[i].columns[LS_COLUMN_CRC].name) dataset->info.checksums = true;
        for (int id = 0; id < LS_COLUMNS; id++) {
            struct ls_column *column = &dataset->shards[i].columns[id];
            column->kept = id != LS_COLUMN_INPUT && id != LS_COLUMN_STORED_INPUT && column->name &&
                           column->row_bytes &&
                           dataset->info.samples <= KEPT_BYTES / (int64_t)column->row_bytes;
        }
    }
}

// ---- the path note

static const char *words_of(enum ls_path path) {
    switch (path) {
    case LS_PATH_RUN: return "by pread";
    case LS_PATH_CHUNKS: return "by pread of chunks";
    case LS_PATH_DECODED: return "by whole chunks";
    case LS_PATH_SOURCES: return "from their sources";
    case LS_PATH_FETCHED: return "through H5Dread by whole chunks, on one thread";
    case LS_PATH_LIBRARY: break;
    }
    return "through H5Dread, on one thread";
}

// A shuffled order wants a sample here and a sample there.
static const char *add_cost(struct ls_dataset *dataset, const struct ls_column *input, const char *note) {
    size_t largest, all, kept = dataset->info.cache_bytes;
    ls_chunk_cache_bytes(dataset, &largest, &all);
    if (!ls_path_is_by_chunks(input->path) || input->chunking->found.chunking.dim[0] == 1 || kept >= all)
        return note;
    note = ls_arena_format(
        &dataset->names,
        "%s; %zu MiB of its decoded chunks are kept, and a sample that is not in them costs the "
        "decoding of %lld",
        note, kept >> 20, (long long)input->chunking->found.chunking.dim[0]);
    if (dataset->info.leftover_bytes == 0) return note;
    return ls_arena_format(&dataset->names, "%s; training keeps %zu MiB of those that it will want soon",
                           note, dataset->info.leftover_bytes >> 20);
}

// "2 of 3 files by pread; 1 through H5Dread, on one thread: a.h5: images is compact"
static const char *path_note(struct ls_dataset *dataset) {
    struct ls_arena *arena = &dataset->names;
    const char *note = "";
    bool converted = false;
    for (int path = 0; path <= LS_PATH_LIBRARY; path++) {
        const struct ls_shard *first = NULL;
        int n = 0;
        for (int i = 0; i < dataset->n_shards; i++) {
            const struct ls_column *input = &dataset->shards[i].columns[LS_COLUMN_INPUT];
            if (dataset->shards[i].samples == 0 || (int)input->path != path) continue;
            converted = converted || ls_column_type_on_disk(input) != input->delivered;
            if (n++ == 0) first = &dataset->shards[i];
        }
        if (n == 0) continue;
        const struct ls_column *input = &first->columns[LS_COLUMN_INPUT];
        note = ls_arena_format(arena, "%s%s%d of %d files %s", note, *note ? "; " : "", n,
                               dataset->info.n_files, words_of((enum ls_path)path));
        if (path == LS_PATH_RUN) continue;
        note = ls_arena_format(arena, "%s: %s: %s is %s", note, first->path, input->name, input->layout);
        note = add_cost(dataset, input, note);
    }
    if (!converted) return note;
    return ls_arena_format(arena, "%s; converted to %s", note, ls_dtype_name(dataset->info.type));
}

// ---- opening

static bool is_read_one_at_a_time(const struct ls_dataset *dataset) {
    for (int i = 0; i < dataset->n_shards; i++)
        if (dataset->shards[i].samples > 0 &&
            dataset->shards[i].columns[LS_COLUMN_INPUT].path < LS_PATH_FETCHED)
            return false;
    return true;
}

static ls_status open_files(struct ls_dataset *dataset, const struct ls_dataset_spec *spec,
                            char *const *paths) {
    struct ls_dataset_spec kept = *spec;
    kept.input = ls_arena_copy(&dataset->names, spec->input ? spec->input : LS_SHARD_IMAGES);
    kept.target = spec->target ? ls_arena_copy(&dataset->names, spec->target) : NULL;
    for (int i = 0; i < dataset->n_shards; i++) {
        dataset->shards[i].path = ls_arena_copy(&dataset->names, paths[i]);
        dataset->shards[i].file = i;
    }
    struct ls_hash *hash = ls_hash_open();
    ls_status status = view_files(dataset, &kept, hash);
    dataset->info.identity = ls_hash_value(hash);
    ls_hash_close(hash);
    LS_TRY(status);
    LS_TRY(ls_files_init(&dataset->source_files, dataset->n_source_files, SOURCE_SHARE));
    decide_kept(dataset);
    for (int i = 0; spec->through_library && i < dataset->n_shards; i++)
        for (int id = 0; id < LS_COLUMNS; id++) dataset->shards[i].columns[id].path = LS_PATH_LIBRARY;
    size_t largest, all;
    dataset->info.cache_bytes = ls_chunk_cache_bytes(dataset, &largest, &all);
    dataset->info.one_at_a_time = is_read_one_at_a_time(dataset);
    dataset->info.leftover_bytes = ls_chunk_leftover_bytes(dataset);
    LS_TRY(ls_chunk_cache_init(&dataset->cache, dataset->info.cache_bytes, largest));
    dataset->path_note = path_note(dataset);
    return LS_OK;
}

ls_status ls_dataset_open_files(const struct ls_dataset_spec *spec, char *const *paths, int n_paths,
                                struct ls_dataset **result) {
    *result = NULL;
    if (spec->tokens < 0 || spec->tokens > INT32_MAX)
        return LS_FAIL(LS_INPUT,
                       "%s: samples of %lld tokens are asked for, expected 1 to %d, or 0: of values",
                       spec->what ? spec->what : "data", (long long)spec->tokens, INT32_MAX);
    struct ls_dataset *dataset = calloc(1, sizeof *dataset);
    if (!dataset) return LS_FAIL(LS_SYSTEM, "out of memory for a data set");
    pthread_mutex_init(&dataset->lock, NULL);
    pthread_mutex_init(&dataset->listing, NULL);
    dataset->what = ls_arena_copy(&dataset->names, spec->what ? spec->what : "data");
    dataset->n_shards = n_paths;
    dataset->shards = LS_ARENA_NEW(&dataset->names, struct ls_shard, n_paths);
    ls_status status = ls_files_init(&dataset->files, n_paths, FILE_SHARE);
    if (status == LS_OK) status = open_files(dataset, spec, paths);
    if (status != LS_OK) {
        if (spec->what) ls_error_prefix("%s", spec->what);
        ls_dataset_close(dataset);
        return status;
    }
    *result = dataset;
    return LS_OK;
}

struct paths {
    char **items;
    int n;
};

static void free_paths(struct paths *paths) {
    for (int i = 0; i < paths->n; i++) free(paths->items[i]);
    free(paths->items);
}

static ls_status add_matches(const char *pattern, struct paths *paths) {
    char **names;
    int n;
    LS_TRY(ls_glob(pattern, &names, &n));
    char **items = n ? realloc(paths->items, sizeof *items * (size_t)(paths->n + n)) : NULL;
    if (!items) {
        ls_glob_free(names, n);
        return n ? LS_FAIL(LS_SYSTEM, "out of memory for %d file names", n)
                 : LS_FAIL(LS_INPUT, "no file matches '%s'", pattern);
    }
    memcpy(items + paths->n, names, sizeof *items * (size_t)n);
    free(names); // the names themselves are ours now
    paths->items = items;
    paths->n += n;
    return LS_OK;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The paths in order, each once, in `unique`; the texts stay where they are.
static int sort_unique(const struct paths *paths, char **unique) {
    memcpy(unique, paths->items, sizeof *unique * (size_t)paths->n);
    qsort(unique, (size_t)paths->n, sizeof *unique, by_bytes);
    int n = 1;
    for (int i = 1; i < paths->n; i++)
        if (strcmp(unique[i], unique[n - 1]) != 0) unique[n++] = unique[i];
    return n;
}

// Whoever lists a file twice has made a mistake: `unique` tells.
static ls_status check_once(const struct paths *paths, int n_unique, char *const *unique) {
    if (n_unique == paths->n) return LS_OK;
    for (int i = 0, times; i < n_unique; i++) {
        times = 0;
        for (int k = 0; k < paths->n; k++) times += strcmp(unique[i], paths->items[k]) == 0;
        if (times > 1) return LS_FAIL(LS_INPUT, "%s: is listed %d times", unique[i], times);
    }
    return LS_OK;
}

static ls_status open_matches(const struct ls_dataset_spec *spec, const struct paths *paths,
                              struct ls_dataset **dataset) {
    if (paths->n == 0) return LS_FAIL(LS_INPUT, "%s: no files are named", spec->what ? spec->what : "data");
    char **unique = malloc(sizeof *unique * (size_t)paths->n);
    if (!unique) return LS_FAIL(LS_SYSTEM, "out of memory for %d file names", paths->n);
    const int n = sort_unique(paths, unique);
    ls_status status = spec->as_listed ? check_once(paths, n, unique) : LS_OK;
    if (status == LS_OK)
        status = ls_dataset_open_files(spec, spec->as_listed ? paths->items : unique, n, dataset);
    free(unique);
    return status;
}

ls_status ls_dataset_open(const struct ls_dataset_spec *spec, struct ls_dataset **dataset) {
    *dataset = NULL;
    struct paths paths = {0};
    ls_status status = LS_OK;
    for (int i = 0; i < spec->n_patterns && status == LS_OK; i++) {
        status = add_matches(spec->patterns[i], &paths);
        if (status != LS_OK) ls_error_prefix("%s", spec->what ? spec->what : "data");
    }
    if (status == LS_OK) status = open_matches(spec, &paths, dataset);
    free_paths(&paths);
    return status;
}

static void free_column(struct ls_column *column) {
    free(atomic_load(&column->rows));
    ls_chunking_free(column->chunking);
}

void ls_dataset_close(struct ls_dataset *dataset) {
    if (!dataset) return;
    ls_files_close(&dataset->files);
    ls_files_close(&dataset->source_files);
    ls_cursors_free(dataset->cursors);
    for (int i = 0; i < dataset->n_shards; i++)
        for (int id = 0; id < LS_COLUMNS; id++) free_column(&dataset->shards[i].columns[id]);
    for (int i = 0; i < dataset->n_sources; i++)
        for (int id = 0; id < LS_COLUMNS; id++) free_column(&dataset->sources[i].columns[id]);
    free(dataset->sources);
    ls_chunk_cache_free(&dataset->cache);
    pthread_mutex_destroy(&dataset->lock);
    pthread_mutex_destroy(&dataset->listing);
    ls_arena_free(&dataset->names);
    free(dataset);
}

// ---- what is known of it

const struct ls_dataset_info *ls_dataset_info(const struct ls_dataset *dataset) {
    return &dataset->info;
}

const char *ls_dataset_file(const struct ls_dataset *dataset, int i, int64_t *samples) {
    *samples = dataset->shards[i].samples;
    return dataset->shards[i].path;
}

const char *ls_dataset_path_note(const struct ls_dataset *dataset) {
    return dataset->path_note;
}

const char *const *ls_dataset_class_names(const struct ls_dataset *dataset, int *n) {
    *n = dataset->n_class_names;
    return dataset->class_names;
}

ls_dtype ls_dataset_stored_type(const struct ls_dataset *dataset, int64_t index) {
    return ls_column_type_on_disk(&ls_shard_of(dataset, index)->columns[LS_COLUMN_INPUT]);
}

const char *ls_dataset_locate(const struct ls_dataset *dataset, int64_t index, int64_t *index_in_file) {
    const struct ls_shard *shard = ls_shard_of(dataset, index);
    *index_in_file = index - shard->first;
    return shard->path;
}
