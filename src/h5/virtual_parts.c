// Which rows of which sources a virtual dataset is.
#include "h5/virtual.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

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
static const char *find_part(hid_t dataset, const struct ls_h5_mapping *mapping,
                             const struct ls_h5_opened *source, hid_t properties, struct ls_h5_part *part) {
    if (ls_h5_is_pattern(mapping->file) || ls_h5_is_pattern(mapping->dataset))
        return "its sources are counted up";
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
    struct ls_h5_opened source = {.search.access = ls_h5_access()};
    const struct ls_h5_mappings mappings = ls_h5_list_mappings(arena, properties);
    parts->items = LS_ARENA_NEW(arena, struct ls_h5_part, mappings.n + 1);
    parts->sources = LS_ARENA_NEW(arena, struct ls_h5_source, mappings.n + 1);
    for (size_t i = 0; i < mappings.n && !parts->why_not; i++) {
        const struct ls_h5_mapping *mapping = &mappings.items[i];
        ls_h5_move_to(file, mapping, &source);
        struct ls_h5_part part = {0};
        parts->why_not = find_part(dataset, mapping, &source, properties, &part);
        if (parts->why_not) break;
        if (source.other)
            parts->sources[parts->n_sources++] =
                (struct ls_h5_source){ls_arena_copy(arena, source.search.path), mapping->dataset};
        part.source = parts->n_sources - 1;
        if (part.rows > 0) parts->items[parts->n++] = part;
    }
    ls_h5_close_source(&source);
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
