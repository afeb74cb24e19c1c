# Job control as a user at a terminal has it: bash on a pty, driven key by key.
#: shell /usr/bin/expect -f
set timeout 100
log_user 0
proc must {what} {
    expect {
        -re $what { puts "saw $what" }
        timeout { puts "TIMEOUT before $what"; exit 1 }
        eof { puts "EOF before $what"; exit 1 }
    }
}
set env(PS1) "ready> "
# Programs that say when they are there, or go on: what is typed before would be another's.
exec cat >/tmp/job << {#!/usr/bin/perl
$| = 1; $SIG{CONT} = sub { print "continued\n" }; print "up\n"; sleep 1000 while 1;
}
exec chmod 755 /tmp/job
exec mkfifo /tmp/fifo
spawn -noecho bash --norc --noprofile -i
must "ready> $"
send "stty -echo\r"
must "ready> $"
send "/tmp/job\r"
must "up"
send "\x1a"
must "Stopped +/tmp/job"
must "ready> $"
send "fg\r"
must "/tmp/job"
must "continued"
send "\x03"
must "ready> $"
send "echo status \$?\r"
must "status 130"
must "ready> $"
send "sh -c 'echo up; exec cat'\r"
must "up"
send "typed\r"
must "typed\r\n"
send "\x04"
must "ready> $"
send "cat /tmp/fifo &\r"
must "1\\\] \[0-9\]+"
must "ready> $"
send "fg\r"
must "cat /tmp/fifo"
exec sh -c "echo through >/tmp/fifo"
must "through"
must "ready> $"
send "cat & until jobs -s | grep -q cat; do sleep 0.05; done\r"
must "ready> $"
send "jobs\r"
must "Stopped +cat"
send "kill -KILL %1; while kill -0 \$! 2>/dev/null; do sleep 0.05; done\r"
must "Killed +cat"
must "ready> $"
send "sleep 1000 | sh -c 'echo up; exec sleep 1000'\r"
must "up"
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
