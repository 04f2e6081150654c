#include "train/evaluate.h"

#include "train/reading.h"
#include "train/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// A piece is so many chunks for each lane, fewer where results would take more than these bytes: at its end
// ranks agree on errors and on whether to stop.
enum { CHUNKS_PER_LANE = 4, RESULT_BYTES = 64 << 20 };

struct range {
    int64_t begin, end; // chunks
};

struct sizes {
    int64_t chunks;       // of the whole set
    int64_t piece_chunks; // of a piece, at most
    int64_t most_samples; // of a rank in a piece
    size_t result_floats; // per sample; 0 where results are not kept
    size_t target_bytes;  // per sample
};

struct ls_evaluator {
    struct ls_engine *engine;
    struct ls_comm *comm;
    struct ls_device *device;
    struct ls_dataset *dataset;
    struct ls_reader *reader;
    const struct ls_plan *plan;
    struct sizes sizes;
    int side_by_side;    // chunks of a round
    float (*metrics)[3]; // [piece_chunks]: only this rank's are not 0 before the fold
    float *results;      // of this rank's part of a piece
    char *targets;
    int64_t *n_of;       // [ranks]: samples of each in a piece
    struct range ahead;  // of the piece from which the reader is asked next: what is left of this rank's
    int64_t ahead_first; // first chunk of that piece
};

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// Sizes of an evaluation: of the whole set, of a piece, and of what is kept of a sample.
static struct sizes sizes_of(const struct ls_plan *plan, const struct ls_dataset_info *info, int64_t lanes,
                             int64_t ranks, bool results) {
    struct sizes sizes = {.chunks = (info->samples + plan->lane_batch - 1) / plan->lane_batch,
                          .piece_chunks = CHUNKS_PER_LANE * lanes};
    if (results) {
        const int64_t floats = ls_shape_count(&ls_info(plan->graph, plan->result)->shape);
        sizes.result_floats = (size_t)(floats / plan->lane_batch);
        sizes.target_bytes = info->has_target ? info->target_bytes : 0;
        const int64_t bytes =
            floats * (int64_t)sizeof(float) + plan->lane_batch * (int64_t)sizes.target_bytes;
        sizes.piece_chunks = least(sizes.piece_chunks, RESULT_BYTES / bytes);
        if (sizes.piece_chunks < ranks) sizes.piece_chunks = ranks;
    }
    sizes.piece_chunks = least(sizes.piece_chunks, sizes.chunks);
    sizes.most_samples = (sizes.piece_chunks + ranks - 1) / ranks * plan->lane_batch;
    return sizes;
}

size_t ls_evaluator_bytes(const struct ls_plan *plan, const struct ls_dataset_info *info, int64_t lanes,
                          int ranks) {
    const struct sizes sizes = sizes_of(plan, info, lanes, ranks, true);
    return (size_t)sizes.most_samples * (sizes.result_floats * sizeof(float) + sizes.target_bytes);
}

static ls_status open_buffers(struct ls_evaluator *evaluator, const struct ls_recipe *recipe) {
    const size_t samples = (size_t)evaluator->sizes.most_samples;
    struct ls_device *device = evaluator->device;
    evaluator->targets = malloc(samples * evaluator->sizes.target_bytes + 1);
    evaluator->n_of = calloc((size_t)evaluator->comm->size, sizeof *evaluator->n_of);
    if (!evaluator->targets || !evaluator->n_of) return LS_FAIL(LS_SYSTEM, "out of memory for an evaluation");
    struct ls_reader_spec spec =
        ls_reader_spec_of(recipe, true, evaluator->side_by_side * evaluator->plan->lane_batch);
    ls_reader_for_device(&spec, device);
    LS_TRY(device->api->alloc_host(device, (size_t)evaluator->sizes.piece_chunks * sizeof *evaluator->metrics,
                                   (void **)&evaluator->metrics));
    LS_TRY(device->api->alloc_host(device, samples * evaluator->sizes.result_floats * sizeof(float),
                                   (void **)&evaluator->results));
    return ls_reader_open(evaluator->dataset, &spec, &evaluator->reader);
}

