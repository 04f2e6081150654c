// Ranges for a profiler: counted by name, and held to nesting.
#include "fake.h"

#include <nvtx3/nvToolsExt.h>

#include <map>
#include <thread>

namespace fake {

namespace {

// Never destroyed, like all that the report at the exit reads.
auto &ranges = *new std::map<std::string, int>;
auto &open_ranges = *new std::map<std::thread::id, std::vector<std::string>>;

void report_ranges() {
    for (const auto &[name, count] : ranges) remark("range %s: %d", name.c_str(), count);
    for (const auto &[thread, names] : open_ranges)
        for (const std::string &name : names) mistake("range %s was never ended", name.c_str());
}

} // namespace

} // namespace fake

using namespace fake;

int nvtxRangePushA(const char *name) {
    Guard guard(lock());
    if (ranges.empty()) at_exit(report_ranges);
    ranges[name]++;
    std::vector<std::string> &mine = open_ranges[std::this_thread::get_id()];
    mine.push_back(name);
    return (int)mine.size() - 1;
}

int nvtxRangePop(void) {
    Guard guard(lock());
    std::vector<std::string> &mine = open_ranges[std::this_thread::get_id()];
    if (mine.empty()) {
        mistake("a range is ended that was not begun");
        return -1;
    }
    mine.pop_back();
    return (int)mine.size();
}
