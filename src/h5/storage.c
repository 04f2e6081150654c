// How a dataset is stored.
#include "h5/internal.h"

#include <stdio.h>
#include <string.h>

// An external link leads into another file, whose descriptor is not this one's.
static bool in_this_file(const struct ls_h5 *file, hid_t dataset) {
    char here[LS_H5_MOST_NAME] = "", there[LS_H5_MOST_NAME] = "";
    H5Fget_name(file->id, here, sizeof here);
    H5Fget_name(dataset, there, sizeof there);
    return strcmp(here, there) == 0;
}

// ---- chunks

static int chunk_of(hid_t properties, hsize_t chunk[H5S_MAX_RANK]) {
    return H5Pget_layout(properties) == H5D_CHUNKED ? H5Pget_chunk(properties, H5S_MAX_RANK, chunk) : 0;
}

size_t ls_h5_chunk_bytes(hid_t dataset) {
    hid_t properties = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    hsize_t chunk[H5S_MAX_RANK];
    int rank = chunk_of(properties, chunk);
    size_t bytes = rank > 0 ? H5Tget_size(type) : 0;
    for (int i = 0; i < rank; i++) bytes *= (size_t)chunk[i];
    H5Tclose(type);
    H5Pclose(properties);
    return bytes;
}

// Of szip's options, as szlib.h has them; the library's headers have the others.
enum { SZIP_VALUES = 4, SZIP_MSB_OPTION = 16 };

struct filter {
    H5Z_filter_t id;
    char name[48];
    unsigned values[SZIP_VALUES];
    size_t n_values;
};

static struct filter filter_at(hid_t properties, int i) {
    struct filter filter = {.n_values = SZIP_VALUES};
    unsigned flags, config;
    filter.id = H5Pget_filter2(properties, (unsigned)i, &flags, &filter.n_values, filter.values,
                               sizeof filter.name - 1, filter.name, &config);
    switch ((int)filter.id) {
    case H5Z_FILTER_DEFLATE: snprintf(filter.name, sizeof filter.name, "gzip"); break;
    case H5Z_FILTER_SHUFFLE: snprintf(filter.name, sizeof filter.name, "shuffle"); break;
    case H5Z_FILTER_FLETCHER32: snprintf(filter.name, sizeof filter.name, "fletcher32"); break;
    case H5Z_FILTER_SZIP: snprintf(filter.name, sizeof filter.name, "szip"); break;
    default:
        if (!filter.name[0]) snprintf(filter.name, sizeof filter.name, "filter %d", (int)filter.id);
    }
    return filter;
}

// The library stores options, pixels a block, bits a pixel and pixels a scanline. A pixel is a number, all of
// whose bits are packed where it has no others than its type's.
static bool read_szip(const struct filter *filter, size_t number_bytes, struct ls_h5_szip *szip) {
    if (filter->n_values != SZIP_VALUES || filter->values[2] != 8 * number_bytes) return false;
    *szip = (struct ls_h5_szip){.bits = filter->values[2],
                                .block = filter->values[1],
                                .line = filter->values[3],
                                .big_endian = filter->values[0] & SZIP_MSB_OPTION,
                                .differences = filter->values[0] & H5_SZIP_NN_OPTION_MASK};
    return true;
}

// What comes out of a filter that packs is known by its size only where no other has packed it before.
static bool is_packed(const struct ls_h5_chunking *chunking) {
    for (int i = 0; i < chunking->n_filters; i++)
        if (chunking->filters[i] == LS_H5_GZIP || chunking->filters[i] == LS_H5_SZIP) return true;
    return false;
}

// Adds the filter to those that are undone without the library; false where it is none of them.
static bool add_known(struct ls_h5_chunking *chunking, const struct filter *filter, size_t number_bytes) {
    if (chunking->n_filters == LS_H5_MAX_FILTERS) return false;
    enum ls_h5_filter next;
    switch ((int)filter->id) {
    case H5Z_FILTER_DEFLATE:
        if (is_packed(chunking)) return false;
        next = LS_H5_GZIP;
        break;
    case H5Z_FILTER_SZIP:
        if (is_packed(chunking) || !read_szip(filter, number_bytes, &chunking->szip)) return false;
        next = LS_H5_SZIP;
        break;
    case H5Z_FILTER_SHUFFLE: next = LS_H5_SHUFFLE; break;
    case H5Z_FILTER_FLETCHER32: next = LS_H5_FLETCHER32; break;
    default: return false;
    }
    chunking->filters[chunking->n_filters++] = next;
    return true;
}

static void append(char *text, size_t bytes, const char *words) {
    size_t used = strlen(text);
    snprintf(text + used, bytes - used, "%s", words);
}