ls_status ls_evaluator_open(struct ls_engine *engine, struct ls_comm *comm, const struct ls_recipe *recipe,
                            const struct ls_model *model, struct ls_device *device,
                            struct ls_dataset *dataset, bool results, struct ls_evaluator **out) {
    struct ls_evaluator *evaluator = calloc(1, sizeof *evaluator);
    if (!evaluator) return LS_FAIL(LS_SYSTEM, "out of memory");
    evaluator->engine = engine;
    evaluator->comm = comm;
    evaluator->device = device;
    evaluator->dataset = dataset;
    evaluator->plan = model->eval;
    evaluator->side_by_side = ls_engine_chunks_a_round(engine);
    evaluator->sizes =
        sizes_of(model->eval, ls_dataset_info(dataset), recipe->train.lanes, comm->size, results);
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
    evaluator->device->api->free_host(evaluator->device, evaluator->metrics);
    evaluator->device->api->free_host(evaluator->device, evaluator->results);
    free(evaluator->targets);
    free(evaluator->n_of);
    free(evaluator);
}

// ---- which chunks, and when they are read

// The part of a rank in the piece that begins with chunk `first`.
static struct range share_of(const struct ls_evaluator *evaluator, int64_t first, int rank) {
    const int64_t n = least(evaluator->sizes.piece_chunks, evaluator->sizes.chunks - first),
                  ranks = evaluator->comm->size;
    return (struct range){first + n * rank / ranks, first + n * (rank + 1) / ranks};
}

static struct range my_share(const struct ls_evaluator *evaluator, int64_t first) {
    return share_of(evaluator, first, evaluator->comm->rank);
}

// The reader works through the pieces by itself, one round ahead of what is computed.
static void request_round(struct ls_evaluator *evaluator) {
    struct range *ahead = &evaluator->ahead;
    while (ahead->begin == ahead->end) {
        evaluator->ahead_first += evaluator->sizes.piece_chunks;
        if (evaluator->ahead_first >= evaluator->sizes.chunks) return;
        *ahead = my_share(evaluator, evaluator->ahead_first);
    }
    const int64_t n = least(ahead->end - ahead->begin, evaluator->side_by_side),
                  lane_batch = evaluator->plan->lane_batch;
    ls_reader_request(evaluator->reader, (uint64_t)(ahead->begin * lane_batch), n * lane_batch);
    ahead->begin += n;
}

static void begin_reading(struct ls_evaluator *evaluator, int64_t first) {
    evaluator->ahead_first = first;
    evaluator->ahead = my_share(evaluator, first);
    request_round(evaluator);
}

// ---- a piece

// Chunks [chunk, chunk + n), the next that the reader was asked for; `done`: chunks of this rank's share
// before.
static ls_status one_round(struct ls_evaluator *evaluator, int64_t chunk, int64_t n, int64_t done,
                           int64_t piece_first) {
    struct ls_batch *batch = NULL;
    ls_status status = ls_reader_next(evaluator->reader, &batch, NULL);
    const size_t samples = (size_t)(done * evaluator->plan->lane_batch);
    float *results =
        evaluator->sizes.result_floats ? evaluator->results + samples * evaluator->sizes.result_floats : NULL;
    if (status == LS_OK)
        status = ls_engine_evaluate(evaluator->engine, batch, (int)n,
                                    evaluator->metrics + (chunk - piece_first), results);
    if (status == LS_OK && evaluator->sizes.target_bytes)
        memcpy(evaluator->targets + samples * evaluator->sizes.target_bytes, batch->targets,
               (size_t)batch->n * evaluator->sizes.target_bytes);
    ls_reader_release(evaluator->reader, batch);
    return status;
}

static ls_status compute_piece(struct ls_evaluator *evaluator, int64_t first) {
    const struct range mine = my_share(evaluator, first);
    memset(evaluator->metrics, 0, (size_t)evaluator->sizes.piece_chunks * sizeof *evaluator->metrics);
    for (int64_t chunk = mine.begin, n; chunk < mine.end; chunk += n) {
        n = least(mine.end - chunk, evaluator->side_by_side);
        request_round(evaluator);
        LS_TRY(one_round(evaluator, chunk, n, chunk - mine.begin, first));
    }
    return LS_OK;
}

