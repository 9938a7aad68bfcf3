"""Mosec, with the model behind ``/invocations``: JSON, or msgpack where the output is scores or a grid."""

import os
import sys

import irises
import msgpack
from mosec import Runtime, Server, Worker


class Irises(Worker):
    """The model as Mosec has it."""

    def forward(self, data):
        return irises.plain(irises.predict(irises.rows_of(data)))


class Packed(Irises):
    """The same, with answers in msgpack."""

    resp_mime_type = "application/msgpack"

    def serialize(self, data):
        return msgpack.packb(data)


if __name__ == "__main__":
    port, packed = os.environ["PORT"], os.environ["OUTPUT"] in ("scores", "grid")
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", port, "--path", os.path.join(os.getcwd(), "mosec")]
    server = Server()
    server.register_runtime({"/invocations": [Runtime(Packed if packed else Irises)]})
    server.run()
