// Includes the file named by PLAIN_FAMILY once for each type, with
//   T         type of a stored element
//   A         type that is computed in
//   GET(v)    a stored element, as A
//   PUT(v)    an A, rounded to a stored element
//   FN(name)  the name with the type behind it
// No include guard: every family includes this once.
#define PLAIN_SAME(value) (value)

#define T        float
#define A        float
#define GET      PLAIN_SAME
#define PUT      PLAIN_SAME
#define FN(name) name##_f32
#include PLAIN_FAMILY
#undef T
#undef A
#undef FN

#define T        double
#define A        double
#define FN(name) name##_f64
#include PLAIN_FAMILY
#undef T
#undef A
#undef GET
#undef PUT
#undef FN

#define T        ls_bf16
#define A        float
#define GET      ls_bf16_to_f32
#define PUT      ls_bf16_from_f32
#define FN(name) name##_bf16
#include PLAIN_FAMILY
#undef T
#undef A
#undef GET
#undef PUT
#undef FN
