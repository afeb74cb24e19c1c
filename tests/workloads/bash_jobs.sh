# Job control without a terminal: background jobs, wait in its forms, stop and continue, signals to groups.
cd /tmp || exit 1
# until_state PID LETTER, in one program that the shell waits for.
cat >until_state <<'EOF'
for _ in $(seq 3000); do
    read -r _ _ state _ <"/proc/$1/stat" && [ "$state" = "$2" ] && exit
    sleep 0.02
done
EOF

echo "== wait"
(exit 3) & a=$!
(exit 4) & b=$!
wait $a; echo $?
wait $b; echo $?
wait $b; echo "again $?"
wait 99999; echo "none of ours $?"
# Each ends while the shell waits: what has ended before, wait -n need not find any more.
for i in 5 6 7; do (until [ -e end$i ]; do sleep 0.02; done; sh until_state $$ S; exit $i) & done
sum=0
for i in 5 6 7; do
    : >end$i
    wait -n; sum=$((sum + $?))
done
echo "sum $sum"
sleep 1000 & s=$!
kill $s
wait $s; echo "killed $?"

echo "== a trap interrupts wait"
# Until it has been seen to: the first signal may come before the shell waits.
trap '[ -e trapped ] || echo trapped; : >trapped' USR1
(until [ -e interrupted ]; do sleep 0.02; done; exit 9) & s=$!
(until [ -e interrupted ]; do kill -USR1 $$; sleep 0.1; done) & killer=$!
wait $s; echo "interrupted $?"
trap : USR1
: >interrupted
wait $killer; wait $killer; wait $killer
until wait $s; r=$?; [ $r -lt 128 ]; do :; done; echo "then $r"
trap - USR1

echo "== stop and continue"
set -m
mkfifo fifo
cat fifo & s=$!
sh until_state $s S
kill -STOP $s
sh until_state $s T
ps -o stat= -p $s | cut -c1
jobs | sed 's/ *$//'
kill -CONT $s
sh until_state $s S
jobs -r | sed 's/ *$//'
echo through >fifo
wait $s; echo "continued and done $?"
sleep 1 & s=$!
kill -STOP $s
kill -CONT $s
wait -f $s; echo "slept on $?" # -f: not until it is seen to be stopped

echo "== groups"
(sleep 1000 | sleep 1000 | sleep 1000) & s=$!
test "$(ps -o pgid= -p $s | tr -d ' ')" = $s && echo "a group of its own"
kill -TERM -- -$s
wait $s; echo "the group was killed $?"
set +m
sleep 1000 & s=$!
test "$(ps -o pgid= -p $s | tr -d ' ')" = $s || echo "no group of its own"
kill -KILL $s
wait $s 2>/dev/null; echo $?

echo "== fg and bg"
set -m
# The stop comes while the shell sleeps: in the middle of a command substitution it makes bash lose its place in the script,
# natively too, where system calls are slow (strace).
(until [ -e stop6 ]; do sleep 0.02; done; kill -STOP $BASHPID; echo went on; exit 6) & s=$!
sh -c ': >stop6; . ./until_state' sh $s T
fg %% >/dev/null; echo "fg $?"
(until [ -e stop8 ]; do sleep 0.02; done; kill -TSTP $BASHPID; exit 8) & s=$!
sh -c ': >stop8; . ./until_state' sh $s T
bg %% >/dev/null
wait $s; echo "bg $?"
disown -a
jobs | wc -l

echo "== orphans and sessions"
bash -c '(while read -r _ _ _ parent _ </proc/$BASHPID/stat; [ $parent = $$ ]; do sleep 0.02; done; echo "parent $parent" >orphan2) & exit 0'
for _ in $(seq 3000); do [ -s orphan2 ] && break; sleep 0.02; done
cat orphan2
setsid -w bash -c 'test $(ps -o sid= -p $$) = $$ && echo a new session; exit 2'; echo $?
nohup sh -c 'kill -HUP $$; echo not hung up' 2>/dev/null
