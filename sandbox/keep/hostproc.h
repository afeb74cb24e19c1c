/* What the host's procfs says of the processes and threads that run guests: proc(5). All of it with the
 * keep's own rights (vfs_assume_self), without a lock of its own; host pids and tids may have been given to
 * others meanwhile, which is for the caller to rule out. */
#ifndef BAILEY_KEEP_HOSTPROC_H
#define BAILEY_KEEP_HOSTPROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/keep/strbuf.h"

/* Appends a whole file below kernel.procfd, named relative to it. 0 or -errno: -ENOENT also where there is no
 * such process, or the keep has no procfs. */
int host_proc_read(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Opens it for reading: a descriptor, or -errno as above. */
int host_proc_open(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same as host_proc_read by an absolute path; only before the keep has left the host's mounts. */
int host_file_read(struct strbuf *sb, const char *path);

/* The mapping that holds `at`, by /proc/PID/maps: that one alone is asked for (Linux 6.11), which takes a
 * fortieth of the time for a process with a hundred; else all are read. False: there is none. */
struct mapping;
bool host_mapping_at(pid_t pid, uint64_t at, struct mapping *m);

/* Descriptor fd is open in the host's thread tid, which is alive. */
bool host_proc_has_fd(pid_t tid, unsigned fd);

/* The fields of /proc/PID/stat by their number in proc(5): f[3] is the state's letter. */
struct host_stat {
    uint64_t f[53];
};
#define HOST_STAT_STARTTIME 22

/* Of a process (tid 0) or thread. All zeros and false where the host has none (any more), or says nothing. */
bool host_stat_read(pid_t pid, pid_t tid, struct host_stat *hs);
/* Takes the text apart (for host_stat_read and tests). */
bool host_stat_parse(const char *text, struct host_stat *hs);

/* Where in the host a thread waits (proc_pid_wchan(5)): for an answer of the keep's; elsewhere; nowhere, as
 * it is on a CPU or the host does not say. */
enum host_wait { HOST_WAITS_NOWHERE, HOST_WAITS_FOR_KEEP, HOST_WAITS };
enum host_wait host_waits(pid_t pid, pid_t tid);

/* Resident pages by /proc/PID/statm; 0 if there is none. */
uint64_t host_rss_pages(pid_t pid);

#endif
