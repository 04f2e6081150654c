// ranks: 1 2 3 5
// What ranks tell each other: sums, broadcasts, and agreement on errors and texts.
#include "comm/comm.h"
#include "mpi/check.h"

#include <string.h>

static void check_places(const struct ls_comm *comm) {
    const char *expected = getenv("EXPECTED_RANKS");
    CHECK(expected && comm->size == atoi(expected));
    CHECK(comm->rank >= 0 && comm->rank < comm->size);
    CHECK(comm->local_size == comm->size && comm->local_rank == comm->rank); // all on this host
    CHECK(strlen(comm->host) > 0);
}

// Rank r gives r bytes, and then nobody any.
static void check_gather(struct ls_comm *comm) {
    enum { MOST_RANKS = 16 };
    size_t bytes_of[MOST_RANKS] = {0};
    char mine[MOST_RANKS], all[MOST_RANKS * MOST_RANKS];
    CHECK(ls_comm_gather(comm, NULL, NULL, bytes_of) == LS_OK);
    for (int r = 0; r < comm->size; r++) bytes_of[r] = (size_t)r;
    memset(mine, 'a' + comm->rank, sizeof mine);
    CHECK(ls_comm_gather(comm, mine, comm->rank == 0 ? all : NULL, bytes_of) == LS_OK);
    for (int r = 0, at = 0; comm->rank == 0 && r < comm->size; r++)
        for (int i = 0; i < r; i++) CHECK(all[at++] == 'a' + r);
}

static void check_collectives(struct ls_comm *comm) {
    enum { MOST_RANKS = 16 };
    CHECK(ls_comm_barrier(comm) == LS_OK);
    for (int root = 0; root < comm->size; root++) {
        char word[16] = "";
        if (comm->rank == root) snprintf(word, sizeof word, "from %d", root);
        CHECK(ls_comm_broadcast(comm, word, sizeof word, root) == LS_OK);
        char expected[16];
        snprintf(expected, sizeof expected, "from %d", root);
        CHECK(strcmp(word, expected) == 0);
    }
    const int mine[2] = {comm->rank, comm->rank * comm->rank};
    int all[MOST_RANKS][2];
    CHECK(ls_comm_gather_all(comm, mine, all, sizeof mine) == LS_OK);
    for (int r = 0; r < comm->size; r++) CHECK(all[r][0] == r && all[r][1] == r * r);
    CHECK(ls_comm_gather_all(comm, NULL, NULL, 0) == LS_OK);
    CHECK(ls_comm_broadcast(comm, NULL, 0, 0) == LS_OK);
    check_gather(comm);

    const uint64_t n = (uint64_t)comm->size;
    uint64_t sums[3] = {1, (uint64_t)comm->rank, UINT64_MAX};
    CHECK(ls_comm_sum_u64(comm, sums, 3) == LS_OK);
    CHECK(sums[0] == n && sums[1] == n * (n - 1) / 2 && sums[2] == 0 - n);
    CHECK(ls_comm_sum_u64(comm, sums, 0) == LS_OK);
}

static void check_agreement_on_errors(struct ls_comm *comm) {
    CHECK(ls_comm_agree(comm, LS_OK) == LS_OK);
    // One rank fails, each in turn; then all from one on, of which the first is heard.
    for (int failing = 0; failing < comm->size; failing++) {
        for (int others_too = 0; others_too < 2; others_too++) {
            ls_error_clear();
            ls_status status = LS_OK;
            if (comm->rank == failing)
                status = LS_FAIL(LS_INPUT, "file %d.h5 is truncated", failing);
            else if (others_too && comm->rank > failing)
                status = LS_FAIL(LS_NUMBERS, "not heard");
            CHECK(ls_comm_agree(comm, status) == LS_INPUT);
            char expected[512];
            snprintf(expected, sizeof expected, "file %d.h5 is truncated", failing);
            if (comm->size > 1)
                snprintf(expected, sizeof expected, "file %d.h5 is truncated (rank %d on %s)", failing,
                         failing, comm->host);
            CHECK(strcmp(ls_error_last()->text, expected) == 0);
            CHECK(ls_error_last()->status == LS_INPUT);
            CHECK(strstr(ls_error_last()->file, "test_comm.c"));
        }
    }
    CHECK(ls_comm_agree(comm, LS_OK) == LS_OK);
}

static void check_long_and_missing_texts(struct ls_comm *comm) {
    if (comm->size == 1) return;
    char text[LS_ERROR_TEXT + 100];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    const int last = comm->size - 1;
    CHECK(ls_comm_agree(comm, comm->rank == last ? LS_FAIL(LS_SYSTEM, "%s", text) : LS_OK) == LS_SYSTEM);
    char place[256];
    snprintf(place, sizeof place, "x (rank %d on %s)", last, comm->host);
    const char *said = ls_error_last()->text;
    CHECK(strlen(said) > strlen(place) && strcmp(said + strlen(said) - strlen(place), place) == 0);

    ls_error_clear();
    CHECK(ls_comm_agree(comm, comm->rank == 0 ? LS_SYSTEM : LS_OK) == LS_SYSTEM);
    CHECK(strstr(ls_error_last()->text, "left no message (rank 0"));
}

static void check_agreement_on_texts(struct ls_comm *comm) {
    CHECK(ls_comm_agree_same(comm, LS_INPUT, "the seed", "1") == LS_OK);
    CHECK(ls_comm_agree_same(comm, LS_INPUT, "nothing", "") == LS_OK);
    if (comm->size == 1) return;
    for (int odd = 0; odd < comm->size; odd++) {
        const char *text = comm->rank == odd ? "a: 1\nb: 7\nc: 3\n" : "a: 1\nb: 2\nc: 3\n";
        CHECK(ls_comm_agree_same(comm, LS_COMM, "the recipe", text) == LS_COMM);
        // Of two ranks, the lower one is taken to be right.
        const int named = comm->size == 2 ? 1 : odd, usual = named == 0 ? 1 : 0;
        char expected[256], votes[64] = "no text has a majority: either may be wrong";
        if (comm->size > 2)
            snprintf(votes, sizeof votes, "as %d of %d ranks have", comm->size - 1, comm->size);
        snprintf(expected, sizeof expected,
                 "the recipe differs between ranks: rank %d has \"b: %d\", rank %d has \"b: %d\" (%s)", named,
                 named == odd ? 7 : 2, usual, usual == odd ? 7 : 2, votes);
        CHECK(strcmp(ls_error_last()->text, expected) == 0);
    }
    // One text is the beginning of the other.
    CHECK(ls_comm_agree_same(comm, LS_INPUT, "t", comm->rank == 0 ? "same" : "same\nmore") == LS_INPUT);
}

int main(void) {
    struct ls_comm comm;
    CHECK(ls_comm_open(&comm) == LS_OK);
    check_places(&comm);
    check_collectives(&comm);
    check_agreement_on_errors(&comm);
    check_long_and_missing_texts(&comm);
    check_agreement_on_texts(&comm);
    ls_comm_close(&comm);
    return 0;
}
