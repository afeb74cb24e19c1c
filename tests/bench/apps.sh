# shellcheck shell=bash disable=SC2016
# apps.sh GROUP [hold]: runs in the Debian root of the benchmarks: programs as people run them. Prints "NAME NANOSECONDS"
# or, for servers, "NAME REQUESTS-PER-SECOND"; "NAME skipped" for what this root does not hold. With a second argument it
# then sleeps until it is killed, so that counters can be read.
cd /tmp && rm -rf ./* || exit 1
export HOME=/tmp
limit=60 # seconds for each program

timed() { # name command...
    local name=$1 begin end
    shift
    begin=$(date +%s%N)
    timeout "$limit" "$@" >/dev/null 2>&1 || { echo "$name: status $?" >&2 && return; }
    end=$(date +%s%N)
    echo "$name $((end - begin))"
}

rate() { # ab's arguments
    timeout "$limit" ab -q "$@" 2>/dev/null | awk '/^Requests per second/ { print $4 }'
}

wrk_rate() { # wrk's arguments
    timeout "$limit" wrk -t 1 "$@" 2>/dev/null | awk '/^Requests\/sec/ { print $2 }'
}

wait_for() { # port
    for _ in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
}

group_redis() {
    redis-server --port 6399 --daemonize yes --save '' --logfile /dev/null >/dev/null
    wait_for 6399
    timeout "$limit" redis-benchmark -p 6399 -n 100000 -c 20 -t set,get --csv |
        awk -F'"' '/SET|GET/ { sum += 1 / $4; n++ } END { print "redis", n / sum }'
    [ -n "$hold" ] || redis-cli -p 6399 shutdown nosave 2>/dev/null
}

group_nginx() {
    mkdir -p www
    seq 1 200 >www/index.html
    cat >nginx.conf <<'CONF'
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/null;
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;
    scgi_temp_path /tmp/s;
    sendfile on;
    server { listen 127.0.0.1:8080; root /tmp/www; }
}
CONF
    nginx -c /tmp/nginx.conf
    wait_for 8080
    echo "nginx $(rate -n 2000 -c 16 http://127.0.0.1:8080/)"
    echo "nginx-wrk $(wrk_rate -c 16 -d 1 http://127.0.0.1:8080/)"
    [ -n "$hold" ] || nginx -c /tmp/nginx.conf -s quit 2>/dev/null
}

group_node() {
    node -e 'require("http").createServer((q, r) => r.end("hello\n")).listen(8081, "127.0.0.1")' &
    wait_for 8081
    echo "node $(wrk_rate -c 16 -d 1 http://127.0.0.1:8081/)"
    [ -n "$hold" ] || kill $!
}

as_postgres() {
    setpriv --reuid postgres --regid postgres --clear-groups "$@"
}

group_pgbench() {
    local bin=/usr/lib/postgresql/15/bin
    cp -a /bench/pg /tmp/pg
    printf 'fsync = off\njit = off\nlisten_addresses = '"''"'\nunix_socket_directories = '"'/tmp'"'\n' >>/tmp/pg/postgresql.conf
    as_postgres $bin/pg_ctl -s -w -D /tmp/pg -l /tmp/pg.log start >/dev/null
    as_postgres $bin/pgbench -h /tmp -q -i -s 1 postgres >/dev/null 2>&1
    as_postgres timeout "$limit" $bin/pgbench -h /tmp -n -S -c 4 -t 5000 postgres 2>/dev/null | awk '/^tps/ { print "pgbench-read", $3 }'
    as_postgres timeout "$limit" $bin/pgbench -h /tmp -n -c 4 -t 750 postgres 2>/dev/null | awk '/^tps/ { print "pgbench", $3 }'
    [ -n "$hold" ] || as_postgres $bin/pg_ctl -s -m immediate -D /tmp/pg stop
}

group_find() {
    timed find find / -xdev
    timed ls ls -lR /usr/lib
}

group_archive() {
    timed tar tar cf /tmp/usr.tar /usr/lib/python3 /usr/share/perl
    timed untar sh -c 'mkdir x; cd x; tar xf /tmp/usr.tar'
    timed git sh -c 'cd x && git init -q . && git add . && git -c user.name=a -c user.email=b commit -qm c && git status'
}

group_status() {
    git -C /bench/tree status >/dev/null # which writes the index, for files that it has not seen before
    timed git-status git -C /bench/tree status
}

group_gcc() {
    mkdir -p src
    for i in 1 2 3 4 5 6 7 8; do
        printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f%d(int x) { return printf("%%d", x); }\n' "$i" >"src/f$i.c"
    done
    printf 'OBJ := $(patsubst %%.c,%%.o,$(wildcard *.c))\nlib.a: $(OBJ)\n\tar rc $@ $^\n%%.o: %%.c\n\tgcc -O2 -c $< -o $@\n' >src/Makefile
    timed gcc make -s -C src
}

group_zlib() {
    [ -e /bench/zlib/configure ] || { echo "zlib skipped" && return; }
    cp -a /bench/zlib /tmp/zlib
    timed zlib sh -c 'cd /tmp/zlib && ./configure --static && make -s libz.a'
}

group_go() {
    export GOCACHE=/tmp/go GOPATH=/tmp/gopath GOFLAGS=-mod=mod GOTOOLCHAIN=local
    timed go sh -c 'cd /bench/go && /usr/lib/go-1.19/bin/go build -o /tmp/prog .'
}

group_python() {
    timed python sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do python3 -c "import json, re, os"; done'
}

group_sh() {
    timed sh sh -c 'for i in $(seq 200); do /bin/true; done'
}

hold=${2:-}
"group_$1"
[ -z "$hold" ] || sleep 1000
wait
