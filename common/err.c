#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_status;
} codes[ERR_CODE_COUNT_] = {
    [ERR_OK] = {"OK", 0},
    [ERR_USAGE] = {"USAGE", 1},
    [ERR_NOENT] = {"NOENT", 1},
    [ERR_EXISTS] = {"EXISTS", 1},
    [ERR_STATE] = {"STATE", 1},
    [ERR_CONFIG] = {"CONFIG", 1},
    [ERR_UNSUPPORTED] = {"UNSUPPORTED", 1},
    [ERR_PERM] = {"PERM", 1},
    [ERR_SYS] = {"SYS", 1},
    [ERR_HOOK] = {"HOOK", 1},
    [ERR_TIMEOUT] = {"TIMEOUT", 1},
    [ERR_EXEC] = {"EXEC", 1},
};

int err_set(struct err *e, enum err_code code, int sys_errno, const char *fmt, ...)
{
    va_list ap;

    e->code = code;
    e->sys_errno = sys_errno;
    va_start(ap, fmt);
    int n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    va_end(ap);
    if (sys_errno != 0 && n >= 0 && (size_t)n < sizeof(e->msg))
        snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", strerror(sys_errno));
    return -1;
}

const char *err_code_name(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT_ ? codes[code].name : "UNKNOWN";
}

int err_exit_status(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT_ ? codes[code].exit_status : 1;
}
