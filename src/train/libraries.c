#include "train/libraries.h"

#include "comm/comm.h"
#include "cpu/cpu.h"
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

void ls_libraries(struct ls_text *out) {
    const char *onednn = ls_cpu_library();
    ls_text_add(out, "  %s\n  %s\n", ls_comm_library(), ls_h5_library());
    ls_text_add(out, "  %s\n", onednn ? onednn : "oneDNN: not built in (the plain kernels serve)");
    add_cuda(out);
}
