# gdb: breakpoints, steps, threads, patched text, a fault, and a program that runs already.
#: normalise s/0x[0-9a-f]+/P/g; s/(LWP|process) [0-9]+/\1 N/g; s/[0-9]+ of [0-9]+ bytes//
set -e
cd /tmp
cat >t.c <<'EOF'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static int go, *nothing;

static int add(int a, int b)
{
    return a + b;
}

static void *waits(void *arg)
{
    while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
        usleep(1000);
    return arg;
}

int main(void)
{
    pthread_t t;
    int sum = 0;

    pthread_create(&t, NULL, waits, NULL);
    for (int i = 0; i < 100; i++)
        getppid();
    for (int i = 0; i < 5; i++)
        sum = add(sum, i);
    __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
    pthread_join(t, NULL);
    printf("sum %d\n", sum);
    fflush(stdout);
    *nothing = sum;
    return 0;
}
EOF
gcc -g -O0 -pthread -o t t.c
{
    gdb -q -batch -ex 'set debuginfod enabled off' -ex 'break add' -ex run -ex 'info args' -ex 'x/4i getppid' -ex c -ex bt \
        -ex up -ex 'p sum' -ex 'info threads' -ex delete -ex 'finish' -ex next -ex next -ex stepi -ex stepi -ex 'catch syscall write' \
        -ex c -ex 'delete' -ex c -ex bt -ex 'p $_siginfo.si_signo' ./t
    ./t &
    wait $! || echo "status $?"
} 2>&1 | grep -vE '^$|debuginfod|libthread_db|^\[(New )?Thread|core dumped|Segmentation fault *\./t'
sleep 1000 &
gdb -q -batch -ex 'set debuginfod enabled off' -p $! -ex 'p 6*7' 2>/dev/null | grep '^\$1'
kill $!
