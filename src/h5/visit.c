// Walking through groups.
#include "h5/internal.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Hard links may lead back to a group above; nobody nests groups so deep.
enum { MOST_GROUPS_DEEP = 16 };

struct names {
    char **items;
    int n, capacity;
};

static void add_name(struct names *names, char *name) {
    if (names->n == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 32;
        char **items = realloc(names->items, sizeof *items * (size_t)names->capacity);
        if (!items) ls_out_of_memory(sizeof *items * (size_t)names->capacity);
        names->items = items;
    }
    names->items[names->n++] = name;
}

static char *join(const char *group, const char *name) {
    size_t length = strlen(group) + strlen(name) + 2;
    char *path = malloc(length);
    if (!path) ls_out_of_memory(length);
    snprintf(path, length, "%s%s%s", group, *group ? "/" : "", name);
    return path;
}

static H5_index_t index_of(hid_t group) {
    unsigned order = 0;
    hid_t properties = H5Gget_create_plist(group);
    H5Pget_link_creation_order(properties, &order);
    H5Pclose(properties);
    return order & H5P_CRT_ORDER_INDEXED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

static void collect(const struct ls_h5 *file, const char *path, int depth, struct names *names);

static void collect_link(const struct ls_h5 *file, char *path, int depth, struct names *names) {
    hid_t object = H5Oopen(file->id, path, H5P_DEFAULT);
    H5I_type_t type = object >= 0 ? H5Iget_type(object) : H5I_BADID;
    if (object >= 0) H5Oclose(object);
    if (type == H5I_DATASET) {
        add_name(names, path);
        return;
    }
    if (type == H5I_GROUP && depth < MOST_GROUPS_DEEP) collect(file, path, depth + 1, names);
    free(path);
}

static void collect(const struct ls_h5 *file, const char *path, int depth, struct names *names) {
    hid_t group = H5Gopen2(file->id, *path ? path : "/", H5P_DEFAULT);
    if (group < 0) return;
    H5_index_t index = index_of(group);
    H5G_info_t info = {.nlinks = 0};
    H5Gget_info(group, &info);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        ssize_t length = H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, NULL, 0, H5P_DEFAULT);
        char *name = length >= 0 ? malloc((size_t)length + 1) : NULL;
        if (!name) continue;
        H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, name, (size_t)length + 1, H5P_DEFAULT);
        collect_link(file, join(path, name), depth, names);
        free(name);
    }
    H5Gclose(group);
}

void ls_h5_list(const struct ls_h5 *file, char *out, size_t bytes) {
    enum { LISTED = 8, LONGEST = 60 };
    struct names names = {0};
    collect(file, "", 0, &names);
    snprintf(out, bytes, "%s", names.n ? "" : "nothing");
    for (int i = 0; i < names.n; i++) {
        const size_t used = strlen(out);
        if (i < LISTED) snprintf(out + used, bytes - used, "%s%.*s", i ? ", " : "", LONGEST, names.items[i]);
        if (i == LISTED) snprintf(out + used, bytes - used, ", …");
        free(names.items[i]);
    }
    free(names.items);
}

ls_status ls_h5_visit(struct ls_h5 *file, const char *group,
                      ls_status (*visit)(void *context, const char *name, const struct ls_h5_dataset *info),
                      void *context) {
    struct names names = {0};
    while (*group == '/') group++;
    ls_h5_lock();
    ls_status status = LS_OK;
    if (ls_h5_has(file, *group ? group : "/"))
        collect(file, group, 0, &names);
    else
        status = LS_FAIL(LS_INPUT, "%s: has no group '%s'", file->path, group);
    ls_h5_unlock();
    // Outside the lock: the visitor may use the file.
    for (int i = 0; i < names.n; i++) {
        struct ls_h5_dataset info;
        if (status == LS_OK) status = ls_h5_describe(file, names.items[i], &info);
        if (status == LS_OK) status = visit(context, names.items[i], &info);
        free(names.items[i]);
    }
    free(names.items);
    return status;
}
