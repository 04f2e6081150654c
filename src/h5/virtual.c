// Virtual datasets: whether all that they need is there, and which rows of which sources they are.
#include "h5/internal.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_NAME = 1024, MOST_DEPTH = 8 };

// ---- where sources are looked for

struct search {
    const char *name;
    hid_t access, file; // file: negative until it is found
    char *path;         // of the file that is found, malloc'd; or of one that is there and cannot be opened
};

// Tries "folder/name", or the name alone where there is no folder; true once there is nothing more to try.
static bool try_in(struct search *search, const char *folder, size_t length, const char *name) {
    const size_t bytes = length + strlen(name) + 2;
    char *path = malloc(bytes);
    if (!path) ls_out_of_memory(bytes);
    snprintf(path, bytes, "%.*s%s%s", (int)length, folder, length ? "/" : "", name);
    if (access(path, F_OK) != 0) {
        free(path);
        return false;
    }
    free(search->path);
    search->path = path;
    search->file = H5Fopen(path, H5F_ACC_RDONLY, search->access);
    return search->file >= 0;
}

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
}

static bool try_beside(struct search *search, const char *path, const char *name) {
    const size_t length = folder_length(path);
    return try_in(search, length ? path : ".", length ? length : 1, name);
}

// HDF5_VDS_PREFIX: folders with colons between them; ${ORIGIN} begins one that lies beside the file.
static bool try_prefixes(struct search *search, const char *path, const char *name) {
    static const char origin[] = "${ORIGIN}";
    const char *prefix = getenv("HDF5_VDS_PREFIX");
    while (prefix && *prefix) {
        const size_t length = strcspn(prefix, ":"), from = sizeof origin - 1;
        if (length >= from && strncmp(prefix, origin, from) == 0) {
            char folder[MOST_NAME];
            const size_t there = folder_length(path);
            snprintf(folder, sizeof folder, "%.*s%.*s", there ? (int)there : 1, there ? path : ".",
                     (int)(length - from), prefix + from);
            if (try_in(search, folder, strlen(folder), name)) return true;
        } else if (length && try_in(search, prefix, length, name)) {
            return true;
        }
        prefix += length + (prefix[length] == ':');
    }
    return false;
}

// In the order of the library (H5Pset_virtual_prefix): where an absolute name says, and by its last part
// then; in HDF5_VDS_PREFIX; beside the file; where the program runs; beside the file that a link leads to.
static void find_source(const struct ls_h5 *file, struct search *search) {
    const char *name = search->name;
    if (name[0] == '/') {
        if (try_in(search, "", 0, name)) return;
        name = strrchr(name, '/') + 1;
    }
    if (try_prefixes(search, file->path, name) || try_beside(search, file->path, name) ||
        try_in(search, "", 0, name))
        return;
    char *real = realpath(file->path, NULL);
    if (real) try_beside(search, real, name);
    free(real);
}

// ---- mappings, source by source

struct mapping {
    char *file, *dataset; // as it names its source
    size_t number;
};

struct mappings {
    hid_t properties;
    struct mapping *items; // those of one source follow each other, each in its place of the file
    size_t n;
};

