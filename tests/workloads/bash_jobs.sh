# Job control without a terminal: background jobs, wait in its forms, stop and continue, signals to groups.
cd /tmp || exit 1

echo "== wait"
(exit 3) & a=$!
(exit 4) & b=$!
wait $a; echo $?
wait $b; echo $?
wait $b; echo "again $?"
wait 99999; echo "none of ours $?"
for i in 5 6 7; do (sleep 0.0$i; exit $i) & done
sum=0
for i in 1 2 3; do wait -n; sum=$((sum + $?)); done
echo "sum $sum"
sleep 5 & s=$!
kill $s
wait $s; echo "killed $?"

echo "== a trap interrupts wait"
trap 'echo trapped' USR1
sleep 0.3 & s=$!
(sleep 0.1; kill -USR1 $$) &
wait $s; echo "interrupted $?"
wait $s; echo "then $?"
trap - USR1
wait

echo "== stop and continue"
set -m
sleep 0.3 & s=$!
kill -STOP $s
for _ in $(seq 50); do [ "$(ps -o stat= -p $s | cut -c1)" = T ] && break; sleep 0.02; done
ps -o stat= -p $s | cut -c1
jobs | sed 's/ *$//'
kill -CONT $s
for _ in $(seq 50); do [ "$(ps -o stat= -p $s | cut -c1)" = S ] && break; sleep 0.02; done
jobs -r | sed 's/ *$//'
wait $s; echo "continued and done $?"

echo "== groups"
(sleep 10 | sleep 10 | sleep 10) & s=$!
test "$(ps -o pgid= -p $s | tr -d ' ')" = $s && echo "a group of its own"
kill -TERM -- -$s
wait $s; echo "the group was killed $?"
set +m
sleep 10 & s=$!
test "$(ps -o pgid= -p $s | tr -d ' ')" = $s || echo "no group of its own"
kill -KILL $s
wait $s 2>/dev/null; echo $?

echo "== fg and bg"
set -m
# The stop comes while the shell sleeps: in the middle of a command substitution it makes bash lose its place in the script,
# natively too, where system calls are slow (strace).
(sleep 0.1; kill -STOP $BASHPID; echo went on; exit 6) & s=$!
sleep 0.3
for _ in $(seq 50); do [ "$(ps -o stat= -p $s | cut -c1)" = T ] && break; sleep 0.02; done
fg %% >/dev/null; echo "fg $?"
(sleep 0.1; kill -TSTP $BASHPID; exit 8) & s=$!
sleep 0.3
for _ in $(seq 50); do [ "$(ps -o stat= -p $s | cut -c1)" = T ] && break; sleep 0.02; done
bg %% >/dev/null
wait $s; echo "bg $?"
disown -a
jobs | wc -l

echo "== orphans and sessions"
bash -c '(sleep 0.2; read -r _ _ _ parent _ </proc/$BASHPID/stat; echo "parent $parent" >orphan2) & exit 0'
for _ in $(seq 100); do [ -s orphan2 ] && break; sleep 0.02; done
cat orphan2
setsid -w bash -c 'test $(ps -o sid= -p $$) = $$ && echo a new session; exit 2'; echo $?
nohup sh -c 'kill -HUP $$; echo not hung up' 2>/dev/null
