/* A null S3 store: reads request bodies, throws them away, and answers as S3 would.
 *
 * One blocking thread per connection: simple, and MD5 and the pacing of the WAN mode then need no
 * state machine. Objects are remembered as a 128-bit hash of bucket and key, size and ETag, so a
 * million of them take about 100 MB. Bodies are never kept. Signatures are not checked.
 *
 * Build: cc -O2 -pthread sink.c -o sink                     (own MD5)
 *        cc -O2 -pthread -DHAVE_LIBCRYPTO sink.c -o sink -lcrypto   (faster MD5)
 * Options: see usage().
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER = 256 * 1024,    /* bytes read at once; fits the second-level cache */
    PACED_READ = 16 * 1024, /* at most this much at once when the line is slow */
    MAX_HEAD = 32 * 1024,
    MAX_KEY = 4096,
    MAX_PARTS = 10000,
    DOCUMENT = 8 * 1024 * 1024, /* largest CompleteMultipartUpload document */
};

/* ------------------------------------------------------------------------------------- options */

static int opt_port = 0;
static int opt_md5 = 1;
static double opt_rtt = 0;   /* seconds */
static double opt_conn = 0;  /* bytes per second and connection, 0 is no limit */
static double opt_total = 0; /* bytes per second in all */

/* -------------------------------------------------------------------------------------- counts */

