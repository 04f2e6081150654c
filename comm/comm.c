// Opening and closing the world.
#include "comm/comm.h"

#include "base/pulse.h"
#include "comm/guard.h"
#include "comm/mpi_calls.h"
#include "comm/segment.h"
#include "comm/watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// ---- opening ----

// Set for each process by mpirun of Open MPI, by srun with PMIx or PMI, by MPICH's and Intel's mpiexec, by
// MVAPICH, and by Cray's PALS.
static const char *const launcher_variables[] = {
    "OMPI_COMM_WORLD_SIZE", "PMIX_RANK",           "PMI_RANK",    "PMI_FD",
    "MPI_LOCALRANKID",      "MV2_COMM_WORLD_RANK", "PALS_RANKID",
};

static bool started_by_launcher(void) {
    for (size_t i = 0; i < sizeof launcher_variables / sizeof *launcher_variables; i++)
        if (getenv(launcher_variables[i])) return true;
    return false;
}

// Tasks of one srun without PMIx or PMI would each take themselves for the whole world.
static ls_status check_alone(void) {
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    if (!tasks || strtol(tasks, NULL, 10) <= 1) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "srun started %s tasks, but nothing that lets them find each other: use srun "
                   "--mpi=pmix, or mpirun",
                   tasks);
}

// MPI is given host memory alone. One that knows CUDA would ask the driver about every address all the same,
// also in host calls of a stream, where the driver may not be asked. (Open MPI 4, 5, MPICH; other settings of
// the user's stay.)
static void keep_mpi_from_gpus(void) {
    setenv("OMPI_MCA_opal_cuda_support", "false", 0);
    setenv("OMPI_MCA_accelerator", "null", 0);
    setenv("MPIR_CVAR_ENABLE_GPU", "0", 0);
}

static ls_status start_mpi(struct ls_comm_state *state) {
    int started = 0, ended = 0, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (ended) return LS_FAIL(LS_INPUT, "MPI has ended in this process, which it does once");
    if (!started) keep_mpi_from_gpus();
    if (started) {
        MPI_Query_thread(&level);
    } else if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level) != MPI_SUCCESS) {
        return LS_FAIL(LS_COMM, "MPI_Init_thread failed");
    }
    state->started_mpi = !started;
    if (level < MPI_THREAD_SERIALIZED)
        return LS_FAIL(LS_INPUT, "%s has no support for threads: MPI_THREAD_SERIALIZED is needed",
                       ls_comm_library());
    return LS_OK;
}

static ls_status find_places(struct ls_comm *comm) {
    struct ls_comm_state *state = comm->state;
    LS_TRY(ls_mpi_check(comm, MPI_Comm_dup(MPI_COMM_WORLD, &state->mpi), "MPI_Comm_dup"));
    MPI_Comm_set_errhandler(state->mpi, MPI_ERRORS_RETURN); // a copy has it too
    // Open MPI looks for the handler of a request of many parts at the world.
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    LS_TRY(ls_mpi_check(comm, MPI_Comm_dup(state->mpi, &state->data), "MPI_Comm_dup"));
    MPI_Comm_rank(state->mpi, &comm->rank);
    MPI_Comm_size(state->mpi, &comm->size);
    MPI_Comm local;
    LS_TRY(ls_mpi_check(comm, MPI_Comm_split_type(state->mpi, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local),
                        "MPI_Comm_split_type"));
    MPI_Comm_rank(local, &comm->local_rank);
    MPI_Comm_size(local, &comm->local_size);
    state->first_on_host = comm->rank;
    LS_TRY(ls_mpi_check(comm, MPI_Bcast(&state->first_on_host, 1, MPI_INT, 0, local), "MPI_Bcast"));
    return ls_mpi_check(comm, MPI_Comm_free(&local), "MPI_Comm_free");
}

static ls_status open_watched(struct ls_comm *comm, double timeout) {
    struct ls_comm_state *state = comm->state;
    struct ls_guard *guard;
    LS_TRY(ls_guard_open(timeout, &guard));
    ls_status status = start_mpi(state);
    if (status == LS_OK) status = find_places(comm);
    if (status == LS_OK) status = ls_watchdog_open(comm, &state->watchdog);
    struct ls_group group;
    if (status == LS_OK) status = ls_segment_group(comm, &group);
    if (status == LS_OK) status = ls_segment_open(comm, group, &state->segment);
    ls_guard_close(guard);
    if (status == LS_OK) ls_comm_set_timeout(comm, timeout);
    return status;
}

