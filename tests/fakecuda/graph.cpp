// Stream capture and graphs. A captured stream's work becomes nodes; a node follows the last nodes of its
// stream, and those of events that the stream waited for. A launched graph runs its nodes in any order that
// keeps to that.
#include "fake.h"

#include <algorithm>
#include <map>
#include <thread>

namespace fake {

namespace {

struct Node {
    Body body;
    std::vector<size_t> after;
};

using Nodes = std::vector<Node>;

} // namespace

struct Capture {
    enum cudaStreamCaptureMode mode;
    std::thread::id thread;
    Stream *origin;
    bool valid = true;
    Nodes nodes;
    std::map<Stream *, std::vector<size_t>>
        last; // of each stream that takes part: the nodes that its next one follows
};

namespace {

struct Graph {
    Nodes nodes;
};

struct Exec {
    std::shared_ptr<const Nodes> nodes;
    std::shared_ptr<bool> running = std::make_shared<bool>(false); // launches of one graph exclude each other
};

auto &graphs = *new std::vector<std::unique_ptr<Graph>>;
auto &execs = *new std::vector<std::unique_ptr<Exec>>;
auto &captures = *new std::vector<std::weak_ptr<Capture>>;

template <typename T>
T *find(const std::vector<std::unique_ptr<T>> &all, const void *handle, const char *what) {
    for (const auto &each : all)
        if (each.get() == handle) return each.get();
    mistake("%s that is none, or was destroyed", what);
    return nullptr;
}

template <typename T> void erase(std::vector<std::unique_ptr<T>> &all, const T *which) {
    all.erase(std::find_if(all.begin(), all.end(), [&](const auto &each) { return each.get() == which; }));
}

void report_leaks() {
    for (const auto &graph : graphs) mistake("leak: graph of %zu nodes", graph->nodes.size());
    for (const auto &exec : execs) mistake("leak: graph ready to run of %zu nodes", exec->nodes->size());
}

void watch_leaks() {
    static bool watched = false;
    if (!watched) at_exit(report_leaks);
    watched = true;
}

struct GraphTask final : Task {
    Stream *stream;
    std::shared_ptr<const Nodes> nodes;
    std::shared_ptr<bool> running;
    bool started = false;
    std::vector<bool> done;
    std::vector<size_t> waiting; // nodes that have not run

    GraphTask(Stream *stream_, const Exec &exec)
        : stream(stream_), nodes(exec.nodes), running(exec.running), done(nodes->size()) {
        for (size_t i = 0; i < nodes->size(); i++) waiting.push_back(i);
    }
    ~GraphTask() override {
        if (started) *running = false;
    }
    bool ready() override {
        return started || !*running;
    }
    bool can_run(size_t node) const {
        const auto &after = (*nodes)[node].after;
        return std::all_of(after.begin(), after.end(), [&](size_t earlier) { return done[earlier]; });
    }
    bool step() override {
        started = *running = true;
        if (waiting.empty()) return true;
        std::vector<size_t>
            runnable; // places in `waiting`; one follows another where a stream was captured alone
        for (size_t i = 0; i < waiting.size() && i < 64; i++)
            if (can_run(waiting[i])) runnable.push_back(i);
        const size_t place = runnable[runnable.size() == 1 ? 0 : random_number() % runnable.size()];
        const size_t node = waiting[place];
        waiting.erase(waiting.begin() + (ptrdiff_t)place);
        run_body(stream, (*nodes)[node].body);
        done[node] = true;
        return waiting.empty();
    }
};

void end_for_all_streams(const Capture *capture) {
    for (const auto &stream : streams())
        if (stream->capture.get() == capture) stream->capture.reset();
}

bool is_joined(const Capture &capture, const std::vector<size_t> &last) {
    // Every node must lead to the last ones of the stream that began.
    std::vector<bool> reached(capture.nodes.size());
    for (size_t node : last) reached[node] = true;
    for (size_t i = capture.nodes.size(); i-- > 0;)
        if (reached[i])
            for (size_t earlier : capture.nodes[i].after) reached[earlier] = true;
    return std::all_of(reached.begin(), reached.end(), [](bool each) { return each; });
}

} // namespace

cudaError_t capture_body(Stream *stream, Body body) {
    Capture &capture = *stream->capture;
    if (!capture.valid) return cudaErrorStreamCaptureInvalidated;
    std::vector<size_t> &last = capture.last[stream];
    capture.nodes.push_back({std::move(body), last});
    last = {capture.nodes.size() - 1};
    return cudaSuccess;
}

cudaError_t capture_record(Stream *stream, Event *event) {
    if (!stream->capture->valid) return cudaErrorStreamCaptureInvalidated;
    event->capture = stream->capture;
    event->nodes = stream->capture->last[stream];
    return cudaSuccess;
}

cudaError_t capture_wait(Stream *stream, Event *event) {
    const std::shared_ptr<Capture> capture = event->capture.lock();
    if (!capture) { // a captured stream would wait for work that is none of the graph's
        if (!event->last) return cudaSuccess;
        invalidate(stream);
        return cudaErrorStreamCaptureIsolation;
    }
    if (stream->capture && stream->capture != capture) {
        invalidate(stream);
        capture->valid = false;
        return cudaErrorStreamCaptureIsolation;
    }
    if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
    stream->capture = capture;
    std::vector<size_t> &last = capture->last[stream];
    for (size_t node : event->nodes)
        if (std::find(last.begin(), last.end(), node) == last.end()) last.push_back(node);
    return cudaSuccess;
}

void invalidate(Stream *stream) {
    if (stream->capture) stream->capture->valid = false;
}

cudaError_t forbid_in_capture() {
    cudaError_t error = cudaSuccess;
    for (const auto &each : captures) {
        const std::shared_ptr<Capture> capture = each.lock();
        if (!capture || capture->mode == cudaStreamCaptureModeRelaxed) continue;
        const bool minds =
            capture->mode == cudaStreamCaptureModeGlobal || capture->thread == std::this_thread::get_id();
        if (!minds) continue;
        capture->valid = false;
        error = cudaErrorStreamCaptureUnsupported;
    }
    return error;
}

} // namespace fake

