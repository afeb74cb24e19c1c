/* kept_reader FILE PAGE: opens, reads and closes FILE until that is done without asking anybody, then waits,
 * without a call that anybody could hear of, for PAGE's first byte to be the round's letter, looks once more,
 * and says what it found: "LETTER ready", then "LETTER stat-errno open-errno mode text". Both ways round for
 * each letter. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OFTEN 200

struct seen {
    int stat_errno, open_errno;
    unsigned mode;
    char text[16];
};

static void see_stat(struct seen *s, const char *path)
{
    struct stat st = {0};

    s->stat_errno = stat(path, &st) == 0 ? 0 : errno;
    s->mode = st.st_mode & 07777;
}

static void see_open(struct seen *s, const char *path)
{
    int fd = open(path, O_RDONLY);

    s->open_errno = fd >= 0 ? 0 : errno;
    memset(s->text, 0, sizeof(s->text));
    if (fd < 0)
        return;
    if (read(fd, s->text, sizeof(s->text) - 1) < 0)
        s->open_errno = errno;
    close(fd);
}

static void warm(const char *path)
{
    struct seen s;

    for (int i = 0; i < OFTEN; i++) {
        see_stat(&s, path);
        see_open(&s, path);
        if (s.stat_errno || s.open_errno)
            i = 0;
    }
}

int main(int argc, char **argv)
{
    int fd = argc == 3 ? open(argv[2], O_RDWR) : -1;
    volatile char *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

    if (fd < 0 || page == MAP_FAILED)
        return 1;
    for (char letter = 'a'; letter <= 'z'; letter++) {
        struct seen s = {0};
        warm(argv[1]);
        dprintf(1, "%c ready\n", letter);
        while (*page != letter)
            sched_yield();
        if (letter % 2)
            see_stat(&s, argv[1]);
        see_open(&s, argv[1]);
        if (letter % 2 == 0)
            see_stat(&s, argv[1]);
        dprintf(1, "%c %d %d %o %s\n", letter, s.stat_errno, s.open_errno, s.mode, s.text);
    }
    return 0;
}
