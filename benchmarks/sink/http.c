/* HTTP/1.1: the heads of requests, and responses. */
#include "sink.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---------------------------------------------------------------------------- a request's head */

int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 32;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

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

/* Return the value of a header line if the header is `name`, else NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) || line[n] != ':')
        return NULL;
    return line + n + 1 + strspn(line + n + 1, " \t");
}

/* Keep a header line for the responses to HEAD, its name in lower case as S3 returns it. */
static void keep(struct request *r, const char *line)
{
    size_t room = sizeof r->kept - r->kept_length;
    char *at = r->kept + r->kept_length;
    int n = snprintf(at, room, "%s\r\n", line);
    if ((size_t)n >= room) {
        *at = 0;
        r->too_much_kept = true;
        return;
    }
    r->kept_length += (size_t)n;
    for (; *at && *at != ':'; at++)
        *at = (char)tolower((unsigned char)*at);
}

static void parse_amazon_header(struct request *r, const char *line)
{
    const char *v;
    if (!strncasecmp(line, "x-amz-meta-", strlen("x-amz-meta-")))
        keep(r, line);
    else if ((v = value_of(line, "x-amz-content-sha256")))
        r->aws_chunked |= strncasecmp(v, "STREAMING-", strlen("STREAMING-")) == 0;
    else if ((v = value_of(line, "x-amz-decoded-content-length"))) {
        r->decoded_length = strtoull(v, NULL, 10);
        r->has_decoded_length = true;
    } else if (value_of(line, "x-amz-copy-source"))
        r->copies = true;
}

static void parse_header(struct request *r, const char *line)
{
    const char *v;
    if (!strncasecmp(line, "x-amz-", strlen("x-amz-")))
        parse_amazon_header(r, line);
    else if ((v = value_of(line, "content-length")))
        r->length = strtoull(v, NULL, 10);
    else if (value_of(line, "content-type"))
        keep(r, line);
    else if ((v = value_of(line, "content-md5")))
        snprintf(r->content_md5, sizeof r->content_md5, "%s", v);
    else if ((v = value_of(line, "content-encoding")))
        r->aws_chunked |= strcasestr(v, "aws-chunked") != NULL;
    else if ((v = value_of(line, "transfer-encoding")))
        r->chunked |= strcasestr(v, "chunked") != NULL;
    else if ((v = value_of(line, "expect")))
        r->expects_continue = strncasecmp(v, "100", strlen("100")) == 0;
    else if ((v = value_of(line, "connection")))
        r->closes = strncasecmp(v, "close", strlen("close")) == 0;
}

static void clear(struct request *r)
{
    r->length = r->decoded_length = r->kept_length = 0;
    r->has_decoded_length = r->chunked = r->aws_chunked = r->expects_continue = false;
    r->closes = r->copies = r->too_much_kept = false;
    r->content_md5[0] = r->query[0] = r->kept[0] = 0;
}

/* Parse the head in place (`head` ends with a NUL instead of the empty line). */
static bool parse_head(struct request *r, char *head)
{
    char *rest = NULL, *line = strtok_r(head, "\r\n", &rest);
    char target[MAX_KEY];
    clear(r);
    if (!line || sscanf(line, "%7s %4095s", r->method, target) != 2)
        return false;
    char *path = target;
    if (!strncasecmp(path, "http://", strlen("http://"))) /* absolute form, as to a proxy */
        path = strchr(path + strlen("http://"), '/');
    if (!path || path[0] != '/')
        return false;
    size_t length = strcspn(path, "?");
    percent_decode(r->path, sizeof r->path, path, length);
    if (path[length])
        strcpy(r->query, path + length + 1);
    while ((line = strtok_r(NULL, "\r\n", &rest)))
        parse_header(r, line);
    return true;
}

bool read_head(struct connection *c, struct request *r)
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
            return false;
        ssize_t n = receive(c, c->buffer + c->end, BUFFER - c->end);
        if (n <= 0)
            return false;
        c->end += (size_t)n;
    }
}

bool query_value(const struct request *r, const char *name, char *value, size_t room)
{
    size_t n = strlen(name);
    for (const char *p = r->query; *p; p += *p == '&') {
        size_t length = strcspn(p, "&");
        if (!strncmp(p, name, n) && (n == length || p[n] == '=')) {
            size_t start = n == length ? n : n + 1;
            if (room)
                percent_decode(value, room, p + start, length - start);
            return true;
        }
        p += length;
    }
    return false;
}

/* ----------------------------------------------------------------------------------- responses */

void write_http_date(char *out, time_t at)
{
    struct tm utc;
    strftime(out, DATE, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &utc));
}

/* Return the time as the header Date has it, made once a second. */
static const char *date(struct connection *c)
{
    time_t at = time(NULL);
    if (at != c->date_at) {
        c->date_at = at;
        write_http_date(c->date, at);
    }
    return c->date;
}

bool respond(struct connection *c, const struct request *r, int status, const char *headers,
             const char *text, uint64_t length)
{
    static _Atomic uint64_t id = 1;
    char head[MAX_KEPT + 1024];
    const char *reason = status == 200 ? "OK" : status == 204 ? "No Content" : "Error";
    const char *type = text && text[0] == '<' ? "Content-Type: application/xml\r\n" : "";
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nServer: sink\r\nDate: %s\r\nx-amz-request-id: %016llX\r\n"
                     "%s%sContent-Length: %llu\r\n\r\n",
                     status, reason, date(c), (unsigned long long)id++, headers, type,
                     (unsigned long long)length);
    size_t size = (size_t)n;
    /* A body after the response to HEAD would be read as the next response. */
    if (!strcmp(r->method, "HEAD"))
        length = 0;
    if (length && length < sizeof head - size) {
        memcpy(head + size, text, length);
        return send_all(c, head, size + length);
    }
    return send_all(c, head, size) && send_all(c, text, length);
}

bool respond_error(struct connection *c, const struct request *r, int status, const char *code)
{
    char text[256];
    counts.errors++;
    int n = snprintf(text, sizeof text,
                     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
                     "<Message>%s</Message></Error>", code, code);
    return respond(c, r, status, "", text, (size_t)n);
}

bool respond_text(struct connection *c, const struct request *r, const char *format, ...)
{
    char text[MAX_TEXT];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return respond(c, r, 200, "", text, (size_t)n);
}
