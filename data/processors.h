// For loops over integers, which have the same result on every processor: a function marked so is compiled
// for several, and the widest instructions that the one at hand has are chosen when the program starts.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__)
#define LS_FOR_EACH_PROCESSOR                                                                                \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "arch=x86-64-v2", "default")))
#else
#define LS_FOR_EACH_PROCESSOR
#endif