enum op {
    OP_PUT, OP_CREATE, OP_PART, OP_COMPLETE, OP_ABORT, OP_HEAD, OP_DELETE, OP_LIST_PARTS,
    OP_BUCKET, OP_OTHER, OPS
};
static const char *op_names[OPS] = {
    "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload",
    "AbortMultipartUpload", "HeadObject", "DeleteObject", "ListParts", "Bucket", "Other"
};
static _Atomic uint64_t n_ops[OPS], n_errors, n_body, n_connections, n_commits, n_committed_bytes;
static _Atomic int64_t in_flight, peak_in_flight;
static struct rusage usage_at_reset;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_until(double when)
{
    struct timespec t = {(time_t)when, (long)((when - (double)(time_t)when) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* ----------------------------------------------------------------------------------------- MD5 */

#ifdef HAVE_LIBCRYPTO
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
typedef MD5_CTX md5_t;
#define md5_init(c) MD5_Init(c)
#define md5_update(c, d, n) MD5_Update(c, d, n)
#define md5_final(out, c) MD5_Final(out, c)
#else
/* RFC 1321. */
typedef struct {
    uint32_t state[4];
    uint64_t length;
    unsigned char rest[64];
} md5_t;

static const uint32_t md5_k[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const unsigned char md5_s[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void md5_block(md5_t *c, const unsigned char *p)
{
    uint32_t m[16], a = c->state[0], b = c->state[1], d = c->state[3], e = c->state[2];
    memcpy(m, p, 64);
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        switch (i >> 4) {
        case 0: f = (b & e) | (~b & d); g = i; break;
        case 1: f = (d & b) | (~d & e); g = (5 * i + 1) & 15; break;
        case 2: f = b ^ e ^ d; g = (3 * i + 5) & 15; break;
        default: f = e ^ (b | ~d); g = (7 * i) & 15;
        }
        f += a + md5_k[i] + m[g];
        a = d;
        d = e;
        e = b;
        int s = md5_s[(i >> 4) * 4 + (i & 3)];
        b += f << s | f >> (32 - s);
    }
    c->state[0] += a;
    c->state[1] += b;
    c->state[2] += e;
    c->state[3] += d;
}

static void md5_init(md5_t *c)
{
    static const uint32_t start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    memcpy(c->state, start, sizeof start);
    c->length = 0;
}

static void md5_update(md5_t *c, const void *data, size_t n)
{
    const unsigned char *p = data;
    size_t have = c->length & 63;
    c->length += n;
    if (have) {
        size_t take = 64 - have < n ? 64 - have : n;
        memcpy(c->rest + have, p, take);
        p += take;
        n -= take;
        if (have + take < 64)
            return;
        md5_block(c, c->rest);
    }
    for (; n >= 64; p += 64, n -= 64)
        md5_block(c, p);
    memcpy(c->rest, p, n);
}

static void md5_final(unsigned char *out, md5_t *c)
{
    uint64_t bits = c->length * 8;
    static const unsigned char pad[64] = {0x80};
    md5_update(c, pad, 1 + ((119 - (c->length & 63)) & 63));
    md5_update(c, &bits, 8);
    memcpy(out, c->state, 16);
}
#endif

/* ------------------------------------------------------------------------------------- objects */

struct name { uint64_t a, b; };

struct object {
    struct name name; /* {0, 0} is an empty slot */
    uint64_t size;
    unsigned char digest[16];
    uint32_t parts; /* 0: a single PUT */
    uint32_t gone;  /* deleted; the slot stays so that probing goes on over it */
};

static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects;
static size_t n_slots, n_used, n_objects;
static uint64_t object_bytes;

/* Hash a name with two FNV-1a lanes and a final mix: no cryptography needed, no collisions seen. */
static struct name name_of(const char *text)
{
    uint64_t a = 0xcbf29ce484222325u, b = 0x9e3779b97f4a7c15u;
    for (; *text; text++) {
        a = (a ^ (unsigned char)*text) * 0x100000001b3u;
        b = (b + (unsigned char)*text) * 0xff51afd7ed558ccdu;
        b ^= b >> 29;
    }
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    return (struct name){a ^ a >> 32, b | 1};
}

static struct object *find(struct object *table, size_t slots, struct name name)
{
    size_t i = name.a & (slots - 1);
    while (table[i].name.b && (table[i].name.a != name.a || table[i].name.b != name.b))
        i = (i + 1) & (slots - 1);
    return &table[i];
}

static void grow(void)
{
    size_t slots = n_slots ? n_slots * 2 : 4096;
    struct object *table = calloc(slots, sizeof *table);
    if (!table)
        abort();
    n_used = 0;
    for (size_t i = 0; i < n_slots; i++)
        if (objects[i].name.b && !objects[i].gone) {
            *find(table, slots, objects[i].name) = objects[i];
            n_used++;
        }
    free(objects);
    objects = table;
    n_slots = slots;
}

static void commit(struct name name, uint64_t size, const unsigned char *digest, uint32_t parts)
{
    pthread_mutex_lock(&objects_lock);
    if ((n_used + 1) * 3 > n_slots * 2)
        grow();
    struct object *slot = find(objects, n_slots, name);
    if (!slot->name.b)
        n_used++;
    if (slot->name.b && !slot->gone)
        object_bytes -= slot->size;
    else
        n_objects++;
    *slot = (struct object){.name = name, .size = size, .parts = parts};
    memcpy(slot->digest, digest, 16);
    object_bytes += size;
    pthread_mutex_unlock(&objects_lock);
    n_commits++;
    n_committed_bytes += size;
}

static int look_up(struct name name, struct object *out)
{
    pthread_mutex_lock(&objects_lock);
    int found = 0;
    if (n_slots) {
        *out = *find(objects, n_slots, name);
        found = out->name.b && !out->gone;
    }
    pthread_mutex_unlock(&objects_lock);
    return found;
}

static void delete_object(struct name name)
{
    pthread_mutex_lock(&objects_lock);
    struct object *slot = n_slots ? find(objects, n_slots, name) : NULL;
    if (slot && slot->name.b && !slot->gone) {
        slot->gone = 1;
        n_objects--;
        object_bytes -= slot->size;
    }
    pthread_mutex_unlock(&objects_lock);
}

/* A digest that is no MD5, for the opaque mode; only the sink knows what it stands for. */
static void opaque_digest(unsigned char *out)
{
    static _Atomic uint64_t counter = 1;
    uint64_t n = counter++, mixed = n * 0x9e3779b97f4a7c15u;
    memcpy(out, &mixed, 8);
    memcpy(out + 8, &n, 8);
}

/* Write an ETag without quotes; the buffer holds 64 bytes. */
static void etag_text(char *out, const unsigned char *digest, uint32_t parts)
{
    char *p = out + sprintf(out, "%s", opt_md5 ? "" : "opaque-");
    for (int i = 0; i < 16; i++)
        p += sprintf(p, "%02x", digest[i]);
    if (parts)
        sprintf(p, "-%u", parts);
}

/* ----------------------------------------------------------------------------------- multipart */

struct part { uint64_t size; unsigned char digest[16]; int present; };

struct upload {
    uint64_t id;
    struct name name;
    struct part *parts;
    int capacity;
    struct upload *next;
};

static pthread_mutex_t uploads_lock = PTHREAD_MUTEX_INITIALIZER;
static struct upload *uploads; /* few are open at once */
static uint64_t next_upload = 1;

static uint64_t open_upload(struct name name)
{
    struct upload *u = calloc(1, sizeof *u);
    pthread_mutex_lock(&uploads_lock);
    u->id = next_upload++;
    u->name = name;
    u->next = uploads;
    uploads = u;
    uint64_t id = u->id;
    pthread_mutex_unlock(&uploads_lock);
    return id;
}

/* The caller holds uploads_lock. */
static struct upload **upload_slot(const char *id, struct name name)
{
    uint64_t number = strtoull(id, NULL, 16);
    struct upload **at = &uploads;
    while (*at && (*at)->id != number)
        at = &(*at)->next;
    return *at && (*at)->name.a == name.a && (*at)->name.b == name.b ? at : NULL;
}

static int store_part(const char *id, struct name name, int number, uint64_t size,
                      const unsigned char *digest)
{
    pthread_mutex_lock(&uploads_lock);
    struct upload **at = upload_slot(id, name);
    if (at && number >= (*at)->capacity) {
        int capacity = number + 64;
        (*at)->parts = realloc((*at)->parts, (size_t)capacity * sizeof(struct part));
        memset((*at)->parts + (*at)->capacity, 0,
               (size_t)(capacity - (*at)->capacity) * sizeof(struct part));
        (*at)->capacity = capacity;
    }
    if (at) {
        (*at)->parts[number].size = size;
        (*at)->parts[number].present = 1;
        memcpy((*at)->parts[number].digest, digest, 16);
    }
    pthread_mutex_unlock(&uploads_lock);
    return at != NULL;
}

static void drop_upload(struct upload **at)
{
    struct upload *gone = *at;
    *at = gone->next;
    free(gone->parts);
    free(gone);
}

static int abort_upload(const char *id, struct name name)
{
    pthread_mutex_lock(&uploads_lock);
    struct upload **at = upload_slot(id, name);
    if (at)
        drop_upload(at);
    pthread_mutex_unlock(&uploads_lock);
    return at != NULL;
}

static void reset_all(void)
{
    pthread_mutex_lock(&uploads_lock);
    while (uploads)
        drop_upload(&uploads);
    pthread_mutex_unlock(&uploads_lock);
    pthread_mutex_lock(&objects_lock);
    free(objects);
    objects = NULL;
    n_slots = n_used = n_objects = 0;
    object_bytes = 0;
    pthread_mutex_unlock(&objects_lock);
    for (int i = 0; i < OPS; i++)
        n_ops[i] = 0;
    n_errors = n_body = n_connections = n_commits = n_committed_bytes = 0;
    peak_in_flight = 0;
    getrusage(RUSAGE_SELF, &usage_at_reset);
}

/* ---------------------------------------------------------------------------------- connection */

struct conn {
    int fd;
    char *buffer; /* bytes start..end are read and not yet used */
    size_t start, end;
    double free_at; /* when this connection's line is free again */
    int counted;
};

static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;
static double line_free_at;

/* Wait as long as `bytes` take on this connection's line and on the common one. */
static void pace(struct conn *c, size_t bytes)
{
    double now = now_s(), until = now;
    if (opt_conn > 0) {
        c->free_at = (c->free_at > now ? c->free_at : now) + (double)bytes / opt_conn;
        until = c->free_at;
    }
    if (opt_total > 0) {
        pthread_mutex_lock(&line_lock);
        line_free_at = (line_free_at > now ? line_free_at : now) + (double)bytes / opt_total;
        if (line_free_at > until)
            until = line_free_at;
        pthread_mutex_unlock(&line_lock);
    }
    if (until > now)
        sleep_until(until);
}

static int paced(void) { return opt_conn > 0 || opt_total > 0; }

/* Read at most `most` bytes into `into`, or away with MSG_TRUNC if that is NULL. */
static ssize_t take(struct conn *c, char *into, size_t most)
{
    ssize_t n;
    if (paced() && most > PACED_READ)
        most = PACED_READ;
    do
        n = recv(c->fd, into, most, into ? 0 : MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n > 0 && paced())
        pace(c, (size_t)n);
    return n;
}

static int send_all(struct conn *c, const char *data, size_t n)
{
    while (n) {
        ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return 0;
        data += sent;
        n -= (size_t)sent;
    }
    return 1;
}

/* ----------------------------------------------------------------------------- reading a body */

/* Decodes chunked framing, HTTP's and aws-chunked's alike: "size[;extension]CRLF data CRLF". */
struct chunks {
    enum { SIZE, EXTENSION, DATA, DATA_END, TRAILERS, DONE } state;
    uint64_t left;
    int line; /* bytes in this trailer line */
};

struct body {
    md5_t md5;
    struct chunks outer, inner;
    int is_chunked, is_aws_chunked, hashing;
    uint64_t decoded;
    char *keep; /* a document is kept, up to `room` bytes */
    size_t kept, room;
};

static void body_data(struct body *b, const char *data, size_t n)
{
    b->decoded += n;
    if (b->hashing)
        md5_update(&b->md5, data, n);
    if (b->keep) {
        size_t fits = n < b->room - b->kept ? n : b->room - b->kept;
        memcpy(b->keep + b->kept, data, fits);
        b->kept += fits;
    }
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 32;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Feed framed bytes, pass decoded ones to `sink`; returns how many were used (all, until DONE). */
static size_t dechunk(struct chunks *k, struct body *b, const char *p, size_t n,
                      void (*sink)(struct body *, const char *, size_t))
{
    size_t i = 0;
    while (i < n && k->state != DONE) {
        char ch = p[i];
        int digit;
        switch (k->state) {
        case SIZE:
            digit = hex_digit(ch);
            if (digit >= 0)
                k->left = k->left << 4 | (unsigned)digit;
            else if (ch == ';')
                k->state = EXTENSION;
            /* fall through */
        case EXTENSION:
            if (ch == '\n') {
                k->state = k->left ? DATA : TRAILERS;
                k->line = 0;
            }
            i++;
            break;
        case DATA: {
            size_t take = n - i < k->left ? n - i : (size_t)k->left;
            sink(b, p + i, take);
            i += take;
            k->left -= take;
            if (!k->left)
                k->state = DATA_END;
            break;
        }
        case DATA_END:
            if (ch == '\n')
                k->state = SIZE;
            i++;
            break;
        case TRAILERS:
            if (ch == '\n') {
                if (!k->line)
                    k->state = DONE;
                k->line = 0;
            } else if (ch != '\r') {
                k->line++;
            }
            i++;
            break;
        case DONE:
            break;
        }
    }
    return i;
}

static void unframed(struct body *b, const char *data, size_t n)
{
    if (b->is_aws_chunked)
        dechunk(&b->inner, b, data, n, body_data);
    else
        body_data(b, data, n);
}

static int read_chunked(struct conn *c, struct body *b)
{
    for (;;) {
        c->start += dechunk(&b->outer, b, c->buffer + c->start, c->end - c->start, unframed);
        if (b->outer.state == DONE)
            return 1;
        ssize_t n = take(c, c->buffer, BUFFER);
        if (n <= 0)
            return 0;
        c->start = 0;
        c->end = (size_t)n;
    }
}

static int read_sized(struct conn *c, struct body *b, uint64_t length)
{
    size_t have = c->end - c->start < length ? c->end - c->start : (size_t)length;
    unframed(b, c->buffer + c->start, have);
    c->start += have;
    uint64_t left = length - have;
    /* Without a digest to make, the kernel can drop the bytes without copying them. */
    int drop = !b->hashing && !b->keep && !b->is_aws_chunked;
    while (left) {
        size_t most = drop ? (left < (1 << 30) ? (size_t)left : 1 << 30)
                           : (left < BUFFER ? (size_t)left : BUFFER);
        ssize_t n = take(c, drop ? NULL : c->buffer, most);
        if (n <= 0)
            return 0;
        left -= (uint64_t)n;
        if (drop)
            b->decoded += (uint64_t)n;
        else
            unframed(b, c->buffer, (size_t)n);
        if (!drop)
            c->start = c->end = 0;
    }
    return 1;
}

/* ------------------------------------------------------------------------------------ requests */

struct request {
    char method[8];
    char path[MAX_KEY];  /* decoded, "/bucket/key" */
    char query[MAX_KEY]; /* as sent */
    uint64_t length, decoded_length;
    int has_decoded_length, chunked, aws_chunked, expect, close, copy;
    char content_md5[32];
};

static void percent_decode(char *out, size_t room, const char *in, size_t n)
{
    size_t used = 0;
    for (size_t i = 0; i < n && used + 1 < room; i++) {
        if (in[i] == '%' && i + 2 < n && hex_digit(in[i + 1]) >= 0 && hex_digit(in[i + 2]) >= 0) {
            out[used++] = (char)(hex_digit(in[i + 1]) << 4 | hex_digit(in[i + 2]));
            i += 2;
        } else {
            out[used++] = in[i];
        }
    }
    out[used] = 0;
}

static int header_is(const char *line, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) || line[n] != ':')
        return 0;
    *value = line + n + 1;
    while (**value == ' ' || **value == '\t')
        (*value)++;
    return 1;
}

static void parse_header(struct request *r, const char *line)
{
    const char *v;
    if (header_is(line, "content-length", &v)) {
        r->length = strtoull(v, NULL, 10);
    } else if (header_is(line, "x-amz-decoded-content-length", &v)) {
        r->decoded_length = strtoull(v, NULL, 10);
        r->has_decoded_length = 1;
    } else if (header_is(line, "transfer-encoding", &v)) {
        r->chunked |= strcasestr(v, "chunked") != NULL;
    } else if (header_is(line, "content-encoding", &v)) {
        r->aws_chunked |= strcasestr(v, "aws-chunked") != NULL;
    } else if (header_is(line, "x-amz-content-sha256", &v)) {
        r->aws_chunked |= strncasecmp(v, "STREAMING-", 10) == 0;
    } else if (header_is(line, "expect", &v)) {
        r->expect = strncasecmp(v, "100", 3) == 0;
    } else if (header_is(line, "connection", &v)) {
        r->close = strncasecmp(v, "close", 5) == 0;
    } else if (header_is(line, "x-amz-copy-source", &v)) {
        r->copy = 1;
    } else if (header_is(line, "content-md5", &v)) {
        snprintf(r->content_md5, sizeof r->content_md5, "%s", v);
    }
}

/* Parse the head in place (`head` ends with a NUL instead of the empty line). */
static int parse_head(struct request *r, char *head)
{
    r->length = r->decoded_length = 0;
    r->has_decoded_length = r->chunked = r->aws_chunked = r->expect = r->close = r->copy = 0;
    r->content_md5[0] = r->query[0] = 0;
    char *save = NULL, *line = strtok_r(head, "\r\n", &save);
    char target[MAX_KEY];
    if (!line || sscanf(line, "%7s %4095s", r->method, target) != 2)
        return 0;
    char *path = target;
    if (!strncasecmp(path, "http://", 7)) /* absolute form, as to a proxy */
        path = strchr(path + 7, '/') ? strchr(path + 7, '/') : "/";
    char *question = strchr(path, '?');
    percent_decode(r->path, sizeof r->path, path,
                   question ? (size_t)(question - path) : strlen(path));
    if (question)
        snprintf(r->query, sizeof r->query, "%s", question + 1);
    while ((line = strtok_r(NULL, "\r\n", &save)))
        parse_header(r, line);
    return 1;
}

/* Find a query parameter; copies its decoded value if there is one. */
static int query_has(const struct request *r, const char *name, char *value, size_t room)
{
    size_t n = strlen(name);
    for (const char *p = r->query; p && *p; p = strchr(p, '&'), p = p ? p + 1 : NULL) {
        if (strncmp(p, name, n) || (p[n] && p[n] != '=' && p[n] != '&'))
            continue;
        if (value) {
            const char *from = p[n] == '=' ? p + n + 1 : p + n;
            size_t length = strcspn(from, "&");
            percent_decode(value, room, from, length);
        }
        return 1;
    }
    return 0;
}

/* Read one request's head; 0 at the end of the connection. */
static int read_head(struct conn *c, struct request *r)
{
    for (;;) {
        char *from = c->buffer + c->start;
        char *end = memmem(from, c->end - c->start, "\r\n\r\n", 4);
        if (end) {
            *end = 0;
            c->start = (size_t)(end + 4 - c->buffer);
            return parse_head(r, from);
        }
        memmove(c->buffer, from, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
        if (c->end >= MAX_HEAD)
            return 0;
        ssize_t n = take(c, c->buffer + c->end, BUFFER - c->end);
        if (n <= 0)
            return 0;
        c->end += (size_t)n;
    }
}

/* ------------------------------------------------------------------------------------- answers */

static int answer(struct conn *c, const struct request *r, int status, const char *headers,
                  const char *text, size_t length)
{
    static _Atomic uint64_t id = 1;
    char head[1024];
    const char *reason = status == 200 ? "OK" : status == 204 ? "No Content" : "Error";
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nServer: sink\r\nx-amz-request-id: %016llX\r\n"
                     "%s%sContent-Length: %zu\r\n\r\n",
                     status, reason, (unsigned long long)id++, headers,
                     length && text[0] == '<' ? "Content-Type: application/xml\r\n" : "", length);
    /* A body after the answer to HEAD would be taken for the next answer. */
    if (!strcmp(r->method, "HEAD"))
        length = 0;
    if (length && (size_t)n + length < sizeof head) {
        memcpy(head + n, text, length);
        return send_all(c, head, (size_t)n + length);
    }
    return send_all(c, head, (size_t)n) && send_all(c, text, length);
}

static int answer_error(struct conn *c, const struct request *r, int status, const char *code)
{
    char text[256];
    n_errors++;
    int n = snprintf(text, sizeof text,
                     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
                     "<Message>%s</Message></Error>", code, code);
    if (!strcmp(r->method, "HEAD"))
        n = 0;
    return answer(c, r, status, "", text, (size_t)n);
}

static int answer_text(struct conn *c, const struct request *r, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return answer(c, r, 200, "", text, (size_t)n);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec - usage_at_reset.ru_utime.tv_sec
                    + u.ru_stime.tv_sec - usage_at_reset.ru_stime.tv_sec)
           + (double)(u.ru_utime.tv_usec - usage_at_reset.ru_utime.tv_usec
                      + u.ru_stime.tv_usec - usage_at_reset.ru_stime.tv_usec) / 1e6;
}

static int answer_stats(struct conn *c, const struct request *r)
{
    char ops[1024], *p = ops;
    uint64_t all = 0, open = 0;
    for (int i = 0; i < OPS; i++) {
        p += sprintf(p, "%s\"%s\": %llu", i ? ", " : "", op_names[i], (unsigned long long)n_ops[i]);
        all += n_ops[i];
    }
    pthread_mutex_lock(&uploads_lock);
    for (struct upload *u = uploads; u; u = u->next)
        open++;
    pthread_mutex_unlock(&uploads_lock);
    pthread_mutex_lock(&objects_lock);
    unsigned long long count = n_objects, bytes = object_bytes;
    pthread_mutex_unlock(&objects_lock);
    return answer_text(
        c, r,
        "{\"requests\": %llu, \"operations\": {%s}, \"errors\": %llu, \"body_bytes\": %llu, "
        "\"objects\": %llu, \"object_bytes\": %llu, \"commits\": %llu, \"committed_bytes\": %llu, "
        "\"connections\": %llu, \"peak_in_flight\": %lld, \"open_uploads\": %llu, "
        "\"sink_cpu_seconds\": %.4f, \"etag\": \"%s\"}\n",
        (unsigned long long)all, ops, (unsigned long long)n_errors, (unsigned long long)n_body,
        count, bytes, (unsigned long long)n_commits, (unsigned long long)n_committed_bytes,
        (unsigned long long)n_connections, (long long)peak_in_flight, (unsigned long long)open,
        cpu_seconds(), opt_md5 ? "md5" : "opaque");
}

/* ---------------------------------------------------------------------------------- operations */

static void base64_16(char *out, const unsigned char *d)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 18; i += 3) {
        uint32_t v = (uint32_t)d[i] << 16 | (i + 1 < 16 ? (uint32_t)d[i + 1] << 8 : 0)
                     | (i + 2 < 16 ? d[i + 2] : 0);
        for (int j = 0; j < 4; j++)
            *out++ = set[v >> (18 - 6 * j) & 63];
        if (i == 15)
            break;
    }
    memcpy(out - 2, "==", 3);
}

