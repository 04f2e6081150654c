#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024 };

struct ls_arena_block {
    struct ls_arena_block *older;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

void ls_out_of_memory(size_t bytes) {
    fprintf(stderr, "lockstep: error: out of memory for %zu bytes of metadata\n", bytes);
    abort();
}

void *ls_arena_alloc(struct ls_arena *arena, size_t bytes) {
    size_t rounded = (bytes + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct ls_arena_block *block = arena->newest;
    if (!block || block->size - block->used < rounded) {
        size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block = calloc(1, sizeof *block + size);
        if (!block) ls_out_of_memory(size);
        block->size = size;
        block->older = arena->newest;
        arena->newest = block;
    }
    void *result = block->bytes + block->used;
    block->used += rounded;
    return result;
}

char *ls_arena_copy(struct ls_arena *arena, const char *text) {
    size_t bytes = strlen(text) + 1;
    return memcpy(ls_arena_alloc(arena, bytes), text, bytes);
}

char *ls_arena_format(struct ls_arena *arena, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = ls_arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

void ls_arena_free(struct ls_arena *arena) {
    while (arena->newest) {
        struct ls_arena_block *older = arena->newest->older;
        free(arena->newest);
        arena->newest = older;
    }
}
