#include "data/pack_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { BUFFER_BYTES = 1 << 18, GZIP_ONLY = 16 + MAX_WBITS };

struct ls_source {
    char *path;
    int fd;
    bool gzip, inside; // inside: of a gzip member, whose end is still to come
    z_stream stream;   // next_in, avail_in are what is left in the buffer, for plain files too
    unsigned char buffer[BUFFER_BYTES];
};

// Reads on only where the buffer is empty; avail_in 0 afterwards is the end of the file.
static ls_status fill(struct ls_source *source) {
    if (source->stream.avail_in) return LS_OK;
    ssize_t n;
    do n = read(source->fd, source->buffer, BUFFER_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0) return LS_FAIL(LS_INPUT, "%s: cannot read: %s", source->path, strerror(errno));
    source->stream.next_in = source->buffer;
    source->stream.avail_in = (unsigned)n;
    return LS_OK;
}

static ls_status open_file(struct ls_source *source) {
    source->fd = open(source->path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0) return LS_FAIL(LS_INPUT, "%s: cannot open: %s", source->path, strerror(errno));
    LS_TRY(fill(source));
    source->gzip = source->stream.avail_in >= 2 && source->buffer[0] == 0x1f && source->buffer[1] == 0x8b;
    if (source->gzip && inflateInit2(&source->stream, GZIP_ONLY) != Z_OK) {
        source->gzip = false;
        return LS_FAIL(LS_SYSTEM, "%s: zlib cannot start: out of memory", source->path);
    }
    source->inside = source->gzip;
    return LS_OK;
}

ls_status ls_source_open(const char *path, struct ls_source **source) {
    *source = calloc(1, sizeof **source);
    char *copy = strdup(path);
    if (!*source || !copy) {
        free(*source);
        free(copy);
        *source = NULL;
        return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    }
    (*source)->path = copy;
    ls_status status = open_file(*source);
    if (status == LS_OK) return LS_OK;
    ls_source_close(*source);
    *source = NULL;
    return status;
}

void ls_source_close(struct ls_source *source) {
    if (!source) return;
    if (source->gzip) inflateEnd(&source->stream);
    if (source->fd >= 0) close(source->fd);
    free(source->path);
    free(source);
}

static ls_status take_plain(struct ls_source *source, unsigned char *out, size_t bytes, size_t *got) {
    *got = source->stream.avail_in < bytes ? source->stream.avail_in : bytes;
    memcpy(out, source->stream.next_in, *got);
    source->stream.next_in += *got;
    source->stream.avail_in -= (unsigned)*got;
    return LS_OK;
}

// A gzip file is one member or several; a new one begins with the same first byte.
static ls_status next_member(struct ls_source *source) {
    if (source->stream.next_in[0] != 0x1f || inflateReset(&source->stream) != Z_OK)
        return LS_FAIL(LS_INPUT, "%s: expected the end behind its gzip data, found more bytes", source->path);
    source->inside = true;
    return LS_OK;
}

static ls_status take_gzip(struct ls_source *source, unsigned char *out, size_t bytes, size_t *got) {
    *got = 0;
    if (!source->inside) LS_TRY(next_member(source));
    source->stream.next_out = out;
    source->stream.avail_out = bytes < BUFFER_BYTES ? (unsigned)bytes : BUFFER_BYTES;
    unsigned room = source->stream.avail_out;
    int result = inflate(&source->stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return LS_FAIL(LS_INPUT, "%s: damaged gzip data: %s", source->path,
                       source->stream.msg ? source->stream.msg : zError(result));
    *got = room - source->stream.avail_out;
    source->inside = result != Z_STREAM_END;
    return LS_OK;
}

ls_status ls_source_read(struct ls_source *source, void *out, size_t bytes, size_t *got) {
    *got = 0;
    while (*got < bytes) {
        size_t n;
        LS_TRY(fill(source));
        if (!source->stream.avail_in && source->inside)
            return LS_FAIL(LS_INPUT, "%s: is truncated: its gzip data breaks off", source->path);
        if (!source->stream.avail_in) return LS_OK;
        unsigned char *to = (unsigned char *)out + *got;
        LS_TRY(source->gzip ? take_gzip(source, to, bytes - *got, &n)
                            : take_plain(source, to, bytes - *got, &n));
        *got += n;
    }
    return LS_OK;
}
