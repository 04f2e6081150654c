#include "conform/digest.h"

#include "base/philox.h"

#include <math.h>

enum { SUMS = 4, VALUES = 32, MOST = 1 + SUMS + VALUES };

struct digest {
    int n;
    double number[MOST]; // norm, sums, values
};

static struct digest digest_of(const double *x, int64_t n) {
    struct digest digest = {.n = 1 + SUMS};
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t sign = ls_philox(1, LS_RANDOM_TEST, (uint64_t)i / 4, 0).word[i % 4];
        squares += x[i] * x[i];
        for (int k = 0; k < SUMS; k++) digest.number[1 + k] += sign >> k & 1 ? x[i] : -x[i];
    }
    digest.number[0] = sqrt(squares);
    const int64_t stride = (n - 1) / VALUES + 1;
    for (int64_t i = 0; i < n; i += stride) digest.number[digest.n++] = x[i];
    return digest;
}

static ls_status read_digest(struct ls_h5 *file, const char *path, struct digest *digest, double *strayed) {
    struct ls_h5_dataset info;
    int n;
    LS_TRY(ls_h5_describe(file, path, &info));
    LS_TRY(ls_h5_attr_f64(file, path, "strayed", strayed, 1, &n));
    if (info.rank != 1 || info.dim[0] > MOST || n != 1)
        return LS_FAIL(LS_INPUT, "%s: %s is no digest", ls_h5_path(file), path);
    digest->n = (int)info.dim[0];
    return ls_h5_read_all(file, path, LS_F64, digest->number);
}

ls_status ls_digest_check(struct ls_h5 *file, const char *path, const double *x, int64_t n, double factor,
                          double rounding) {
    struct digest expected = {0};
    double strayed = 0;
    LS_TRY(read_digest(file, path, &expected, &strayed));
    const struct digest found = digest_of(x, n);
    if (found.n != expected.n)
        return LS_FAIL(LS_SYSTEM, "%s: %d numbers in the digest; expected %d", path, found.n, expected.n);
    const double most = factor * strayed + rounding * expected.number[0];
    for (int k = 0; k < found.n; k++)
        if (!(fabs(found.number[k] - expected.number[k]) <= most))
            return LS_FAIL(LS_SYSTEM,
                           "%s: number %d of the digest: expected %.12g, give or take %.3g; found %.12g",
                           path, k, expected.number[k], most, found.number[k]);
    return LS_OK;
}
