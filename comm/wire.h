// The watchdog's own connections: whole messages over TCP, without MPI and without ever blocking. Both ends
// are one program on machines of one kind: structs travel as they lie.
#pragma once

#include "base/pulse.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LS_WIRE_ADDRESSES = 32, LS_WIRE_TEXT = 512 };

enum ls_wire_kind {
    LS_WIRE_HELLO,   // both ways, first: rank, cookie
    LS_WIRE_BEAT,    // both ways: still, pulse
    LS_WIRE_TROUBLE, // member to hub: status; text, empty where the member has printed it
    LS_WIRE_BYE,     // both ways: no more will come, and all is well
    LS_WIRE_END,     // hub, or deputy, to member: end with this status, `still` seconds from now
};

struct ls_wire_message {
    uint32_t kind, rank, status;
    uint64_t cookie;
    double still; // seconds for which nothing moved
    struct ls_pulse pulse;
    char text[LS_WIRE_TEXT];
};

struct ls_wire {
    int fd; // -1: none
    size_t have, queued;
    unsigned char in[sizeof(struct ls_wire_message)], out[4 * sizeof(struct ls_wire_message)];
};

// Where a listener can be reached.
struct ls_wire_place {
    uint64_t cookie; // tells a rank of this run from a stranger
    int port;        // 0: nowhere
    int n;
    struct sockaddr_storage address[LS_WIRE_ADDRESSES]; // loopback first, then those of its interfaces
};

// A listening socket for `guests`, non-blocking; -1 and place->port 0 where that fails.
int ls_wire_listen(int guests, struct ls_wire_place *place);
// A connection to the place. All its addresses are tried at once: which of them lead there nobody knows, and
// some may lead elsewhere, so the first whose answer is a hello with the place's cookie is taken. False where
// none has answered after `seconds`.
bool ls_wire_connect(struct ls_wire *wire, const struct ls_wire_place *place,
                     const struct ls_wire_message *hello, double seconds);
void ls_wire_adopt(struct ls_wire *wire, int fd); // an accepted one

// Queues a message and sends what the socket takes. A message for which there is no room is dropped whole.
void ls_wire_send(struct ls_wire *wire, const struct ls_wire_message *message);
void ls_wire_flush(struct ls_wire *wire);
// Reads what is there. 1: *message is whole; 0: nothing more for now; -1: the connection has ended.
int ls_wire_receive(struct ls_wire *wire, struct ls_wire_message *message);
void ls_wire_close(struct ls_wire *wire);
