
# Sanitized builds only (`make fuzz`): their run-time library, and its reports
sigaltstack
readlink
munmap
madvise
ioctl arg1 & 0xffffffff == 0x5401 # TCGETS: whether a report is to have colours
open -> errno 2                   # what would show names in it
access -> errno 2
stat -> errno 2
pipe -> errno 24
