"""LitServe, with the model behind ``/invocations``."""

import os

import irises
import litserve


class Irises(litserve.LitAPI):
    """The model as LitServe has it."""

    def setup(self, device):
        pass

    def decode_request(self, request):
        return irises.rows_of(request)

    def predict(self, rows):
        return irises.predict(rows)

    def encode_response(self, answer):
        return irises.plain(answer)


if __name__ == "__main__":
    server = litserve.LitServer(
        Irises(api_path="/invocations"), healthcheck_path="/ping", accelerator="cpu", workers_per_device=1
    )
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, num_api_servers=1)