// Returns whether all of them can be undone without the library.
static bool describe_filters(hid_t properties, size_t number_bytes, struct ls_h5_dataset *info) {
    bool known = true;
    for (int i = 0; i < H5Pget_nfilters(properties); i++) {
        struct filter filter = filter_at(properties, i);
        append(info->layout, sizeof info->layout, ", ");
        append(info->layout, sizeof info->layout, filter.name);
        known = add_known(&info->chunking, &filter, number_bytes) && known;
        if (H5Zfilter_avail(filter.id) > 0 || info->missing[0]) continue;
        snprintf(info->missing, sizeof info->missing,
                 "it is compressed with filter %d (%s), which HDF5 does not find; HDF5_PLUGIN_PATH names the "
                 "folder "
                 "of its plug-ins",
                 (int)filter.id, filter.name);
    }
    return known;
}

// False where they are no numbers that Lockstep knows.
static bool find_fill(hid_t dataset, hid_t properties, struct ls_h5_dataset *info, size_t *number_bytes) {
    hid_t type = H5Dget_type(dataset);
    *number_bytes = H5Tget_size(type);
    const bool numbers = info->type < LS_DTYPES && *number_bytes <= sizeof info->chunking.fill;
    if (numbers) H5Pget_fill_value(properties, type, info->chunking.fill);
    H5Tclose(type);
    return numbers;
}

static bool describe_chunks(const struct ls_h5 *file, hid_t dataset, hid_t properties,
                            struct ls_h5_dataset *info) {
    struct ls_h5_chunking *chunking = &info->chunking;
    hsize_t chunk[H5S_MAX_RANK] = {0};
    if (chunk_of(properties, chunk) != info->rank) return false;
    append(info->layout, sizeof info->layout, "chunks of [");
    for (int i = 0; i < info->rank; i++) {
        char number[24];
        snprintf(number, sizeof number, "%s%llu", i ? ", " : "", (unsigned long long)chunk[i]);
        append(info->layout, sizeof info->layout, number);
        chunking->dim[i] = (int64_t)chunk[i];
    }
    append(info->layout, sizeof info->layout, "]");
    unsigned options = 0;
    bool plain_edges = H5Pget_chunk_opts(properties, &options) >= 0 && options == 0;
    size_t number_bytes;
    const bool numbers = find_fill(dataset, properties, info, &number_bytes);
    chunking->index = ls_h5_find_index(file, dataset);
    chunking->listed = chunking->index >= 0;
    return describe_filters(properties, number_bytes, info) && plain_edges && numbers;
}

// ---- all of it

static bool is_allocated(hid_t dataset) {
    H5D_space_status_t space = H5D_SPACE_STATUS_ERROR;
    return H5Dget_space_status(dataset, &space) >= 0 && space == H5D_SPACE_STATUS_ALLOCATED;
}

static void describe_run(hid_t dataset, hid_t properties, struct ls_h5_dataset *info) {
    // The offset alone does not tell: behind a user block, H5Dget_offset adds its size to "undefined".
    const char *why = ls_h5_external_files(properties) > 0 ? "in external files"
                      : !is_allocated(dataset)             ? "never written"
                                                           : NULL;
    append(info->layout, sizeof info->layout, why ? why : "contiguous");
    if (why) return;
    info->storage = LS_H5_CONTIGUOUS;
    info->offset = (int64_t)H5Dget_offset(dataset);
}

static void describe_virtual(hid_t dataset, hid_t properties, struct ls_h5_dataset *info) {
    size_t number_bytes;
    append(info->layout, sizeof info->layout, "virtual");
    if (find_fill(dataset, properties, info, &number_bytes)) info->storage = LS_H5_VIRTUAL;
}

void ls_h5_describe_storage(const struct ls_h5 *file, hid_t dataset, struct ls_h5_dataset *info) {
    hid_t properties = H5Dget_create_plist(dataset);
    H5D_layout_t layout = H5Pget_layout(properties);
    info->storage = LS_H5_LIBRARY;
    info->offset = -1;
    if (!in_this_file(file, dataset))
        append(info->layout, sizeof info->layout, "in a linked file");
    else if (layout == H5D_CONTIGUOUS)
        describe_run(dataset, properties, info);
    else if (layout == H5D_CHUNKED)
        info->storage = describe_chunks(file, dataset, properties, info) ? LS_H5_CHUNKED : LS_H5_LIBRARY;
    else if (layout == H5D_VIRTUAL)
        describe_virtual(dataset, properties, info);
    else
        append(info->layout, sizeof info->layout, "compact");
    ls_h5_find_missing(dataset, 0, info->missing, sizeof info->missing);
    H5Pclose(properties);
}
