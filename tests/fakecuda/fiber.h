// Fibers: stacks that one OS thread switches between, by itself.
#pragma once

#include <cstddef>

#pragma GCC visibility push(hidden)

namespace fake {

struct Fiber {
    void *saved = nullptr; // where to go on: a stack pointer, or a context
    char *stack = nullptr; // NULL: the thread's own
    size_t bytes = 0;
    void *shadow = nullptr; // of AddressSanitizer
};

// `entry` is called at the first switch to the fiber, and never returns. May be called again, to begin anew.
void fiber_make(Fiber *fiber, char *stack, size_t bytes, void (*entry)());
void fiber_switch(Fiber *from, Fiber *to);
// The first thing that a fiber does, when it is switched to: at its entry. (fiber_switch does it where it
// comes back.)
void fiber_entered();
// `fiber` is the stack that the caller runs on, before it switches for the first time.
void fiber_adopt(Fiber *fiber);
bool fiber_overflowed(const Fiber *fiber);

} // namespace fake

#pragma GCC visibility pop
