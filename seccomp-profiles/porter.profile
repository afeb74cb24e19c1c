# What a porter does once its first guest runs: wait, reap, tell the keep, end.
poll            # its two descriptors
restart_syscall # an interrupted poll
read            # the signalfd
wait4           # reaping
sendmsg         # to the keep
recvmsg         # from the keep
write           # a last word in the log
exit_group
rt_sigreturn
