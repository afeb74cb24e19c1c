#include "common/keyed.h"

#include <stdlib.h>
#include <string.h>

uint64_t keyed_value(const char *text, const char *key, uint64_t otherwise)
{
    size_t len = strlen(key);

    for (const char *line = text; line && *line;) {
        if (strncmp(line, key, len) == 0 && line[len] == ' ')
            return strtoull(line + len + 1, NULL, 10);
        line = strchr(line, '\n');
        line += line ? 1 : 0;
    }
    return otherwise;
}
