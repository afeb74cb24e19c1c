# Sockets on loopback: TCP, UDP, IPv6, unix in its kinds, descriptors and credentials passed, options, polls.
#: shell /usr/bin/python3
import errno
import os
import select
import struct
import threading
import http.server
import urllib.request
from socket import *
from socket import socket as Socket

s = Socket()
s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 0))
s.listen(5)
c = create_connection(s.getsockname())
a, peer = s.accept()
print("peer", peer == c.getsockname(), c.getpeername() == s.getsockname())
c.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
print("nodelay", c.getsockopt(IPPROTO_TCP, TCP_NODELAY), "type", c.getsockopt(SOL_SOCKET, SO_TYPE))
data = bytes(range(256)) * 20000
t = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(SHUT_WR)))
t.start()
got = b""
while chunk := a.recv(65536):
    got += chunk
t.join()
print("5 MB", got == data)
a.sendall(b"peeked")
print(c.recv(10, MSG_PEEK), c.recv(10, MSG_WAITALL | MSG_DONTWAIT))
c.settimeout(0.1)
try:
    c.recv(1)
except TimeoutError as e:
    print("timeout", e)
c.setblocking(False)
try:
    c.recv(1)
except BlockingIOError as e:
    print(errno.errorcode[e.errno])
a.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
a.close()
select.select([c], [], [], 100)
try:
    c.recv(1)
except ConnectionResetError as e:
    print("reset", e.errno)
dead = Socket()
port = s.getsockname()[1]
s.close()
print("refused", errno.errorcode[dead.connect_ex(("127.0.0.1", port))])

u = Socket(AF_INET, SOCK_DGRAM)
u.bind(("127.0.0.1", 0))
v = Socket(AF_INET, SOCK_DGRAM)
v.sendto(b"one", u.getsockname())
v.connect(u.getsockname())
v.send(b"two")
print("udp", u.recvfrom(100)[0], u.recv(1, MSG_TRUNC))

try:
    six = Socket(AF_INET6)
    six.bind(("::1", 0))
    six.listen()
    d = create_connection(six.getsockname()[:2])
    e, _ = six.accept()
    d.send(b"six")
    print("ipv6", e.recv(10))
except OSError as x:
    print("ipv6", x)

x, y = socketpair(AF_UNIX, SOCK_SEQPACKET)
x.send(b"packet one")
x.send(b"two")
print("seqpacket", y.recv(6), y.recv(100))
x, y = socketpair()
r, w = os.pipe()
send_fds(x, [b"fds"], [r, 1])
msg, fds, flags, _ = recv_fds(y, 100, 10)
os.write(w, b"through a passed fd")
print(msg, len(fds), os.read(fds[0], 100))
y.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
x.send(b"with credentials")
msg, anc, _, _ = y.recvmsg(100, CMSG_SPACE(12))
print(msg, struct.unpack("3i", anc[0][2]) == (os.getpid(), os.getuid(), os.getgid()))
print("peercred", struct.unpack("3i", x.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))[1:])
abstract = Socket(AF_UNIX)
abstract.bind("\0abstract name")
abstract.listen()
z = Socket(AF_UNIX)
z.connect("\0abstract name")
w2, _ = abstract.accept()
z.send(b"abstract")
print(w2.recv(100), abstract.getsockname())
path = Socket(AF_UNIX, SOCK_DGRAM)
path.bind("/tmp/dgram.sock")
z = Socket(AF_UNIX, SOCK_DGRAM)
z.sendto(b"to a path", "/tmp/dgram.sock")
print(path.recvfrom(100), oct(os.stat("/tmp/dgram.sock").st_mode))
try:
    Socket(AF_UNIX, SOCK_DGRAM).bind("/tmp/dgram.sock")
except OSError as e:
    print(errno.errorcode[e.errno])

poll = select.poll()
x, y = socketpair()
poll.register(x, select.POLLIN | select.POLLOUT)
print("poll", [e for _, e in poll.poll(0)])
y.send(b"!")
print("poll", [e for _, e in poll.poll(0)])
y.close()
print("poll", [e for _, e in poll.poll(0)])
ep = select.epoll()
pairs = [socketpair() for _ in range(50)]
for i, (l, m) in enumerate(pairs):
    ep.register(l, select.EPOLLIN | select.EPOLLET)
for l, m in pairs[::5]:
    m.send(b"x")
print("epoll", len(ep.poll(1, 100)), len(ep.poll(0, 100)))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode() * 100
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=httpd.serve_forever, daemon=True).start()
base = "http://127.0.0.1:%d" % httpd.server_port
print("http", sum(len(urllib.request.urlopen(f"{base}/{i}").read()) for i in range(50)))
httpd.shutdown()
with open("/usr/bin/python3", "rb") as f:
    x, y = socketpair()
    n = os.fstat(f.fileno()).st_size
    total = [0]
    t = threading.Thread(target=lambda: total.__setitem__(0, sum(iter(lambda: len(y.recv(65536)), 0))))
    t.start()
    x.sendfile(f)
    x.close()
    t.join()
    print("sendfile", total[0] == n)
print(getaddrinfo("localhost", 80, AF_INET, SOCK_STREAM)[0][4], gethostname(), if_nameindex()[0])
