#ifndef BAILEY_RUNTIME_SIGNAME_H
#define BAILEY_RUNTIME_SIGNAME_H

/* "15", "TERM", "sigterm", "RTMIN+2", "RTMAX-1" ... to its number (0 to 64), or -1. */
int signame_parse(const char *name);

#endif