static int digest_of(struct body *b, const struct request *r, unsigned char *digest)
{
    char text[32];
    if (!b->hashing) {
        opaque_digest(digest);
        return 1;
    }
    md5_final(digest, &b->md5);
    base64_16(text, digest);
    return !r->content_md5[0] || !strncmp(text, r->content_md5, 24);
}

static int answer_etag(struct conn *c, const struct request *r, const unsigned char *digest)
{
    char headers[96], etag[64];
    etag_text(etag, digest, 0);
    snprintf(headers, sizeof headers, "ETag: \"%s\"\r\n", etag);
    return answer(c, r, 200, headers, "", 0);
}

static int put(struct conn *c, struct request *r, struct body *b, struct name name, int is_part)
{
    unsigned char digest[16];
    char id[64] = "", number[16] = "0";
    if (r->has_decoded_length && r->decoded_length != b->decoded)
        return answer_error(c, r, 400, "IncompleteBody");
    if (!digest_of(b, r, digest))
        return answer_error(c, r, 400, "BadDigest");
    n_body += b->decoded;
    if (!is_part) {
        commit(name, b->decoded, digest, 0);
        return answer_etag(c, r, digest);
    }
    query_has(r, "uploadId", id, sizeof id);
    query_has(r, "partNumber", number, sizeof number);
    int n = atoi(number);
    if (n < 1 || n > MAX_PARTS)
        return answer_error(c, r, 400, "InvalidArgument");
    if (!store_part(id, name, n, b->decoded, digest))
        return answer_error(c, r, 404, "NoSuchUpload");
    return answer_etag(c, r, digest);
}

