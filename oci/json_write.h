/* JSON out: thin names over yajl's generator, which checks UTF-8 and nesting. An error is remembered for
 * jw_end. */
#ifndef BAILEY_OCI_JSON_WRITE_H
#define BAILEY_OCI_JSON_WRITE_H

#include <stdbool.h>

typedef struct json_writer_ *json_writer;

/* An object is begun. pretty: over several lines. NULL: no memory. */
json_writer jw_begin(bool pretty);
/* Ends it: malloc'ed text, NULL where memory is out or a string is not UTF-8. */
char *jw_end(json_writer w);

void jw_string(json_writer w, const char *s);
void jw_member(json_writer w, const char *key, const char *value); /* NULL: "" */
void jw_number(json_writer w, const char *key, long long value);
void jw_bool(json_writer w, const char *key, bool value);

/* Opens what the key names; closed by the next two. */
void jw_object(json_writer w, const char *key);
void jw_array(json_writer w, const char *key);
void jw_close_object(json_writer w);
void jw_close_array(json_writer w);

#endif
