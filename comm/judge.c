#include "comm/judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- words ----

__attribute__((format(printf, 2, 3))) static void say(char *text, const char *format, ...) {
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, LS_VERDICT_TEXT - used, format, arguments);
    va_end(arguments);
}

static void say_rank(char *text, const struct ls_witness *ranks, int rank) {
    say(text, "rank %d (host %s)", rank, ranks[rank].host);
}

static void say_call(char *text, const struct ls_pulse *pulse) {
    say(text, "%s", pulse->calls ? pulse->call : "no collective call");
    if (pulse->bytes) say(text, " of %" PRIu64 " bytes", pulse->bytes);
}

// " while evaluating at step 17"
static void say_place(char *text, const struct ls_pulse *pulse) {
    if (pulse->phase != LS_TRAINING) say(text, " while %s", ls_phase_name(pulse->phase));
    if (pulse->phase != LS_STARTING && pulse->phase != LS_PACKING)
        say(text, " at step %" PRIu64, pulse->waiting ? pulse->call_step : pulse->step);
}

// A rank that waits for the culprit: in the earliest call that the culprit has not left, as far as is known.
static int find_waiting(const struct ls_witness *ranks, int n, int culprit) {
    int found = -1;
    for (int r = 0; r < n; r++) {
        const struct ls_witness *rank = &ranks[r];
        if (r == culprit || !rank->watched || rank->dead || !rank->pulse.waiting) continue;
        if (rank->pulse.calls < ranks[culprit].pulse.calls) continue;
        if (found < 0 || rank->pulse.calls < ranks[found].pulse.calls) found = r;
    }
    return found;
}

// Where the culprit is, and what it missed. What it last said of itself may be old; whoever waits for it
// knows better.
static void say_missed(char *text, const struct ls_witness *ranks, int n, int culprit) {
    const struct ls_pulse *itself = &ranks[culprit].pulse;
    const int waiting = find_waiting(ranks, n, culprit);
    const struct ls_pulse *call = waiting >= 0 ? &ranks[waiting].pulse : itself;
    say_place(text, call);
    if (call->calls > itself->calls) {
        say(text, ": it missed ");
        say_call(text, call);
        say(text, ", in which rank %d waits", waiting);
    } else if (call->waiting) {
        say(text, " in ");
        say_call(text, call);
    }
}

// ---- the cases ----

// Where the words of the verdict go.
static char *accuse(struct ls_verdict *verdict, int rank) {
    *verdict = (struct ls_verdict){.rank = rank};
    return verdict->text;
}

static bool anyone_died(const struct ls_witness *ranks, int n, struct ls_verdict *verdict) {
    for (int r = 0; r < n; r++) {
        if (!ranks[r].dead) continue;
        char *text = accuse(verdict, r);
        say_rank(text, ranks, r);
        say(text, " died");
        say_missed(text, ranks, n, r);
        return true;
    }
    return false;
}

static bool anyone_silent(const struct ls_witness *ranks, int n, double timeout, struct ls_verdict *verdict) {
    int first = -1, more = 0;
    for (int r = 0; r < n; r++) {
        if (!ranks[r].watched || ranks[r].silent < timeout) continue;
        if (first < 0)
            first = r;
        else
            more++;
    }
    if (first < 0) return false;
    char *text = accuse(verdict, first);
    verdict->silent = true;
    say_rank(text, ranks, first);
    if (more) say(text, " and %d more", more);
    say(text, " could not be heard for %.0f s (stopped, or its host or link is down)", timeout);
    say_missed(text, ranks, n, first);
    return true;
}

static bool same_call(const struct ls_pulse *a, const struct ls_pulse *b) {
    return a->bytes == b->bytes && a->call_step == b->call_step && strcmp(a->call, b->call) == 0;
}

static int count_alike(const struct ls_witness *ranks, int n, int rank) {
    int alike = 0;
    for (int r = 0; r < n; r++)
        alike += ranks[r].watched && ranks[r].pulse.calls == ranks[rank].pulse.calls &&
                 same_call(&ranks[r].pulse, &ranks[rank].pulse);
    return alike;
}

