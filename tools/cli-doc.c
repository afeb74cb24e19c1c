/* cli-doc man: the manual page, bailey(1).
 * cli-doc tables FILE: FILE with each table of options or error codes in it made anew, between a line
 *   <!-- options COMMAND -->, <!-- options -->, <!-- commands --> or <!-- errors --> and <!-- end -->.
 * Linked with all of the command but its main: what is printed is what the command parses. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/version.h"
#include "runtime/commands/cmd.h"

/* Tables in Markdown
 * --------------------------------------------------------------------------------------------- */

/* A "|" would end the cell. */
static void put_cell(const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            putchar('\\');
        putchar(*s);
    }
}

static void options_table(const struct option_def *d)
{
    puts("| option | meaning |\n| --- | --- |");
    for (; d && d->name; d++) {
        printf("| `--%s%s", d->name, d->arg ? " " : "");
        put_cell(d->arg ? d->arg : "");
        printf("`");
        if (d->letter)
            printf(", `-%c`", d->letter);
        printf(" | ");
        put_cell(d->help);
        puts(" |");
    }
}

static void commands_table(void)
{
    puts("| command | what it does |\n| --- | --- |");
    for (size_t i = 0; commands[i]; i++) {
        printf("| `bailey %s%s", commands[i]->name, *commands[i]->args ? " " : "");
        put_cell(commands[i]->args);
        printf("` | %s |\n", commands[i]->summary);
    }
}

static void errors_table(void)
{
    puts("| code | exit status | what it means |\n| --- | --- | --- |");
    for (int i = ERR_OK + 1; i < ERR_CODE_COUNT_; i++)
        printf("| `%s` | %d | %s |\n", err_code_name(i), err_exit_status(i), err_code_meaning(i));
}

/* The line asks for a table: prints it. */
static bool table_for(const char *line)
{
    char name[32] = "";

    if (strcmp(line, "<!-- commands -->\n") == 0) {
        commands_table();
    } else if (strcmp(line, "<!-- errors -->\n") == 0) {
        errors_table();
    } else if (strcmp(line, "<!-- options -->\n") == 0) {
        options_table(global_options);
    } else if (sscanf(line, "<!-- options %31s -->", name) == 1 && command_find(name)) {
        options_table(command_find(name)->options);
    } else {
        return false;
    }
    return true;
}

static int tables(const char *path)
{
    char line[4096];
    bool inside = false;
    FILE *f = fopen(path, "re");

    if (!f) {
        perror(path);
        return 1;
    }
    while (fgets(line, sizeof(line), f)) {
        inside = inside && strcmp(line, "<!-- end -->\n") != 0;
        if (inside)
            continue;
        fputs(line, stdout);
        inside = table_for(line);
    }
    (void)fclose(f);
    if (inside)
        fprintf(stderr, "%s: a table without <!-- end -->\n", path);
    return inside;
}

/* The manual page
 * ------------------------------------------------------------------------------------------------ */

/* What roff would take for its own is escaped. */
static void put_roff(const char *s)
{
    for (; *s; s++) {
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else if (*s == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*s);
    }
}

static void put_line(const char *s)
{
    if (*s == '.')
        fputs("\\&", stdout);
    put_roff(s);
    putchar('\n');
}

static void man_options(const struct option_def *d)
{
    for (; d && d->name; d++) {
        fputs(".TP\n", stdout);
        if (d->letter)
            printf("\\fB\\-%c\\fR, ", d->letter);
        fputs("\\fB\\-\\-", stdout);
        put_roff(d->name);
        fputs("\\fR", stdout);
        if (d->arg) {
            fputs(" \\fI", stdout);
            put_roff(d->arg);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        put_line(d->help);
    }
}

static void man_command(const struct command *c)
{
    printf(".SS bailey %s", c->name);
    printf("%s%s%s\n", c->options ? " [OPTION...]" : "", *c->args ? " " : "", c->args);
    put_line(c->summary);
    for (const char *s = c->text; s && *s;) {
        size_t n = strcspn(s, "\n");
        printf(".PP\n%.*s\n", (int)n, s);
        s += n + (s[n] == '\n');
    }
    man_options(c->options);
}

static void man_errors(void)
{
    puts(".SH EXIT STATUS\n"
         "\\fBrun\\fR and \\fBexec\\fR end with the status of the program, or with 128 + the number of the "
         "signal that "
         "killed it.\nOtherwise 0, or what stands with the code of the error; the code is in records of "
         "\\-\\-log\\-format "
         "json.\n\\fBexec\\fR ends with 255 where the program could not be run.");
    for (int i = ERR_OK + 1; i < ERR_CODE_COUNT_; i++) {
        printf(".TP\n\\fB%s\\fR (%d)\n", err_code_name(i), err_exit_status(i));
        put_line(err_code_meaning(i));
    }
}

static int man(void)
{
    printf(".TH BAILEY 1 \"\" \"bailey %s\" \"User Commands\"\n"
           ".SH NAME\nbailey \\- an OCI runtime whose containers have a kernel of their own\n"
           ".SH SYNOPSIS\n\\fBbailey\\fR [\\fIGLOBAL OPTION\\fR...] \\fICOMMAND\\fR [\\fIOPTION\\fR...] "
           "[\\fIARGUMENT\\fR...]\n"
           ".SH DESCRIPTION\nRuns containers as the Open Container Initiative specifies them (version %s), "
           "for engines "
           "or by hand.\nSystem calls of a container are answered by a kernel in user space, the keep.\n"
           ".PP\nOptions are written \\-\\-name value, \\-\\-name=value, \\-name value; with one letter \\-n "
           "value, "
           "\\-nvalue.\nThey may stand before and behind arguments, but for exec and ps.\n",
           BAILEY_VERSION, OCI_SPEC_VERSION);
    puts(".SH GLOBAL OPTIONS");
    man_options(global_options);
    puts(".SH COMMANDS");
    for (size_t i = 0; commands[i]; i++)
        man_command(commands[i]);
    man_errors();
    puts(".SH FILES\n.TP\n/run/bailey\nThe state of containers; without root $XDG_RUNTIME_DIR/bailey\n"
         ".SH SEE ALSO\n.BR runc (8),\n.BR crun (1)");
    return 0;
}

int main(int argc, char **argv)
{
    int status = 2;

    if (argc == 2 && strcmp(argv[1], "man") == 0)
        status = man();
    else if (argc == 3 && strcmp(argv[1], "tables") == 0)
        status = tables(argv[2]);
    else
        fputs("usage: cli-doc man | cli-doc tables FILE\n", stderr);
    return status ? status : fflush(stdout) != 0;
}
