/* A program for the inside of a container: accepts one connection on descriptor 3 as sd_listen_fds(3) says
 * and answers it; or, as "notify", says READY=1 to NOTIFY_SOCKET in several ways. Static, with nothing of the
 * project in it. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return 1;
}

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v ? v : "";
}

static int serve(void)
{
    char line[64] = "", text[256];
    int accepts = 0;
    socklen_t len = sizeof(accepts);

    if (getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) < 0 || !accepts)
        return fail("descriptor 3 does not listen");
    int c = accept(3, NULL, NULL);
    if (c < 0)
        return fail("accept");
    ssize_t n = read(c, line, sizeof(line) - 1);
    if (n <= 0)
        return fail("read");
    line[strcspn(line, "\n")] = '\0';
    int out = snprintf(text, sizeof(text), "%s LISTEN_FDS=%s LISTEN_PID=%s LISTEN_FDNAMES=%s\n", line,
                       env("LISTEN_FDS"), env("LISTEN_PID"), env("LISTEN_FDNAMES"));
    if (write(c, text, (size_t)out) != out)
        return fail("write");
    /* It is the caller's: no other name can be reached by it. */
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/x"};
    if (connect(c, (struct sockaddr *)&a, sizeof(a)) == 0)
        return fail("connect succeeded");
    return 0;
}

static int notify_once(const struct sockaddr_un *a, socklen_t len, const char *text, int connected)
{
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t n;

    if (s < 0)
        return -1;
    if (connected)
        n = connect(s, (const struct sockaddr *)a, len) < 0 ? -1 : send(s, text, strlen(text), MSG_NOSIGNAL);
    else
        n = sendto(s, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)a, len);
    close(s);
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int notify(void)
{
    static const char *const texts[] = {"STATUS=starting\n",
                                        "READY=10",
                                        "XREADY=1\nNOTREADY=1",
                                        "",
                                        "STATUS=up\nREADY=1\nMAINPID=1\n",
                                        "READY=1"};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = env("NOTIFY_SOCKET");
    size_t n = strlen(path);

    if (n < 2 || n >= sizeof(a.sun_path))
        return fail("NOTIFY_SOCKET");
    memcpy(a.sun_path, path, n);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = '\0';
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (notify_once(&a, len, texts[i], (int)(i & 1)) < 0)
            return fail(texts[i]);
    return 0;
}

int main(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "notify") == 0 ? notify() : serve();
}
