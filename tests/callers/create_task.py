"""create_task.py SOCKET NAMESPACE CONTAINER: has containerd create the task of a container, and not start it."""
import sys

import grpc

socket, namespace, container = sys.argv[1:]
name = container.encode()
with grpc.insecure_channel("unix:" + socket) as channel:
    create = channel.unary_unary("/containerd.services.tasks.v1.Tasks/Create")
    # CreateTaskRequest: container_id is field 1, a string; no streams.
    create(bytes([0x0A, len(name)]) + name, metadata=[("containerd-namespace", namespace)], timeout=30)
