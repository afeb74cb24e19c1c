#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The closed list. The status is 1 throughout: what is above it is the program's own with `bailey run`, and
 * engines look for no more; `bailey exec` has 255 for all of them (struct command). */
static const struct {
    const char *name;
    int exit_status;
    const char *meaning;
} codes[ERR_CODE_COUNT_] = {
    [ERR_OK] = {"OK", 0, "no error"},
    [ERR_USAGE] = {"USAGE", 1, "the command line is wrong"},
    [ERR_NO_CONTAINER] = {"NO_CONTAINER", 1, "there is no container with that id"},
    [ERR_NOT_RUNNING] = {"NOT_RUNNING", 1, "the container has ended, or does not run yet"},
    [ERR_STATE] = {"STATE", 1, "the container's state does not allow it"},
    [ERR_EXISTS] = {"EXISTS", 1, "a container with that id, or the file to write, exists"},
    [ERR_NOENT] = {"NOENT", 1, "there is no such bundle or file"},
    [ERR_CONFIG] = {"CONFIG", 1, "config.json, or a file like it, is not valid"},
    [ERR_UNSUPPORTED] = {"UNSUPPORTED", 1, "valid, but Bailey or this kernel cannot do it"},
    [ERR_PERM] = {"PERM", 1, "the caller's rights do not suffice"},
    [ERR_EXEC] = {"EXEC", 1, "the program cannot be executed"},
    [ERR_HOOK] = {"HOOK", 1, "a hook failed"},
    [ERR_TIMEOUT] = {"TIMEOUT", 1, "something took longer than it may"},
    [ERR_SYS] = {"SYS", 1, "a system call failed"},
};

int err_set(struct err *e, enum err_code code, int sys_errno, const char *fmt, ...)
{
    va_list ap;

    /* Whose call it was does not matter: somebody with more rights may succeed. */
    e->code = code == ERR_SYS && (sys_errno == EPERM || sys_errno == EACCES) ? ERR_PERM : code;
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

const char *err_code_meaning(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT_ ? codes[code].meaning : "unknown";
}

int err_exit_status(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT_ ? codes[code].exit_status : 1;
}