static int create(struct conn *c, struct request *r, struct name name)
{
    return answer_text(c, r,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<InitiateMultipartUploadResult><Bucket>sink</Bucket><Key>key</Key>"
                       "<UploadId>%016llx</UploadId></InitiateMultipartUploadResult>",
                       (unsigned long long)open_upload(name));
}

/* Compare the hex of an ETag inside a document's part with the part's own. */
static int etag_matches(const char *from, const char *end, const struct part *p)
{
    char etag[64];
    etag_text(etag, p->digest, 0);
    const char *at = strstr(from, "<ETag>");
    return at && at < end && memmem(at, (size_t)(end - at), etag, strlen(etag)) != NULL;
}

/* Check the document against the parts; returns NULL and the object, or an error code. */
static const char *assemble(struct upload *u, const char *document, uint64_t *size,
                            unsigned char *digest, uint32_t *count)
{
    md5_t md5;
    int last = 0;
    md5_init(&md5);
    *size = *count = 0;
    for (const char *p = strstr(document, "<Part>"); p; p = strstr(p, "<Part>")) {
        const char *end = strstr(p, "</Part>"), *at = strstr(p, "<PartNumber>");
        if (!end || !at || at > end)
            return "MalformedXML";
        int number = atoi(at + strlen("<PartNumber>"));
        if (number <= last)
            return "InvalidPartOrder";
        if (number >= u->capacity || !u->parts[number].present
            || !etag_matches(p, end, &u->parts[number]))
            return "InvalidPart";
        *size += u->parts[number].size;
        md5_update(&md5, u->parts[number].digest, 16);
        last = number;
        (*count)++;
        p = end;
    }
    md5_final(digest, &md5);
    return *count ? NULL : "MalformedXML";
}

