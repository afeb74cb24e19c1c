# Threads: locks, conditions, events, queues, pools, timers, thread-local state, many at once.
#: shell /usr/bin/python3
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

total = 0
lock = threading.Lock()


def add(n):
    global total
    for _ in range(n):
        with lock:
            total += 1


threads = [threading.Thread(target=add, args=(500,)) for _ in range(40)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("total", total)

q = queue.Queue(maxsize=4)
out = []


def consume():
    while (item := q.get()) is not None:
        out.append(item * item)
        q.task_done()


consumers = [threading.Thread(target=consume) for _ in range(4)]
for t in consumers:
    t.start()
for i in range(1000):
    q.put(i)
q.join()
for _ in consumers:
    q.put(None)
for t in consumers:
    t.join()
print("queue", sum(out), len(out))

barrier = threading.Barrier(16)
order = []


def meet(i):
    time.sleep(i * 0.001)
    barrier.wait()
    with lock:
        order.append(i)


threads = [threading.Thread(target=meet, args=(i,)) for i in range(16)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("barrier", sorted(order) == list(range(16)))

with ThreadPoolExecutor(8) as pool:
    print("pool", sum(pool.map(lambda n: sum(range(n)), range(200))))

event = threading.Event()
print("wait", event.wait(0.05))
threading.Timer(0.05, event.set).start()
print("wait", event.wait(100))

condition = threading.Condition()
state = []


def ping_pong(me, other):
    for _ in range(300):
        with condition:
            while state and state[-1] == me:
                condition.wait(100)
            state.append(me)
            condition.notify()


state.append("pong")
a = threading.Thread(target=ping_pong, args=("ping", "pong"))
b = threading.Thread(target=ping_pong, args=("pong", "ping"))
a.start()
b.start()
a.join()
b.join()
print("ping-pong", len(state), state[1:5])

local = threading.local()
local.x = 1
seen = []
t = threading.Thread(target=lambda: seen.append(hasattr(local, "x")))
t.start()
t.join()
print("local", seen)
print("native ids differ", threading.get_native_id() != 0, threading.active_count())
end = threading.Event()
lives = [threading.Thread(target=end.wait) for _ in range(200)]
for t in lives:
    t.start()
print("alive", sum(t.is_alive() for t in lives) == 200)
end.set()
for t in lives:
    t.join()
print("done")
