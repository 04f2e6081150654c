// Strings: datasets of them, and attributes of text and numbers.
#include "h5/internal.h"

#include <stdlib.h>
#include <string.h>

// ---- types of strings

// Fixed length, UTF-8, padded with zero bytes. The library has no strings of length 0.
static hid_t string_type(size_t bytes) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, bytes ? bytes : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static void reclaim(hid_t type, hid_t space, void *strings) {
#if H5_VERSION_GE(1, 12, 0)
    H5Treclaim(type, space, H5P_DEFAULT, strings);
#else
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, strings);
#endif
}

// A dataset or an attribute, whichever it is.
struct holder {
    hid_t id;
    bool is_attribute;
};

static herr_t read_holder(struct holder holder, hid_t type, void *out) {
    if (holder.is_attribute) return H5Aread(holder.id, type, out);
    return H5Dread(holder.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

// Appends each of `n` strings of at most `bytes` (a shorter one ends with a zero byte) with a zero byte
// behind.
static char *join_fixed(const char *strings, size_t bytes, size_t n, bool spaces) {
    char *joined = malloc(n * (bytes + 1) + 1), *end = joined;
    for (size_t i = 0; joined && i < n; i++) {
        size_t length = strnlen(strings + i * bytes, bytes);
        memcpy(end, strings + i * bytes, length);
        while (spaces && length && end[length - 1] == ' ') length--;
        end[length] = 0;
        end += length + 1;
    }
    return joined;
}

static char *join_variable(char *const *strings, size_t n) {
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++) bytes += strings[i] ? strlen(strings[i]) + 1 : 1;
    char *joined = malloc(bytes), *end = joined;
    for (size_t i = 0; joined && i < n; i++) {
        size_t length = strings[i] ? strlen(strings[i]) : 0;
        if (length) memcpy(end, strings[i], length);
        end[length] = 0;
        end += length + 1;
    }
    return joined;
}

// The strings of `holder`, whose shape is `space`, joined; NULL where they cannot be read. A type on disk is
// read as it is: only numbers need a conversion.
static char *read_strings_of(struct holder holder, hid_t type, hid_t space, size_t n) {
    bool variable = H5Tis_variable_str(type) > 0;
    size_t bytes = variable ? sizeof(char *) : H5Tget_size(type);
    char *joined = NULL, *buffer = calloc(n + 1, bytes);
    if (buffer && (n == 0 || read_holder(holder, type, buffer) >= 0)) {
        joined = variable ? join_variable((char *const *)(void *)buffer, n)
                          : join_fixed(buffer, bytes, n, H5Tget_strpad(type) == H5T_STR_SPACEPAD);
        if (variable && n) reclaim(type, space, buffer);
    }
    free(buffer);
    return joined;
}

// ---- datasets of strings

static ls_status read_strings(struct ls_h5 *file, const char *name, char **joined, int *n) {
    hid_t dataset = -1;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    ls_status status = LS_OK;
    if (H5Tget_class(type) != H5T_STRING)
        status =
            LS_FAIL(LS_INPUT, "%s: dataset '%s': expected strings, found another type", file->path, name);
    else if (count < 0 || count > 1 << 24)
        status = LS_FAIL(LS_INPUT, "%s: dataset '%s': expected at most %d strings, found %lld", file->path,
                         name, 1 << 24, (long long)count);
    else
        *joined = read_strings_of((struct holder){dataset, false}, type, space, (size_t)count);
    if (status == LS_OK && !*joined) status = LS_H5_FAIL(file, "cannot read dataset", name);
    *n = status == LS_OK ? (int)count : 0;
    H5Sclose(space);
    H5Tclose(type);
    return status;
}

ls_status ls_h5_read_strings(struct ls_h5 *file, const char *name, char **joined, int *n) {
    *joined = NULL;
    ls_h5_lock();
    ls_status status = read_strings(file, name, joined, n);
    ls_h5_unlock();
    return status;
}

static ls_status write_block(struct ls_h5 *file, const char *name, hid_t type, const char *block, int n) {
    int64_t dim = n;
    LS_TRY(ls_h5_make_of_type(file, name, type, 1, &dim));
    hid_t dataset = -1;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    if (n > 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, block) < 0)
        return LS_H5_FAIL(file, "cannot write dataset", name);
    return LS_OK;
}

ls_status ls_h5_write_strings(struct ls_h5 *file, const char *name, const char *const *strings, int n) {
    size_t longest = 1;
    for (int i = 0; i < n; i++)
        if (strlen(strings[i]) > longest) longest = strlen(strings[i]);
    char *block = calloc((size_t)n + 1, longest);
    if (!block) return LS_FAIL(LS_SYSTEM, "%s: out of memory for the strings of '%s'", file->path, name);
    for (int i = 0; i < n; i++) memcpy(block + (size_t)i * longest, strings[i], strlen(strings[i]));
    ls_h5_lock();
    hid_t type = string_type(longest);
    ls_status status = write_block(file, name, type, block, n);
    H5Tclose(type);
    ls_h5_unlock();
    free(block);
    return status;
}

// ---- reading attributes

