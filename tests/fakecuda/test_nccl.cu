// The stand-in for NCCL: ranks are processes.
#include "test.h"

#include <nccl.h>

namespace {

constexpr int MANY = 1 << 20; // more than a socket holds

struct Rank {
    int rank, ranks;
    cudaStream_t stream;
    ncclComm_t comm;
};

// Asks until the call before is done.
ncclResult_t wait_for(ncclComm_t comm) {
    ncclResult_t state = ncclInProgress;
    while (state == ncclInProgress) {
        EXPECT(ncclCommGetAsyncError(comm, &state) == ncclSuccess);
        usleep(100);
    }
    return state;
}

ncclResult_t open_rank(Rank *me, ncclUniqueId id, int blocking = 0) {
    MUST(cudaSetDevice(me->rank));
    me->stream = new_stream();
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = blocking;
    const ncclResult_t result = ncclCommInitRankConfig(&me->comm, me->ranks, id, me->rank, &config);
    if (blocking) return result;
    EXPECT(result == ncclInProgress);
    return wait_for(me->comm);
}

void close_rank(Rank *me) {
    EXPECT(ncclCommFinalize(me->comm) == ncclInProgress);
    EXPECT(wait_for(me->comm) == ncclSuccess);
    EXPECT(ncclCommDestroy(me->comm) == ncclSuccess);
    MUST(cudaStreamDestroy(me->stream));
}

// Runs `body` as every one of `ranks` ranks; ends with the worst status.
void as_ranks(int ranks, void (*body)(Rank *, ncclUniqueId)) {
    ncclUniqueId id;
    EXPECT(ncclGetUniqueId(&id) == ncclSuccess);
    std::vector<pid_t> children;
    for (int rank = 0; rank < ranks; rank++) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(60); // a hang is a failure
            Rank me = {rank, ranks, nullptr, nullptr};
            body(&me, id);
            exit(0);
        }
        children.push_back(child);
    }
    int worst = 0;
    for (pid_t child : children) {
        int status;
        waitpid(child, &status, 0);
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code > worst) worst = code;
    }
    _exit(worst);
}

void exchange(Rank *me, const float *from, float *to, size_t n, int left, int right) {
    EXPECT(ncclGroupStart() == ncclSuccess);
    EXPECT(ncclSend(from, n, ncclFloat32, right, me->comm, me->stream) == ncclSuccess);
    EXPECT(ncclRecv(to, n, ncclFloat32, left, me->comm, me->stream) == ncclSuccess);
    EXPECT(ncclGroupEnd() == ncclInProgress);
    EXPECT(wait_for(me->comm) == ncclSuccess);
}

// A ring, with more than a socket holds at once, and a sum in place.
void ring_and_sum(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    float *from = new_device<float>(MANY), *to = new_device<float>(MANY), *host = new_pinned<float>(MANY);
    const int left = (me->rank + me->ranks - 1) % me->ranks, right = (me->rank + 1) % me->ranks;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) host[i] = (float)(me->rank * 10 + round + i % 7);
        MUST(cudaMemcpyAsync(from, host, MANY * sizeof(float), cudaMemcpyDefault, me->stream));
        exchange(me, from, to, MANY, left, right);
        MUST(cudaMemcpyAsync(host, to, MANY * sizeof(float), cudaMemcpyDefault, me->stream));
        MUST(cudaStreamSynchronize(me->stream));
        for (int i = 0; i < MANY; i++) EXPECT(host[i] == (float)(left * 10 + round + i % 7));
    }
    const ncclResult_t sum = ncclAllReduce(to, to, 1000, ncclFloat32, ncclSum, me->comm, me->stream);
    EXPECT(sum == ncclInProgress && wait_for(me->comm) == ncclSuccess);
    MUST(cudaMemcpyAsync(host, to, 4000, cudaMemcpyDefault, me->stream));
    MUST(cudaStreamSynchronize(me->stream));
    for (int i = 0; i < 1000; i++) {
        const int ranks = me->ranks;
        EXPECT(host[i] == (float)(ranks * (ranks - 1) / 2 * 10 + ranks * (2 + i % 7)));
    }
    MUST(cudaFree(from));
    MUST(cudaFree(to));
    MUST(cudaFreeHost(host));
    close_rank(me);
}

