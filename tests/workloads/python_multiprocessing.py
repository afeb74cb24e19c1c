# Worker processes by fork and by spawn: pools, queues, pipes, shared memory, managers, semaphores.
#: shell /usr/bin/python3
import multiprocessing as mp
import os
import signal
import time
from multiprocessing import shared_memory


def square(x):
    return x * x


def worker(q, r):
    while (x := q.get()) is not None:
        r.put((x, x**3))


def child(conn):
    conn.send({"got": conn.recv(), "parent": os.getppid() == conn.recv()})
    conn.close()


def count(value, lock, n):
    for _ in range(n):
        with lock:
            value.value += 1


def fill(name):
    block = shared_memory.SharedMemory(name)
    block.buf[:5] = b"hello"
    block.close()


def put_in(d, i):
    d[i] = i * i


def main():
    with mp.Pool(4) as pool:
        print("pool", sum(pool.map(square, range(1000))))
        print("async", [r.get(100) for r in [pool.apply_async(square, (i,)) for i in range(5)]])
        print("unordered", sorted(pool.imap_unordered(square, range(20), chunksize=3))[-1])
    q, r = mp.Queue(), mp.Queue()
    ps = [mp.Process(target=worker, args=(q, r)) for _ in range(3)]
    for p in ps:
        p.start()
    for i in range(100):
        q.put(i)
    print("queue", sorted(r.get() for _ in range(100))[-1])
    for _ in ps:
        q.put(None)
    for p in ps:
        p.join()
    print("exit codes", [p.exitcode for p in ps])
    here, there = mp.Pipe()
    p = mp.Process(target=child, args=(there,))
    p.start()
    here.send([1, "two", 3.0])
    here.send(os.getpid())
    print("pipe", here.recv())
    p.join()
    value, lock = mp.Value("i", 0, lock=False), mp.Lock()
    ps = [mp.Process(target=count, args=(value, lock, 200)) for _ in range(5)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
    print("counted", value.value)
    block = shared_memory.SharedMemory(create=True, size=4096)
    p = mp.Process(target=fill, args=(block.name,))
    p.start()
    p.join()
    print("shared", bytes(block.buf[:5]))
    block.close()
    block.unlink()
    with mp.Manager() as manager:
        d = manager.dict()
        ps = [mp.Process(target=put_in, args=(d, i)) for i in range(4)]
        for p in ps:
            p.start()
        for p in ps:
            p.join()
        print("manager", sorted(d.items()))
    p = mp.Process(target=time.sleep, args=(100,))
    p.start()
    p.terminate()
    p.join()
    print("terminated", p.exitcode == -signal.SIGTERM)
    spawn = mp.get_context("spawn")
    with spawn.Pool(2) as pool:
        print("spawn", pool.map(square, [1, 2, 3]))
    server = mp.get_context("forkserver")
    with server.Pool(2) as pool:
        print("forkserver", pool.map(square, [4, 5, 6]))


if __name__ == "__main__":
    main()
