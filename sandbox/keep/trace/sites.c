/* What a debugger inside reads of a patched call site (sandbox/gate/patch.c): what stood there before. The
 * gate tells the keep nothing; where sites may be, the keep knows from having asked for them, and what they
 * were stands in their islands. A guest that writes other things there fools those who may read its memory,
 * which it can do anyhow. */
#include <string.h>

#include "sandbox/keep/lanes/fast.h"
#include "sandbox/keep/mm/uaccess.h"
#include "sandbox/keep/task/task.h"
#include "sandbox/keep/trace/trace.h"

#define SITES_MAX 4096U
#define SITE_SIZE 8   /* of what is changed at one, at most */
#define SITE_REACH 16 /* from its beginning to behind its system call, at most */
#define ISLAND 64

void sites_note(struct mm *mm, uaddr_t ip)
{
    LOCKED(&kernel.tasklist_lock);
    for (unsigned i = 0; i < mm->npatched; i++)
        if (mm->patched[i] == ip)
            return;
    if (mm->npatched == SITES_MAX)
        return;
    uaddr_t *more = realloc(mm->patched, (mm->npatched + 1) * sizeof(*more));
    if (!more)
        return;
    mm->patched = more;
    mm->patched[mm->npatched++] = ip;
}

void sites_copy(struct mm *to, const struct mm *from)
{
    size_t size = from->npatched * sizeof(*from->patched);
    to->patched = size ? malloc(size) : NULL;
    to->npatched = to->patched ? from->npatched : 0;
    if (to->npatched)
        memcpy(to->patched, from->patched, size);
}

/* The island that the jump at text + off leads to, if it is this site's. */
static bool read_island(struct task *who, uaddr_t site, const unsigned char *text, unsigned off,
                        unsigned char island[ISLAND])
{
    int32_t rel;
    uint64_t of;
    if (text[off] != 0xe9)
        return false;
    memcpy(&rel, text + off + 1, sizeof(rel));
    if (copy_from_user(who, island, site + off + 5 + (uaddr_t)(int64_t)rel, ISLAND) < 0)
        return false;
    memcpy(&of, island + ISLAND - sizeof(of), sizeof(of));
    return of == site;
}

/* Whether the site of a mov that begins this far before ip is patched. */
static bool original_mov(struct task *who, uaddr_t site, unsigned char text[SITE_SIZE])
{
    unsigned char island[ISLAND];
    if (copy_from_user(who, text, site, SITE_SIZE) < 0 || !read_island(who, site, text, 0, island))
        return false;
    memcpy(text, island, 5); /* mov $nr,%eax */
    return true;
}

/* What stood at the site behind whose system call instruction is ip. Its length; 0: it is not patched. */
static unsigned original(struct task *who, uaddr_t ip, uaddr_t *site, unsigned char text[SITE_SIZE])
{
    unsigned char island[ISLAND];
    *site = ip - 7;
    if (original_mov(who, *site, text))
        return 5;
    *site = ip - 14; /* with a lea in between */
    if (original_mov(who, *site, text))
        return 5;
    *site = ip - 2;
    if (copy_from_user(who, text, *site, SITE_SIZE) < 0 || !read_island(who, *site, text, 2, island))
        return 0;
    memcpy(text, "\x0f\x05", 2);
    memcpy(text + 2, island + 4, 6); /* cmp $imm32,%rax */
    return SITE_SIZE;
}

static void overlay(uaddr_t at, char *buf, size_t n, uaddr_t site, const unsigned char *text, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        if (site + i - at < n)
            buf[site + i - at] = (char)text[i];
}

static uaddr_t site_near(const struct mm *mm, unsigned *i, uaddr_t at, size_t n)
{
    LOCKED(&kernel.tasklist_lock);
    for (; *i < mm->npatched; ++*i)
        if (mm->patched[*i] + SITE_REACH > at && mm->patched[*i] < at + n + SITE_REACH)
            return mm->patched[(*i)++];
    return 0;
}

static struct mm *mm_of(struct task *who)
{
    LOCKED(&kernel.tasklist_lock);
    return who->process->mm && who->process->mm->npatched ? mm_get(who->process->mm) : NULL;
}

void sites_show_original(struct task *who, uaddr_t at, char *buf, size_t n)
{
    struct mm *mm = mm_of(who);
    unsigned char text[SITE_SIZE];
    unsigned i = 0;
    uaddr_t ip, site;
    if (!mm)
        return;
    while ((ip = site_near(mm, &i, at, n))) {
        unsigned len = original(who, ip, &site, text);
        if (len)
            overlay(at, buf, n, site, text, len);
    }
    mm_put(mm);
}

struct putting_back {
    struct task *who;
    uaddr_t ip;
};

static void put_back(void *arg)
{
    const struct putting_back *b = arg;
    unsigned char text[SITE_SIZE];
    uaddr_t site;
    unsigned len = original(b->who, b->ip, &site, text);
    if (len)
        poke_site(b->who, site, text, len);
}

int poke_sites_back(struct task *who, uaddr_t at, size_t n)
{
    struct mm *mm = mm_of(who);
    unsigned char text[SITE_SIZE];
    unsigned i = 0;
    uaddr_t ip, site;
    int err = 0;
    if (!mm)
        return 0;
    while (!err && (ip = site_near(mm, &i, at, n))) {
        unsigned len = original(who, ip, &site, text);
        uaddr_t end = site + len > ip ? site + len : ip; /* what is behind the jump is not met */
        if (!len || site >= at + n || end <= at)
            continue;
        LOCKED(&kernel.tasklist_lock);
        err = hold_while(mm, site, put_back, &(struct putting_back){who, ip});
    }
    mm_put(mm);
    return err;
}
