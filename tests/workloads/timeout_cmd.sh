# timeout in all its ways to end. In the foreground it sends one TERM; else two, and a handler may run twice, here as anywhere.
timeout 10 true; echo $?
timeout 0.1 sleep 10; echo $?
timeout -s INT 0.1 sleep 10; echo $?
timeout -s KILL 0.1 sleep 10; echo $?
timeout -k 0.1 0.1 sh -c 'trap "" TERM; while :; do sleep 0.05; done'; echo $?
timeout --preserve-status 0.1 sleep 10; echo $?
timeout --foreground 0.1 sh -c 'sleep 10'; echo $?
timeout 1 sh -c 'exit 42'; echo $?
timeout --foreground 0.1 bash -c 'trap "echo term; exit 3" TERM; sleep 5 & wait'; echo $?
timeout 1 /nonexistent 2>/dev/null; echo $?
timeout 0.2 yes | wc -c | awk '{print ($1 > 1000) ? "many" : "few"}'
timeout 0.2 sh -c 'while :; do :; done'; echo $?
