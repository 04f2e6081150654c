#include "train/evaluate.h"

#include "train/stop.h"

#include <stdlib.h>
#include <string.h>

// Rounds between two agreements on whether to stop: an evaluation answers a signal, and agreeing costs
// little.
enum { ROUNDS_PER_AGREEMENT = 16 };

struct ls_evaluator {
    struct ls_engine *engine;
    struct ls_comm *comm;
    struct ls_device *device;
    struct ls_dataset *dataset;
    struct ls_reader *reader;
    const struct ls_plan *plan;
    int64_t chunks, begin, end; // of the whole set; this rank's
    int side_by_side;           // chunks of a round
    float (*metrics)[3];        // [chunks]: of the whole set; only this rank's are not 0 before the fold
    float *results;             // of a round
    size_t result_floats;       // per sample
};

static ls_status pinned_alloc(void *device, size_t bytes, void **memory) {
    return ((struct ls_device *)device)->api->alloc_host(device, bytes, memory);
}

static void pinned_free(void *device, void *memory) {
    ((struct ls_device *)device)->api->free_host(device, memory);
}

static ls_status open_buffers(struct ls_evaluator *evaluator, const struct ls_recipe *recipe) {
    const int64_t samples = evaluator->side_by_side * evaluator->plan->lane_batch;
    struct ls_reader_spec spec = ls_reader_spec_of(recipe, true, samples);
    spec.alloc = pinned_alloc;
    spec.free = pinned_free;
    spec.context = evaluator->device;
    LS_TRY(pinned_alloc(evaluator->device, (size_t)evaluator->chunks * sizeof *evaluator->metrics,
                        (void **)&evaluator->metrics));
    LS_TRY(pinned_alloc(evaluator->device, (size_t)samples * evaluator->result_floats * sizeof(float),
                        (void **)&evaluator->results));
    return ls_reader_open(evaluator->dataset, &spec, &evaluator->reader);
}

ls_status ls_evaluator_open(struct ls_engine *engine, struct ls_comm *comm, const struct ls_recipe *recipe,
                            const struct ls_model *model, struct ls_device *device,
                            struct ls_dataset *dataset, struct ls_evaluator **out) {
    struct ls_evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (!evaluator) return LS_FAIL(LS_SYSTEM, "out of memory");
    const struct ls_lane_range lanes = ls_engine_lanes(engine);
    const int64_t lane_batch = model->eval->lane_batch;
    evaluator->engine = engine;
    evaluator->comm = comm;
    evaluator->device = device;
    evaluator->dataset = dataset;
    evaluator->plan = model->eval;
    evaluator->chunks = (ls_dataset_info(dataset)->samples + lane_batch - 1) / lane_batch;
    evaluator->begin = evaluator->chunks * comm->rank / comm->size;
    evaluator->end = evaluator->chunks * (comm->rank + 1) / comm->size;
    evaluator->side_by_side = device->compute_queues;
    if (evaluator->side_by_side > lanes.end - lanes.begin) evaluator->side_by_side = lanes.end - lanes.begin;
    if (model->eval->result != LS_NONE)
        evaluator->result_floats =
            (size_t)(ls_shape_count(&ls_info(model->eval->graph, model->eval->result)->shape) / lane_batch);
    ls_status status = open_buffers(evaluator, recipe);
    if (status != LS_OK) {
        ls_evaluator_close(evaluator);
        return status;
    }
    *out = evaluator;
    return LS_OK;
}

void ls_evaluator_close(struct ls_evaluator *evaluator) {
    if (!evaluator) return;
    if (evaluator->reader) ls_reader_close(evaluator->reader);
    pinned_free(evaluator->device, evaluator->metrics);
    pinned_free(evaluator->device, evaluator->results);
    free(evaluator);
}

static int64_t chunks_of_round(const struct ls_evaluator *evaluator, int64_t round) {
    const int64_t left = evaluator->end - evaluator->begin - round * evaluator->side_by_side;
    return left < 0 ? 0 : left < evaluator->side_by_side ? left : evaluator->side_by_side;
}

static void request_round(struct ls_evaluator *evaluator, int64_t round) {
    const int64_t chunks = chunks_of_round(evaluator, round), lane_batch = evaluator->plan->lane_batch;
    if (chunks == 0) return;
    const int64_t first = (evaluator->begin + round * evaluator->side_by_side) * lane_batch;
    ls_reader_request(evaluator->reader, (uint64_t)first, chunks * lane_batch);
}

