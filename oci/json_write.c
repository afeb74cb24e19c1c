#include "oci/json_write.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

struct json_writer_ {
    yajl_gen g;
    bool failed; /* yajl would go on behind a string that it refused */
};

static void note(json_writer w, yajl_gen_status s)
{
    w->failed = w->failed || s != yajl_gen_status_ok;
}

json_writer jw_begin(bool pretty)
{
    json_writer w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->g = yajl_gen_alloc(NULL);
    if (!w->g) {
        free(w);
        return NULL;
    }
    (void)yajl_gen_config(w->g, yajl_gen_beautify, pretty);
    (void)yajl_gen_config(w->g, yajl_gen_indent_string, "  ");
    (void)yajl_gen_config(w->g, yajl_gen_validate_utf8, 1);
    note(w, yajl_gen_map_open(w->g));
    return w;
}

char *jw_end(json_writer w)
{
    const unsigned char *text;
    size_t len;
    char *ret = NULL;

    note(w, yajl_gen_map_close(w->g));
    if (!w->failed && yajl_gen_get_buf(w->g, &text, &len) == yajl_gen_status_ok)
        ret = strndup((const char *)text, len);
    yajl_gen_free(w->g);
    free(w);
    return ret;
}

void jw_string(json_writer w, const char *s)
{
    note(w, yajl_gen_string(w->g, (const unsigned char *)s, strlen(s)));
}

void jw_member(json_writer w, const char *key, const char *value)
{
    jw_string(w, key);
    jw_string(w, value ? value : "");
}

void jw_number(json_writer w, const char *key, long long value)
{
    jw_string(w, key);
    note(w, yajl_gen_integer(w->g, value));
}

void jw_bool(json_writer w, const char *key, bool value)
{
    jw_string(w, key);
    note(w, yajl_gen_bool(w->g, value));
}

void jw_object(json_writer w, const char *key)
{
    jw_string(w, key);
    note(w, yajl_gen_map_open(w->g));
}

void jw_array(json_writer w, const char *key)
{
    jw_string(w, key);
    note(w, yajl_gen_array_open(w->g));
}

void jw_close_object(json_writer w)
{
    note(w, yajl_gen_map_close(w->g));
}

void jw_close_array(json_writer w)
{
    note(w, yajl_gen_array_close(w->g));
}
