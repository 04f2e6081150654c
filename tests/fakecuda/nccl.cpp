// A stand-in for NCCL: ranks are processes of one host. What is enqueued is a task of the stream that goes on
// as the other ranks' bytes come. As with NCCL, operations of one communicator run in the order in which they
// were called, a lost rank shows as an error that must be asked for, and nothing ends before ncclCommAbort.
//
// A communicator that does not block makes use of it: whatever it may leave for later, it does leave, until
// it was asked.
#include "fake.h"
#include "nccl_links.h"

#include <nccl.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <sys/random.h>
#include <thread>
#include <unistd.h>
#include <utility>

using namespace fake;

namespace {

struct Operation {
    enum class Kind { send, receive, sum } kind;
    ncclComm *comm;
    cudaStream_t stream;
    const char *from;
    char *to;
    size_t n, bytes;
    int peer;
};

#define NCCL_RESULTS(X)                                                                                      \
    X(ncclSuccess, "no error")                                                                               \
    X(ncclUnhandledCudaError, "unhandled cuda error")                                                        \
    X(ncclSystemError, "unhandled system error")                                                             \
    X(ncclInternalError, "internal error")                                                                   \
    X(ncclInvalidArgument, "invalid argument")                                                               \
    X(ncclInvalidUsage, "invalid usage")                                                                     \
    X(ncclRemoteError, "remote process exited or there was a network error")                                 \
    X(ncclInProgress, "NCCL operation in progress")

} // namespace

// Guarded by the one lock, but for what the thread that meets the others writes before it sets `met`.
struct __attribute__((visibility("hidden"))) ncclComm {
    std::string id;
    int rank, ranks, device;
    bool blocking;
    Links links;
    std::thread meeting;
    std::atomic<bool> stop{false}, met{false};
    std::string wrong; // with the meeting
    ncclResult_t error = ncclSuccess;
    std::string text; // of the last error
    bool aborted = false, finalized = false;
    int asked = 0; // how often since something was left for later
    std::vector<Operation> later;
    uint64_t enqueued = 0, turn = 0; // operations
};

