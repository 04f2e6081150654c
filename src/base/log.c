#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_bool enabled = true;
static _Atomic(const char *) line_start = "";

void ls_log_enable(bool on) {
    enabled = on;
}

void ls_log_line_start(const char *text) {
    line_start = text;
}

// One write a line, so that the lines of several threads do not mix.
static void print_line(const char *prefix, const char *format, va_list arguments) {
    if (!enabled) return;
    char line[4096];
    int length = snprintf(line, sizeof line, "%s%s", line_start, prefix);
    vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    fprintf(stderr, "%s\n", line);
}

void ls_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line("lockstep: ", format, arguments);
    va_end(arguments);
}

void ls_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line("lockstep: warning: ", format, arguments);
    va_end(arguments);
}
