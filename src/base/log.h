// Lines for people, on stderr. Which ranks may print is set once at start; errors are printed by main alone.
#pragma once

#include "base/status.h"

#include <stdbool.h>

// Rank 0 prints notes and warnings; every other rank is quiet. On until told otherwise.
void ls_log_enable(bool on);
void ls_note(const char *format, ...) LS_PRINTF(1, 2); // "lockstep: …"
void ls_warn(const char *format, ...) LS_PRINTF(1, 2); // "lockstep: warning: …"
// What goes before every line: the sequence that takes a progress bar off the screen, or "". It is kept, not
// copied.
void ls_log_line_start(const char *text);
