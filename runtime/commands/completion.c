/* bailey completion: what a shell needs to complete our command lines, from the tables that they are parsed
 * with. */
#include <ctype.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "runtime/commands/cmd.h"

static const char head[] = "# Completion of bailey for bash, from `bailey completion bash`.\n"
                           "# For all users: /usr/share/bash-completion/completions/bailey; for one shell: "
                           "source <(bailey completion bash)\n";

/* "COMMAND:" stands before its options; global ones have nothing before the colon. */
static const char functions[] =
    "# The command on the line, the words behind its options, and the last word's option.\n"
    "_bailey_look() {\n"
    "    local i word\n"
    "    command= nargs=0 root=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        [[ $word == = ]] && { ((i++)); continue; }\n"
    "        if [[ $word == -* ]]; then\n"
    "            [[ $word == --root && ${COMP_WORDS[i + 1]} != = ]] && root=(--root \"${COMP_WORDS[i + "
    "1]}\")\n"
    "            [[ $word == --root && ${COMP_WORDS[i + 1]} == = ]] && root=(--root \"${COMP_WORDS[i + "
    "2]}\")\n"
    "            [[ -n $(_bailey_value \"$command:$word\") && ${COMP_WORDS[i + 1]} != = ]] && ((i++))\n"
    "        elif [[ -z $command ]]; then\n"
    "            command=$word\n"
    "        else\n"
    "            ((nargs++))\n"
    "        fi\n"
    "    done\n"
    "}\n";

static const char tail[] =
    "_bailey() {\n"
    "    local command nargs root value cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    [[ $cur == = ]] && cur=\n"
    "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    COMPREPLY=()\n"
    "    _bailey_look\n"
    "    value=$(_bailey_value \"$command:$prev\")\n"
    "    if [[ -z $value ]]; then\n"
    "        value=$(_bailey_argument \"$command:$nargs\")\n"
    "        [[ $cur == -* ]] && value=\"words $(_bailey_options \"$command\")\"\n"
    "    fi\n"
    "    case $value in\n"
    "    words*) COMPREPLY=($(compgen -W \"${value#words}\" -- \"$cur\")) ;;\n"
    "    id) COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" \"${root[@]}\" list -q 2>/dev/null)\" -- "
    "\"$cur\")) ;;\n"
    "    dir) COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
    "    file) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
    "    esac\n"
    "}\n"
    "complete -o filenames -F _bailey bailey\n";

/* What a value may be, in the script's words; NULL: nothing can be said. */
static const char *kind_of(const char *arg)
{
    static const struct {
        const char *arg, *kind;
    } kinds[] = {{"FILE", "file"}, {"SOCKET", "file"}, {"DIR", "dir"}, {"ID", "id"}, {"SIGNAL", "signal"}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].arg, arg) == 0)
            return kinds[i].kind;
    return NULL;
}

static void put_signals(void)
{
    for (int i = 1; i < SIGRTMIN; i++)
        if (sigabbrev_np(i))
            printf(" %s", sigabbrev_np(i));
}

/* "a|b|c", or one word that is to be written as it stands. */
static bool is_literal(const char *arg)
{
    return strchr(arg, '|') || islower((unsigned char)*arg);
}

/* The kind as "words a b c" where it is a choice. */
static void put_kind(const char *arg)
{
    const char *kind = kind_of(arg);

    if (is_literal(arg)) {
        printf("words ");
        for (; *arg; arg++)
            putchar(*arg == '|' ? ' ' : *arg);
    } else if (kind && strcmp(kind, "signal") == 0) {
        printf("words");
        put_signals();
    } else {
        printf("%s", kind ? kind : "any");
    }
}

static void put_options(const char *command, const struct option_def *d)
{
    printf("    %s) echo '", *command ? command : "''");
    for (; d && d->name; d++)
        printf("--%s ", d->name);
    puts(*command ? "--help' ;;" : "' ;;");
}

static void put_values(const char *command, const struct option_def *d)
{
    for (; d && d->name; d++) {
        if (!d->arg)
            continue;
        printf("    %s:--%s", command, d->name);
        if (d->letter)
            printf(" | %s:-%c", command, d->letter);
        printf(") echo '");
        put_kind(d->arg);
        puts("' ;;");
    }
}

/* "ID [SIGNAL]": the names in their order. An id that is to be new cannot be completed. */
static void put_arguments(const struct command *c)
{
    bool makes = c == &cmd_create || c == &cmd_run;
    unsigned n = 0;

    for (const char *s = c->args; *s;) {
        char word[32];
        s += strspn(s, " []");
        size_t len = strcspn(s, " []");
        snprintf(word, sizeof(word), "%.*s", (int)len, s);
        s += len;
        const char *kind = is_literal(word) ? word : kind_of(word);
        if (!len || !kind || (makes && n == 0)) {
            n++;
            continue;
        }
        printf("    %s:%u) echo '", c->name, n++);
        put_kind(word);
        puts("' ;;");
    }
}

static void put_commands(const char *pattern)
{
    printf("    %s) echo 'words", pattern);
    for (size_t i = 0; commands[i]; i++)
        printf(" %s", commands[i]->name);
    puts("' ;;");
}

static void put_function(const char *name)
{
    printf("%s() {\n    case $1 in\n", name);
}

static void bash(void)
{
    fputs(head, stdout);
    put_function("_bailey_options");
    put_options("", global_options);
    for (size_t i = 0; commands[i]; i++)
        put_options(commands[i]->name, commands[i]->options);
    puts("    esac\n}");
    put_function("_bailey_value");
    put_values("", global_options);
    for (size_t i = 0; commands[i]; i++)
        put_values(commands[i]->name, commands[i]->options);
    puts("    esac\n}");
    put_function("_bailey_argument");
    put_commands(":0 | help:0");
    for (size_t i = 0; commands[i]; i++)
        put_arguments(commands[i]);
    puts("    esac\n}");
    fputs(functions, stdout);
    fputs(tail, stdout);
}

static int run(const struct globals *g, char **argv, struct err *e)
{
    int r = command_options(&cmd_completion, &argv, NULL, e);

    (void)g;
    if (r)
        return r < 0 ? -1 : 0;
    if (!argv[0] || strcmp(argv[0], "bash") != 0 || argv[1])
        return err_set(e, ERR_USAGE, 0, "completion takes the name of a shell, and that is bash");
    bash();
    return fflush(stdout) ? err_set(e, ERR_SYS, 0, "stdout") : 0;
}

const struct command cmd_completion = {
    .name = "completion",
    .args = "bash",
    .summary = "Print the script that completes bailey's command lines",
    .run = run,
};