static int complete(struct conn *c, struct request *r, struct body *b, struct name name)
{
    char id[64] = "", etag[64];
    unsigned char digest[16];
    uint64_t size = 0;
    uint32_t count = 0;
    query_has(r, "uploadId", id, sizeof id);
    b->keep[b->kept] = 0;
    pthread_mutex_lock(&uploads_lock);
    struct upload **at = upload_slot(id, name);
    const char *error = at ? assemble(*at, b->keep, &size, digest, &count) : "NoSuchUpload";
    if (!error)
        drop_upload(at);
    pthread_mutex_unlock(&uploads_lock);
    if (error)
        return answer_error(c, r, strcmp(error, "NoSuchUpload") ? 400 : 404, error);
    commit(name, size, digest, count);
    etag_text(etag, digest, count);
    return answer_text(c, r,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<CompleteMultipartUploadResult><Location>http://127.0.0.1/</Location>"
                       "<Bucket>sink</Bucket><Key>key</Key><ETag>&quot;%s&quot;</ETag>"
                       "</CompleteMultipartUploadResult>", etag);
}

static int head_object(struct conn *c, struct request *r, struct name name)
{
    struct object o;
    char etag[64], head[512];
    if (!look_up(name, &o))
        return answer_error(c, r, 404, "NoSuchKey");
    etag_text(etag, o.digest, o.parts);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: sink\r\nETag: \"%s\"\r\n"
                     "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                     "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n"
                     "Content-Length: %llu\r\n\r\n", etag, (unsigned long long)o.size);
    return send_all(c, head, (size_t)n);
}

