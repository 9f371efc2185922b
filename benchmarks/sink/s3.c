/* The operations of S3, as far as an upload needs them. */
#include "sink.h"

#include <stdio.h>
#include <string.h>

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

enum { MAX_ID = 64 };

/* Almost every object has this type: it is not kept with each. */
static const char usual_type[] = "content-type: application/octet-stream\r\n";

static const char *kept_of(const struct request *r)
{
    return strcmp(r->kept, usual_type) ? r->kept : "";
}

/* ------------------------------------------------------------------------------ bytes received */

/* Finish the digest of a body; returns NULL, or the error of a body that is not what was sent. */
static const char *check_body(struct body *b, const struct request *r, unsigned char *digest)
{
    char text[2 * DIGEST];
    if (r->has_decoded_length && r->decoded_length != b->decoded)
        return "IncompleteBody";
    if (!b->hashing) {
        opaque_digest(digest);
        return NULL;
    }
    md5_end(b->md5, digest);
    if (!r->content_md5[0])
        return NULL;
    md5_base64(text, digest);
    return strncmp(text, r->content_md5, strlen(text)) ? "BadDigest" : NULL;
}

static bool respond_etag(struct connection *c, const struct request *r,
                         const unsigned char *digest)
{
    char headers[MAX_ETAG + 16], etag[MAX_ETAG];
    write_etag(etag, digest, 0);
    snprintf(headers, sizeof headers, "ETag: \"%s\"\r\n", etag);
    return respond(c, r, 200, headers, NULL, 0);
}

static bool put(struct connection *c, const struct request *r, struct body *b)
{
    struct object object = {.name = name_of(r->path), .size = b->decoded};
    const char *error = r->too_much_kept ? "MetadataTooLarge" : check_body(b, r, object.digest);
    if (error)
        return respond_error(c, r, 400, error);
    counts.body_bytes += b->decoded;
    put_object(object, kept_of(r));
    return respond_etag(c, r, object.digest);
}

static bool put_part(struct connection *c, const struct request *r, struct body *b)
{
    unsigned char digest[DIGEST];
    char id[MAX_ID] = "", number_text[MAX_ID] = "";
    const char *error = check_body(b, r, digest);
    if (error)
        return respond_error(c, r, 400, error);
    counts.body_bytes += b->decoded;
    query_value(r, "uploadId", id, sizeof id);
    query_value(r, "partNumber", number_text, sizeof number_text);
    int number = atoi(number_text);
    if (number < 1 || number > MAX_PARTS)
        return respond_error(c, r, 400, "InvalidArgument");
    struct upload *u = lock_upload(id, r->path);
    if (u)
        set_part(u, number, b->decoded, digest);
    unlock_uploads();
    return u ? respond_etag(c, r, digest) : respond_error(c, r, 404, "NoSuchUpload");
}

/* ----------------------------------------------------------------------------------- multipart */

static bool create(struct connection *c, const struct request *r)
{
    if (r->too_much_kept)
        return respond_error(c, r, 400, "MetadataTooLarge");
    return respond_text(c, r,
                        XML "<InitiateMultipartUploadResult><Bucket>sink</Bucket><Key>key</Key>"
                        "<UploadId>%016llx</UploadId></InitiateMultipartUploadResult>",
                        (unsigned long long)open_upload(r->path, kept_of(r)));
}

/* Compare the ETag that a document has between `from` and `end` with the part's own. */
static bool etag_matches(const char *from, const char *end, const struct part *part)
{
    char etag[MAX_ETAG];
    write_etag(etag, part->digest, 0);
    const char *at = strstr(from, "<ETag>");
    return at && at < end && memmem(at, (size_t)(end - at), etag, strlen(etag)) != NULL;
}

