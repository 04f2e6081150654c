// Lines for people: notes and warnings. They go where the program says, and nowhere until it does; an error
// is no line, it comes back as a status.
#pragma once

#include "base/status.h"

#include <stdbool.h>

#include "base/begin.h"

enum ls_log_kind { LS_LOG_NOTE, LS_LOG_WARNING };
// `line` has no newline, and lives for the call; any thread may call.
typedef void ls_log_print(void *context, enum ls_log_kind kind, const char *line);
// NULL: nowhere. To be called while nothing else of Lockstep runs.
void ls_log_to(ls_log_print *print, void *context);
// "lockstep: …" and "lockstep: warning: …" on stderr: ls_log_to(ls_log_to_stderr, NULL).
void ls_log_to_stderr(void *context, enum ls_log_kind kind, const char *line);
// "lockstep: error: …" on stderr, in one write. For programs: the library itself returns its errors.
void ls_print_error(const char *format, ...) LS_PRINTF(1, 2);
// Whether this rank says anything: rank 0 does, and every other is to be quiet. On until told otherwise.
void ls_log_enable(bool on);

// A line, as printf makes it, to where lines go; nothing on ranks that are to be quiet.
void ls_note(const char *format, ...) LS_PRINTF(1, 2);
void ls_warn(const char *format, ...) LS_PRINTF(1, 2);
// What goes before every line on stderr: the sequence that takes a progress bar off the screen, or "". It is
// kept, not copied.
void ls_log_line_start(const char *text);

#include "base/end.h"
