/* HTTP/1.1: the bodies of requests, and the framing around their bytes. */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

typedef void next_step(struct body *b, const char *data, size_t n);

/* The last step of decoding: consume bytes of the object, or of a document. */
static void consume(struct body *b, const char *data, size_t n)
{
    b->decoded += n;
    if (b->hashing)
        md5_add(b->md5, data, n);
    if (b->document) {
        size_t fits = n < b->room - b->document_length ? n : b->room - b->document_length;
        memcpy(b->document + b->document_length, data, fits);
        b->document_length += fits;
    }
}

/* Consume one byte of the framing around the data. */
static void read_frame(struct chunks *k, char ch)
{
    int digit = hex_digit(ch);
    switch (k->state) {
    case CHUNK_SIZE:
        if (digit >= 0)
            k->left = k->left << 4 | (unsigned)digit;
        else if (ch == ';')
            k->state = CHUNK_EXTENSION;
        /* fall through */
    case CHUNK_EXTENSION:
        if (ch == '\n')
            k->state = k->left ? CHUNK_DATA : CHUNK_TRAILERS;
        break;
    case CHUNK_DATA_END:
        if (ch == '\n')
            k->state = CHUNK_SIZE;
        break;
    case CHUNK_TRAILERS:
        if (ch == '\n' && !k->line)
            k->state = CHUNK_DONE;
        else if (ch == '\n')
            k->line = 0;
        else if (ch != '\r')
            k->line++;
        break;
    case CHUNK_DATA:
    case CHUNK_DONE:
        break;
    }
}

/* Read framed bytes, pass the data on; returns how many were used: all, until the end. */
static size_t dechunk(struct chunks *k, struct body *b, const char *p, size_t n, next_step *next)
{
    size_t used = 0;
    while (used < n && k->state != CHUNK_DONE) {
        if (k->state != CHUNK_DATA) {
            read_frame(k, p[used++]);
            continue;
        }
        size_t here = n - used < k->left ? n - used : (size_t)k->left;
        next(b, p + used, here);
        used += here;
        k->left -= here;
        if (!k->left)
            k->state = CHUNK_DATA_END;
    }
    return used;
}

/* What HTTP carries may be framed once more, for a signature or a checksum. */
static void consume_carried(struct body *b, const char *data, size_t n)
{
    if (b->aws_chunked)
        dechunk(&b->inner, b, data, n, consume);
    else
        consume(b, data, n);
}

static bool read_chunked(struct connection *c, struct body *b)
{
    for (;;) {
        c->start += dechunk(&b->outer, b, c->buffer + c->start, c->end - c->start, consume_carried);
        if (b->outer.state == CHUNK_DONE)
            return true;
        ssize_t n = receive(c, c->buffer, BUFFER);
        if (n <= 0)
            return false;
        c->start = 0;
        c->end = (size_t)n;
    }
}

static bool read_sized(struct connection *c, struct body *b, uint64_t length)
{
    size_t have = c->end - c->start < length ? c->end - c->start : (size_t)length;
    consume_carried(b, c->buffer + c->start, have);
    c->start += have;
    /* Bytes that nobody looks at are dropped by the kernel, without a copy. */
    bool drop = !b->hashing && !b->document && !b->aws_chunked;
    size_t most = drop ? 1 << 30 : BUFFER;
    for (uint64_t left = length - have; left;) {
        ssize_t n = receive(c, drop ? NULL : c->buffer, left < most ? (size_t)left : most);
        if (n <= 0)
            return false;
        left -= (uint64_t)n;
        if (drop)
            b->decoded += (uint64_t)n;
        else
            consume_carried(b, c->buffer, (size_t)n);
    }
    return true;
}

void begin_body(struct body *b, const struct request *r, bool hashing, size_t room)
{
    memset(&b->outer, 0, sizeof b->outer);
    memset(&b->inner, 0, sizeof b->inner);
    b->aws_chunked = r->aws_chunked;
    b->hashing = hashing;
    b->decoded = b->document_length = 0;
    b->room = room;
    b->document = room ? checked(malloc(room + 1)) : NULL;
    if (hashing)
        md5_begin(b->md5);
}

bool read_body(struct connection *c, const struct request *r, struct body *b)
{
    static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (r->expects_continue && (r->length || r->chunked)) {
        if (options.rtt > 0)
            sleep_until(now() + options.rtt);
        if (!send_all(c, proceed, strlen(proceed)))
            return false;
    }
    bool whole = r->chunked ? read_chunked(c, b) : read_sized(c, b, r->length);
    if (b->document)
        b->document[b->document_length] = 0;
    return whole;
}
