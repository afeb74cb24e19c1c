#include "runtime/commands/signame.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As programs know them: the C library keeps the first two of the kernel's for itself. */
enum { FIRST_RT = 34, LAST_RT = 64 };

static int number(const char *s, int max)
{
    char *end;

    if (!isdigit((unsigned char)*s))
        return -1;
    errno = 0;
    long n = strtol(s, &end, 10);
    return *end || errno || n > max ? -1 : (int)n;
}

static int real_time(const char *name)
{
    bool from_top = strncasecmp(name, "RTMAX", 5) == 0;

    if (!from_top && strncasecmp(name, "RTMIN", 5) != 0)
        return -1;
    const char *rest = name + 5;
    if (!*rest)
        return from_top ? LAST_RT : FIRST_RT;
    int n = *rest == (from_top ? '-' : '+') ? number(rest + 1, LAST_RT - FIRST_RT) : -1;
    if (n < 0)
        return -1;
    return from_top ? LAST_RT - n : FIRST_RT + n;
}

int signame_parse(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } aliases[] = {{"IOT", 6}, {"CLD", 17}, {"POLL", 29}};

    if (isdigit((unsigned char)*name))
        return number(name, LAST_RT);
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < 32; i++) {
        const char *known = sigabbrev_np(i);
        if (known && strcasecmp(name, known) == 0)
            return i;
    }
    for (unsigned i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        if (strcasecmp(name, aliases[i].name) == 0)
            return aliases[i].number;
    return real_time(name);
}
