#include "conform/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 256, MOST_PATH = 160 };

// ---- names: ops/<case>/<tensor>, all of a case in a row
struct names {
    struct ls_arena *arena;
    const char **name;
    int n;
};

static ls_status note_name(void *context, const char *path, const struct ls_h5_dataset *info) {
    struct names *names = context;
    (void)info;
    char *name = ls_arena_copy(names->arena, strchr(path, '/') + 1);
    *strrchr(name, '/') = 0;
    if (names->n > 0 && strcmp(names->name[names->n - 1], name) == 0) return LS_OK;
    if (names->n == MOST_NAMES) return LS_FAIL(LS_INPUT, "more than %d cases", MOST_NAMES);
    names->name[names->n++] = name;
    return LS_OK;
}

ls_status ls_reference_names(struct ls_h5 *file, struct ls_arena *arena, const char ***names, int *n) {
    struct names found = {arena, LS_ARENA_NEW(arena, const char *, MOST_NAMES), 0};
    LS_TRY(ls_h5_visit(file, "ops", note_name, &found));
    *names = found.name;
    *n = found.n;
    return LS_OK;
}

// ---- a case
struct path {
    char text[MOST_PATH];
};

static struct path path_of(const struct ls_reference *reference, const char *tensor) {
    struct path path;
    snprintf(path.text, sizeof path.text, "ops/%s%s%s", reference->name, *tensor ? "/" : "", tensor);
    return path;
}

static struct path input_path(const struct ls_reference *reference, int k) {
    char name[24];
    snprintf(name, sizeof name, "in%d", k);
    return path_of(reference, name);
}

bool ls_reference_has(const struct ls_reference *reference, const char *tensor) {
    return ls_h5_exists(reference->file, path_of(reference, tensor).text);
}

static ls_status read_attr(struct ls_reference *reference, const struct ls_attr_info *info,
                           union ls_attr *attr) {
    const struct path path = path_of(reference, "");
    *attr = info->preset;
    double number;
    int n;
    bool found;
    char type[16];
    switch (info->type) {
    case LS_ATTR_INT: return ls_h5_attr_i64(reference->file, path.text, info->name, &attr->i, &found);
    case LS_ATTR_FLOAT:
        LS_TRY(ls_h5_attr_f64(reference->file, path.text, info->name, &number, 1, &n));
        if (n == 1) attr->f = number;
        return LS_OK;
    case LS_ATTR_TYPE:
        LS_TRY(ls_h5_attr_text(reference->file, path.text, info->name, type, sizeof type, &found));
        if (found) attr->i = ls_dtype_named(type);
        return LS_OK;
    }
    return LS_OK;
}

static ls_status read_op(struct ls_reference *reference) {
    const struct path path = path_of(reference, "");
    struct ls_case *of = &reference->of;
    char name[64];
    bool found;
    LS_TRY(ls_h5_attr_text(reference->file, path.text, "op", name, sizeof name, &found));
    const struct ls_op *op = found ? ls_op_named(name) : NULL;
    if (!op) return LS_FAIL(LS_INPUT, "%s: no op \"%s\"", reference->name, found ? name : "");
    of->name = reference->name;
    of->op = (enum ls_op_id)op->id;
    for (int k = 0; k < op->n_attrs; k++) LS_TRY(read_attr(reference, &op->attrs[k], &of->attrs[k]));
    const int most = sizeof of->list / sizeof *of->list;
    return ls_h5_attr_f64(reference->file, path.text, "list", of->list, most, &of->n_list);
}

static ls_status read_input_shape(struct ls_reference *reference, int k) {
    const struct path path = input_path(reference, k);
    struct ls_case_input *in = &reference->of.in[k];
    struct ls_h5_dataset info;
    double dim[LS_MAX_RANK];
    LS_TRY(ls_h5_describe(reference->file, path.text, &info));
    LS_TRY(ls_h5_attr_f64(reference->file, path.text, "shape", dim, LS_MAX_RANK, &in->shape.rank));
    for (int i = 0; i < in->shape.rank; i++) in->shape.dim[i] = (int64_t)dim[i];
    in->type = info.type == LS_F64 ? LS_CASE_STORED : LS_CASE_FIXED;
    in->fixed = info.type;
    return LS_OK;
}

