/* Speaks to systemd for bailey, which is linked statically and so cannot load libsystemd itself: bailey
 * carries this program with it, and runs it from memory where systemd is to manage a container's cgroup.
 *
 * One request on stdin, made of strings with a NUL at the end of each:
 *
 *     start UNIT PROPERTY...   StartTransientUnit, and waits for the job; answers the unit's ControlGroup
 *     set UNIT PROPERTY...     SetUnitProperties, until the unit ends
 *     stop UNIT                StopUnit, waits for the job, ResetFailedUnit; a unit that is not there is
 * stopped
 *
 * PROPERTY is "[VERSION:]NAME" (left out where systemd is older than VERSION), its D-Bus signature, and the
 * values: an array is a count and its elements. Exit status 0 with the answer on stdout, or 1 with one line
 * on stdout that says why. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20, JOB_SECONDS = 60 };

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define MANAGER_PATH "/org/freedesktop/systemd1"

struct request {
    char *at, *end; /* what was not taken yet */
};

static _Noreturn void fail(const char *what, int r, const sd_bus_error *e)
{
    const char *why = e && e->message ? e->message : strerror(r < 0 ? -r : r);

    printf("%s: %s\n", what, why);
    exit(1);
}

static _Noreturn void bad_request(void)
{
    fail("request to systemd", EBADMSG, NULL);
}

static const char *next(struct request *q)
{
    const char *s = q->at;
    char *end = q->at < q->end ? memchr(q->at, 0, (size_t)(q->end - q->at)) : NULL;

    if (!end)
        bad_request();
    q->at = end + 1;
    return s;
}

static void check(int r, const char *what)
{
    if (r < 0)
        fail(what, r, NULL);
}

/* The bus --------------------------------------------------------------------------------------------------
 */

/* systemd's own socket, which is there without a bus. */
static int open_private(sd_bus **bus, const char *address)
{
    int r = sd_bus_new(bus);

    if (r >= 0)
        r = sd_bus_set_address(*bus, address);
    if (r >= 0)
        r = sd_bus_start(*bus);
    return r;
}

static sd_bus *open_bus(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char address[256] = "unix:path=/run/systemd/private";
    bool user = geteuid() != 0;
    sd_bus *bus = NULL;

    if (user && runtime)
        snprintf(address, sizeof(address), "unix:path=%.200s/systemd/private", runtime);
    int r = user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
    if (r < 0 && open_private(&bus, address) < 0)
        fail("cannot reach systemd", r, NULL);
    return bus;
}

/* "252.38-1~deb12u1": 252. 0: not known. */
static unsigned version_of(sd_bus *bus)
{
    char *text = NULL;
    unsigned v = 0;

    if (sd_bus_get_property_string(bus, DESTINATION, MANAGER_PATH, MANAGER, "Version", NULL, &text) >= 0)
        v = (unsigned)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
    free(text);
    return v;
}

/* Properties -----------------------------------------------------------------------------------------------
 */

static int append_basic(sd_bus_message *m, char type, const char *s)
{
    switch (type) {
    case 's':
    case 'o':
    case 'g':
        return sd_bus_message_append_basic(m, type, s);
    case 'b':
        return sd_bus_message_append(m, "b", strcmp(s, "true") == 0);
    case 'y':
        return sd_bus_message_append(m, "y", (int)strtoul(s, NULL, 10));
    case 'n':
        return sd_bus_message_append(m, "n", (int)strtol(s, NULL, 10));
    case 'q':
        return sd_bus_message_append(m, "q", (int)strtoul(s, NULL, 10));
    case 'i':
        return sd_bus_message_append(m, "i", (int32_t)strtol(s, NULL, 10));
    case 'u':
        return sd_bus_message_append(m, "u", (uint32_t)strtoul(s, NULL, 10));
    case 'x':
        return sd_bus_message_append(m, "x", (int64_t)strtoll(s, NULL, 10));
    case 't':
        return sd_bus_message_append(m, "t", (uint64_t)strtoull(s, NULL, 10));
    case 'd':
        return sd_bus_message_append(m, "d", strtod(s, NULL));
    default:
        return -EBADMSG;
    }
}

