#include "sandbox/keep/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/log.h"
#include "sandbox/keep/task.h"
#include "sandbox/keep/tty.h"

void container_init_exited(struct container *c, int status)
{
    struct porter_msg m = {.type = PORTER_EXIT, .a = status};

    (void)msg_send(c->porter_fd, &m, sizeof(m), -1);
}

static bool host_process_is_gone(const struct process *p)
{
    struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

    return p->pidfd >= 0 && poll(&pfd, 1, 0) == 1;
}

/* A guest process died natively: by a fault in its gate, or by the host's hand. Which one, its pidfd tells. */
static void bury_the_dead(struct container *c, int signo)
{
    struct process *p, *tmp;

    pthread_mutex_lock(&kernel.tasklist_lock);
    HASH_ITER(hh_pid, c->processes, p, tmp)
    {
        if (p->state == PROCESS_ALIVE && !p->group_exit && host_process_is_gone(p)) {
            process_get(p);
            pthread_mutex_unlock(&kernel.tasklist_lock);
            process_exit(p, signo & 0x7f, false);
            process_put(p);
            pthread_mutex_lock(&kernel.tasklist_lock);
            tmp = c->processes; /* the table may have changed: begin again */
        }
    }
    pthread_mutex_unlock(&kernel.tasklist_lock);
    tasks_bury();
}

static bool is_tty_signal(int signo)
{
    return signo == SIGINT || signo == SIGQUIT || signo == SIGTSTP || signo == SIGWINCH || signo == SIGHUP;
}

static void on_signal(struct container *c, const struct porter_msg *m)
{
    if (m->b == SI_KERNEL && is_tty_signal(m->a)) {
        LOCKED(&kernel.tasklist_lock);
        if (tty_console_signal(c, m->a))
            return;
    }
    deliver_external_signal(c, m->a, m->b, m->c, m->d);
}

static void on_porter(struct container *c)
{
    struct porter_msg m;

    if (msg_recv(c->porter_fd, &m, sizeof(m), NULL) < 0)
        _exit(0); /* the container's pid namespace is gone, and every guest with it */
    if (m.type == PORTER_SIGNAL)
        on_signal(c, &m);
    else if (m.type == PORTER_DEATH)
        bury_the_dead(c, m.a);
    tasks_bury();
}

/* False: the runtime is gone. */
static bool on_control(int fd)
{
    struct control_msg m;

    if (msg_recv(fd, &m, sizeof(m), NULL) < 0)
        return false;
    if (m.type != CONTROL_START)
        return true;
    pthread_mutex_lock(&kernel.tasklist_lock);
    kernel.started = true;
    pthread_cond_broadcast(&kernel.started_cond);
    pthread_mutex_unlock(&kernel.tasklist_lock);
    m = (struct control_msg){.type = CONTROL_STARTED};
    (void)msg_send(fd, &m, sizeof(m), -1);
    return true;
}

_Noreturn void control_loop(struct container *c, int control_fd)
{
    struct pollfd fds[2] = {{.fd = c->porter_fd, .events = POLLIN}, {.fd = control_fd, .events = POLLIN}};

    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (fds[0].revents)
            on_porter(c);
        if (fds[1].revents && !on_control(control_fd))
            fds[1].fd = -1;
    }
}
