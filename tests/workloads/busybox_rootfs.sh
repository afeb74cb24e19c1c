# busybox-static is the whole root file system: its shell, tools and init are one static program.
#: rootfs busybox
#: shell /bin/sh
set -e
busybox | head -1
id
echo "$0 $#" | tr a-z A-Z
ls -l /bin | awk '{print $1, $NF}' | sort | head -20
mkdir /tmp/a && cd /tmp/a
for i in $(seq 1 200); do echo "line $i" >"f$i"; done
cat f* | sort -n -k2 | md5sum
tar cf ../a.tar . && mkdir ../b && tar xf ../a.tar -C ../b && diff -r . ../b && echo same
find . -name 'f1*' | sort | wc -l
ps -o pid,ppid,comm | head -3 | tail -2 | awk '{print $3}'
(sleep 0.1; echo late) & wait $!
sh -c 'kill -TERM $$' || echo "status $?"
vi --help 2>&1 | head -1
