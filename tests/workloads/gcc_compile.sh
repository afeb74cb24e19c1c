# A compiler and what it makes: static, dynamic, threads, a shared library, make.
set -e
cd /tmp
cat >main.c <<'EOF'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int triple(int);
static __thread int mine;
static void *work(void *arg)
{
    for (int i = 0; i < 1000; i++)
        mine += triple((int)(long)arg);
    return (void *)(long)mine;
}
int main(int argc, char **argv)
{
    pthread_t t[8];
    long sum = 0;
    for (long i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, work, (void *)i);
    for (int i = 0; i < 8; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    printf("%s: %d arguments, sum %ld\n", strrchr(argv[0], '/') + 1, argc, sum);
    char *big = malloc(64 << 20);
    memset(big, 1, 64 << 20);
    return big[12345] + argc;
}
EOF
echo 'int triple(int x) { return 3 * x; }' >lib.c
gcc -Wall -O2 -c main.c
gcc -Wall -O2 -shared -fPIC lib.c -o libtriple.so
gcc main.o -L. -ltriple -Wl,-rpath,/tmp -pthread -o dynamic
gcc -O2 -static main.c lib.c -pthread -o static
gcc -no-pie -O0 -g main.c lib.c -pthread -o fixed
for p in dynamic static fixed; do ./$p a b || echo "status $?"; done
ldd ./dynamic | sed 's/ (0x.*//' | sort
nm static | grep -c ' T '
printf 'all: x y z\n%%: %%.c\n\tgcc -O1 $< -o $@\n' >Makefile
for n in x y z; do echo "int main(void){return '$n';}" >$n.c; done
make -s -j4
for n in x y z; do ./$n || echo "$n $?"; done
echo 'int main(void) { return missing; }' >bad.c
gcc bad.c 2>&1 || echo "status $?"
echo 'int main(void) { *(volatile int *)0 = 0; }' >crash.c
gcc crash.c -o crash 2>/dev/null
(./crash) 2>/dev/null || echo "status $?"
gcc -O2 -S -o - lib.c | grep -c ret
echo '#include <stdio.h>
int main(void){__builtin_cpu_init();puts(__builtin_cpu_supports("sse4.2")?"sse4.2":"none");}' >cpu.c && gcc cpu.c -o cpu && ./cpu