static int list_parts(struct conn *c, struct request *r, struct name name)
{
    char id[64] = "", etag[64], *text = NULL;
    size_t length = 0;
    query_has(r, "uploadId", id, sizeof id);
    FILE *out = open_memstream(&text, &length);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListPartsResult>", out);
    pthread_mutex_lock(&uploads_lock);
    struct upload **at = upload_slot(id, name);
    for (int i = 1; at && i < (*at)->capacity; i++) {
        struct part *p = &(*at)->parts[i];
        if (!p->present)
            continue;
        etag_text(etag, p->digest, 0);
        fprintf(out, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag>"
                "<Size>%llu</Size></Part>", i, etag, (unsigned long long)p->size);
    }
    pthread_mutex_unlock(&uploads_lock);
    fputs("<IsTruncated>false</IsTruncated></ListPartsResult>", out);
    fclose(out);
    int ok = at ? answer(c, r, 200, "", text, length) : answer_error(c, r, 404, "NoSuchUpload");
    free(text);
    return ok;
}

/* Every bucket exists and looks empty: names are kept as hashes and cannot be listed. */
static int bucket(struct conn *c, struct request *r)
{
    const char *xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    if (!strcmp(r->method, "HEAD") || !strcmp(r->method, "PUT"))
        return answer(c, r, 200, "x-amz-bucket-region: us-east-1\r\n", "", 0);
    if (strcmp(r->method, "GET"))
        return answer_error(c, r, 501, "NotImplemented");
    if (query_has(r, "location", NULL, 0))
        return answer_text(c, r, "%s<LocationConstraint></LocationConstraint>", xml);
    if (query_has(r, "uploads", NULL, 0))
        return answer_text(c, r, "%s<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
                           "</ListMultipartUploadsResult>", xml);
    return answer_text(c, r, "%s<ListBucketResult><Name>sink</Name><Prefix></Prefix>"
                       "<KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
                       "<IsTruncated>false</IsTruncated></ListBucketResult>", xml);
}

