/* What the keep and the porter themselves may ask of the host: their own filters, default kill. */
#ifndef BAILEY_PLATFORM_KEEP_FILTER_H
#define BAILEY_PLATFORM_KEEP_FILTER_H

/* Confines the keep (every thread, those to come too). Before the first guest runs. 0 or -errno. */
int keep_confine(void);

/* Empties the bounding set of capabilities, which takes CAP_SETPCAP if there is something in it. 0 or -errno.
 */
int porter_drop_bounding(void);

/* Leaves the porter without rights and with its few calls. Ends the process where that fails. */
void porter_confine(void);

#endif
