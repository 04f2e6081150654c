// Number types of the library and of Lockstep.
#include "h5/internal.h"

// A binary float of two bytes, as h5py and others write it.
static hid_t half_type(size_t exponent_bits, size_t mantissa_bits, size_t bias) {
    hid_t type = H5Tcopy(H5T_NATIVE_FLOAT);
    H5Tset_fields(type, 15, mantissa_bits, exponent_bits, 0, mantissa_bits);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, bias);
    return type;
}

hid_t ls_h5_memory_type(ls_dtype type) {
    static hid_t f16 = -1, bf16 = -1; // made once, under the lock, and never closed
    switch (type) {
    case LS_F32: return H5T_NATIVE_FLOAT;
    case LS_F64: return H5T_NATIVE_DOUBLE;
    case LS_F16:
        if (f16 < 0) f16 = half_type(5, 10, 15);
        return f16;
    case LS_BF16:
        if (bf16 < 0) bf16 = half_type(8, 7, 127);
        return bf16;
    case LS_U8: return H5T_NATIVE_UINT8;
    case LS_I8: return H5T_NATIVE_INT8;
    case LS_U16: return H5T_NATIVE_UINT16;
    case LS_I16: return H5T_NATIVE_INT16;
    case LS_U32: return H5T_NATIVE_UINT32;
    case LS_I32: return H5T_NATIVE_INT32;
    case LS_U64: return H5T_NATIVE_UINT64;
    case LS_I64: return H5T_NATIVE_INT64;
    case LS_DTYPES: break;
    }
    return -1;
}

// Integers that leave bits or bytes unused are the library's to convert.
static ls_dtype integer_of(hid_t type, bool *swapped, bool *packed) {
    bool sign = H5Tget_sign(type) == H5T_SGN_2;
    ls_dtype found = LS_DTYPES;
    size_t bytes = H5Tget_size(type);
    switch (bytes) {
    case 1: found = sign ? LS_I8 : LS_U8; break;
    case 2: found = sign ? LS_I16 : LS_U16; break;
    case 3:
    case 4: found = sign ? LS_I32 : LS_U32; break;
    case 5:
    case 6:
    case 7:
    case 8: found = sign ? LS_I64 : LS_U64; break;
    default: return LS_DTYPES;
    }
    *packed = H5Tget_precision(type) != 8 * ls_dtype_bytes(found);
    *swapped = bytes > 1 && H5Tget_order(type) != H5Tget_order(H5T_NATIVE_INT);
    return found;
}

// A copy of the type with its bytes in the other order.
static bool equal_but_for_order(hid_t type, hid_t native) {
    hid_t other = H5Tcopy(native);
    H5Tset_order(other, H5Tget_order(native) == H5T_ORDER_LE ? H5T_ORDER_BE : H5T_ORDER_LE);
    bool equal = H5Tequal(type, other) > 0;
    H5Tclose(other);
    return equal;
}

// Floats of other formats (24 bits, long double, VAX) are the library's to convert.
static ls_dtype float_of(hid_t type, bool *swapped, bool *packed) {
    static const ls_dtype known[] = {LS_F32, LS_F64, LS_F16, LS_BF16};
    for (int i = 0; i < 4; i++) {
        hid_t native = ls_h5_memory_type(known[i]);
        if (H5Tequal(type, native) > 0) return known[i];
        *swapped = equal_but_for_order(type, native);
        if (*swapped) return known[i];
    }
    *packed = true;
    return LS_F64;
}

// The booleans of h5py are an enumeration {FALSE, TRUE} over i8: bytes 0 and 1.
static ls_dtype enumeration_of(hid_t type, bool *swapped, bool *packed) {
    hid_t base = H5Tget_super(type);
    ls_dtype found =
        base >= 0 && H5Tget_class(base) == H5T_INTEGER ? integer_of(base, swapped, packed) : LS_DTYPES;
    if (found == LS_I8 && H5Tget_nmembers(type) == 2) found = LS_U8;
    if (base >= 0) H5Tclose(base);
    return found;
}

ls_dtype ls_h5_type_of(hid_t type, bool *swapped, bool *packed) {
    *swapped = *packed = false;
    switch (H5Tget_class(type)) {
    case H5T_INTEGER: return integer_of(type, swapped, packed);
    case H5T_FLOAT: return float_of(type, swapped, packed);
    case H5T_ENUM: return enumeration_of(type, swapped, packed);
    default: return LS_DTYPES;
    }
}

const char *ls_h5_type_words(hid_t type) {
    switch (H5Tget_class(type)) {
    case H5T_STRING: return "strings";
    case H5T_COMPOUND: return "records of several fields";
    case H5T_VLEN: return "rows of any length";
    case H5T_ARRAY: return "arrays";
    case H5T_INTEGER: return "integers of more than 8 bytes";
    case H5T_REFERENCE: return "references";
    default: return "no numbers";
    }
}
