#include "comm/meeting.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// A rank may come late to a crowded machine. The guest gives up first: then what it says of itself is right.
static const double GUEST_S = 9, ROOT_S = 10;

enum { STRANGERS = 8 }; // accepted, and not introduced yet

struct party {
    int root, first, size;
    uint64_t cookie;
    struct ls_wire *wires; // [size]
};

static int count_guests(const struct party *party) {
    const int n = party->size - party->first;
    return party->root >= party->first ? n - 1 : n;
}

// The first message says which rank it is; it is answered, so that the guest knows that it is right here.
static bool introduce(const struct party *party, struct ls_wire *stranger) {
    struct ls_wire_message hello;
    const int got = ls_wire_receive(stranger, &hello);
    if (got == 0) return false;
    const bool known = got > 0 && hello.kind == LS_WIRE_HELLO && hello.cookie == party->cookie &&
                       hello.rank >= (uint32_t)party->first && hello.rank < (uint32_t)party->size &&
                       party->wires[hello.rank].fd < 0;
    if (!known) { // or here already, through another address
        ls_wire_close(stranger);
        return false;
    }
    struct ls_wire *wire = &party->wires[hello.rank];
    *wire = *stranger;
    stranger->fd = -1;
    const struct ls_wire_message answer = {
        .kind = LS_WIRE_HELLO, .rank = (uint32_t)party->root, .cookie = party->cookie};
    ls_wire_send(wire, &answer);
    return true;
}

static void receive_guests(const struct party *party, int listening) {
    struct ls_wire strangers[STRANGERS];
    for (int i = 0; i < STRANGERS; i++) strangers[i].fd = -1;
    const double end = ls_now() + ROOT_S;
    for (int missing = count_guests(party); missing > 0 && ls_now() < end;) {
        struct pollfd polled[STRANGERS + 1];
        int free_place = -1;
        for (int i = 0; i < STRANGERS; i++) {
            polled[i] = (struct pollfd){.fd = strangers[i].fd, .events = POLLIN};
            if (strangers[i].fd < 0) free_place = i;
        }
        polled[STRANGERS] = (struct pollfd){.fd = free_place >= 0 ? listening : -1, .events = POLLIN};
        poll(polled, STRANGERS + 1, 100);
        const int fd = polled[STRANGERS].revents ? accept(listening, NULL, NULL) : -1;
        if (fd >= 0) ls_wire_adopt(&strangers[free_place], fd);
        for (int i = 0; i < STRANGERS; i++)
            if (strangers[i].fd >= 0 && introduce(party, &strangers[i])) missing--;
    }
    for (int i = 0; i < STRANGERS; i++) ls_wire_close(&strangers[i]);
}

ls_status ls_meet(struct ls_comm *comm, int root, int first, struct ls_wire *wires, bool *met) {
    const bool is_root = comm->rank == root, is_guest = !is_root && comm->rank >= first;
    struct ls_wire_place place = {0};
    const int listening = is_root ? ls_wire_listen(comm->size, &place) : -1;
    ls_status status = ls_comm_broadcast(comm, &place, sizeof place, root);
    const struct party party = {root, first, comm->size, place.cookie, wires};
    bool mine = is_root && listening >= 0;
    if (status == LS_OK && listening >= 0) receive_guests(&party, listening);
    if (status == LS_OK && is_guest) {
        const struct ls_wire_message hello = {
            .kind = LS_WIRE_HELLO, .rank = (uint32_t)comm->rank, .cookie = place.cookie};
        mine = ls_wire_connect(&wires[root], &place, &hello, GUEST_S);
    }
    if (listening >= 0) close(listening);
    if (status == LS_OK) status = ls_comm_gather_all(comm, &mine, met, sizeof mine);
    for (int r = first; is_root && status == LS_OK && r < comm->size; r++)
        if (r != root && !met[r]) ls_wire_close(&wires[r]);
    return status;
}
