#pragma once

double ls_now(void);           // seconds of a monotonic clock
double ls_unix_time(void);     // seconds since 1970, UTC
void ls_sleep(double seconds); // less where a signal comes
