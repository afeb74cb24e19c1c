/* Sockets that only sockets on their way hold: descriptors of unix sockets can travel through each other
 * until nobody is left who could ever receive them. Linux finds those, too.
 *
 * A parcel lies in the queue of the socket that it was sent to. A socket whose file has no other references
 * than those of parcels can be reached by receiving one of these only, and that takes unix_state.lock: so
 * what is found under the lock stays true under it. All that is reached from the other sockets is marked; the
 * parcels that are left are let go. */

#include "sandbox/keep/net/unix.h"

/* With fewer parcels under way than this it costs next to nothing. */
#define FEW_PARCELS 64

/* A socket that is in some parcel. */
struct flight {
    const struct unix_sock *sock; /* the key */
    struct file *file;
    int parcels_with_it;
    bool live;
    struct unix_parcel *queue; /* sent to it */
    struct flight *next;       /* yet to be looked through */
    UT_hash_handle hh;
};

struct collection {
    struct flight *flights; /* by sock */
    struct flight *todo;
};

static const struct unix_sock *unix_sock_of(struct file *f)
{
    const struct sock *s = sock_of(f);

    return s && s->family == AF_UNIX ? unix_of(f) : NULL;
}

static struct flight *find(const struct collection *c, const struct unix_sock *u)
{
    struct flight *fl = NULL;

    if (u)
        HASH_FIND_PTR(c->flights, &u, fl);
    return fl;
}

static bool note_file(struct collection *c, struct file *f)
{
    const struct unix_sock *u = unix_sock_of(f);
    struct flight *fl = find(c, u);

    if (u && !fl) {
        fl = calloc(1, sizeof(*fl));
        if (!fl)
            return false;
        fl->sock = u;
        fl->file = f;
        HASH_ADD_PTR(c->flights, sock, fl);
    }
    if (fl)
        fl->parcels_with_it++;
    return true;
}

static void mark(struct collection *c, struct flight *fl)
{
    if (fl && !fl->live) {
        fl->live = true;
        fl->next = c->todo;
        c->todo = fl;
    }
}

static void mark_contents(struct collection *c, const struct unix_parcel *p)
{
    for (unsigned i = 0; i < p->nfiles; i++)
        mark(c, find(c, unix_sock_of(p->files[i])));
}

/* What somebody looks into, or what was sent to a socket that is in no parcel, can be had. */
static void mark_roots(struct collection *c, struct unix_parcel *parcels)
{
    struct unix_parcel *p, *tmp;
    struct flight *fl, *next;

    HASH_ITER(hh, parcels, p, tmp)
    {
        fl = find(c, p->to);
        if (!fl || p->refs > 1) {
            mark_contents(c, p);
            continue;
        }
        p->next = fl->queue;
        fl->queue = p;
    }
    HASH_ITER(hh, c->flights, fl, next)
    if (atomic_load(&fl->file->refs) > fl->parcels_with_it)
        mark(c, fl);
}

static void mark_reached(struct collection *c)
{
    while (c->todo) {
        struct flight *fl = c->todo;
        c->todo = fl->next;
        for (const struct unix_parcel *p = fl->queue; p; p = p->next)
            mark_contents(c, p);
    }
}

/* Ends the collection; with take, what was not marked goes to the trash. */
static void finish(struct collection *c, bool take)
{
    struct flight *fl, *next;

    HASH_ITER(hh, c->flights, fl, next)
    {
        while (take && !fl->live && fl->queue) {
            struct unix_parcel *p = fl->queue;
            fl->queue = p->next;
            unix_inflight_end(p);
            unix_parcel_trash(p);
        }
        // NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        HASH_DEL(c->flights, fl);
        free(fl);
    }
}

static void collect(struct unix_state *us)
{
    struct collection c = {0};
    struct unix_parcel *p, *tmp;
    bool whole = true;

    HASH_ITER(hh, us->parcels, p, tmp)
    for (unsigned i = 0; i < p->nfiles && whole; i++)
        whole = note_file(&c, p->files[i]);
    if (whole) {
        mark_roots(&c, us->parcels);
        mark_reached(&c);
    }
    finish(&c, whole);
}

void unix_collect(bool after_send)
{
    struct unix_state *us = kernel.unix_state;
    LOCKED(&us->lock);
    unsigned n = HASH_COUNT(us->parcels);

    /* With many it is done once there are twice as many as the last time left, or as many sockets have ended
     * since. */
    us->ends += !after_send;
    bool due = n >= us->next_collection || (!after_send && (n < FEW_PARCELS || us->ends >= n));
    if (n == 0 || us->emptying || !due)
        return;
    us->ends = 0;
    collect(us);
    n = HASH_COUNT(us->parcels);
    us->next_collection = n < FEW_PARCELS ? FEW_PARCELS : 2 * n;
    unix_trash_empty();
}
