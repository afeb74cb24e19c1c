/* The one error type of the command: a value (no allocation) that carries a code of a closed list, the
 * errno behind it, and a message, from where it arose up to the CLI.
 *
 * A fallible function takes `struct err *e` last and returns 0 or -1. On success *e is left alone. */
#ifndef BAILEY_COMMON_ERR_H
#define BAILEY_COMMON_ERR_H

#include <stdbool.h>

/* What each means stands in err.c, for who uses the command in docs/errors.md. */
enum err_code {
    ERR_OK = 0,
    ERR_USAGE,
    ERR_NO_CONTAINER,
    ERR_NOT_RUNNING,
    ERR_STATE,
    ERR_EXISTS,
    ERR_NOENT,
    ERR_CONFIG,
    ERR_UNSUPPORTED,
    ERR_PERM,
    ERR_EXEC,
    ERR_HOOK,
    ERR_TIMEOUT,
    ERR_SYS,
    ERR_CODE_COUNT_
};

struct err {
    enum err_code code;
    int sys_errno; /* 0 where no system call is to blame */
    char msg[512];
};

#define ERR_INIT                                                                                             \
    {                                                                                                        \
        .code = ERR_OK, .sys_errno = 0, .msg = ""                                                            \
    }

/* Fills *e and returns -1. The message names the field, path or call at fault, and what to do where that is
 * known; it ends without a newline or a full stop. With sys_errno != 0, ": strerror" is appended. ERR_SYS
 * with EPERM or EACCES becomes ERR_PERM. */
int err_set(struct err *e, enum err_code code, int sys_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The name that stands as "code" in the JSON log, for instance "NO_CONTAINER". Never NULL. */
const char *err_code_name(enum err_code code);

/* What it means, in a line. Never NULL. */
const char *err_code_meaning(enum err_code code);

/* The exit status of the command that ended with this error. */
int err_exit_status(enum err_code code);

#endif
