#include "train/libraries.h"

#include "comm/comm.h"
#include "cpu/cpu.h"
#include "data/dataset.h"
#include "data/picture.h"
#include "h5/h5.h"
#include "train/gpu.h"

static void add_cuda(struct ls_text *out) {
    const char *why;
    struct ls_cuda_libraries found;
    const struct ls_cuda_module *module = ls_gpu_module(&why);
    if (!module) {
        ls_text_add(out, "  CUDA: %s\n", why);
        return;
    }
    module->libraries(&found);
    const char *const name[] = {"driver", "cuBLAS", "cuDNN", "NCCL"};
    const char *const version[] = {found.driver, found.cublas, found.cudnn, found.nccl};
    ls_text_add(out, "  CUDA module: %s, runtime %s", module->name, found.runtime);
    for (int i = 0; i < 4; i++) ls_text_add(out, version[i][0] ? ", %s %s" : ", no %s", name[i], version[i]);
    ls_text_add(out, "\n");
}

void ls_libraries_of_formats(struct ls_text *out) {
    ls_text_add(out, "szip: %s; pictures: %s",
                ls_szip_is_built_in() ? "libaec" : "left to HDF5: libaec was not there at build time",
                ls_picture_kinds());
}

void ls_libraries(struct ls_text *out) {
    const char *onednn = ls_cpu_library();
    ls_text_add(out, "  %s\n  %s\n", ls_comm_library(), ls_h5_library());
    ls_text_add(out, "  %s\n", onednn ? onednn : "oneDNN: not built in (the plain kernels serve)");
    ls_text_add(out, "  ");
    ls_libraries_of_formats(out);
    ls_text_add(out, "\n");
    add_cuda(out);
}
