/* The process: its options, a thread for each connection, and what was counted. */
#include "sink.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MAX_DOCUMENT = 8 * 1024 * 1024, /* of CompleteMultipartUpload */
    SLOW_LINE_BUFFER = 64 * 1024,   /* of the socket, so that the line fills up */
    STACK = 128 * 1024,
    WAITING = 4096, /* connections that are not yet accepted */
};

struct options options = {.md5 = true};
struct counts counts;

/* -------------------------------------------------------------------------------------- counts */

static const char *const operation_names[OPERATIONS] = {
    "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload",
    "AbortMultipartUpload", "HeadObject", "GetObject", "DeleteObject", "ListParts", "Bucket",
    "Other"
};
static double cpu_at_reset;

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
           + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Connections that are busy remain counted. */
static void reset(void)
{
    forget_everything();
    for (int i = 0; i < OPERATIONS; i++)
        counts.operations[i] = 0;
    counts.errors = counts.body_bytes = counts.connections = 0;
    counts.commits = counts.committed_bytes = 0;
    counts.peak_in_flight = 0;
    cpu_at_reset = cpu_seconds();
}

static bool respond_stats(struct connection *c, const struct request *r)
{
    char operations[1024], *p = operations;
    unsigned long long all = 0;
    struct totals totals = store_totals();
    for (int i = 0; i < OPERATIONS; i++) {
        unsigned long long n = counts.operations[i];
        p += sprintf(p, "%s\"%s\": %llu", i ? ", " : "", operation_names[i], n);
        all += n;
    }
    return respond_text(
        c, r,
        "{\"requests\": %llu, \"operations\": {%s}, \"errors\": %llu, \"body_bytes\": %llu, "
        "\"objects\": %llu, \"object_bytes\": %llu, \"commits\": %llu, \"committed_bytes\": %llu, "
        "\"connections\": %llu, \"peak_in_flight\": %lld, \"open_uploads\": %llu, "
        "\"sink_cpu_seconds\": %.4f, \"etag\": \"%s\"}\n",
        all, operations, (unsigned long long)counts.errors, (unsigned long long)counts.body_bytes,
        (unsigned long long)totals.objects, (unsigned long long)totals.object_bytes,
        (unsigned long long)counts.commits, (unsigned long long)counts.committed_bytes,
        (unsigned long long)counts.connections, (long long)counts.peak_in_flight,
        (unsigned long long)totals.open_uploads, cpu_seconds() - cpu_at_reset,
        options.md5 ? "md5" : "opaque");
}

/* --------------------------------------------------------------------------------- connections */

/* Serve what a benchmark asks of the sink itself; it is not counted. */
static bool serve_own(struct connection *c, const struct request *r, struct body *b)
{
    begin_body(b, r, false, 0);
    if (!read_body(c, r, b))
        return false;
    if (!strcmp(r->path, "/__stats"))
        return respond_stats(c, r);
    if (!strcmp(r->path, "/__reset"))
        reset();
    return respond_text(c, r, "{}\n");
}

static void count_request(struct connection *c, enum operation op)
{
    if (!c->counted) {
        c->counted = true;
        counts.connections++;
    }
    counts.operations[op]++;
    int64_t busy = ++counts.in_flight, peak = counts.peak_in_flight;
    while (busy > peak
           && !atomic_compare_exchange_weak(&counts.peak_in_flight, &peak, busy)) {
    }
}

/* Serve one request; false if it was the last of its connection. */
static bool serve_one(struct connection *c, struct request *r, struct body *b)
{
    if (!read_head(c, r))
        return false;
    if (!strncmp(r->path, "/__", strlen("/__")))
        return serve_own(c, r, b);
    enum operation op = operation_of(r);
    count_request(c, op);
    begin_body(b, r, options.md5 && (op == OP_PUT || op == OP_PART),
               op == OP_COMPLETE ? MAX_DOCUMENT : 0);
    bool whole = read_body(c, r, b);
    if (whole && options.rtt > 0)
        sleep_until(now() + options.rtt);
    bool sent = whole && perform(c, r, b, op);
    free(b->document);
    counts.in_flight--;
    return sent && !r->closes;
}

static void *serve(void *argument)
{
    struct connection c = {.fd = (int)(intptr_t)argument, .buffer = checked(malloc(BUFFER))};
    struct request *r = checked(malloc(sizeof *r));
    struct body b = {.md5 = options.md5 ? md5_new() : NULL};
    int one = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (options.rtt > 0) /* the handshake of a real line */
        sleep_until(now() + options.rtt);
    while (serve_one(&c, r, &b)) {
    }
    close(c.fd);
    md5_free(b.md5);
    free(c.buffer);
    free(r);
    return NULL;
}

static int start_listening(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, small = SLOW_LINE_BUFFER;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    socklen_t length = sizeof a;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Set before listen, or the window is scaled for a larger buffer: a slow line must fill up. */
    if (is_paced())
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, WAITING)) {
        perror("sink");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&a, &length);
    printf("http://127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

/* ------------------------------------------------------------------------------------- options */

static void usage(void)
{
    fputs("usage: sink [--port N] [--etag md5|opaque] [--libcrypto FILE] [--rtt-ms N]\n"
          "            [--per-connection-mbps N] [--total-mbps N]\n"
          "Listens on 127.0.0.1; mbps is 10^6 bytes a second. GET /__stats, POST /__reset.\n",
          stderr);
    exit(2);
}

static void set_option(const char *name, const char *value)
{
    if (!strcmp(name, "--port"))
        options.port = atoi(value);
    else if (!strcmp(name, "--etag") && (!strcmp(value, "md5") || !strcmp(value, "opaque")))
        options.md5 = !strcmp(value, "md5");
    else if (!strcmp(name, "--libcrypto"))
        options.libcrypto = value;
    else if (!strcmp(name, "--rtt-ms"))
        options.rtt = atof(value) / 1000;
    else if (!strcmp(name, "--per-connection-mbps"))
        options.per_connection = atof(value) * 1e6;
    else if (!strcmp(name, "--total-mbps"))
        options.total = atof(value) * 1e6;
    else
        usage();
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
        set_option(name, value);
    }
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    parse_options(argc, argv);
    if (options.md5)
        load_md5(options.libcrypto);
    /* strftime looks for /etc/localtime each time if no zone is named. */
    setenv("TZ", "UTC0", 1);
    signal(SIGPIPE, SIG_IGN);
    int fd = start_listening();
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
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
