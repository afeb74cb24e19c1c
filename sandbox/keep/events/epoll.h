/* epoll(7): a host epoll in the keep per guest epoll; what file.c has to know of it. */
#ifndef BAILEY_KEEP_EPOLL_H
#define BAILEY_KEEP_EPOLL_H

struct file;

/* f is going away: takes it out of every epoll that watches it. No lock held. */
void epoll_forget_file(struct file *f);
/* Sets f->laned: from now on f is registered by the host's call alone. 0, or -EBUSY where the keep has
 * registered it already. No lock held but f->pos_lock. */
int epoll_yield(struct file *f);

#endif
