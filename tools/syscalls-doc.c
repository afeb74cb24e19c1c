/* Prints docs/syscalls.md from the system call table. Fails where a partial call has no note of what is
 * missing. */
#include <stdio.h>
#include <string.h>

enum level { NONE, PARTIAL, FULL, LEVELS };

static const struct call {
    int nr;
    const char *name;
    enum level level;
} calls[] = {
#define SYS(nr, name, level, args) {nr, #name, level},
#define SYS_ALIAS(nr, name, level, args, fn) {nr, #name, level},
#define SYS_NONE(nr, name, args) {nr, #name, NONE},
#include "sandbox/keep/syscalls.def"
};

static const struct {
    const char *name, *text;
} notes[] = {
#define NOTE(name, text) {#name, text},
#include "sandbox/keep/syscalls_notes.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *note_of(const char *name)
{
    for (size_t i = 0; i < COUNT(notes); i++) {
        if (strcmp(notes[i].name, name) == 0)
            return notes[i].text;
    }
    return NULL;
}

static void print_partial(int *status)
{
    printf("## Partly implemented\n\n| number | call | what is missing |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < COUNT(calls); i++) {
        const char *note = note_of(calls[i].name);
        if (calls[i].level != PARTIAL)
            continue;
        if (!note) {
            fprintf(stderr, "syscalls_notes.def: no note on %s\n", calls[i].name);
            *status = 1;
        }
        printf("| %d | `%s` | %s |\n", calls[i].nr, calls[i].name, note ? note : "");
    }
}

static void print_names(enum level level)
{
    size_t column = 0;
    for (size_t i = 0; i < COUNT(calls); i++) {
        if (calls[i].level != level)
            continue;
        size_t len = strlen(calls[i].name) + 3;
        if (column + len > 110) {
            printf("\n");
            column = 0;
        }
        column += (size_t)printf("%s`%s`", column ? " " : "", calls[i].name);
    }
    printf("\n");
}

int main(void)
{
    int n[LEVELS] = {0}, status = 0;
    for (size_t i = 0; i < COUNT(calls); i++)
        n[calls[i].level]++;
    printf(
        "# System calls\n\n"
        "What the keep makes of each of the %zu system calls of x86-64 Linux: %d are implemented, %d in "
        "part, and %d give\n"
        "ENOSYS, which is in the log once for each. Made by `make docs` from sandbox/keep/syscalls.def.\n\n",
        COUNT(calls), n[FULL], n[PARTIAL], n[NONE]);
    print_partial(&status);
    printf("\n## Implemented\n\n");
    print_names(FULL);
    printf("\n## Not implemented\n\n");
    print_names(NONE);
    return status;
}
