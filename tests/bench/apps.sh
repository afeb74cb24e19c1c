# Runs in the Debian root of the tests: programs as people run them. Prints "NAME NANOSECONDS" or, for servers,
# "NAME REQUESTS-PER-SECOND".
cd /tmp && rm -rf ./* || exit 1

timed() { # name command...
    local name=$1 begin end
    shift
    begin=$(date +%s%N)
    "$@" >/dev/null 2>&1 || echo "$name: status $?" >&2
    end=$(date +%s%N)
    echo "$name $((end - begin))"
}

rate() { # ab's arguments
    ab -q "$@" 2>/dev/null | awk '/^Requests per second/ { print $4 }'
}

wait_for() { # port
    for _ in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
}

redis-server --port 6399 --daemonize yes --save '' --logfile /dev/null >/dev/null
wait_for 6399
redis-benchmark -p 6399 -n 20000 -c 20 -t set,get --csv |
    awk -F'"' '/SET|GET/ { sum += 1 / $4; n++ } END { print "redis", n / sum }'
redis-cli -p 6399 shutdown nosave 2>/dev/null

mkdir -p www
seq 1 200 >www/index.html
cat >nginx.conf <<'CONF'
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/null;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
    scgi_temp_path /tmp/s;
    sendfile on;
    server { listen 127.0.0.1:8080; root /tmp/www; }
}
CONF
nginx -c /tmp/nginx.conf
wait_for 8080
echo "nginx $(rate -n 4000 -c 16 http://127.0.0.1:8080/)"
echo "nginx-k $(rate -k -n 10000 -c 16 http://127.0.0.1:8080/)"
nginx -c /tmp/nginx.conf -s quit 2>/dev/null

node -e 'require("http").createServer((q, r) => r.end("hello\n")).listen(8081, "127.0.0.1")' &
wait_for 8081
echo "node $(rate -k -n 6000 -c 16 http://127.0.0.1:8081/)"
kill $!
wait

timed find find / -xdev
timed ls ls -lR /usr/lib
timed tar tar cf /tmp/usr.tar /usr/lib/python3 /usr/share/perl
timed untar sh -c 'mkdir x; cd x; tar xf /tmp/usr.tar'
timed git sh -c 'cd x && git init -q . && git add . && git -c user.name=a -c user.email=b commit -qm c && git status'
mkdir -p src
for i in 1 2 3 4 5 6 7 8; do
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f%d(int x) { return printf("%%d", x); }\n' "$i" >"src/f$i.c"
done
printf 'OBJ := $(patsubst %%.c,%%.o,$(wildcard *.c))\nlib.a: $(OBJ)\n\tar rc $@ $^\n%%.o: %%.c\n\tgcc -O2 -c $< -o $@\n' >src/Makefile
timed gcc make -s -C src
timed python sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do python3 -c "import json, re, os"; done'
timed sh sh -c 'for i in $(seq 200); do /bin/true; done'
