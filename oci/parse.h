/* The parts of the config.json parser. Each fills its piece of *c and returns 0 or -1 with r->e set. */
#ifndef BAILEY_OCI_PARSE_H
#define BAILEY_OCI_PARSE_H

#include "oci/config.h"
#include "oci/json.h"

int parse_process(struct json_reader *r, const struct json *root, struct oci_config *c);
/* The object itself, as `bailey exec --process` reads it. */
int parse_process_object(struct json_reader *r, const struct json *obj, struct oci_process *p);
int parse_mounts(struct json_reader *r, const struct json *root, struct oci_config *c);
int parse_hooks(struct json_reader *r, const struct json *root, struct oci_config *c);
int parse_linux(struct json_reader *r, const struct json *root, struct oci_config *c);
int parse_resources(struct json_reader *r, const struct json *lx, struct oci_resources *ret);
int parse_scheduler(struct json_reader *r, const struct json *process, struct oci_scheduler *ret);
int parse_io_priority(struct json_reader *r, const struct json *process, struct oci_int *ret);
int parse_affinity(struct json_reader *r, const struct json *process, struct oci_process *p);
int parse_memory_policy(struct json_reader *r, const struct json *lx, struct oci_memory_policy *ret);
int parse_personality(struct json_reader *r, const struct json *lx, struct oci_int *ret);
/* "0,2-4" of numbers below max as a call of set for each range. */
int parse_number_list(const char *text, unsigned max, void (*set)(void *arg, unsigned first, unsigned last),
                      void *arg);
int parse_seccomp(struct json_reader *r, const struct json *lx, struct oci_seccomp **ret);

/* Shared pieces. */
int parse_idmaps(struct json_reader *r, const struct json *obj, const char *key, struct oci_idmap **ret,
                 size_t *ret_n);
int parse_oci_int(struct json_reader *r, const struct json *obj, const char *key, int64_t min, int64_t max,
                  struct oci_int *ret);
/* An object whose values are all strings. */
int parse_pairs(struct json_reader *r, const struct json *obj, const char *key, struct oci_pair **ret,
                size_t *ret_n);

/* "shared", "rslave" and the like to MS_ flags; 0 where the word is none of them. */
unsigned long parse_propagation(const char *word);

#endif
