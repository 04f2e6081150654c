// Walking through groups.
#include "h5/internal.h"

#include <stdlib.h>

ls_status ls_h5_visit(struct ls_h5 *file, const char *group,
                      ls_status (*visit)(void *context, const char *name, const struct ls_h5_dataset *info),
                      void *context) {
    struct ls_h5_names names = {0};
    while (*group == '/') group++;
    ls_h5_lock();
    ls_status status = LS_OK;
    if (ls_h5_has(file, *group ? group : "/"))
        ls_h5_collect(file, group, &names);
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
