/* The clock, and reading and writing along a line that may be slow. */
#include "sink.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

enum { PACED_READ = 16 * 1024 }; /* at most this much at once when the line is slow */

static pthread_mutex_t line_lock = PTHREAD_MUTEX_INITIALIZER;
static double line_free_at; /* when the line of all connections has passed what was read */

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void sleep_until(double when)
{
    struct timespec t = {(time_t)when, (long)((when - (double)(time_t)when) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

bool is_paced(void) { return options.per_connection > 0 || options.total > 0; }

/* Wait as long as `bytes` take on this connection's line and on the common one. */
static void pace(struct connection *c, size_t bytes)
{
    double at = now(), until = at;
    if (options.per_connection > 0) {
        double free_at = c->line_free_at > at ? c->line_free_at : at;
        until = c->line_free_at = free_at + (double)bytes / options.per_connection;
    }
    if (options.total > 0) {
        pthread_mutex_lock(&line_lock);
        line_free_at = (line_free_at > at ? line_free_at : at) + (double)bytes / options.total;
        if (line_free_at > until)
            until = line_free_at;
        pthread_mutex_unlock(&line_lock);
    }
    if (until > at)
        sleep_until(until);
}

ssize_t receive(struct connection *c, char *into, size_t most)
{
    ssize_t n;
    if (is_paced() && most > PACED_READ)
        most = PACED_READ;
    do
        n = recv(c->fd, into, most, into ? 0 : MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n > 0 && is_paced())
        pace(c, (size_t)n);
    return n;
}

bool send_all(struct connection *c, const char *data, size_t n)
{
    while (n) {
        ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}
