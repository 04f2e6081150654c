// How ranks come to one opinion: on errors that one of them sees, and on texts that must be the same.
#include "base/hash.h"
#include "comm/mpi_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- errors ----

// An error as it travels: addresses of the sender's strings mean nothing elsewhere.
struct error_message {
    ls_status status;
    int line;
    char file[160];
    char text[LS_ERROR_TEXT];
};

// Where an error points to that was agreed on, and so names its rank already: as long as the error.
static _Thread_local char agreed_file[sizeof((struct error_message *)0)->file];

static struct error_message describe(const struct ls_comm *comm, ls_status mine) {
    const struct ls_error *error = ls_error_last();
    struct error_message message = {.status = mine, .line = error->line};
    snprintf(message.file, sizeof message.file, "%s", error->file ? error->file : "?");
    char place[sizeof comm->host + 32] = "";
    const bool placed = error->status != LS_OK && error->file == agreed_file;
    const int length = placed ? 0 : snprintf(place, sizeof place, " (rank %d on %s)", comm->rank, comm->host);
    const char *text = error->status == LS_OK ? "failed, and left no message" : error->text;
    // The place is kept whole, whatever the length of the text.
    snprintf(message.text, sizeof message.text, "%.*s%s", (int)sizeof message.text - 1 - length, text, place);
    return message;
}

static ls_status adopt(const struct error_message *message) {
    memcpy(agreed_file, message->file, sizeof agreed_file);
    struct ls_error error = {.status = message->status, .file = agreed_file, .line = message->line};
    memcpy(error.text, message->text, sizeof error.text);
    return ls_error_adopt(&error);
}

// The lowest rank whose status is not LS_OK, or the number of ranks.
static ls_status first_failing(struct ls_comm *comm, ls_status mine, int *first) {
    const struct ls_comm_state *state = comm->state;
    *first = mine == LS_OK ? comm->size : comm->rank;
    MPI_Request request;
    const int code = MPI_Iallreduce(MPI_IN_PLACE, first, 1, MPI_INT, MPI_MIN, state->mpi, &request);
    return ls_mpi_collective(comm, code, &request, sizeof *first, "the agreement on a status");
}

ls_status ls_comm_agree(struct ls_comm *comm, ls_status mine) {
    struct ls_comm_state *state = comm->state;
    if (!state || comm->size == 1) return mine;
    int first;
    LS_TRY(first_failing(comm, mine, &first));
    state->agreed = LS_OK;
    if (first == comm->size) return LS_OK;
    struct error_message message = {0};
    if (first == comm->rank) message = describe(comm, mine);
    LS_TRY(ls_comm_broadcast(comm, &message, sizeof message, first));
    state->agreed = message.status;
    return adopt(&message);
}

// ---- texts ----

// The first rank whose hash is not the most frequent one (of equals, that of the lowest rank), or -1; *usual
// is the first rank that has the most frequent one.
// Ties between them are told of, because then nobody knows which is right.
static int find_odd(const uint64_t *hashes, int n, int *usual, int *alike) {
    int most = 0;
    for (int i = 0; i < n; i++) {
        int same = 0;
        for (int j = 0; j < n; j++) same += hashes[j] == hashes[i];
        if (same > most) most = same, *usual = i;
    }
    *alike = most;
    for (int i = 0; i < n; i++)
        if (hashes[i] != hashes[*usual]) return i;
    return -1;
}

// Every rank gets the text of `root`, malloc'd; NULL and an error where that fails.
static char *broadcast_text(struct ls_comm *comm, const char *mine, int root) {
    size_t bytes = strlen(mine) + 1;
    if (ls_comm_broadcast(comm, &bytes, sizeof bytes, root) != LS_OK) return NULL;
    char *text = malloc(bytes);
    if (!text) {
        LS_FAIL(LS_SYSTEM, "out of memory for a text of %zu bytes", bytes);
        return NULL;
    }
    if (comm->rank == root) memcpy(text, mine, bytes);
    if (ls_comm_broadcast(comm, text, bytes, root) == LS_OK) return text;
    free(text);
    return NULL;
}

struct difference {
    const char *what;
    int odd, usual; // ranks
    int alike, of;  // so many of all have the text of `usual`
};

static ls_status fail_at_difference(ls_status status, const struct difference *found, const char *odd_text,
                                    const char *usual_text) {
    size_t line = 0; // where the first line that differs begins
    for (size_t i = 0; odd_text[i] && odd_text[i] == usual_text[i]; i++)
        if (odd_text[i] == '\n') line = i + 1;
    odd_text += line;
    usual_text += line;
    enum { SHOWN = 600 };
    const int odd_length = (int)strcspn(odd_text, "\n"), usual_length = (int)strcspn(usual_text, "\n");
    const bool majority = 2 * found->alike > found->of;
    char votes[64] = "no text has a majority: either may be wrong";
    if (majority) snprintf(votes, sizeof votes, "as %d of %d ranks have", found->alike, found->of);
    return LS_FAIL(status, "%s differs between ranks: rank %d has \"%.*s\", rank %d has \"%.*s\" (%s)",
                   found->what, found->odd, odd_length < SHOWN ? odd_length : SHOWN, odd_text, found->usual,
                   usual_length < SHOWN ? usual_length : SHOWN, usual_text, votes);
}

static ls_status name_difference(struct ls_comm *comm, ls_status as, const struct difference *found,
                                 const char *text) {
    struct ls_comm_state *state = comm->state;
    char *odd_text = broadcast_text(comm, text, found->odd);
    char *usual_text = odd_text ? broadcast_text(comm, text, found->usual) : NULL;
    ls_status status;
    if (usual_text) {
        state->agreed = as;
        status = fail_at_difference(as, found, odd_text, usual_text);
    } else {
        status = ls_error_last()->status;
    }
    free(odd_text);
    free(usual_text);
    return status;
}

ls_status ls_comm_agree_same(struct ls_comm *comm, ls_status status, const char *what, const char *text) {
    if (!comm->state || comm->size == 1) return LS_OK;
    uint64_t *hashes = calloc((size_t)comm->size, sizeof *hashes);
    if (!hashes) return LS_FAIL(LS_SYSTEM, "out of memory");
    const uint64_t mine = ls_hash_of(text, strlen(text));
    ls_status gathered = ls_comm_gather_all(comm, &mine, hashes, sizeof mine);
    struct difference found = {.what = what, .odd = -1, .of = comm->size};
    if (gathered == LS_OK) found.odd = find_odd(hashes, comm->size, &found.usual, &found.alike);
    free(hashes);
    if (gathered == LS_OK) ((struct ls_comm_state *)comm->state)->agreed = LS_OK;
    if (found.odd < 0) return gathered;
    return name_difference(comm, status, &found, text);
}
