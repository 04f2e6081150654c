// Ends what base/begin.h begins. Included many times.
// clang-format off
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
