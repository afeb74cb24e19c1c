"""cri.py SOCKET METHOD JSON: one call of the Container Runtime Interface. Prints the answer as JSON.

Exit status 1 where the other side refuses; its words are on stderr. $CRI_DESCRIPTOR is cri.proto, compiled by
`protoc --descriptor_set_out`.
"""
import os
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

socket, name, text = sys.argv[1:]
pool = descriptor_pool.DescriptorPool()
with open(os.environ["CRI_DESCRIPTOR"], "rb") as f:
    for proto in descriptor_pb2.FileDescriptorSet.FromString(f.read()).file:
        pool.Add(proto)
service = pool.FindServiceByName("runtime.v1.RuntimeService")
method = service.methods_by_name[name]
factory = message_factory.MessageFactory(pool)
request = json_format.Parse(text, factory.GetPrototype(method.input_type)())
with grpc.insecure_channel("unix:" + socket) as channel:
    call = channel.unary_unary(
        f"/{service.full_name}/{name}",
        request_serializer=lambda m: m.SerializeToString(),
        response_deserializer=factory.GetPrototype(method.output_type).FromString,
    )
    try:
        answer = call(request, timeout=60)
    except grpc.RpcError as e:
        sys.exit(f"{e.code().name}: {e.details()}")
print(json_format.MessageToJson(answer, including_default_value_fields=True, preserving_proto_field_name=True))
