#include "runtime/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yajl/yajl_gen.h>

#include "common/arena.h"
#include "common/cleanup.h"
#include "oci/config.h"
#include "oci/json.h"
#include "runtime/stopsignal.h"
#include "runtime/textfile.h"

static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

const char *status_name(enum status s)
{
    return names[s];
}

/* Writing ---------------------------------------------------------------------------------------------------
 */

static void put(yajl_gen g, const char *s)
{
    (void)yajl_gen_string(g, (const unsigned char *)s, strlen(s));
}

static void put_member(yajl_gen g, const char *key, const char *value)
{
    put(g, key);
    put(g, value ? value : "");
}

static void put_number(yajl_gen g, const char *key, long long value)
{
    put(g, key);
    (void)yajl_gen_integer(g, value);
}

static void put_annotations(yajl_gen g, const struct record *r)
{
    if (r->nannotations == 0)
        return;
    put(g, "annotations");
    (void)yajl_gen_map_open(g);
    for (size_t i = 0; i < r->nannotations; i++)
        put_member(g, r->annotations[i].key, r->annotations[i].value);
    (void)yajl_gen_map_close(g);
}

static void put_state(yajl_gen g, const struct record *r, enum status s, pid_t pid)
{
    put_member(g, "ociVersion", r->version);
    put_member(g, "id", r->id);
    put_member(g, "status", status_name(s));
    put_number(g, "pid", pid);
    put_member(g, "bundle", r->bundle);
    put_member(g, "rootfs", r->rootfs);
    put_member(g, "created", r->created);
    put_member(g, "owner", "");
    put_annotations(g, r);
}

static yajl_gen new_text(void)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    if (g) {
        (void)yajl_gen_config(g, yajl_gen_beautify, 1);
        (void)yajl_gen_config(g, yajl_gen_indent_string, "  ");
        (void)yajl_gen_config(g, yajl_gen_validate_utf8, 1);
        (void)yajl_gen_map_open(g);
    }
    return g;
}

/* After any error the generator is not complete, and closing the last object fails. */
static char *end_text(yajl_gen g)
{
    const unsigned char *text;
    size_t len;
    char *ret = NULL;

    if (yajl_gen_map_close(g) == yajl_gen_status_ok && yajl_gen_get_buf(g, &text, &len) == yajl_gen_status_ok)
        ret = strndup((const char *)text, len);
    yajl_gen_free(g);
    return ret;
}

char *record_state_json(const struct record *r, enum status s, pid_t pid, int exit_status,
                        const char *stop_signal)
{
    yajl_gen g = new_text();

    if (!g)
        return NULL;
    put_state(g, r, s, pid);
    if (exit_status >= 0)
        put_number(g, "exitStatus", exit_status);
    if (stop_signal)
        put_member(g, STOPSIGNAL_MEMBER, stop_signal);
    return end_text(g);
}

int record_save(const struct record *r, int dir, struct err *e)
{
    yajl_gen g = new_text();

    if (!g)
        return err_set(e, ERR_SYS, ENOMEM, "state.json");
    put_state(g, r, r->status, r->porter.pid);
    put_number(g, "pidStart", (long long)r->porter.start);
    put_number(g, "keep", r->keep.pid);
    put_number(g, "keepStart", (long long)r->keep.start);
    put(g, "foreground");
    (void)yajl_gen_bool(g, r->foreground);
    put(g, "hooks");
    (void)yajl_gen_bool(g, r->hooks);
    _cleanup_free_ char *text = end_text(g);
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
            return err_set(e, ERR_NOENT, 0, "container %.255s does not exist", id);
        return err_set(e, ERR_SYS, errno, "state.json of container %.255s", id);
    }
    if (json_parse(a, text, len, "state.json", &o, &why) || o->type != JSON_OBJECT ||
        read_members(&j, o, ret))
        return err_set(e, ERR_SYS, 0, "state.json of container %.255s is damaged", id);
    ret->arena = steal_ptr(&a);
    return 0;
}

void record_release(struct record *r)
{
    arena_free(r->arena);
    *r = (struct record){0};
}
