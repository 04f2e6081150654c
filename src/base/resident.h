// Memory that this process has, in bytes; 0 where /proc is not there.
#pragma once

#include <stdint.h>

#include "base/begin.h"

int64_t ls_peak_bytes(void);     // at its highest; shared libraries and files aside
int64_t ls_resident_bytes(void); // now; what is shared with other processes aside, too

#include "base/end.h"
