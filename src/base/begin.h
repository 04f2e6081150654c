// Stands before the declarations of an installed header, behind its own #includes, and base/end.h after them:
// they are C's in C++ too, and seen from outside of the shared library, where all else is hidden. Included
// many times.
// clang-format off
#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
