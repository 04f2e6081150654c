// Moving averages of the weights and statistics (train.ema), enqueued behind the updates that they follow.
#include "train/engine_parts.h"

#include <math.h>

// The decay warms up as that of TensorFlow's ExponentialMovingAverage does: the first weights are far from
// where they will be, and soon forgotten.
static float rest_of(const struct ls_engine *engine, const struct ls_step_control *control) {
    const double t = (double)control->updates;
    return (float)(1 - fmin(engine->recipe->train.ema, (1 + t) / (10 + t)));
}

void ls_engine_average(struct ls_engine *engine, const struct ls_step_control *control, int q, size_t begin,
                       size_t end) {
    if (!engine->replica.average) return;
    const struct ls_average work = {engine->replica.average + begin, engine->replica.params + begin,
                                    end - begin, rest_of(engine, control), engine->decision};
    engine->api->average(engine->queue[q], &work);
}

void ls_engine_average_states(struct ls_engine *engine, const struct ls_step_control *control) {
    if (!engine->replica.average || engine->layout->state_floats == 0) return;
    const struct ls_average work = {engine->replica.average_states, engine->replica.states,
                                    engine->layout->state_floats, rest_of(engine, control), engine->decision};
    engine->api->average(engine->queue[0], &work);
}
