# A thousand forks, of builtins and of programs, one after another and many at once.
n=0
for i in $(seq 1 1000); do
    (exit $((i % 256)))
    n=$((n + $?))
done
echo "subshells $n"
for i in $(seq 1 300); do
    /bin/true || echo failed
done
echo programs
for i in $(seq 1 200); do
    (exit $((i % 7))) &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
    wait "$pid" || failed=$((failed + $?))
done
echo "at once $failed"
recurse() {
    [ "$1" -eq 0 ] && echo bottom && exit 1
    (recurse $(($1 - 1)))
    exit $(($? + 1))
}
(recurse 30)
echo "depth $?"
