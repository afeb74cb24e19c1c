/* Being asked to end (TERM, INT, HUP, QUIT) while something is waited for that may take as long as it likes.
 */
#ifndef BAILEY_RUNTIME_INTERRUPT_H
#define BAILEY_RUNTIME_INTERRUPT_H

/* From here on those signals end nothing by themselves. (attend_hold_signals holds them, too.) */
void interrupt_hold(void);

/* A descriptor that is readable once this process got one of them while they are held. The caller closes it.
 * -1 with errno. */
int interrupt_open(void);

/* Which one it was; it is taken back, and does not count again. SIGTERM where none can be read. */
int interrupt_take(int fd);

#endif
