/* Running the program that speaks to systemd. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "runtime/systemd/systemd.h"

extern const char systemd_image[], systemd_image_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static int memory_with(const char *name, unsigned flags, const char *data, size_t len)
{
    int fd = memfd_create(name, MFD_CLOEXEC | flags);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC);
    if (fd >= 0 && (write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)) {
        cleanup_close_p(&fd);
        fd = -1;
    }
    return fd;
}

static _Noreturn void helper(int image, int request, int answer)
{
    static char name[] = "bailey-systemd";
    char *argv[] = {name, NULL};
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(request, STDIN_FILENO) >= 0 && dup2(answer, STDOUT_FILENO) >= 0)
        (void)fexecve(image, argv, environ);
    _exit(126);
}

static char *read_all(int fd)
{
    char *text = calloc(1, 8192);
    size_t len = 0;
    ssize_t n;

    while (text && len < 8191 && ((n = read(fd, text + len, 8191 - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    if (text)
        text[strcspn(text, "\n")] = 0;
    return text;
}

static int verdict(int status, const char *answer, struct err *e)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) /* the dynamic linker's */
        return err_set(e, ERR_UNSUPPORTED, 0,
                       "the systemd cgroup manager needs libsystemd (Debian: libsystemd0), or "
                       "--cgroup-manager cgroupfs");
    return err_set(e, ERR_SYS, 0, "systemd: %.300s",
                   answer && *answer ? answer : "the program that speaks to it failed");
}

int systemd_call(const char *request, size_t len, char **ret_answer, struct err *e)
{
    _cleanup_close_ int image =
        memory_with("bailey-systemd", MFD_EXEC, systemd_image,
                    (size_t)((uintptr_t)systemd_image_end - (uintptr_t)systemd_image));
    _cleanup_close_ int in = memory_with("request", 0, request, len);
    int out[2], status = 0;

    if (image < 0 || in < 0 || pipe2(out, O_CLOEXEC))
        return err_set(e, ERR_SYS, errno, "cannot speak to systemd");
    pid_t pid = fork();
    if (pid == 0)
        helper(image, in, out[1]);
    (void)close(out[1]);
    _cleanup_close_ int answers = out[0];
    if (pid < 0)
        return err_set(e, ERR_SYS, errno, "fork");
    _cleanup_free_ char *answer = read_all(answers);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (verdict(status, answer, e))
        return -1;
    if (ret_answer)
        *ret_answer = steal_ptr(&answer);
    return 0;
}
