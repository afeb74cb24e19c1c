#include "oci/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/version.h"
#include "oci/parse.h"
#include "oci/tables.h"

/* Fields of the specification that are not acted upon. Where to leave them out would be another container
 * than the one that is asked for they are refused. Labels are not: engines ask for them wherever the host has
 * an LSM, and what confines a guest is the sandbox. */
static const struct {
    const char *object, *field, *why;
    bool refused;
} not_honoured[] = {
    {"linux", "intelRdt", "caches and memory bandwidth cannot be shared out", true},
};

bool oci_honours(const char *object, const char *field)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_honoured); i++)
        if (strcmp(not_honoured[i].object, object) == 0 && strcmp(not_honoured[i].field, field) == 0)
            return false;
    return true;
}

static bool is_empty(const struct json *v)
{
    return v->type == JSON_NULL || (v->type == JSON_OBJECT && v->n == 0) ||
           (v->type == JSON_STRING && !v->s[0]);
}

static int judge_not_honoured(struct json_reader *r, const struct json *root)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_honoured); i++) {
        const struct json *v = json_get(json_get(root, not_honoured[i].object), not_honoured[i].field);
        if (!v || is_empty(v))
            continue;
        if (not_honoured[i].refused) {
            (void)json_error(v, NULL, r->e, "not supported: %s", not_honoured[i].why);
            r->e->code = ERR_UNSUPPORTED;
            return -1;
        }
        log_warning("config.json: %s.%s: not supported, ignored: %s", not_honoured[i].object,
                    not_honoured[i].field, not_honoured[i].why);
    }
    return 0;
}

/* scanf would take blanks and signs; SemVer takes no leading zeros either. */
static bool is_number(const char *s)
{
    return *s >= '0' && *s <= '9' && !(s[0] == '0' && s[1] >= '0' && s[1] <= '9');
}

static bool parse_version(const char *s, unsigned *major, unsigned *minor)
{
    unsigned patch;
    int second = 0, third = 0, end = 0;

    return sscanf(s, "%5u.%n%5u.%n%5u%n", major, &second, minor, &third, &patch, &end) == 3 && is_number(s) &&
           is_number(s + second) && is_number(s + third) && strchr("-+", s[end]);
}

static int check_version(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    unsigned major, minor;

    if (json_require(r, root, "ociVersion") || json_string(r, root, "ociVersion", &c->version))
        return -1;
    if (!parse_version(c->version, &major, &minor))
        return json_error(root, "ociVersion", r->e, "must be a version such as 1.2.0, not \"%.40s\"",
                          c->version);
    /* A later 1.x than the one we know is for who needs what is new in it. */
    if (major != 1 || minor > OCI_SPEC_MINOR_MAX)
        return json_error(root, "ociVersion", r->e, "version %.40s is not supported, only %s to 1.%d.x",
                          c->version, OCI_SPEC_VERSION_MIN, OCI_SPEC_MINOR_MAX);
    return 0;
}

static int parse_root(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    const struct json *v;

    if (json_require(r, root, "root") || json_object(r, root, "root", &v) || json_require(r, v, "path") ||
        json_string(r, v, "path", &c->root.path) || json_bool(r, v, "readonly", &c->root.readonly))
        return -1;
    if (!c->root.path[0])
        return json_error(v, "path", r->e, "must not be empty");
    return 0;
}

static int parse_names(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    if (json_string(r, root, "hostname", &c->hostname) || json_string(r, root, "domainname", &c->domainname))
        return -1;
    if (c->hostname && strlen(c->hostname) > 64)
        return json_error(root, "hostname", r->e, "longer than 64 bytes");
    if (c->domainname && strlen(c->domainname) > 64)
        return json_error(root, "domainname", r->e, "longer than 64 bytes");
    return 0;
}

int parse_oci_int(struct json_reader *r, const struct json *obj, const char *key, int64_t min, int64_t max,
                  struct oci_int *ret)
{
    return json_int(r, obj, key, min, max, &ret->set, &ret->v);
}

