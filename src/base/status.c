#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct ls_error last_error;

ls_status ls_fail_at(const char *file, int line, ls_status status, const char *format, ...) {
    // The arguments may point into the text being replaced.
    char text[LS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    last_error.status = status;
    last_error.file = file;
    last_error.line = line;
    memcpy(last_error.text, text, sizeof text);
    return status;
}

void ls_error_prefix(const char *format, ...) {
    char text[LS_ERROR_TEXT + sizeof ": " + LS_ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, LS_ERROR_TEXT, format, arguments);
    va_end(arguments);
    const size_t length = strlen(text);
    snprintf(text + length, sizeof text - length, ": %s", last_error.text);
    memcpy(last_error.text, text, sizeof last_error.text);
    last_error.text[sizeof last_error.text - 1] = 0;
}

const struct ls_error *ls_error_last(void) {
    return &last_error;
}

void ls_error_clear(void) {
    last_error = (struct ls_error){.status = LS_OK};
}

ls_status ls_error_adopt(const struct ls_error *error) {
    last_error = *error;
    return error->status;
}
