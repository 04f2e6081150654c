#undef _FORTIFY_SOURCE // its longjmp takes another stack for an error
#include "fiber.h"

#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <csetjmp>
#include <ucontext.h>
#endif

namespace fake {

namespace {

constexpr uint64_t CANARY = 0x5afe57ac5afe57acu;

#if defined(__SANITIZE_ADDRESS__)
Fiber *left, *arrived; // of the switch that is being made
void before_switch(Fiber *from, Fiber *to) {
    left = from;
    arrived = to;
    __sanitizer_start_switch_fiber(&from->shadow, to->stack, to->bytes);
}
void after_switch() {
    __sanitizer_finish_switch_fiber(arrived->shadow, nullptr, nullptr);
}
#else
void before_switch(Fiber *, Fiber *) {}
void after_switch() {}
#endif

} // namespace

#if defined(__x86_64__)

// What a function must keep for its caller goes on the stack, and the stack is exchanged.
extern "C" void ls_fake_switch(void **save, void *resume) __attribute__((visibility("hidden")));
asm(R"(
    .pushsection .text
    .hidden ls_fake_switch
    .globl ls_fake_switch
    .type ls_fake_switch, @function
ls_fake_switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size ls_fake_switch, . - ls_fake_switch
    .popsection
)");

static void prepare(Fiber *fiber, void (*entry)()) {
    void **top = (void **)(fiber->stack + fiber->bytes);
    *--top = nullptr; // the entry's caller: none; and its stack is then aligned as after a call
    *--top = (void *)entry;
    top -= 6; // registers
    memset(top, 0, 6 * sizeof *top);
    fiber->saved = top;
}

static void exchange(Fiber *from, Fiber *to) {
    ls_fake_switch(&from->saved, to->saved);
}

#else

struct Portable {
    jmp_buf place;
    bool begun;
    ucontext_t context;
};

static Portable *portable(Fiber *fiber) {
    if (!fiber->saved) fiber->saved = new Portable();
    return (Portable *)fiber->saved;
}

static void prepare(Fiber *fiber, void (*entry)()) {
    Portable *to = portable(fiber);
    getcontext(&to->context);
    to->context.uc_stack.ss_sp = fiber->stack;
    to->context.uc_stack.ss_size = fiber->bytes;
    to->context.uc_link = nullptr;
    makecontext(&to->context, entry, 0);
    to->begun = false;
}

static void exchange(Fiber *from, Fiber *to) {
    if (_setjmp(portable(from)->place) != 0) return;
    portable(from)->begun = true;
    if (portable(to)->begun) _longjmp(portable(to)->place, 1);
    portable(to)->begun = true;
    setcontext(&portable(to)->context);
}

#endif

void fiber_make(Fiber *fiber, char *stack, size_t bytes, void (*entry)()) {
    fiber->stack = stack;
    fiber->bytes = bytes;
    fiber->shadow = nullptr;
    memcpy(stack, &CANARY, sizeof CANARY);
    prepare(fiber, entry);
}

void fiber_switch(Fiber *from, Fiber *to) {
    before_switch(from, to);
    exchange(from, to);
    after_switch();
}

void fiber_entered() {
    after_switch();
}

void fiber_adopt(Fiber *fiber) {
#if defined(__SANITIZE_ADDRESS__)
    static thread_local void *stack;
    static thread_local size_t bytes;
    if (!stack) {
        pthread_attr_t attributes;
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &stack, &bytes);
        pthread_attr_destroy(&attributes);
    }
    fiber->stack = (char *)stack;
    fiber->bytes = bytes;
#else
    fiber->stack = nullptr;
#endif
}

bool fiber_overflowed(const Fiber *fiber) {
    return memcmp(fiber->stack, &CANARY, sizeof CANARY) != 0;
}

} // namespace fake
