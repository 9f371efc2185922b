/* Runs a command and reports what the operating system counted for it.
 *
 * usage: launch REPORT COMMAND [ARGUMENT...]
 *
 * Writes "wall user system maxrss_kib status" to the file REPORT. A program of its own because
 * Linux starts a child's peak RSS from that of the process that forked it: forked from Python, a
 * 20 MB tool would show Python's 40. `status` is the exit code, or minus the signal.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

int main(int argc, char **argv)
{
    struct rusage usage;
    int status;
    if (argc < 3)
        return 2;
    double began = now_s();
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    /* The usage includes that of the children the command itself has waited for. */
    if (child < 0 || wait4(child, &status, 0, &usage) != child)
        return 1;
    double wall = now_s() - began;
    FILE *report = fopen(argv[1], "w");
    if (!report)
        return 1;
    fprintf(report, "%.6f %.6f %.6f %ld %d\n", wall, seconds(usage.ru_utime),
            seconds(usage.ru_stime), usage.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return fclose(report) ? 1 : 0;
}
