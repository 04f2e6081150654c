#include "base/sort.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ls_sort(double *values, size_t n) {
    if (n) qsort(values, n, sizeof *values, compare);
}

double ls_median(double *values, size_t n) {
    ls_sort(values, n);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
