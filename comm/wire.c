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

int ls_wire_listen(int guests, struct ls_wire_place *place) {
    *place = (struct ls_wire_place){0};
    if (getrandom(&place->cookie, sizeof place->cookie, 0) != sizeof place->cookie) return -1;
    const int fd = bind_any(&place->port);
    if (fd < 0 || listen(fd, guests) != 0) {
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

// A connection under way to one address; closed where there is no hope.
static void begin(struct ls_wire *wire, const struct sockaddr_storage *address) {
    reset(wire, socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (wire->fd < 0) return;
    set_up(wire->fd);
    const bool under_way =
        connect(wire->fd, (const struct sockaddr *)address, length_of(address)) == 0 || errno == EINPROGRESS;
    if (!under_way) ls_wire_close(wire);
}

// Says hello once the connection stands, and hears the answer. True: it is the right one.
static bool go_on(struct ls_wire *wire, short events, const struct ls_wire_place *place,
                  const struct ls_wire_message *hello) {
    int error = 0;
    socklen_t bytes = sizeof error;
    getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error || (events & (POLLERR | POLLHUP | POLLNVAL))) {
        ls_wire_close(wire);
        return false;
    }
    if (events & POLLOUT) ls_wire_send(wire, hello);
    struct ls_wire_message answer;
    const int got = ls_wire_receive(wire, &answer);
    if (got > 0 && answer.kind == LS_WIRE_HELLO && answer.cookie == place->cookie) return true;
    if (got != 0) ls_wire_close(wire);
    return false;
}

bool ls_wire_connect(struct ls_wire *wire, const struct ls_wire_place *place,
                     const struct ls_wire_message *hello, double seconds) {
    reset(wire, -1);
    const int n = place->port ? place->n : 0;
    struct ls_wire tried[LS_WIRE_ADDRESSES];
    struct pollfd polled[LS_WIRE_ADDRESSES];
    for (int i = 0; i < n; i++) begin(&tried[i], &place->address[i]);
    for (int i = 0; i < n; i++) polled[i] = (struct pollfd){.fd = tried[i].fd, .events = POLLIN | POLLOUT};
    const double end = ls_now() + seconds;
    for (bool hope = n > 0; hope && wire->fd < 0 && ls_now() < end;) {
        poll(polled, (nfds_t)n, 100);
        hope = false;
        for (int i = 0; i < n && wire->fd < 0; i++) {
            if (polled[i].fd < 0) continue;
            if (polled[i].revents && go_on(&tried[i], polled[i].revents, place, hello)) {
                *wire = tried[i];
                tried[i].fd = -1;
            } else if (polled[i].revents & POLLOUT) {
                polled[i].events = POLLIN; // hello is said once
            }
            polled[i].fd = tried[i].fd;
            hope = hope || tried[i].fd >= 0;
        }
    }
    for (int i = 0; i < n; i++) ls_wire_close(&tried[i]);
    return wire->fd >= 0;
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
