#include "data/dataset_parts.h"

const struct ls_column *ls_samples_of(const struct ls_shard *shard) {
    const struct ls_column *stored = &shard->columns[LS_COLUMN_STORED_INPUT];
    return stored->name ? stored : &shard->columns[LS_COLUMN_INPUT];
}

// The last shard that begins at or before `index`: an empty shard begins where the next one does.
const struct ls_shard *ls_shard_of(const struct ls_dataset *dataset, int64_t index) {
    int low = 0, high = dataset->n_shards;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (dataset->shards[middle].first <= index)
            low = middle;
        else
            high = middle;
    }
    return &dataset->shards[low];
}

const struct ls_shard *ls_source_of(const struct ls_dataset *dataset, const struct ls_column *column,
                                    int64_t index) {
    const struct ls_shard *parts = &dataset->sources[column->first_source];
    int low = 0, high = column->n_sources;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (parts[middle].first + parts[middle].begin <= index)
            low = middle;
        else
            high = middle;
    }
    return &parts[low];
}

int64_t ls_picks_in(const struct ls_shard *shard, const struct ls_pick *picks, int64_t n) {
    int64_t end = 1;
    while (end < n && picks[end].index < shard->first + shard->samples) end++;
    return end;
}
