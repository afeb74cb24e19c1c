/* memfile allocate|write|send|copy|splice SIZE: a file in memory of so many bytes; sent from its own. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

static void send_all(int fd, const char *self, long size)
{
    int from = open(self, O_RDONLY);

    for (long n = 0, some; n < size; n += some) {
        off_t at = 0;
        if ((some = sendfile(fd, from, &at, (size_t)(size - n))) <= 0)
            err(1, "sendfile");
    }
}

static void copy_all(int fd, long size)
{
    int from = memfd_create("from", 0);
    off_t at = 0;

    if (ftruncate(from, 1 << 20) < 0)
        err(1, "ftruncate");
    for (long n = 0, some; n < size; n += some, at = 0)
        if ((some = copy_file_range(from, &at, fd, NULL, 1 << 20, 0)) <= 0)
            err(1, "copy_file_range");
}

static void splice_all(int fd, long size)
{
    static char bytes[65536];
    int ends[2];

    if (pipe(ends) < 0)
        err(1, "pipe");
    for (long n = 0; n < size; n += (long)sizeof(bytes)) {
        if (write(ends[1], bytes, sizeof(bytes)) != sizeof(bytes))
            err(1, "write");
        for (long some, left = sizeof(bytes); left > 0; left -= some)
            if ((some = splice(ends[0], NULL, fd, NULL, (size_t)left, 0)) <= 0)
                err(1, "splice");
    }
}

int main(int argc, char **argv)
{
    static char bytes[4096];
    int fd = memfd_create("memfile", 0);

    if (argc != 3 || fd < 0)
        errx(1, "usage: memfile allocate|write|send|copy|splice SIZE");
    long size = atol(argv[2]);
    if (strcmp(argv[1], "allocate") == 0 && fallocate(fd, 0, 0, size) < 0)
        err(1, "fallocate");
    for (long n = 0; strcmp(argv[1], "write") == 0 && n < size; n += (long)sizeof(bytes))
        if (write(fd, bytes, sizeof(bytes)) < 0)
            err(1, "write");
    if (strcmp(argv[1], "send") == 0)
        send_all(fd, "/bin/memfile", size);
    if (strcmp(argv[1], "copy") == 0)
        copy_all(fd, size);
    if (strcmp(argv[1], "splice") == 0)
        splice_all(fd, size);
    return 0;
}
