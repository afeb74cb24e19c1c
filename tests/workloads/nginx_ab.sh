# nginx with worker processes, and ab against it.
#: normalise s/^(Time taken|Requests per second|Time per request|Transfer rate|Connect|Processing|Waiting|Total:|Percentage| +[0-9]+%).*/\1/
cd /tmp || exit 1
mkdir www conf logs
seq 1 20000 >www/big.txt
echo '<p>hello</p>' >www/index.html
cat >conf/nginx.conf <<'EOF'
worker_processes 2;
pid /tmp/nginx.pid;
error_log /tmp/logs/error.log notice;
events { worker_connections 128; }
http {
    access_log /tmp/logs/access.log;
    client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
    uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    sendfile on;
    server {
        listen 127.0.0.1:8080;
        listen unix:/tmp/nginx.sock;
        root /tmp/www;
        location /proxy/ { proxy_pass http://unix:/tmp/nginx.sock:/; }
    }
}
EOF
nginx -c /tmp/conf/nginx.conf -t 2>&1
nginx -c /tmp/conf/nginx.conf
# until_it COMMAND...: is true
until_it() { for _ in $(seq 1000); do "$@" && break; sleep 0.05; done; }
workers() { pgrep -P "$(cat nginx.pid)" | sort; }
until_it test -s nginx.pid
ab -q -n 500 -c 10 http://127.0.0.1:8080/index.html | grep -E '^(Complete|Failed|Non-2xx|HTML|Total transferred|Document|Concurrency)'
ab -q -k -n 1000 -c 20 http://127.0.0.1:8080/big.txt | grep -E '^(Complete|Failed|Non-2xx|HTML|Keep-Alive|Document)'
ab -q -n 50 -c 5 http://127.0.0.1:8080/proxy/big.txt | grep -E '^(Complete|Failed|Non-2xx|HTML)'
ab -q -n 20 http://127.0.0.1:8080/missing | grep -E '^(Complete|Failed|Non-2xx)'
perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:8080") or die; print $s "HEAD / HTTP/1.0\r\n\r\n"; print grep /^(HTTP|Content)/, <$s>'
# Whatever way the bytes take, they are the files', on one connection after another.
for n in 1 4095 4096 32767 32768 32769 65537 100000; do head -c "$n" www/big.txt >"www/$n"; done
perl -MIO::Socket::INET -e '
    for my $round (1 .. 20) {
        my $s = IO::Socket::INET->new("127.0.0.1:8080") or die;
        for my $n (1, 4095, 4096, 32767, 32768, 32769, 65537, 100000) {
            print $s "GET /$n HTTP/1.1\r\nHost: a\r\n\r\n";
            my ($length, $got, $want) = (0);
            while (my $line = <$s>) { $length = $1 if $line =~ /^Content-Length: (\d+)/; last if $line eq "\r\n" }
            read($s, $got, $length);
            open my $f, "<", "www/$n" or die;
            read($f, $want, 200000);
            print "$n differs\n" if $got ne $want;
        }
    }
    print "compared\n"'
workers >old
replaced() { [ "$(workers | wc -l)" = 2 ] && [ -z "$(workers | join - old)" ]; }
nginx -c /tmp/conf/nginx.conf -s reload
until_it replaced
ab -q -n 100 -c 4 http://127.0.0.1:8080/ | grep -E '^(Complete|Failed)'
pgrep -c nginx
logged() { [ "$(wc -l <logs/access.log)" = 1881 ]; }
until_it logged
workers | head -1 >old
kill -KILL "$(cat old)"
until_it replaced
pgrep -c nginx
nginx -c /tmp/conf/nginx.conf -s quit
ended() { ! pgrep nginx >/dev/null; }
until_it ended
pgrep -c nginx
wc -l <logs/access.log
