# Debian's /bin/sh.
#: shell /bin/dash
set -eu
cd /tmp
count() { echo $#; }
count $(ls /bin | wc -l) "a b" c
for i in 1 2 3; do for j in a b; do printf '%s%s ' $i $j; done; done; echo
i=0; while [ $i -lt 300 ]; do i=$((i + 1)); /bin/true; done; echo $i
trap 'echo bye' EXIT
trap 'echo hup' HUP
kill -HUP $$
x=`echo old style | tr ' ' _`; echo $x
cat <<EOF | sort -r
one $x
two
EOF
(trap 'echo sub' EXIT; exit 0)
sh -c 'exit 9' || echo $?
case $x in old*) echo matched;; *) echo not;; esac
ls /nonexistent 2>&1 || echo "ls $?"
command -v awk
exec 3<>rw; echo data >&3; exec 3<&-; cat rw
sleep 0.1 & wait $!; echo waited $?
/nonexistent/program 2>/dev/null || echo "not found $?"
echo '#!/bin/cat' >self; chmod 755 self; ./self
printf 'no interpreter line\n' >plain; printf 'echo ran as a script $1\n' >plain; chmod 755 plain; ./plain arg
getopts ab: o -b val; echo $o $OPTARG
times | wc -l
ulimit -n
exit 3
#: status 3
