# tini as init: it forwards signals, reaps orphans and ends with its child's status.
#: args /usr/bin/tini -v -- /bin/bash /test/script
#: status 21
#: normalise s/pid '[0-9]+'/pid N/
#: stderr
# What tini says comes beside what the script says.
#: sort
exec 2>&1
ps -o comm= -p 1
for i in 1 2 3 4 5; do (sleep 0.05 & exec true); done
for _ in $(seq 3000); do pgrep -x sleep >/dev/null || ps -e -o stat= | grep -q Z || break; sleep 0.02; done
ps -e -o stat= | grep -c Z
trap 'echo forwarded; exit 21' USR2
kill -USR2 1
sleep 1000 & wait $!
