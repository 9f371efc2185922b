/* MD5 and base64, by libcrypto. */
#include "sink.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* What is used of libcrypto, as <openssl/evp.h> declares it from OpenSSL 1.1 on. It is loaded, not
 * linked: a machine whose Python has ssl mostly has the library, but seldom its headers, and with
 * opaque ETags the sink does without it. */
static struct {
    void *(*context_new)(void);
    int (*context_copy)(void *to, const void *from);
    void (*context_free)(void *context);
    const void *(*md5)(void);
    int (*init)(void *context, const void *type, void *engine);
    int (*update)(void *context, const void *data, size_t length);
    int (*final)(void *context, unsigned char *digest, unsigned *length);
    int (*encode_base64)(unsigned char *out, const unsigned char *data, int length);
} evp;

/* The context that all others are copies of, so that they need not name MD5: for a name, OpenSSL 3
 * searches its providers. */
static void *first_md5;

static void *open_library(const char *file)
{
    static const char *const names[] = {"libcrypto.so.3", "libcrypto.so.4", "libcrypto.so.1.1",
                                        "libcrypto.so"};
    void *library = NULL;
    if (file)
        return dlopen(file, RTLD_NOW);
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW);
    return library;
}

static bool find_functions(void *library)
{
    const struct {
        const char *name;
        void *into;
    } functions[] = {
        {"EVP_MD_CTX_new", &evp.context_new},
        {"EVP_MD_CTX_copy_ex", &evp.context_copy},
        {"EVP_MD_CTX_free", &evp.context_free},
        {"EVP_md5", &evp.md5},
        {"EVP_DigestInit_ex", &evp.init},
        {"EVP_DigestUpdate", &evp.update},
        {"EVP_DigestFinal_ex", &evp.final},
        {"EVP_EncodeBlock", &evp.encode_base64},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found)
            return false;
        memcpy(functions[i].into, &found, sizeof found);
    }
    return true;
}

void load_md5(const char *file)
{
    void *library = open_library(file);
    if (library && find_functions(library)) {
        first_md5 = checked(evp.context_new());
        /* An OpenSSL that is restricted to FIPS refuses. */
        if (evp.init(first_md5, evp.md5(), NULL))
            return;
    }
    fprintf(stderr, "sink: --etag md5 needs the MD5 of libcrypto (OpenSSL 1.1 or newer), and %s: "
                    "install it, name its file with --libcrypto, or use --etag opaque\n",
            library ? "it has none or refuses it" : "it cannot be loaded");
    exit(1);
}

void *md5_new(void)
{
    void *md5 = checked(evp.context_new());
    evp.context_copy(md5, first_md5);
    return md5;
}

void md5_free(void *md5)
{
    if (md5)
        evp.context_free(md5);
}

void md5_begin(void *md5) { evp.init(md5, NULL, NULL); }

void md5_add(void *md5, const void *data, size_t length) { evp.update(md5, data, length); }

void md5_end(void *md5, unsigned char *digest) { evp.final(md5, digest, NULL); }

void md5_base64(char *out, const unsigned char *digest)
{
    evp.encode_base64((unsigned char *)out, digest, DIGEST);
}

void opaque_digest(unsigned char *digest)
{
    static _Atomic uint64_t counter = 1;
    uint64_t n = counter++, mixed = n * 0x9e3779b97f4a7c15u;
    memcpy(digest, &mixed, 8);
    memcpy(digest + 8, &n, 8);
}

void write_etag(char *out, const unsigned char *digest, unsigned parts)
{
    static const char hex[] = "0123456789abcdef";
    if (!options.md5)
        out = stpcpy(out, "opaque-");
    for (int i = 0; i < DIGEST; i++) {
        *out++ = hex[digest[i] >> 4];
        *out++ = hex[digest[i] & 15];
    }
    *out = 0;
    if (parts)
        sprintf(out, "-%u", parts);
}
