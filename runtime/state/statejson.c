#include "runtime/state/statejson.h"

#include "common/version.h"
#include "runtime/commands/stopsignal.h"

static void put_if(json_writer w, const char *key, const char *value)
{
    if (value)
        jw_member(w, key, value);
}

void statejson_put(json_writer w, const struct statejson *s)
{
    jw_member(w, "ociVersion", OCI_SPEC_VERSION);
    jw_member(w, "id", s->id);
    jw_member(w, "status", s->status);
    if (s->pid >= 0)
        jw_number(w, "pid", s->pid);
    jw_member(w, "bundle", s->bundle);
    put_if(w, "rootfs", s->rootfs);
    put_if(w, "created", s->created);
    put_if(w, "owner", s->owner);
    if (s->nannotations > 0)
        jw_object(w, "annotations");
    for (size_t i = 0; i < s->nannotations; i++)
        jw_member(w, s->annotations[i].key, s->annotations[i].value);
    if (s->nannotations > 0)
        jw_close_object(w);
    if (s->exit_status >= 0)
        jw_number(w, "exitStatus", s->exit_status);
    put_if(w, STOPSIGNAL_MEMBER, s->stop_signal);
}

char *statejson_text(const struct statejson *s, bool pretty)
{
    json_writer w = jw_begin(pretty);

    if (!w)
        return NULL;
    statejson_put(w, s);
    return jw_end(w);
}
