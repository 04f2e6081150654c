#include "cpu/cpu.h"

#include <unistd.h>

int ls_cpu_cores_online(void) {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
