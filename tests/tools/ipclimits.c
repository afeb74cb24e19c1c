/* Runs into the limits of System V IPC, message queues and low ports, and prints what each says. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

static void show(const char *what, long r)
{
    printf("%s %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

static void port(unsigned short n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(n)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    char what[32];

    snprintf(what, sizeof(what), "port %u", n);
    show(what, bind(s, (struct sockaddr *)&a, sizeof(a)));
    close(s);
}

int main(int argc, char **argv)
{
    static struct {
        long type;
        char data[65536];
    } m = {.type = 1};
    struct mq_attr attr = {.mq_maxmsg = 15, .mq_msgsize = 100};

    for (int i = 1; i < argc; i++)
        port((unsigned short)atoi(argv[i]));
    show("shm 8192", shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600));
    show("shm 8193", shmget(IPC_PRIVATE, 8193, IPC_CREAT | 0600));
    int q = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    show("msg 9000", msgsnd(q, &m, 9000, IPC_NOWAIT));
    show("msg 9001", msgsnd(q, &m, 9001, IPC_NOWAIT));
    show("second queue", msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    show("sem 5", semget(IPC_PRIVATE, 5, IPC_CREAT | 0600));
    show("sem 6", semget(IPC_PRIVATE, 6, IPC_CREAT | 0600));
    show("mq 15", mq_open("/a", O_CREAT | O_RDWR, 0600, &attr));
    attr.mq_maxmsg = 16;
    show("mq 16", mq_open("/b", O_CREAT | O_RDWR, 0600, &attr));
    return 0;
}
