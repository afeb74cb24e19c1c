#include "sandbox/keep/container/home.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/keep/fs/file.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/fs/vfs.h"

#define PASSWD_MAX (1U << 20)
#define HOME_MAX 4096

/* The file's beginning as text, malloc'ed; NULL: there is none to be had. */
static char *read_passwd(struct task *t)
{
    _cleanup_file_ struct file *f = NULL;
    struct stat st;
    size_t len = 0;
    ssize_t n;

    if (vfs_open(t, AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &f) < 0 || f->hostfd < 0 ||
        fstat(f->hostfd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
        return NULL;
    size_t size = st.st_size < (off_t)PASSWD_MAX ? (size_t)st.st_size : PASSWD_MAX;
    char *text = calloc(1, size + 1);
    while (text && len < size && (n = pread(f->hostfd, text + len, size - len, (off_t)len)) > 0)
        len += (size_t)n;
    return text;
}

/* The field of that number (from 0) of a line, cut off in place; NULL: it has not so many. */
static char *field(char *line, unsigned n)
{
    for (; n > 0; n--) {
        line = strchr(line, ':');
        if (!line)
            return NULL;
        line++;
    }
    line[strcspn(line, ":")] = '\0';
    return line;
}

static bool is_number(const char *text, uid_t want)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    return !errno && !*end && v == want;
}

/* name:password:uid:gid:comment:home:shell. NULL: nobody has that uid. Changes the text. */
static const char *find_home(char *text, uid_t uid)
{
    char *next;

    for (char *line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *home = field(line, 5);
        char *number = home ? field(line, 2) : NULL;
        if (number && is_number(number, uid))
            return *home && strlen(home) < HOME_MAX ? home : NULL;
    }
    return NULL;
}

/* The place of HOME= in env, or its end; *n is its length. */
static size_t place_of(char *const *env, size_t *n)
{
    size_t at = SIZE_MAX;

    for (*n = 0; env && env[*n]; ++*n)
        if (at == SIZE_MAX && strncmp(env[*n], "HOME=", 5) == 0)
            at = *n;
    return at == SIZE_MAX ? *n : at;
}

char **home_add(struct task *t, uid_t uid, char *const *env)
{
    size_t n, at = place_of(env, &n);

    if (at < n && env[at][5])
        return NULL;
    _cleanup_free_ char *passwd = read_passwd(t);
    const char *home = passwd ? find_home(passwd, uid) : NULL;
    home = home ? home : "/";
    size_t len = strlen(home);
    char **ret = calloc(1, (n + 2) * sizeof(*ret) + 5 + len + 1);
    if (!ret)
        return NULL;
    if (n)
        memcpy(ret, env, n * sizeof(*ret));
    char *text = (char *)(ret + n + 2);
    memcpy(text, "HOME=", 5);
    memcpy(text + 5, home, len);
    ret[at] = text;
    return ret;
}
