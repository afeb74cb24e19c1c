/* execve by a thread of a process whose first thread has ended: the program goes on under the process's
 * number. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t before;
static pthread_t first;

static void *execute(void *arg)
{
    static char number[16];
    char *argv[] = {arg, "again", number, NULL};

    pthread_join(first, NULL);
    (void)snprintf(number, sizeof(number), "%d", (int)before);
    execv(arg, argv);
    perror("execv");
    _exit(1);
}

int main(int argc, char **argv)
{
    pthread_t t;

    if (argc == 3 && strcmp(argv[1], "again") == 0) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", (int)getpid());
        printf("the same number %d, and the first thread %d\n", strcmp(number, argv[2]) == 0,
               getpid() == (pid_t)syscall(SYS_gettid));
        return 0;
    }
    before = getpid();
    first = pthread_self();
    if (pthread_create(&t, NULL, execute, argv[0]) != 0)
        return 2;
    pthread_exit(NULL);
}
