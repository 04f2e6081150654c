// Host memory that is given back all at once: for the objects of a graph, a plan, a recipe. Not for tensors.
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/begin.h"

struct ls_arena {
    struct ls_arena_block *newest;
};

// Where the host has no memory left for a few kilobytes of metadata or text no caller could do better: says
// so, past the log, and ends the program.
void ls_out_of_memory(size_t bytes) __attribute__((noreturn));
// Zeroed memory, aligned for any type, valid until ls_arena_free. Never NULL.
void *ls_arena_alloc(struct ls_arena *arena, size_t bytes);
// Strings in the arena.
char *ls_arena_copy(struct ls_arena *arena, const char *text);
char *ls_arena_format(struct ls_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ls_arena_free(struct ls_arena *arena); // all of it; the arena is empty, and may be used again

#define LS_ARENA_NEW(arena, type, count) ((type *)ls_arena_alloc((arena), sizeof(type) * (size_t)(count)))

#include "base/end.h"
