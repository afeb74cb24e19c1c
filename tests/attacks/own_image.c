/* Tries to have the host execute a file of the guest's, of which the process has the host's descriptor, in
 * the place of the gate's image, in the middle of an execve. Ends with 42 where that is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/gate/abi.h"
#include "tests/attacks/gate_call.h"

/* Used as often as it takes for the descriptor to be given to the process. As 0, so that the gate's is
 * another: what returns 0 goes on as a new thread there (gate_call.h). */
static int open_lane(const char *path)
{
    static char buf[65536];
    int fd = open(path, O_RDONLY);

    if (fd < 0 || dup2(fd, 0) != 0)
        return -1;
    for (int i = 0; i < 200; i++)
        (void)pread(0, buf, sizeof(buf), 0);
    return 0;
}

int main(int argc, char **argv)
{
    static char *again[] = {"again", NULL}, *none[] = {NULL};

    if (argc > 0 && strcmp(argv[0], "again") == 0) {
        puts("the host executed a file of the guest's");
        return 1;
    }
    int lane = open_lane("/test/own_image");
    if (lane < 0 || !find_sites())
        return 2;
    uintptr_t at = sites[0];
    long image = call5_at(at, GATE_EXEC, AT_FDCWD, (long)"/bin/true", (long)again, (long)none, 0);
    if (image < 0)
        return 3;
    long r = call5_at(at, SYS_execveat, lane, (long)"", (long)again, (long)none, AT_EMPTY_PATH);
    if (r != -EPERM)
        printf("the file: %ld\n", r);
    long s = call5_at(at, SYS_execveat, image, (long)"", (long)again, (long)none,
                      AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    if (s != -EPERM)
        printf("other flags: %ld\n", s);
    long here = AT_EMPTY_PATH | GATE_EXEC_HERE;
    long h = call5_at(at, SYS_execveat, lane, (long)"", (long)again, (long)none, here);
    if (h != GATE_EXEC_LEND)
        printf("the file, asked for at once: %ld\n", h);
    long o = call5_at(at, SYS_execveat, image, (long)"", (long)again, (long)none, here | AT_SYMLINK_NOFOLLOW);
    if (o != GATE_EXEC_LEND)
        printf("other flags, asked for at once: %ld\n", o);
    long n = call5_at(at, SYS_execveat, image, (long)"", (long)again, (long)none, here);
    if (n != -EFAULT)
        printf("nothing, asked for at once: %ld\n", n);
    bool refused = r == -EPERM && s == -EPERM;
    return refused && h == GATE_EXEC_LEND && o == GATE_EXEC_LEND && n == -EFAULT ? 42 : 4;
}
