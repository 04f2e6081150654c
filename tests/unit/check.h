// What every test begins with: cmocka, and calls that must succeed, or fail with a status and words.
#pragma once

#include "base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

// The call returns this status, and where that is a failure, says each of the words.
#define assert_ok(call)                   check_status(LS_OK, (call), #call, NULL, __FILE__, __LINE__)
#define assert_fails(status, words, call) check_status((status), (call), #call, (words), __FILE__, __LINE__)

static inline void check_status(ls_status expected, ls_status found, const char *call, const char *words,
                                const char *file, int line) {
    const char *text = ls_error_last()->text;
    bool right = expected == found && (!words || strstr(text, words));
    if (!right)
        print_error("%s: status %d, '%s'; expected %d, '%s'\n", call, found, text, expected,
                    words ? words : "");
    _assert_true(right, call, file, line);
}
