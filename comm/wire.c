#include "comm/wire.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { CONNECT_MS = 1000 };

static void set_up(int fd) {
    const int on = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// ---- places ----

static socklen_t length_of(const struct sockaddr_storage *address) {
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void set_port(struct sockaddr_storage *address, int port) {
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
}

static void add_address(struct ls_wire_place *place, const struct sockaddr *address) {
    if (place->n == LS_WIRE_ADDRESSES) return;
    struct sockaddr_storage *to = &place->address[place->n++];
    to->ss_family = address->sa_family;
    memcpy(to, address, length_of(to));
    set_port(to, place->port);
}

static bool is_link_local(const struct sockaddr *address) {
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

// A link-local address means nothing without the other side's name of the interface.
static void add_interfaces(struct ls_wire_place *place) {
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        const bool up = (one->ifa_flags & IFF_UP) && !(one->ifa_flags & IFF_LOOPBACK);
        if (!one->ifa_addr || !up || is_link_local(one->ifa_addr)) continue;
        if (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6)
            add_address(place, one->ifa_addr);
    }
    freeifaddrs(all);
}

// Any free port, on IPv6 and IPv4 alike, or on IPv4 alone where there is no other.
static int bind_any(int *port) {
    const int both = 0;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    struct sockaddr_in four = {.sin_family = AF_INET};
    socklen_t bytes = sizeof six;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both) == 0 &&
        bind(fd, (struct sockaddr *)&six, sizeof six) == 0 &&
        getsockname(fd, (struct sockaddr *)&six, &bytes) == 0) {
        *port = ntohs(six.sin6_port);
        return fd;
    }
    if (fd >= 0) close(fd);
    bytes = sizeof four;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&four, sizeof four) == 0 &&
        getsockname(fd, (struct sockaddr *)&four, &bytes) == 0) {
        *port = ntohs(four.sin_port);
        return fd;
    }
    if (fd >= 0) close(fd);
    return -1;
}

int ls_wire_listen(int members, struct ls_wire_place *place) {
    *place = (struct ls_wire_place){0};
    if (getrandom(&place->cookie, sizeof place->cookie, 0) != sizeof place->cookie) return -1;
    const int fd = bind_any(&place->port);
    if (fd < 0 || listen(fd, members) != 0) {
        if (fd >= 0) close(fd);
        place->port = 0;
        return -1;
    }
    set_up(fd);
    const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    add_address(place, (const struct sockaddr *)&loopback);
    add_interfaces(place);
    return fd;
}

// ---- connections ----

static void reset(struct ls_wire *wire, int fd) {
    wire->fd = fd;
    wire->have = wire->queued = 0;
}

static bool connect_to(int fd, const struct sockaddr_storage *address) {
    if (connect(fd, (const struct sockaddr *)address, length_of(address)) == 0) return true;
    if (errno != EINPROGRESS) return false;
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t bytes = sizeof error;
    return poll(&one, 1, CONNECT_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 &&
           error == 0;
}

bool ls_wire_connect(struct ls_wire *wire, const struct ls_wire_place *place, bool same_host) {
    for (int i = same_host ? 0 : 1; place->port != 0 && i < place->n; i++) {
        const int fd = socket(place->address[i].ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) continue;
        set_up(fd);
        if (connect_to(fd, &place->address[i])) {
            reset(wire, fd);
            return true;
        }
        close(fd);
    }
    reset(wire, -1);
    return false;
}

void ls_wire_adopt(struct ls_wire *wire, int fd) {
    set_up(fd);
    reset(wire, fd);
}

void ls_wire_close(struct ls_wire *wire) {
    if (wire->fd >= 0) close(wire->fd);
    reset(wire, -1);
}

// ---- messages ----

void ls_wire_flush(struct ls_wire *wire) {
    while (wire->fd >= 0 && wire->queued > 0) {
        const ssize_t sent = send(wire->fd, wire->out, wire->queued, MSG_NOSIGNAL);
        if (sent <= 0) return; // full, or ended: then receiving says so
        wire->queued -= (size_t)sent;
        memmove(wire->out, wire->out + sent, wire->queued);
    }
}

void ls_wire_send(struct ls_wire *wire, const struct ls_wire_message *message) {
    if (wire->fd < 0 || wire->queued + sizeof *message > sizeof wire->out) return;
    memcpy(wire->out + wire->queued, message, sizeof *message);
    wire->queued += sizeof *message;
    ls_wire_flush(wire);
}

int ls_wire_receive(struct ls_wire *wire, struct ls_wire_message *message) {
    if (wire->fd < 0) return 0;
    const ssize_t got = recv(wire->fd, wire->in + wire->have, sizeof wire->in - wire->have, 0);
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    if (got == 0) return -1;
    wire->have += (size_t)got;
    if (wire->have < sizeof wire->in) return 0;
    memcpy(message, wire->in, sizeof *message);
    message->text[sizeof message->text - 1] = 0;
    message->pulse.call[sizeof message->pulse.call - 1] = 0;
    wire->have = 0;
    return 1;
}
