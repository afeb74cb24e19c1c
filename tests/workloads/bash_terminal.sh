# Job control as a user at a terminal has it: bash on a pty, driven key by key. A key that is for a program is typed when that
# program has said that it is there: what has been started in the foreground has the terminal by then.
#: shell /usr/bin/expect -f
set timeout 300
log_user 0
proc must {what} {
    expect {
        -re $what { puts "saw $what" }
        timeout { puts "TIMEOUT before $what"; exit 1 }
        eof { puts "EOF before $what"; exit 1 }
    }
}
set env(PS1) "ready> "
spawn -noecho bash --norc --noprofile -i
must "ready> $"
send "stty -echo\r"
must "ready> $"
# No shell: dash may be waiting for its vfork's child, which is stopped, out of reach itself. What is continued in the foreground
# has the terminal by then.
send "perl -e '$| = 1; \$SIG{CONT} = sub { print \"went on\\n\" }; print \"up\\n\"; sleep 1000 while 1'\r"
must "up\r\n"
send "\x1a"
must "Stopped +perl"
must "ready> $"
send "fg\r"
must "went on\r\n"
send "\x03"
must "ready> $"
send "echo status \$?\r"
must "status 130"
must "ready> $"
send "echo now; cat\r"
must "now"
send "typed\r"
must "typed\r\n"
send "\x04"
must "ready> $"
send "sh -c 'until \[ -e /tmp/end ]; do sleep 0.1; done' &\r"
must "1\\\] \[0-9\]+"
must "ready> $"
send "fg\r"
must "sh -c 'until"
exec touch /tmp/end
must "ready> $"
send "cat & until jobs | grep -q Stopped; do sleep 0.1; done\r"
must "ready> $"
send "jobs\r"
must "Stopped +cat"
must "ready> $"
send "kill -KILL %1; while \[ -e /proc/\$! ]; do sleep 0.1; done\r"
must "Killed +cat"
must "ready> $"
send "sh -c 'echo one >&2; exec sleep 1000' | sh -c 'echo two; exec sleep 1000'\r"
must "one.*two|two.*one"
send "\x1c"
must "Quit"
must "ready> $"
send "trap 'echo winch' WINCH; kill -WINCH \$\$\r"
must "winch"
send "stty rows 33 cols 77; stty size\r"
must "33 77"
must "ready> $"
send "tty\r"
must "/dev/pts/\[0-9\]+"
send "ps -o tty= -p \$\$ | cut -c1-4\r"
must "pts/"
send "exit 7\r"
expect eof
puts "exit [lindex [wait] 3]"
