/* Names of units, and properties from annotations. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "oci/config.h"
#include "runtime/systemd/systemd.h"

void systemd_put(FILE *request, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    (void)vfprintf(request, format, ap);
    va_end(ap);
    (void)fputc(0, request);
}

/* Names ---------------------------------------------------------------------------------------------------
 */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n > k && strcmp(s + n - k, end) == 0;
}

static int bad_path(struct err *e, const char *why)
{
    return err_set(e, ERR_CONFIG, 0, "config.json: linux.cgroupsPath: %s", why);
}

static int check_name(const char *name, struct err *e)
{
    for (const char *s = name; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr(":_.-\\@", *s))
            return bad_path(e, "a character that no unit of systemd can have in its name");
    return 0;
}

static int set_slice(const char *slice, size_t len, struct systemd_unit *u, struct err *e)
{
    if (len == 0)
        snprintf(u->slice, sizeof(u->slice), geteuid() == 0 ? "system.slice" : "user.slice");
    else if (len == 1 && *slice == '-')
        snprintf(u->slice, sizeof(u->slice), "-.slice");
    else
        snprintf(u->slice, sizeof(u->slice), "%.*s", (int)len, slice);
    if (len >= sizeof(u->slice) || !ends_with(u->slice, ".slice"))
        return bad_path(e, "what stands before the first colon is no slice");
    return check_name(u->slice, e);
}

int systemd_unit_of(const char *cgroups_path, const char *id, struct systemd_unit *u, struct err *e)
{
    bool asked = cgroups_path && *cgroups_path;
    const char *prefix = "bailey", *name = id, *first = asked ? strchr(cgroups_path, ':') : NULL;
    const char *second = first ? strchr(first + 1, ':') : NULL;
    int prefix_len = 6;

    *u = (struct systemd_unit){.is_slice = false};
    if (asked && (!second || strchr(second + 1, ':') || !second[1]))
        return bad_path(e, "with systemd it must be of the form slice:prefix:name");
    if (set_slice(cgroups_path, asked ? (size_t)(first - cgroups_path) : 0, u, e))
        return -1;
    if (asked) {
        prefix = first + 1;
        prefix_len = (int)(second - prefix);
        name = second + 1;
    }
    u->is_slice = ends_with(name, ".slice");
    int n = u->is_slice ? snprintf(u->name, sizeof(u->name), "%s", name)
                        : snprintf(u->name, sizeof(u->name), "%.*s%s%s.scope", prefix_len, prefix,
                                   prefix_len ? "-" : "", name);
    if (n >= (int)sizeof(u->name))
        return bad_path(e, "too long for the name of a unit");
    return check_name(u->name, e);
}

/* GVariant's text form: https://docs.gtk.org/glib/gvariant-text-format.html, without dictionaries, tuples and
 * maybes ----
 */

struct text {
    const char *at;
    FILE *values; /* tokens of what was read */
    unsigned n;   /* how many */
};

static void skip_space(struct text *t)
{
    t->at += strspn(t->at, " \t");
}

static bool take_word(struct text *t, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(t->at, word, n) != 0 || isalnum((unsigned char)t->at[n]))
        return false;
    t->at += n;
    skip_space(t);
    return true;
}

static bool read_string(struct text *t)
{
    char quote = *t->at++;

    for (; *t->at && *t->at != quote; t->at++) {
        if (*t->at == '\\' && t->at[1])
            t->at++;
        (void)fputc(*t->at, t->values);
    }
    if (*t->at != quote)
        return false;
    t->at++;
    (void)fputc(0, t->values);
    return true;
}

static char read_number(struct text *t, char type)
{
    size_t n = strspn(t->at, "+-.0123456789eExXabcdfABCDF");
    char copy[64], *end = copy;

    if (n == 0 || n >= sizeof(copy) || (type && !strchr("ynqiuxtd", type)))
        return 0;
    memcpy(copy, t->at, n);
    copy[n] = 0;
    if (!type)
        type = strchr(copy, '.') ? 'd' : 'i';
    errno = 0;
    if (type == 'd')
        systemd_put(t->values, "%g", strtod(copy, &end));
    else if (strchr("yqut", type))
        systemd_put(t->values, "%llu", copy[0] == '-' ? (errno = ERANGE, 0ULL) : strtoull(copy, &end, 0));
    else
        systemd_put(t->values, "%lld", strtoll(copy, &end, 0));
    if (errno || *end)
        return 0;
    t->at += n;
    return type;
}

