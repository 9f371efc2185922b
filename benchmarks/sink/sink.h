/* A null S3 store: reads request bodies, throws them away, and responds as S3 would.
 *
 *   main.c    options, a thread for each connection, counts
 *   pacing.c  bytes from and to a connection, as slowly as a line of given speed carries them
 *   http.c    heads of requests, responses
 *   body.c    bodies of requests
 *   s3.c      the operations of S3
 *   store.c   what is remembered of objects and uploads
 *   digest.c  MD5 and base64, by libcrypto
 *
 * One blocking thread per connection: simple, and neither MD5 nor the pacing of the slow line then
 * needs a state machine. An object is remembered by a 128-bit hash of its bucket and key, so a
 * million of them take about 100 MB. Bodies are never kept. Signatures are not checked.
 *
 * Build: cc -O2 -pthread *.c -o sink -ldl
 */
#ifndef SINK_H
#define SINK_H

#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

enum {
    BUFFER = 256 * 1024, /* bytes read at once; fits the second-level cache */
    MAX_HEAD = 32 * 1024,
    MAX_KEY = 4096,  /* S3's 1,024 bytes, each of them percent-encoded, and a bucket */
    MAX_KEPT = 4096, /* S3 allows 2 KiB of metadata */
    MAX_TEXT = 4096, /* a response that is made of a format */
    MAX_ETAG = 64,   /* as text, "opaque-" and "-10000" included */
    MAX_PARTS = 10000,
    DIGEST = 16, /* bytes */
    DATE = 32,   /* a date of HTTP or ISO 8601 as text */
};

struct options {
    int port;
    bool md5;              /* ETags are MD5, as those of Amazon S3; else opaque */
    const char *libcrypto; /* its file; NULL: where the system has it */
    double rtt;            /* seconds that each response takes */
    double per_connection; /* bytes per second of one connection, 0 is no limit */
    double total;          /* bytes per second of all connections, 0 is no limit */
};
extern struct options options;

/* ------------------------------------------------------------------------------ counts: main.c */

enum operation {
    OP_PUT, OP_CREATE, OP_PART, OP_COMPLETE, OP_ABORT, OP_HEAD, OP_GET, OP_DELETE, OP_LIST_PARTS,
    OP_BUCKET, OP_OTHER, OPERATIONS
};

struct counts {
    _Atomic uint64_t operations[OPERATIONS], errors, body_bytes, connections;
    _Atomic uint64_t commits, committed_bytes;
    _Atomic int64_t in_flight, peak_in_flight;
};
extern struct counts counts;

/* ---------------------------------------------------------------------------- a line: pacing.c */

struct connection {
    int fd;
    char *buffer; /* bytes start..end are read and not yet used */
    size_t start, end;
    double line_free_at; /* when what it has read has passed its slow line */
    bool counted;
    time_t date_at; /* the second of which `date` is the text */
    char date[DATE];
};

double now(void);
void sleep_until(double when);
/* Whether the line has a limited speed. */
bool is_paced(void);
/* Receive at most `most` bytes into `into`; if that is NULL, the kernel drops them. */
ssize_t receive(struct connection *c, char *into, size_t most);
/* Send all of it; false if the connection is at its end. */
bool send_all(struct connection *c, const char *data, size_t n);

/* -------------------------------------------------------------------------------- HTTP: http.c, body.c */

struct request {
    char method[8];
    char path[MAX_KEY];  /* decoded, "/bucket/key" */
    char query[MAX_KEY]; /* as sent */
    uint64_t length, decoded_length;
    bool has_decoded_length, chunked, aws_chunked, expects_continue, closes, copies, too_much_kept;
    char content_md5[32];
    char kept[MAX_KEPT]; /* header lines that belong to the object: its type, its metadata */
    size_t kept_length;
};

/* Decodes chunked framing, HTTP's and aws-chunked alike: "size[;extension]CRLF data CRLF". */
struct chunks {
    enum {
        CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILERS, CHUNK_DONE
    } state;
    uint64_t left;
    size_t line; /* bytes of this trailer line */
};

