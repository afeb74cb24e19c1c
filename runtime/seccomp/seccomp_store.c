#include "runtime/seccomp/seccomp_store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/version.h"
#include "oci/config.h"
#include "sandbox/keep/seccomp/bpf.h"

#define FILE_NAME "seccomp"
#define KEY_MAX (1U << 20)

/* The file: this, the key, the instructions. */
struct head {
    char magic[8];
    uint32_t key_len, ninsns;
    uint32_t log, notify, killable, pad;
    struct call_set judged;
};

static const char magic[8] = "bailey1";

static void put_words(FILE *f, const char *what, char *const *words)
{
    fprintf(f, "%s", what);
    for (; words && *words; words++)
        fprintf(f, " %zu:%s", strlen(*words), *words);
    fputc('\n', f);
}

static void put_rule(FILE *f, const struct oci_seccomp_rule *r)
{
    fprintf(f, "%d %u\n", r->action, r->errno_ret);
    put_words(f, "names", r->names);
    for (size_t i = 0; i < r->nargs; i++)
        fprintf(f, "%u %d %" PRIu64 " %" PRIu64 "\n", r->args[i].index, r->args[i].op, r->args[i].value,
                r->args[i].value_two);
}

/* All that the program depends on, as text. NULL: no memory. */
static char *key_of(const struct oci_seccomp *s)
{
    const struct scmp_version *v = seccomp_version();
    char *text = NULL;
    size_t len;
    FILE *f = v ? open_memstream(&text, &len) : NULL;

    if (!f)
        return NULL;
    fprintf(f, "%s %u.%u.%u\n%d %u\n", BAILEY_VERSION, v->major, v->minor, v->micro, s->default_action,
            s->default_errno);
    put_words(f, "architectures", s->architectures);
    put_words(f, "flags", s->flags);
    for (size_t i = 0; i < s->nrules; i++)
        put_rule(f, &s->rules[i]);
    bool failed = ferror(f);
    if (fclose(f) != 0 || failed || len > KEY_MAX) {
        free(text);
        return NULL;
    }
    return text;
}

void seccomp_store(int state_dir, const struct oci_seccomp *s, const struct seccomp_profile *p)
{
    if (!s)
        return;
    _cleanup_free_ char *key = key_of(s);
    _cleanup_close_ int fd =
        key ? openat(state_dir, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    struct head h = {.key_len = (uint32_t)strlen(key),
                     .ninsns = p->n,
                     .log = p->log,
                     .notify = p->notify,
                     .killable = p->killable,
                     .judged = p->judged};
    memcpy(h.magic, magic, sizeof(magic));
    const struct iovec iov[] = {{&h, sizeof(h)}, {key, h.key_len}, {p->insns, p->n * sizeof(*p->insns)}};
    const size_t all = iov[0].iov_len + iov[1].iov_len + iov[2].iov_len;
    if (writev(fd, iov, 3) != (ssize_t)all)
        (void)unlinkat(state_dir, FILE_NAME, 0);
}

/* NULL: there is none that this user alone could have written. */
static char *read_file(int state_dir, size_t *len)
{
    _cleanup_close_ int fd = openat(state_dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const size_t most = sizeof(struct head) + KEY_MAX + BPF_MAXINSNS * sizeof(struct sock_filter);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 022) || st.st_size < (off_t)sizeof(struct head) || (size_t)st.st_size > most)
        return NULL;
    _cleanup_free_ char *text = malloc((size_t)st.st_size);
    if (!text || pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
        return NULL;
    *len = (size_t)st.st_size;
    return steal_ptr(&text);
}

static bool take(const char *text, size_t len, const char *key, struct seccomp_profile *ret)
{
    struct head h;

    memcpy(&h, text, sizeof(h));
    if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.key_len != strlen(key) || h.ninsns > BPF_MAXINSNS ||
        len != sizeof(h) + h.key_len + h.ninsns * sizeof(struct sock_filter) ||
        memcmp(text + sizeof(h), key, h.key_len) != 0)
        return false;
    struct sock_filter *insns = calloc(h.ninsns + 1, sizeof(*insns));
    if (!insns)
        return false;
    memcpy(insns, text + sizeof(h) + h.key_len, h.ninsns * sizeof(*insns));
    if (!bpf_valid(insns, h.ninsns)) {
        free(insns);
        return false;
    }
    *ret = (struct seccomp_profile){.insns = insns,
                                    .n = h.ninsns,
                                    .log = h.log,
                                    .notify = h.notify,
                                    .killable = h.killable,
                                    .judged = h.judged};
    return true;
}

int seccomp_restore(int state_dir, const struct oci_seccomp *s, struct seccomp_profile *ret, struct err *e)
{
    size_t len = 0;
    _cleanup_free_ char *key = s ? key_of(s) : NULL;
    _cleanup_free_ char *text = key ? read_file(state_dir, &len) : NULL;

    if (text && take(text, len, key, ret))
        return 0;
    return seccomp_compile(s, ret, e);
}
