/* A porter in front of the porter: where a container is not to have a pid namespace of its own, but one that
 * is there already, its guests get one below it all the same. With the first process of that they end, all of
 * them, whatever becomes of the keep; and they stay unable to signal anybody else. */
#ifndef BAILEY_PLATFORM_RELAY_H
#define BAILEY_PLATFORM_RELAY_H

struct porter;

/* Lives in place of porter_main, which the child that it makes becomes: tells the keep of signals to this
 * process, ends with the child's status, and takes the child with it when it is killed. Never returns. */
_Noreturn void relay_main(const struct porter *p);

#endif
