/* What is remembered: objects by the hash of their name, open uploads with their parts. */
#include "sink.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- objects */

static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects; /* a hash table with open addressing */
static size_t slots, used_slots;
static uint64_t object_count, object_bytes;

/* Hash a name with two FNV-1a lanes and a final mix: no cryptography needed, no collisions seen. */
struct name name_of(const char *path)
{
    uint64_t a = 0xcbf29ce484222325u, b = 0x9e3779b97f4a7c15u;
    for (; *path; path++) {
        a = (a ^ (unsigned char)*path) * 0x100000001b3u;
        b = (b + (unsigned char)*path) * 0xff51afd7ed558ccdu;
        b ^= b >> 29;
    }
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    return (struct name){a ^ a >> 32, b | 1};
}

/* Find the slot of a name, or the empty one where it would be; `count` is a power of two. */
static struct object *find(struct object *table, size_t count, struct name name)
{
    size_t i = name.a & (count - 1);
    while (table[i].name.b && (table[i].name.a != name.a || table[i].name.b != name.b))
        i = (i + 1) & (count - 1);
    return &table[i];
}

/* Find an object that exists; NULL if there is none. The caller holds objects_lock. */
static struct object *find_existing(struct name name)
{
    struct object *slot = slots ? find(objects, slots, name) : NULL;
    return slot && slot->name.b && !slot->gone ? slot : NULL;
}

static void grow(void)
{
    size_t count = slots ? slots * 2 : 4096;
    struct object *table = checked(calloc(count, sizeof *table));
    used_slots = 0;
    for (size_t i = 0; i < slots; i++)
        if (objects[i].name.b && !objects[i].gone) {
            *find(table, count, objects[i].name) = objects[i];
            used_slots++;
        }
    free(objects);
    objects = table;
    slots = count;
}

void put_object(struct object object, const char *kept)
{
    object.kept = kept[0] ? checked(strdup(kept)) : NULL;
    object.modified = (uint32_t)time(NULL);
    pthread_mutex_lock(&objects_lock);
    if ((used_slots + 1) * 3 > slots * 2)
        grow();
    struct object *slot = find(objects, slots, object.name);
    if (!slot->name.b)
        used_slots++;
    if (slot->name.b && !slot->gone)
        object_bytes -= slot->size;
    else
        object_count++;
    free(slot->kept);
    *slot = object;
    object_bytes += object.size;
    pthread_mutex_unlock(&objects_lock);
    counts.commits++;
    counts.committed_bytes += object.size;
}

bool look_up(struct name name, struct object *out, char *kept)
{
    pthread_mutex_lock(&objects_lock);
    const struct object *found = find_existing(name);
    if (found) {
        *out = *found;
        /* Copied while locked: the next PUT frees it. */
        strcpy(kept, found->kept ? found->kept : "");
        out->kept = NULL;
    }
    pthread_mutex_unlock(&objects_lock);
    return found;
}

void delete_object(struct name name)
{
    pthread_mutex_lock(&objects_lock);
    struct object *slot = find_existing(name);
    if (slot) {
        slot->gone = true;
        free(slot->kept);
        slot->kept = NULL;
        object_count--;
        object_bytes -= slot->size;
    }
    pthread_mutex_unlock(&objects_lock);
}

/* ----------------------------------------------------------------------------------- multipart */

static pthread_mutex_t uploads_lock = PTHREAD_MUTEX_INITIALIZER;
static struct upload *uploads; /* few are open at once */
static uint64_t upload_count;

uint64_t open_upload(const char *path, const char *kept)
{
    static uint64_t last_id;
    struct upload *u = checked(calloc(1, sizeof *u));
    u->path = checked(strdup(path));
    u->kept = checked(strdup(kept));
    u->initiated = time(NULL);
    pthread_mutex_lock(&uploads_lock);
    uint64_t id = u->id = ++last_id;
    u->next = uploads;
    uploads = u;
    upload_count++;
    pthread_mutex_unlock(&uploads_lock);
    return id;
}

struct upload *lock_upload(const char *id, const char *path)
{
    uint64_t number = strtoull(id, NULL, 16);
    struct upload *u = lock_uploads();
    while (u && u->id != number)
        u = u->next;
    return u && !strcmp(u->path, path) ? u : NULL;
}

struct upload *lock_uploads(void)
{
    pthread_mutex_lock(&uploads_lock);
    return uploads;
}

void unlock_uploads(void) { pthread_mutex_unlock(&uploads_lock); }

void set_part(struct upload *u, int number, uint64_t size, const unsigned char *digest)
{
    if (number >= u->capacity) {
        int capacity = number + 64;
        u->parts = checked(realloc(u->parts, (size_t)capacity * sizeof *u->parts));
        memset(u->parts + u->capacity, 0, (size_t)(capacity - u->capacity) * sizeof *u->parts);
        u->capacity = capacity;
    }
    u->parts[number].size = size;
    u->parts[number].present = true;
    memcpy(u->parts[number].digest, digest, DIGEST);
}

void close_upload(struct upload *u)
{
    struct upload **at = &uploads;
    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
    upload_count--;
    free(u->path);
    free(u->kept);
    free(u->parts);
    free(u);
}

/* -------------------------------------------------------------------------------------- totals */

struct totals store_totals(void)
{
    pthread_mutex_lock(&uploads_lock);
    struct totals totals = {.open_uploads = upload_count};
    pthread_mutex_unlock(&uploads_lock);
    pthread_mutex_lock(&objects_lock);
    totals.objects = object_count;
    totals.object_bytes = object_bytes;
    pthread_mutex_unlock(&objects_lock);
    return totals;
}

void forget_everything(void)
{
    pthread_mutex_lock(&uploads_lock);
    while (uploads)
        close_upload(uploads);
    pthread_mutex_unlock(&uploads_lock);
    pthread_mutex_lock(&objects_lock);
    for (size_t i = 0; i < slots; i++)
        free(objects[i].kept);
    free(objects);
    objects = NULL;
    slots = used_slots = 0;
    object_count = object_bytes = 0;
    pthread_mutex_unlock(&objects_lock);
}
