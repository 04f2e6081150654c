// Connections between the ranks of a communicator: processes of one host, over sockets in the abstract
// namespace.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#pragma GCC visibility push(hidden)

namespace fake {

// Who a rank is: sent to every other one at first.
struct Hello {
    uint32_t rank, ranks;
    char gpu[128]; // host and GPU: no two ranks may have the same
};

struct Links {
    std::vector<int> sockets; // to each rank; -1 to itself
    std::vector<Hello> hellos;
    ~Links();
};

// The socket at which a rank of the communicator `id` is called; others may call as soon as it is made.
int listen_as(const std::string &id, uint32_t rank);
// Meets the others, which may take as long as they like to come; "" or what is wrong. Ends early when `stop`
// is set.
std::string meet(Links *links, int listening, const std::string &id, const Hello &me,
                 const std::atomic<bool> *stop);

// A message on its way, without waiting: its length goes before it, so that the ends notice if they disagree.
struct Message {
    int socket;
    uint32_t peer;
    bool sends;
    char *data;
    uint64_t bytes;
    uint64_t length = 0; // as the sender says
    size_t moved = 0;    // of length and data together
    enum class State { moving, done, lost, unequal } state = State::moving;
};

void move_on(Message *message); // as far as it goes now

} // namespace fake

#pragma GCC visibility pop