static ls_status read_inputs(struct ls_reference *reference) {
    for (int k = 0; k < LS_MAX_IN && ls_h5_exists(reference->file, input_path(reference, k).text); k++) {
        LS_TRY(read_input_shape(reference, k));
        reference->of.n_in = k + 1;
    }
    return LS_OK;
}

static ls_status read_control(struct ls_reference *reference) {
    struct ls_lane_control *control = &reference->trial.trial.control;
    const struct path path = path_of(reference, "");
    int64_t number;
    bool found;
    LS_TRY(ls_h5_attr_i64(reference->file, path.text, "control.seed", &number, &found));
    if (found) control->seed = (uint64_t)number;
    LS_TRY(ls_h5_attr_i64(reference->file, path.text, "control.first_position", &number, &found));
    if (found) control->first_position = (uint64_t)number;
    LS_TRY(ls_h5_attr_i64(reference->file, path.text, "control.stop", &number, &found));
    if (found) control->stop = (float)number;
    LS_TRY(ls_h5_attr_i64(reference->file, path.text, "control.fault", &number, &found));
    if (found) control->fault = (float)number;
    return LS_OK;
}

static ls_status fill(struct ls_reference *reference, const char *tensor, ls_value value) {
    double *numbers = NULL;
    const int64_t count = ls_trial_count(&reference->trial.trial, value);
    LS_TRY(ls_reference_read(reference, tensor, count, &numbers));
    for (int64_t i = 0; i < count; i++) ls_trial_put(&reference->trial.trial, value, i, numbers[i]);
    free(numbers);
    return LS_OK;
}

ls_status ls_reference_open(struct ls_h5 *file, const char *name, ls_dtype type,
                            struct ls_reference *reference) {
    *reference = (struct ls_reference){.file = file, .name = name};
    LS_TRY(read_op(reference));
    LS_TRY(read_inputs(reference));
    LS_TRY(ls_case_make(&reference->of, type, &reference->trial));
    LS_TRY(read_control(reference));
    for (int k = 0; k < reference->of.n_in; k++) {
        char in[24];
        snprintf(in, sizeof in, "in%d", k);
        LS_TRY(fill(reference, in, reference->trial.in[k]));
    }
    return reference->trial.alone.dy == LS_NONE ? LS_OK : fill(reference, "dy", reference->trial.alone.dy);
}

void ls_reference_close(struct ls_reference *reference) {
    ls_case_close(&reference->trial);
}

// ---- numbers
ls_status ls_reference_read(const struct ls_reference *reference, const char *tensor, int64_t count,
                            double **numbers) {
    const struct path path = path_of(reference, tensor);
    struct ls_h5_dataset info;
    LS_TRY(ls_h5_describe(reference->file, path.text, &info));
    int64_t stored = 1;
    for (int i = 0; i < info.rank; i++) stored *= info.dim[i];
    if (stored != count)
        return LS_FAIL(LS_INPUT, "%s: %lld numbers; expected %lld", path.text, (long long)stored,
                       (long long)count);
    *numbers = malloc((size_t)count * sizeof **numbers);
    if (!*numbers) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = ls_h5_read_all(reference->file, path.text, LS_F64, *numbers);
    if (status != LS_OK) free(*numbers);
    return status;
}

ls_status ls_reference_compare(const struct ls_reference *reference, const char *tensor, ls_value value,
                               double tolerance) {
    const struct ls_trial *trial = &reference->trial.trial;
    const int64_t count = ls_trial_count(trial, value);
    double *expected = NULL, largest = 0;
    LS_TRY(ls_reference_read(reference, tensor, count, &expected));
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(expected[i]));
    ls_status status = LS_OK;
    for (int64_t i = 0; i < count && status == LS_OK; i++) {
        const double found = ls_trial_get(trial, value, i);
        if (!(fabs(found - expected[i]) <= tolerance * largest))
            status = LS_FAIL(LS_SYSTEM, "%s, %s, element %lld: expected %.17g, found %.17g", reference->name,
                             tensor, (long long)i, expected[i], found);
    }
    free(expected);
    return status;
}