static int append_struct(sd_bus_message *m, const char *members, struct request *q)
{
    int r = sd_bus_message_open_container(m, 'r', members);

    for (; r >= 0 && *members; members++)
        r = append_basic(m, *members, next(q));
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A basic type, an array of one, or an array of structs of such. m NULL: just goes past it. */
static int append_value(sd_bus_message *m, const char *signature, struct request *q)
{
    char members[16] = "";

    if (signature[0] != 'a')
        return m ? append_basic(m, signature[0], next(q)) : (next(q), 0);
    if (signature[1] == '(')
        snprintf(members, sizeof(members), "%.*s", (int)strcspn(signature + 2, ")"), signature + 2);
    unsigned long n = strtoul(next(q), NULL, 10), per = *members ? strlen(members) : 1;
    if (n > 65536)
        bad_request();
    int r = m ? sd_bus_message_open_container(m, 'a', signature + 1) : 0;
    for (unsigned long i = 0; r >= 0 && i < n; i++) {
        if (m)
            r = *members ? append_struct(m, members, q) : append_basic(m, signature[1], next(q));
        for (unsigned long k = 0; !m && k < per; k++)
            (void)next(q);
    }
    return r < 0 || !m ? r : sd_bus_message_close_container(m);
}

static int append_property(sd_bus_message *m, const char *name, const char *signature, struct request *q)
{
    int r = sd_bus_message_open_container(m, 'r', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", name);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', signature);
    if (r >= 0)
        r = append_value(m, signature, q);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static void append_properties(sd_bus_message *m, struct request q, unsigned version)
{
    check(sd_bus_message_open_container(m, 'a', "(sv)"), "properties");
    while (q.at < q.end) {
        const char *name = next(&q), *signature = next(&q), *colon = strchr(name, ':');
        if (colon && version && version < strtoul(name, NULL, 10))
            (void)append_value(NULL, signature, &q);
        else
            check(append_property(m, colon ? colon + 1 : name, signature, &q), name);
    }
    check(sd_bus_message_close_container(m), "properties");
}

/* Jobs -----------------------------------------------------------------------------------------------------
 */

struct job {
    const char *path;                       /* NULL: not known yet */
    char removed[16][256], results[16][32]; /* what was heard of meanwhile */
    unsigned n;
};

static int on_job_removed(sd_bus_message *m, void *arg, sd_bus_error *e)
{
    struct job *j = arg;
    const char *path, *unit, *result;
    uint32_t id;

    (void)e;
    if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
        return 0;
    unsigned i = j->n++ % 16;
    snprintf(j->removed[i], sizeof(j->removed[i]), "%s", path);
    snprintf(j->results[i], sizeof(j->results[i]), "%s", result);
    return 0;
}

static const char *result_of(const struct job *j)
{
    for (unsigned i = 0; i < 16; i++)
        if (strcmp(j->removed[i], j->path) == 0)
            return j->results[i];
    return NULL;
}

/* The signal can come before the answer that names the job. */
static const char *wait_for(sd_bus *bus, struct job *j)
{
    time_t end = time(NULL) + JOB_SECONDS;
    const char *result;

    while (!(result = result_of(j))) {
        int r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, 1000000);
        check(r, "waiting for systemd");
        if (time(NULL) > end)
            fail("waiting for systemd's job", ETIMEDOUT, NULL);
    }
    return result;
}

static void hear_of_jobs(sd_bus *bus, struct job *j)
{
    check(sd_bus_match_signal(bus, NULL, NULL, MANAGER_PATH, MANAGER, "JobRemoved", on_job_removed, j),
          "JobRemoved");
    (void)sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER, "Subscribe", NULL, NULL, NULL);
}

/* Requests -------------------------------------------------------------------------------------------------
 */

static sd_bus_message *new_call(sd_bus *bus, const char *method)
{
    sd_bus_message *m = NULL;

    check(sd_bus_message_new_method_call(bus, &m, DESTINATION, MANAGER_PATH, MANAGER, method), method);
    return m;
}

static int call_start(sd_bus *bus, const char *unit, struct request q, sd_bus_error *e,
                      sd_bus_message **reply)
{
    sd_bus_message *m = new_call(bus, "StartTransientUnit");

    check(sd_bus_message_append(m, "ss", unit, "replace"), "StartTransientUnit");
    append_properties(m, q, version_of(bus));
    check(sd_bus_message_append(m, "a(sa(sv))", 0), "StartTransientUnit");
    return sd_bus_call(bus, m, 0, e, reply);
}

static void reset_failed(sd_bus *bus, const char *unit)
{
    (void)sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER, "ResetFailedUnit", NULL, NULL, "s",
                             unit);
}