// What one stream sends does not hold up another.
void other_streams_go_on(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    float *x = new_device<float>(2), *host = new_pinned<float>(1);
    MUST(cudaMemset(x, 0, 8));
    if (me->rank == 0) {
        exchange(me, x, x + 1, 1, 1, 1); // which rank 1 joins after it heard of the other stream
        cudaStream_t other = new_stream();
        MUST(cudaMemcpyAsync(host, x, 4, cudaMemcpyDefault, other));
        MUST(cudaStreamSynchronize(other));
        EXPECT(*host == 0 && cudaStreamQuery(me->stream) == cudaErrorNotReady);
        MUST(cudaStreamDestroy(other));
    } else {
        usleep(50000);
        exchange(me, x, x + 1, 1, 0, 0);
    }
    MUST(cudaStreamSynchronize(me->stream));
    MUST(cudaFree(x));
    MUST(cudaFreeHost(host));
    close_rank(me);
}

// Rank 1 dies; rank 0 hears of it when it asks, and its stream ends when it aborts.
void lose_a_rank(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    if (me->rank == 1) _exit(0);
    float *x = new_device<float>(2);
    exchange(me, x, x + 1, 1, 1, 1);
    ncclResult_t state = ncclSuccess;
    while (state == ncclSuccess) {
        EXPECT(cudaStreamQuery(me->stream) == cudaErrorNotReady);
        EXPECT(ncclCommGetAsyncError(me->comm, &state) == ncclSuccess);
    }
    EXPECT(state == ncclRemoteError && strstr(ncclGetLastError(me->comm), "rank 1"));
    for (int i = 0; i < 10; i++) EXPECT(cudaStreamQuery(me->stream) == cudaErrorNotReady);
    EXPECT(ncclCommAbort(me->comm) == ncclSuccess);
    MUST(cudaStreamSynchronize(me->stream));
    MUST(cudaFree(x));
    MUST(cudaStreamDestroy(me->stream));
}

// The same, where nothing is heard.
void lose_a_rank_silently(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    if (me->rank == 1) _exit(0);
    float *x = new_device<float>(2);
    exchange(me, x, x + 1, 1, 1, 1);
    for (int i = 0; i < 100; i++) {
        ncclResult_t state;
        EXPECT(cudaStreamQuery(me->stream) == cudaErrorNotReady);
        EXPECT(ncclCommGetAsyncError(me->comm, &state) == ncclSuccess && state == ncclSuccess);
    }
    EXPECT(ncclCommAbort(me->comm) == ncclSuccess);
    MUST(cudaStreamSynchronize(me->stream));
    MUST(cudaFree(x));
    MUST(cudaStreamDestroy(me->stream));
}

void unequal_lengths(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    float *x = new_device<float>(8);
    exchange(me, x, x + 4, me->rank == 0 ? 2 : 3, 1 - me->rank, 1 - me->rank);
    ncclResult_t state = ncclSuccess;
    while (state == ncclSuccess) {
        (void)cudaStreamQuery(me->stream);
        EXPECT(ncclCommGetAsyncError(me->comm, &state) == ncclSuccess);
    }
    EXPECT(ncclCommAbort(me->comm) == ncclSuccess);
    MUST(cudaFree(x));
    MUST(cudaStreamDestroy(me->stream));
}

void share_a_gpu(Rank *me, ncclUniqueId id) {
    const int rank = me->rank;
    cudaStream_t stream = new_stream();
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    EXPECT(ncclCommInitRankConfig(&me->comm, 2, id, rank, &config) == ncclInProgress);
    EXPECT(wait_for(me->comm) == ncclInvalidUsage);
    EXPECT(strstr(ncclGetLastError(me->comm), "Duplicate GPU detected"));
    EXPECT(ncclCommAbort(me->comm) == ncclSuccess);
    MUST(cudaStreamDestroy(stream));
}