namespace {

auto &comms = *new std::map<ncclComm *, std::shared_ptr<ncclComm>>;

thread_local int group_depth;
thread_local std::vector<Operation> group;
thread_local ncclResult_t group_error;

ncclResult_t result_named(const std::string &text) {
#define X(name, words)                                                                                       \
    if (text == #name || text == std::to_string(name)) return name;
    NCCL_RESULTS(X)
#undef X
    return ncclSystemError;
}

ncclResult_t refuse(ncclComm *comm, ncclResult_t result, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (comm) comm->text = text;
    return result;
}

// The body gets the lock; `handle` may be NULL where the function takes no communicator.
template <typename F> ncclResult_t nccl_call(const char *name, ncclComm *handle, bool needs, F body) {
    Guard guard(lock());
    if (in_host_function) {
        mistake("%s is called in a host function of a stream", name);
        return ncclInvalidUsage;
    }
    const auto place = comms.find(handle);
    if (needs && place == comms.end()) {
        mistake("%s: a communicator that is none, or was destroyed", name);
        return ncclInvalidArgument;
    }
    if (const std::string *text = injection(name))
        return refuse(needs ? handle : nullptr, result_named(*text), "%s was made to fail", name);
    return body(guard);
}

// ---- operations as tasks ----

struct Transfer final : Task {
    std::shared_ptr<ncclComm> comm;
    uint64_t turn;
    std::vector<Operation> operations;
    std::vector<Message> messages;
    std::vector<std::vector<char>> gathered; // of a sum: by rank
    bool started = false;

    Transfer(std::shared_ptr<ncclComm> comm_, std::vector<Operation> operations_)
        : comm(std::move(comm_)), turn(comm->enqueued++), operations(std::move(operations_)) {}

    bool outside() const override {
        return true;
    }

    bool ready() override {
        if (comm->aborted) return true;
        if (comm->error != ncclSuccess || comm->turn != turn) return false;
        if (!started) start();
        std::map<std::pair<uint32_t, bool>, bool> blocked; // messages of one way follow each other
        bool all = true;
        for (Message &message : messages) {
            bool &waits = blocked[{message.peer, message.sends}];
            if (message.state == Message::State::moving && !waits) move_on(&message);
            waits |= message.state != Message::State::done;
            all &= !waits;
            if (message.state == Message::State::lost) lose(message);
            if (message.state == Message::State::unequal) complain(message);
        }
        return all && comm->error == ncclSuccess;
    }

    bool step() override {
        if (!comm->aborted)
            for (const Operation &operation : operations)
                if (operation.kind == Operation::Kind::sum) add_up(operation);
        comm->turn = std::max(comm->turn, turn + 1);
        return true;
    }

  private:
    void start() {
        started = true;
        if (const std::string *text = injection("ncclTransfer")) {
            comm->error = result_named(*text);
            comm->text = "a transfer was made to fail";
            return;
        }
        for (const Operation &operation : operations)
            if (operation.kind == Operation::Kind::sum)
                start_sum(operation);
            else
                start_message(operation);
    }

    void add_message(int peer, bool sends, char *data, size_t bytes) {
        messages.push_back({comm->links.sockets[(size_t)peer], (uint32_t)peer, sends, data, bytes});
    }

    void start_message(const Operation &operation) {
        const bool sends = operation.kind == Operation::Kind::send;
        if (!sends) memset(operation.to, 0xff, operation.bytes);
        add_message(operation.peer, sends, sends ? (char *)operation.from : operation.to, operation.bytes);
    }

    void start_sum(const Operation &operation) { // everybody gets everything, and adds for itself
        gathered.resize((size_t)comm->ranks);
        for (int rank = 0; rank < comm->ranks; rank++) {
            std::vector<char> &data = gathered[(size_t)rank];
            data.resize(operation.bytes);
            if (rank == comm->rank) memcpy(data.data(), operation.from, operation.bytes);
        }
        for (int rank = 0; rank < comm->ranks; rank++) {
            if (rank == comm->rank) continue;
            add_message(rank, true, gathered[(size_t)comm->rank].data(), operation.bytes);
            add_message(rank, false, gathered[(size_t)rank].data(), operation.bytes);
        }
    }

    void add_up(const Operation &operation) { // in the order of ranks
        float *to = (float *)operation.to;
        memcpy(to, gathered[0].data(), operation.bytes);
        for (size_t rank = 1; rank < gathered.size(); rank++) {
            const float *from = (const float *)gathered[rank].data();
            for (size_t i = 0; i < operation.n; i++) to[i] += from[i];
        }
    }

    void lose(const Message &message) {
        static const bool silent = strcmp(setting("LS_FAKE_NCCL_LOST", "error"), "hang") == 0;
        if (silent) return;
        comm->error = ncclRemoteError;
        comm->text = "rank " + std::to_string(message.peer) + " closed its connection";
    }

    void complain(const Message &message) {
        comm->error = ncclInvalidUsage;
        comm->text = "rank " + std::to_string(message.peer) + " sends " + std::to_string(message.length) +
                     " bytes to rank " + std::to_string(comm->rank) + ", which receives " +
                     std::to_string(message.bytes);
        mistake("NCCL: %s", comm->text.c_str());
    }
};

// Operations of one group, of one communicator, become one task.
ncclResult_t enqueue_operations(ncclComm *comm, std::vector<Operation> operations) {
    Stream *stream = stream_of(operations[0].stream);
    if (!stream) return refuse(comm, ncclInvalidArgument, "not a stream");
    if (stream->capture) {
        invalidate(stream);
        return refuse(comm, ncclInvalidUsage, "the stand-in captures no NCCL operation");
    }
    for (const Operation &operation : operations) {
        if (operation.stream != operations[0].stream)
            return refuse(comm, ncclInvalidUsage, "the stand-in takes a group for one stream only");
        if (operation.kind == Operation::Kind::sum && operations.size() > 1)
            return refuse(comm, ncclInvalidUsage, "the stand-in takes a sum in no group with others");
    }
    enqueue(stream, std::make_unique<Transfer>(comms[comm], std::move(operations)));
    return ncclSuccess;
}

ncclResult_t begin_operations(std::vector<Operation> operations) {
    std::map<ncclComm *, std::vector<Operation>> by_comm;
    ncclResult_t result = ncclSuccess;
    for (const Operation &operation : operations) by_comm[operation.comm].push_back(operation);
    for (auto &[comm, list] : by_comm) {
        ncclResult_t one;
        if (comm->blocking) {
            one = enqueue_operations(comm, std::move(list));
        } else {
            comm->later = std::move(list);
            comm->asked = 0;
            one = ncclInProgress;
        }
        if (one != ncclSuccess) result = one;
    }
    return result;
}

size_t bytes_of(ncclDataType_t type) {
    switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclFloat16:
    case ncclBfloat16: return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32: return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64: return 8;
    }
    return 0;
}

ncclResult_t usable(ncclComm *comm) {
    if (!comm->met || comm->meeting.joinable() || !comm->later.empty()) {
        mistake("NCCL is called before the call before was done (ncclInProgress)");
        return refuse(comm, ncclInvalidUsage, "the communicator is not ready");
    }
    if (comm->finalized) return refuse(comm, ncclInvalidUsage, "the communicator is finalized");
    return comm->error;
}

ncclResult_t add_operation(Operation operation, ncclDataType_t type) {
    ncclComm *comm = operation.comm;
    operation.bytes = operation.n * bytes_of(type);
    ncclResult_t result = usable(comm);
    if (result == ncclSuccess && (operation.peer < 0 || operation.peer >= comm->ranks))
        result = refuse(comm, ncclInvalidArgument, "there is no rank %d", operation.peer);
    if (result == ncclSuccess && operation.kind != Operation::Kind::sum && operation.peer == comm->rank)
        result = refuse(comm, ncclInvalidUsage, "the stand-in sends nothing to its own rank");
    if (result == ncclSuccess && operation.bytes > 0 &&
        ((operation.from && !is_device_memory(operation.from, operation.bytes, "NCCL reads")) ||
         (operation.to && !is_device_memory(operation.to, operation.bytes, "NCCL writes"))))
        result = refuse(comm, ncclInvalidArgument, "not device memory");
    if (result != ncclSuccess) {
        group_error = result;
        return result;
    }
    if (group_depth == 0) return begin_operations({operation});
    group.push_back(operation);
    return ncclSuccess;
}

// ---- the state of a communicator ----

bool has_work(ncclComm *comm) {
    return comm->turn < comm->enqueued;
}

// What has become of what was left for later: ncclInProgress until it was asked for a few times.
ncclResult_t progress(ncclComm *comm) {
    if (!comm->met) return ncclInProgress;
    if (comm->meeting.joinable()) {
        if (comm->asked++ < 2) return ncclInProgress;
        comm->meeting.join();
        if (!comm->wrong.empty()) {
            comm->error = comm->wrong.find("Duplicate") == 0 ? ncclInvalidUsage : ncclRemoteError;
            comm->text = comm->wrong;
        }
    }
    if (comm->error != ncclSuccess) return comm->error;
    if (!comm->later.empty()) {
        if (comm->asked++ < 1) return ncclInProgress;
        comm->error = enqueue_operations(comm, std::exchange(comm->later, {}));
        return comm->error;
    }
    if (comm->finalized && has_work(comm)) {
        open_device_memory(true);
        run_some();
        open_device_memory(false);
        return has_work(comm) ? ncclInProgress : comm->error;
    }
    if (comm->finalized && comm->asked++ < 1) return ncclInProgress;
    return ncclSuccess;
}

void forget(ncclComm *comm) {
    comm->stop = true;
    if (comm->meeting.joinable()) comm->meeting.join();
    comms.erase(comm);
}

void report_leaks() {
    for (const auto &[handle, comm] : comms) {
        mistake("leak: communicator of rank %d of %d", comm->rank, comm->ranks);
        comm->stop = true;
        if (comm->meeting.joinable()) comm->meeting.join();
    }
}

Hello hello_of(const ncclComm &comm) {
    Hello me = {(uint32_t)comm.rank, (uint32_t)comm.ranks, {}};
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    snprintf(me.gpu, sizeof me.gpu, "%.60s.%ld CUDA device %x000", setting("NCCL_HOSTID", host),
             setting_number("LS_FAKE_HOST", 0), comm.device + 1);
    return me;
}

void begin_meeting(ncclComm *comm, int listening) {
    comm->meeting = std::thread([comm, listening] {
        comm->wrong = meet(&comm->links, listening, comm->id, hello_of(*comm), &comm->stop);
        comm->met = true;
    });
}

} // namespace

