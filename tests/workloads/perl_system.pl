#!/usr/bin/perl
# Perl and its system calls: processes, pipes, sockets, signals, files, locks, times.
#: shell /usr/bin/perl
use strict;
use warnings;
use Fcntl qw(:flock :seek :mode);
use File::Find;
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h :signal_h mkfifo dup2);
use Socket;
use Time::HiRes qw(time sleep ualarm);
$| = 1;
my $dir = tempdir(CLEANUP => 1);
chdir $dir or die;

# processes
my %left = map { my $n = $_; my $pid = fork; if (!$pid) { exit $n } ($pid => $n) } 1 .. 20;
my $sum = 0;
while ((my $pid = wait) > 0) { $sum += $? >> 8; delete $left{$pid} }
print "children $sum, left ", scalar(keys %left), ", $!\n";
print "system ", system("exit 3") >> 8, " ", system("kill -9 \$\$") & 127, "\n";
print "backticks ", `echo out; exit 4`, $? >> 8, "\n";
open my $from, '-|', 'sort', '-r', '/etc/passwd' or die;
my @lines = <$from>;
close $from;
print "read ", scalar(@lines), " lines\n";
open my $to, '|-', 'tr a-z A-Z' or die;
print $to "piped into\n";
close $to;
my $kid = open(my $k, '-|') // die;
if (!$kid) { print "from a forked child\n"; exit 0 }
print <$k>;
close $k;
print "nonexistent: ", system("/nonexistent/x") == -1 ? "failed: $!" : "ran", "\n";

# signals
{
    local $SIG{ALRM} = sub { die "alarm\n" };
    eval { ualarm(50_000); select(undef, undef, undef, 100); };
    print "eval ended by $@";
    my $got = 0;
    local $SIG{USR1} = sub { $got++ };
    kill USR1 => $$ for 1 .. 10;
    print "USR1 seen: ", $got > 0 ? "yes" : "no", "\n";
    my $set = POSIX::SigSet->new(SIGUSR2);
    my $two = 0;
    local $SIG{USR2} = sub { $two++ };
    sigprocmask(SIG_BLOCK, $set);
    kill USR2 => $$ for 1 .. 5;
    my $pending = POSIX::SigSet->new;
    sigpending($pending);
    print "pending ", $pending->ismember(SIGUSR2), " handled $two\n";
    sigprocmask(SIG_UNBLOCK, $set);
    print "handled $two\n";
    local $SIG{PIPE} = 'IGNORE';
    pipe my $r, my $w or die;
    close $r;
    print "EPIPE: ", (syswrite($w, "x") // $!), "\n";
}

# files
open my $f, '+>', 'file' or die;
print $f "0123456789" x 1000;
$f->flush;
sysseek $f, 5, SEEK_SET;
sysread $f, my $buf, 5;
print "read $buf, size ", -s 'file', "\n";
truncate $f, 100;
print "truncated to ", -s $f, "\n";
flock $f, LOCK_EX or die;
if (!(my $pid = fork)) {
    open my $g, '<', 'file' or die;
    print "lock held: ", flock($g, LOCK_EX | LOCK_NB) ? "no" : "yes", "\n";
    exit 0;
} else { waitpid $pid, 0 }
flock $f, LOCK_UN;
symlink 'file', 'sym' and link 'file', 'hard' and mkfifo('fifo', 0600);
mkdir 'd', 0700;
rename 'hard', 'd/hard';
chmod 0641, 'file';
utime 1e9, 1e9, 'file';
my @s = stat 'd/hard';
printf "mode %o links %d mtime %d\n", $s[2], $s[3], $s[9];
print "lstat ", S_ISLNK((lstat 'sym')[2]) ? "link to " . readlink 'sym' : "?", "\n";
my @found;
find({ wanted => sub { push @found, $File::Find::name }, no_chdir => 1 }, '.');
print join(' ', sort @found), "\n";
print join(' ', map { -e $_ ? $_ : () } sort glob '*'), "\n";
unlink 'file', 'sym', 'fifo', 'd/hard';
print "rmdir ", rmdir 'd', " ", -d 'd' ? 'there' : 'gone', "\n";

# sockets
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp', ReuseAddr => 1) or die $@;
my $port = $server->sockport;
my @kids = map {
    my $n = $_;
    fork // die or do {
        my $c = IO::Socket::INET->new("127.0.0.1:$port") or die;
        print $c "hello $n\n";
        my $answer = <$c>;
        exit($answer eq "HELLO $n\n" ? 0 : 1);
    }
} 1 .. 8;
for (1 .. 8) { my $c = $server->accept; my $line = <$c>; print $c uc $line; close $c }
waitpid($_, 0), $sum += $? for @kids;
print "clients failed: ", $sum - 210, "\n";
socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
$a->autoflush;
print $a "through a pair\n";
print scalar <$b>;
my $unix = IO::Socket::UNIX->new(Local => "$dir/sock", Listen => 1) or die;
if (!fork) { my $c = IO::Socket::UNIX->new(Peer => "$dir/sock") or die; print $c "unix\n"; exit 0 }
print scalar readline $unix->accept;
wait;
my $sel = IO::Select->new($a, $b);
print "readable now: ", scalar($sel->can_read(0)), "\n";
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1') or die;
$udp->send("datagram", 0, pack_sockaddr_in($udp->sockport, INADDR_LOOPBACK));
$udp->recv(my $msg, 100);
print "$msg\n";

# time
my $t = time;
sleep 0.1;
my $d = time - $t;
print "slept ", $d >= 0.1 && $d < 100 ? "well" : $d, "\n";
print scalar(gmtime 0), " ", POSIX::strftime("%Y", gmtime 1e9), "\n";
my ($user, $system, $cuser, $csystem) = times;
print "times ", $user >= 0 && $cuser >= 0 ? "fine" : "odd", "\n";
print "ids $< $> ", (split ' ', $()[0], "\n";
exit 17;
#: status 17