void one_rank_of_two() {
    ncclUniqueId id;
    EXPECT(ncclGetUniqueId(&id) == ncclSuccess);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t comm;
    ncclResult_t state;
    EXPECT(ncclCommInitRankConfig(&comm, 2, id, 1, &config) == ncclInProgress);
    for (int i = 0; i < 20; i++)
        EXPECT(ncclCommGetAsyncError(comm, &state) == ncclSuccess && state == ncclInProgress);
    EXPECT(ncclCommAbort(comm) == ncclSuccess); // a rank need not wait for good
}

void call_too_soon(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    float *x = new_device<float>(2);
    EXPECT(ncclAllReduce(x, x, 2, ncclFloat32, ncclSum, me->comm, me->stream) == ncclInProgress);
    EXPECT(ncclAllReduce(x, x, 2, ncclFloat32, ncclSum, me->comm, me->stream) == ncclInvalidUsage);
    EXPECT(ncclCommAbort(me->comm) == ncclSuccess);
    MUST(cudaFree(x));
    MUST(cudaStreamDestroy(me->stream));
}

void wrong_arguments(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    float *x = new_device<float>(2), *host = new_pinned<float>(2);
    EXPECT(ncclSend(x, 2, ncclFloat32, 2, me->comm, me->stream) == ncclInvalidArgument);
    EXPECT(ncclSend(host, 2, ncclFloat32, 1 - me->rank, me->comm, me->stream) == ncclInvalidArgument);
    EXPECT(ncclRecv(x, 3, ncclFloat32, 1 - me->rank, me->comm, me->stream) == ncclInvalidArgument);
    EXPECT(ncclGroupEnd() == ncclInvalidUsage);
    MUST(cudaFree(x));
    MUST(cudaFreeHost(host));
    close_rank(me);
}

void second_send_fails(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id) == ncclSuccess);
    float *x = new_device<float>(2);
    exchange(me, x, x + 1, 1, 1 - me->rank, 1 - me->rank);
    EXPECT(ncclSend(x, 1, ncclFloat32, 1 - me->rank, me->comm, me->stream) == ncclSystemError);
    MUST(cudaStreamSynchronize(me->stream));
    MUST(cudaFree(x));
    close_rank(me);
}

void keep_a_communicator(Rank *me, ncclUniqueId id) {
    EXPECT(open_rank(me, id, 1) == ncclSuccess);
    MUST(cudaStreamDestroy(me->stream));
}

void ring_of_3() {
    as_ranks(3, ring_and_sum);
}

template <auto body> void two_ranks() {
    as_ranks(2, body);
}

void test_transfers(void **) {
    must_be_good(ring_of_3, {"LS_FAKE_GPUS=4"});
    must_be_good(two_ranks<ring_and_sum>, {"LS_FAKE_GPUS=4", "LS_FAKE_SCHEDULE=starve:0"});
    must_be_good(two_ranks<other_streams_go_on>, {"LS_FAKE_GPUS=4"});
}

void test_lost_ranks(void **) {
    must_be_good(two_ranks<lose_a_rank>, {"LS_FAKE_GPUS=4"});
    must_be_good(two_ranks<lose_a_rank_silently>, {"LS_FAKE_GPUS=4", "LS_FAKE_NCCL_LOST=hang"});
    must_be_good(one_rank_of_two);
}

void test_mistakes(void **) {
    must_report("receives 12", two_ranks<unequal_lengths>, {"LS_FAKE_GPUS=4"});
    must_report("before the call before was done", two_ranks<call_too_soon>, {"LS_FAKE_GPUS=4"});
    must_report("NCCL writes: 12 bytes at byte 0 of device memory of 8 bytes", two_ranks<wrong_arguments>,
                {"LS_FAKE_GPUS=4"});
    must_report("leak: communicator of rank 1 of 2", two_ranks<keep_a_communicator>, {"LS_FAKE_GPUS=4"});
    must_be_good(two_ranks<share_a_gpu>);
}

void test_injection(void **) {
    must_be_good(two_ranks<second_send_fails>, {"LS_FAKE_GPUS=4", "LS_FAKE_FAIL=ncclSend:2"});
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_lost_ranks),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_injection),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