static ls_status one_round(struct ls_evaluator *evaluator, int64_t round, ls_results results, void *context) {
    const int64_t chunks = chunks_of_round(evaluator, round);
    if (chunks == 0) return LS_OK;
    struct ls_batch *batch = NULL;
    ls_status status = ls_reader_next(evaluator->reader, &batch, NULL);
    const int64_t first_chunk = evaluator->begin + round * evaluator->side_by_side;
    if (status == LS_OK)
        status = ls_engine_evaluate(evaluator->engine, batch, (int)chunks, evaluator->metrics + first_chunk,
                                    results ? evaluator->results : NULL);
    if (status == LS_OK && results)
        status = results(context, (int64_t)batch->first_position, batch->valid, evaluator->results);
    ls_reader_release(evaluator->reader, batch);
    return status;
}

// Do the ranks go on? An error of one, or a wish to stop, ends the evaluation on all.
static ls_status agree(struct ls_evaluator *evaluator, ls_status mine, bool stoppable, bool *stop) {
    LS_TRY(ls_comm_agree(evaluator->comm, mine));
    uint64_t wishes = stoppable && ls_stop_wanted() ? 1 : 0;
    LS_TRY(ls_comm_sum_u64(evaluator->comm, &wishes, 1));
    *stop = wishes > 0;
    return LS_OK;
}

// Each chunk's sums are in one rank's table and 0 in every other, so that adding bit patterns hands them
// round.
static ls_status fold(struct ls_evaluator *evaluator, struct ls_evaluation *evaluation) {
    double loss = 0, correct = 0, weight = 0;
    enum { SOME = 1024 };
    for (int64_t at = 0; at < evaluator->chunks; at += SOME) {
        const int64_t n = evaluator->chunks - at < SOME ? evaluator->chunks - at : SOME;
        uint64_t bits[3 * SOME];
        for (int64_t i = 0; i < 3 * n; i++) {
            uint32_t word;
            memcpy(&word, &evaluator->metrics[at + i / 3][i % 3], sizeof word);
            bits[i] = word;
        }
        LS_TRY(ls_comm_sum_u64(evaluator->comm, bits, (int)(3 * n)));
        for (int64_t i = 0; i < n; i++) {
            float sums[3];
            for (int k = 0; k < 3; k++) {
                const uint32_t word = (uint32_t)bits[3 * i + k];
                memcpy(&sums[k], &word, sizeof word);
            }
            loss += (double)sums[0], correct += (double)sums[1], weight += (double)sums[2];
        }
    }
    evaluation->samples = (int64_t)weight;
    evaluation->loss = weight > 0 ? loss / weight : 0;
    evaluation->accuracy = weight > 0 ? correct / weight : 0;
    return LS_OK;
}

// Ranks hold different numbers of chunks and run different numbers side by side: all count the most rounds.
static ls_status most_rounds(const struct ls_evaluator *evaluator, int64_t *rounds) {
    const int64_t chunks = evaluator->end - evaluator->begin;
    const int64_t mine = (chunks + evaluator->side_by_side - 1) / evaluator->side_by_side;
    int64_t *all = calloc((size_t)evaluator->comm->size, sizeof *all);
    if (!all) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = ls_comm_gather_all(evaluator->comm, &mine, all, sizeof mine);
    *rounds = 0;
    for (int r = 0; r < evaluator->comm->size; r++)
        if (all[r] > *rounds) *rounds = all[r];
    free(all);
    return status;
}

ls_status ls_evaluate(struct ls_evaluator *evaluator, bool stoppable, ls_results results, void *context,
                      struct ls_evaluation *evaluation) {
    *evaluation = (struct ls_evaluation){0};
    memset(evaluator->metrics, 0, (size_t)evaluator->chunks * sizeof *evaluator->metrics);
    int64_t rounds = 0;
    LS_TRY(most_rounds(evaluator, &rounds));
    ls_status status = LS_OK;
    bool stop = false;
    for (int64_t round = 0; round < rounds; round++) {
        if (round % ROUNDS_PER_AGREEMENT == 0) LS_TRY(agree(evaluator, status, stoppable, &stop));
        if (stop) break;
        // One round ahead: the next is read while this one computes.
        if (status == LS_OK && round == 0) request_round(evaluator, 0);
        if (status == LS_OK) request_round(evaluator, round + 1);
        if (status == LS_OK) status = one_round(evaluator, round, results, context);
    }
    LS_TRY(ls_comm_agree(evaluator->comm, status));
    evaluation->abandoned = stop;
    return stop ? LS_OK : fold(evaluator, evaluation);
}
