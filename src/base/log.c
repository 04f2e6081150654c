#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static ls_log_print *print_line;
static void *print_context;
static atomic_bool enabled = true;
static _Atomic(const char *) line_start = "";

void ls_log_to(ls_log_print *print, void *context) {
    print_line = print;
    print_context = context;
}

void ls_log_enable(bool on) {
    enabled = on;
}

void ls_log_line_start(const char *text) {
    line_start = text;
}

// One write a line, so that the lines of several threads do not mix.
void ls_log_to_stderr(void *context, enum ls_log_kind kind, const char *line) {
    (void)context;
    fprintf(stderr, "%slockstep: %s%s\n", line_start, kind == LS_LOG_WARNING ? "warning: " : "", line);
}

static void print(enum ls_log_kind kind, const char *format, va_list arguments) {
    char line[4096];
    if (!enabled || !print_line) return;
    vsnprintf(line, sizeof line, format, arguments);
    print_line(print_context, kind, line);
}

void ls_note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print(LS_LOG_NOTE, format, arguments);
    va_end(arguments);
}

void ls_warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print(LS_LOG_WARNING, format, arguments);
    va_end(arguments);
}
