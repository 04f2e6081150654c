#include "base/file.h"
#include "data/order.h"
#include "data/pack_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const size_t MOST_LIST_BYTES = (size_t)1 << 30;

// ---- lines of a file

// Calls `take` for each line that is not blank, without what ends it; `number` from 1 on.
static ls_status take_lines(const char *path, ls_status (*take)(void *context, int number, char *line),
                            void *context) {
    char *text;
    size_t bytes;
    LS_TRY(ls_file_read(path, MOST_LIST_BYTES, &text, &bytes));
    ls_status status = LS_OK;
    int number = 1;
    for (char *line = text, *next; line && status == LS_OK; line = next, number++) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        size_t length = strlen(line);
        while (length && (line[length - 1] == '\r' || line[length - 1] == ' ')) line[--length] = 0;
        if (length) status = take(context, number, line);
    }
    free(text);
    return status;
}

struct class_list {
    struct ls_pack_source *source;
    const char *path;
    const char **names;
    int n, capacity;
};

static ls_status take_class(void *context, int number, char *line) {
    struct class_list *list = context;
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->names[i], line) == 0)
            return LS_FAIL(LS_INPUT, "%s:%d: class '%s' is there twice", list->path, number, line);
    if (list->n == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 64;
        const char **names = LS_ARENA_NEW(&list->source->names, const char *, capacity);
        if (list->n) memcpy((void *)names, (const void *)list->names, (size_t)list->n * sizeof *names);
        list->names = names;
        list->capacity = capacity;
    }
    list->names[list->n++] = ls_arena_copy(&list->source->names, line);
    return LS_OK;
}

ls_status ls_pack_read_class_names(struct ls_pack_source *source, const char *path) {
    struct class_list list = {.source = source, .path = path};
    LS_TRY(take_lines(path, take_class, &list));
    if (list.n == 0) return LS_FAIL(LS_INPUT, "%s: expected the names of classes, a line each", path);
    source->class_names = list.names;
    source->n_class_names = list.n;
    return LS_OK;
}

// ---- the test split

struct test_list {
    const struct ls_pack_source *source;
    const char *path;
    struct ls_pack_tests *tests;
};

static int64_t find_number(const struct ls_pack_source *source, const char *text) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return *end || errno || number < 0 || number >= source->samples ? -1 : (int64_t)number;
}

static ls_status take_sample(void *context, int number, char *line) {
    struct test_list *list = context;
    const struct ls_pack_source *source = list->source;
    int64_t sample = source->find ? source->find(source, line) : find_number(source, line);
    if (sample < 0)
        return LS_FAIL(LS_INPUT, "%s:%d: '%s' is none of the %lld %s%s", list->path, number, line,
                       (long long)source->samples, source->noun,
                       source->find ? "" : ", which are numbered from 0 on");
    if (list->tests->are[sample])
        return LS_FAIL(LS_INPUT, "%s:%d: '%s' is there twice", list->path, number, line);
    list->tests->are[sample] = true;
    list->tests->n++;
    return LS_OK;
}

static ls_status split_by_list(const struct ls_pack_source *source, const char *path,
                               struct ls_pack_tests *tests) {
    struct test_list list = {source, path, tests};
    LS_TRY(take_lines(path, take_sample, &list));
    if (tests->n) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: expected %s of the test split, a line each, found none", path,
                   source->noun);
}

ls_status ls_pack_split_off(const struct ls_pack_source *source, const struct ls_pack_job *job,
                            struct ls_pack_tests *tests) {
    int64_t n = source->samples;
    if (job->test_list) {
        LS_TRY(split_by_list(source, job->test_list, tests));
    } else {
        tests->n = (int64_t)(job->test_fraction * (double)n + 0.5);
        if (job->test_fraction > 0 && tests->n == 0) tests->n = 1;
        // Epoch 1 of the keyed order: the shuffle of the shards is epoch 0.
        for (int64_t i = 0; i < tests->n; i++)
            tests->are[ls_order_at(job->seed, n, (uint64_t)(n + i))] = true;
    }
    if (tests->n < n) return LS_OK;
    return LS_FAIL(LS_INPUT, "the test split takes all of %lld %s", (long long)n, source->noun);
}
