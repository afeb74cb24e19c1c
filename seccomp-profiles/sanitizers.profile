
# Sanitized builds only (`make fuzz`): their run-time library
sigaltstack
readlink
munmap
madvise