static void print_cgroup(sd_bus *bus, const char *unit)
{
    size_t len = strlen(unit);
    bool slice = len > 6 && strcmp(unit + len - 6, ".slice") == 0;
    sd_bus_error e = SD_BUS_ERROR_NULL;
    char *path = NULL, *cgroup = NULL;

    check(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path), unit);
    int r = sd_bus_get_property_string(
        bus, DESTINATION, path, slice ? "org.freedesktop.systemd1.Slice" : "org.freedesktop.systemd1.Scope",
        "ControlGroup", &e, &cgroup);
    if (r < 0)
        fail("ControlGroup", r, &e);
    printf("%s\n", cgroup);
    free(path);
    free(cgroup);
}

static void start(sd_bus *bus, const char *unit, struct request q)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    struct job j = {.n = 0};

    hear_of_jobs(bus, &j);
    int r = call_start(bus, unit, q, &e, &reply);
    if (r < 0 && sd_bus_error_has_name(&e, "org.freedesktop.systemd1.UnitExists")) {
        /* One of that name that failed is remembered until somebody says otherwise. */
        sd_bus_error_free(&e);
        reset_failed(bus, unit);
        r = call_start(bus, unit, q, &e, &reply);
    }
    if (r < 0)
        fail(unit, r, &e);
    check(sd_bus_message_read(reply, "o", &j.path), "StartTransientUnit");
    const char *result = wait_for(bus, &j);
    if (strcmp(result, "done") != 0) {
        reset_failed(bus, unit);
        printf("%s: systemd's job ended with \"%s\"\n", unit, result);
        exit(1);
    }
    print_cgroup(bus, unit);
}

static void set(sd_bus *bus, const char *unit, struct request q)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    sd_bus_message *m = new_call(bus, "SetUnitProperties");

    check(sd_bus_message_append(m, "sb", unit, 1), "SetUnitProperties");
    append_properties(m, q, version_of(bus));
    int r = sd_bus_call(bus, m, 0, &e, NULL);
    if (r < 0)
        fail(unit, r, &e);
}

static void stop(sd_bus *bus, const char *unit)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    struct job j = {.n = 0};

    hear_of_jobs(bus, &j);
    int r = sd_bus_call_method(bus, DESTINATION, MANAGER_PATH, MANAGER, "StopUnit", &e, &reply, "ss", unit,
                               "replace");
    if (r < 0 && !sd_bus_error_has_name(&e, "org.freedesktop.systemd1.NoSuchUnit"))
        fail(unit, r, &e);
    if (r >= 0) {
        check(sd_bus_message_read(reply, "o", &j.path), "StopUnit");
        (void)wait_for(bus, &j);
    }
    reset_failed(bus, unit);
}

int main(void)
{
    static char text[REQUEST_MAX];
    struct request q = {.at = text};
    size_t len = 0;
    ssize_t n;

    while (len < sizeof(text) && (n = read(STDIN_FILENO, text + len, sizeof(text) - len)) > 0)
        len += (size_t)n;
    if (len == sizeof(text))
        bad_request();
    q.end = text + len;
    const char *verb = next(&q), *unit = next(&q);
    sd_bus *bus = open_bus();
    if (strcmp(verb, "start") == 0)
        start(bus, unit, q);
    else if (strcmp(verb, "set") == 0)
        set(bus, unit, q);
    else if (strcmp(verb, "stop") == 0)
        stop(bus, unit);
    else
        bad_request();
    return fflush(stdout) ? 1 : 0;
}