int parse_pairs(struct json_reader *r, const struct json *obj, const char *key, struct oci_pair **ret,
                size_t *ret_n)
{
    const struct json *v;

    if (json_object(r, obj, key, &v))
        return -1;
    if (!v)
        return 0;
    struct oci_pair *list = arena_alloc(r->a, v->n, sizeof(*list));
    size_t n = 0;
    for (const struct json *p = v->first; p; p = p->next) {
        if (json_must_be(r, p, JSON_STRING))
            return -1;
        list[n].key = p->key;
        list[n++].value = p->s;
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

static int parse_all(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    if (json_must_be(r, root, JSON_OBJECT) || check_version(r, root, c) || parse_process(r, root, c) ||
        parse_root(r, root, c) || parse_names(r, root, c) || parse_mounts(r, root, c) ||
        parse_hooks(r, root, c) || parse_linux(r, root, c))
        return -1;
    if (parse_pairs(r, root, "annotations", &c->annotations, &c->nannotations))
        return -1;
    return judge_not_honoured(r, root);
}

int oci_config_parse(const char *text, size_t len, const char *name, struct oci_config **ret, struct err *e)
{
    _cleanup_(arena_free_p) struct arena *a = arena_new();
    struct json_reader r = {.a = a, .e = e};
    const struct json *root;

    if (json_parse(a, text, len, name, &root, e))
        return -1;
    struct oci_config *c = arena_alloc(a, 1, sizeof(*c));
    if (parse_all(&r, root, c))
        return -1;
    c->text = arena_strndup(a, text, len);
    c->arena = steal_ptr(&a);
    *ret = c;
    return 0;
}

/* Reads a regular file of at most JSON_SIZE_MAX bytes. */
static int read_file(const char *path, char **ret, size_t *ret_len, struct err *e)
{
    /* O_NONBLOCK: a FIFO in the file's place must not hold us up. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    size_t len = 0;

    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOENT, 0, "%s: no such file", path);
    if (fd < 0 || fstat(fd, &st))
        return err_set(e, ERR_SYS, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CONFIG, 0, "%s: not a regular file", path);
    if (st.st_size > JSON_SIZE_MAX)
        return err_set(e, ERR_CONFIG, 0, "%s: larger than %d MiB", path, JSON_SIZE_MAX >> 20);
    size_t size = (size_t)st.st_size;
    _cleanup_free_ char *buf = malloc(size + 1);
    if (!buf)
        return err_set(e, ERR_SYS, ENOMEM, "%s", path);
    while (len < size) {
        ssize_t n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, ERR_SYS, errno, "%s", path);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret = steal_ptr(&buf);
    *ret_len = len;
    return 0;
}

int oci_config_load_file(const char *path, struct oci_config **ret, struct err *e)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;

    return read_file(path, &text, &len, e) ? -1 : oci_config_parse(text, len, path, ret, e);
}

int oci_config_load(const char *bundle, struct oci_config **ret, struct err *e)
{
    _cleanup_free_ char *path = NULL;
    struct stat st;

    if (stat(bundle, &st))
        return err_set(e, errno == ENOENT ? ERR_NOENT : ERR_SYS, errno, "bundle %s", bundle);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_USAGE, ENOTDIR, "bundle %s", bundle);
    if (asprintf(&path, "%s/config.json", bundle) < 0)
        return err_set(e, ERR_SYS, ENOMEM, "bundle %s", bundle);
    if (access(path, F_OK) && errno == ENOENT)
        return err_set(e, ERR_NOENT, 0, "%s: no such file (is --bundle right?)", path);
    return oci_config_load_file(path, ret, e);
}

int oci_process_load(const char *path, struct oci_config **ret, struct err *e)
{
    _cleanup_(arena_free_p) struct arena *a = arena_new();
    struct json_reader r = {.a = a, .e = e};
    _cleanup_free_ char *text = NULL;
    const struct json *obj;
    size_t len = 0;

    if (read_file(path, &text, &len, e) || json_parse(a, text, len, path, &obj, e) ||
        json_must_be(&r, obj, JSON_OBJECT))
        return -1;
    struct oci_config *c = arena_alloc(a, 1, sizeof(*c));
    c->process = arena_alloc(a, 1, sizeof(*c->process));
    if (parse_process_object(&r, obj, c->process))
        return -1;
    c->arena = steal_ptr(&a);
    *ret = c;
    return 0;
}

void oci_config_free(struct oci_config *c)
{
    if (c)
        arena_free(c->arena); /* *c lies in it */
}
