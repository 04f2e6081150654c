#include "base/version.h"

int ls_abi(void) {
    return LS_ABI;
}

const char *ls_version(void) {
    return LOCKSTEP_VERSION;
}