ls_status ls_comm_open_within(struct ls_comm *comm, double timeout) {
    *comm = (struct ls_comm){.rank = 0, .size = 1, .local_rank = 0, .local_size = 1};
    if (gethostname(comm->host, sizeof comm->host - 1) != 0) snprintf(comm->host, sizeof comm->host, "?");
    if (!started_by_launcher()) return check_alone();
    struct ls_comm_state *state = calloc(1, sizeof *state);
    if (!state) return LS_FAIL(LS_SYSTEM, "out of memory");
    state->mpi = state->data = MPI_COMM_NULL;
    comm->state = state;
    ls_status status = open_watched(comm, timeout);
    if (status != LS_OK) ls_comm_close(comm);
    return status;
}

ls_status ls_comm_open(struct ls_comm *comm) {
    static const double DEFAULT_TIMEOUT_S = 300;
    return ls_comm_open_within(comm, DEFAULT_TIMEOUT_S);
}

int ls_comm_sharing(const struct ls_comm *comm) {
    const struct ls_comm_state *state = comm->state;
    return state && state->segment ? state->segment->group.size : 1;
}

void ls_comm_set_timeout(struct ls_comm *comm, double seconds) {
    const struct ls_comm_state *state = comm->state;
    if (state && state->watchdog) ls_watchdog_set_timeout(state->watchdog, seconds);
}

// ---- closing ----

void ls_comm_close(struct ls_comm *comm) {
    struct ls_comm_state *state = comm->state;
    if (!state) return;
    if (state->lost && comm->size > 1) MPI_Abort(MPI_COMM_WORLD, LS_COMM);
    ls_pulse_phase(LS_ENDING);
    ls_pulse_enter("the end of MPI", 0); // where each rank waits for all
    ls_watchdog_leave(state->watchdog);
    if (state->data != MPI_COMM_NULL) MPI_Comm_free(&state->data);
    if (state->mpi != MPI_COMM_NULL) MPI_Comm_free(&state->mpi);
    if (state->started_mpi) MPI_Finalize();
    ls_watchdog_close(state->watchdog);
    ls_segment_close(state->segment);
    free(state);
    comm->state = NULL;
}

bool ls_comm_all_know(const struct ls_comm *comm, ls_status status) {
    const struct ls_comm_state *state = comm->state;
    if (!state || comm->size == 1) return true;
    return status == LS_OK || status == LS_PREEMPTED || status == LS_NUMBERS || status == state->agreed;
}

bool ls_comm_prints(const struct ls_comm *comm, ls_status status) {
    const struct ls_comm_state *state = comm->state;
    if (ls_comm_all_know(comm, status)) return comm->rank == 0;
    return status != LS_COMM || !state->watchdog;
}

void ls_comm_end(struct ls_comm *comm, ls_status status) {
    const struct ls_comm_state *state = comm->state;
    if (!ls_comm_all_know(comm, status)) {
        const char *text = ls_comm_prints(comm, status) ? NULL : ls_error_last()->text;
        if (state->watchdog) ls_watchdog_end_all(state->watchdog, status, text);
        MPI_Abort(MPI_COMM_WORLD, (int)status);
    }
    ls_comm_close(comm);
}

// ---- the library ----

static char library[MPI_MAX_LIBRARY_VERSION_STRING + 1];
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

// "Open MPI v4.1.4, package: …" or "MPICH Version:      4.0.2\n…": up to the first comma or end of line,
// blanks made one, "v4" made "4".
static void read_library(void) {
    char text[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    size_t n = 0;
    for (const char *c = text; *c && *c != ',' && *c != '\n'; c++) {
        const bool after_blank = n == 0 || library[n - 1] == ' ';
        if ((*c == ' ' || *c == '\t') && after_blank) continue;
        if (*c == 'v' && after_blank && c[1] >= '0' && c[1] <= '9') continue;
        library[n++] = *c == '\t' ? ' ' : *c;
    }
    library[n] = 0;
}

const char *ls_comm_library(void) {
    pthread_once(&library_once, read_library);
    return library;
}
