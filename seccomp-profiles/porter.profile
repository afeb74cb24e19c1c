# What a porter does once its first guest runs: wait, tell the keep, end. A relay (relay.h) waits for its porter, too.
poll            # its two descriptors
restart_syscall # an interrupted poll
read            # the signalfd
wait4           # a relay, for its porter
sendmsg         # to the keep
recvmsg         # from the keep
write           # a last word in the log
exit_group
rt_sigreturn
