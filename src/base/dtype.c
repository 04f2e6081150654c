#include "base/dtype.h"

static const struct {
    const char *name;
    size_t bytes;
} types[LS_DTYPES] = {
    [LS_F32] = {"f32", 4}, [LS_F64] = {"f64", 8}, [LS_F16] = {"f16", 2}, [LS_BF16] = {"bf16", 2},
    [LS_U8] = {"u8", 1},   [LS_I8] = {"i8", 1},   [LS_U16] = {"u16", 2}, [LS_I16] = {"i16", 2},
    [LS_U32] = {"u32", 4}, [LS_I32] = {"i32", 4}, [LS_U64] = {"u64", 8}, [LS_I64] = {"i64", 8},
};

size_t ls_dtype_bytes(ls_dtype type) {
    return types[type].bytes;
}

bool ls_dtype_is_integer(ls_dtype type) {
    return type >= LS_U8 && type <= LS_I64;
}

const char *ls_dtype_name(ls_dtype type) {
    return types[type].name;
}

ls_dtype ls_dtype_named(const char *name) {
    ls_dtype type = 0;
    while (type < LS_DTYPES && strcmp(types[type].name, name) != 0) type++;
    return type;
}
