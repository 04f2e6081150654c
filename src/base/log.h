// Lines for people, on stderr. Which ranks may print is set once at start; errors are printed by main alone.
#pragma once

#include "base/status.h"

#include <stdbool.h>

// Rank 0 prints notes and warnings; every other rank is quiet. On until told otherwise.
void ls_log_enable(bool on);
void ls_note(const char *format, ...) LS_PRINTF(1, 2); // "lockstep: …"
void ls_warn(const char *format, ...) LS_PRINTF(1, 2); // "lockstep: warning: …"