ncclResult_t ncclGetVersion(int *version) {
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
    switch (result) {
#define X(name, words)                                                                                       \
    case name: return words;
        NCCL_RESULTS(X)
#undef X
    }
    return "unknown result code";
}

const char *ncclGetLastError(ncclComm_t comm) {
    Guard guard(lock());
    return comms.count(comm) ? comm->text.c_str() : "";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    return nccl_call("ncclGetUniqueId", nullptr, false, [&](Guard &) {
        uint64_t random[2] = {};
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return ncclSystemError;
        memset(id, 0, sizeof *id);
        snprintf(id->internal, sizeof id->internal, "%016llx%016llx", (unsigned long long)random[0],
                 (unsigned long long)random[1]);
        return ncclSuccess;
    });
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *handle, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
    *handle = nullptr;
    return nccl_call("ncclCommInitRankConfig", nullptr, false, [&](Guard &guard) {
        if (!config || config->magic != 0xcafebeef || config->size != sizeof *config)
            return ncclInvalidArgument;
        if (ranks < 1 || rank < 0 || rank >= ranks) return ncclInvalidArgument;
        if (driver_error() != cudaSuccess) return ncclUnhandledCudaError;
        const auto comm = std::make_shared<ncclComm>();
        comm->id.assign(id.internal, strnlen(id.internal, sizeof id.internal));
        comm->rank = rank;
        comm->ranks = ranks;
        comm->device = current_device();
        comm->blocking = config->blocking != 0;
        const int listening = listen_as(comm->id, (uint32_t)rank);
        if (listening < 0) return ncclSystemError;
        static bool first = true;
        if (std::exchange(first, false)) at_exit(report_leaks);
        begin_meeting(comm.get(), listening);
        comms[comm.get()] = comm;
        *handle = comm.get();
        if (!comm->blocking) return ncclInProgress;
        guard.unlock();
        comm->meeting.join();
        guard.lock();
        if (comm->wrong.empty()) return ncclSuccess;
        comm->error = ncclRemoteError;
        return refuse(comm.get(), ncclRemoteError, "%s", comm->wrong.c_str());
    });
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    return nccl_call("ncclCommGetAsyncError", comm, true, [&](Guard &) {
        *error = progress(comm);
        return ncclSuccess;
    });
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    return nccl_call("ncclCommFinalize", comm, true, [&](Guard &guard) {
        if (const ncclResult_t result = usable(comm); result != ncclSuccess) return result;
        comm->finalized = true;
        comm->asked = 0;
        if (!comm->blocking) return ncclInProgress;
        run_until(guard, [&] { return !has_work(comm) || comm->error != ncclSuccess; });
        return comm->error;
    });
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    return nccl_call("ncclCommDestroy", comm, true, [&](Guard &) {
        if (has_work(comm) || (!comm->blocking && !comm->finalized))
            mistake("ncclCommDestroy of a communicator that is not finalized");
        forget(comm);
        return ncclSuccess;
    });
}

