/* fdpass give NAME PATH: opens PATH (a directory, or a file) and gives the descriptor to who connects to the
 * abstract unix socket NAME, then waits for the other side to be done.
 * fdpass take NAME COMMAND [ARG...]: takes it and runs the command with it as descriptor 3; before that
 * prints the peer's pid as SO_PEERCRED has it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <fcntl.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int named(struct sockaddr_un *a, socklen_t *len, const char *name)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "%s", name);
    *len = (socklen_t)(sizeof(a->sun_family) + 1 + strlen(a->sun_path + 1));
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static void give(const char *name, const char *path)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    struct sockaddr_un a;
    socklen_t len;
    int fd = open(path, O_RDONLY), s = named(&a, &len, name);

    if (fd < 0)
        die(path);
    if (bind(s, (struct sockaddr *)&a, len) || listen(s, 1))
        die("listen");
    int conn = accept(s, NULL, NULL);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    if (sendmsg(conn, &m, 0) != 1)
        die("sendmsg");
    (void)!read(conn, &byte, 1);
}

static void take(const char *name, char **command)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } c = {0};
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf)};
    struct sockaddr_un a;
    struct ucred peer;
    socklen_t len, peer_len = sizeof(peer);
    int fd, s = named(&a, &len, name);

    for (int i = 0; connect(s, (struct sockaddr *)&a, len); i++) {
        if (i == 500)
            die("connect");
        usleep(10000);
    }
    if (recvmsg(s, &m, 0) != 1 || !CMSG_FIRSTHDR(&m) ||
        getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len))
        die("recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    printf("peer %d\n", peer.pid);
    fflush(stdout);
    if (fd != 3 && dup2(fd, 3) != 3)
        die("dup2");
    execvp(command[0], command);
    die(command[0]);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "give") == 0)
        give(argv[2], argv[3]);
    else if (argc >= 4 && strcmp(argv[1], "take") == 0)
        take(argv[2], argv + 3);
    else
        return 2;
    return 0;
}
