// Status and error text. A function that can fail returns ls_status and, on failure, has recorded what failed
// in the calling thread's error. Only the program's main prints it; nothing in the library exits.
#pragma once

#include <stddef.h>

#include "base/begin.h"

// The value of a status is the exit status of the program that ends with it.
typedef enum ls_status {
    LS_OK = 0,
    LS_SYSTEM = 1,     // out of memory, input/output, an internal error
    LS_INPUT = 2,      // usage, recipe, data, model or device that cannot be used
    LS_NUMBERS = 3,    // loss or gradient not finite too often
    LS_COMM = 4,       // a rank died, hung, or disagreed
    LS_PREEMPTED = 75, // asked to stop; a checkpoint is there
} ls_status;

enum { LS_ERROR_TEXT = 2048 };

struct ls_error {
    ls_status status;
    const char *file; // source file and line that noticed
    int line;
    char text[LS_ERROR_TEXT]; // what, where, expected, found; no newline at the end
};

#if defined(__GNUC__)
#define LS_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define LS_PRINTF(format_index, first_argument)
#endif

// Records an error in the calling thread and returns `status`.
ls_status ls_fail_at(const char *file, int line, ls_status status, const char *format, ...) LS_PRINTF(4, 5);
// Puts "text: " before the text of the calling thread's error: the place that only a caller knows.
void ls_error_prefix(const char *format, ...) LS_PRINTF(1, 2);
// The calling thread's last error. Its status is LS_OK if nothing failed since ls_error_clear.
const struct ls_error *ls_error_last(void);
void ls_error_clear(void); // of the calling thread
// Makes `error`, recorded by another thread, the calling thread's error; returns its status.
ls_status ls_error_adopt(const struct ls_error *error);

#define LS_FAIL(status, ...) ls_fail_at(__FILE__, __LINE__, (status), __VA_ARGS__)

#define LS_TRY(expression)                                                                                   \
    do {                                                                                                     \
        ls_status ls_try_status_ = (expression);                                                             \
        if (ls_try_status_ != LS_OK) return ls_try_status_;                                                  \
    } while (0)

// For functions that own something: `status` is a local ls_status, `label` releases and returns it.
#define LS_TRY_GOTO(label, expression)                                                                       \
    do {                                                                                                     \
        status = (expression);                                                                               \
        if (status != LS_OK) goto label;                                                                     \
    } while (0)

#include "base/end.h"
