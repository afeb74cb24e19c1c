#include "runtime/rootfs/mountinfo.h"

#include <stdlib.h>
#include <string.h>

bool mountinfo_open(struct mountinfo *i)
{
    i->f = fopen("/proc/self/mountinfo", "re");
    return i->f;
}

void mountinfo_close(struct mountinfo *i)
{
    if (i->f)
        (void)fclose(i->f);
    free(i->line);
}

static bool is_octal(const char *s)
{
    return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

/* Blanks and the like stand there as \040. */
static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (*s == '\\' && is_octal(s + 1)) {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* ID PARENT DEV ROOT POINT OPTIONS TAG... - TYPE SOURCE SUPER */
static bool parse(struct mountinfo *i)
{
    char *save = NULL, *word[6];

    for (int k = 0; k < 6; k++)
        if (!(word[k] = strtok_r(k == 0 ? i->line : NULL, " \n", &save)))
            return false;
    i->id = strtoull(word[0], NULL, 10);
    i->root = word[3];
    i->point = word[4];
    i->master = 0;
    for (char *tag; (tag = strtok_r(NULL, " \n", &save)) && strcmp(tag, "-") != 0;)
        if (strncmp(tag, "master:", 7) == 0)
            i->master = (unsigned)strtoul(tag + 7, NULL, 10);
    i->type = strtok_r(NULL, " \n", &save);
    unescape(i->root);
    unescape(i->point);
    return i->type;
}

bool mountinfo_next(struct mountinfo *i)
{
    while (getline(&i->line, &i->size, i->f) > 0)
        if (parse(i))
            return true;
    return false;
}