/* Make an object of the parts that a document names; returns NULL, or an error. */
static const char *assemble(const struct upload *u, struct body *b, struct object *object)
{
    int last = 0;
    if (b->md5)
        md5_begin(b->md5);
    for (const char *p = strstr(b->document, "<Part>"); p; p = strstr(p, "<Part>")) {
        const char *end = strstr(p, "</Part>"), *at = strstr(p, "<PartNumber>");
        if (!end || !at || at > end)
            return "MalformedXML";
        int number = atoi(at + strlen("<PartNumber>"));
        if (number <= last)
            return "InvalidPartOrder";
        if (number >= u->capacity || !u->parts[number].present
            || !etag_matches(p, end, &u->parts[number]))
            return "InvalidPart";
        if (b->md5)
            md5_add(b->md5, u->parts[number].digest, DIGEST);
        object->size += u->parts[number].size;
        object->parts++;
        last = number;
        p = end;
    }
    if (b->md5)
        md5_end(b->md5, object->digest);
    else
        opaque_digest(object->digest);
    return last ? NULL : "MalformedXML";
}

static bool complete(struct connection *c, const struct request *r, struct body *b)
{
    char id[MAX_ID] = "", etag[MAX_ETAG];
    struct object object = {.name = name_of(r->path)};
    query_value(r, "uploadId", id, sizeof id);
    struct upload *u = lock_upload(id, r->path);
    const char *error = u ? assemble(u, b, &object) : "NoSuchUpload";
    if (!error) {
        /* While the uploads are locked: nobody sees neither the upload nor the object. */
        put_object(object, u->kept);
        close_upload(u);
    }
    unlock_uploads();
    if (error)
        return respond_error(c, r, u ? 400 : 404, error);
    write_etag(etag, object.digest, object.parts);
    return respond_text(c, r,
                        XML "<CompleteMultipartUploadResult><Location>http://127.0.0.1/</Location>"
                        "<Bucket>sink</Bucket><Key>key</Key><ETag>&quot;%s&quot;</ETag>"
                        "</CompleteMultipartUploadResult>", etag);
}

static bool abort_upload(struct connection *c, const struct request *r)
{
    char id[MAX_ID] = "";
    query_value(r, "uploadId", id, sizeof id);
    struct upload *u = lock_upload(id, r->path);
    if (u)
        close_upload(u);
    unlock_uploads();
    return u ? respond(c, r, 204, "", NULL, 0) : respond_error(c, r, 404, "NoSuchUpload");
}

/* ------------------------------------------------------------------------------- what is there */

static bool head_object(struct connection *c, const struct request *r)
{
    struct object object;
    char headers[MAX_KEPT + 512], kept[MAX_KEPT], etag[MAX_ETAG], modified[DATE];
    if (!look_up(name_of(r->path), &object, kept))
        return respond_error(c, r, 404, "NoSuchKey");
    write_etag(etag, object.digest, object.parts);
    write_http_date(modified, object.modified);
    snprintf(headers, sizeof headers,
             "ETag: \"%s\"\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n%s", etag, modified,
             kept[0] ? kept : usual_type);
    return respond(c, r, 200, headers, NULL, object.size);
}

/* The bytes of an object are gone, and an error is all that can be had of it. */
static bool get_object(struct connection *c, const struct request *r)
{
    struct object object;
    char kept[MAX_KEPT];
    if (!look_up(name_of(r->path), &object, kept))
        return respond_error(c, r, 404, "NoSuchKey");
    return respond_error(c, r, 501, "NotImplemented");
}

/* Respond with what was written to a stream in memory. */
static bool respond_stream(struct connection *c, const struct request *r, FILE *out, char **text,
                           const size_t *length)
{
    fclose(out);
    bool sent = respond(c, r, 200, "", *text, *length);
    free(*text);
    return sent;
}

static bool list_parts(struct connection *c, const struct request *r)
{
    char id[MAX_ID] = "", etag[MAX_ETAG], *text = NULL;
    size_t length = 0;
    query_value(r, "uploadId", id, sizeof id);
    struct upload *u = lock_upload(id, r->path);
    if (!u) {
        unlock_uploads();
        return respond_error(c, r, 404, "NoSuchUpload");
    }
    FILE *out = open_memstream(&text, &length);
    fputs(XML "<ListPartsResult><IsTruncated>false</IsTruncated>", out);
    for (int i = 1; i < u->capacity; i++) {
        if (!u->parts[i].present)
            continue;
        write_etag(etag, u->parts[i].digest, 0);
        fprintf(out, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag>"
                "<Size>%llu</Size></Part>", i, etag, (unsigned long long)u->parts[i].size);
    }
    unlock_uploads();
    fputs("</ListPartsResult>", out);
    return respond_stream(c, r, out, &text, &length);
}