static bool calls_differ(const struct ls_witness *ranks, int n, struct ls_verdict *verdict) {
    for (int a = 0; a < n; a++) {
        if (!ranks[a].watched || ranks[a].pulse.calls == 0) continue;
        for (int b = a + 1; b < n; b++) {
            if (!ranks[b].watched || ranks[b].pulse.calls != ranks[a].pulse.calls) continue;
            if (same_call(&ranks[a].pulse, &ranks[b].pulse)) break; // as good as a: a's later matches are b's
            const bool a_is_odd = count_alike(ranks, n, a) < count_alike(ranks, n, b);
            const int odd = a_is_odd ? a : b, usual = a_is_odd ? b : a;
            char *text = accuse(verdict, odd);
            say_rank(text, ranks, odd);
            say(text, " calls ");
            say_call(text, &ranks[odd].pulse);
            say(text, " at step %" PRIu64 " where rank %d calls ", ranks[odd].pulse.call_step, usual);
            say_call(text, &ranks[usual].pulse);
            say(text, " at step %" PRIu64, ranks[usual].pulse.call_step);
            return true;
        }
    }
    return false;
}

static bool anyone_stuck(const struct ls_witness *ranks, int n, double timeout, struct ls_verdict *verdict) {
    for (int r = 0; r < n; r++) {
        if (!ranks[r].watched || ranks[r].pulse.waiting || ranks[r].still < timeout) continue;
        char *text = accuse(verdict, r);
        say_rank(text, ranks, r);
        say(text, " made no progress for %.0f s", ranks[r].still);
        say_missed(text, ranks, n, r);
        return true;
    }
    return false;
}

static int count_at(const struct ls_witness *ranks, int n, uint64_t calls) {
    int count = 0;
    for (int r = 0; r < n; r++) count += ranks[r].watched && ranks[r].pulse.calls == calls;
    return count;
}

// A rank that took no part in a call is ahead of the others, one whose message was lost is behind: the few
// are to blame.
static void accuse_the_few(const struct ls_witness *ranks, int n, int behind, int ahead,
                           struct ls_verdict *verdict) {
    const bool skipped =
        count_at(ranks, n, ranks[ahead].pulse.calls) <= count_at(ranks, n, ranks[behind].pulse.calls);
    char *text = accuse(verdict, skipped ? ahead : behind);
    say_rank(text, ranks, skipped ? ahead : behind);
    if (skipped) {
        say(text, " is ahead, in ");
        say_call(text, &ranks[ahead].pulse);
        say(text, ": it took no part in ");
        say_call(text, &ranks[behind].pulse);
        say(text, ", in which rank %d waits for %.0f s", behind, ranks[behind].still);
    } else {
        say(text, " made no progress for %.0f s", ranks[behind].still);
        say_missed(text, ranks, n, behind);
    }
}

static bool all_wait(const struct ls_witness *ranks, int n, double timeout, struct ls_verdict *verdict) {
    int behind = -1, ahead = -1;
    for (int r = 0; r < n; r++) {
        if (!ranks[r].watched) continue;
        if (!ranks[r].pulse.waiting || ranks[r].still < timeout) return false;
        if (behind < 0 || ranks[r].pulse.calls < ranks[behind].pulse.calls) behind = r;
        if (ahead < 0 || ranks[r].pulse.calls > ranks[ahead].pulse.calls) ahead = r;
    }
    if (behind < 0) return false;
    if (ranks[behind].pulse.calls < ranks[ahead].pulse.calls) {
        accuse_the_few(ranks, n, behind, ahead, verdict);
        return true;
    }
    char *text = accuse(verdict, -1);
    say(text, "nothing moved for %.0f s", ranks[behind].still);
    say_place(text, &ranks[behind].pulse);
    say(text, " in ");
    say_call(text, &ranks[behind].pulse);
    say(text, ", in which all ranks are: the network between them?");
    return true;
}

bool ls_judge(const struct ls_witness *ranks, int n, double timeout, struct ls_verdict *verdict) {
    return anyone_died(ranks, n, verdict) || anyone_silent(ranks, n, timeout, verdict) ||
           calls_differ(ranks, n, verdict) || anyone_stuck(ranks, n, timeout, verdict) ||
           all_wait(ranks, n, timeout, verdict);
}
