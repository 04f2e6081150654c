#pragma once

#include "base/begin.h"

double ls_now(void);           // seconds of a monotonic clock
double ls_thread_time(void);   // seconds that the calling thread has had a processor
double ls_process_time(void);  // … all threads together
double ls_unix_time(void);     // seconds since 1970, UTC
void ls_sleep(double seconds); // less where a signal comes

#include "base/end.h"
