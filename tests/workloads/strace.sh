# strace: a tree of programs by its calls, a count of them, and one that runs already.
#: normalise s/pid=[0-9]+/pid=N/
cd /tmp
plain() { # of addresses and numbers, which are each run's own
    sed -E 's/^[0-9]+ +//; s/0x[0-9a-f]+/P/g; s/[0-9]{2,}/N/g' "$1"
}
strace -f -o tree -e trace=execve,exit_group sh -c '/bin/true; (exit 3)'
echo "status $?"
plain tree | grep -E '^(execve|exit_group|\+\+\+)' | sort
strace -f -o writes -e trace=write sh -c 'echo one; echo two >/dev/null; exec echo three' | cat
plain writes | grep write
strace -c -f ls /etc 2>count >/dev/null
grep -cE ' (openat|total)$' count
strace -e inject=getppid:retval=4242 -e trace=getppid -o /dev/null python3 -c 'import os; print(os.getppid())'
sleep 1000 &
strace -p $! -o attached 2>said &
until grep -q attached said; do sleep 0.01; done
kill %1
wait %2
tail -n 2 attached
