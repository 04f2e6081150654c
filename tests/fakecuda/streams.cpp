// Streams and events: what is enqueued, and what waits for what.
#include "fake.h"

#include <algorithm>
#include <map>

namespace fake {

namespace {

struct BodyTask final : Task {
    Stream *stream;
    Body body;
    BodyTask(Stream *stream_, Body body_) : stream(stream_), body(std::move(body_)) {}
    bool step() override {
        run_body(stream, body);
        return true;
    }
};

struct RecordTask final : Task {
    std::shared_ptr<Record> record;
    explicit RecordTask(std::shared_ptr<Record> record_) : record(std::move(record_)) {}
    bool step() override {
        record->done = true;
        return true;
    }
};

struct WaitTask final : Task {
    std::shared_ptr<Record> record;
    explicit WaitTask(std::shared_ptr<Record> record_) : record(std::move(record_)) {}
    bool ready() override {
        return record->done;
    }
    bool step() override {
        return true;
    }
};

int created_streams, created_events;
// Never destroyed, like all that the report at the exit reads.
auto &events = *new std::vector<std::unique_ptr<Event>>;

Event *event_of(cudaEvent_t handle) {
    for (const auto &event : events)
        if (event.get() == (Event *)handle) return event.get();
    mistake("an event that is none, or was destroyed");
    return nullptr;
}

// Waits are numbered by their pair of stream and event, from 1 on, in the order of the first wait; those of
// pair number LS_FAKE_SKIP_WAIT are left out, so that a test can see what each is for.
auto &waits = *new std::map<std::pair<int, int>, int>;

void report_waits() {
    remark("waits: %zu", waits.size());
}

// How often the host waited; how often it span; and how often work was there for the GPU when it had waited
// for an event.
struct HostWaits {
    int all, spun, with_work_behind;
} host_waits;

void report_host_waits() {
    remark("the host waited: %d, spinning: %d, with work behind: %d", host_waits.all, host_waits.spun,
           host_waits.with_work_behind);
}

void look_behind_wait() {
    host_waits.with_work_behind +=
        std::any_of(streams().begin(), streams().end(), [](const auto &stream) { return !stream->idle(); });
}

bool is_left_out(const Stream *stream, const Event *event) {
    static const long left_out = setting_number("LS_FAKE_SKIP_WAIT", 0);
    if (waits.empty()) at_exit(report_waits);
    const auto [place, first] = waits.try_emplace({stream->number, event->number}, (int)waits.size() + 1);
    if (first) remark("wait %d: stream %d for event %d", place->second, stream->number, event->number);
    return place->second == left_out;
}

void report_leaks() {
    for (const auto &stream : streams())
        if (!stream->destroyed) mistake("leak: stream %d", stream->number);
    for (const auto &event : events) mistake("leak: event %d", event->number);
}

} // namespace

std::vector<std::unique_ptr<Stream>> &streams() {
    static auto *all = new std::vector<std::unique_ptr<Stream>>;
    return *all;
}

void count_host_wait(bool sleeps) {
    if (host_waits.all++ == 0) at_exit(report_host_waits);
    host_waits.spun += !sleeps;
}

Stream *stream_of(cudaStream_t handle) {
    if (!handle) {
        mistake("the default stream is used: it waits for other streams, or they for it");
        return nullptr;
    }
    for (const auto &stream : streams())
        if (stream.get() == (Stream *)handle && !stream->destroyed) return stream.get();
    mistake("a stream that is none, or was destroyed");
    return nullptr;
}

cudaError_t submit(cudaStream_t handle, Body body) {
    Stream *stream = stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) return capture_body(stream, std::move(body));
    enqueue(stream, std::make_unique<BodyTask>(stream, std::move(body)));
    return cudaSuccess;
}

cudaError_t drain(Guard &guard) {
    return run_until(guard, [] {
        return std::all_of(streams().begin(), streams().end(),
                           [](const auto &stream) { return stream->idle(); });
    });
}

} // namespace fake

using namespace fake;

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *handle, unsigned flags, int priority) {
    (void)priority; // the schedule knows none: an order that only a priority keeps is none
    return call("cudaStreamCreate", [&](Guard &) {
        if (flags & ~(unsigned)cudaStreamNonBlocking) return cudaErrorInvalidValue;
        if (created_streams == 0) at_exit(report_leaks);
        auto stream = std::make_unique<Stream>();
        stream->number = created_streams++;
        stream->device = current_device();
        stream->blocking = flags == cudaStreamDefault;
        *handle = (cudaStream_t)stream.get();
        streams().push_back(std::move(stream));
        return cudaSuccess;
    });
}

