// The fold of a block of lanes: the nodes it ends with, the buffers it needs, and the values it gives.
#include "comm/reduce.h"
#include "unit/check.h"
#include "unit/comm/lanes.h"

#include <stdlib.h>

enum { ELEMENTS = 5 };

static int node_end(const struct ls_tree_node *node, int lanes) {
    const int end = (node->index + 1) << node->level;
    return end < lanes ? end : lanes;
}

// Nodes cover the block from left to right, and each one's parent reaches out of it.
static void check_nodes(const struct ls_fold *fold, int begin, int end, int lanes) {
    int at = begin;
    for (int i = 0; i < fold->n_nodes; i++) {
        const struct ls_tree_node *node = &fold->nodes[i];
        assert_int_equal(node->index << node->level, at);
        at = node_end(node, lanes);
        const struct ls_tree_node parent = {.level = node->level + 1, .index = node->index / 2};
        const bool is_root = node->index == 0 && 1 << node->level >= lanes;
        assert_true(is_root || parent.index << parent.level < begin || node_end(&parent, lanes) > end);
    }
    assert_int_equal(at, end);
    assert_int_equal(fold->nodes[0].buffer, 0);
}

// Runs the fold on numbers; buffers that no lane may overwrite are watched.
static void check_values(const struct ls_fold *fold, int begin, int end, int lanes) {
    float(*buffer)[ELEMENTS] = malloc(sizeof *buffer * (size_t)fold->n_buffers);
    bool *holds = calloc((size_t)fold->n_buffers, sizeof *holds);
    assert_non_null(buffer);
    assert_non_null(holds);
    int lane = begin;
    for (int w = 0; w < fold->n_waves; w++) {
        const struct ls_fold_wave *wave = &fold->waves[w];
        assert_int_equal(wave->first_lane, lane);
        for (int q = 0; q < wave->width; q++, lane++) {
            const int b = wave->buffer[q];
            assert_in_range(b, 0, fold->n_buffers - 1);
            assert_false(holds[b]);
            holds[b] = true;
            for (size_t e = 0; e < ELEMENTS; e++) buffer[b][e] = lane_value(lane, e);
        }
        for (int i = 0; i < wave->n_adds; i++) {
            const struct ls_fold_add add = wave->adds[i];
            assert_true(holds[add.to] && holds[add.from]);
            for (size_t e = 0; e < ELEMENTS; e++) buffer[add.to][e] += buffer[add.from][e];
            holds[add.from] = false;
        }
    }
    assert_int_equal(lane, end);
    for (int i = 0; i < fold->n_nodes; i++) {
        const struct ls_tree_node *node = &fold->nodes[i];
        assert_true(holds[node->buffer]);
        for (size_t e = 0; e < ELEMENTS; e++)
            assert_true(same_number(buffer[node->buffer][e], tree_value(node->level, node->index, lanes, e)));
    }
    free(buffer);
    free(holds);
}

// A block needs a buffer for each node that a counter of its lanes can show, and for the lanes of a wave.
static int most_buffers(int local, int width) {
    int bits = 0;
    while (1 << bits <= local) bits++;
    return 2 * bits + width;
}

static void test_every_block(void **state) {
    (void)state;
    static const int lane_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 31, 33};
    for (size_t v = 0; v < sizeof lane_counts / sizeof *lane_counts; v++) {
        const int lanes = lane_counts[v];
        for (int begin = 0; begin < lanes; begin++) {
            for (int end = begin + 1; end <= lanes; end++) {
                for (int width = 1; width <= 5; width++) {
                    struct ls_fold *fold;
                    assert_int_equal(ls_fold_make(begin, end, lanes, width, &fold), LS_OK);
                    check_nodes(fold, begin, end, lanes);
                    check_values(fold, begin, end, lanes);
                    assert_true(fold->n_buffers <= most_buffers(end - begin, width));
                    ls_fold_free(fold);
                }
            }
        }
    }
}

static void test_buffers_are_few(void **state) {
    (void)state;
    static const struct {
        int lanes, width, buffers;
    } cases[] = {{1, 1, 1}, {1, 4, 1}, {2, 1, 2}, {4, 1, 3},  {8, 1, 4},  {64, 1, 7},   {4096, 1, 13},
                 {8, 2, 4}, {8, 4, 5}, {8, 8, 8}, {64, 2, 7}, {64, 4, 8}, {64, 16, 18}, {5, 1, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ls_fold *fold;
        assert_int_equal(ls_fold_make(0, cases[i].lanes, cases[i].lanes, cases[i].width, &fold), LS_OK);
        assert_int_equal(fold->n_buffers, cases[i].buffers);
        assert_int_equal(fold->n_nodes, 1);
        ls_fold_free(fold);
    }
}

static void test_blocks_cover_all_lanes(void **state) {
    (void)state;
    assert_int_equal(ls_lane_begin(1, 3, 8), 2);
    assert_int_equal(ls_lane_begin(2, 3, 8), 5);
    for (int lanes = 1; lanes <= 40; lanes++) {
        for (int ranks = 1; ranks <= lanes; ranks++) {
            assert_int_equal(ls_lane_begin(0, ranks, lanes), 0);
            assert_int_equal(ls_lane_begin(ranks, ranks, lanes), lanes);
            for (int r = 0; r < ranks; r++)
                assert_true(ls_lane_begin(r, ranks, lanes) < ls_lane_begin(r + 1, ranks, lanes));
        }
    }
}

static void test_impossible_blocks_are_refused(void **state) {
    (void)state;
    struct ls_fold *fold = NULL;
    assert_int_equal(ls_fold_make(0, 1, 0, 1, &fold), LS_INPUT);
    assert_int_equal(ls_fold_make(0, 4097, 4097, 1, &fold), LS_INPUT);
    assert_int_equal(ls_fold_make(3, 3, 4, 1, &fold), LS_INPUT);
    assert_int_equal(ls_fold_make(-1, 3, 4, 1, &fold), LS_INPUT);
    assert_int_equal(ls_fold_make(0, 5, 4, 1, &fold), LS_INPUT);
    assert_int_equal(ls_fold_make(0, 4, 4, 0, &fold), LS_INPUT);
    assert_null(fold);
    ls_fold_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_block),
        cmocka_unit_test(test_buffers_are_few),
        cmocka_unit_test(test_blocks_cover_all_lanes),
        cmocka_unit_test(test_impossible_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
