# asyncio: tasks, timers, streams on TCP and unix sockets, subprocesses, signals, threads behind it.
#: shell /usr/bin/python3
import asyncio
import os
import signal
import socket
import time


async def streams():
    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def client(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = []
        for i in range(10):
            writer.write(f"client {n} line {i}\n".encode())
            lines.append(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return b"".join(lines)

    answers = await asyncio.gather(*(client(n) for n in range(50)))
    print("tcp", sum(map(len, answers)), answers[49][:16])
    server.close()
    server = await asyncio.start_unix_server(serve, "/tmp/asyncio.sock", limit=1 << 20)
    reader, writer = await asyncio.open_unix_connection("/tmp/asyncio.sock", limit=1 << 20)
    writer.write(b"x" * 300000 + b"\n")
    print("unix", len(await reader.readline()))
    writer.close()
    server.close()


async def processes():
    async def one(n):
        p = await asyncio.create_subprocess_exec(
            "sh", "-c", f"read x; echo got $x; exit {n}", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await p.communicate(f"input {n}\n".encode())
        return out, p.returncode

    results = await asyncio.gather(*(one(n) for n in range(10)))
    print("subprocesses", results[3], sum(r[1] for r in results))
    p = await asyncio.create_subprocess_exec("sleep", "100")
    p.kill()
    print("killed", await p.wait())


async def signals():
    got = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(got.wait(), 100)
    print("signal")


async def datagrams():
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            self.transport.sendto(data[::-1], address)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.connect(transport.get_extra_info("sockname"))
    await loop.sock_sendall(s, b"abc")
    print("udp", await loop.sock_recv(s, 10))
    transport.close()
    s.close()


async def main():
    start = time.monotonic()
    await asyncio.gather(*(asyncio.sleep(0.2) for _ in range(1000)))
    print("slept together", 0.2 <= time.monotonic() - start < 100)
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.05)
    except asyncio.TimeoutError:
        print("timed out")
    await streams()
    await processes()
    await signals()
    await datagrams()
    print("thread", await asyncio.to_thread(lambda: sum(range(1000))))


asyncio.run(main())
