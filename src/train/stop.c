#include "train/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t wanted;

static void on_signal(int number) {
    (void)number;
    wanted = 1;
}

void ls_stop_listen(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void ls_stop_ask(void) {
    wanted = 1;
}

void ls_stop_forget(void) {
    wanted = 0;
}

bool ls_stop_wanted(void) {
    return wanted != 0;
}
