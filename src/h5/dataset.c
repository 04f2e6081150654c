// Datasets of a file, which stay open.
#include "h5/internal.h"

#include "base/arena.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Where a link on the way leads to nothing: "; 'images' is a link to 'x' in 'other.h5', which is not there".
static void describe_link(const struct ls_h5 *file, const char *name, char *out, size_t bytes) {
    H5L_info_t info;
    char value[512] = "";
    const char *other = NULL, *object = value;
    out[0] = 0;
    if (H5Lexists(file->id, name, H5P_DEFAULT) <= 0 || H5Lget_info(file->id, name, &info, H5P_DEFAULT) < 0)
        return;
    if (info.type == H5L_TYPE_HARD || info.u.val_size >= sizeof value ||
        H5Lget_val(file->id, name, value, sizeof value, H5P_DEFAULT) < 0)
        return;
    if (info.type == H5L_TYPE_EXTERNAL &&
        H5Lunpack_elink_val(value, info.u.val_size, NULL, &other, &object) < 0)
        return;
    if (!other) other = "";
    snprintf(out, bytes, "; '%.*s' is a link to '%.*s'%s%.*s%s, which is not there", ls_text_cut(name, 60),
             name, ls_text_cut(object, 100), object, *other ? " in '" : "", ls_text_cut(other, 100), other,
             *other ? "'" : "");
}

void ls_h5_remember(struct ls_h5 *file, const char *name, hid_t dataset) {
    struct ls_h5_open_dataset *place = &file->cached[file->next];
    file->next = (file->next + 1) % LS_H5_CACHED;
    if (place->name) {
        H5Dclose(place->id);
        free(place->name);
    }
    place->name = strdup(name);
    place->id = dataset;
    place->is_virtual = !file->writing && ls_h5_is_virtual(dataset);
    if (!place->name) ls_out_of_memory(strlen(name) + 1);
}

// By default the library caches chunks of up to 1 MiB in all; a larger one would be decompressed for each
// row. And it looks for external files where the program was started, others beside the file that names them.
static hid_t open_as_it_needs(const struct ls_h5 *file, const char *name, hid_t dataset) {
    size_t chunk_bytes = ls_h5_chunk_bytes(dataset);
    bool beside = ls_h5_external_files_lie_beside(file, dataset);
    if (chunk_bytes <= 1u << 20 && !beside) return dataset;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    if (chunk_bytes > 1u << 20)
        H5Pset_chunk_cache(access, H5D_CHUNK_CACHE_NSLOTS_DEFAULT, chunk_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    if (beside) H5Pset_efile_prefix(access, "${ORIGIN}");
    H5Dclose(dataset);
    dataset = H5Dopen2(file->id, name, access);
    H5Pclose(access);
    return dataset;
}

ls_status ls_h5_dataset_of(struct ls_h5 *file, const char *name, hid_t *dataset) {
    for (int i = 0; i < LS_H5_CACHED; i++) {
        if (file->cached[i].name && strcmp(file->cached[i].name, name) == 0) {
            *dataset = file->cached[i].id;
            return LS_OK;
        }
    }
    if (!ls_h5_has(file, name)) {
        char there[256], link[512];
        ls_h5_list(file, there, sizeof there);
        describe_link(file, name, link, sizeof link);
        return LS_FAIL(LS_INPUT, "%s: has no dataset '%s'; it has: %s%s", file->path, name, there, link);
    }
    *dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (*dataset >= 0) *dataset = open_as_it_needs(file, name, *dataset);
    if (*dataset < 0) return LS_H5_FAIL(file, "cannot open dataset", name);
    ls_h5_remember(file, name, *dataset);
    return LS_OK;
}

static bool is_virtual(const struct ls_h5 *file, hid_t dataset) {
    for (int i = 0; i < LS_H5_CACHED; i++)
        if (file->cached[i].name && file->cached[i].id == dataset) return file->cached[i].is_virtual;
    return false;
}

// Of a virtual dataset, the library opens sources as it needs them, and keeps them open. Those for which
// there is no descriptor left it takes for missing, and reads fill values without a word.
ls_status ls_h5_check_sources_opened(const struct ls_h5 *file, const char *name, hid_t dataset) {
    if (!is_virtual(file, dataset)) return LS_OK;
    const int one_more = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (one_more >= 0) {
        close(one_more);
        return LS_OK;
    }
    return LS_FAIL(LS_INPUT,
                   "%s: dataset '%s' is virtual, and HDF5 has no descriptor left to open more of its sources "
                   "(%s); 'ulimit -n' raises how many there are",
                   file->path, name, strerror(errno));
}
