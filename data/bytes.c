#include "data/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER_BYTES = 1 << 18, GZIP_ONLY = 16 + MAX_WBITS };

// A file from its beginning on, unpacked where it begins like a gzip file.
struct stream {
    char *path;
    int fd;
    bool gzip, inside; // inside: of a gzip member, whose end is still to come
    z_stream stream;   // next_in, avail_in are what is left in the buffer, for plain files too
    unsigned char buffer[BUFFER_BYTES];
};

// Reads on only where the buffer is empty; avail_in 0 afterwards is the end of the file.
static ls_status fill(struct stream *stream) {
    if (stream->stream.avail_in) return LS_OK;
    ssize_t n;
    do n = read(stream->fd, stream->buffer, BUFFER_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0) return LS_FAIL(LS_INPUT, "%s: cannot read: %s", stream->path, strerror(errno));
    stream->stream.next_in = stream->buffer;
    stream->stream.avail_in = (unsigned)n;
    return LS_OK;
}

static ls_status open_file(struct stream *stream) {
    stream->fd = open(stream->path, O_RDONLY | O_CLOEXEC);
    if (stream->fd < 0) return LS_FAIL(LS_INPUT, "%s: cannot open: %s", stream->path, strerror(errno));
    LS_TRY(fill(stream));
    stream->gzip = stream->stream.avail_in >= 2 && stream->buffer[0] == 0x1f && stream->buffer[1] == 0x8b;
    if (stream->gzip && inflateInit2(&stream->stream, GZIP_ONLY) != Z_OK) {
        stream->gzip = false;
        return LS_FAIL(LS_SYSTEM, "%s: zlib cannot start: out of memory", stream->path);
    }
    stream->inside = stream->gzip;
    return LS_OK;
}

static void stream_close(struct stream *stream) {
    if (!stream) return;
    if (stream->gzip) inflateEnd(&stream->stream);
    if (stream->fd >= 0) close(stream->fd);
    free(stream->path);
    free(stream);
}

static ls_status stream_open(const char *path, struct stream **stream) {
    *stream = calloc(1, sizeof **stream);
    char *copy = strdup(path);
    if (!*stream || !copy) {
        free(*stream);
        free(copy);
        *stream = NULL;
        return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    }
    (*stream)->path = copy;
    ls_status status = open_file(*stream);
    if (status == LS_OK) return LS_OK;
    stream_close(*stream);
    *stream = NULL;
    return status;
}

static ls_status take_plain(struct stream *stream, unsigned char *out, size_t bytes, size_t *got) {
    *got = stream->stream.avail_in < bytes ? stream->stream.avail_in : bytes;
    memcpy(out, stream->stream.next_in, *got);
    stream->stream.next_in += *got;
    stream->stream.avail_in -= (unsigned)*got;
    return LS_OK;
}

// A gzip file is one member or several; a new one begins with the same first byte.
static ls_status next_member(struct stream *stream) {
    if (stream->stream.next_in[0] != 0x1f || inflateReset(&stream->stream) != Z_OK)
        return LS_FAIL(LS_INPUT, "%s: expected the end behind its gzip data, found more bytes", stream->path);
    stream->inside = true;
    return LS_OK;
}

static ls_status take_gzip(struct stream *stream, unsigned char *out, size_t bytes, size_t *got) {
    *got = 0;
    if (!stream->inside) LS_TRY(next_member(stream));
    stream->stream.next_out = out;
    stream->stream.avail_out = bytes < BUFFER_BYTES ? (unsigned)bytes : BUFFER_BYTES;
    unsigned room = stream->stream.avail_out;
    int result = inflate(&stream->stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return LS_FAIL(LS_INPUT, "%s: damaged gzip data: %s", stream->path,
                       stream->stream.msg ? stream->stream.msg : zError(result));
    *got = room - stream->stream.avail_out;
    stream->inside = result != Z_STREAM_END;
    return LS_OK;
}

static ls_status stream_read(struct stream *stream, void *out, size_t bytes, size_t *got) {
    *got = 0;
    while (*got < bytes) {
        size_t n;
        LS_TRY(fill(stream));
        if (!stream->stream.avail_in && stream->inside)
            return LS_FAIL(LS_INPUT, "%s: is truncated: its gzip data breaks off", stream->path);
        if (!stream->stream.avail_in) return LS_OK;
        unsigned char *to = (unsigned char *)out + *got;
        LS_TRY(stream->gzip ? take_gzip(stream, to, bytes - *got, &n)
                            : take_plain(stream, to, bytes - *got, &n));
        *got += n;
    }
    return LS_OK;
}

// ---- all of it

static ls_status unpack(struct ls_bytes *bytes, struct stream *stream) {
    size_t room = 0, got = 1;
    while (got) {
        if ((size_t)bytes->size == room) {
            room = room ? 2 * room : BUFFER_BYTES;
            char *memory = realloc(bytes->memory, room);
            if (!memory)
                return LS_FAIL(LS_SYSTEM, "%s: out of memory for %zu unpacked bytes", bytes->path, room);
            bytes->memory = memory;
        }
        LS_TRY(stream_read(stream, bytes->memory + bytes->size, room - (size_t)bytes->size, &got));
        bytes->size += (int64_t)got;
    }
    return LS_OK;
}

ls_status ls_bytes_open(const char *path, struct ls_bytes *bytes) {
    *bytes = (struct ls_bytes){.path = path, .file = -1};
    struct stream *stream = NULL;
    struct stat found;
    LS_TRY(stream_open(path, &stream));
    if (!stream) return LS_SYSTEM;
    ls_status status = LS_OK;
    if (!stream->gzip && fstat(stream->fd, &found) == 0 && S_ISREG(found.st_mode)) {
        bytes->file = stream->fd;
        bytes->size = found.st_size;
        stream->fd = -1;
    } else {
        status = unpack(bytes, stream);
    }
    stream_close(stream);
    if (status != LS_OK) ls_bytes_close(bytes);
    return status;
}

void ls_bytes_close(struct ls_bytes *bytes) {
    if (bytes->file >= 0) close(bytes->file);
    free(bytes->memory);
    *bytes = (struct ls_bytes){.file = -1};
}

ls_status ls_bytes_read(const struct ls_bytes *bytes, int64_t offset, void *out, size_t n) {
    if (bytes->memory) {
        memcpy(out, bytes->memory + offset, n);
        return LS_OK;
    }
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(bytes->file, (char *)out + done, n - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return LS_FAIL(LS_INPUT, "%s: cannot read: %s", bytes->path, strerror(errno));
        if (got == 0)
            return LS_FAIL(LS_INPUT, "%s: was made shorter while it was read: it ends at byte %lld",
                           bytes->path, (long long)(offset + (int64_t)done));
        done += (size_t)got;
    }
    return LS_OK;
}