/* One basic value. Its type, or 0. */
static char read_basic(struct text *t)
{
    static const struct {
        const char *word;
        char type;
    } types[] = {{"boolean", 'b'}, {"byte", 'y'},   {"int16", 'n'},     {"uint16", 'q'},
                 {"int32", 'i'},   {"uint32", 'u'}, {"int64", 'x'},     {"uint64", 't'},
                 {"double", 'd'},  {"string", 's'}, {"objectpath", 'o'}};
    char type = 0, got;

    for (size_t i = 0; i < ARRAY_SIZE(types) && !type; i++)
        if (take_word(t, types[i].word))
            type = types[i].type;
    if (*t->at == '\'' || *t->at == '"') {
        got = type == 'o' ? 'o' : 's';
        got = read_string(t) ? got : 0;
    } else if (strncmp(t->at, "true", 4) == 0 || strncmp(t->at, "false", 5) == 0) {
        got = 'b';
        systemd_put(t->values, "%s", *t->at == 't' ? "true" : "false");
        t->at += *t->at == 't' ? 4 : 5;
    } else {
        got = read_number(t, type);
    }
    skip_space(t);
    t->n++;
    return type && got != type ? 0 : got;
}

/* signature: "s", "as". */
static bool read_value(struct text *t, char signature[3])
{
    char type = 0;

    skip_space(t);
    if (t->at[0] == '@' && t->at[1] == 'a' &&
        isalpha((unsigned char)t->at[2])) { /* "@as []": of no elements */
        type = t->at[2];
        t->at += 3;
        skip_space(t);
    }
    if (*t->at != '[') {
        snprintf(signature, 3, "%c", read_basic(t));
        return signature[0] && !type && !*t->at;
    }
    t->at++;
    for (skip_space(t); *t->at && *t->at != ']'; skip_space(t)) {
        char one = read_basic(t);
        if (!one || (type && one != type))
            return false;
        type = one;
        if (*t->at == ',')
            t->at++;
        else if (*t->at != ']')
            return false;
    }
    if (*t->at++ != ']' || !type)
        return false;
    skip_space(t);
    snprintf(signature, 3, "a%c", type);
    return !*t->at;
}

/* Seconds, as people write them, to the microseconds that systemd takes. */
static bool put_seconds(FILE *request, const char *name, const char *signature, const char *value)
{
    double seconds = strtod(value, NULL);

    if (!strchr("nqiuxtd", signature[0]) || signature[1] || seconds < 0 || seconds > 1e12)
        return false;
    systemd_put(request, "%.*sUSec", (int)strlen(name) - 3, name);
    systemd_put(request, "t");
    systemd_put(request, "%.0f", seconds * 1e6);
    return true;
}

int systemd_put_variant(FILE *request, const char *name, const char *text, struct err *e)
{
    _cleanup_free_ char *values = NULL;
    size_t len = 0;
    struct text t = {.at = text, .values = open_memstream(&values, &len)};
    char signature[3] = "";

    if (!t.values)
        return err_set(e, ERR_SYS, ENOMEM, "annotations");
    bool ok = read_value(&t, signature);
    if (fclose(t.values))
        return err_set(e, ERR_SYS, ENOMEM, "annotations");
    bool seconds = ends_with(name, "Sec") && !ends_with(name, "USec");
    if (ok && seconds)
        ok = put_seconds(request, name, signature, values);
    if (!ok)
        return err_set(e, ERR_CONFIG, 0,
                       "config.json: annotations: org.systemd.property.%.100s: \"%.100s\" is no value%s",
                       name, text, seconds ? " for a time" : "");
    if (seconds)
        return 0;
    systemd_put(request, "%s", name);
    systemd_put(request, "%s", signature);
    if (signature[0] == 'a')
        systemd_put(request, "%u", t.n);
    (void)fwrite(values, 1, len, request);
    return 0;
}

int systemd_put_annotations(FILE *request, const struct oci_config *c, struct err *e)
{
    static const char prefix[] = "org.systemd.property.";

    for (size_t i = 0; i < c->nannotations; i++) {
        const char *name = c->annotations[i].key;
        if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
            continue;
        name += sizeof(prefix) - 1;
        size_t n = strlen(name);
        if (n < 3 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != n ||
            !isupper((unsigned char)*name))
            return err_set(e, ERR_CONFIG, 0, "config.json: annotations: \"%.100s\" is no property's name",
                           name);
        if (systemd_put_variant(request, name, c->annotations[i].value, e))
            return -1;
    }
    return 0;
}
