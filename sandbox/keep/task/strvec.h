/* Packed argument and environment lists: the strings one behind the other, as they lie on a new stack. */
#ifndef BAILEY_KEEP_STRVEC_H
#define BAILEY_KEEP_STRVEC_H

#include "sandbox/keep/kernel.h"

struct strvec {
    char *data; /* n strings, each with its NUL */
    size_t len, cap;
    unsigned n;
};

/* 0, -ENOMEM, or -E2BIG beyond what execve(2) takes. */
int strvec_add(struct strvec *v, const char *s, size_t len);
int strvec_add_all(struct strvec *v, char *const *strings);
/* The same from guest memory: a NULL-terminated array of pointers (NULL itself: an empty list), and how it
 * begins, where that was read along with something else: its first strvec_ahead(array) bytes. NULL: it was
 * not. -EFAULT too. */
#define STRVEC_POINTERS 64
size_t strvec_ahead(uaddr_t array);
int strvec_from_user_ahead(struct strvec *v, struct task *t, uaddr_t array,
                           const uint64_t first[STRVEC_POINTERS]);
/* Puts the strings before all others, in place of the first `drop` ones. */
int strvec_replace_head(struct strvec *v, unsigned drop, const char *const *head, unsigned nhead);
void strvec_free(struct strvec *v);

#endif
