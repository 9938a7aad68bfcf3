"""sagemaker-containers, the server inside of AWS's scikit-learn and XGBoost containers: Flask behind gunicorn, its own codecs."""

import collections
import collections.abc
import os
import sys

import flask
import irises

# The last release is of Python 3.7's time: the name that it takes from there has moved since.
collections.Mapping = collections.abc.Mapping

from sagemaker_containers.beta.framework import content_types, encoders, worker  # noqa: E402

RECORDIO = "application/x-recordio-protobuf"


def transform():
    """One answer, as a script of those containers gives it."""
    asked = worker.Request()
    answer = irises.predict(encoders.decode(asked.content, asked.content_type))
    accept = asked.accept
    if accept == RECORDIO:
        return worker.Response(encoders.array_to_recordio_protobuf(answer), mimetype=accept)
    if accept == content_types.CSV and os.environ["OUTPUT"] == "several":
        flask.abort(406)
    return worker.Response(encoders.encode(answer, accept), mimetype=accept)


if __name__ == "__main__":
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{os.environ['PORT']}", "-k", "gevent"]
    os.environ["SAGEMAKER_BASE_DIR"] = os.path.join(os.getcwd(), "base")
    os.execv(sys.executable, [*command, "sagemaker_containers_app:app"])  # noqa: S606

app = worker.Worker(transform_fn=transform, module_name="irises")
