/* The log: one record per line, text or JSON, to stderr or to --log's file; or one per datagram, to a
 * service. JSON records are what engines parse: {"level":"error","msg":"...","time":"RFC 3339","code":"..."}.
 */
#ifndef BAILEY_COMMON_LOG_H
#define BAILEY_COMMON_LOG_H

#include "common/err.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARNING, LOG_LVL_INFO, LOG_LVL_DEBUG };
enum log_format {
    LOG_FMT_TEXT,
    LOG_FMT_JSON,
    LOG_FMT_JOURNAL, /* systemd's journal: a datagram of FIELD=value lines */
    LOG_FMT_SYSLOG,  /* RFC 3164, as syslog(3) writes it to /dev/log */
};

/* Sets where records go. fd stays the caller's (it must outlive all logging). Records above max are dropped.
 */
void log_init(int fd, enum log_format format, enum log_level max);

/* The name that services know the sender by; it must outlive all logging. */
void log_set_ident(const char *ident);

/* Where records go: for who closes all other descriptors. */
int log_fd(void);

/* True where a record of that level would be written (so that costly arguments can be skipped). */
bool log_enabled(enum log_level level);

/* Writes one record with one write(2); thread-safe; keeps errno. */
void log_write(enum log_level level, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes *e as an error record with its code. */
void log_err(const struct err *e);

#define log_error(...) log_write(LOG_LVL_ERROR, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LVL_WARNING, NULL, __VA_ARGS__)
#define log_info(...) log_write(LOG_LVL_INFO, NULL, __VA_ARGS__)
#define log_debug(...)                                                                                       \
    do {                                                                                                     \
        if (log_enabled(LOG_LVL_DEBUG))                                                                      \
            log_write(LOG_LVL_DEBUG, NULL, __VA_ARGS__);                                                     \
    } while (0)

#endif
