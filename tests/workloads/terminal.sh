# The container's own terminal.
#: terminal
#: normalise s/\r//; s/^\^@//; s,/dev/pts/[0-9]+,/dev/pts/N,; s/-onlcr/onlcr/; s/ Rs/ Ss/
tty
test -t 0 && test -t 1 && test -t 2 && echo three times a terminal
ls -l /dev/console | cut -c1-11
stty -a | grep -v speed
stty size
echo "to the terminal" >/dev/tty
ps -o pid=,tty=,stat= -p 1 | sed 's/ \+/ /g'
bash -c 'set -m; sleep 0.1; echo a job'
exit 4
#: status 4
