# redis-server with its clients and benchmark on loopback, a snapshot by fork, persistence over a restart.
#: normalise s/^("[^"]+"),.*/\1/
cd /tmp || exit 1
start() {
    redis-server --port 6399 --unixsocket /tmp/redis.sock --dir /tmp --daemonize yes --logfile /tmp/log --save '' --appendonly yes >/dev/null
    for _ in $(seq 1000); do redis-cli -p 6399 ping 2>/dev/null | grep -q PONG && return; sleep 0.05; done
    echo "did not start"; cat /tmp/log
}
start
cli() { redis-cli -p 6399 "$@"; }
cli set key value
cli incrby number 41; cli incr number
cli rpush list a b c; cli lrange list 0 -1
cli -s /tmp/redis.sock get key
cli eval 'local s = 0; for i = 1, 1000 do s = s + i end; return s' 0
cli --raw setrange big 999999 x; cli strlen big
cli bgsave
for _ in $(seq 1000); do [ -s dump.rdb ] && break; sleep 0.05; done
redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
redis-benchmark -p 6399 --csv -n 5000 -c 20 -t ping,set,get,lpush,lpop,mset
redis-benchmark -s /tmp/redis.sock --csv -n 5000 -c 20 -t ping
redis-benchmark -p 6399 --csv -n 20000 -P 16 -t set,get --threads 2
(cli subscribe channel | head -6 >sub) &
for _ in $(seq 1000); do [ "$(cli pubsub numsub channel | tail -1)" = 1 ] && break; sleep 0.05; done
cli publish channel message
for _ in $(seq 1000); do [ "$(wc -l <sub)" -ge 6 ] && break; sleep 0.05; done
cat sub
(sleep 0.2; cli rpush queue late >/dev/null) & cli blpop queue 1000
cli dbsize
cli shutdown
gone() { for _ in $(seq 1000); do pgrep -x redis-server >/dev/null || break; sleep 0.05; done; }
gone
start
cli get number
cli lrange list 0 -1
kill -TERM "$(cli info server | tr -d '\r' | sed -n 's/^process_id://p')"
gone
grep -c 'bye bye' log