// What is on streams ends, undone.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    return nccl_call("ncclCommAbort", comm, true, [&](Guard &) {
        comm->aborted = true;
        const std::shared_ptr<ncclComm> kept = comms[comm];
        forget(comm);
        for (int &socket : kept->links.sockets)
            if (socket >= 0) close(std::exchange(socket, -1));
        changed().notify_all();
        return ncclSuccess;
    });
}

ncclResult_t ncclGroupStart() {
    return nccl_call("ncclGroupStart", nullptr, false, [](Guard &) {
        if (group_depth++ == 0) {
            group.clear();
            group_error = ncclSuccess;
        }
        return ncclSuccess;
    });
}

ncclResult_t ncclGroupEnd() {
    return nccl_call("ncclGroupEnd", nullptr, false, [](Guard &) {
        if (group_depth == 0) return ncclInvalidUsage;
        if (--group_depth > 0) return ncclSuccess;
        if (group_error != ncclSuccess) return group_error;
        return group.empty() ? ncclSuccess : begin_operations(std::exchange(group, {}));
    });
}

ncclResult_t ncclSend(const void *data, size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return nccl_call("ncclSend", comm, true, [&](Guard &) {
        return add_operation({Operation::Kind::send, comm, stream, (const char *)data, nullptr, n, 0, peer},
                             type);
    });
}

ncclResult_t ncclRecv(void *data, size_t n, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return nccl_call("ncclRecv", comm, true, [&](Guard &) {
        return add_operation({Operation::Kind::receive, comm, stream, nullptr, (char *)data, n, 0, peer},
                             type);
    });
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
    return nccl_call("ncclAllReduce", comm, true, [&](Guard &) {
        if (type != ncclFloat32 || op != ncclSum)
            return refuse(comm, ncclInvalidArgument, "the stand-in sums f32 alone");
        return add_operation({Operation::Kind::sum, comm, stream, (const char *)from, (char *)to, n, 0, 0},
                             type);
    });
}
