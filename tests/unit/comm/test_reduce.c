// The all-reduce of many ranks, played in one thread: a rank's queue goes on when its message has been taken
// and the one it waits for is there; who goes next is drawn. Messages are rendezvous, the strictest kind:
// what relies on a buffer of the library stops here.
#include "comm/reducer.h"
#include "unit/check.h"
#include "unit/comm/lanes.h"
#include "unit/comm/rehearsal.h"

struct player {
    struct ls_transport transport;
    struct ls_queue queue;
    struct ls_fold *fold;
    struct ls_reducer *reducer;
    float **buffers;
    double sent; // floats
};

struct stage {
    int ranks, lanes;
    size_t few;
    struct player *players;
    uint64_t turn;
};

static void stage_exchange(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                           float *receive, size_t n_receive, struct ls_queue *queue) {
    struct player *player = transport->state;
    struct task *task = queue_task(queue);
    task->kind = TASK_EXCHANGE;
    task->peer_to = to, task->a = send, task->n = n_send;
    task->peer_from = from, task->to = receive, task->n_receive = n_receive;
    player->sent += (double)n_send;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the signature is every transport's
static void stage_all_reduce(struct ls_transport *transport, float *data, size_t n, struct ls_queue *queue) {
    (void)transport, (void)data, (void)n, (void)queue;
    fail_msg("only `fast` may use the library's all-reduce");
}

static const struct ls_transport_api stage_api = {
    .name = "stage", .exchange = stage_exchange, .all_reduce = stage_all_reduce};

static struct task *next_task(struct player *player) {
    struct ls_queue *queue = &player->queue;
    return queue->done < queue->n ? &queue->tasks[queue->done] : NULL;
}

static void receive(struct stage *stage, int rank, struct task *task) {
    struct task *theirs = next_task(&stage->players[task->peer_from]);
    if (!theirs || theirs->kind != TASK_EXCHANGE || !theirs->offered || theirs->taken) return;
    if (theirs->n == 0 || theirs->peer_to != rank) return;
    assert_int_equal(theirs->n, task->n_receive);
    memcpy(task->to, theirs->a, sizeof(float) * theirs->n);
    theirs->taken = task->received = true;
}

// Does rank's next task as far as it goes now; false where it got no further.
static bool take_turn(struct stage *stage, int rank) {
    struct player *player = &stage->players[rank];
    struct task *task = next_task(player);
    if (!task) return false;
    if (task->kind != TASK_EXCHANGE) {
        assert_int_equal(run_task(task), LS_OK);
        player->queue.done++;
        return true;
    }
    const bool was_offered = task->offered, was_received = task->received;
    task->offered = true;
    if (task->n_receive > 0 && !task->received) receive(stage, rank, task);
    if ((task->n == 0 || task->taken) && (task->n_receive == 0 || task->received)) {
        player->queue.done++;
        return true;
    }
    return !was_offered || task->received != was_received;
}

static void play(struct stage *stage) {
    for (bool all_done = false, moved = true; !all_done; moved = false) {
        all_done = true;
        // Each rank in turn, from a drawn one on, and some of them several times.
        const struct ls_random4 random = ls_philox(3, LS_RANDOM_TEST, stage->turn++, 0);
        const int first = (int)ls_below(random.word[0], (uint32_t)stage->ranks);
        for (int i = 0; i < stage->ranks; i++) {
            const int rank = (first + i) % stage->ranks;
            for (uint32_t n = 0; n <= random.word[1] % 3 && take_turn(stage, rank); n++) moved = true;
            all_done = all_done && !next_task(&stage->players[rank]);
        }
        assert_true(moved || all_done); // or all wait for each other
    }
}

static void open_player(struct stage *stage, int rank, int width, size_t floats, size_t max_count) {
    struct player *player = &stage->players[rank];
    player->transport =
        (struct ls_transport){.rank = rank, .size = stage->ranks, .api = &stage_api, .state = player};
    assert_int_equal(ls_fold_make(ls_lane_begin(rank, stage->ranks, stage->lanes),
                                  ls_lane_begin(rank + 1, stage->ranks, stage->lanes), stage->lanes, width,
                                  &player->fold),
                     LS_OK);
    assert_int_equal(ls_reducer_open(&player->transport, rehearsal_device(), player->fold, stage->lanes,
                                     false, max_count, &player->reducer),
                     LS_OK);
    player->reducer->few = stage->few;
    player->buffers = calloc((size_t)player->fold->n_buffers, sizeof *player->buffers);
    assert_non_null(player->buffers);
    for (int b = 0; b < player->fold->n_buffers; b++) {
        player->buffers[b] = malloc(sizeof(float) * floats);
        assert_non_null(player->buffers[b]);
        memset(player->buffers[b], 0x55, sizeof(float) * floats);
    }
}

static void close_player(struct player *player) {
    for (int b = 0; b < player->fold->n_buffers; b++) free(player->buffers[b]);
    free(player->buffers);
    ls_reducer_close(player->reducer);
    ls_fold_free(player->fold);
    queue_clear(&player->queue);
}

static void open_stage(struct stage *stage, int ranks, int lanes, size_t few, int width, size_t floats,
                       size_t max_count) {
    *stage = (struct stage){.ranks = ranks, .lanes = lanes, .few = few};
    stage->players = calloc((size_t)ranks, sizeof *stage->players);
    assert_non_null(stage->players);
    for (int r = 0; r < ranks; r++) open_player(stage, r, width, floats, max_count);
}

static void close_stage(struct stage *stage) {
    for (int r = 0; r < stage->ranks; r++) close_player(&stage->players[r]);
    free(stage->players);
}

// What training does: lanes write, additions follow, the last wave's slice by slice, each reduced at once.
static void fold_and_reduce(struct player *player, size_t floats, const size_t *cuts, int n_slices) {
    const struct ls_fold *fold = player->fold;
    for (int w = 0; w < fold->n_waves; w++) {
        const struct ls_fold_wave *wave = &fold->waves[w];
        for (int q = 0; q < wave->width; q++)
            for (size_t e = 0; e < floats; e++)
                player->buffers[wave->buffer[q]][e] = lane_value(wave->first_lane + q, e);
        const bool last = w == fold->n_waves - 1;
        for (int s = 0; s < n_slices; s++) {
            const size_t offset = cuts[s], count = cuts[s + 1] - offset;
            for (int i = 0; i < wave->n_adds; i++) {
                float *to = player->buffers[wave->adds[i].to] + offset;
                const float *from = player->buffers[wave->adds[i].from] + offset;
                if (last)
                    rehearsal_add(&player->queue, to, to, from, count);
                else
                    for (size_t e = 0; e < count; e++) to[e] = add_left(to[e], from[e]);
            }
            if (last) ls_reduce(player->reducer, player->buffers, offset, count, &player->queue);
        }
    }
}

static void check_sums(const struct stage *stage, const float *expected, size_t floats) {
    for (int r = 0; r < stage->ranks; r++) {
        const struct player *player = &stage->players[r];
        const float *sum = player->buffers[player->fold->nodes[0].buffer];
        for (size_t e = 0; e < floats; e++)
            if (!same_value(sum[e], expected[e]))
                fail_msg("%d lanes on %d ranks: element %zu on rank %d is %a, the tree's value %a",
                         stage->lanes, stage->ranks, e, r, (double)sum[e], (double)expected[e]);
    }
}

enum { FEW = 5 }; // of the slices below, three

static void check_world(int ranks, int lanes, int width, const size_t *cuts, int n_slices,
                        const float *expected) {
    const size_t floats = cuts[n_slices];
    size_t longest = 0;
    for (int s = 0; s < n_slices; s++)
        if (cuts[s + 1] - cuts[s] > longest) longest = cuts[s + 1] - cuts[s];
    struct stage stage;
    open_stage(&stage, ranks, lanes, FEW, width, floats, longest);
    for (int r = 0; r < ranks; r++) fold_and_reduce(&stage.players[r], floats, cuts, n_slices);
    play(&stage);
    check_sums(&stage, expected, floats);
    close_stage(&stage);
}

// Slices of 37, 0, 1 and 5 floats: longer and shorter than the ranks are many, and few or not.
static const size_t cuts[] = {0, 37, 37, 38, 43};
enum { SLICES = 4, FLOATS = 43 };

static void expect_sums(int lanes, float *expected) {
    for (size_t e = 0; e < FLOATS; e++) expected[e] = tree_sum(lanes, e);
}

static void test_every_rank_count_gives_the_trees_value(void **state) {
    (void)state;
    float expected[FLOATS];
    for (int lanes = 1; lanes <= 17; lanes++) {
        expect_sums(lanes, expected);
        for (int ranks = 1; ranks <= lanes; ranks++)
            for (int width = 1; width <= 4; width++) check_world(ranks, lanes, width, cuts, SLICES, expected);
    }
}

static void test_many_lanes(void **state) {
    (void)state;
    static const int lane_counts[] = {32, 64, 100};
    float expected[FLOATS];
    for (int v = 0; v < 3; v++) {
        expect_sums(lane_counts[v], expected);
        for (int ranks = 1; ranks <= lane_counts[v]; ranks++)
            check_world(ranks, lane_counts[v], 1 + ranks % 4, cuts, SLICES, expected);
    }
}

static void test_order_matters_for_these_numbers(void **state) {
    (void)state;
    int differ = 0;
    for (size_t e = 0; e < FLOATS; e++) {
        float in_a_row = lane_value(0, e);
        for (int lane = 1; lane < 8; lane++) in_a_row += lane_value(lane, e);
        differ += !same_value(in_a_row, tree_sum(8, e));
    }
    assert_true(differ > 5);
}

static void test_choice(void **state) {
    (void)state;
    assert_int_equal(ls_reduce_choose(1, 7, false), LS_REDUCE_ALIGNED);
    assert_int_equal(ls_reduce_choose(4, 8, false), LS_REDUCE_ALIGNED);
    assert_int_equal(ls_reduce_choose(8, 8, false), LS_REDUCE_ALIGNED);
    assert_int_equal(ls_reduce_choose(3, 8, false), LS_REDUCE_SLICES);
    assert_int_equal(ls_reduce_choose(4, 12, false), LS_REDUCE_SLICES);
    assert_int_equal(ls_reduce_choose(4, 5, false), LS_REDUCE_SLICES);
    assert_int_equal(ls_reduce_choose(3, 8, true), LS_REDUCE_FAST);
    // Aligned is chosen exactly where every one of 2^n ranks holds one node.
    for (int lanes = 1; lanes <= 64; lanes++) {
        for (int ranks = 1; ranks <= lanes; ranks *= 2) {
            bool one_each = true;
            for (int r = 0; r < ranks; r++) {
                struct ls_fold *fold;
                assert_int_equal(ls_fold_make(ls_lane_begin(r, ranks, lanes),
                                              ls_lane_begin(r + 1, ranks, lanes), lanes, 1, &fold),
                                 LS_OK);
                one_each = one_each && fold->n_nodes == 1;
                ls_fold_free(fold);
            }
            assert_int_equal(ls_reduce_choose(ranks, lanes, false) == LS_REDUCE_ALIGNED, one_each);
        }
    }
}

static void check_traffic(size_t count) {
    const size_t whole[] = {0, count};
    for (int ranks = 1; ranks <= 8; ranks++) {
        for (int lanes = ranks; lanes <= 24; lanes++) {
            struct stage stage;
            open_stage(&stage, ranks, lanes, LS_REDUCE_FEW, 2, count, count);
            for (int r = 0; r < ranks; r++) {
                fold_and_reduce(&stage.players[r], count, whole, 1);
                const double said = ls_reduce_traffic(r, ranks, lanes, false, count);
                assert_true(fabs(stage.players[r].sent - said) < 0.5);
            }
            close_stage(&stage);
        }
    }
}

static void test_traffic_is_what_is_sent(void **state) {
    (void)state;
    check_traffic(840); // both divide by 1 to 8
    assert_true(5040 > LS_REDUCE_FEW);
    check_traffic(5040);
}

static size_t allocated; // bytes

static ls_status counting_alloc(struct ls_device *device, size_t bytes, void **memory) {
    allocated += bytes;
    return rehearsal_alloc(device, bytes, memory);
}

static void test_scratch_is_what_was_announced(void **state) {
    (void)state;
    struct ls_device_api api = *rehearsal_device()->api;
    api.alloc = counting_alloc;
    struct ls_device device = {.api = &api};
    for (int ranks = 1; ranks <= 9; ranks++) {
        for (int rank = 0; rank < ranks; rank++) {
            for (int fast = 0; fast < 2; fast++) {
                const int lanes = 11;
                struct ls_transport transport = {.rank = rank, .size = ranks, .api = &stage_api};
                struct ls_fold *fold;
                struct ls_reducer *reducer;
                assert_int_equal(ls_fold_make(ls_lane_begin(rank, ranks, lanes),
                                              ls_lane_begin(rank + 1, ranks, lanes), lanes, 1, &fold),
                                 LS_OK);
                allocated = 0;
                assert_int_equal(ls_reducer_open(&transport, &device, fold, lanes, fast, 1001, &reducer),
                                 LS_OK);
                assert_int_equal(allocated, ls_reducer_scratch_bytes(rank, ranks, lanes, fast, 1001));
                ls_reducer_close(reducer);
                ls_fold_free(fold);
            }
        }
    }
}

static void test_scratch(void **state) {
    (void)state;
    assert_int_equal(ls_reducer_scratch_bytes(0, 1, 7, false, 1001), 0);
    assert_int_equal(ls_reducer_scratch_bytes(0, 3, 8, true, 1001), 0);
    assert_int_equal(ls_reducer_scratch_bytes(2, 4, 8, false, 10001), 5001 * 4);
    assert_int_equal(ls_reducer_scratch_bytes(2, 4, 8, false, 1001),
                     1001 * 4); // few: all that a partner holds
    // Lanes 0..1, 2..4, 5..7 are 1, 2 and 2 nodes; each rank receives the others' in slices of 334.
    assert_int_equal(ls_reducer_scratch_bytes(0, 3, 8, false, 1001), 4 * 334 * 4);
    assert_int_equal(ls_reducer_scratch_bytes(1, 3, 8, false, 1001), 3 * 334 * 4);
}

static void test_refusals(void **state) {
    (void)state;
    struct ls_fold *fold;
    struct ls_reducer *reducer = NULL;
    assert_int_equal(ls_fold_make(0, 1, 4, 1, &fold), LS_OK);
    struct ls_transport transport = {.rank = 0, .size = 5, .api = &stage_api};
    assert_int_equal(ls_reducer_open(&transport, rehearsal_device(), fold, 4, false, 10, &reducer), LS_INPUT);
    assert_string_equal(ls_error_last()->text, "5 ranks share 4 lanes: at most as many ranks as lanes");
    transport.size = 2; // whose rank 0 would have two lanes
    assert_int_equal(ls_reducer_open(&transport, rehearsal_device(), fold, 4, false, 10, &reducer),
                     LS_SYSTEM);
    assert_null(reducer);
    ls_reducer_close(NULL);

    transport.size = 4;
    assert_int_equal(ls_reducer_open(&transport, rehearsal_device(), fold, 4, false, 10, &reducer), LS_OK);
    float buffer[11] = {0}, *buffers[] = {buffer};
    struct ls_queue queue = {0};
    ls_reduce(reducer, buffers, 0, 11, &queue);
    assert_int_equal(queue_run(&queue), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "11 floats"));
    ls_reducer_close(reducer);
    ls_fold_free(fold);
}

static void test_alone_nothing_is_enqueued(void **state) {
    (void)state;
    struct ls_transport *self;
    struct ls_fold *fold;
    assert_int_equal(ls_transport_open_self(&self), LS_OK);
    for (int fast = 0; fast < 2; fast++) {
        struct ls_reducer *reducer;
        assert_int_equal(ls_fold_make(0, 7, 7, 2, &fold), LS_OK);
        assert_int_equal(ls_reducer_open(self, rehearsal_device(), fold, 7, fast, 3, &reducer), LS_OK);
        float buffer[3] = {1, 2, 3}, *buffers[] = {buffer, NULL, NULL, NULL, NULL};
        struct ls_queue queue = {0};
        ls_reduce(reducer, buffers, 0, 3, &queue);
        assert_int_equal(queue.n, 0);
        ls_reducer_close(reducer);
        ls_fold_free(fold);
    }
    self->api->close(self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rank_count_gives_the_trees_value),
        cmocka_unit_test(test_many_lanes),
        cmocka_unit_test(test_order_matters_for_these_numbers),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_traffic_is_what_is_sent),
        cmocka_unit_test(test_scratch_is_what_was_announced),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_alone_nothing_is_enqueued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
