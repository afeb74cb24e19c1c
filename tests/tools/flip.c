/* flip A B: exchanges the two names (renameat2 RENAME_EXCHANGE) as fast as it can, until it is killed. Says
 * "flipping" first, and ends with 1 where that cannot be done. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3 || renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE)) {
        perror("flip");
        return 1;
    }
    puts("flipping");
    fflush(stdout);
    for (;;) {
        (void)renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
        /* Others must have a turn, on few CPUs too. */
        usleep(20);
    }
}