struct body {
    void *md5; /* a context of libcrypto, NULL for opaque ETags */
    struct chunks outer, inner;
    bool aws_chunked, hashing;
    uint64_t decoded;
    char *document; /* kept, up to `room` bytes, where the operation reads it; else NULL */
    size_t document_length, room;
};

/* Read one request's head; false at the end of the connection, or of what can be understood. */
bool read_head(struct connection *c, struct request *r);
/* Return the value of a hexadecimal digit, -1 for another character. */
int hex_digit(char ch);
/* Find a query parameter; copies its decoded value if there is room for one. */
bool query_value(const struct request *r, const char *name, char *value, size_t room);

/* Read a body to its end: hash it if `hashing`, keep it if it is a document. */
void begin_body(struct body *b, const struct request *r, bool hashing, size_t room);
bool read_body(struct connection *c, const struct request *r, struct body *b);

/* Respond; `headers` are lines, each with its CRLF. HEAD gets the length of `text` alone. All
 * return false when the connection is at its end. */
bool respond(struct connection *c, const struct request *r, int status, const char *headers,
             const char *text, uint64_t length);
bool respond_error(struct connection *c, const struct request *r, int status, const char *code);
bool respond_text(struct connection *c, const struct request *r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Write a time as HTTP has it; the buffer holds DATE bytes. */
void write_http_date(char *out, time_t at);

/* ------------------------------------------------------------------------------------ S3: s3.c */

enum operation operation_of(const struct request *r);
bool perform(struct connection *c, const struct request *r, struct body *b, enum operation op);

/* -------------------------------------------------------------------------- the store: store.c */

/* Without memory there is nothing left to measure. */
static inline void *checked(void *allocated)
{
    if (!allocated)
        abort();
    return allocated;
}

/* A key with its bucket, as a hash. */
struct name {
    uint64_t a, b; /* b is never 0 */
};

struct object {
    struct name name; /* {0, 0} is an empty slot */
    uint64_t size;
    unsigned char digest[DIGEST];
    uint16_t parts;    /* 0: a single PUT */
    bool gone;         /* deleted; the slot stays so that probing goes on over it */
    uint32_t modified; /* seconds since 1970 */
    char *kept;        /* header lines for HEAD, NULL for none */
};

struct part {
    uint64_t size;
    unsigned char digest[DIGEST];
    bool present;
};

struct upload {
    uint64_t id;
    char *path; /* "/bucket/key" */
    char *kept; /* header lines of the object to be */
    time_t initiated;
    struct part *parts; /* by number; the first is never used */
    int capacity;
    struct upload *next;
};

/* Load libcrypto for MD5; ends the process, with the way out, if there is none. */
void load_md5(const char *file);
void *md5_new(void);
void md5_free(void *md5);
void md5_begin(void *md5);
void md5_add(void *md5, const void *data, size_t length);
void md5_end(void *md5, unsigned char *digest);
/* Write a digest as Content-MD5 has it; the buffer holds 25 bytes. */
void md5_base64(char *out, const unsigned char *digest);

/* Make a digest that is no MD5; only the sink knows what it stands for. */
void opaque_digest(unsigned char *digest);
/* Write an ETag without quotes; the buffer holds MAX_ETAG bytes. */
void write_etag(char *out, const unsigned char *digest, unsigned parts);

struct name name_of(const char *path);
/* Publish an object, with a copy of `kept`. */
void put_object(struct object object, const char *kept);
/* Copy an object, and its header lines to `kept` (MAX_KEPT bytes); false if there is none. */
bool look_up(struct name name, struct object *out, char *kept);
void delete_object(struct name name);

uint64_t open_upload(const char *path, const char *kept);
/* Lock the uploads and find one; NULL if it is not open. To be unlocked in both cases. */
struct upload *lock_upload(const char *id, const char *path);
/* Lock the uploads and return the first of the list. */
struct upload *lock_uploads(void);
void unlock_uploads(void);
void set_part(struct upload *u, int number, uint64_t size, const unsigned char *digest);
/* Close an upload that is locked. */
void close_upload(struct upload *u);

struct totals {
    uint64_t objects, object_bytes, open_uploads;
};
struct totals store_totals(void);
void forget_everything(void);

#endif
