#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <errno.h>

enum { MESSAGE_MAX = 2048, RECORD_MAX = 6 * MESSAGE_MAX + 256 };

/* Set once by log_init, before there is a second thread. */
static struct {
    int fd;
    enum log_format format;
    enum log_level max;
    const char *ident;
} log_to = {STDERR_FILENO, LOG_FMT_TEXT, LOG_LVL_WARNING, "bailey"};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_init(int fd, enum log_format format, enum log_level max)
{
    log_to.fd = fd;
    log_to.format = format;
    log_to.max = max;
}

void log_set_ident(const char *ident)
{
    log_to.ident = ident;
}

int log_fd(void)
{
    return log_to.fd;
}

bool log_enabled(enum log_level level)
{
    return level <= log_to.max;
}

struct record {
    char *buf;
    size_t size, len;
};

static void put(struct record *r, const char *s, size_t n)
{
    size_t room = r->size - r->len;

    n = n < room ? n : room;
    memcpy(r->buf + r->len, s, n);
    r->len += n;
}

static void puts_to(struct record *r, const char *s)
{
    put(r, s, strlen(s));
}

/* The length of the valid UTF-8 sequence at s, or 0. */
static size_t utf8_length(const unsigned char *s)
{
    static const unsigned char low_second[] = {[0xe0 - 0xc2] = 0xa0, [0xf0 - 0xc2] = 0x90};
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;

    if (n == 1)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size_t i = s[0] - 0xc2u;
    if (i < sizeof(low_second) && s[1] < low_second[i])
        return 0;
    if ((s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t k = 1; k < n; k++)
        if ((s[k] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* What a JSON string may not hold is escaped; bytes that are not UTF-8 become U+FFFD. */
static void put_json_string(struct record *r, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    puts_to(r, "\"");
    while (*p) {
        size_t n = utf8_length(p);
        char esc[8];
        if (n == 0) {
            puts_to(r, "\xef\xbf\xbd");
            n = 1;
        } else if (*p == '"' || *p == '\\') {
            put(r, (char[]){'\\', (char)*p}, 2);
        } else if (*p < 0x20 || *p == 0x7f) {
            snprintf(esc, sizeof(esc), "\\u%04x", *p);
            puts_to(r, esc);
        } else {
            put(r, (const char *)p, n);
        }
        p += n;
    }
    puts_to(r, "\"");
}

/* Control characters would let a hostile name forge lines or drive the terminal. */
static void put_text(struct record *r, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char esc[8];
        if (c >= 0x20 && c != 0x7f) {
            put(r, s, 1);
            continue;
        }
        snprintf(esc, sizeof(esc), "\\x%02x", c);
        puts_to(r, esc);
    }
}

static void put_time(struct record *r)
{
    struct timespec now;
    struct tm tm;
    char buf[64];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
    puts_to(r, buf);
    snprintf(buf, sizeof(buf), ".%06ldZ", now.tv_nsec / 1000);
    puts_to(r, buf);
}

static void format_json(struct record *r, enum log_level level, const char *code, const char *msg)
{
    puts_to(r, "{\"level\":\"");
    puts_to(r, level_names[level]);
    puts_to(r, "\",\"msg\":");
    put_json_string(r, msg);
    puts_to(r, ",\"time\":\"");
    put_time(r);
    puts_to(r, "\"");
    if (code) {
        puts_to(r, ",\"code\":");
        put_json_string(r, code);
    }
    puts_to(r, "}\n");
}

/* On stderr a person reads: no time, and an error needs no label. */
static void format_text(struct record *r, enum log_level level, const char *msg)
{
    bool person = log_to.fd == STDERR_FILENO;

    if (person) {
        puts_to(r, "bailey: ");
    } else {
        put_time(r);
        puts_to(r, " ");
    }
    if (!person || level != LOG_LVL_ERROR) {
        puts_to(r, level_names[level]);
        puts_to(r, ": ");
    }
    put_text(r, msg);
    puts_to(r, "\n");
}

/* The severities of syslog(3), which the journal has, too. */
static int severity(enum log_level level)
{
    static const int of[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

    return of[level];
}

static void put_number(struct record *r, int n)
{
    char buf[16];

    snprintf(buf, sizeof(buf), "%d", n);
    puts_to(r, buf);
}

static void format_journal(struct record *r, enum log_level level, const char *code, const char *msg)
{
    puts_to(r, "PRIORITY=");
    put_number(r, severity(level));
    puts_to(r, "\nSYSLOG_IDENTIFIER=");
    put_text(r, log_to.ident);
    if (code) {
        puts_to(r, "\nBAILEY_CODE=");
        puts_to(r, code);
    }
    puts_to(r, "\nMESSAGE=");
    put_text(r, msg);
    puts_to(r, "\n");
}

static void format_syslog(struct record *r, enum log_level level, const char *msg)
{
    puts_to(r, "<");
    put_number(r, LOG_USER | severity(level));
    puts_to(r, ">");
    put_text(r, log_to.ident);
    puts_to(r, ": ");
    put_text(r, msg);
}

static void write_record(enum log_level level, const char *code, const char *msg)
{
    char buf[RECORD_MAX];
    struct record r = {buf, sizeof(buf), 0};

    if (log_to.format == LOG_FMT_JSON)
        format_json(&r, level, code, msg);
    else if (log_to.format == LOG_FMT_JOURNAL)
        format_journal(&r, level, code, msg);
    else if (log_to.format == LOG_FMT_SYSLOG)
        format_syslog(&r, level, msg);
    else
        format_text(&r, level, msg);
    /* Nothing can be done where the log cannot be written. */
    if (write(log_to.fd, r.buf, r.len) < 0)
        return;
}

void log_write(enum log_level level, const char *code, const char *fmt, ...)
{
    char msg[MESSAGE_MAX];
    va_list ap;
    int saved = errno;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    write_record(level, code, msg);
    errno = saved;
}

void log_err(const struct err *e)
{
    log_write(LOG_LVL_ERROR, err_code_name(e->code), "%s", e->msg);
}
