/* Small files of a container's state directory. */
#ifndef BAILEY_RUNTIME_TEXTFILE_H
#define BAILEY_RUNTIME_TEXTFILE_H

#include <stddef.h>

#include "common/err.h"

/* Writes the file so that a reader sees the old text or the new, never a part. */
int textfile_replace(int dir, const char *name, const char *text, struct err *e);

/* Reads a file of at most 16 MiB; *ret is malloc'ed and ends with a NUL that *len does not count. 0, or -1
 * with errno. */
int textfile_read(int dir, const char *name, char **ret, size_t *len);

#endif
