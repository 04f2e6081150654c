#include "nccl_links.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace fake {

namespace {

constexpr int PAUSE_US = 1000, BUFFER = 1 << 20;

socklen_t address_of(const std::string &id, uint32_t rank, sockaddr_un *address) {
    const std::string name = "lockstep-fake-nccl-" + id + "-" + std::to_string(rank);
    *address = {};
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name.data(),
           std::min(name.size(), sizeof address->sun_path - 1)); // 0 first: abstract
    return (socklen_t)(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

int new_socket() {
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0) return made;
    setsockopt(made, SOL_SOCKET, SO_SNDBUF, &BUFFER, sizeof BUFFER);
    return made;
}

// Until the other one listens.
int call(const std::string &id, uint32_t rank, const std::atomic<bool> *stop) {
    sockaddr_un address;
    const socklen_t length = address_of(id, rank, &address);
    while (!*stop) {
        const int made = new_socket();
        if (made < 0 || connect(made, (sockaddr *)&address, length) == 0) return made;
        close(made);
        usleep(PAUSE_US);
    }
    return -1;
}

int answer(int listening, const std::atomic<bool> *stop) {
    while (!*stop) {
        pollfd waiting = {listening, POLLIN, 0};
        if (poll(&waiting, 1, 20) <= 0) continue;
        const int made = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
        if (made >= 0) setsockopt(made, SOL_SOCKET, SO_SNDBUF, &BUFFER, sizeof BUFFER);
        return made;
    }
    return -1;
}

bool exchange_hellos(int socket, const Hello &me, Hello *other, const std::atomic<bool> *stop) {
    if (send(socket, &me, sizeof me, MSG_NOSIGNAL) != (ssize_t)sizeof me) return false;
    pollfd waiting = {socket, POLLIN, 0};
    while (poll(&waiting, 1, 20) <= 0) // the other one may have been called before it answers
        if (*stop) return false;
    return recv(socket, other, sizeof *other, MSG_WAITALL) == (ssize_t)sizeof *other;
}

std::string add_link(Links *links, int socket, const Hello &me, const std::atomic<bool> *stop) {
    Hello other;
    if (socket < 0 || !exchange_hellos(socket, me, &other, stop)) {
        if (socket >= 0) close(socket);
        return "a rank was lost while the communicator was made";
    }
    if (other.ranks != me.ranks || other.rank >= me.ranks || links->sockets[other.rank] >= 0) {
        close(socket);
        return "ranks do not agree who they are";
    }
    links->sockets[other.rank] = socket;
    links->hellos[other.rank] = other;
    return "";
}

std::string same_gpu(const Links &links) {
    for (size_t a = 0; a < links.hellos.size(); a++)
        for (size_t b = 0; b < a; b++)
            if (strcmp(links.hellos[a].gpu, links.hellos[b].gpu) == 0)
                return "Duplicate GPU detected : rank " + std::to_string(b) + " and rank " +
                       std::to_string(a) + " both on " + links.hellos[a].gpu;
    return "";
}

// Bytes that could be moved; 0: none now; -1: the other end is gone.
ssize_t move_bytes(const Message &message, char *data, size_t bytes) {
    if (bytes == 0) return 0;
    const ssize_t n = message.sends ? send(message.socket, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
                                    : recv(message.socket, data, bytes, MSG_DONTWAIT);
    if (n > 0) return n;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

} // namespace

Links::~Links() {
    for (int socket : sockets)
        if (socket >= 0) close(socket);
}

int listen_as(const std::string &id, uint32_t rank) {
    sockaddr_un address;
    const socklen_t length = address_of(id, rank, &address);
    const int made = new_socket();
    if (made >= 0 && bind(made, (sockaddr *)&address, length) == 0 && listen(made, 1024) == 0) return made;
    if (made >= 0) close(made);
    return -1;
}

std::string meet(Links *links, int listening, const std::string &id, const Hello &me,
                 const std::atomic<bool> *stop) {
    std::string wrong;
    links->sockets.assign(me.ranks, -1);
    links->hellos.resize(me.ranks);
    links->hellos[me.rank] = me;
    for (uint32_t rank = 0; rank < me.rank && wrong.empty(); rank++)
        wrong = add_link(links, call(id, rank, stop), me, stop);
    for (uint32_t rank = me.rank + 1; rank < me.ranks && wrong.empty(); rank++)
        wrong = add_link(links, answer(listening, stop), me, stop);
    close(listening);
    return wrong.empty() ? same_gpu(*links) : wrong;
}

void move_on(Message *message) {
    const size_t whole = sizeof message->length + message->bytes;
    if (message->sends) message->length = message->bytes;
    while (message->state == Message::State::moving) {
        const bool in_length = message->moved < sizeof message->length;
        char *data = in_length ? (char *)&message->length + message->moved
                               : message->data + (message->moved - sizeof message->length);
        const ssize_t n =
            move_bytes(*message, data, (in_length ? sizeof message->length : whole) - message->moved);
        if (n < 0) message->state = Message::State::lost;
        if (n > 0) message->moved += (size_t)n;
        if (message->moved == sizeof message->length && message->length != message->bytes)
            message->state = Message::State::unequal;
        else if (message->moved == whole)
            message->state = Message::State::done;
        if (n <= 0) return;
    }
}

} // namespace fake
