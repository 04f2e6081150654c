// How a rank waits for another: other ranks and compute threads may want this core, so between looks it is
// given away; and after a time in which the data should have come at a modest rate, the rank sleeps.
#pragma once

#include <stdbool.h>

struct ls_patience {
    double until; // ls_now()
    bool spent;
};

struct ls_patience ls_patience_for(double bytes);
void ls_patience_pass(struct ls_patience *patience); // between two looks