// Opens the attribute; *id is negative where there is none.
static ls_status open_attribute(struct ls_h5 *file, const char *name, const char *attr, hid_t *id) {
    *id = -1;
    if (!ls_h5_has(file, name)) return LS_FAIL(LS_INPUT, "%s: has no object '%s'", file->path, name);
    htri_t there = H5Aexists_by_name(file->id, name, attr, H5P_DEFAULT);
    if (there < 0) return LS_H5_FAIL(file, "cannot read attributes of", name);
    if (there == 0) return LS_OK;
    *id = H5Aopen_by_name(file->id, name, attr, H5P_DEFAULT, H5P_DEFAULT);
    return *id < 0 ? LS_H5_FAIL(file, "cannot open attribute", attr) : LS_OK;
}

static ls_status read_text(struct ls_h5 *file, const char *name, const char *attr, hid_t id, char *out,
                           size_t bytes) {
    hid_t type = H5Aget_type(id), space = H5Aget_space(id);
    ls_status status = LS_OK;
    char *text = NULL;
    if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
        status = LS_FAIL(LS_INPUT, "%s: attribute '%s' of '%s': expected one text", file->path, attr, name);
    else if (!(text = read_strings_of((struct holder){id, true}, type, space, 1)))
        status = LS_H5_FAIL(file, "cannot read attribute", attr);
    else if (strlen(text) >= bytes)
        status = LS_FAIL(LS_INPUT, "%s: attribute '%s' of '%s': expected fewer than %zu bytes, found %zu",
                         file->path, attr, name, bytes, strlen(text));
    else
        memcpy(out, text, strlen(text) + 1);
    free(text);
    H5Sclose(space);
    H5Tclose(type);
    return status;
}

ls_status ls_h5_attr_text(struct ls_h5 *file, const char *name, const char *attr, char *out, size_t bytes,
                          bool *found) {
    hid_t id;
    *found = false;
    if (bytes) *out = 0;
    ls_h5_lock();
    ls_status status = open_attribute(file, name, attr, &id);
    if (id >= 0) {
        status = read_text(file, name, attr, id, out, bytes);
        *found = status == LS_OK;
        H5Aclose(id);
    }
    ls_h5_unlock();
    return status;
}

static ls_status read_numbers(struct ls_h5 *file, const char *name, const char *attr, hid_t id,
                              hid_t memory_type, void *out, int most, int *n) {
    bool swapped, packed;
    hid_t type = H5Aget_type(id), space = H5Aget_space(id);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    ls_status status = LS_OK;
    if (ls_h5_type_of(type, &swapped, &packed) == LS_DTYPES)
        status = LS_FAIL(LS_INPUT, "%s: attribute '%s' of '%s': expected numbers", file->path, attr, name);
    else if (count < 1 || count > most)
        status = LS_FAIL(LS_INPUT, "%s: attribute '%s' of '%s': expected 1 to %d numbers, found %lld",
                         file->path, attr, name, most, (long long)count);
    else if (H5Aread(id, memory_type, out) < 0)
        status = LS_H5_FAIL(file, "cannot read attribute", attr);
    *n = status == LS_OK ? (int)count : 0;
    H5Sclose(space);
    H5Tclose(type);
    return status;
}

static ls_status attr_numbers(struct ls_h5 *file, const char *name, const char *attr, ls_dtype memory_type,
                              void *out, int most, int *n) {
    hid_t id;
    *n = 0;
    ls_h5_lock();
    ls_status status = open_attribute(file, name, attr, &id);
    if (id >= 0) {
        status = read_numbers(file, name, attr, id, ls_h5_memory_type(memory_type), out, most, n);
        H5Aclose(id);
    }
    ls_h5_unlock();
    return status;
}

ls_status ls_h5_attr_f64(struct ls_h5 *file, const char *name, const char *attr, double *out, int most,
                         int *n) {
    return attr_numbers(file, name, attr, LS_F64, out, most, n);
}

ls_status ls_h5_attr_i64(struct ls_h5 *file, const char *name, const char *attr, int64_t *out, bool *found) {
    int n;
    ls_status status = attr_numbers(file, name, attr, LS_I64, out, 1, &n);
    *found = n == 1;
    return status;
}

// ---- writing attributes

// Takes over `space`.
static ls_status set_attribute(struct ls_h5 *file, const char *name, const char *attr, hid_t type,
                               hid_t space, const void *value) {
    hid_t id = H5Acreate_by_name(file->id, name, attr, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ls_status status = LS_OK;
    if (id < 0 || H5Awrite(id, type, value) < 0) status = LS_H5_FAIL(file, "cannot write attribute", attr);
    if (id >= 0) H5Aclose(id);
    H5Sclose(space);
    return status;
}

ls_status ls_h5_set_text(struct ls_h5 *file, const char *name, const char *attr, const char *value) {
    ls_h5_lock();
    hid_t type = string_type(strlen(value));
    ls_status status = set_attribute(file, name, attr, type, H5Screate(H5S_SCALAR), value);
    H5Tclose(type);
    ls_h5_unlock();
    return status;
}

ls_status ls_h5_set_f64(struct ls_h5 *file, const char *name, const char *attr, const double *values, int n) {
    hsize_t count = (hsize_t)n;
    ls_h5_lock();
    ls_status status =
        set_attribute(file, name, attr, H5T_NATIVE_DOUBLE, H5Screate_simple(1, &count, NULL), values);
    ls_h5_unlock();
    return status;
}

ls_status ls_h5_set_i64(struct ls_h5 *file, const char *name, const char *attr, int64_t value) {
    ls_h5_lock();
    ls_status status = set_attribute(file, name, attr, H5T_NATIVE_INT64, H5Screate(H5S_SCALAR), &value);
    ls_h5_unlock();
    return status;
}
