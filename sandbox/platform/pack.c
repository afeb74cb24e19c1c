#include "sandbox/platform/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define PACK_MAX (16 * 1024 * 1024)
#define NO_STRING UINT64_MAX

static void put(struct pack *p, const void *data, size_t n)
{
    if (p->failed)
        return;
    if (p->size - p->len < n) {
        size_t size = 2 * (p->len + n) + 256;
        char *buf = size > PACK_MAX ? NULL : realloc(p->buf, size);
        if (!buf) {
            p->failed = true;
            return;
        }
        p->buf = buf;
        p->size = size;
    }
    memcpy(p->buf + p->len, data, n);
    p->len += n;
}

void pack_number(struct pack *p, uint64_t v)
{
    put(p, &v, sizeof(v));
}

/* Its length, then the text with its NUL. */
void pack_string(struct pack *p, const char *s)
{
    if (!s) {
        pack_number(p, NO_STRING);
        return;
    }
    pack_number(p, strlen(s));
    put(p, s, strlen(s) + 1);
}

void pack_strings(struct pack *p, char *const *v)
{
    uint64_t n = 0;

    while (v && v[n])
        n++;
    pack_number(p, n);
    for (uint64_t i = 0; i < n; i++)
        pack_string(p, v[i]);
}

int pack_finish(struct pack *p)
{
    _cleanup_free_ char *buf = p->buf;
    _cleanup_close_ int fd = memfd_create("pack", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    p->buf = NULL;
    if (p->failed)
        return -ENOMEM;
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, buf, p->len);
    if (n < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    return (size_t)n == p->len ? steal_fd(&fd) : -EIO;
}

int unpack_begin(struct unpack *u, int fd)
{
    struct stat st;

    *u = (struct unpack){.failed = true};
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > PACK_MAX)
        return -EBADMSG;
    char *buf = malloc((size_t)st.st_size);
    if (!buf)
        return -ENOMEM;
    if (pread(fd, buf, (size_t)st.st_size, 0) != st.st_size) {
        free(buf);
        return -EBADMSG;
    }
    *u = (struct unpack){.buf = buf, .at = buf, .end = buf + st.st_size};
    return 0;
}

static const char *take(struct unpack *u, size_t n)
{
    const char *at = u->at;

    if (u->failed || (size_t)(u->end - u->at) < n) {
        u->failed = true;
        return NULL;
    }
    u->at += n;
    return at;
}

uint64_t unpack_number(struct unpack *u)
{
    const char *at = take(u, sizeof(uint64_t));
    uint64_t v = 0;

    if (at)
        memcpy(&v, at, sizeof(v));
    return v;
}

const char *unpack_string(struct unpack *u)
{
    uint64_t n = unpack_number(u);

    if (u->failed || n == NO_STRING)
        return NULL;
    const char *s = n < PACK_MAX ? take(u, (size_t)n + 1) : NULL;
    if (!s || strnlen(s, (size_t)n + 1) != n) {
        u->failed = true;
        return NULL;
    }
    return s;
}

char **unpack_strings(struct unpack *u)
{
    uint64_t n = unpack_number(u);

    /* Each takes a length and a NUL at least. */
    if (u->failed || n > (uint64_t)(u->end - u->at) / (sizeof(uint64_t) + 1)) {
        u->failed = true;
        return NULL;
    }
    char **v = calloc((size_t)n + 1, sizeof(*v));
    for (uint64_t i = 0; v && i < n; i++) {
        v[i] = (char *)(uintptr_t)unpack_string(u);
        u->failed |= !v[i];
    }
    u->failed |= !v;
    return v;
}

int unpack_end(const struct unpack *u)
{
    return !u->failed && u->at == u->end ? 0 : -EBADMSG;
}
