#include "train/session_parts.h"

#include <string.h>

uint64_t ls_session_step(const struct ls_session *session) {
    return session->header.state.step;
}

int64_t ls_session_samples(const struct ls_session *session) {
    return session->dataset ? ls_dataset_info(session->dataset)->samples : 0;
}

bool ls_session_has_targets(const struct ls_session *session) {
    return session->dataset && ls_dataset_info(session->dataset)->has_target;
}

enum ls_outputs ls_session_kind(const struct ls_session *session) {
    return ls_outputs_of(&session->recipe);
}

int64_t ls_session_outputs(const struct ls_session *session) {
    const struct ls_plan *plan = session->model.eval;
    return ls_shape_count(&ls_info(plan->graph, plan->result)->shape) / plan->lane_batch;
}

// Of the data, or else as the checkpoint has them.
const char *const *ls_session_class_names(struct ls_session *session) {
    const int64_t outputs = ls_session_outputs(session);
    if (ls_session_kind(session) == LS_VALUES) return NULL;
    int n = 0;
    const char *const *names = session->dataset ? ls_dataset_class_names(session->dataset, &n) : NULL;
    if (names && n == outputs) return names;
    if (session->class_names || !session->header.class_names) return session->class_names;
    const char *name = session->header.class_names;
    const char **trained = LS_ARENA_NEW(&session->names, const char *, outputs);
    for (n = 0; *name && n < outputs; n++, name += strcspn(name, "\n") + 1)
        trained[n] = ls_arena_format(&session->names, "%.*s", (int)strcspn(name, "\n"), name);
    if (n == outputs && !*name) session->class_names = trained;
    return session->class_names;
}

// ---- what it does