static void write_escaped(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default: putc(*text, out);
        }
}

static bool list_uploads(struct connection *c, const struct request *r)
{
    char prefix[MAX_KEY] = "", begins[2 * MAX_KEY], initiated[DATE], *text = NULL;
    size_t length = 0, bucket = strcspn(r->path + 1, "/") + 1;
    struct tm utc;
    query_value(r, "prefix", prefix, sizeof prefix);
    snprintf(begins, sizeof begins, "%.*s/%s", (int)bucket, r->path, prefix);
    FILE *out = open_memstream(&text, &length);
    fputs(XML "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>", out);
    for (struct upload *u = lock_uploads(); u; u = u->next) {
        if (strncmp(u->path, begins, strlen(begins)))
            continue;
        strftime(initiated, DATE, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&u->initiated, &utc));
        fputs("<Upload><Key>", out);
        write_escaped(out, u->path + bucket + 1);
        fprintf(out, "</Key><UploadId>%016llx</UploadId><Initiated>%s</Initiated></Upload>",
                (unsigned long long)u->id, initiated);
    }
    unlock_uploads();
    fputs("</ListMultipartUploadsResult>", out);
    return respond_stream(c, r, out, &text, &length);
}

/* Every bucket exists and looks empty: names are kept as hashes and cannot be listed. */
static bool bucket(struct connection *c, const struct request *r)
{
    if (!strcmp(r->method, "HEAD") || !strcmp(r->method, "PUT"))
        return respond(c, r, 200, "x-amz-bucket-region: us-east-1\r\n", NULL, 0);
    if (strcmp(r->method, "GET"))
        return respond_error(c, r, 501, "NotImplemented");
    if (query_value(r, "location", NULL, 0))
        return respond_text(c, r, XML "<LocationConstraint></LocationConstraint>");
    if (query_value(r, "uploads", NULL, 0))
        return list_uploads(c, r);
    return respond_text(c, r, XML "<ListBucketResult><Name>sink</Name><Prefix></Prefix>"
                        "<KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
                        "<IsTruncated>false</IsTruncated></ListBucketResult>");
}

/* ---------------------------------------------------------------------------- which operation */

enum operation operation_of(const struct request *r)
{
    const char *slash = strchr(r->path + 1, '/');
    bool has_key = slash && slash[1], has_id = query_value(r, "uploadId", NULL, 0);
    if (!has_key)
        return OP_BUCKET;
    if (r->copies)
        return OP_OTHER;
    if (!strcmp(r->method, "PUT"))
        return has_id ? OP_PART : OP_PUT;
    if (!strcmp(r->method, "POST"))
        return has_id ? OP_COMPLETE : query_value(r, "uploads", NULL, 0) ? OP_CREATE : OP_OTHER;
    if (!strcmp(r->method, "DELETE"))
        return has_id ? OP_ABORT : OP_DELETE;
    if (!strcmp(r->method, "HEAD"))
        return OP_HEAD;
    if (!strcmp(r->method, "GET"))
        return has_id ? OP_LIST_PARTS : OP_GET;
    return OP_OTHER;
}

bool perform(struct connection *c, const struct request *r, struct body *b, enum operation op)
{
    switch (op) {
    case OP_PUT: return put(c, r, b);
    case OP_PART: return put_part(c, r, b);
    case OP_CREATE: return create(c, r);
    case OP_COMPLETE: return complete(c, r, b);
    case OP_ABORT: return abort_upload(c, r);
    case OP_HEAD: return head_object(c, r);
    case OP_GET: return get_object(c, r);
    case OP_LIST_PARTS: return list_parts(c, r);
    case OP_BUCKET: return bucket(c, r);
    case OP_DELETE:
        delete_object(name_of(r->path));
        return respond(c, r, 204, "", NULL, 0);
    default: return respond_error(c, r, 501, "NotImplemented");
    }
}
