// Where the floats lie that a reduction sums: in memory of the device, or in that which ranks of one host
// share.
#include "comm/segment.h"
#include "comm/transport.h"
#include "device/device.h"

static const size_t APART = LS_DEVICE_ALIGN / sizeof(float);

static size_t stride_of(size_t floats) {
    return (floats + APART - 1) / APART * APART;
}

static ls_status open_shared(struct ls_transport *transport, int n, size_t floats, float **buffers) {
    const size_t stride = stride_of(floats);
    void *memory = NULL;
    LS_TRY(ls_segment_open_buffers(transport->segment, (size_t)n * stride * sizeof(float), &memory));
    if (!memory) transport->segment = NULL;
    for (int i = 0; memory && i < n; i++) buffers[i] = (float *)memory + (size_t)i * stride;
    return LS_OK;
}

ls_status ls_transport_open_buffers(struct ls_transport *transport, struct ls_device *device, bool fast,
                                    int n, size_t floats, float **buffers) {
    for (int i = 0; i < n; i++) buffers[i] = NULL;
    if (transport->segment && !fast) LS_TRY(open_shared(transport, n, floats, buffers));
    for (int i = 0; i < n && !buffers[i]; i++)
        LS_TRY(device->api->alloc(device, floats * sizeof(float), (void **)&buffers[i]));
    return LS_OK;
}

void ls_transport_close_buffers(struct ls_transport *transport, struct ls_device *device, int n,
                                float **buffers) {
    struct ls_segment *segment = transport->segment;
    const bool shared = segment && n > 0 && ls_segment_find_buffers(segment, buffers[0], 0);
    if (shared) ls_segment_close_buffers(segment, buffers[0]);
    for (int i = 0; i < n; i++) {
        if (!shared) device->api->free(device, buffers[i]);
        buffers[i] = NULL;
    }
}
