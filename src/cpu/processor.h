// What the processor says of itself. Private to this folder.
#pragma once

#include <stddef.h>

// What the first processor of /proc/cpuinfo says of itself; "" for what it does not say.
struct ls_processor {
    char name[64], family[16], model[16], stepping[16];        // x86
    char implementer[16], part[16], variant[16], revision[16]; // ARM
};

struct ls_processor ls_processor_read(void);
// "AMD EPYC 7742 64-Core Processor", "ARM implementer 0x41 part 0xd40"
void ls_processor_name(const struct ls_processor *processor, char *name, size_t size);
void ls_cpu_model(char *name, size_t size); // the same of this processor
// "L1d 32K, L2 512K, L3 32768K", as the C library was told by the processor; 0K where it was not. Libraries
// cut their work to the caches, and so choose the order of sums.
void ls_caches_describe(char *text, size_t size);
