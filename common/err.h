/* The one error type of the command: a value (no allocation) that carries a code of a closed list, the
 * errno behind it, and a message, from where it arose up to the CLI.
 *
 * A fallible function takes `struct err *e` last and returns 0 or -1. On success *e is left alone. */
#ifndef BAILEY_COMMON_ERR_H
#define BAILEY_COMMON_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_OK = 0,
    ERR_USAGE,       /* the command line is wrong */
    ERR_NOENT,       /* no such container, bundle or file */
    ERR_EXISTS,      /* a container with that id exists */
    ERR_STATE,       /* the container's state does not allow it */
    ERR_CONFIG,      /* config.json is not valid */
    ERR_UNSUPPORTED, /* valid, but this runtime or this kernel cannot do it */
    ERR_PERM,        /* the caller's rights do not suffice */
    ERR_SYS,         /* a system call failed */
    ERR_HOOK,        /* a hook failed */
    ERR_TIMEOUT,     /* something took longer than it may */
    ERR_EXEC,        /* the program cannot be executed */
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
 * known; it ends without a newline or a full stop. With sys_errno != 0, ": strerror" is appended. */
int err_set(struct err *e, enum err_code code, int sys_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The name that stands as "code" in the JSON log, for instance "ENOENT_CONTAINER". Never NULL. */
const char *err_code_name(enum err_code code);

/* The exit status of the command that ended with this error. */
int err_exit_status(enum err_code code);

#endif
