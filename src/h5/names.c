// Which datasets a file has.
#include "h5/internal.h"

#include "base/arena.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// H5Lexists is an error, not a no, where a group on the way is missing: ask for each in turn.
bool ls_h5_has(const struct ls_h5 *file, const char *name) {
    if (strspn(name, "/") == strlen(name)) return true;
    char *prefix = strdup(name);
    if (!prefix) return false;
    bool found = true;
    for (char *slash = prefix + strspn(prefix, "/"); found && slash; slash = slash ? slash + 1 : NULL) {
        slash = strchr(slash, '/');
        if (slash) *slash = 0;
        found = H5Lexists(file->id, prefix, H5P_DEFAULT) > 0 &&
                H5Oexists_by_name(file->id, prefix, H5P_DEFAULT) > 0;
        if (slash) *slash = '/';
    }
    free(prefix);
    return found;
}

bool ls_h5_exists(struct ls_h5 *file, const char *name) {
    ls_h5_lock();
    bool found = ls_h5_has(file, name);
    ls_h5_unlock();
    return found;
}

// Hard links may lead back to a group above; nobody nests groups so deep.
enum { MOST_GROUPS_DEEP = 16 };

static void add_name(struct ls_h5_names *names, char *name) {
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

static void collect(const struct ls_h5 *file, const char *path, int depth, struct ls_h5_names *names);

static void collect_link(const struct ls_h5 *file, char *path, int depth, struct ls_h5_names *names) {
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

static void collect(const struct ls_h5 *file, const char *path, int depth, struct ls_h5_names *names) {
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

void ls_h5_collect(const struct ls_h5 *file, const char *group, struct ls_h5_names *names) {
    collect(file, group, 0, names);
}

// A name of up to so many bytes, and whether it went in front of the " …" that the text may end with.
static bool list_name(const char *name, bool first, char *out, size_t bytes) {
    enum { LONGEST = 60 };
    const size_t used = strlen(out);
    const int length = ls_text_cut(name, LONGEST);
    const size_t needed = (size_t)length + sizeof ", " + sizeof "…" + sizeof ", …";
    if (used + needed > bytes) return false;
    snprintf(out + used, bytes - used, "%s%.*s%s", first ? "" : ", ", length, name, name[length] ? "…" : "");
    return true;
}

void ls_h5_list(const struct ls_h5 *file, char *out, size_t bytes) {
    enum { LISTED = 8 };
    struct ls_h5_names names = {0};
    ls_h5_collect(file, "", &names);
    snprintf(out, bytes, "%s", names.n ? "" : "nothing");
    int listed = 0;
    while (listed < names.n && listed < LISTED && list_name(names.items[listed], listed == 0, out, bytes))
        listed++;
    if (listed < names.n) snprintf(out + strlen(out), bytes - strlen(out), ", …");
    for (int i = 0; i < names.n; i++) free(names.items[i]);
    free(names.items);
}
