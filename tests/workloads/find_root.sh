# The whole root, without what is mounted on it.
#: sort
find / -xdev ! -type d -printf '%p %y %m %u %g %s %n %l\n'
find / -xdev -type d -printf '%p %m %u %g\n'
find / -xdev -perm -4000 -printf 'setuid %p\n'
find /usr -xdev -newer /etc/passwd | wc -l
find /etc -xdev -type l ! -exec test -e {} \; -print
find /usr/bin -size +1M -name '[a-m]*' -exec ls -s {} +
find / -maxdepth 1 -fstype proc
