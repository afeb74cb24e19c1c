# What the keep asks of the host, by the reason for it. Everything else kills it, and with it every guest.

# Its own threads and memory
clone arg0 & 0x7e030000 == 0x10000 # threads only (CLONE_THREAD, no CLONE_NEW*)
clone3 -> errno 38                  # its flags can not be seen: libc falls back to clone
exit
exit_group
set_robust_list
rseq
gettid
getpid
getuid
geteuid
getgid
getegid
futex
sched_yield
mmap arg2 & 0x4 == 0                # never executable
munmap
mremap
mprotect arg2 & 0x4 == 0
madvise
brk
getrandom
rt_sigaction
rt_sigprocmask
rt_sigreturn
rt_sigtimedwait
restart_syscall
clock_gettime
clock_getres
clock_nanosleep
gettimeofday
sched_getaffinity

# Guests: the doorbell, their memory, signals to them, their accounting and limits
ioctl arg1 & 0xffffffff == 0xc0502100        # SECCOMP_IOCTL_NOTIF_RECV
ioctl arg1 & 0xffffffff == 0xc0182101        # SECCOMP_IOCTL_NOTIF_SEND
ioctl arg1 & 0xffffffff == 0x40182103        # SECCOMP_IOCTL_NOTIF_ADDFD
ioctl arg1 & 0xffffffff == 0x40082104        # SECCOMP_IOCTL_NOTIF_SET_FLAGS
ioctl arg1 & 0xffffffff == 0x40082102        # SECCOMP_IOCTL_NOTIF_ID_VALID
ioctl arg1 & 0xffffffff == 0xc040ff0b        # PIDFD_GET_INFO
ioctl arg1 & 0xffffffff == 0xc0686611        # PROCMAP_QUERY
process_vm_readv
process_vm_writev
kcmp arg2 & 0xffffffff == 0x0 # KCMP_FILE: whether a guest executes the gate
tgkill
pidfd_open
pidfd_getfd     # what a seccomp agent gave to its child of the stand-in; sockets that were left to a guest
pidfd_send_signal
prlimit64
getrusage
sched_setaffinity
setpriority
sysinfo
times

# Credentials of its workers, file call by file call
geteuid
getegid
setfsuid
setfsgid
setgroups
capget
capset

# The tree of a container that joined a pod: each thread's own root directory (container_enter)
unshare arg0 & 0xffffffff == 0x200 # CLONE_FS
fchdir
chroot

# Files
openat2
openat
close
close_range
dup
dup3
fcntl
flock
read
write
readv
writev
pread64
pwrite64
preadv
pwritev
preadv2
pwritev2
lseek
sendfile
splice
tee
copy_file_range
fstat
newfstatat
statx
fstatfs
statfs
getdents64
readlinkat
faccessat
faccessat2
mkdirat
mknodat arg2 & 0xf000 == 0x8000     # regular files
mknodat arg2 & 0xf000 == 0          # the same
mknodat arg2 & 0xf000 == 0x1000     # FIFOs
mknodat arg2 & 0xf000 == 0xc000     # sockets
unlinkat
renameat
renameat2
linkat
symlinkat
fchmod
fchmodat
fchmodat2=452
fchown
fchownat
utimensat
truncate
ftruncate
fallocate
fadvise64
readahead
sync
syncfs
fsync
fdatasync
sync_file_range
setxattrat=463
getxattrat=464
listxattrat=465
removexattrat=466
getxattr
fgetxattr
lgetxattr
setxattr
fsetxattr
lsetxattr
listxattr
flistxattr
llistxattr
removexattr
fremovexattr
lremovexattr
setxattrat=463
getxattrat=464
listxattrat=465
removexattrat=466
memfd_create
inotify_init1
inotify_add_watch
inotify_rm_watch

# Readiness, pipes and sockets
poll
ppoll
epoll_create1
epoll_ctl
epoll_wait
epoll_pwait
epoll_pwait2
eventfd2
timerfd_create
timerfd_settime
timerfd_gettime
pipe2
socket arg0 & 0xffffffff == 1       # AF_UNIX
socket arg0 & 0xffffffff == 2       # AF_INET
socket arg0 & 0xffffffff == 10      # AF_INET6
socket arg0 & 0xffffffff == 16      # AF_NETLINK: what getifaddrs(3) asks
socketpair arg0 & 0xffffffff == 1
bind
listen
accept
accept4
connect
getsockname
getpeername
sendto
recvfrom
sendmsg
recvmsg
sendmmsg
recvmmsg
shutdown
setsockopt
getsockopt

# The clocks of a machine that lets its guests read them
adjtimex
clock_adjtime

