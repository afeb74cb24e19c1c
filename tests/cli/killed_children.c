/* killed_children N: has N children, one after the other, that make no call, each of which is to be killed
 * from outside; says when it has begun ("ready"), and of how many each end was SIGKILL's ("N killed"). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 0, killed = 0;

    dprintf(1, "ready\n");
    (void)!read(0, &(char){0}, 1); /* whoever kills has to know this one from them */
    for (int i = 0; i < n; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            for (volatile int work = 0;; work++)
                ;
        if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            killed++;
    }
    dprintf(1, "%d killed\n", killed);
    return 0;
}
