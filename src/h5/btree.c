// The index of chunks, read from the file itself: a B-tree of version 1, which all files have that were not
// written for the newest format alone. Formats: "HDF5 File Format Specification", III.A.1 (the tree) and IV.A
// (headers of objects; the layout message is IV.A.2.i). Nothing in a file is believed: each address is read
// with its bounds, and a walk ends after as many chunks as the dataset has.
#include "h5/internal.h"

#if !H5_VERSION_GE(1, 14, 0)

#include "base/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYOUT = 0x08, CONTINUATION = 0x10 };         // messages of an object's header
enum { MOST_HEADER = 1 << 16, MOST_CONTINUED = 64 }; // bytes of a block, blocks of a header
enum { NODE_HEAD = 24 };                             // bytes of a node before its keys

struct image {
    int fd;
    int64_t base; // of all addresses: a block of the user's comes first
};

static bool read_at(const struct image *image, int64_t address, void *out, size_t bytes) {
    char *to = out;
    while (bytes) {
        ssize_t n = pread(image->fd, to, bytes, image->base + address);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        to += n, address += n, bytes -= (size_t)n;
    }
    return true;
}

static uint64_t little_endian(const uint8_t *bytes, int n) {
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static int64_t base_of(const struct ls_h5 *file, bool *wide) {
    hsize_t block = 0;
    size_t address = 0, length = 0;
    hid_t creation = H5Fget_create_plist(file->id);
    H5Pget_userblock(creation, &block);
    H5Pget_sizes(creation, &address, &length);
    H5Pclose(creation);
    *wide = address == 8 && length == 8;
    return (int64_t)block;
}

// ---- the header of an object

struct header {
    const struct image *image;
    int version;     // 1, or 2 which begins with "OHDR"
    bool with_order; // messages of version 2 carry their order of creation
    int64_t layout;  // what is looked for: the address of the tree; -1 also where no chunk was ever written
    struct span {
        int64_t address;
        size_t bytes;
    } spans[MOST_CONTINUED]; // blocks of messages; those behind the first are continuations
    int n;
};

static void take_message(struct header *header, unsigned type, const uint8_t *data, size_t bytes) {
    if (type == LAYOUT && bytes >= 11 && data[0] == 3 && data[1] == 2)
        header->layout = (int64_t)little_endian(data + 3, 8);
    if (type == CONTINUATION && bytes >= 16 && header->n < MOST_CONTINUED) {
        struct span span = {(int64_t)little_endian(data, 8), (size_t)little_endian(data + 8, 8)};
        if (header->version == 2) { // "OCHK" in front, a checksum behind
            if (span.bytes < 8) return;
            span.address += 4;
            span.bytes -= 8;
        }
        header->spans[header->n++] = span;
    }
}

static void take_messages(struct header *header, const uint8_t *data, size_t bytes) {
    size_t head = header->version == 1 ? 8 : header->with_order ? 6 : 4;
    while (bytes >= head) {
        unsigned type = header->version == 1 ? (unsigned)little_endian(data, 2) : data[0];
        size_t length = (size_t)little_endian(data + (header->version == 1 ? 2 : 1), 2);
        if (length > bytes - head) return;
        take_message(header, type, data + head, length);
        data += head + length;
        bytes -= head + length;
    }
}

// Finds the first block of messages; false where it is no header.
static bool begin_header(struct header *header, int64_t address) {
    uint8_t head[32];
    if (!read_at(header->image, address, head, 16)) return false;
    if (memcmp(head, "OHDR", 4) == 0 && head[4] == 2) {
        unsigned flags = head[5];
        int64_t skip = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
        int width = 1 << (flags & 3);
        if (!read_at(header->image, address + skip, head, (size_t)width)) return false;
        header->version = 2;
        header->with_order = flags & 4;
        header->spans[0] = (struct span){address + skip + width, (size_t)little_endian(head, width)};
    } else if (head[0] == 1) {
        header->version = 1;
        header->spans[0] = (struct span){address + 16, (size_t)little_endian(head + 8, 4)};
    } else {
        return false;
    }
    header->n = 1;
    return true;
}

static int64_t find_layout(const struct image *image, int64_t address) {
    struct header header = {.image = image, .layout = -1};
    uint8_t *block = malloc(MOST_HEADER);
    if (block && begin_header(&header, address)) {
        for (int i = 0; i < header.n; i++) {
            const struct span *span = &header.spans[i];
            if (span->bytes > MOST_HEADER || !read_at(image, span->address, block, span->bytes)) break;
            take_messages(&header, block, span->bytes);
        }
    }
    free(block);
    return header.layout;
}

#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info1_t object_info;
#else
typedef H5O_info_t object_info;
#endif

int64_t ls_h5_find_index(const struct ls_h5 *file, hid_t dataset) {
    object_info object;
    bool wide;
    struct image image = {.base = base_of(file, &wide)};
    if (!wide || H5Oget_info2(dataset, &object, H5O_INFO_BASIC) < 0) return -1;
    image.fd = open(file->path, O_RDONLY | O_CLOEXEC);
    if (image.fd < 0) return -1;
    int64_t address = find_layout(&image, (int64_t)object.addr);
    close(image.fd);
    return address;
}

// ---- the tree

struct walk {
    const struct ls_h5 *file;
    const char *name;
    const struct ls_h5_dataset *info;
    struct image image;
    const int64_t *grid;
    int64_t left; // chunks and nodes that may still come
    struct ls_h5_chunk *chunks;
};

static ls_status refuse(const struct walk *walk, int64_t address) {
    return LS_FAIL(LS_INPUT, "%s: dataset '%s': its index of chunks is damaged at byte %lld",
                   walk->file->path, walk->name, (long long)(walk->image.base + address));
}

// A key: bytes u32, filters skipped u32, and the chunk's position in numbers, with one more that is 0.
static size_t key_bytes(const struct walk *walk) {
    return 8 + 8 * (size_t)(walk->info->rank + 1);
}

static ls_status take_chunk(struct walk *walk, const uint8_t *key, int64_t address, int64_t node) {
    int64_t place = 0;
    for (int i = 0; i < walk->info->rank; i++) {
        uint64_t number = little_endian(key + 8 + 8 * i, 8), chunk = (uint64_t)walk->info->chunking.dim[i];
        if (number % chunk || number / chunk >= (uint64_t)walk->grid[i]) return refuse(walk, node);
        place = place * walk->grid[i] + (int64_t)(number / chunk);
    }
    if (address < 0) return refuse(walk, node);
    walk->chunks[place] = (struct ls_h5_chunk){.offset = walk->image.base + address,
                                               .bytes = (uint32_t)little_endian(key, 4),
                                               .skipped = (uint32_t)little_endian(key + 4, 4)};
    return LS_OK;
}

static ls_status walk_node(struct walk *walk, int64_t address, int level);

static ls_status walk_entries(struct walk *walk, const uint8_t *entries, size_t n, int64_t node, int level) {
    size_t key = key_bytes(walk), stride = key + 8;
    for (size_t i = 0; i < n; i++) {
        int64_t child = (int64_t)little_endian(entries + i * stride + key, 8);
        if (walk->left-- <= 0) return refuse(walk, node);
        LS_TRY(level > 0 ? walk_node(walk, child, level - 1)
                         : take_chunk(walk, entries + i * stride, child, node));
    }
    return LS_OK;
}

// A node: "TREE", type 1, level, entries u16, two siblings; then key, child, key, child, …, key. `level` is
// what the parent expects; -1: the root.
static ls_status walk_node(struct walk *walk, int64_t address, int level) {
    uint8_t head[NODE_HEAD];
    if (!read_at(&walk->image, address, head, sizeof head) || memcmp(head, "TREE", 4) != 0 || head[4] != 1 ||
        (level >= 0 && head[5] != level))
        return refuse(walk, address);
    size_t n = (size_t)little_endian(head + 6, 2), bytes = n * (key_bytes(walk) + 8);
    uint8_t *entries = malloc(bytes + 1);
    if (!entries) return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes of an index of chunks", bytes);
    ls_pulse_tick();
    ls_status status = read_at(&walk->image, address + NODE_HEAD, entries, bytes)
                           ? walk_entries(walk, entries, n, address, head[5])
                           : refuse(walk, address);
    free(entries);
    return status;
}

ls_status ls_h5_walk_index(const struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           const int64_t *grid, struct ls_h5_chunk *chunks) {
    bool wide;
    struct walk walk = {.file = file, .name = name, .info = info, .grid = grid, .left = 1, .chunks = chunks};
    for (int i = 0; i < info->rank; i++) walk.left *= grid[i];
    walk.left = 2 * walk.left + 256;
    walk.image = (struct image){.fd = open(file->path, O_RDONLY | O_CLOEXEC), .base = base_of(file, &wide)};
    if (walk.image.fd < 0) return LS_FAIL(LS_INPUT, "%s: cannot open: %s", file->path, strerror(errno));
    ls_status status = walk_node(&walk, info->chunking.index, -1);
    close(walk.image.fd);
    return status;
}

#else

int64_t ls_h5_find_index(const struct ls_h5 *file, hid_t dataset) {
    (void)file, (void)dataset;
    return 0; // the library's own is enough
}

#endif
