/* Files that are opened again and again from the same place, so that they may be kept, and what one finds. */
#ifndef TESTS_GUEST_KEPT_H
#define TESTS_GUEST_KEPT_H

#include <sys/stat.h>

#include "tests/guest/check.h"

#define OFTEN 150
#define TOP "/tmp/kept"
#define PATH TOP "/link/b/file"
#define REAL TOP "/a/b/file"
#define FLAGS (O_RDONLY | O_NONBLOCK)

static inline void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static inline void make_tree(void)
{
    MUST(system("rm -rf " TOP "; mkdir -p " TOP "/a/b " TOP "/other/b") == 0);
    MUST(symlink("a", TOP "/link") == 0);
    put(REAL, "old");
    put(TOP "/other/b/file", "other");
    MUST(chmod(TOP, 0755) == 0);
}

/* What one finds. */
struct seen {
    int stat_errno, open_errno, read_errno, fd;
    char text[8];
    mode_t mode;
    off_t size, at;
    ino_t ino, open_ino;
    uid_t uid;
    long mtime;
};

static inline void see_open(struct seen *s, const char *path)
{
    struct stat st;

    memset(s->text, 0, sizeof(s->text));
    errno = 0;
    s->fd = open(path, FLAGS);
    s->open_errno = errno;
    if (s->fd < 0)
        return;
    s->at = lseek(s->fd, 0, SEEK_CUR);
    errno = 0;
    (void)!read(s->fd, s->text, sizeof(s->text) - 1);
    s->read_errno = errno;
    MUST(fstat(s->fd, &st) == 0 && close(s->fd) == 0);
    s->open_ino = st.st_ino;
}

static inline void see_stat(struct seen *s, const char *path)
{
    struct stat st = {0};

    errno = 0;
    s->stat_errno = stat(path, &st) == 0 ? 0 : errno;
    s->mode = st.st_mode & 07777;
    s->size = st.st_size;
    s->ino = st.st_ino;
    s->uid = st.st_uid;
    s->mtime = (long)st.st_mtime;
}

/* All instructions are hot from then on, and the file is one of those. Returns its number. */
static inline int warm(const char *path)
{
    struct seen s;

    for (int i = 0; i < OFTEN; i++) {
        see_stat(&s, path);
        see_open(&s, path);
        MUST(s.stat_errno == 0 && s.open_errno == 0 && s.at == 0 && s.open_ino == s.ino);
    }
    return s.fd;
}

#endif
