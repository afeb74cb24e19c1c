#include "oci/json_write.h"

#include <string.h>
#include <yajl/yajl_gen.h>

json_writer jw_begin(bool pretty)
{
    yajl_gen g = yajl_gen_alloc(NULL);

    if (g) {
        (void)yajl_gen_config(g, yajl_gen_beautify, pretty);
        (void)yajl_gen_config(g, yajl_gen_indent_string, "  ");
        (void)yajl_gen_config(g, yajl_gen_validate_utf8, 1);
        (void)yajl_gen_map_open(g);
    }
    return g;
}

/* After any error the generator is not complete, and closing the last object fails. */
char *jw_end(json_writer w)
{
    const unsigned char *text;
    size_t len;
    char *ret = NULL;

    if (yajl_gen_map_close(w) == yajl_gen_status_ok && yajl_gen_get_buf(w, &text, &len) == yajl_gen_status_ok)
        ret = strndup((const char *)text, len);
    yajl_gen_free(w);
    return ret;
}

void jw_string(json_writer w, const char *s)
{
    (void)yajl_gen_string(w, (const unsigned char *)s, strlen(s));
}

void jw_member(json_writer w, const char *key, const char *value)
{
    jw_string(w, key);
    jw_string(w, value ? value : "");
}

void jw_number(json_writer w, const char *key, long long value)
{
    jw_string(w, key);
    (void)yajl_gen_integer(w, value);
}

void jw_bool(json_writer w, const char *key, bool value)
{
    jw_string(w, key);
    (void)yajl_gen_bool(w, value);
}

void jw_object(json_writer w, const char *key)
{
    jw_string(w, key);
    (void)yajl_gen_map_open(w);
}

void jw_array(json_writer w, const char *key)
{
    jw_string(w, key);
    (void)yajl_gen_array_open(w);
}

void jw_close_object(json_writer w)
{
    (void)yajl_gen_map_close(w);
}

void jw_close_array(json_writer w)
{
    (void)yajl_gen_array_close(w);
}
