# Job control as a user at a terminal has it: bash on a pty, driven key by key.
#: shell /usr/bin/expect -f
set timeout 10
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
send "sleep 100\r"
sleep 0.4
send "\x1a"
must "Stopped +sleep 100"
must "ready> $"
send "fg\r"
must "sleep 100"
sleep 0.2
send "\x03"
must "ready> $"
send "echo status \$?\r"
must "status 130"
must "ready> $"
send "cat\r"
sleep 0.3
send "typed\r"
must "typed\r\n"
send "\x04"
must "ready> $"
send "sleep 0.5 &\r"
must "1\\\] \[0-9\]+"
must "ready> $"
send "fg\r"
must "sleep 0.5"
must "ready> $"
send "cat & sleep 0.3\r"
must "Stopped|ready> $"
send "jobs\r"
must "Stopped +cat"
send "kill -KILL %1; sleep 0.1\r"
must "Killed +cat"
must "ready> $"
send "sleep 100 | sleep 100\r"
sleep 0.4
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
