#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LONGEST_LINE = 4096 };

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

// One write a line, so that lines of several threads and ranks do not mix: stdio writes a stream without a
// buffer in pieces (glibc does, from 2.37 on, of 128 bytes), between which others' words come.
static void write_line(const char *kind, const char *line) {
    char text[LONGEST_LINE + 128];
    const int length = snprintf(text, sizeof text, "%slockstep: %s%s\n", line_start, kind, line);
    size_t left = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    for (const char *at = text; left > 0;) {
        const ssize_t written = write(STDERR_FILENO, at, left);
        if (written > 0) at += written, left -= (size_t)written;
        if (written >= 0 || errno == EINTR) continue;
        if (errno != EAGAIN) return; // nobody is there to be told
        (void)poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
    }
}

void ls_log_to_stderr(void *context, enum ls_log_kind kind, const char *line) {
    (void)context;
    write_line(kind == LS_LOG_WARNING ? "warning: " : "", line);
}

void ls_print_error(const char *format, ...) {
    char line[LONGEST_LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    write_line("error: ", line);
}

static void print(enum ls_log_kind kind, const char *format, va_list arguments) {
    char line[LONGEST_LINE];
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
