// Opens NCCL by its name, the version of the header first.
#include "comm/nccl/nccl_api.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_OF(macro) #macro
#define TEXT(macro)    TEXT_OF(macro)

static const char with_version[] = "libnccl.so." TEXT(NCCL_MAJOR);

static void write_version(struct ls_nccl *nccl, void *library) {
    int version = 0;
    __typeof__(ncclGetVersion) *get = NULL;
    *(void **)&get = dlsym(library, "ncclGetVersion");
    if (get && get(&version) == ncclSuccess)
        snprintf(nccl->version, sizeof nccl->version, "%d.%d.%d", version / 10000, version % 10000 / 100,
                 version % 100);
}

const struct ls_nccl *ls_nccl_load(char missing[LS_NCCL_TEXT]) {
    static struct ls_nccl nccl;
    static bool there, looked;
    static char lacks[LS_NCCL_TEXT];
    if (!looked) {
        looked = true;
        void *library = dlopen(with_version, RTLD_NOW | RTLD_LOCAL);
        if (!library) library = dlopen("libnccl.so", RTLD_NOW | RTLD_LOCAL);
        if (library)
            write_version(&nccl, library);
        else
            snprintf(lacks, sizeof lacks, "NCCL (%s)", with_version);
#define X(function)                                                                                          \
    if (library && !lacks[0]) {                                                                              \
        *(void **)&nccl.function = dlsym(library, #function);                                                \
        if (!nccl.function)                                                                                  \
            snprintf(lacks, sizeof lacks, "NCCL's " #function " (%s is too old)", nccl.version);             \
    }
        LS_NCCL_FUNCTIONS(X)
#undef X
        there = library && !lacks[0];
    }
    memcpy(missing, lacks, sizeof lacks);
    return there ? &nccl : NULL;
}
