/* holdopen FILE SAYS: whoever opens FILE waits, from when SAYS exists; the first that does is noted in it
 * ("held"). Ends, and lets all go on, with its standard input. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    int fan = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);

    if (argc != 3)
        return 2;
    if (fan < 0 || fanotify_mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, argv[1]) < 0)
        return fail("fanotify");
    int says = open(argv[2], O_CREAT | O_WRONLY, 0644);
    if (says < 0)
        return fail(argv[2]);
    struct pollfd p[] = {{.fd = fan, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    while (poll(p, 2, -1) >= 0 && !p[1].revents) {
        if (!(p[0].revents & POLLIN))
            continue;
        p[0].fd = -1;
        if (write(says, "held\n", 5) != 5)
            return fail(argv[2]);
    }
    return 0;
}