# Devices of the host that config.json lists (sandbox/keep/device/hostdev.c)
ioctl arg1 & 0xffffffff == 0x1260            # BLKGETSIZE
ioctl arg1 & 0xffffffff == 0x80081272        # BLKGETSIZE64
ioctl arg1 & 0xffffffff == 0x1268            # BLKSSZGET
ioctl arg1 & 0xffffffff == 0x127b            # BLKPBSZGET
ioctl arg1 & 0xffffffff == 0x80081270        # BLKBSZGET
ioctl arg1 & 0xffffffff == 0x125e            # BLKROGET
ioctl arg1 & 0xffffffff == 0x1263            # BLKRAGET
ioctl arg1 & 0xffffffff == 0x1265            # BLKFRAGET
ioctl arg1 & 0xffffffff == 0x1278            # BLKIOMIN
ioctl arg1 & 0xffffffff == 0x1279            # BLKIOOPT
ioctl arg1 & 0xffffffff == 0x127a            # BLKALIGNOFF
ioctl arg1 & 0xffffffff == 0x1267            # BLKSECTGET
ioctl arg1 & 0xffffffff == 0x127e            # BLKROTATIONAL
ioctl arg1 & 0xffffffff == 0x127c            # BLKDISCARDZEROES
ioctl arg1 & 0xffffffff == 0x1261            # BLKFLSBUF
ioctl arg1 & 0xffffffff == 0x1277            # BLKDISCARD
ioctl arg1 & 0xffffffff == 0x127f            # BLKZEROOUT
ioctl arg1 & 0xffffffff == 0x5415            # TIOCMGET
ioctl arg1 & 0xffffffff == 0x5416            # TIOCMBIS
ioctl arg1 & 0xffffffff == 0x5417            # TIOCMBIC
ioctl arg1 & 0xffffffff == 0x5418            # TIOCMSET
ioctl arg1 & 0xffffffff == 0x540c            # TIOCEXCL
ioctl arg1 & 0xffffffff == 0x540d            # TIOCNXCL
ioctl arg1 & 0xc000ff80 == 0x80004500        # EVIOCG*

# Terminals and sockets, on behalf of guests
ioctl arg1 & 0xffffffff == 0x5401            # TCGETS
ioctl arg1 & 0xffffffff == 0x5402            # TCSETS
ioctl arg1 & 0xffffffff == 0x5403            # TCSETSW
ioctl arg1 & 0xffffffff == 0x5404            # TCSETSF
ioctl arg1 & 0xffffffff == 0x802c542a        # TCGETS2
ioctl arg1 & 0xffffffff == 0x402c542b        # TCSETS2
ioctl arg1 & 0xffffffff == 0x402c542c        # TCSETSW2
ioctl arg1 & 0xffffffff == 0x402c542d        # TCSETSF2
ioctl arg1 & 0xffffffff == 0x5405            # TCGETA
ioctl arg1 & 0xffffffff == 0x5406            # TCSETA
ioctl arg1 & 0xffffffff == 0x5407            # TCSETAW
ioctl arg1 & 0xffffffff == 0x5408            # TCSETAF
ioctl arg1 & 0xffffffff == 0x5456            # TIOCGLCKTRMIOS
ioctl arg1 & 0xffffffff == 0x5413            # TIOCGWINSZ
ioctl arg1 & 0xffffffff == 0x5414            # TIOCSWINSZ
ioctl arg1 & 0xffffffff == 0x5411            # TIOCOUTQ
ioctl arg1 & 0xffffffff == 0x541b            # TIOCINQ
ioctl arg1 & 0xffffffff == 0x5419            # TIOCGSOFTCAR
ioctl arg1 & 0xffffffff == 0x541a            # TIOCSSOFTCAR
ioctl arg1 & 0xffffffff == 0x5420            # TIOCPKT
ioctl arg1 & 0xffffffff == 0x80045438        # TIOCGPKT
ioctl arg1 & 0xffffffff == 0x5409            # TCSBRK
ioctl arg1 & 0xffffffff == 0x5425            # TCSBRKP
ioctl arg1 & 0xffffffff == 0x540a            # TCXONC
ioctl arg1 & 0xffffffff == 0x540b            # TCFLSH
ioctl arg1 & 0xffffffff == 0x5427            # TIOCSBRK
ioctl arg1 & 0xffffffff == 0x5428            # TIOCCBRK
ioctl arg1 & 0xffffffff == 0x40045431        # TIOCSPTLCK
ioctl arg1 & 0xffffffff == 0x80045439        # TIOCGPTLCK
ioctl arg1 & 0xffffffff == 0x80045430        # TIOCGPTN
ioctl arg1 & 0xffffffff == 0x5441            # TIOCGPTPEER
ioctl arg1 & 0xffffffff == 0x8905            # SIOCATMARK
ioctl arg1 & 0xffffffff == 0x8912            # SIOCGIFCONF
ioctl arg1 & 0xffffffff == 0x8910            # SIOCGIFNAME
ioctl arg1 & 0xffffffff == 0x8913            # SIOCGIFFLAGS
ioctl arg1 & 0xffffffff == 0x8915            # SIOCGIFADDR
ioctl arg1 & 0xffffffff == 0x8917            # SIOCGIFDSTADDR
ioctl arg1 & 0xffffffff == 0x8919            # SIOCGIFBRDADDR
ioctl arg1 & 0xffffffff == 0x891b            # SIOCGIFNETMASK
ioctl arg1 & 0xffffffff == 0x891d            # SIOCGIFMETRIC
ioctl arg1 & 0xffffffff == 0x8921            # SIOCGIFMTU
ioctl arg1 & 0xffffffff == 0x8927            # SIOCGIFHWADDR
ioctl arg1 & 0xffffffff == 0x8933            # SIOCGIFINDEX
ioctl arg1 & 0xffffffff == 0x8942            # SIOCGIFTXQLEN
