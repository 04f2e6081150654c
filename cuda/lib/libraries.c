// Opens cuBLASLt and cuDNN by their names, the version of the headers first.
#include "cuda/lib/libraries.h"
#include "cuda/lib/lib.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_OF(macro) #macro
#define TEXT(macro)    TEXT_OF(macro)

struct library {
    void *handle;
    bool looked;
    char lacks[LS_MISSING_TEXT]; // "" once every function is there
};

// Of several builds of a library the one with the headers' version is wanted; what merely has the name may
// do.
static bool open_library(struct library *library, const char *title, const char *name, const char *major) {
    char with_version[64];
    library->looked = true;
    snprintf(with_version, sizeof with_version, "%s.%s", name, major);
    library->handle = dlopen(with_version, RTLD_NOW | RTLD_LOCAL);
    if (!library->handle) library->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library->handle) snprintf(library->lacks, sizeof library->lacks, "%s (%s)", title, with_version);
    return library->handle != NULL;
}

static void *function_of(struct library *library, const char *title, const char *function) {
    void *found = dlsym(library->handle, function);
    if (!found && !library->lacks[0])
        snprintf(library->lacks, sizeof library->lacks, "%s's %s (too old)", title, function);
    return found;
}

// cuBLAS and cuDNN write 13.0.2 as 130002 and 9.12.0 as 91200.
static void write_version(char text[32], size_t version, size_t major) {
    snprintf(text, 32, "%zu.%zu.%zu", version / major, version % major / 100, version % 100);
}

#define X(function) *(void **)&functions.function = function_of(&library, TITLE, #function);

#define TITLE "cuBLASLt"
const struct ls_cublaslt *ls_cublaslt_load(char missing[LS_MISSING_TEXT]) {
    static struct library library;
    static struct ls_cublaslt functions;
    if (!library.looked && open_library(&library, TITLE, "libcublasLt.so", TEXT(CUBLAS_VER_MAJOR))) {
        LS_CUBLASLT_FUNCTIONS(X)
        if (!library.lacks[0]) write_version(functions.version, functions.cublasLtGetVersion(), 10000);
    }
    memcpy(missing, library.lacks, sizeof library.lacks);
    return library.lacks[0] ? NULL : &functions;
}
#undef TITLE

#define TITLE "cuDNN"
const struct ls_cudnn *ls_cudnn_load(char missing[LS_MISSING_TEXT]) {
#ifdef LOCKSTEP_HAVE_CUDNN
    static struct library library;
    static struct ls_cudnn functions;
    if (!library.looked && open_library(&library, TITLE, "libcudnn.so", TEXT(CUDNN_MAJOR))) {
        LS_CUDNN_FUNCTIONS(X)
        if (!library.lacks[0]) write_version(functions.version, functions.cudnnGetVersion(), 10000);
    }
    memcpy(missing, library.lacks, sizeof library.lacks);
    return library.lacks[0] ? NULL : &functions;
#else
    snprintf(missing, LS_MISSING_TEXT, "cuDNN (its headers were not there when this was built)");
    return NULL;
#endif
}

void ls_lib_found(char cublas[32], char cudnn[32], char missing[256]) {
    char lacks[2][LS_MISSING_TEXT];
    const struct ls_cublaslt *lt = ls_cublaslt_load(lacks[0]);
    const struct ls_cudnn *dnn = ls_cudnn_load(lacks[1]);
    snprintf(cublas, 32, "%s", lt ? lt->version : "");
#ifdef LOCKSTEP_HAVE_CUDNN
    snprintf(cudnn, 32, "%s", dnn ? dnn->version : "");
#else
    cudnn[0] = 0;
    (void)dnn;
#endif
    snprintf(missing, 256, "%s%s%s", lacks[0], lacks[0][0] && lacks[1][0] ? ", " : "", lacks[1]);
}
