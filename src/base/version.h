// Which Lockstep this is.
#pragma once

#include "base/begin.h"

// The number of the binary interface: it grows whenever a program that was built with older headers must be
// built anew. The shared library's name has it too, so that the loader refuses another: liblockstep.so.4.
enum { LS_ABI = 4 };
int ls_abi(void);             // LS_ABI of the library that runs
const char *ls_version(void); // "0.1.0"

#include "base/end.h"
