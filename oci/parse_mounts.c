/* "mounts" and "hooks" of config.json. */
#include <string.h>
#include <sys/mount.h>

#include "common/cleanup.h"
#include "oci/parse.h"
#include "oci/tables.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum special { PLAIN, BIND, RBIND, REMOUNT, TMPCOPYUP, IDMAP, RIDMAP };

/* What a word in "options" means. A flag that is set un-sets its opposite, so the last one given wins. */
static const struct option {
    const char *name;
    unsigned long set, clear;
    uint64_t rec_set, rec_clear;
    enum special special;
} options[] = {
    {"acl", 0, 0, 0, 0, PLAIN}, /* where a file system has them, they are on */
    {"async", 0, MS_SYNCHRONOUS, 0, 0, PLAIN},
    {"atime", 0, MS_NOATIME, 0, 0, PLAIN},
    {"bind", 0, 0, 0, 0, BIND},
    {"defaults", 0, 0, 0, 0, PLAIN},
    {"dev", 0, MS_NODEV, 0, 0, PLAIN},
    {"diratime", 0, MS_NODIRATIME, 0, 0, PLAIN},
    {"dirsync", MS_DIRSYNC, 0, 0, 0, PLAIN},
    {"exec", 0, MS_NOEXEC, 0, 0, PLAIN},
    {"idmap", 0, 0, 0, 0, IDMAP},
    {"iversion", MS_I_VERSION, 0, 0, 0, PLAIN},
    {"lazytime", MS_LAZYTIME, 0, 0, 0, PLAIN},
    {"loud", 0, MS_SILENT, 0, 0, PLAIN},
    {"mand", MS_MANDLOCK, 0, 0, 0, PLAIN},
    {"noacl", 0, 0, 0, 0, PLAIN},
    {"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME, 0, 0, PLAIN},
    {"nodev", MS_NODEV, 0, 0, 0, PLAIN},
    {"nodiratime", MS_NODIRATIME, 0, 0, 0, PLAIN},
    {"noexec", MS_NOEXEC, 0, 0, 0, PLAIN},
    {"noiversion", 0, MS_I_VERSION, 0, 0, PLAIN},
    {"nolazytime", 0, MS_LAZYTIME, 0, 0, PLAIN},
    {"nomand", 0, MS_MANDLOCK, 0, 0, PLAIN},
    {"norelatime", 0, MS_RELATIME, 0, 0, PLAIN},
    {"nostrictatime", 0, MS_STRICTATIME, 0, 0, PLAIN},
    {"nosuid", MS_NOSUID, 0, 0, 0, PLAIN},
    {"nosymfollow", MS_NOSYMFOLLOW, 0, 0, 0, PLAIN},
    {"ratime", 0, 0, 0, MOUNT_ATTR_NOATIME, PLAIN},
    {"rbind", 0, 0, 0, 0, RBIND},
    {"rdev", 0, 0, 0, MOUNT_ATTR_NODEV, PLAIN},
    {"rdiratime", 0, 0, 0, MOUNT_ATTR_NODIRATIME, PLAIN},
    {"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME, 0, 0, PLAIN},
    {"remount", 0, 0, 0, 0, REMOUNT},
    {"rexec", 0, 0, 0, MOUNT_ATTR_NOEXEC, PLAIN},
    {"ridmap", 0, 0, 0, 0, RIDMAP},
    {"rnoatime", 0, 0, MOUNT_ATTR_NOATIME, 0, PLAIN},
    {"rnodev", 0, 0, MOUNT_ATTR_NODEV, 0, PLAIN},
    {"rnodiratime", 0, 0, MOUNT_ATTR_NODIRATIME, 0, PLAIN},
    {"rnoexec", 0, 0, MOUNT_ATTR_NOEXEC, 0, PLAIN},
    {"rnorelatime", 0, 0, 0, 0, PLAIN},
    {"rnostrictatime", 0, 0, 0, MOUNT_ATTR_STRICTATIME, PLAIN},
    {"rnosuid", 0, 0, MOUNT_ATTR_NOSUID, 0, PLAIN},
    {"rnosymfollow", 0, 0, MOUNT_ATTR_NOSYMFOLLOW, 0, PLAIN},
    {"ro", MS_RDONLY, 0, 0, 0, PLAIN},
    {"rrelatime", 0, 0, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, PLAIN},
    {"rro", 0, 0, MOUNT_ATTR_RDONLY, 0, PLAIN},
    {"rrw", 0, 0, 0, MOUNT_ATTR_RDONLY, PLAIN},
    {"rstrictatime", 0, 0, MOUNT_ATTR_STRICTATIME, 0, PLAIN},
    {"rsuid", 0, 0, 0, MOUNT_ATTR_NOSUID, PLAIN},
    {"rsymfollow", 0, 0, 0, MOUNT_ATTR_NOSYMFOLLOW, PLAIN},
    {"rw", 0, MS_RDONLY, 0, 0, PLAIN},
    {"silent", MS_SILENT, 0, 0, 0, PLAIN},
    {"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME, 0, 0, PLAIN},
    {"suid", 0, MS_NOSUID, 0, 0, PLAIN},
    {"symfollow", 0, MS_NOSYMFOLLOW, 0, 0, PLAIN},
    {"sync", MS_SYNCHRONOUS, 0, 0, 0, PLAIN},
    {"tmpcopyup", 0, 0, 0, 0, TMPCOPYUP},
};

static const struct {
    const char *name;
    unsigned long flags;
} propagations[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

const char *oci_mount_option(unsigned i)
{
    return i < ARRAY_SIZE(options) ? options[i].name : NULL;
}

const char *oci_propagation(unsigned i)
{
    return i < ARRAY_SIZE(propagations) ? propagations[i].name : NULL;
}

unsigned long parse_propagation(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
        if (strcmp(word, propagations[i].name) == 0)
            return propagations[i].flags;
    return 0;
}

static void apply_special(struct oci_mount *m, enum special special)
{
    m->bind |= special == BIND || special == RBIND;
    m->recursive |= special == RBIND;
    m->remount |= special == REMOUNT;
    m->tmpcopyup |= special == TMPCOPYUP;
    m->idmap |= special == IDMAP || special == RIDMAP;
    m->ridmap |= special == RIDMAP;
}

/* The four ways to keep access times exclude each other. */
static void apply_recursive(struct oci_mount *m, const struct option *o)
{
    bool atime = ((o->rec_set | o->rec_clear) & MOUNT_ATTR__ATIME) != 0;

    m->rec_set = (m->rec_set & ~(o->rec_clear | (atime ? MOUNT_ATTR__ATIME : 0))) | o->rec_set;
    m->rec_clear = (m->rec_clear & ~o->rec_set) | o->rec_clear | (atime ? MOUNT_ATTR__ATIME : 0);
}

/* False: not a known word, so it is for the file system. */
static bool apply_option(struct oci_mount *m, const char *word)
{
    unsigned long propagation = parse_propagation(word);

    if (propagation) {
        m->propagation = propagation;
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *o = &options[i];
        if (strcmp(word, o->name) != 0)
            continue;
        m->flags = (m->flags & ~o->clear) | o->set;
        m->flags_clear = (m->flags_clear & ~o->set) | o->clear;
        apply_recursive(m, o);
        apply_special(m, o->special);
        return true;
    }
    return false;
}

static int parse_options(struct json_reader *r, const struct json *v, struct oci_mount *m)
{
    size_t n = 0, size = 1;

    m->options = arena_alloc(r->a, 1, sizeof(*m->options));
    if (json_strings(r, v, "options", &m->options, &n))
        return -1;
    for (size_t i = 0; i < n; i++)
        size += strlen(m->options[i]) + 1;
    char *data = arena_alloc(r->a, size, 1), *end = data;
    for (size_t i = 0; i < n; i++) {
        const char *word = m->options[i];
        if (apply_option(m, word) || !*word)
            continue;
        if (end != data)
            *end++ = ',';
        end = stpcpy(end, word);
    }
    m->data = data;
    return 0;
}

static int parse_mount(struct json_reader *r, const struct json *v, struct oci_mount *m)
{
    m->type = "";
    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "destination") ||
        json_string(r, v, "destination", &m->destination) || json_string(r, v, "type", &m->type) ||
        json_string(r, v, "source", &m->source) || parse_options(r, v, m))
        return -1;
    if (!m->destination[0])
        return json_error(v, "destination", r->e, "must not be empty");
    if (m->destination[0] != '/')
        m->destination = arena_printf(r->a, "/%s", m->destination);
    m->bind |= strcmp(m->type, "bind") == 0;
    if (m->bind)
        m->type = "bind";
    if (m->bind && (!m->source || !m->source[0]) && !m->remount)
        return json_error(v, "source", r->e, "is required for a bind mount");
    if (!m->type[0] && !m->remount)
        return json_error(v, "type", r->e, "is required");
    if (parse_idmaps(r, v, "uidMappings", &m->uid_mappings, &m->nuid_mappings) ||
        parse_idmaps(r, v, "gidMappings", &m->gid_mappings, &m->ngid_mappings))
        return -1;
    if ((m->nuid_mappings == 0) != (m->ngid_mappings == 0))
        return json_error(v, NULL, r->e, "uidMappings and gidMappings go together");
    return 0;
}

int parse_mounts(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    const struct json *list;

    if (json_array(r, root, "mounts", &list))
        return -1;
    if (!list)
        return 0;
    c->mounts = arena_alloc(r->a, list->n, sizeof(*c->mounts));
    for (const struct json *v = list->first; v; v = v->next)
        if (parse_mount(r, v, &c->mounts[c->nmounts++]))
            return -1;
    return 0;
}

static const char *const hook_names[OCI_HOOK_KINDS] = {
    [OCI_HOOK_PRESTART] = "prestart",
    [OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
    [OCI_HOOK_CREATE_CONTAINER] = "createContainer",
    [OCI_HOOK_START_CONTAINER] = "startContainer",
    [OCI_HOOK_POSTSTART] = "poststart",
    [OCI_HOOK_POSTSTOP] = "poststop",
};

const char *oci_hook_name(unsigned i)
{
    return i < OCI_HOOK_KINDS ? hook_names[i] : NULL;
}

static int parse_hook(struct json_reader *r, const struct json *v, struct oci_hook *h)
{
    int64_t timeout = 0;

    if (json_must_be(r, v, JSON_OBJECT) || json_require(r, v, "path") || json_path(r, v, "path", &h->path) ||
        json_strings(r, v, "args", &h->args, NULL) || json_strings(r, v, "env", &h->env, NULL) ||
        json_int(r, v, "timeout", 1, INT32_MAX, NULL, &timeout))
        return -1;
    h->timeout = (int)timeout;
    return 0;
}

int parse_hooks(struct json_reader *r, const struct json *root, struct oci_config *c)
{
    const struct json *hooks, *list;

    if (json_object(r, root, "hooks", &hooks))
        return -1;
    for (int kind = 0; kind < OCI_HOOK_KINDS; kind++) {
        struct oci_hooks *h = &c->hooks[kind];
        if (json_array(r, hooks, hook_names[kind], &list))
            return -1;
        if (!list)
            continue;
        h->list = arena_alloc(r->a, list->n, sizeof(*h->list));
        for (const struct json *v = list->first; v; v = v->next)
            if (parse_hook(r, v, &h->list[h->n++]))
                return -1;
    }
    return 0;
}
