#include "conform/difference.h"

#include <math.h>

static const double step = 1.0 / 65536;

// Σ dy · y, after a run of node 0.
static ls_status loss_of(struct ls_case_trial *trial, enum ls_cpu_kernels kernels, double *loss) {
    LS_TRY(ls_trial_run(&trial->trial, kernels, 0, 1));
    ls_value y = trial->trial.graph.nodes[0].out[0];
    *loss = 0;
    for (int64_t i = 0; i < ls_trial_count(&trial->trial, y); i++)
        *loss += ls_trial_get(&trial->trial, y, i) * ls_trial_get(&trial->trial, trial->alone.dy, i);
    return LS_OK;
}

static ls_status difference_at(struct ls_case_trial *trial, enum ls_cpu_kernels kernels, ls_value x,
                               int64_t i, double *slope) {
    double before = ls_trial_get(&trial->trial, x, i), above, below;
    ls_trial_put(&trial->trial, x, i, before + step);
    LS_TRY(loss_of(trial, kernels, &above));
    ls_trial_put(&trial->trial, x, i, before - step);
    LS_TRY(loss_of(trial, kernels, &below));
    ls_trial_put(&trial->trial, x, i, before);
    *slope = (above - below) / (2 * step);
    return LS_OK;
}

static ls_status check_input(struct ls_case_trial *trial, enum ls_cpu_kernels kernels, int k,
                             int64_t *checked) {
    enum { MOST = 400 }; // elements of an input that are looked at: spread over a large one
    int64_t count = ls_trial_count(&trial->trial, trial->in[k]), stride = count / MOST + 1;
    for (int64_t i = 0; i < count; i += stride, ++*checked) {
        double expected, found = ls_trial_get(&trial->trial, trial->alone.gradient[k], i);
        LS_TRY(difference_at(trial, kernels, trial->in[k], i, &expected));
        if (!(fabs(found - expected) <= 1e-6 * (1 + fabs(expected))))
            return LS_FAIL(LS_SYSTEM, "%s: gradient of input %d, element %lld: expected %.12g, found %.12g",
                           trial->of->name, k, (long long)i, expected, found);
    }
    return LS_OK;
}

ls_status ls_difference_check(const struct ls_case *of, enum ls_cpu_kernels kernels, int64_t *checked) {
    struct ls_case_trial trial;
    *checked = 0;
    ls_status status = ls_case_open(of, LS_F64, &trial);
    if (status == LS_OK) status = ls_trial_run(&trial.trial, kernels, 0, trial.trial.graph.n_nodes);
    for (int k = 0; status == LS_OK && k < of->n_in; k++)
        if (trial.alone.gradient[k] != LS_NONE) status = check_input(&trial, kernels, k, checked);
    ls_case_close(&trial);
    return status;
}
