"""cri.py SOCKET DESCRIPTOR PORT: a client of the Container Runtime Interface for shell scripts.

SOCKET is the engine's, DESCRIPTOR is cri.proto as `protoc --descriptor_set_out` compiles it. Listens on a port of the
loopback interface, whose number is written to the file PORT. A request is a line "METHOD JSON"; the answer is a line "ok" and one
of JSON, or a line with the other side's refusal.
"""
import os
import socketserver
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

engine, descriptor, port = sys.argv[1:]
pool = descriptor_pool.DescriptorPool()
with open(descriptor, "rb") as f:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(f.read()).file:
        pool.Add(proto)
service = pool.FindServiceByName("runtime.v1.RuntimeService")
factory = message_factory.MessageFactory(pool)
channel = grpc.insecure_channel("unix:" + engine)


def call(name, text):
    method = service.methods_by_name[name]
    request = json_format.Parse(text, factory.GetPrototype(method.input_type)())
    rpc = channel.unary_unary(
        f"/{service.full_name}/{name}",
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=factory.GetPrototype(method.output_type).FromString,
    )
    answer = rpc(request, timeout=300)
    return json_format.MessageToJson(answer, including_default_value_fields=True, preserving_proto_field_name=True, indent=None)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        name, _, text = self.rfile.readline().decode().partition(" ")
        try:
            answer = "ok\n" + call(name, text)
        except grpc.RpcError as e:
            answer = f"{e.code().name}: {e.details()}".replace("\n", " ")
        except (KeyError, json_format.ParseError) as e:
            answer = f"{type(e).__name__}: {e}".replace("\n", " ")
        self.wfile.write(answer.encode() + b"\n")


with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
    with open(port + ".new", "w") as f:
        print(server.server_address[1], file=f)
    os.rename(port + ".new", port)
    server.serve_forever()
