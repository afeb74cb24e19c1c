#include "runtime/state/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "oci/config.h"
#include "oci/json.h"
#include "runtime/state/statejson.h"
#include "runtime/textfile.h"

static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

const char *status_name(enum status s)
{
    return names[s];
}

/* Writing ---------------------------------------------------------------------------------------------------
 */

static struct statejson view(const struct record *r, enum status s, pid_t pid)
{
    return (struct statejson){
        .id = r->id,
        .status = status_name(s),
        .bundle = r->bundle,
        .pid = pid,
        .annotations = r->annotations,
        .nannotations = r->nannotations,
        .rootfs = r->rootfs,
        .created = r->created,
        .owner = r->owner,
        .exit_status = -1,
    };
}

char *record_state_json(const struct record *r, enum status s, pid_t pid, int exit_status,
                        const char *stop_signal)
{
    struct statejson v = view(r, s, pid);

    v.exit_status = exit_status;
    v.stop_signal = stop_signal;
    return statejson_text(&v, true);
}

int record_save(const struct record *r, int dir, struct err *e)
{
    struct statejson v = view(r, r->status, r->porter.pid);
    json_writer w = jw_begin(true);

    if (!w)
        return err_set(e, ERR_SYS, ENOMEM, "state.json");
    statejson_put(w, &v);
    jw_number(w, "pidStart", (long long)r->porter.start);
    jw_number(w, "keep", r->keep.pid);
    jw_number(w, "keepStart", (long long)r->keep.start);
    if (r->sandbox)
        jw_member(w, "sandbox", r->sandbox);
    jw_bool(w, "foreground", r->foreground);
    jw_bool(w, "hooks", r->hooks);
    _cleanup_free_ char *text = jw_end(w);
    if (!text)
        return err_set(e, ERR_SYS, 0, "state.json: a path or an annotation is not UTF-8");
    return textfile_replace(dir, "state.json", text, e);
}

/* Reading ---------------------------------------------------------------------------------------------------
 */

static int read_status(const char *word, enum status *ret)
{
    for (size_t i = 0; word && i < ARRAY_SIZE(names); i++) {
        if (strcmp(word, names[i]) == 0) {
            *ret = (enum status)i;
            return 0;
        }
    }
    return -1;
}

static int read_annotations(struct json_reader *j, const struct json *o, struct record *r)
{
    const struct json *v;

    if (json_object(j, o, "annotations", &v))
        return -1;
    struct oci_pair *list = arena_alloc(j->a, v ? v->n : 0, sizeof(*list));
    for (const struct json *p = v ? v->first : NULL; p; p = p->next) {
        if (p->type != JSON_STRING)
            return -1;
        list[r->nannotations++] = (struct oci_pair){p->key, p->s};
    }
    r->annotations = list;
    return 0;
}

static int read_members(struct json_reader *j, const struct json *o, struct record *r)
{
    const char *word = NULL;
    uint32_t porter = 0, keep = 0;

    if (json_string(j, o, "ociVersion", &r->version) || json_string(j, o, "bundle", &r->bundle) ||
        json_string(j, o, "rootfs", &r->rootfs) || json_string(j, o, "created", &r->created) ||
        json_string(j, o, "owner", &r->owner) || json_string(j, o, "sandbox", &r->sandbox) ||
        json_string(j, o, "status", &word) || json_u32(j, o, "pid", INT32_MAX, &porter) ||
        json_u32(j, o, "keep", INT32_MAX, &keep) || json_bool(j, o, "foreground", &r->foreground) ||
        json_bool(j, o, "hooks", &r->hooks) ||
        json_uint(j, o, "pidStart", UINT64_MAX, NULL, &r->porter.start) ||
        json_uint(j, o, "keepStart", UINT64_MAX, NULL, &r->keep.start))
        return -1;
    r->porter.pid = (pid_t)porter;
    r->keep.pid = (pid_t)keep;
    if (!r->version || !r->bundle || !r->rootfs || !r->created || read_status(word, &r->status))
        return -1;
    return read_annotations(j, o, r);
}

int record_load(int dir, const char *id, struct record *ret, struct err *e)
{
    _cleanup_(arena_free_p) struct arena *a = arena_new();
    _cleanup_free_ char *text = NULL;
    struct err why = ERR_INIT;
    struct json_reader j = {.a = a, .e = &why};
    const struct json *o;
    size_t len;

    *ret = (struct record){.id = id};
    if (textfile_read(dir, "state.json", &text, &len)) {
        if (errno == ENOENT)
            return err_set(e, ERR_NO_CONTAINER, 0, "container %.255s does not exist", id);
        return err_set(e, ERR_SYS, errno, "state.json of container %.255s", id);
    }
    if (json_parse(a, text, len, "state.json", &o, &why) || o->type != JSON_OBJECT ||
        read_members(&j, o, ret))
        return err_set(e, ERR_SYS, 0,
                       "state.json of container %.255s is damaged (`delete --force` ends and removes it)",
                       id);
    ret->arena = steal_ptr(&a);
    return 0;
}

void record_release(struct record *r)
{
    arena_free(r->arena);
    *r = (struct record){0};
}
