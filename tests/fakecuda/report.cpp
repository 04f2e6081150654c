// What was wrong, for people on stderr and for tests in a file; and, if they ask, in the exit status.
#include "fake.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace fake {

namespace {

unsigned count;

void to_report(const char *text) {
    const char *path = setting("LS_FAKE_REPORT", "");
    if (!*path) return;
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return;
    if (dprintf(file, "%s\n", text) < 0) fprintf(stderr, "fakecuda: the report cannot be written\n");
    close(file);
}

std::vector<void (*)()> &checks() {
    static auto *list = new std::vector<void (*)()>;
    return *list;
}

// Runs when the module is closed or the process exits: what is left then is a leak.
struct AtExit {
    ~AtExit() {
        if (context_error() == cudaSuccess) // else nothing could be given back
            for (auto check : checks()) check();
        const char *status = setting("LS_FAKE_EXIT", "");
        if (count == 0 || !*status) return;
        fflush(nullptr);
        _exit(atoi(status));
    }
} at_exit_checks;

} // namespace

const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

long setting_number(const char *name, long otherwise) {
    const char *value = setting(name, nullptr);
    return value ? strtol(value, nullptr, 10) : otherwise;
}

void at_exit(void (*check)()) {
    checks().push_back(check);
}

unsigned mistakes() {
    return count;
}

void mistake(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    count++;
    fprintf(stderr, "fakecuda: %s\n", text);
    to_report(text);
}

void remark(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    to_report(text);
}

} // namespace fake
