"""KServe's server in Python, with the model behind its two protocols."""

import os

import irises
import kserve
from kserve.utils.utils import get_predict_response


class Irises(kserve.Model):
    """The model as KServe has it."""

    def __init__(self):
        super().__init__("irises")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, dict):
            return {"predictions": irises.plain(irises.predict(irises.rows_of(payload)))}
        answer = irises.predict(payload.inputs[0].as_numpy())
        return get_predict_response(payload, answer, self.name)


if __name__ == "__main__":
    kserve.ModelServer(http_port=int(os.environ["PORT"]), workers=1, enable_grpc=False).start([Irises()])