static enum op operation(const struct request *r)
{
    const char *slash = strchr(r->path + 1, '/');
    int has_key = slash && slash[1], is_put = !strcmp(r->method, "PUT");
    int has_id = query_has(r, "uploadId", NULL, 0);
    if (!has_key)
        return OP_BUCKET;
    if (r->copy)
        return OP_OTHER;
    if (is_put)
        return has_id ? OP_PART : OP_PUT;
    if (!strcmp(r->method, "POST"))
        return has_id ? OP_COMPLETE : query_has(r, "uploads", NULL, 0) ? OP_CREATE : OP_OTHER;
    if (!strcmp(r->method, "DELETE"))
        return has_id ? OP_ABORT : OP_DELETE;
    if (!strcmp(r->method, "HEAD"))
        return OP_HEAD;
    return !strcmp(r->method, "GET") && has_id ? OP_LIST_PARTS : OP_OTHER;
}

static int perform(struct conn *c, struct request *r, struct body *b, enum op op)
{
    char id[64] = "";
    struct name name = name_of(r->path);
    switch (op) {
    case OP_PUT:
    case OP_PART:
        return put(c, r, b, name, op == OP_PART);
    case OP_CREATE:
        return create(c, r, name);
    case OP_COMPLETE:
        return complete(c, r, b, name);
    case OP_HEAD:
        return head_object(c, r, name);
    case OP_LIST_PARTS:
        return list_parts(c, r, name);
    case OP_BUCKET:
        return bucket(c, r);
    case OP_ABORT:
        query_has(r, "uploadId", id, sizeof id);
        if (!abort_upload(id, name))
            return answer_error(c, r, 404, "NoSuchUpload");
        return answer(c, r, 204, "", "", 0);
    case OP_DELETE:
        delete_object(name);
        return answer(c, r, 204, "", "", 0);
    default:
        return answer_error(c, r, 501, "NotImplemented");
    }
}

