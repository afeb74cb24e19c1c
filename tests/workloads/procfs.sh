# What programs read in /proc: processes, their descriptors, memory, limits, links and rights.
#: normalise s/\[[0-9]+\]/[N]/g; s/^(SigIgn:).*/\1 as the reference inherited it/
cd /tmp || exit 1
# until_it COMMAND...: is true
until_it() { for _ in $(seq 3000); do "$@" && break; sleep 0.02; done; }
state() { awk '{ print $3 }' "/proc/$!/stat"; }
sleeps() { [ "$(cat /proc/$!/comm)" = sleep ] && [ "$(state)" = S ]; }
stopped() { [ "$(state)" = T ]; }
ps -eo pid,ppid,pgid,sess,stat,comm,args >all; grep -v 'ps -eo' all | sed 's/ Rs / Ss /'
bash -c 'exec -a other sleep 1000' & until_it sleeps
ps -o ppid,stat,comm,args -p $!
tr '\0' ' ' <"/proc/$!/cmdline"; echo
HELLO=there sleep 1000 & until_it sleeps
tr '\0' '\n' <"/proc/$!/environ" | grep HELLO
readlink "/proc/$!/exe" "/proc/$!/cwd" "/proc/$!/root"
kill -STOP $!; until_it stopped; state; kill -CONT $!
kill %1 %2; wait
python3 -c 'import os
if not os.fork(): os._exit(3)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT); print(*[l for l in open("/proc/%d/status" % (os.getpid() + 1)) if l.startswith(("State", "Threads"))])
'
awk '!/^(Cpus|Mems|Vm|Rss|.*ctxt|SigQ|NS|Speculation|FDSize|HugetlbPages|THP|untag|Pid|Tgid|CoreDumping|Kthread|x86)/' /proc/self/status
cut -d' ' -f2-9 /proc/self/stat
grep -v -e signals -e processes /proc/self/limits
cat /proc/self/oom_score_adj /proc/self/loginuid | wc -l
exec 5</etc/passwd 6>>/tmp/out 7<>/tmp/rw; read -r _ <&5
for fd in 5 6 7; do readlink /proc/$$/fd/$fd; head -2 /proc/$$/fdinfo/$fd; ls -l /proc/$$/fd/$fd | cut -c1-10; done
rm /tmp/rw; readlink /proc/$$/fd/7; cat <(echo substituted); echo text >/dev/stdout; echo piped | cat /dev/stdin
grep -c '/usr/bin/bash' /proc/$$/maps >lines; [ "$(cat lines)" -ge 4 ] && echo mapped; grep -E 'heap|stack\]|vdso' /proc/$$/maps | awk '{ print $2, $6 }'
python3 - <<'P'
import ctypes, os, threading
b = ctypes.create_string_buffer(b'memory')
fd = os.open('/proc/self/mem', os.O_RDWR)
print(os.pread(fd, 6, ctypes.addressof(b)), os.pwrite(fd, b'MEM', ctypes.addressof(b)), b.value)
ready, end = threading.Event(), threading.Event()
def thread():
    open('/proc/thread-self/comm', 'w').write('a thread with a long name')
    ready.set(); end.wait()
t = threading.Thread(target=thread); t.start(); ready.wait()
print(sorted(open(f'/proc/self/task/{i}/comm').read() for i in os.listdir('/proc/self/task')))
print(os.readlink('/proc/thread-self').split('/')[1], open('/proc/self/comm').read())
end.set(); t.join()
for name in ('status', 'maps', 'mem', 'environ', 'fd', 'none'):
    try: os.close(os.open('/proc/4000000/' + name, os.O_RDONLY)); print('opened')
    except OSError as e: print(name, e.errno)
r, w = os.pipe(); os.write(w, b'again')
print(os.read(os.open(f'/proc/self/fd/{r}', os.O_RDONLY), 9), os.readlink(f'/proc/self/fd/{r}')[:5])
P
setpriv --reuid 1234 --regid 1234 --clear-groups bash <<'U'
id -u; for f in environ maps mem io fd/0 auxv; do head -c1 /proc/1/$f >/dev/null 2>&1; echo "$f $?"; done
for f in environ maps io fd/0 auxv; do head -c1 /proc/self/$f >/dev/null 2>&1 </dev/null; echo "$f $?"; done
stat -c '%U %a' /proc/1 /proc/$$/fd /proc/$$/environ; echo 500 >/proc/$$/oom_score_adj; cat /proc/$$/oom_score_adj
U
for f in /proc/version /proc/sys/kernel/ostype /proc/self/attr/current /proc/self/wchan; do head -c5 $f; echo " $?"; done
cat /proc/sys/kernel/hostname /proc/sys/kernel/ngroups_max /proc/sys/kernel/cap_last_cap /proc/sys/fs/overflowuid
echo x >/proc/sys/kernel/hostname; touch /proc/new; rm /proc/version
head -1 /proc/stat | wc -w; wc -l </proc/uptime; nproc; grep -c '^processor' /proc/cpuinfo; cat /proc/swaps | wc -l
free | awk 'NR == 2 { print ($2 > 100000) }'; wc -w </proc/loadavg; head -2 /proc/net/dev; wc -l </proc/net/tcp
cat /sys/devices/system/cpu/online /sys/class/net/lo/mtu; ls /sys/devices/system/cpu | grep -cE 'cpu[0-9]+$'
