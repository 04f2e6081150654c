#include "cli/session.h"

#include <string.h>

static ls_status open_data(struct ls_session *session, const char *data, bool with_targets) {
    struct ls_recipe *recipe = &session->recipe;
    const char *const patterns[] = {data};
    if (!data && recipe->data.test.n == 0)
        return LS_FAIL(LS_INPUT, "the checkpoint's recipe has no data.test; name the data with --data");
    const struct ls_dataset_spec spec = {
        .patterns = data ? patterns : (const char *const *)recipe->data.test.items,
        .n_patterns = data ? 1 : recipe->data.test.n,
        .input = recipe->data.input,
        .target = with_targets ? recipe->data.target : NULL,
        .target_optional = !with_targets,
        .targets = ls_targets_of(recipe),
        .what = data ? "data" : "data.test",
        .axes = recipe->data.axes,
    };
    return ls_dataset_open(&spec, &session->dataset);
}

static ls_status open_parts(struct ls_session *session, const char *checkpoint, const char *data,
                            bool with_targets) {
    struct ls_comm *comm = session->comm;
    LS_TRY(ls_checkpoint_read_header(checkpoint, &session->header));
    LS_TRY(ls_recipe_parse(session->header.recipe, checkpoint, ".", NULL, 0, &session->recipe));
    session->recipe.device.kind = "auto"; // trained on a GPU, used on a laptop
    LS_TRY(open_data(session, data, with_targets));
    LS_TRY(ls_device_choose(&session->recipe, comm, false, &session->device));
    struct ls_sample_shape sample = ls_sample_shape_of(ls_dataset_info(session->dataset));
    if (!ls_dataset_info(session->dataset)->has_target) {
        // Nothing will read the targets: the model is built as its recipe says.
        sample.target_is_class = session->recipe.train.loss == LS_RECIPE_CROSS_ENTROPY;
        sample.target_values = session->recipe.model.classes;
    }
    LS_TRY(ls_model_make(&session->recipe, &sample, session->device, &session->model));
    const struct ls_engine_spec spec = {session->device, comm, &session->model, &session->recipe};
    return ls_engine_open(&spec, &session->engine);
}

ls_status ls_session_open(struct ls_comm *comm, const char *checkpoint, const char *data, bool with_targets,
                          struct ls_session *session) {
    *session = (struct ls_session){.comm = comm};
    ls_status status = ls_comm_agree(comm, open_parts(session, checkpoint, data, with_targets));
    if (status == LS_OK)
        status =
            ls_replica_load(session->engine, session->model.train->layout, comm, checkpoint, false, NULL);
    if (status != LS_OK) ls_session_close(session);
    return status;
}

void ls_session_close(struct ls_session *session) {
    ls_engine_close(session->engine);
    ls_model_free(&session->model);
    if (session->device) session->device->api->close(session->device);
    if (session->dataset) ls_dataset_close(session->dataset);
    ls_recipe_free(&session->recipe);
    ls_checkpoint_header_free(&session->header);
    *session = (struct ls_session){0};
}
