/* memfile allocate|write SIZE: a file in memory of so many bytes. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char bytes[4096];
    int fd = memfd_create("memfile", 0);

    if (argc != 3 || fd < 0)
        errx(1, "usage: memfile allocate|write SIZE");
    long size = atol(argv[2]);
    if (strcmp(argv[1], "allocate") == 0 && fallocate(fd, 0, 0, size) < 0)
        err(1, "fallocate");
    for (long n = 0; strcmp(argv[1], "write") == 0 && n < size; n += (long)sizeof(bytes))
        if (write(fd, bytes, sizeof(bytes)) < 0)
            err(1, "write");
    return 0;
}