static int by_source(const void *a, const void *b) {
    const struct mapping *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    if (order == 0) order = strcmp(x->dataset, y->dataset);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static struct mappings list_mappings(struct ls_arena *arena, hid_t properties) {
    struct mappings mappings = {.properties = properties};
    H5Pget_virtual_count(properties, &mappings.n);
    mappings.items = LS_ARENA_NEW(arena, struct mapping, mappings.n + 1);
    for (size_t i = 0; i < mappings.n; i++) {
        char name[MOST_NAME] = "", object[MOST_NAME] = "";
        H5Pget_virtual_filename(properties, i, name, sizeof name - 1);
        H5Pget_virtual_dsetname(properties, i, object, sizeof object - 1);
        mappings.items[i] = (struct mapping){ls_arena_copy(arena, name), ls_arena_copy(arena, object), i};
    }
    if (mappings.n) qsort(mappings.items, mappings.n, sizeof *mappings.items, by_source);
    return mappings;
}

// A name with a number to be put in stands for a row of sources, which ends where one is missing.
static bool is_pattern(const char *name) {
    return strchr(name, '%') != NULL;
}

// The source of the mapping that is looked at.
struct source {
    const struct mapping *of; // NULL: none yet
    struct search search;
    hid_t dataset; // negative: cannot be opened
    bool other;    // another one than that of the mapping before
};

static void close_source(struct source *source) {
    if (source->of && source->dataset >= 0) H5Dclose(source->dataset);
    if (source->of && source->search.file >= 0 && strcmp(source->of->file, ".") != 0)
        H5Fclose(source->search.file);
    free(source->search.path);
    source->search.path = NULL;
    source->of = NULL;
}

static void move_to(const struct ls_h5 *file, const struct mapping *mapping, struct source *source) {
    const struct mapping *before = source->of;
    source->other =
        !before || strcmp(before->file, mapping->file) != 0 || strcmp(before->dataset, mapping->dataset) != 0;
    if (!source->other) return;
    hid_t access = source->search.access;
    close_source(source);
    *source = (struct source){.of = mapping,
                              .search = {.name = mapping->file, .access = access, .file = -1},
                              .dataset = -1,
                              .other = true};
    if (strcmp(mapping->file, ".") == 0) {
        source->search.file = file->id;
        source->search.path = strdup(file->path);
    } else {
        find_source(file, &source->search);
    }
    if (source->search.file >= 0)
        source->dataset = H5Dopen2(source->search.file, mapping->dataset, H5P_DEFAULT);
}

// ---- what is missing

// Does the source reach as far as the mapping takes from it? Of one that takes all, the file does not say how
// much that was: it must be as much as it fills of the virtual one.
static bool reaches(hid_t dataset, hid_t properties, size_t i) {
    hsize_t begin[H5S_MAX_RANK], end[H5S_MAX_RANK], size[H5S_MAX_RANK];
    hid_t space = H5Dget_space(dataset), from = H5Pget_virtual_srcspace(properties, i),
          to = H5Pget_virtual_vspace(properties, i);
    int rank = H5Sget_simple_extent_dims(space, size, NULL);
    bool inside = true;
    if (H5Sget_select_type(from) == H5S_SEL_ALL)
        inside = H5Sget_simple_extent_npoints(space) >= H5Sget_select_npoints(to);
    else if (H5Sget_simple_extent_ndims(from) == rank && H5Sget_select_bounds(from, begin, end) >= 0)
        for (int k = 0; k < rank; k++) inside = inside && (end[k] < size[k] || end[k] == H5S_UNLIMITED);
    H5Sclose(to);
    H5Sclose(from);
    H5Sclose(space);
    return inside;
}

static void check_source(const struct source *source, const struct mapping *mapping, hid_t properties,
                         char *missing, size_t bytes) {
    if (!source->search.path)
        snprintf(missing, bytes, "its data lie in '%.160s', which is not there", mapping->file);
    else if (source->search.file < 0)
        snprintf(missing, bytes, "its data lie in '%.160s', which HDF5 cannot open", mapping->file);
    else if (source->dataset < 0)
        snprintf(missing, bytes, "its data lie in dataset '%.80s' of '%.90s', which is not there",
                 mapping->dataset, mapping->file);
    else if (!reaches(source->dataset, properties, mapping->number))
        snprintf(missing, bytes, "its data lie in dataset '%.80s' of '%.90s', which is too small",
                 mapping->dataset, mapping->file);
}

void ls_h5_check_virtual(const struct ls_h5 *file, hid_t properties, int depth, char *missing, size_t bytes) {
    if (depth == MOST_DEPTH) { // it may lead back to itself
        snprintf(missing, bytes, "%d virtual datasets lead from one to the next", MOST_DEPTH + 1);
        return;
    }
    struct ls_arena arena = {0};
    struct source source = {.search.access = ls_h5_access()};
    const struct mappings mappings = list_mappings(&arena, properties);
    for (size_t i = 0; i < mappings.n && !missing[0]; i++) {
        const struct mapping *mapping = &mappings.items[i];
        if (is_pattern(mapping->file) || is_pattern(mapping->dataset)) continue;
        move_to(file, mapping, &source);
        check_source(&source, mapping, properties, missing, bytes);
        if (source.other && !missing[0]) ls_h5_find_missing(source.dataset, depth + 1, missing, bytes);
    }
    close_source(&source);
    H5Pclose(source.search.access);
    ls_arena_free(&arena);
}

// ---- rows of sources

// A selection that is one block: [begin, end) along each axis.
struct block {
    int rank;
    hsize_t dim[H5S_MAX_RANK], begin[H5S_MAX_RANK], end[H5S_MAX_RANK];
};

static bool find_block(hid_t selection, hid_t extent, struct block *block) {
    hsize_t start[H5S_MAX_RANK], stride[H5S_MAX_RANK], count[H5S_MAX_RANK], length[H5S_MAX_RANK];
    const H5S_sel_type kind = H5Sget_select_type(selection);
    block->rank = H5Sget_simple_extent_dims(extent, block->dim, NULL);
    if (block->rank < 1) return false;
    for (int i = 0; i < block->rank; i++) block->begin[i] = 0, block->end[i] = block->dim[i];
    if (kind == H5S_SEL_ALL) return true;
    if (kind != H5S_SEL_HYPERSLABS || H5Sget_simple_extent_ndims(selection) != block->rank ||
        H5Sis_regular_hyperslab(selection) <= 0 ||
        H5Sget_regular_hyperslab(selection, start, stride, count, length) < 0)
        return false;
    for (int i = 0; i < block->rank; i++) {
        const bool limited = count[i] != H5S_UNLIMITED && length[i] != H5S_UNLIMITED;
        if (!limited || count[i] == 0 || (count[i] > 1 && stride[i] != length[i])) return false;
        if (start[i] > block->dim[i] || length[i] > block->dim[i] ||
            count[i] > (block->dim[i] - start[i]) / (length[i] ? length[i] : 1))
            return false;
        block->begin[i] = start[i];
        block->end[i] = start[i] + count[i] * length[i];
    }
    return true;
}

// Do the numbers of the block follow one another? From `*first` on, `*n` of them.
static bool is_run(const struct block *block, int64_t *first, int64_t *n) {
    bool whole = true; // in all axes behind
    int64_t step = 1;
    *first = 0, *n = 1;
    for (int i = block->rank; i-- > 0;) {
        const hsize_t length = block->end[i] - block->begin[i];
        if (!whole && length > 1) return false;
        whole = whole && length == block->dim[i];
        *first += (int64_t)block->begin[i] * step;
        *n *= (int64_t)length;
        step *= (int64_t)block->dim[i];
    }
    return true;
}

// NULL, and the part; or why it is none.
static const char *find_part(hid_t dataset, const struct mapping *mapping, const struct source *source,
                             hid_t properties, struct ls_h5_part *part) {
    if (is_pattern(mapping->file) || is_pattern(mapping->dataset)) return "its sources are counted up";
    if (source->dataset < 0) return "a source cannot be opened";
    hid_t to = H5Pget_virtual_vspace(properties, mapping->number),
          from = H5Pget_virtual_srcspace(properties, mapping->number);
    hid_t space = H5Dget_space(dataset), source_space = H5Dget_space(source->dataset);
    struct block rows, numbers;
    int64_t begin = 0, n = 0, n_from = 0, values = 1;
    const char *why = NULL;
    if (H5Sget_simple_extent_ndims(source_space) > LS_H5_MAX_RANK)
        why = "a source has more axes than are read";
    else if (!find_block(to, space, &rows) || !is_run(&rows, &begin, &n))
        why = "it is not made of whole samples";
    else if (!find_block(from, source_space, &numbers) || !is_run(&numbers, &part->first, &n_from) ||
             n_from != n)
        why = "what it takes from a source is not one run of numbers";
    for (int i = 1; !why && i < rows.rank; i++) values *= (int64_t)rows.dim[i];
    if (!why && (values == 0 || begin % values != 0 || n % values != 0))
        why = "it is not made of whole samples";
    if (!why) part->begin = begin / values, part->rows = n / values;
    H5Sclose(source_space);
    H5Sclose(space);
    H5Sclose(from);
    H5Sclose(to);
    return why;
}

static int by_begin(const void *a, const void *b) {
    const int64_t x = ((const struct ls_h5_part *)a)->begin, y = ((const struct ls_h5_part *)b)->begin;
    return (x > y) - (x < y);
}

// Parts that go on where the one before ends, in the same source, are one.
static void join_parts(struct ls_h5_parts *parts, int64_t row_values) {
    int n = 0;
    for (int i = 0; i < parts->n; i++) {
        const struct ls_h5_part part = parts->items[i];
        struct ls_h5_part *last = n ? &parts->items[n - 1] : NULL;
        if (last && part.begin < last->begin + last->rows) parts->why_not = "its parts overlap";
        if (last && last->source == part.source && last->begin + last->rows == part.begin &&
            last->first + last->rows * row_values == part.first)
            last->rows += part.rows;
        else
            parts->items[n++] = part;
    }
    parts->n = n;
}

static void list_parts(const struct ls_h5 *file, hid_t dataset, hid_t properties, struct ls_arena *arena,
                       struct ls_h5_parts *parts) {
    struct source source = {.search.access = ls_h5_access()};
    const struct mappings mappings = list_mappings(arena, properties);
    parts->items = LS_ARENA_NEW(arena, struct ls_h5_part, mappings.n + 1);
    parts->sources = LS_ARENA_NEW(arena, struct ls_h5_source, mappings.n + 1);
    for (size_t i = 0; i < mappings.n && !parts->why_not; i++) {
        const struct mapping *mapping = &mappings.items[i];
        move_to(file, mapping, &source);
        struct ls_h5_part part = {0};
        parts->why_not = find_part(dataset, mapping, &source, properties, &part);
        if (parts->why_not) break;
        if (source.other)
            parts->sources[parts->n_sources++] =
                (struct ls_h5_source){ls_arena_copy(arena, source.search.path), mapping->dataset};
        part.source = parts->n_sources - 1;
        if (part.rows > 0) parts->items[parts->n++] = part;
    }
    close_source(&source);
    H5Pclose(source.search.access);
    if (parts->n) qsort(parts->items, (size_t)parts->n, sizeof *parts->items, by_begin);
}

ls_status ls_h5_list_parts(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           struct ls_arena *arena, struct ls_h5_parts *parts) {
    *parts = (struct ls_h5_parts){0};
    int64_t row_values = 1;
    for (int i = 1; i < info->rank; i++) row_values *= info->dim[i];
    hid_t dataset = -1;
    ls_h5_lock();
    ls_status status = ls_h5_dataset_of(file, name, &dataset);
    if (status == LS_OK) {
        hid_t properties = H5Dget_create_plist(dataset);
        list_parts(file, dataset, properties, arena, parts);
        H5Pclose(properties);
    }
    ls_h5_unlock();
    if (status == LS_OK) join_parts(parts, row_values);
    return status;
}
