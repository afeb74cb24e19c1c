#include "sandbox/keep/device/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define STORE 256

struct store {
    size_t left;
    unsigned char bytes[STORE];
};

static _Thread_local struct store store;

static void fill(struct store *s)
{
    size_t n = 0;

    while (n < STORE) {
        ssize_t r = getrandom(s->bytes + n, STORE - n, 0);
        if (r < 0 && errno != EINTR)
            abort();
        n += r > 0 ? (size_t)r : 0;
    }
    s->left = STORE;
}

void random_bytes(void *buf, size_t n)
{
    if (store.left < n)
        fill(&store);
    store.left -= n;
    memcpy(buf, store.bytes + store.left, n);
    memset(store.bytes + store.left, 0, n); /* given once */
}