static int read_body(struct conn *c, struct request *r, struct body *b, enum op op)
{
    memset(&b->outer, 0, sizeof b->outer);
    memset(&b->inner, 0, sizeof b->inner);
    b->is_chunked = r->chunked;
    b->is_aws_chunked = r->aws_chunked;
    b->hashing = opt_md5 && (op == OP_PUT || op == OP_PART);
    b->decoded = b->kept = b->room = 0;
    b->keep = NULL;
    if (b->hashing)
        md5_init(&b->md5);
    if (op == OP_COMPLETE) {
        b->keep = malloc(DOCUMENT + 1);
        b->room = DOCUMENT;
    }
    if (r->expect && (r->length || r->chunked)) {
        if (opt_rtt > 0)
            sleep_until(now_s() + opt_rtt);
        static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (!send_all(c, go, sizeof go - 1))
            return 0;
    }
    return r->chunked ? read_chunked(c, b) : read_sized(c, b, r->length);
}

static int serve_own(struct conn *c, struct request *r)
{
    if (!strcmp(r->path, "/__stats"))
        return answer_stats(c, r);
    if (!strcmp(r->path, "/__reset"))
        reset_all();
    return answer_text(c, r, "{}\n");
}

static int serve_one(struct conn *c, struct request *r, struct body *b)
{
    if (!read_head(c, r))
        return 0;
    if (!strncmp(r->path, "/__", 3)) {
        b->hashing = 0;
        return read_body(c, r, b, OP_OTHER) && serve_own(c, r);
    }
    if (!c->counted) {
        c->counted = 1;
        n_connections++;
    }
    int64_t busy = ++in_flight, peak = peak_in_flight;
    while (busy > peak && !atomic_compare_exchange_weak(&peak_in_flight, &peak, busy)) {
    }
    enum op op = operation(r);
    n_ops[op]++;
    int ok = read_body(c, r, b, op);
    if (ok && opt_rtt > 0)
        sleep_until(now_s() + opt_rtt);
    ok = ok && perform(c, r, b, op);
    free(b->keep);
    b->keep = NULL;
    in_flight--;
    return ok && !r->close;
}

static void *serve(void *argument)
{
    struct conn c = {.fd = (int)(intptr_t)argument};
    struct request *r = malloc(sizeof *r);
    struct body *b = calloc(1, sizeof *b);
    c.buffer = malloc(BUFFER);
    int one = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt_rtt > 0) /* the handshake of a real line */
        sleep_until(now_s() + opt_rtt);
    while (serve_one(&c, r, b)) {
    }
    close(c.fd);
    free(c.buffer);
    free(r);
    free(b);
    return NULL;
}

/* ---------------------------------------------------------------------------------------- main */

static void usage(void)
{
    fputs("usage: sink [--port N] [--etag md5|opaque] [--rtt-ms N] [--per-connection-mbps N]\n"
          "            [--total-mbps N]\n"
          "Listens on 127.0.0.1; mbps is 10^6 bytes a second. GET /__stats, POST /__reset.\n",
          stderr);
    exit(2);
}

static void parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *name = argv[i], *value = strchr(name, '=');
        if (value) /* --name=value */
            *value++ = 0;
        else if (++i < argc) /* --name value */
            value = argv[i];
        else
            usage();
        if (!strcmp(name, "--port"))
            opt_port = atoi(value);
        else if (!strcmp(name, "--etag") && (!strcmp(value, "md5") || !strcmp(value, "opaque")))
            opt_md5 = !strcmp(value, "md5");
        else if (!strcmp(name, "--rtt-ms"))
            opt_rtt = atof(value) / 1000;
        else if (!strcmp(name, "--per-connection-mbps"))
            opt_conn = atof(value) * 1e6;
        else if (!strcmp(name, "--total-mbps"))
            opt_total = atof(value) * 1e6;
        else
            usage();
    }
}

static int listening(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, small = 64 * 1024;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt_port)};
    socklen_t length = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Set before listen, or the window is scaled for a larger buffer: a slow line must fill up. */
    if (paced())
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096)) {
        perror("sink");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&a, &length);
    printf("http://127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    int fd = listening();
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (client < 0)
            continue;
        if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)client))
            close(client);
    }
}