using namespace fake;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    return call("cudaStreamBeginCapture", [&](Guard &) {
        Stream *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capture) return cudaErrorInvalidValue;
        auto capture = std::make_shared<Capture>();
        capture->mode = mode;
        capture->thread = std::this_thread::get_id();
        capture->origin = stream;
        capture->last[stream] = {};
        captures.erase(
            std::remove_if(captures.begin(), captures.end(), [](const auto &old) { return old.expired(); }),
            captures.end());
        captures.push_back(capture);
        stream->capture = std::move(capture);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph_handle) {
    return call("cudaStreamEndCapture", [&](Guard &) {
        *graph_handle = nullptr;
        Stream *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        const std::shared_ptr<Capture> capture = stream->capture;
        if (!capture || capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
        end_for_all_streams(capture.get());
        if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
        if (!is_joined(*capture, capture->last[stream])) return cudaErrorStreamCaptureUnjoined;
        watch_leaks();
        graphs.push_back(std::make_unique<Graph>(Graph{std::move(capture->nodes)}));
        *graph_handle = (cudaGraph_t)graphs.back().get();
        return cudaSuccess;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, enum cudaStreamCaptureStatus *status) {
    return call("cudaStreamIsCapturing", [&](Guard &) {
        const Stream *stream = stream_of(handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        *status = cudaStreamCaptureStatusNone;
        if (stream->capture)
            *status =
                stream->capture->valid ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusInvalidated;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t *nodes, size_t *n) {
    return call("cudaGraphGetNodes", [&](Guard &) {
        const Graph *graph = find(graphs, handle, "a graph");
        if (!graph || nodes) return cudaErrorInvalidValue;
        *n = graph->nodes.size();
        return cudaSuccess;
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *handle, cudaGraph_t graph_handle,
                                 unsigned long long flags) {
    return call("cudaGraphInstantiate", [&](Guard &) {
        *handle = nullptr;
        const Graph *graph = find(graphs, graph_handle, "a graph");
        if (!graph || flags != 0) return cudaErrorInvalidValue;
        execs.push_back(std::make_unique<Exec>());
        execs.back()->nodes = std::make_shared<Nodes>(graph->nodes);
        *handle = (cudaGraphExec_t)execs.back().get();
        return cudaSuccess;
    });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t handle, cudaStream_t stream) {
    return call("cudaGraphUpload", [&](Guard &) {
        return find(execs, handle, "a graph") && stream_of(stream) ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle) {
    return call("cudaGraphLaunch", [&](Guard &) {
        Stream *stream = stream_of(stream_handle);
        const Exec *exec = find(execs, handle, "a graph");
        if (!stream || !exec) return cudaErrorInvalidValue;
        if (stream->capture) { // a graph in a graph: not offered
            invalidate(stream);
            return cudaErrorNotSupported;
        }
        enqueue(stream, std::make_unique<GraphTask>(stream, *exec));
        return cudaSuccess;
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle) {
    return call("cudaGraphDestroy", [&](Guard &) {
        const Graph *graph = find(graphs, handle, "a graph");
        if (!graph) return cudaErrorInvalidValue;
        erase(graphs, graph);
        return cudaSuccess;
    });
}

// A launch that was made still runs.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle) {
    return call("cudaGraphExecDestroy", [&](Guard &) {
        const Exec *exec = find(execs, handle, "a graph");
        if (!exec) return cudaErrorInvalidValue;
        erase(execs, exec);
        return cudaSuccess;
    });
}
