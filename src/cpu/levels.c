// Which levels of instructions this processor has.
#include "cpu/plain/plain.h"

int ls_plain_levels(const struct ls_plain *levels[LS_PLAIN_LEVELS]) {
    int n = 0;
    levels[n++] = &ls_plain_base;
#if defined(LS_PLAIN_HAVE_V3) && defined(LS_PLAIN_HAVE_V4)
    __builtin_cpu_init();
    const bool v3 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v3) levels[n++] = &ls_plain_v3;
    if (v4) levels[n++] = &ls_plain_v4;
#endif
    return n;
}

bool ls_has_avx512_bf16(void) {
#ifdef LS_PLAIN_HAVE_V4
    const struct ls_plain *levels[LS_PLAIN_LEVELS];
    return ls_plain_levels(levels) == LS_PLAIN_LEVELS && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

const struct ls_plain *ls_plain(void) {
    const struct ls_plain *levels[LS_PLAIN_LEVELS];
    return levels[ls_plain_levels(levels) - 1];
}