// Do the ranks go on? An error of one, or a wish to stop, ends the evaluation on all.
static ls_status agree(struct ls_evaluator *evaluator, ls_status mine, bool stoppable, bool *stop) {
    LS_TRY(ls_comm_agree(evaluator->comm, mine));
    uint64_t wishes = stoppable && ls_stop_wanted() ? 1 : 0;
    LS_TRY(ls_comm_sum_u64(evaluator->comm, &wishes, 1));
    *stop = wishes > 0;
    return LS_OK;
}

struct sums {
    double loss, correct, weight;
};

// Each chunk's sums are in one rank's table and 0 in every other, so that adding bit patterns hands them
// round.
static ls_status fold(struct ls_evaluator *evaluator, int64_t chunks, struct sums *sums) {
    enum { SOME = 1024 };
    for (int64_t at = 0; at < chunks; at += SOME) {
        const int64_t n = least(chunks - at, SOME);
        uint64_t bits[3 * SOME];
        for (int64_t i = 0; i < 3 * n; i++) {
            uint32_t word;
            memcpy(&word, &evaluator->metrics[at + i / 3][i % 3], sizeof word);
            bits[i] = word;
        }
        LS_TRY(ls_comm_sum_u64(evaluator->comm, bits, (int)(3 * n)));
        for (int64_t i = 0; i < n; i++) {
            float values[3];
            for (int k = 0; k < 3; k++) {
                const uint32_t word = (uint32_t)bits[3 * i + k];
                memcpy(&values[k], &word, sizeof word);
            }
            sums->loss += (double)values[0], sums->correct += (double)values[1],
                sums->weight += (double)values[2];
        }
    }
    return LS_OK;
}

// Of the last chunk only what the set has.
static int64_t samples_before(const struct ls_evaluator *evaluator, int64_t chunk) {
    return least(chunk * evaluator->plan->lane_batch, ls_dataset_info(evaluator->dataset)->samples);
}

static ls_status hand_on(struct ls_evaluator *evaluator, int64_t first, const struct ls_sink *sink) {
    const struct ls_comm *comm = evaluator->comm;
    for (int r = 0; r < comm->size; r++) {
        const struct range share = share_of(evaluator, first, r);
        evaluator->n_of[r] = samples_before(evaluator, share.end) - samples_before(evaluator, share.begin);
    }
    const int64_t last = least(first + evaluator->sizes.piece_chunks, evaluator->sizes.chunks);
    const struct ls_piece piece = {
        .first = samples_before(evaluator, first),
        .n = samples_before(evaluator, last) - samples_before(evaluator, first),
        .n_of = evaluator->n_of,
        .mine = samples_before(evaluator, my_share(evaluator, first).begin),
        .n_mine = evaluator->n_of[comm->rank],
        .values = evaluator->results,
        .targets = evaluator->sizes.target_bytes ? evaluator->targets : NULL,
    };
    return ls_comm_agree(evaluator->comm, sink->take(sink->context, &piece));
}

ls_status ls_evaluate(struct ls_evaluator *evaluator, bool stoppable, const struct ls_sink *sink,
                      struct ls_evaluation *evaluation) {
    *evaluation = (struct ls_evaluation){0};
    struct sums sums = {0};
    int64_t first = sink ? sink->first / evaluator->plan->lane_batch : 0;
    if (first < evaluator->sizes.chunks) begin_reading(evaluator, first);
    for (; first < evaluator->sizes.chunks; first += evaluator->sizes.piece_chunks) {
        const ls_status status = compute_piece(evaluator, first);
        LS_TRY(agree(evaluator, status, stoppable, &evaluation->abandoned));
        if (evaluation->abandoned) return LS_OK;
        LS_TRY(fold(evaluator, least(evaluator->sizes.piece_chunks, evaluator->sizes.chunks - first), &sums));
        if (sink) LS_TRY(hand_on(evaluator, first, sink));
    }
    evaluation->samples = (int64_t)sums.weight;
    evaluation->loss = sums.weight > 0 ? sums.loss / sums.weight : 0;
    if (isnan(evaluation->loss)) evaluation->loss = NAN; // whatever its sign: it is printed
    evaluation->accuracy = sums.weight > 0 ? sums.correct / sums.weight : 0;
    return LS_OK;
}
