# What everyday shell scripts do: pipelines, subshells, traps, here-documents, substitutions, coprocesses.
set -u
cd /tmp || exit 1

echo "== pipelines"
seq 1 100000 | grep 7 | sed 's/7/x/g' | sort -r | awk 'NR % 100 == 0' | md5sum
false | true | false
echo "${PIPESTATUS[*]}"
set -o pipefail
yes | head -n 3 >/dev/null
echo "yes|head: $?"
set +o pipefail
echo abc | while read -r x; do echo "in a pipe: $x"; done
printf '%s\n' c b a | tee one two | sort | paste -sd,
cat one two | wc -l

echo "== subshells"
x=outer
(x=inner; echo $x; exit 3)
echo "$x $?"
y=$(echo first; (echo second >&2) 2>&1; echo third)
printf "%s\n" "$y"
(cd /usr && pwd)
pwd
( ( ( (echo deep) ) ) )
echo "level $BASH_SUBSHELL $(echo $BASH_SUBSHELL $(echo $BASH_SUBSHELL))"

echo "== traps"
bash -c 'trap "echo on exit" EXIT; trap "echo got USR1" USR1; kill -USR1 $$; echo after; exit 5'
echo "status $?"
bash -c 'trap "" TERM; kill -TERM $$; echo ignored'
bash -c 'trap "echo ERR at \$LINENO" ERR; false; true'
bash -c 'kill -TERM $$; echo not reached' 2>/dev/null
echo "status $?"
bash -c 'trap "echo interrupted; exit 9" INT; (sleep 0.1; kill -INT $$) & while :; do sleep 0.05; done' 2>/dev/null
echo "status $?"
bash -c 'trap "echo child ended" CHLD; set -m; (exit 4) & wait $!; echo "waited $?"' 2>/dev/null
bash -c 'trap "n=\$((n+1))" USR1; n=0; for i in 1 2 3 4 5; do kill -USR1 $$; done; echo $n'

echo "== here-documents"
cat <<EOF
expanded: $((6 * 7)) ${x^^} $(echo command)
EOF
cat <<'EOF'
verbatim: $((6 * 7)) `no`
EOF
cat <<-EOF
	tabs are taken off
	EOF
wc -c <<<"a here-string"
bash <<'EOF'
read -r line
echo "read from the script itself: $line"
this is data
EOF
head -c 200000 /dev/zero | tr '\0' z >big
bash -c "cat <<EOF | md5sum
$(cat big | head -c 100000)
EOF"

echo "== redirections and substitutions"
exec 7>out 8>>out
echo seven >&7
echo eight >&8
exec 7>&- 8>&-
cat out
{ echo to stdout; echo to stderr >&2; } 2>err | tr a-z A-Z
cat err
diff <(seq 1 5) <(seq 1 6)
echo "diff $?"
tee >(sort -r >sorted) <<<"$(seq 1 5)" >/dev/null
for _ in $(seq 3000); do [ "$(wc -l <sorted 2>/dev/null)" = 5 ] && break; sleep 0.02; done
paste -sd, sorted
echo nope 2>&1 >/dev/full
echo "full $?"
cat </dev/null | wc -c
: >/dev/tty && echo a tty
echo "tty $?"
read -r -t 0.05 line < <(sleep 1000)
echo "timed out $?"

echo "== coprocess"
coproc CALC { bc; }
echo '2^64' >&"${CALC[1]}"
read -r answer <&"${CALC[0]}"
echo "$answer"
pid=$CALC_PID
eval "exec ${CALC[1]}>&-"
wait "$pid"
echo "bc $?"

echo "== tests and globs"
mkdir -p g && touch g/{a,b,c}{1,2} && ln -s a1 g/link && mkfifo g/fifo
for f in g/*; do
    for t in f d L p S r w x s; do
        test -$t "$f" && printf '%s:%s ' "$t" "$f"
    done
done
echo
shopt -s extglob nullglob globstar
echo g/!(a*) g/**/*2 g/none*
[[ one -nt two || one -ot two || one -ef one ]] && echo compared
test -t 0 || echo stdin is no terminal

echo "== limits and ids"
ulimit -n
(ulimit -n 64; ulimit -n; exec 99>/dev/null) 2>&1 | sed 's/.*line [0-9]*: //'
id
umask
(umask 077; touch private; stat -c %a private)
echo $PPID
