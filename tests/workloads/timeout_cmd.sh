# timeout in all its ways to end. In the foreground it sends one TERM; else two, and a handler may run twice, here as anywhere.
# Where the command must have come so far, it says itself that the time is up, by the signal that timeout's timer sends; timeout
# waits by then, which it does not yet when it has just forked.
export up='until grep -q "^State:.S" /proc/$PPID/status; do sleep 0.02; done; kill -ALRM $PPID'
timeout 1000 true; echo $?
timeout 0.1 sleep 1000; echo $?
timeout -s INT 0.1 sleep 1000; echo $?
timeout -s KILL 0.1 sleep 1000; echo $?
timeout -k 0.1 1000 sh -c 'trap "" TERM; eval "$up"; while :; do sleep 0.05; done'; echo $?
timeout --preserve-status 0.1 sleep 1000; echo $?
timeout --foreground 0.1 sh -c 'sleep 1000'; echo $?
timeout 1000 sh -c 'exit 42'; echo $?
timeout --foreground 1000 bash -c 'trap "echo term; exit 3" TERM; eval "$up"; sleep 1000 & wait'; echo $?
timeout 1000 /nonexistent 2>/dev/null; echo $?
timeout 1000 sh -c 'yes | head -n 1000 && eval "$up" && exec yes' | awk 'END { print (NR >= 1000) ? "many" : "few" }'
timeout 0.2 sh -c 'while :; do :; done'; echo $?