// What is enqueued still runs.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    return call("cudaStreamDestroy", [&](Guard &) {
        Stream *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capture) invalidate(stream);
        stream->capture.reset();
        stream->destroyed = true;
        if (!stream->idle()) return cudaSuccess;
        auto &all = streams();
        all.erase(
            std::find_if(all.begin(), all.end(), [&](const auto &each) { return each.get() == stream; }));
        return cudaSuccess;
    });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    return call("cudaStreamSynchronize", [&](Guard &guard) {
        Stream *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capture) {
            invalidate(stream);
            return cudaErrorStreamCaptureUnsupported;
        }
        count_host_wait(waits_sleep());
        return run_until(guard, [&] { return stream->idle(); });
    });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
    return call("cudaStreamQuery", [&](Guard &) {
        Stream *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capture) {
            invalidate(stream);
            return cudaErrorStreamCaptureUnsupported;
        }
        open_device_memory(true);
        run_some();
        open_device_memory(false);
        if (context_error() != cudaSuccess) return context_error();
        return stream->idle() ? cudaSuccess : cudaErrorNotReady;
    });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream_handle, cudaEvent_t event_handle, unsigned flags) {
    return call("cudaStreamWaitEvent", [&](Guard &) {
        Stream *stream = stream_of(stream_handle);
        Event *event = event_of(event_handle);
        if (!stream || !event) return cudaErrorInvalidResourceHandle;
        if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
        if (is_left_out(stream, event)) return cudaSuccess;
        if (stream->capture || event->capture.lock()) return capture_wait(stream, event);
        if (event->last) enqueue(stream, std::make_unique<WaitTask>(event->last));
        return cudaSuccess;
    });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *argument) {
    return call("cudaLaunchHostFunc", [&](Guard &) {
        const auto run = [function, argument] {
            function(argument);
            return cudaSuccess;
        };
        return submit(stream, {"host function", run, true});
    });
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *handle, unsigned flags) {
    return call("cudaEventCreate", [&](Guard &) {
        if (flags & ~(unsigned)(cudaEventBlockingSync | cudaEventDisableTiming)) return cudaErrorInvalidValue;
        auto event = std::make_unique<Event>();
        event->number = created_events++;
        event->timing = !(flags & cudaEventDisableTiming);
        event->sleeps = (flags & cudaEventBlockingSync) != 0;
        *handle = (cudaEvent_t)event.get();
        events.push_back(std::move(event));
        return cudaSuccess;
    });
}

// Waits for its records still wait.
cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    return call("cudaEventDestroy", [&](Guard &) {
        Event *event = event_of(handle);
        if (!event) return cudaErrorInvalidResourceHandle;
        events.erase(std::find_if(events.begin(), events.end(),
                                  [&](const auto &each) { return each.get() == event; }));
        return cudaSuccess;
    });
}

cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t stream_handle) {
    return call("cudaEventRecord", [&](Guard &) {
        Stream *stream = stream_of(stream_handle);
        Event *event = event_of(event_handle);
        if (!stream || !event) return cudaErrorInvalidResourceHandle;
        if (stream->capture) return capture_record(stream, event);
        event->capture.reset();
        event->last = std::make_shared<Record>();
        enqueue(stream, std::make_unique<RecordTask>(event->last));
        return cudaSuccess;
    });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
    return call("cudaEventQuery", [&](Guard &) {
        Event *event = event_of(handle);
        if (!event) return cudaErrorInvalidResourceHandle;
        if (event->capture.lock()) return cudaErrorCapturedEvent;
        open_device_memory(true);
        run_some();
        open_device_memory(false);
        if (context_error() != cudaSuccess) return context_error();
        return !event->last || event->last->done ? cudaSuccess : cudaErrorNotReady;
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
    return call("cudaEventSynchronize", [&](Guard &guard) {
        Event *event = event_of(handle);
        if (!event) return cudaErrorInvalidResourceHandle;
        if (event->capture.lock()) return cudaErrorCapturedEvent;
        const std::shared_ptr<Record> record = event->last;
        count_host_wait(event->sleeps);
        const cudaError_t error = run_until(guard, [&] { return !record || record->done; });
        look_behind_wait();
        return error;
    });
}

// There is no time here: 1 ms, whatever lies between.
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start_handle, cudaEvent_t end_handle) {
    return call("cudaEventElapsedTime", [&](Guard &) {
        const Event *start = event_of(start_handle), *end = event_of(end_handle);
        if (!start || !end || !start->timing || !end->timing || !start->last || !end->last)
            return cudaErrorInvalidResourceHandle;
        if (!start->last->done || !end->last->done) return cudaErrorNotReady;
        *milliseconds = 1.0f;
        return cudaSuccess;
    });
}
